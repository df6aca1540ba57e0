"""Opens the database that a url names; the one place that knows both drivers."""

from engine.store.database import Database, sqlite_path
from engine.store.postgres import PostgresDatabase
from engine.store.sqlite import SqliteDatabase


async def open_database(url: str, readers: int = 4) -> Database:
    """Open `sqlite:///path` or `postgresql://…`; the schema must be there (see `engine.store.schema`)."""
    if url.startswith("sqlite"):
        return await SqliteDatabase.open(sqlite_path(url), readers)
    if url.startswith("postgres"):
        return await PostgresDatabase.open(url, readers)
    raise ValueError(f"database url {url!r}: expected sqlite:///path or postgresql://user:password@host/name")
