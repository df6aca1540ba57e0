"""Serves the engine as `saxaul serve` does, for a load test: on a real store, on none, or under a profiler.

Arguments: `stored` or `unstored`, then, for a profile, `sample` or `exact` and the file for the findings. Settings come
from the environment. With `unstored` the engine reads, decides and pushes as ever, but what it would write is dropped:
beside it one sees what storing costs.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from engine.main import serve, serving
from engine.settings import Settings
from engine.store.database import Database, Rows, Select, Step, sqlite_path
from engine.store.sqlite import SqliteDatabase
from loadtest.profilers import PROFILERS


class _Unstored:
    """A write transaction that reads rows and forgets those that a group would write."""

    def __init__(self, database: "UnstoredDatabase") -> None:
        self._database = database

    async def fetch(self, sql: str, *params: Any) -> Rows:
        async with self._database.snapshot() as view:
            return await view.fetch(sql, *params)

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        found: list[Rows] = [[] for _ in steps]
        reads = [place for place, step in enumerate(steps) if isinstance(step, Select)]
        if reads:
            async with SqliteDatabase.write(self._database) as reading:
                rows = await reading.run([steps[place] for place in reads])
            for place, some in zip(reads, rows, strict=True):
                found[place] = some
        return found

    async def execute(self, sql: str, *params: Any) -> None:
        async with SqliteDatabase.write(self._database) as stored:  # single statements are not the hot path's
            await stored.execute(sql, *params)

    async def now(self) -> int | None:
        return None

    async def journal_ids(self, count: int) -> Sequence[int]:
        return self._database.take_journal_ids(count)


class UnstoredDatabase(SqliteDatabase):
    """A SQLite file that is read and never written."""

    _journal_id = 1 << 40
    _id = 1 << 40

    def take_journal_ids(self, count: int) -> range:
        """Ids that nobody stores."""
        self._journal_id += count
        return range(self._journal_id - count, self._journal_id)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        yield _Unstored(self)

    async def save(self, steps: Sequence[Step], before_commit: Callable[[], None]) -> None:
        """What a group would write is dropped."""

    def journal_ids(self, count: int) -> Sequence[int]:
        return self.take_journal_ids(count)

    async def reserve_ids(self, count: int) -> range:
        self._id += count
        return range(self._id - count, self._id)


async def open_unstored(url: str, readers: int = 4) -> Database:
    """For `engine.main.serving`."""
    return UnstoredDatabase(sqlite_path(url), readers)


async def _serve_unstored(settings: Settings) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(settings, opening=open_unstored):
        await ended.wait()


def _profile(kind: str, target: Path) -> None:
    """The driver sends SIGUSR1 when its window begins and SIGUSR2 when it ends; then the findings are written."""
    profiler = PROFILERS[kind]()
    signal.signal(signal.SIGUSR1, lambda *_: profiler.start())
    signal.signal(signal.SIGUSR2, lambda *_: target.write_text(json.dumps(profiler.stop())))


def main() -> None:
    """Serve until SIGTERM."""
    if len(sys.argv) > 2:
        _profile(sys.argv[2], Path(sys.argv[3]))
    settings = Settings()  # pyright: ignore[reportCallIssue]
    uvloop.run(serve(settings) if sys.argv[1] == "stored" else _serve_unstored(settings))


if __name__ == "__main__":
    main()
