"""Sums that don't fit into memory: a throw-away SQLite file that is deleted when the audit ends.

The audit adds up millions of rows with a few megabytes of memory. Knows no law.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CACHE_KIB = 32 * 1024

_TABLES = """
CREATE TABLE accounts (kind TEXT, ref, asset TEXT, credit INTEGER, debit INTEGER,
    PRIMARY KEY (kind, asset, ref)) WITHOUT ROWID;
CREATE TABLE balls (id INTEGER PRIMARY KEY, mints INTEGER, minted INTEGER, revised INTEGER, taken INTEGER,
    expired INTEGER, reversed INTEGER);
CREATE TABLE takes (ball INTEGER, user INTEGER, energy_g INTEGER, times INTEGER, key TEXT, at INTEGER,
    PRIMARY KEY (ball, user)) WITHOUT ROWID;
CREATE TABLE offsets (channel TEXT, ref INTEGER, last INTEGER, PRIMARY KEY (channel, ref)) WITHOUT ROWID;
CREATE TABLE avoided (user INTEGER PRIMARY KEY, mg INTEGER);
CREATE TABLE uses (user INTEGER, behaviour TEXT, period TEXT, energy_g INTEGER, count INTEGER, ids INTEGER,
    PRIMARY KEY (user, behaviour, period)) WITHOUT ROWID;
CREATE TABLE weighed (user INTEGER, month TEXT, count INTEGER, ids INTEGER,
    PRIMARY KEY (user, month)) WITHOUT ROWID;
"""


class Scratch:
    """The throw-away file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}", "temp_store=FILE"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_TABLES)

    def add(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an upsert for each row, in one transaction."""
        self._db.execute("BEGIN")
        self._db.executemany(sql, rows)
        self._db.execute("COMMIT")

    def rows(self, sql: str, *params: Any) -> sqlite3.Cursor:
        """The rows of a query, one by one."""
        return self._db.execute(sql, params)

    def one(self, sql: str, *params: Any) -> Any:
        """The first row of a query, or None."""
        return self._db.execute(sql, params).fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


@contextmanager
def open_scratch() -> Iterator[Scratch]:
    """A scratch file for the time of the block."""
    with TemporaryDirectory(prefix="saxaul-check-") as folder:
        scratch = Scratch(Path(folder) / "scratch.db")
        try:
            yield scratch
        finally:
            scratch.close()
