"""An engine's partners' side with a real writer, a mail host and a partner who works by files; its jobs run by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.core.numbers import order_number
from engine.settings import Settings
from partners import jobs
from partners.adapters.files.config import FilesConfig, read_config
from partners.adapters.files.names import names_of
from partners.evidence.desk import evidence_desk
from partners.evidence.mailed import photo_keeper
from partners.intake import Intake, order_facts
from partners.post import FolderPost, MailPost
from partners.registry import file_partners
from tests.partners.bench import PROGRAMME, RULES, Bench, open_bench
from tests.partners.files.mailhost import MailHost
from tests.partners.files.setting import PARTNER
from tests.partners.files.staff import Staff, attached, filled, jpeg

THEIRS = replace(
    RULES, programmes={**RULES.programmes, PROGRAMME: replace(RULES.programmes[PROGRAMME], partner=PARTNER)}
)


@dataclass
class Office:
    """The desk of an operator who runs each job when it pleases."""

    bench: Bench
    config: FilesConfig
    intake: Intake
    mail: MailPost | None
    folders: FolderPost
    host: MailHost | None = None

    async def order(self, trees: int = 20) -> int:
        """An order that has reached its partner; its id."""
        await self.bench.trees(trees)
        assert await jobs.form_orders(self.bench.writer, self.bench.db) == 1
        await self.relayed()
        [(order,)] = await self.bench.rows("SELECT id FROM partner_orders")
        return int(order)

    async def relayed(self) -> None:
        """All that is due has been tried once."""
        relay = self.bench.relay()
        await relay.turn()
        await relay.idle()

    async def facts(self, order: int) -> Any:
        async with self.bench.db.snapshot() as view:
            found = await order_facts(view, PARTNER, order)
        assert found is not None
        return found

    async def answered(self, order: int, staff: Staff, accepted: int = 12) -> Any:
        """The partner has accepted; the reply, with the planting report."""
        asked = await asyncio.to_thread(staff.next_mail)
        [(name, content)] = attached(asked).items()
        staff.answer(asked, {name: filled(content, {"accepted": accepted})})
        await self.posted()
        return await asyncio.to_thread(staff.next_mail)

    async def posted(self) -> None:
        """The mailbox has been visited until nothing more could be put away."""
        assert self.mail is not None
        while await self.mail.run():
            pass

    async def counts(self, *names: str) -> list[int]:
        """How many mails lie in these folders of our mailbox."""
        assert self.host is not None
        found = []
        for name in names:
            box = self.host.folder / "mail" / "orders"
            box = box if name == "INBOX" else box / f".{name}"
            found.append(sum(1 for room in ("new", "cur") for _ in (box / room).glob("*")))
        return found


def planted(trees: int = 12, **changes: Any) -> dict[str, Any]:
    """A row of a planting report."""
    today = datetime.now(UTC).date()
    return {"date_from": today, "date_to": today, "planted": trees, "photos": "a.jpg", **changes}


def photo(text: str) -> dict[str, bytes]:
    return {"a.jpg": jpeg(text)}


def numbered(order: int) -> str:
    return order_number(order)


@asynccontextmanager
async def open_office(path: Path, url: str, host: MailHost | None = None) -> AsyncIterator[Office]:
    """The office of the partners' file at `path`."""
    config = read_config(path)
    names = names_of(THEIRS)
    settings = file_partners(config, lambda: names)
    async with open_bench(url, settings, THEIRS) as bench:
        told = Settings(_env_file=None, evidence=path.parent / "evidence")  # type: ignore[call-arg]
        desk = evidence_desk(told, bench.writer, bench.db, lambda: THEIRS, {})
        keep = photo_keeper(desk, told.evidence_bytes_max)
        intake = Intake(bench.writer.submit_all, bench.db, lambda: names, bench.clock.now_ms, keep)
        mail = MailPost.of(config, intake, bench.writer.submit_all, lambda: names, bench.clock.now_ms)
        yield Office(bench, config, intake, mail, FolderPost.of(config, intake, lambda: names), host)
