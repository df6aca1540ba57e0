"""Caps of the day, month, year and account: gram caps are the same in any order, count caps are never exceeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import commands as c
from engine.core.caps import Room, booked_periods, capped_periods, limits_of
from engine.core.formulas import Attribute, Ratio
from engine.core.rules import Caps, RuleBook
from engine.core.units import instant
from engine.core.values import Dated, Value
from tests.core.world import HOUR_MS, SOURCE, World, rulebook

FIRST = date(2026, 12, 17)
DAYS = 30  # up to 15 January: two months, two years, and none too late to count
NOW = instant("2027-01-15T15:59:00Z")  # a minute before midnight in Shanghai
ACCOUNT = Attribute("account", "account", "1", False, None, None, 0, frozenset(), None, 1)


@lru_cache(maxsize=256)
def capped(caps: Caps) -> RuleBook:
    """The shipped rulebook, but a bus ride is worth a gram a unit, knows accounts, and has these caps."""
    bus = rulebook().behaviours["bus"]
    one = Value(Fraction(1), "1", "g/ride", FIRST, "documented", ("scheme",), "")
    now = bus.history.items[-1]
    assert now is not None
    rule = replace(
        now,
        since=date(2016, 1, 1),
        quantity_min=Decimal(0),
        quantity_max=Decimal(1000),
        energy=Ratio("factor_times_quantity", one),
        caps=caps,
        cap_values={},
        attributes={"account": ACCOUNT},
        avoided=replace(now.avoided, attribute=None),
    )
    own = replace(bus, history=Dated((rule.since,), (rule,)))
    return replace(rulebook(), behaviours={**rulebook().behaviours, "bus": own}, memo={})


def village(caps: Caps) -> tuple[World, int]:
    """A world in January with one user."""
    world = World(now=NOW, rules=capped(caps))
    [user] = world.village(1)
    return world, user


def ride(
    world: World, user: int, name: str, day: int, grams: int, account: str | None = None
) -> c.ReportActivity:
    """A ride on a local day of the window, worth so many grams before caps. Each number in a name has an hour of
    its own, so that no two rides are the same one."""
    number = int("".join(character for character in name if character.isdigit()) or "0") % 24
    at = instant(f"{FIRST + timedelta(days=day)}T00:30:00+08:00") + number * HOUR_MS
    attributes = {} if account is None else {"account": account}
    return world.act(user, name, quantity=grams, at=at, attributes=attributes)


def least(limit: int | None, amount: int) -> int:
    """The amount under a limit."""
    return amount if limit is None else min(limit, amount)


def outer(caps: Caps, acts: Iterable[tuple[int, int]]) -> int:
    """What all caps together leave: each day cut, then each month, then each year."""
    days: Counter[str] = Counter()
    for day, grams in acts:
        days[(FIRST + timedelta(days=day)).isoformat()] += grams
    months: Counter[str] = Counter()
    for day_on, grams in days.items():
        months[day_on[:7]] += least(caps.day_g, grams)
    years: Counter[str] = Counter()
    for month, grams in months.items():
        years[month[:4]] += least(caps.month_g, grams)
    return sum(least(caps.year_g, grams) for grams in years.values())


LIMIT = st.none() | st.integers(1, 60)
ACTS = st.lists(st.tuples(st.integers(0, DAYS - 1), st.integers(0, 40)), max_size=12)


@settings(deadline=None)  # the first one loads the rulebook
@given(day_g=LIMIT, month_g=LIMIT, year_g=LIMIT, acts=ACTS, data=st.data())
def test_gram_caps_leave_the_same_in_any_order_with_duplicates_and_however_split(
    day_g: int | None,
    month_g: int | None,
    year_g: int | None,
    acts: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    caps = Caps(day_g=day_g, month_g=month_g, year_g=year_g)
    named = [(f"ride-{index}", day, grams) for index, (day, grams) in enumerate(acts)]
    split = [
        (f"ride-{index + part * len(acts)}", day, grams // 2 + part * (grams % 2))
        for index, (day, grams) in enumerate(acts)
        for part in (0, 1)
    ]
    for parts in (named, split):
        world, user = village(caps)
        order = data.draw(st.permutations([*parts, *parts]))  # each reported twice
        for name, day, grams in order:
            world.do(ride(world, user, name, day, grams))
        assert sum(ball.full_g for ball in world.state.balls) == outer(caps, acts)
        world.audit()


COUNT = st.none() | st.integers(1, 4)
RIDES = st.lists(
    st.tuples(st.integers(0, DAYS - 1), st.integers(0, 3), st.sampled_from([None, "a", "b"]), st.booleans()),
    max_size=24,
)


@settings(deadline=None)  # the first one loads the rulebook
@given(day=COUNT, month=COUNT, year=COUNT, account=COUNT, rides=RIDES)
def test_count_caps_are_never_exceeded_and_reversals_free_their_slots(
    day: int | None,
    month: int | None,
    year: int | None,
    account: int | None,
    rides: list[tuple[int, int, str | None, bool]],
) -> None:
    caps = Caps(day_count=day, month_count=month, year_count=year, month_count_per_account=account)
    world, user = village(caps)
    for index, (on, grams, own, reversed_) in enumerate(rides):
        world.do(ride(world, user, f"ride-{index}", on, grams, own))
        if reversed_:
            world.do(c.ReverseActivity(SOURCE, f"ride-{index}"))
        used: Counter[str] = Counter()
        for act in world.state.activities:
            if act.energy_g:
                used.update(booked_periods(act.on, act.trace))
        for period, count in used.items():
            limit = limits_of(caps, period)[2]
            assert limit is None or count <= limit, period
        rows = {use.period: use for use in world.state.caps}
        for period, use in rows.items():
            assert use.used_count == len(use.acts) == used[period]
            assert use.used_g >= 0
    world.audit()


def test_an_account_counts_once_a_month_for_a_user() -> None:
    world, user = village(Caps(month_count_per_account=1))
    replies = [
        world.do(ride(world, user, f"bill-{number}", day, 7, account))
        for number, (day, account) in enumerate(
            [
                (0, "0012 3456"),
                (3, "0012 3456"),
                (4, " 0012 3456 "),
                (3, "0012 3457"),
                (3, None),
                (15, "0012 3456"),
            ]
        )
    ]
    assert [reply["energy_g"] for reply in replies] == [7, 0, 0, 7, 7, 7]
    assert replies[1]["reason"] == "cap_month_per_account_count"
    first = world.state.activities[SOURCE, "bill-0"]
    assert "3456" not in str(first.trace), "only a digest of the account is kept"
    world.do(c.ReverseActivity(SOURCE, "bill-0"))
    assert world.do(ride(world, user, "bill-6", 5, 7, "0012 3456"))["energy_g"] == 7
    world.audit()


def test_what_was_booked_without_a_cap_of_the_year_is_reversed_after_one_began() -> None:
    world, user = village(Caps())
    world.do(ride(world, user, "before", 0, 30))
    world.rules = capped(Caps(year_g=50))
    assert world.do(ride(world, user, "after", 1, 45))["energy_g"] == 45, "counted from when the cap began"
    world.do(c.ReverseActivity(SOURCE, "before"))
    assert world.do(ride(world, user, "last", 2, 45))["energy_g"] == 5
    assert world.do(ride(world, user, "year-after", 29, 45))["energy_g"] == 45
    world.do(c.ReverseActivity(SOURCE, "after"))
    assert world.state.caps[user, "bus", "2026"].used_g == 5
    world.now += HOUR_MS
    world.audit()


@pytest.mark.parametrize(
    ("caps", "more"),
    [
        (Caps(), ()),
        (Caps(year_g=1), ("2026",)),
        (Caps(year_count=1, month_count_per_account=1), ("2026", "2026-12/x")),
    ],
)
def test_years_and_accounts_are_booked_only_where_they_are_capped(caps: Caps, more: tuple[str, ...]) -> None:
    assert capped_periods(caps, "2026-12-31", "x") == ("2026-12-31", "2026-12", *more)


def test_each_grant_and_each_release_counts_for_the_next_of_the_same_command() -> None:
    world, user = village(Caps(day_g=100))
    rule = world.rules.behaviours["bus"].on(FIRST)
    assert rule is not None
    room, periods = Room(world.state, user), ("2026-12-17", "2026-12")
    for period in periods:
        world.state.caps.loaded((user, "bus", period), None)
    assert room.grant(rule, "bus", periods, 1, 70).energy_g == 70
    second = room.grant(rule, "bus", periods, 2, 70)
    assert (second.energy_g, second.reason, second.used_by) == (30, "cap_day_g", (1,))
    room.release("bus", periods, 1, 70)
    assert room.grant(rule, "bus", periods, 3, 90).energy_g == 70
    room.release("bus", periods, 3, 70, keeps_g=20)
    fourth = room.grant(rule, "bus", periods, 4, 90)
    assert (fourth.energy_g, fourth.used_by) == (50, (2, 3))
    assert not list(world.state.caps)  # nothing is booked before it has happened
