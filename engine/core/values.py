"""Dated, cited values: what an auditor asks of a number, which counts on a day, and which counts for an act.

This module knows nothing of files, formulas or behaviours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Any, Generic, TypeVar

T = TypeVar("T")

CONFIDENCES = ("documented", "derived", "assumed")
EVIDENCE, GRADE = "evidence", "grade"  # what a value may be picked by, beside choice attributes


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a number comes from.

    `date` is the publication's own date as it gives it: a year, a month or a day.
    """

    id: str
    title: str
    publisher: str
    date: str
    link: str | None
    document: str | None
    licence: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Value:
    """One number with all that an auditor asks: as written, its unit, since when, how sure, from where.

    `picked` says what chose it among others, such as (`grade`, `A`); None: it is the only one.
    """

    amount: Fraction
    text: str
    unit: str
    since: date
    confidence: str
    references: tuple[str, ...]
    because: str
    picked: tuple[str, str] | None = None

    def trace(self) -> dict[str, object]:
        """The value as a trace keeps it."""
        about: dict[str, object] = {
            "value": self.text,
            "unit": self.unit,
            "from": self.since.isoformat(),
            "confidence": self.confidence,
            "references": list(self.references),
        }
        if self.picked is not None:
            about["picked"] = list(self.picked)
        return about


@dataclass(frozen=True, slots=True)
class Dated(Generic[T]):
    """Items by the day from which each is in force, oldest first.

    An item counts until the next one begins.
    """

    days: tuple[date, ...]
    items: tuple[T, ...]

    def on(self, day: date) -> T | None:
        """The item in force on the day; None before the first."""
        found = bisect_right(self.days, day)
        return self.items[found - 1] if found else None


@dataclass(frozen=True, slots=True)
class Picked(Generic[T]):
    """One of several, chosen by what was sent: a choice attribute, the kind of evidence, or its grade."""

    by: str
    of: Mapping[str, T]


def chosen(part: Any, picks: Mapping[str, str]) -> Any:
    """A formula with each `Picked` in it replaced by the one that the picks choose."""
    if isinstance(part, Picked):
        return chosen(part.of[picks[part.by]], picks)
    if isinstance(part, tuple):
        return tuple(chosen(inner, picks) for inner in part)
    if isinstance(part, Value) or not is_dataclass(part) or isinstance(part, type):
        return part
    return replace(part, **{field.name: chosen(getattr(part, field.name), picks) for field in fields(part)})


def picked_by(part: Any) -> Iterator[str]:
    """The names by which something in a formula is picked."""
    if isinstance(part, Picked):
        yield part.by
        for inner in part.of.values():
            yield from picked_by(inner)
    elif isinstance(part, tuple):
        for inner in part:
            yield from picked_by(inner)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from picked_by(getattr(part, field.name))


def sole(value: Value | Picked[Value]) -> Value:
    """A value of a formula in which all is picked."""
    assert isinstance(value, Value), "something is still to be picked"
    return value
