"""What the HTTP edge is handed by main: the parts of a running engine. Makes none of them itself."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

from engine.api.tokens import TokenVerifier
from engine.clock import Clock
from engine.core.rules import RuleBook
from engine.realtime.hub import Hub
from engine.realtime.parts import Counters
from engine.realtime.snapshot import Snapshots
from engine.realtime.socket import Front
from engine.settings import Settings
from engine.store.database import Database
from engine.tally import SECONDS_BOUNDS, Spread
from engine.writer import Writer

Explain = Callable[[int], Awaitable[dict[str, Any] | None]]


@dataclass(slots=True)
class HttpTally:
    """Requests since the start by (method, route, status); metrics read it."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    seconds: Spread = field(default_factory=lambda: Spread(SECONDS_BOUNDS))


@dataclass(slots=True)
class JobTally:
    """Scheduled jobs since the start: runs by (job, outcome), and what they came to by name."""

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Parts:
    """The running engine as the HTTP edge sees it.

    `explain` tells of one ball (None: there is none such); `routers` are those of other domains (partners);
    `front` and `counters` belong to the socket side and are only read. `is_draining` makes readiness fail.
    """

    settings: Settings
    db: Database
    rules: Callable[[], RuleBook]
    clock: Clock
    hub: Hub
    writer: Writer
    reads: Snapshots
    tokens: TokenVerifier
    explain: Explain
    front: Front | None = None
    counters: Counters | None = None
    routers: Sequence[APIRouter] = ()
    http: HttpTally = field(default_factory=HttpTally)
    jobs: JobTally = field(default_factory=JobTally)
    is_draining: bool = False
