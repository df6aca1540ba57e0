"""PostgreSQL through asyncpg: arrays in, arrays out, rows locked in key order. Any number of processes.

Knows nothing of commands. `synchronous_commit` is left as the server has it: on, unless an operator decides otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Table

from engine.store.database import (
    Conflict,
    DatabaseAway,
    Insert,
    Rows,
    Select,
    Step,
    Update,
    numbered,
    pg_type,
    quoted,
)

_rows_of = msgspec.json.Decoder(list[tuple]).decode
COMMAND_TIMEOUT_S = 60
WRITERS = 4  # connections of the writer's own: three groups at once, and a block of ids
AWAY = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a session cut by the server may surface as
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # after a failover, until the address leads to the new primary
    asyncpg.InsufficientResourcesError,
)
IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.IntegrityConstraintViolationError,
)


def _arrays(table: Table, columns: Sequence[str], first: int = 1) -> str:
    return ", ".join(f"${place}::{pg_type(table, name)}[]" for place, name in enumerate(columns, start=first))


@lru_cache(maxsize=256)
def _select(table: Table, columns: tuple[str, ...], by: tuple[str, ...], lock: bool) -> str:
    if len(by) == 1:
        sql = f'SELECT {quoted(columns)} FROM {table.name} WHERE "{by[0]}" = ANY({_arrays(table, by)})'
        return sql + (f' ORDER BY "{by[0]}" FOR NO KEY UPDATE' if lock else "")
    on = " AND ".join(f't."{name}" = k."{name}"' for name in by)
    keys = f"unnest({_arrays(table, by)}) AS k({quoted(by)})"
    sql = f"SELECT {quoted(columns, 't.')} FROM {keys} JOIN {table.name} AS t ON {on}"
    return sql + (f" ORDER BY {quoted(by, 't.')} FOR NO KEY UPDATE OF t" if lock else "")


@lru_cache(maxsize=256)
def _insert(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({quoted(columns)}) SELECT * FROM unnest({_arrays(table, columns)})"


@lru_cache(maxsize=256)
def _update(table: Table, columns: tuple[str, ...], by: tuple[str, ...]) -> str:
    names = (*columns, *by)
    values = ", ".join(f'"{name}" = v."{name}"' for name in columns)
    on = " AND ".join(f't."{name}" = v."{name}"' for name in by)
    return (
        f"UPDATE {table.name} AS t SET {values} "
        f"FROM unnest({_arrays(table, names)}) AS v({quoted(names)}) WHERE {on}"
    )


@lru_cache(maxsize=256)
def _delete(table: Table, by: tuple[str, ...]) -> str:
    on = " AND ".join(f't."{name}" = k."{name}"' for name in by)
    return f"DELETE FROM {table.name} AS t USING unnest({_arrays(table, by)}) AS k({quoted(by)}) WHERE {on}"


def _columns(rows: Sequence[Any], width: int) -> list[list[Any]]:
    if width == 1 and rows and not isinstance(rows[0], tuple):
        return [list(rows)]
    return [list(column) for column in zip(*rows, strict=True)]


class _View:
    """Queries on one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *params: Any) -> Rows:
        adapted, _ = numbered(sql, "= ANY({})")
        return [tuple(row) for row in await self._connection.fetch(adapted, *params)]

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        return [await self._step(step) for step in steps]

    async def _step(self, step: Step) -> Rows:
        if isinstance(step, Select):
            sql = _select(step.table, step.columns, step.by, step.lock)
            arrays = _columns(step.keys, len(step.by))
            return [tuple(row) for row in await self._connection.fetch(sql, *arrays)]
        if isinstance(step, Insert):
            sql, width, rows = _insert(step.table, step.columns), len(step.columns), step.rows
        elif isinstance(step, Update):
            sql, rows = _update(step.table, step.columns, step.by), step.rows
            width = len(step.columns) + len(step.by)
        else:
            sql, width, rows = _delete(step.table, step.by), len(step.by), step.keys
        await self._connection.execute(sql, *_columns(rows, width))
        return []


class _Snapshot(_View):
    """A view that reads several tables in one round trip: each statement of its own would wait for the network."""

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        selects = [step for step in steps if isinstance(step, Select) and not step.lock]
        if len(steps) < 2 or len(selects) < len(steps):
            return await super().run(steps)
        parts: list[str] = []
        arrays: list[list[Any]] = []
        for step in selects:
            parts.append(_as_json(step.table, step.columns, step.by, len(arrays) + 1))
            arrays += _columns(step.keys, len(step.by))
        row = await self._connection.fetchrow(f"SELECT {', '.join(parts)}", *arrays)
        return [_rows_of(text) for text in row]


@lru_cache(maxsize=256)
def _as_json(table: Table, columns: tuple[str, ...], by: tuple[str, ...], first: int) -> str:
    """All rows as one JSON text, as SQLite gives them too; a column holds whole numbers, text or truth values."""
    on = " AND ".join(f't."{name}" = k."{name}"' for name in by)
    keys = f"unnest({_arrays(table, by, first)}) AS k({quoted(by)})"
    rows = f"coalesce(json_agg(json_build_array({quoted(columns, 't.')})), '[]')::text"
    return f"(SELECT {rows} FROM {keys} JOIN {table.name} AS t ON {on})"


class _Transaction(_View):
    async def execute(self, sql: str, *params: Any) -> None:
        await self._connection.execute(numbered(sql, "= ANY({})")[0], *params)

    async def now(self) -> int | None:
        sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        return await self._connection.fetchval(sql)

    async def journal_ids(self, count: int) -> Sequence[int]:
        rows = await self._connection.fetch(
            "SELECT nextval('journal_ids') FROM generate_series(1, $1)", count
        )
        return [row[0] for row in rows]


class PostgresDatabase:
    """A pool of connections to one PostgreSQL database."""

    dialect = "postgresql"
    is_shared = True

    def __init__(self, pool: Any, readers: int) -> None:
        self._pool = pool
        self._readers = asyncio.Semaphore(readers)  # the rest of the pool is the writer's

    @classmethod
    async def open(cls, url: str, readers: int) -> "PostgresDatabase":
        with _translated():
            pool = await asyncpg.create_pool(
                plain_url(url),
                min_size=1,
                max_size=readers + WRITERS,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={"application_name": "saxaul", "jit": "off"},
                reset=_reset,
            )
        return cls(pool, readers)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_View]:
        with _translated():
            async with (
                self._readers,
                self._pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                yield _Snapshot(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[_Transaction]:
        with _translated():
            async with self._pool.acquire() as connection, connection.transaction():
                yield _Transaction(connection)

    async def reserve_ids(self, count: int) -> range:
        sql = "SELECT setval('ids', nextval('ids') + $1 - 1)"
        with _translated():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('saxaul.ids'))")
                last = await connection.fetchval(sql, count)
        return range(last - count + 1, last + 1)

    async def close(self) -> None:
        await self._pool.close()


async def _reset(connection: Any) -> None:
    """Nothing here outlives its transaction (no listener, cursor, session lock or setting), so there is nothing to
    reset; the driver's four statements at every return cost more than the query of a page."""
    if connection.is_in_transaction():  # whoever used it was cut off
        await connection.reset()


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's many errors as the two that the writer knows."""
    try:
        yield
    except IN_THE_WAY as problem:
        raise Conflict(str(problem)) from problem
    except AWAY as problem:
        raise DatabaseAway(str(problem) or type(problem).__name__) from problem


def plain_url(url: str) -> str:
    """The url as asyncpg wants it, without SQLAlchemy's driver suffix."""
    return "postgresql://" + url.split("://", 1)[1]
