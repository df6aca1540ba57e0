"""SQLite: one writing connection in a thread of its own, a few reading ones, WAL and a sync at every commit.

Knows nothing of commands. A write transaction is BEGIN IMMEDIATE, so that it can't lose an update to another.
"""

import asyncio
import json
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, TypeVar

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
    quoted,
)

T = TypeVar("T")
_encode = msgspec.json.Encoder().encode
_rows_of = msgspec.json.Decoder(list[tuple]).decode
BUSY_TIMEOUT_MS = 5000
CACHE_KIB = 256 * 1024
MMAP_BYTES_MAX = 2 * 1024**3  # rows are read a third faster than through read calls; writes never go this way
CHECKPOINT_PAGES = 65_536  # 256 MiB of WAL: pages that change often are copied back once, not at every commit
AHEAD = 2  # the writer's own readers: for the group that is decided, and for the one after it
IN_LIST = "IN (SELECT value FROM json_each({}))"


def connect(path: str) -> sqlite3.Connection:
    """A connection with the settings that the engine relies on."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=FAST")  # an erased name is overwritten in its page
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA mmap_size={MMAP_BYTES_MAX}")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    return connection


def _as_lists(sql: str, params: Sequence[Any]) -> tuple[str, list[Any]]:
    adapted, lists = numbered(sql, IN_LIST)
    values = [
        json.dumps(list(value)) if is_list else value for value, is_list in zip(params, lists, strict=True)
    ]
    return adapted.replace("$", "?"), values


@lru_cache(maxsize=256)
def _select(table: Table, columns: tuple[str, ...], by: tuple[str, ...]) -> str:
    """All rows as one JSON text: fetched one by one, each would take Python's lock from the event loop."""
    rows = f"SELECT json_group_array(json_array({quoted(columns, 't.')}))"
    if len(by) == 1:
        return f'{rows} FROM {table.name} AS t WHERE t."{by[0]}" IN (SELECT value FROM json_each(?))'
    on = " AND ".join(f't."{name}" = j.value ->> {place}' for place, name in enumerate(by))
    return f"{rows} FROM json_each(?) AS j CROSS JOIN {table.name} AS t WHERE {on}"


@lru_cache(maxsize=256)
def _insert(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({quoted(columns)}) SELECT {_values(columns)} FROM json_each(?)"


@lru_cache(maxsize=256)
def _update(table: Table, columns: tuple[str, ...], by: tuple[str, ...]) -> str:
    names = (*columns, *by)
    new = f"SELECT {_values(names, named=True)} FROM json_each(?)"
    values = ", ".join(f'"{name}" = v."{name}"' for name in columns)
    on = " AND ".join(f't."{name}" = v."{name}"' for name in by)
    return f"UPDATE {table.name} AS t SET {values} FROM ({new}) AS v WHERE {on}"


@lru_cache(maxsize=256)
def _delete(table: Table, by: tuple[str, ...]) -> str:
    if len(by) == 1:
        return f'DELETE FROM {table.name} WHERE "{by[0]}" IN (SELECT value FROM json_each(?))'
    return f"DELETE FROM {table.name} WHERE ({quoted(by)}) IN (SELECT {_values(by)} FROM json_each(?))"


def _values(names: tuple[str, ...], named: bool = False) -> str:
    """The places of a row that travels as a JSON array."""
    return ", ".join(
        f"value ->> {place}" + (f' AS "{name}"' if named else "") for place, name in enumerate(names)
    )


def _read(connection: sqlite3.Connection, selects: Sequence[Select]) -> list[Rows]:
    """The rows of all selects by one statement, whose single row is taken with a single turn of Python's lock."""
    sql = ", ".join(f"({_select(one.table, one.columns, one.by)})" for one in selects)
    [found] = connection.execute(f"SELECT {sql}", [_text(one.keys) for one in selects]).fetchall()
    return [_rows_of(text) for text in found]


def _write(connection: sqlite3.Connection, step: Step) -> None:
    """One statement for all rows of a step: SQLite works through them without Python's lock, beside the event loop."""
    if isinstance(step, Insert):
        sql, rows = _insert(step.table, step.columns), step.rows
    elif isinstance(step, Update):
        sql, rows = _update(step.table, step.columns, step.by), step.rows
    else:
        assert not isinstance(step, Select)
        sql, rows = _delete(step.table, step.by), step.keys
    connection.execute(sql, (_text(rows),))


def _steps(connection: sqlite3.Connection, steps: Sequence[Step]) -> list[Rows]:
    """All steps in order; those that only read go together."""
    selects = [step for step in steps if isinstance(step, Select)]
    if steps and len(selects) == len(steps):
        return _read(connection, selects)
    found: list[Rows] = []
    for step in steps:
        if isinstance(step, Select):
            found += _read(connection, [step])
        else:
            _write(connection, step)
            found.append([])
    return found


def _text(value: object) -> str:
    return _encode(value).decode()


@contextmanager
def _reading(connection: sqlite3.Connection) -> Iterator[None]:
    """A read transaction while the block runs."""
    connection.execute("BEGIN")  # deferred: touches no file before the first read
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def _translated() -> Iterator[None]:
    """The driver's errors as the two that the writer knows."""
    try:
        yield
    except sqlite3.IntegrityError as problem:
        raise Conflict(str(problem)) from problem
    except sqlite3.OperationalError as problem:
        raise DatabaseAway(str(problem)) from problem


def _settle(saved: "asyncio.Future[None]", problem: BaseException | None) -> None:
    if saved.done():
        return
    if problem is None:
        saved.set_result(None)
    else:
        saved.set_exception(problem)


class _View:
    """Queries on one connection, each in its thread."""

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def do(self, work: Callable[[], T]) -> T:
        working = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            with _translated():
                return await asyncio.shield(working)
        except asyncio.CancelledError:  # the connection is not free before its thread has let go of it
            self._connection.interrupt()
            await asyncio.wait([working])
            raise

    async def fetch(self, sql: str, *params: Any) -> Rows:
        adapted, values = _as_lists(sql, params)
        return await self.do(lambda: self._connection.execute(adapted, values).fetchall())

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        return await self.do(lambda: _steps(self._connection, steps))


class _Transaction(_View):
    def __init__(
        self, connection: sqlite3.Connection, thread: ThreadPoolExecutor, journal: "_Counter"
    ) -> None:
        super().__init__(connection, thread)
        self._journal = journal

    async def execute(self, sql: str, *params: Any) -> None:
        await self.fetch(sql, *params)

    async def now(self) -> int | None:
        return None

    async def journal_ids(self, count: int) -> Sequence[int]:
        return self._journal.take(count)


class _Counter:
    """The last id of the journal; this process is the only writer."""

    def __init__(self, last: int) -> None:
        self.last = last

    def take(self, count: int) -> range:
        self.last += count
        return range(self.last - count + 1, self.last + 1)


_Save = tuple[Sequence[Step], Callable[[], None], "asyncio.Future[None]"]


class SqliteDatabase:
    """A SQLite file. Exactly one process may write it at a time: see `engine.store.lock`."""

    dialect = "sqlite"
    is_shared = False

    def __init__(self, path: str, readers: int) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._writer = connect(path)
        last = self._writer.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()[0]
        self._journal = _Counter(last)
        self._lock = asyncio.Lock()
        self._saves: deque[_Save] = deque()
        self._saving: asyncio.Task[None] | None = None
        self._has_failed = False
        self._read_thread = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._idle: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        self._ahead_thread = ThreadPoolExecutor(AHEAD, thread_name_prefix="sqlite-ahead")
        self._ahead: asyncio.Queue[sqlite3.Connection] = asyncio.Queue()
        self._all = [connect(path) for _ in range(AHEAD + readers)]
        for number, connection in enumerate(self._all):
            connection.execute("PRAGMA query_only=ON")
            (self._ahead if number < AHEAD else self._idle).put_nowait(connection)

    @classmethod
    async def open(cls, path: str, readers: int) -> "SqliteDatabase":
        try:
            return cls(path, readers)
        except sqlite3.OperationalError as problem:
            raise DatabaseAway(f"{path}: {problem}") from problem

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_View]:
        connection = await self._idle.get()
        try:
            with _reading(connection):
                yield _View(connection, self._read_thread)
        finally:
            self._idle.put_nowait(connection)

    @asynccontextmanager
    async def snapshot_ahead(self) -> AsyncIterator[_View]:
        connection = await self._ahead.get()
        try:
            with _reading(connection):
                yield _View(connection, self._ahead_thread)
        finally:
            self._ahead.put_nowait(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[_Transaction]:
        async with self._lock:
            transaction = _Transaction(self._writer, self._thread, self._journal)
            try:
                await transaction.fetch("BEGIN IMMEDIATE")
                yield transaction
                await transaction.fetch("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    await transaction.fetch("ROLLBACK")
                raise

    async def save(self, steps: Sequence[Step], before_commit: Callable[[], None]) -> None:
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._saves.append((steps, before_commit, saved))
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_waiting())
        with _translated():
            await saved

    async def _save_waiting(self) -> None:
        async with self._lock:
            while self._saves:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._save_all, loop)

    def _save_all(self, loop: asyncio.AbstractEventLoop) -> None:
        """What waits, in order, and what comes meanwhile: the thread never waits for the event loop to hand it over."""
        while self._saves:
            steps, before_commit, saved = self._saves.popleft()
            problem: BaseException | None = None
            try:
                if self._has_failed:
                    raise sqlite3.IntegrityError("the transaction before it failed")
                self._save(steps, before_commit)
            except BaseException as fault:
                self._has_failed, problem = True, fault
            loop.call_soon_threadsafe(_settle, saved, problem)

    def go_on(self) -> None:
        self._has_failed = False

    def _save(self, steps: Sequence[Step], before_commit: Callable[[], None]) -> None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for step in steps:
                _write(self._writer, step)
            before_commit()
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    def journal_ids(self, count: int) -> Sequence[int]:
        return self._journal.take(count)

    async def reserve_ids(self, count: int) -> range:
        async with self.write() as transaction:
            [(first,)] = await transaction.fetch("SELECT next FROM counters WHERE name = 'ids'")
            await transaction.execute("UPDATE counters SET next = ? WHERE name = 'ids'", first + count)
        return range(first, first + count)

    async def close(self) -> None:
        self._thread.shutdown()
        self._read_thread.shutdown()
        self._ahead_thread.shutdown()
        for connection in (self._writer, *self._all):
            connection.close()
