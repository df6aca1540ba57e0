"""Opens a database for commands that only read, beside an engine or alone; an empty one gets its tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.store.database import Database, DatabaseAway, sqlite_path
from engine.store.lock import WriterLock
from engine.store.opening import open_database
from engine.store.schema import migrate

MIGRATION_WAIT_S = 10.0
MIGRATION_STEP_S = 0.2


@asynccontextmanager
async def reading(url: str, readers: int = 1) -> AsyncIterator[Database]:
    """The database with its newest schema. Raises DatabaseAway."""
    if url.startswith("sqlite"):
        await _prepare_sqlite(url)
    else:
        await migrate(url)
    db = await _opened(url, readers)
    try:
        yield db
    finally:
        await db.close()


async def _prepare_sqlite(url: str) -> None:
    """Only the process that holds the lock migrates; where an engine serves the file, it has done so."""
    try:
        lock = WriterLock.take(sqlite_path(url))
    except OSError as problem:
        raise DatabaseAway(f"{sqlite_path(url)}: {problem.strerror or problem}") from problem
    if lock is None:
        return
    try:
        await migrate(url)
    finally:
        lock.release()


async def _opened(url: str, readers: int) -> Database:
    """Open it; an engine that has only just taken the lock may still be making the tables."""
    waited_s = 0.0
    while True:
        try:
            return await open_database(url, readers)
        except DatabaseAway as problem:
            if "no such table" not in str(problem) or waited_s >= MIGRATION_WAIT_S:
                raise
        await asyncio.sleep(MIGRATION_STEP_S)
        waited_s += MIGRATION_STEP_S
