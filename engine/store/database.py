"""One face for both databases: bulk reads and writes of whole rows, a read snapshot, a write transaction.

SQL is written once with `?` placeholders; `IN ?` takes a list. The drivers (sqlite, postgres) adapt it.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import BigInteger, Boolean, Table

Rows = list[tuple[Any, ...]]


class DatabaseAway(Exception):
    """The database can't be reached or refuses to work; nothing was committed by this transaction."""


class Conflict(Exception):
    """Another transaction was in the way (deadlock, unique key): the group can be decided again."""


@dataclass(frozen=True, slots=True)
class Select:
    """All rows of `table` whose `by` columns equal one of `keys` (tuples where there are several columns)."""

    table: Table
    columns: tuple[str, ...]
    by: tuple[str, ...]
    keys: Sequence[Any]
    lock: bool = False


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows."""

    table: Table
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Update:
    """Rows found by `by` get new values; each tuple holds the values first and the key last."""

    table: Table
    columns: tuple[str, ...]
    by: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows found by `by` are removed."""

    table: Table
    by: tuple[str, ...]
    keys: Sequence[Any]


Step = Select | Insert | Update | Delete


class Reader(Protocol):
    """One consistent view of the database."""

    async def fetch(self, sql: str, *params: Any) -> Rows:
        """Rows of a query with `?` placeholders; `IN ?` takes a list of int or of str."""
        ...

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        """The steps in order, in one go; an empty list for those that return nothing. A view only selects."""
        ...


class Transaction(Reader, Protocol):
    """A write transaction; it commits when its block ends and rolls back when an exception leaves it."""

    async def execute(self, sql: str, *params: Any) -> None:
        """One statement with `?` placeholders."""
        ...

    async def now(self) -> int | None:
        """The database's own clock in ms, where it has one that all processes share; else None."""
        ...

    async def journal_ids(self, count: int) -> Sequence[int]:
        """That many ids for journal rows, in commit order as far as the database can tell."""
        ...


class Database(Protocol):
    """An open database."""

    dialect: str
    is_shared: bool  # several processes write: rows must be locked and may not be kept between groups

    def snapshot(self) -> AbstractAsyncContextManager[Reader]:
        """A consistent read view that never waits for the writer."""
        ...

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """The write transaction. Only `engine.writer` opens one while the engine serves."""
        ...

    async def reserve_ids(self, count: int) -> range:
        """A block of ids that nobody else gets; unused ones are lost."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class SoleDatabase(Database, Protocol):
    """A database that this process alone writes (not `is_shared`)."""

    def snapshot_ahead(self) -> AbstractAsyncContextManager[Reader]:
        """A snapshot for the writer, one at a time, that waits for no other reader."""
        ...

    async def save(self, steps: Sequence[Step], before_commit: Callable[[], None]) -> None:
        """All steps in one transaction of their own, after those that were given before.

        Where one fails, those behind it fail too, until `go_on`: they were decided on what is not to be.
        """
        ...

    def go_on(self) -> None:
        """Save again, after a failure that all who wait have heard of."""
        ...

    def journal_ids(self, count: int) -> Sequence[int]:
        """Ids for the next journal rows."""
        ...


def sqlite_path(url: str) -> str:
    """The file behind a `sqlite:///` url."""
    prefix, _, path = url.partition("///")
    if prefix != "sqlite:" or not path or path == ":memory:":
        raise ValueError(f"database url {url!r}: expected sqlite:///path/to/file.db")
    return path


@lru_cache(maxsize=512)
def numbered(sql: str, in_list: str) -> tuple[str, tuple[bool, ...]]:
    """The SQL with `?` as $1, $2 … and `IN ?` by `in_list`; and which parameters are lists."""
    lists: list[bool] = []

    def place(found: re.Match[str]) -> str:
        lists.append(found.group(1) is not None)
        number = f"${len(lists)}"
        return in_list.format(number) if lists[-1] else number

    return re.sub(r"(\bIN\s+)?\?", place, sql, flags=re.IGNORECASE), tuple(lists)


def pg_type(table: Table, column: str) -> str:
    """The PostgreSQL type of a column, for arrays of its values."""
    kind = table.c[column].type
    if isinstance(kind, BigInteger):
        return "bigint"
    return "boolean" if isinstance(kind, Boolean) else "text"


def quoted(names: Sequence[str], prefix: str = "") -> str:
    """Column names, quoted, because `on` and `at` are words of SQL."""
    return ", ".join(f'{prefix}"{name}"' for name in names)
