"""Writes what a group changed: one statement a table and kind of change, rows sorted by key, the journal last."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.state import Shelf, State
from engine.store.database import Delete, Insert, Step, Update
from engine.store.mapping import ShelfTable
from engine.store.tables import Journal

JOURNAL = Journal.__table__  # type: ignore[attr-defined]
JOURNAL_COLUMNS = ("id", "at", "kind", "actor", "key", "content", "transfers", "reply", "pubs")
_KEY_PLACE = JOURNAL_COLUMNS.index("key")


def steps(tables: Mapping[str, ShelfTable], state: State, journal: Sequence[tuple[Any, ...]]) -> list[Step]:
    """All statements that bring the database to the state."""
    found: list[Step] = []
    for name, shelf in state.shelves.items():
        found += _shelf_steps(tables[name], shelf)
    if journal:
        in_key_order = sorted(journal, key=lambda row: row[_KEY_PLACE] or "")
        found.append(Insert(JOURNAL, JOURNAL_COLUMNS, in_key_order))
    return found


def _shelf_steps(about: ShelfTable, shelf: Shelf[Any, Any]) -> list[Step]:
    found: list[Step] = []
    key = about.kind.key
    if shelf.removed:
        found.append(Delete(about.table, key, sorted(shelf.removed)))
    gone = shelf.added | shelf.removed
    others = tuple(name for name in about.columns if name not in key)
    rewritten = shelf.rewritten - gone
    hot = shelf.changed - rewritten - gone
    for keys, columns in ((rewritten, others), (hot, about.kind.hot or others)):
        if keys:
            encode = about.encoder((*columns, *key))
            rows = [encode(shelf[one]) for one in sorted(keys)]
            found.append(Update(about.table, columns, key, rows))
    if shelf.added:  # last: what a changed row gives up, a new one may take (a tree's one active claim)
        encode = about.encoder(about.columns)
        rows = [encode(shelf[one]) for one in sorted(shelf.added)]
        found.append(Insert(about.table, about.columns, rows))
    return found
