"""Changes copies of prefilled databases before an engine opens them: single statements on either database."""

import asyncio
import sqlite3
import time

import asyncpg


def run(url: str, sql: str) -> None:
    """One statement, committed."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.partition("///")[2], isolation_level=None)
        try:
            connection.execute(sql)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        return

    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(execute())


def vacuum(url: str) -> None:
    """Forget removed rows where they would be met again (PostgreSQL)."""
    if not url.startswith("sqlite"):
        run(url, "VACUUM ANALYZE balls")


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000
