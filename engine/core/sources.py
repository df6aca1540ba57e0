"""How the feeds of sources fare: counts of what they reported by day, and how far a pull has come.

None of this is a fact of the game: it is not journaled, no outcome depends on it, and a lost count costs a statistic.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.game import Rule
from engine.core.state import Shelf, ShelfKind, State, Touch

SUBJECT_BITS = 2048  # of the sketch that unlinked subjects are estimated from; holds about 8,000


@dataclass(slots=True)
class SourceDay:
    """What came of a source's reports that arrived on a day (UTC).

    rejected: by code. unlinked: a sketch of subjects without a link, as hexadecimal bits; no subject can be read from
    it. lag_ms: sum over `lagged` acts of arrival less act. last_at: the last arrival.
    """

    source: str
    on: str
    accepted: int = 0
    duplicate: int = 0
    reversed: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    unlinked: str = "0"
    lagged: int = 0
    lag_ms: int = 0
    last_at: int = 0


@dataclass(slots=True)
class Pull:
    """How far a source has been pulled. `version` grows with every move, so that two pullers never both move it.

    failures: tries in a row that came to nothing; problem: why, empty when the last try did well; next_at: not before.
    """

    source: str
    cursor: str = ""
    version: int = 0
    failures: int = 0
    problem: str = ""
    next_at: int = 0
    done_at: int = 0
    records: int = 0


SOURCE_DAYS = ShelfKind("source_days", SourceDay, ("source", "on"), locks=10)
PULLS = ShelfKind("pulls", Pull, ("source",), locks=11)


class FeedState(State):
    """The shelves by name, for the type checker."""

    source_days: Shelf[tuple[str, str], SourceDay]
    pulls: Shelf[str, Pull]


# --- commands and events ----------------------------------------------------------------------------


@dataclass(slots=True)
class CountReports:
    """Add these counts to what is kept."""

    days: list[SourceDay]


@dataclass(slots=True)
class MovePull:
    """The pull as it is after a try; refused (`lease_lost`) unless its version follows the one that is kept."""

    pull: Pull


@dataclass(slots=True)
class ReportsCounted:
    """The row as it is now."""

    day: SourceDay


@dataclass(slots=True)
class PullMoved:
    """The row as it is now."""

    pull: Pull


# --- decide and evolve ------------------------------------------------------------------------------


def _day_touches(command: CountReports, state: FeedState) -> Iterator[Touch]:
    for day in command.days:
        yield Touch("source_days", (day.source, day.on))


def _count(state: FeedState, command: CountReports, context: Context) -> Decision:
    """Several counts of one day in one command are added up first: events are decided on the state before them."""
    merged: dict[tuple[str, str], SourceDay] = {}
    for day in command.days:
        key = (day.source, day.on)
        known = merged.get(key) or state.source_days.get(key)
        merged[key] = together(known, day) if known is not None else day
    return Decision([ReportsCounted(day) for day in merged.values()], {"days": len(merged)})


def together(one: SourceDay, other: SourceDay) -> SourceDay:
    """Both counts as one; in any order and grouping the same."""
    codes = {*one.rejected, *other.rejected}
    return SourceDay(
        one.source,
        one.on,
        one.accepted + other.accepted,
        one.duplicate + other.duplicate,
        one.reversed + other.reversed,
        {code: one.rejected.get(code, 0) + other.rejected.get(code, 0) for code in sorted(codes)},
        format(int(one.unlinked, 16) | int(other.unlinked, 16), "x"),
        one.lagged + other.lagged,
        one.lag_ms + other.lag_ms,
        max(one.last_at, other.last_at),
    )


def _pull_touches(command: MovePull, state: FeedState) -> Iterator[Touch]:
    yield Touch("pulls", command.pull.source)


def _move(state: FeedState, command: MovePull, context: Context) -> Decision:
    held = state.pulls.get(command.pull.source)
    if command.pull.version != (held.version if held else 0) + 1:
        raise Rejected("lease_lost", job=f"pull:{command.pull.source}")
    return Decision([PullMoved(command.pull)], {"version": command.pull.version})


def _counted(state: FeedState, event: ReportsCounted) -> None:
    _kept(state.source_days, (event.day.source, event.day.on), event.day)


def _moved(state: FeedState, event: PullMoved) -> None:
    _kept(state.pulls, event.pull.source, event.pull)


def _kept(shelf: Shelf[Any, Any], key: Any, row: Any) -> None:
    if shelf.get(key) is None:
        shelf.add(key, row)
    else:
        shelf.put(key, row)


RULES: Mapping[type, Rule] = {
    CountReports: Rule(_day_touches, _count, is_journaled=False, is_direct=True),
    MovePull: Rule(_pull_touches, _move, is_journaled=False, is_direct=True),
}
EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {ReportsCounted: _counted, PullMoved: _moved}
