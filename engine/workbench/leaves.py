"""What a part of a rulebook says on a day, as a flat table of values: the ground on which two rulebooks are compared.

Knows no field by name: what a rulebook gains later is compared like the rest. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.rules import RuleBook
from engine.core.values import Dated, Value

SKIPPED = {"since", "id"}  # when a stretch began follows from the values; the id is the name of the thing
NOT_COMPARED = {"hash", "memo", "regions"}
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: as written, in which unit, and (for numbers of rules) how sure and from where."""

    text: str
    unit: str = ""
    number: Fraction | None = None
    confidence: str = ""
    references: tuple[str, ...] = ()

    def same_value(self, other: Leaf | None) -> bool:
        """Whether both say the same, whatever their sources."""
        if other is None or self.unit != other.unit:
            return False
        if self.number is not None and other.number is not None:
            return self.number == other.number
        return self.text == other.text

    def shown(self) -> str:
        """The value with its unit."""
        return self.text if self.unit in ("", "1") else f"{self.text} {self.unit}"


def things(book: RuleBook) -> Iterator[tuple[str, str, Any]]:
    """(kind, id, thing) of everything that a rulebook holds; kinds are in the singular."""
    for one in fields(book):
        if one.name in NOT_COMPARED:
            continue
        held = getattr(book, one.name)
        if isinstance(held, Mapping):
            kind = one.name if one.name == "species" else one.name.removesuffix("s")
            yield from ((kind, name, thing) for name, thing in held.items())
        else:
            yield one.name, one.name, held


def days_of(thing: Any) -> set[date]:
    """Every day from which something about a thing changes."""
    if isinstance(thing, Value):
        return {thing.since}
    if isinstance(thing, Dated):
        inner = {day for item in thing.items for day in days_of(item)}
        return inner | set(thing.days)
    if is_dataclass(thing) and not isinstance(thing, type):
        return {day for one in fields(thing) for day in days_of(getattr(thing, one.name))}
    if isinstance(thing, Mapping):
        return {day for inner in thing.values() for day in days_of(inner)}
    if isinstance(thing, tuple | list):
        return {day for inner in thing for day in days_of(inner)}
    return set()


def leaves(thing: Any, on: date, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """All values of a thing that count on a day, by where they stand."""
    if thing is None or not _counts(thing, on):
        return
    if isinstance(thing, Value):
        yield path, Leaf(thing.text, thing.unit, thing.amount, thing.confidence, thing.references)
    elif isinstance(thing, Dated):
        yield from leaves(thing.on(on), on, path[:-1] if path[-1:] == ("history",) else path)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for one in fields(thing):
            if one.name not in SKIPPED:
                yield from leaves(getattr(thing, one.name), on, (*path, one.name))
    elif isinstance(thing, Mapping):
        for key, inner in thing.items():
            yield from leaves(inner, on, (*path, str(key)))
    elif isinstance(thing, tuple | list | frozenset):
        for key, inner in _named(sorted(thing) if isinstance(thing, frozenset) else thing, on).items():
            yield from leaves(inner, on, (*path, key))
    else:
        yield path, _leaf(thing)


def _counts(thing: Any, on: date) -> bool:
    """Whether a value, or a row that is dated by its value, counts already on the day."""
    value = thing if isinstance(thing, Value) else getattr(thing, "value", None)
    return not isinstance(value, Value) or value.since <= on


def _named(rows: Sequence[Any], on: date) -> dict[str, Any]:
    """Rows by what tells them apart: an id, or the year that they describe (the newest counts), else their place."""
    found: dict[str, Any] = {}
    for place, row in enumerate(rows):
        name = getattr(row, "id", None) or getattr(row, "year", None)
        if name is None:
            found[str(place)] = row
        elif _counts(row, on) and not (str(name) in found and _since(found[str(name)]) > _since(row)):
            found[str(name)] = row
    return found


def _since(row: Any) -> date:
    value = getattr(row, "value", None)
    return value.since if isinstance(value, Value) else date.min


def _leaf(thing: object) -> Leaf:
    if isinstance(thing, bool) or not isinstance(thing, int | Fraction | Decimal):
        return Leaf(str(thing))
    return Leaf(str(thing), "", Fraction(thing))


def stretches(days: set[date]) -> list[tuple[date, date | None]]:
    """Days in order, each with the day before which the next stretch begins (None: no end)."""
    ordered = sorted(days)
    return list(zip(ordered, [*ordered[1:], None], strict=True))


def day_before(day: date) -> date:
    """The last day of the stretch that ends before `day`."""
    return day - timedelta(days=1)
