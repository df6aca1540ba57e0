"""Brings a database to the newest schema with Alembic, and gives a new one its epoch and first rows."""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from engine.store.database import DatabaseAway, sqlite_path
from engine.store.tables import ACCOUNT_KINDS, ASSETS

MIGRATION_LOCK = 0x5A78_6175_6C  # "Sxaul": one process migrates a PostgreSQL database at a time


def alembic_config() -> Config:
    """Alembic's configuration without a file; the scripts lie beside this module."""
    config = Config()
    config.set_main_option("script_location", str(files("engine.store") / "migrations"))
    return config


def newest_revision() -> str:
    """The revision that this code needs."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


async def migrate(url: str) -> str:
    """Create or upgrade the schema; returns the database's epoch. Raises DatabaseAway."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if url.startswith("sqlite"):
            return await asyncio.to_thread(_in_sqlite, sqlite_path(url), _upgrade)
        return await _in_postgres(url, _upgrade)
    except (OperationalError, OSError) as problem:
        raise DatabaseAway(str(problem)) from problem


async def renew_epoch(url: str) -> str:
    """Make the database a new incarnation, after a restore: every client loads anew. Raises DatabaseAway."""
    await migrate(url)
    try:
        if url.startswith("sqlite"):
            return await asyncio.to_thread(_in_sqlite, sqlite_path(url), _renew)
        return await _in_postgres(url, _renew)
    except (OperationalError, OSError) as problem:
        raise DatabaseAway(str(problem)) from problem


def _renew(connection: Connection) -> str:
    epoch = secrets.token_hex(8)
    connection.execute(text("UPDATE meta SET value = :epoch WHERE key = 'epoch'"), {"epoch": epoch})
    return epoch


def _make_private(path: str) -> None:
    """A new file is its owner's alone: names and the secrets of sources lie in it. Its -wal and -shm take its mode;
    the mode of a file that is there already is left to whoever set it.
    """
    with suppress(OSError):  # SQLite says better what is wrong with the path
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _in_sqlite(path: str, work: Callable[[Connection], str]) -> str:
    _make_private(path)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.commit()
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def _in_postgres(url: str, work: Callable[[Connection], str]) -> str:
    engine = create_async_engine("postgresql+asyncpg://" + url.split("://", 1)[1])
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> str:
    if MigrationContext.configure(connection).get_current_revision() != newest_revision():
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return _first_rows(connection)


def _first_rows(connection: Connection) -> str:
    """The epoch and the ledger's assets and account kinds, where they are missing."""
    insert = "INSERT INTO {} VALUES ({}) ON CONFLICT DO NOTHING"
    epoch = {"epoch": secrets.token_hex(8)}
    connection.execute(text(insert.format("meta", "'epoch', :epoch")), epoch)
    for asset, unit in ASSETS:
        connection.execute(text(insert.format("assets", ":id, :unit")), {"id": asset, "unit": unit})
    for kind, asset, balance, negative in ACCOUNT_KINDS:
        row = {"id": kind, "asset": asset, "balance": balance, "negative": negative}
        connection.execute(text(insert.format("account_kinds", ":id, :asset, :balance, :negative")), row)
    if connection.dialect.name == "sqlite":
        connection.execute(text(insert.format("counters", "'ids', 1")))
    return connection.execute(text("SELECT value FROM meta WHERE key = 'epoch'")).scalar_one()
