"""Joins each shelf to its table: which columns, which of them JSON. The one place that knows both sides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec
from sqlalchemy import Table
from sqlmodel import SQLModel

from engine.core.state import GAME_SHELVES, ShelfKind
from engine.store import campaign_tables, tables

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ShelfTable:
    """A shelf's table and how a row travels between the two."""

    kind: ShelfKind
    table: Table
    columns: tuple[str, ...]
    decoders: tuple[tuple[int, Callable[[str], Any]], ...]  # of the places that hold JSON
    key_of: Callable[[Any], Any]

    def row(self, values: tuple[Any, ...]) -> Any:
        """The dataclass of a database row."""
        if not self.decoders:
            return self.kind.row(*values)
        decoded = list(values)
        for place, decode in self.decoders:
            text = values[place]
            decoded[place] = [] if text == "[]" else decode(text)
        return self.kind.row(*decoded)

    def encoder(self, columns: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
        """A function from a row to the values of the named columns, ready for the database."""
        values_of = attrgetter(*columns)
        places = tuple(place for place, name in enumerate(columns) if self.table.c[name].info.get("json"))
        if not places:
            return values_of

        def encoded(row: Any) -> tuple[Any, ...]:
            values = list(values_of(row))
            for place in places:
                values[place] = _json_text(values[place])
            return tuple(values)

        return encoded


def _json_text(value: list[Any] | dict[str, Any]) -> str:
    return _encode(value).decode() if value else ("[]" if isinstance(value, list) else "{}")


def shelf_table(kind: ShelfKind, model: type[SQLModel]) -> ShelfTable:
    """Check that the row's fields are the table's columns, and join the two."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    columns = tuple(field.name for field in fields(kind.row))
    if set(columns) != set(table.c.keys()):
        raise TypeError(f"{kind.name}: row {columns} and table {tuple(table.c.keys())} differ")
    types = get_type_hints(kind.row)
    decoders = tuple(
        (place, msgspec.json.Decoder(types[name]).decode)
        for place, name in enumerate(columns)
        if table.c[name].info.get("json")
    )
    return ShelfTable(kind, table, columns, decoders, attrgetter(*kind.key))


_GAME_MODELS: Mapping[str, type[SQLModel]] = {
    "users": tables.Users,
    "stocks": tables.Stocks,
    "identities": tables.Identities,
    "references": tables.References,
    "balls": tables.Balls,
    "activities": tables.Activities,
    "revisions": tables.Revisions,
    "caps": tables.Caps,
    "occasions": tables.Occasions,
    "photos": tables.Photos,
    "shown_days": tables.ShownDays,
    "shown_reviews": tables.ShownReviews,
    "sources": tables.Sources,
    "links": tables.Links,
    "friends": tables.Friends,
    "commitments": tables.Commitments,
    "trees": tables.Trees,
    "campaigns": campaign_tables.Campaigns,
    "campaign_uses": campaign_tables.CampaignUses,
}

GAME_TABLES: Mapping[str, ShelfTable] = {
    kind.name: shelf_table(kind, _GAME_MODELS[kind.name]) for kind in GAME_SHELVES
}
