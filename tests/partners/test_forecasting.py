"""Places for trees to come: by hand, and the laws that hold for any demand."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.core.forecasting import NO_SEASON, Room, forecast, paced
from partners.store.ahead import DemandProblem, demand_of

TODAY = date(2027, 1, 10)
ALL = frozenset({"alxa"})


def room(season: str, free: int, opens: str, order_by: str, programmes: frozenset[str] = ALL) -> Room:
    return Room(season, programmes, date.fromisoformat(opens), date.fromisoformat(order_by), free)


def spring(free: int, programmes: frozenset[str] = ALL) -> Room:
    return room("2027-spring", free, "2027-03-10", "2027-02-28", programmes)


def autumn(free: int) -> Room:
    return room("2027-autumn", free, "2027-10-01", "2027-09-15")


def test_trees_go_into_the_season_that_opens_first_until_it_is_full() -> None:
    demand = {("2027-01", "alxa"): 22, ("2027-02", "alxa"): 28, ("2027-10", "alxa"): 31}
    found = forecast(demand, {"alxa": 10}, [autumn(5), spring(40)], {"alxa": 60}, TODAY)
    by_season = {one.season: one for one in found.seasons}
    assert (by_season["2027-spring"].placed, by_season["2027-spring"].missing) == (40, 15)
    assert by_season["2027-spring"].full_on == date(2027, 2, 9)
    assert (by_season["2027-autumn"].placed, by_season["2027-autumn"].full_on) == (5, date(2027, 2, 14))
    assert (by_season[NO_SEASON].missing, by_season[NO_SEASON].full_on) == (31, date(2027, 10, 1))
    [stock] = found.stocks
    assert (stock.wanted, stock.missing, stock.out_on) == (81, 21, date(2027, 10, 11))


def test_programmes_share_the_places_of_their_species_and_region() -> None:
    both = frozenset({"alxa", "other"})
    demand = {("2027-02", "alxa"): 10, ("2027-02", "other"): 10}
    found = forecast(demand, {}, [spring(12, both)], {}, TODAY)
    assert sum(one.placed for one in found.seasons) == 12
    assert found.missing == 8
    assert all(stock.out_on is not None for stock in found.stocks)  # nothing is funded


@given(
    trees=st.lists(st.integers(0, 500), min_size=1, max_size=12),
    waiting=st.integers(0, 300),
    free=st.lists(st.integers(0, 900), min_size=2, max_size=2),
)
@settings(max_examples=60, deadline=None)
def test_every_tree_is_placed_or_missing_and_no_place_is_taken_twice(
    trees: list[int], waiting: int, free: list[int]
) -> None:
    demand = {(f"2027-{month:02d}", "alxa"): count for month, count in enumerate(trees, 1)}
    found = forecast(demand, {"alxa": waiting}, [spring(free[0]), autumn(free[1])], {"alxa": 100}, TODAY)
    assert sum(one.placed + one.missing for one in found.seasons) == sum(trees) + waiting
    assert all(0 <= one.placed <= one.free for one in found.seasons)
    assert sum(sum(counts.values()) for counts in found.by_month.values()) == sum(trees)
    for one in found.seasons:
        assert (one.full_on is not None) >= (one.missing > 0)


@given(count=st.integers(0, 10_000), days=st.integers(1, 400), months=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_pace_loses_no_tree_to_rounding(count: int, days: int, months: int) -> None:
    found = paced({"alxa": count}, days, TODAY, months)
    assert len(found) == months
    last = max(month for month, _ in found)
    end = date(int(last[:4]) + (last[5:] == "12"), int(last[5:]) % 12 + 1, 1)
    assert sum(found.values()) == count * (end - TODAY).days // days


def test_a_demand_is_read_from_what_a_simulation_printed() -> None:
    rows = [
        {"run": "a", "month": "2027-03", "programme": "alxa", "trees": 3, "trees_of_real_users": 300},
        {"run": "b", "month": "2027-03", "programme": "alxa", "trees": 4, "trees_of_real_users": 400},
    ]
    assert demand_of({"tables": {"trees": rows}}, "b") == {("2027-03", "alxa"): 400}
    only = [{"month": "2027-03", "programme": "alxa", "trees": 3, "trees_of_real_users": None}]
    assert demand_of({"tables": {"trees": only}}) == {("2027-03", "alxa"): 3}


@pytest.mark.parametrize(
    ("told", "run", "says"),
    [
        ([], None, "tables.trees"),
        ({"tables": {"trees": {}}}, None, "tables.trees"),
        ({"tables": {"trees": [1]}}, None, "an object"),
        ({"tables": {"trees": [{"month": "2027-13", "programme": "a", "trees": 1}]}}, None, "a month"),
        ({"tables": {"trees": [{"month": "2027-3", "programme": "a", "trees": 1}]}}, None, "a month"),
        ({"tables": {"trees": [{"month": "2027-03", "programme": "a", "trees": -1}]}}, None, "not below 0"),
        ({"tables": {"trees": [{"month": "2027-03", "programme": "a", "trees": True}]}}, None, "whole"),
        ({"tables": {"trees": [{"run": "a"}, {"run": "b"}]}}, None, "several runs"),
        ({"tables": {"trees": [{"run": "a"}]}}, "c", "no run"),
    ],
)
def test_a_demand_that_makes_no_sense_is_named(told: object, run: str | None, says: str) -> None:
    with pytest.raises(DemandProblem, match=says):
        demand_of(told, run)
