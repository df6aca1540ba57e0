"""A writer on a real database with a clock that stands still, for tests of the store."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from engine.clock import Clock
from engine.core.rules import RuleBook
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.publication import Item
from engine.store.database import Database
from engine.store.opening import open_database
from engine.writer import Writer
from tests.core.world import NOON, rulebook
from tests.support.databases import migrated

SECRET = "5a" * 32


class SetClock(Clock):
    """A clock that shows what it is set to, on every database."""

    def now_ms(self) -> int:
        return NOON + self.shift_ms

    def group_now_ms(self, shared_ms: int | None) -> int:
        return self.now_ms()


@dataclass
class Heard:
    """Takes what a hub would take."""

    items: list[Item] = field(default_factory=list)
    flushes: int = 0

    def publish(self, items: Sequence[Item]) -> None:
        self.items += items

    def flush(self) -> None:
        self.flushes += 1


@dataclass
class Bench:
    db: Database
    writer: Writer
    heard: Heard
    clock: SetClock

    async def rows(self, table: str, order: str) -> list[tuple[Any, ...]]:
        async with self.db.snapshot() as view:
            return await view.fetch(f"SELECT * FROM {table} ORDER BY {order}")


@asynccontextmanager
async def bench(url: str, rules: Callable[[], RuleBook] = rulebook) -> AsyncIterator[Bench]:
    """An open database with a started writer. Draws are the same every time."""
    await migrated(url)
    db = await open_database(url)
    clock, heard = SetClock(), Heard()
    writer = Writer(db, (GAME,), FixedRules(rules), heard, clock)
    async with db.write() as tx:
        for day in range(90):  # as many as the longest course goes through
            sql = 'INSERT INTO day_secrets ("on", secret) VALUES (?, ?) ON CONFLICT DO NOTHING'
            await tx.execute(sql, (date(2026, 11, 1) + timedelta(days=day)).isoformat(), SECRET)
    writer.start()
    try:
        yield Bench(db, writer, heard, clock)
    finally:
        await writer.stop()
        await db.close()
