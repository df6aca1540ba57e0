"""The HTTP edge over a bench: its parts, and the keys that it knows."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from engine.api.parts import Parts
from engine.api.tokens import TokenVerifier
from engine.photos import PhotoFolder
from engine.publishing import Publisher
from engine.realtime.finding import Finder
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.snapshot import Snapshots
from engine.settings import Settings
from tests.partners.bench import RULES, Bench

OPERATOR_KEY = "operator-key-" + "o" * 40
TOKEN_SECRET = "token-secret-" + "t" * 40


def read_out(page: str) -> str:
    """The text of a page, without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", page))


def parts_of(bench: Bench, settings: Settings, **more: Any) -> Parts:
    """The bench as the edge sees it; `more`: routers and what they take."""

    async def explain(ball: int) -> None:
        return None

    hub = Hub(Limits(), "epoch")
    return Parts(
        settings=settings,
        db=bench.db,
        rules=lambda: RULES,
        clock=bench.clock,
        hub=hub,
        writer=bench.writer,
        reads=Snapshots(bench.db, lambda: RULES, bench.clock, "epoch", finder=Finder(hub, 1)),
        tokens=TokenVerifier(secret=TOKEN_SECRET, audience="saxaul"),
        explain=explain,
        publisher=Publisher(bench.db, bench.writer.submit_all, bench.clock.now_ms),
        photos=PhotoFolder(settings.photo_folder),
        **more,
    )
