"""What in a rulebook nobody has confirmed for a year: told as warnings, with the values that rest on it.

The day is an argument; nothing here asks for the time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from pydantic import BaseModel

from engine.rulefiles import models as m
from engine.rulefiles.checks import Finding, walk
from engine.rulefiles.published import PublishedFile

STALE_AFTER_D = 365


def stale(
    file: m.ReferencesFile | PublishedFile, models: Iterable[BaseModel], today: date
) -> Iterator[Finding]:
    """A finding for each reference that was last confirmed over a year before the day, never, or after it."""
    resting = _resting(models)
    for name, reference in file.references.items():
        confirmed_on = reference.confirmed_on or file.confirmed_on
        own = reference.confirmed_on is not None
        path = ("references", name, "confirmed_on") if own else ("references", name)
        found = _age(confirmed_on, today)
        if found:
            yield Finding(
                path,
                f"{name!r} {found}; {resting[name]:,} values rest on it",
                f"a day within the last {STALE_AFTER_D} days",
                "look the source up; if it still says so, set its confirmed_on, else add what it says now",
            )


def _age(confirmed_on: date | None, today: date) -> str:
    """What is wrong with a day of confirmation; empty when nothing is."""
    if confirmed_on is None:
        return "was never confirmed"
    days = (today - confirmed_on).days
    if days < 0:
        return f"was confirmed on {confirmed_on}, which is after {today}"
    return f"was last confirmed on {confirmed_on}, {days:,} days ago" if days > STALE_AFTER_D else ""


def _resting(models: Iterable[BaseModel]) -> Mapping[str, int]:
    """How many values cite each reference."""
    counts: Counter[str] = Counter()
    for file in models:
        for _, model in walk(file):
            if isinstance(model, m.Sourced):
                counts.update(set(model.references))
    return counts
