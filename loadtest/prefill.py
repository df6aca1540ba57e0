"""Makes the prefilled databases once, keeps them in a cache folder, and hands out copies to be spoilt.

The schema is the engine's own; rows go in without sync and without secondary indexes, which are built afterwards.
"""

import asyncio
import hashlib
import inspect
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

from engine.store import tables
from loadtest import population as population_module
from loadtest import rows as rows_module
from loadtest.population import Population
from loadtest.postgres import Postgres
from loadtest.rows import Load, last_id, loads

Tick = Callable[[str, int, int], None]  # table, rows so far, rows in all
CHUNK_ROWS = 20_000


def fingerprint(population: Population) -> str:
    """Changes with the schema, with what is filled in, and with the size."""
    parts = [repr(population), inspect.getsource(population_module), inspect.getsource(rows_module)]
    for table in tables.SQLModel.metadata.sorted_tables:
        parts.append(str(CreateTable(table)))
        parts += sorted(str(CreateIndex(index)) for index in table.indexes)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


# --- SQLite ---------------------------------------------------------------------------------------


def sqlite_copy(folder: Path, population: Population, target: Path, tick: Tick) -> None:
    """A fresh copy of the prefilled file at `target`, made first if the cache has none."""
    made = folder / f"prefilled-{population.users}-{fingerprint(population)}.db"
    if not made.exists():
        for stale in folder.glob(f"prefilled-{population.users}-*"):
            stale.unlink()
        _make_sqlite(made, population, tick)
    for leftover in (target, Path(f"{target}-wal"), Path(f"{target}-shm")):
        leftover.unlink(missing_ok=True)
    shutil.copyfile(made, target)


def _make_sqlite(made: Path, population: Population, tick: Tick) -> None:
    unfinished = made.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    create_schema(f"sqlite:///{unfinished}")
    connection = sqlite3.connect(unfinished, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-262144"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    for load in loads(population, _now_ms()):
        columns = ", ".join(f'"{column}"' for column in load.columns)
        sql = f"INSERT INTO {load.table} ({columns}) VALUES ({', '.join('?' * len(load.columns))})"
        for chunk in _chunks(load, tick):
            connection.executemany(sql, chunk)
    for place, (_, sql) in enumerate(indexes):
        tick("indexes", place, len(indexes))
        connection.execute(sql)
    connection.execute("UPDATE counters SET next = ? WHERE name = 'ids'", (last_id(population) + 1,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA locking_mode=NORMAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    unfinished.rename(made)


# --- PostgreSQL -----------------------------------------------------------------------------------


def postgres_copy(server: Postgres, population: Population, target: str, tick: Tick) -> str:
    """The url of a fresh copy of the prefilled database, made first if the cluster has none."""
    made = f"prefilled_{population.users}_{fingerprint(population)}"
    present = server.databases()
    if made not in present:
        for stale in present:
            if stale.startswith(f"prefilled_{population.users}_"):
                server.drop(stale)
        _make_postgres(server, made, population, tick)
    server.copy(made, target)
    return server.url(target)


def _make_postgres(server: Postgres, made: str, population: Population, tick: Tick) -> None:
    unfinished = f"part_{made}"
    server.drop(unfinished)
    server.execute(f'CREATE DATABASE "{unfinished}"')
    create_schema(server.url(unfinished))
    asyncio.run(_fill_postgres(server.url(unfinished), population, tick))
    server.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{made}"')


async def _fill_postgres(url: str, population: Population, tick: Tick) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET maintenance_work_mem = '256MB'")
        indexes = await connection.fetch(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT IN"
            " (SELECT conname FROM pg_constraint)"
        )
        for name, _ in indexes:
            await connection.execute(f'DROP INDEX "{name}"')
        for load in loads(population, _now_ms()):
            for chunk in _chunks(load, tick):
                await connection.copy_records_to_table(load.table, records=chunk, columns=load.columns)
        for place, (_, sql) in enumerate(indexes):
            tick("indexes", place, len(indexes))
            await connection.execute(sql)
        await connection.execute("SELECT setval('ids', $1)", last_id(population))
        await connection.execute("SELECT setval('journal_ids', (SELECT max(id) FROM journal))")
        await connection.execute("VACUUM (ANALYZE, FREEZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


# --- both -----------------------------------------------------------------------------------------


def create_schema(url: str) -> None:
    """The engine's own schema in an empty database."""
    from engine.store import schema

    asyncio.run(schema.migrate(url))


def _chunks(load: Load, tick: Tick) -> Iterator[list[tuple[Any, ...]]]:
    done = 0
    while chunk := list(islice(load.rows, CHUNK_ROWS)):
        yield chunk
        done += len(chunk)
        tick(load.table, done, load.count)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
