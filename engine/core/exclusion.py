"""Which of several acts count, where only one of them can be real: pure comparison, and nothing of rows or grams.

Acts of one family of one user exclude each other where their times overlap (or by day or month, as the rule file says).
The better evidence grade counts; at equal grade the greater running total, else the first accepted. What counts
follows from the set of acts alone, whatever order they came in.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from engine.core.units import HOUR_MS, SECOND_MS, instant

# Bounds of what is loaded for one act, not numbers of the game: rule files stay below the first (their check says so),
# and of an act that lasts longer than the second only its beginning is compared.
WINDOW_S_MAX = 3600
SPAN_MS_MAX = 10 * HOUR_MS

NOTHING, OVERLAP, ACROSS_SOURCES, DAY, MONTH = "nothing", "overlap", "across-sources", "day", "month"
EXCLUDES = (NOTHING, OVERLAP, ACROSS_SOURCES, DAY, MONTH)

_ENDS = "ended_at"
_LASTS = {"duration_s": SECOND_MS, "duration_min": 60 * SECOND_MS}


class Entry(NamedTuple):
    """One act as it is compared. `begins` = `ends` = 0: it has only a day. `counts`: it is not excluded.

    `worth_g` and `avoided_mg` are what it is worth before caps, were it alone; `ripens_at` is by its rule.
    """

    id: int
    source: str
    activity: str
    behaviour: str
    family: str
    scope: str
    on: str
    begins: int
    ends: int
    grade: str
    worth_g: int
    avoided_mg: int
    ripens_at: int
    accepted_at: int
    is_late: bool
    counts: bool

    @property
    def period(self) -> str:
        """The row that holds it: its local day, or its month where months are compared."""
        return self.on[:7] if self.scope == MONTH else self.on


def family_of(acts: Iterable[Entry], one: Entry) -> list[Entry]:
    """The others of the acts that are of its family."""
    family, act = one.family, one.id
    return [other for other in acts if other.family == family and other.id != act]


def may_cross_days(one: Entry) -> bool:
    """Whether it may conflict with acts in the rows of other days: what has only a day may not."""
    return one.ends != 0


def conflict(one: Entry, other: Entry) -> bool:
    """Whether only one of the two may count."""
    if one.family != other.family or one.id == other.id:
        return False
    scopes = (one.scope, other.scope)
    if DAY in scopes and (one.behaviour != other.behaviour or not one.ends or not other.ends):
        return one.on == other.on
    if MONTH in scopes and one.behaviour != other.behaviour:
        return one.on[:7] == other.on[:7]
    if one.source == other.source and (ACROSS_SOURCES in scopes or not one.ends or not other.ends):
        return False  # the source's own ids tell the two apart
    if not one.ends or not other.ends:
        return one.on == other.on
    return one.begins < other.ends and other.begins < one.ends


def rank(one: Entry) -> tuple[str, int, int, int, int]:
    """The lower, the better. Instants and ids are of the first acceptance, so a later revision keeps its place."""
    is_total = one.scope == DAY and not one.ends
    greatest = (-one.avoided_mg, -one.worth_g) if is_total else (0, 0)
    return (one.grade, *greatest, one.accepted_at, one.id)


class Settled(NamedTuple):
    """Which acts count, by id; for those that do not, the act that stands in their way."""

    counting: frozenset[int]
    excluded_by: Mapping[int, Entry]


NONE_SETTLED = Settled(frozenset(), {})


def settle(own: Sequence[Entry], others: Sequence[Entry], changed: int) -> Settled:
    """Who counts, after one act (`changed`) came, changed or went.

    `own`: all acts of its row, `others`: those of the rows around it, whose own surroundings are not in sight: of
    them only one that conflicts with the changed act can lose, and none can win.
    """
    chosen: list[Entry] = []
    excluded_by: dict[int, Entry] = {}
    standing = {one.id: one for one in others if one.counts}
    for one in sorted(own, key=rank):
        around = [other for other in standing.values() if conflict(other, one)]
        stronger = [other for other in around if one.id != changed or rank(other) < rank(one)]
        before = next((other for other in chosen if conflict(other, one)), None)
        if before is None and stronger:
            before = min(stronger, key=rank)
        if before is not None:
            excluded_by[one.id] = before
            continue
        chosen.append(one)
        for other in around:
            del standing[other.id]
            excluded_by[other.id] = one
    return Settled(frozenset([one.id for one in chosen]) | frozenset(standing), excluded_by)


# --- when an act was --------------------------------------------------------------------------------


def span_of(at: int | None, attributes: Mapping[str, object], window_s: int) -> tuple[int, int]:
    """From when to when an act took place; one of which only an instant is known takes the window around it."""
    if at is None:
        return 0, 0
    begins, ends = _stretch(at, attributes) if attributes else (at, at)
    if begins == ends:
        half = window_s * SECOND_MS // 2
        return at - half, at + half
    return begins, min(ends, begins + SPAN_MS_MAX)


def _stretch(at: int, attributes: Mapping[str, object]) -> tuple[int, int]:
    ended = attributes.get(_ENDS)
    if isinstance(ended, str):
        try:
            other = instant(ended)
        except (ValueError, OverflowError):
            return at, at
        return at, max(at, other)
    for name, unit_ms in _LASTS.items():
        lasts = attributes.get(name)
        if lasts is not None and not isinstance(lasts, bool):
            try:
                return at, at + max(0, min(int(Decimal(str(lasts)) * unit_ms), SPAN_MS_MAX))
            except (ArithmeticError, ValueError):
                return at, at
    return at, at


def reach_of(at: int, attributes: Mapping[str, object]) -> tuple[int, int]:
    """The widest stretch that an act of the instant may take, whatever its rule says."""
    begins, ends = span_of(at, attributes, 0)
    return begins - WINDOW_S_MAX * SECOND_MS, ends + WINDOW_S_MAX * SECOND_MS


@lru_cache(maxsize=4096)
def periods_of(days: frozenset[date]) -> tuple[str, ...]:
    """The rows of those days and of their months."""
    texts = sorted(day.isoformat() for day in days)
    return (*texts, *sorted({text[:7] for text in texts}))


@lru_cache(maxsize=4096)
def periods_around(days: frozenset[date]) -> tuple[str, ...]:
    """The same for those days and the days around them."""
    return periods_of(frozenset(near for day in days for near in neighbours(day)))


def neighbours(on: date) -> tuple[date, date, date]:
    """A day with the days around it."""
    return on - timedelta(days=1), on, on + timedelta(days=1)


@lru_cache(maxsize=4096)
def days_beside(on: str) -> tuple[str, str]:
    """The rows of the day before and the day after."""
    before, _, after = neighbours(date.fromisoformat(on))
    return before.isoformat(), after.isoformat()


def is_near(one: Entry, days: frozenset[str], reach: tuple[int, int] | None) -> bool:
    """Whether an act of those days or of that stretch may conflict with the entry, of whatever family it is."""
    if one.scope == MONTH:
        return True
    if one.scope == DAY or not one.ends or reach is None:
        return one.on in days
    return one.begins < reach[1] and reach[0] < one.ends


def connected(found: Sequence[Entry], seeds: Iterable[Entry]) -> list[Entry]:
    """The seeds with all that hang together with them by conflicts."""
    waiting, taken = list(seeds), {}
    while waiting:
        one = waiting.pop()
        if one.id not in taken:
            taken[one.id] = one
            waiting += [other for other in found if other.id not in taken and conflict(one, other)]
    return list(taken.values())
