"""What in a rulebook nobody has looked up for a year: told as warnings, with the values that rest on it.

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
    """A finding for each reference that nobody has looked at for over a year before the day, or only after it.

    Writing a figure down is a look too, if not always at the source itself.
    """
    resting = _resting(models)
    for name, reference in file.references.items():
        written_on, confirmed_on = _days(file, reference)
        own = reference.confirmed_on is not None
        path = ("references", name, "confirmed_on") if own else ("references", name)
        found = _age(written_on, confirmed_on, today)
        if found:
            yield Finding(
                path,
                f"{name!r} {found}; {resting[name]:,} values rest on it",
                f"a day within the last {STALE_AFTER_D} days",
                "look the source up; if it still says so, set its confirmed_on, else add what it says now",
            )


def confirmed(file: m.ReferencesFile | PublishedFile) -> int:
    """How many references somebody has looked up at the source itself, whenever that was."""
    return sum(_days(file, reference)[1] is not None for reference in file.references.values())


def _days(file: m.ReferencesFile | PublishedFile, reference: m.Reference) -> tuple[date | None, date | None]:
    """When it was written down, and when it was last confirmed."""
    return reference.written_on or file.written_on, reference.confirmed_on or file.confirmed_on


def _age(written_on: date | None, confirmed_on: date | None, today: date) -> str:
    """What is wrong with the days of a reference; empty when nothing is."""
    seen_on = max((day for day in (written_on, confirmed_on) if day is not None), default=None)
    if seen_on is None:
        return "was never confirmed"
    what = (
        "was last confirmed" if seen_on == confirmed_on else "was never confirmed since it was written down"
    )
    days = (today - seen_on).days
    if days < 0:
        done = "confirmed" if seen_on == confirmed_on else "written down"
        return f"was {done} on {seen_on}, which is after {today}"
    return f"{what} on {seen_on}, {days:,} days ago" if days > STALE_AFTER_D else ""


def _resting(models: Iterable[BaseModel]) -> Mapping[str, int]:
    """How many values cite each reference."""
    counts: Counter[str] = Counter()
    for file in models:
        for _, model in walk(file):
            if isinstance(model, m.Sourced):
                counts.update(set(model.references))
    return counts
