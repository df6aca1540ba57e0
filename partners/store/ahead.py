"""What a forecast of quotas is made of: places, waiting trees, stock, and how fast trees were redeemed of late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, local_day
from engine.store.database import Reader
from partners.core.forecasting import Demand, Forecast, Room, forecast, paced

QUOTAS_MAX = 5_000
DEMAND_ROWS_MAX = 20_000
TREES_MAX = 10**12


class DemandProblem(Exception):
    """What is said to be wanted can't be read; the text says where and what is expected."""


async def look_ahead(
    reader: Reader, rules: RuleBook, now: int, demand: Demand | None, pace_d: int, months: int
) -> Forecast:
    """A forecast for a demand; without one, for the pace of the last so many days."""
    today = local_day(now, "UTC")
    if demand is None:
        rows = await reader.fetch(
            "SELECT programme, count(*) FROM trees WHERE redeemed_at > ? AND redeemed_at <= ? GROUP BY programme",
            now - pace_d * DAY_MS,
            now,
        )
        demand = paced({programme: int(count) for programme, count in rows}, pace_d, today, months)
    waiting = await reader.fetch(
        "SELECT route, count(*) FROM tree_units WHERE state = 'pledged' GROUP BY route"
    )
    stocks = await reader.fetch("SELECT programme, stock FROM stocks")
    return forecast(
        {key: trees for key, trees in demand.items() if key[0] >= today.isoformat()[:7]},
        {programme: int(count) for programme, count in waiting},
        await _rooms(reader, rules, now),
        {programme: int(stock) for programme, stock in stocks},
        today,
    )


async def _rooms(reader: Reader, rules: RuleBook, now: int) -> list[Room]:
    """Places that may still be ordered, as far as allocation would look at them."""
    places = {
        (one.species, one.region): {
            name
            for name, other in rules.programmes.items()
            if (other.species, other.region) == (one.species, one.region)
        }
        for one in rules.programmes.values()
    }
    rows = await reader.fetch(
        "SELECT q.season, q.species, q.region, q.opens_at, q.order_by_at, q.capacity - q.held - q.ordered"
        " FROM quotas q JOIN partner_records p ON p.id = q.partner JOIN sites s ON s.id = q.site"
        " JOIN species_offers f ON f.id = q.offer WHERE q.order_by_at >= ? AND p.status = 'active'"
        " AND s.status = 'approved' AND f.status = 'offered' ORDER BY q.id LIMIT ?",
        now,
        QUOTAS_MAX,
    )
    return [
        Room(
            season,
            frozenset(places[species, region]),
            local_day(opens_at, "UTC"),
            local_day(order_by_at, "UTC"),
            max(0, free),
        )
        for season, species, region, opens_at, order_by_at, free in rows
        if (species, region) in places
    ]


def demand_of(told: Any, run: str | None = None) -> dict[tuple[str, str], int]:
    """The demand in the tables that `saxaul rules simulate --json` prints, trees of real users by month and programme.

    Of several runs the one that is named. Raises DemandProblem.
    """
    tables = told.get("tables") if isinstance(told, Mapping) else None
    rows = tables.get("trees") if isinstance(tables, Mapping) else None
    if not isinstance(rows, list) or len(rows) > DEMAND_ROWS_MAX:
        raise DemandProblem("expected tables.trees, as saxaul rules simulate --json prints them")
    runs = {str(row.get("run")) for row in rows if isinstance(row, Mapping) and "run" in row}
    if run is None and len(runs) > 1:
        raise DemandProblem(f"it has several runs; name one of {', '.join(sorted(runs))}")
    if run is not None and run not in runs:
        raise DemandProblem(
            f"it has no run {run!r}; it has {', '.join(sorted(runs)) or 'one without a name'}"
        )
    found: dict[tuple[str, str], int] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DemandProblem(f"tables.trees[{place}]: expected an object")
        if run is not None and str(row.get("run")) != run:
            continue
        month, programme, trees = row.get("month"), row.get("programme"), row.get("trees_of_real_users")
        if trees is None:
            trees = row.get("trees")
        if not _is_month(month) or not isinstance(programme, str):
            raise DemandProblem(f"tables.trees[{place}]: expected a month such as 2027-03, and a programme")
        if not isinstance(trees, int) or isinstance(trees, bool) or not 0 <= trees <= TREES_MAX:
            raise DemandProblem(f"tables.trees[{place}]: expected trees, a whole number not below 0")
        found[month, programme] = found.get((month, programme), 0) + trees
    return found


def forecast_told(found: Forecast) -> dict[str, Any]:
    """A forecast as plain data."""
    return {
        "seasons": [
            {
                "programme": one.programme,
                "season": one.season or None,
                "order_by_on": _on(one.order_by_on),
                "free": one.free,
                "placed": one.placed,
                "missing": one.missing,
                "full_on": _on(one.full_on),
            }
            for one in found.seasons
        ],
        "stocks": [
            {
                "programme": one.programme,
                "stock": one.stock,
                "wanted": one.wanted,
                "missing": one.missing,
                "out_on": _on(one.out_on),
            }
            for one in found.stocks
        ],
        "months": [
            {"month": month, "programme": programme, "trees": trees}
            for month, counts in sorted(found.by_month.items())
            for programme, trees in sorted(counts.items())
        ],
        "missing": found.missing,
    }


def _on(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _is_month(text: object) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(f"{text}-01").isoformat() == f"{text}-01"
    except ValueError:
        return False
