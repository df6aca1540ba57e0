"""Whether there will be places for the trees that are to be redeemed: day by day, into the seasons that take orders.

A tree goes into the season that opens first and still has room, as allocation does; one that finds none is missing in
the season that opens first of those that still take orders. Reads no clock; knows no partner and no price.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

NO_SEASON = ""
"""The season of trees for which no season takes orders any more: none has a quota so far ahead."""


@dataclass(slots=True)
class Room:
    """Places of one season for the trees of some programmes; `free` shrinks as they are taken."""

    season: str
    programmes: frozenset[str]
    opens_on: date
    order_by_on: date
    free: int


@dataclass(slots=True)
class Ahead:
    """A programme's trees and one season: places when the forecast begins, trees placed, trees without a place.

    `full_on`: the first day on which a tree finds no place in it.
    """

    programme: str
    season: str
    order_by_on: date | None
    free: int
    placed: int = 0
    missing: int = 0
    full_on: date | None = None


@dataclass(slots=True)
class Stocked:
    """A programme's trees on offer, which are funded; `out_on`: the first day on which one is wanted and none left."""

    programme: str
    stock: int
    wanted: int = 0
    out_on: date | None = None

    @property
    def missing(self) -> int:
        """Trees that are wanted and not funded."""
        return max(0, self.wanted - self.stock)


@dataclass(slots=True)
class Forecast:
    """What lies ahead: `seasons` by programme, and what is on offer."""

    seasons: list[Ahead]
    stocks: list[Stocked]
    by_month: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Trees without a place, in all."""
        return sum(one.missing for one in self.seasons)


Demand = Mapping[tuple[str, str], int]
"""(month 2027-03, programme) → trees that will be redeemed in it."""


def forecast(
    demand: Demand,
    waiting: Mapping[str, int],
    rooms: Sequence[Room],
    stocks: Mapping[str, int],
    today: date,
) -> Forecast:
    """Place what waits today, then what is redeemed on each day from today on."""
    ranked = sorted(rooms, key=lambda room: (room.opens_on, room.season, sorted(room.programmes)))
    seasons: dict[tuple[str, str], Ahead] = {}
    for room in ranked:
        for programme in sorted(room.programmes):
            known = seasons.setdefault(
                (programme, room.season), Ahead(programme, room.season, room.order_by_on, 0)
            )
            known.free += room.free
            known.order_by_on = max(known.order_by_on or room.order_by_on, room.order_by_on)
    funded = {name: Stocked(name, stock) for name, stock in sorted(stocks.items())}
    by_month: dict[str, Counter[str]] = {}
    for programme, trees in sorted(waiting.items()):
        _place(programme, trees, today, ranked, seasons)
    for on, programme, trees in _by_day(demand, today):
        by_month.setdefault(on.isoformat()[:7], Counter())[programme] += trees
        stock = funded.setdefault(programme, Stocked(programme, 0))
        stock.wanted += trees
        if stock.wanted > stock.stock and stock.out_on is None:
            stock.out_on = on
        _place(programme, trees, on, ranked, seasons)
    told = sorted(seasons.values(), key=lambda one: (one.programme, one.order_by_on or date.max, one.season))
    return Forecast(told, list(funded.values()), by_month)


def paced(trees: Mapping[str, int], of_days: int, today: date, months: int) -> dict[tuple[str, str], int]:
    """The demand if each programme goes on as in the last so many days: exact, what is a part of a tree is kept for
    the next month."""
    found: dict[tuple[str, str], int] = {}
    begins_on = first = today
    for _ in range(months):
        ends_on = date(first.year, first.month, monthrange(first.year, first.month)[1])
        before, after = (first - begins_on).days, (ends_on - begins_on).days + 1
        for programme, count in trees.items():
            share = count * after // of_days - count * before // of_days
            found[ends_on.isoformat()[:7], programme] = share
        first = ends_on + timedelta(days=1)
    return found


def _by_day(demand: Demand, today: date) -> Iterator[tuple[date, str, int]]:
    """Trees of a month evenly over its days; in the month of today over those that are left of it."""
    for (month, programme), trees in sorted(demand.items()):
        year, number = (int(part) for part in month.split("-"))
        last = date(year, number, monthrange(year, number)[1])
        first = max(today, date(year, number, 1))
        days = (last - first).days + 1
        for day in range(days):
            share = trees * (day + 1) // days - trees * day // days
            if share:
                yield first + timedelta(days=day), programme, share


def _place(
    programme: str,
    trees: int,
    on: date,
    ranked: Sequence[Room],
    seasons: dict[tuple[str, str], Ahead],
) -> None:
    left = trees
    able = [room for room in ranked if programme in room.programmes and on <= room.order_by_on]
    for season in dict.fromkeys(room.season for room in able):
        ahead = seasons[programme, season]
        for room in able:
            if room.season == season:
                taken = min(left, room.free)
                room.free -= taken
                left -= taken
                ahead.placed += taken
        if not left:
            return
        ahead.full_on = ahead.full_on or on
    season = able[0].season if able else NO_SEASON
    short = seasons.setdefault((programme, season), Ahead(programme, season, None, 0))
    short.missing += left
    short.full_on = short.full_on or on
