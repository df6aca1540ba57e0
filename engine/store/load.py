"""Reads what a group's commands touch onto the shelves: one query a table, rows that lock first and in key order.

What a command touches may depend on rows (a subject leads to a user), so it asks until nothing new is named.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.state import By, State, Touch
from engine.store.database import Reader, Rows, Select
from engine.store.mapping import ShelfTable

ROUNDS_MAX = 12

Touches = Callable[[Any, State], Iterable[Touch]]


@dataclass(slots=True)
class Ahead:
    """What commands touch, read before it is their turn.

    Counts only beside the working set that it was read for: whatever groups have changed since stands there.
    """

    wanted: Mapping[str, "_Wanted"]
    rows: Sequence[Rows]


class _Wanted:
    """Keys of one shelf that were named and are not loaded yet."""

    def __init__(self) -> None:
        self.keys: set[Any] = set()
        self.by: dict[str, set[int | str]] = {}

    def add(self, key: Any) -> None:
        if type(key) is By:
            self.by.setdefault(key.column, set()).add(key.value)
        else:
            self.keys.add(key)


async def load(
    tx: Reader,
    tables: Mapping[str, ShelfTable],
    state: State,
    commands: Sequence[Any],
    touches: Touches,
    is_shared: bool,
    is_direct: Callable[[Any], bool] = lambda command: False,
) -> None:
    """Fill the state. On a shared database, what was read before the last lock was taken is read again.

    Commands that are direct are asked once what they touch.
    """
    seen_before_lock: dict[str, _Wanted] = {}
    asked: Sequence[Any] = commands
    for _ in range(ROUNDS_MAX):
        wanted = _missing(state, asked, touches)
        if not wanted:
            return
        asked = [command for command in asked if not is_direct(command)]
        locking = sorted(
            (name for name in wanted if tables[name].kind.locks), key=lambda name: tables[name].kind.locks
        )
        plain = [name for name in wanted if not tables[name].kind.locks]
        for name in locking:
            await _fill(tx, tables, state, {name: wanted[name]}, lock=True)
        if locking and seen_before_lock and is_shared:
            await _fill(tx, tables, state, seen_before_lock, lock=False, anew=True)
        await _fill(tx, tables, state, {name: wanted[name] for name in plain}, lock=False)
        for name in plain:
            seen = seen_before_lock.setdefault(name, _Wanted())
            seen.keys |= wanted[name].keys
            for column, values in wanted[name].by.items():
                seen.by.setdefault(column, set()).update(values)
    raise RuntimeError(f"touches of {[type(command).__name__ for command in commands[:3]]} never settle")


async def read_ahead(
    reader: Reader,
    tables: Mapping[str, ShelfTable],
    state: State,
    commands: Sequence[Any],
    touches: Touches,
    others: Sequence[Select],
) -> tuple[Ahead, list[Rows]]:
    """The rows that direct commands will miss, for `place`, and those of `others`; the state is only looked at."""
    wanted = _missing(state, commands, touches)
    names, steps = _selects(tables, wanted, lock=False)
    found = await reader.run([*steps, *others])
    return Ahead({name: wanted[name] for name in names}, found[: len(steps)]), found[len(steps) :]


def place(tables: Mapping[str, ShelfTable], state: State, ahead: Ahead) -> None:
    """Put on the shelves what was read ahead, but for rows that have come there since and may have changed."""
    _fill_in(tables, state, ahead.wanted, list(ahead.wanted), ahead.rows, anew=False)


def _missing(state: State, commands: Sequence[Any], touches: Touches) -> dict[str, _Wanted]:
    wanted: dict[str, _Wanted] = {}
    shelves = state.shelves
    for command in commands:
        for name, key in touches(command, state):
            shelf = shelves[name]
            if key in (shelf.by if type(key) is By else shelf):
                continue
            if name not in wanted:
                wanted[name] = _Wanted()
            wanted[name].add(key)
    return wanted


async def _fill(
    tx: Reader,
    tables: Mapping[str, ShelfTable],
    state: State,
    wanted: Mapping[str, _Wanted],
    lock: bool,
    anew: bool = False,
) -> None:
    """Rows that are on a shelf already stay as they are, changed or not, unless they are to be read `anew`."""
    names, steps = _selects(tables, wanted, lock)
    _fill_in(tables, state, wanted, names, await tx.run(steps), anew)


def _selects(
    tables: Mapping[str, ShelfTable], wanted: Mapping[str, _Wanted], lock: bool
) -> tuple[list[str], list[Select]]:
    """A query for the keys of a shelf, and one for each column by which rows are wanted."""
    steps: list[Select] = []
    names: list[str] = []
    for name, some in wanted.items():
        about = tables[name]
        if some.keys:
            steps.append(Select(about.table, about.columns, about.kind.key, sorted(some.keys), lock))
            names.append(name)
        for column, values in some.by.items():
            steps.append(Select(about.table, about.columns, (column,), sorted(values), lock))
            names.append(name)
    return names, steps


def _fill_in(
    tables: Mapping[str, ShelfTable],
    state: State,
    wanted: Mapping[str, _Wanted],
    names: Sequence[str],
    found: Sequence[Rows],
    anew: bool,
) -> None:
    missing: dict[str, set[Any]] = {}
    for name, some in wanted.items():
        shelf = state.shelves[name]
        missing[name] = {key for key in some.keys if anew or key not in shelf}
        for key in missing[name]:
            shelf.loaded(key, None)
        shelf.by.update(By(column, value) for column, values in some.by.items() for value in values)
    for name, rows in zip(names, found, strict=True):
        _shelve(tables[name], state, rows, named=missing[name], anew=anew)


def _shelve(about: ShelfTable, state: State, rows: Rows, named: set[Any], anew: bool) -> None:
    shelf = state.shelves[about.kind.name]
    for values in rows:
        row = about.row(values)
        key = about.key_of(row)
        if anew or key in named or key not in shelf:
            shelf.loaded(key, row)
