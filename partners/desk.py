"""What the partners' routes work with, and a read view for them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.settings import Settings
from engine.store.database import Database, DatabaseAway, Reader
from engine.writer import Writer
from partners.public.kept import WATCHED, Kept
from partners.registry import Registry

LICENCE = "https://creativecommons.org/licenses/by/4.0/"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with. `wall_ms` is the host's clock, for the age of signatures.

    `kept` has the public pages that were made a moment ago; `licence` is that of the registry's data.
    """

    writer: Writer
    db: Database
    registry: Registry
    rules: Callable[[], RuleBook]
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)
    kept: Kept = field(default_factory=Kept)
    licence: str = LICENCE

    def __post_init__(self) -> None:
        self.writer.watch(WATCHED, self.kept.changed)


def desk_of(
    settings: Settings, writer: Writer, db: Database, registry: Registry, rules: Callable[[], RuleBook]
) -> Desk:
    """The desk of a running engine."""
    kept = Kept(settings.registry_kept_s, settings.registry_kept_bytes_max)
    return Desk(writer, db, registry, rules, kept=kept, licence=settings.registry_licence)


@asynccontextmanager
async def reading(desk: Desk) -> AsyncIterator[Reader]:
    """A read view; a database that is away is said as a refusal."""
    try:
        async with desk.db.snapshot() as reader:
            yield reader
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
