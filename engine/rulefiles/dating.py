"""Dated numbers of rule files: what they are on a day, and on which days something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.core.values import Dated, Picked, Value
from engine.rulefiles import models as m

T = TypeVar("T")


def value_of(day: date, written: m.DatedValue, unit: str) -> Value | None:
    """One dated value; None where the file ends it with null."""
    if written.value is None:
        return None
    exact = written.value
    references = tuple(written.references)
    return Value(exact.amount, exact.text, unit, day, written.confidence, references, written.because or "")


def dated(series: Mapping[date, m.DatedValue] | None, unit: str) -> Dated[Value | None]:
    """A series in order of its days."""
    days = tuple(sorted(series or {}))
    return Dated(days, tuple(value_of(day, (series or {})[day], unit) for day in days))


def on(series: Mapping[date, m.DatedValue] | None, unit: str, day: date) -> Value | None:
    """The value of a series in force on a day."""
    since = max((since for since in series or {} if since <= day), default=None)
    return None if series is None or since is None else value_of(since, series[since], unit)


def unit_of(key: str) -> str:
    """The unit that a key's ending names: `day_g` is in g."""
    ending = key.rsplit("_", 1)[-1]
    return (
        ending if ending in ("g", "h", "s", "d", "min", "minor") else "per cent" if ending == "pct" else "1"
    )


def sure(value: T | None) -> T:
    """A value that the checks have found to be there."""
    assert value is not None, "a required value is missing; the checks should have found it"
    return value


def one_of(series: Any, unit: str, day: date) -> Value | Picked[Value] | None:
    """A series on a day, or one of several for each choice; None where there is none on that day."""
    if isinstance(series, m.Picked):
        return picked(series, lambda inner: sure(on(inner, unit, day)))
    return on(series, unit, day)


def picked(several: Any, make: Callable[[Any], T]) -> Picked[T]:
    """One of several, each knowing what chose it."""
    return Picked(
        several.by,
        {name: replace(make(inner), picked=(several.by, name)) for name, inner in several.of.items()},  # type: ignore[type-var]
    )


def days_in(tree: object) -> Iterator[date]:
    """Every day from which something in a model comes into force."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            if isinstance(key, date):
                yield key
            yield from days_in(inner)
    elif isinstance(tree, BaseModel):
        for name in type(tree).model_fields:
            yield from days_in(getattr(tree, name))
    elif isinstance(tree, list):
        for inner in tree:
            yield from days_in(inner)
