"""What the routes and jobs of evidence work with, handed over by main."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.core.units import SECOND_MS
from engine.settings import Settings
from engine.store.database import Database, DatabaseAway, Reader
from engine.writer import Outcome, Writer
from partners.core.evidence_rules import EvidenceRules
from partners.evidence.folder import EvidenceFolder
from partners.evidence.rules import shipped_rules
from partners.evidence.uploads import Uploads

UNPACKING_MAX = 2  # each may take four bytes a pixel


class Submits(Protocol):
    """The writer, or a way to it."""

    async def submit(self, command: Any) -> Outcome:
        """What the command came to."""
        ...


@dataclass(frozen=True, slots=True)
class Through:
    """A way to the writer of the process that serves the database."""

    submit_all: Callable[[Sequence[Any]], Awaitable[list[Outcome]]]

    async def submit(self, command: Any) -> Outcome:
        """What the command came to."""
        [outcome] = await self.submit_all([command])
        return outcome


@dataclass(frozen=True, slots=True)
class EvidenceDesk:
    """`keys`: each partner's secrets, by which its upload passes are signed; `wall_ms`: the host's clock, for them.

    `unpacking`: how many pictures may be unpacked at a time.
    """

    writer: Submits
    db: Database
    rules: Callable[[], RuleBook]
    evidence: EvidenceRules
    folder: EvidenceFolder
    uploads: Uploads
    pixels_max: int
    keys: Mapping[str, tuple[str, ...]]
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    clock_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    unpacking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UNPACKING_MAX))

    def now_ms(self) -> int:
        """The engine's now."""
        return self.clock_ms()

    async def submit(self, command: Any) -> dict[str, Any]:
        """The reply of a command. Raises Rejected."""
        outcome = await self.writer.submit(command)
        if outcome.error is not None:
            raise outcome.error
        reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
        return reply

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """One view of the database. Raises Rejected(unavailable)."""
        try:
            async with self.db.snapshot() as reader:
                yield reader
        except DatabaseAway as problem:
            raise Rejected("unavailable") from problem


def evidence_desk(
    settings: Settings,
    writer: Submits,
    db: Database,
    rules: Callable[[], RuleBook],
    keys: Mapping[str, tuple[str, ...]],
) -> EvidenceDesk:
    """The desk as the settings want it."""
    folder = EvidenceFolder(settings.evidence_folder)
    expiry_ms = settings.evidence_expiry_s * SECOND_MS
    uploads = Uploads(folder, settings.evidence_bytes_max, settings.evidence_uploads_max, expiry_ms)
    made = EvidenceDesk(
        writer, db, rules, shipped_rules(), folder, uploads, settings.evidence_pixels_max, keys
    )
    return replace(made, clock_ms=writer.clock.now_ms) if isinstance(writer, Writer) else made
