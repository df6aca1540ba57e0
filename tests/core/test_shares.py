"""A friend's share: between the bounds, less for each who came before, never nothing, and as the ball was made."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.energy import friends_share_g
from engine.core.rules import RuleBook
from engine.core.state import Ball
from engine.core.units import MINUTE_MS
from engine.core.values import Dated
from tests.core.world import World, rulebook


def bent(less_pct: int) -> RuleBook:
    """The shipped rulebook, in which each friend who took before lessens a draw from a bus ride's ball."""
    bus = rulebook().behaviours["bus"]
    now = bus.on(date(2026, 11, 20))
    assert now is not None
    rule = replace(now, ball=replace(now.ball, share_less_pct=less_pct))
    changed = replace(bus, history=Dated((date(2016, 1, 1),), (rule,)))
    return replace(rulebook(), behaviours={**rulebook().behaviours, "bus": changed}, memo={})


@given(
    draw=st.integers(0, 2**64 - 1),
    bounds=st.tuples(st.integers(1, 500), st.integers(0, 500)),
    less_pct=st.integers(0, 100),
    before=st.integers(0, 1_000),
)
def test_a_share_is_never_more_than_drawn_and_never_nothing(
    draw: int, bounds: tuple[int, int], less_pct: int, before: int
) -> None:
    least_g, more_g = bounds
    ball = Ball(1, 1, "bus", "grams", 9, 9, 0, least_g, least_g + more_g, 0, 0, 0, 0, [], less_pct)
    drawn_g = friends_share_g(ball, draw, 0)
    share_g = friends_share_g(ball, draw, before)
    assert least_g <= drawn_g <= least_g + more_g
    assert 1 <= friends_share_g(ball, draw, before + 1) <= share_g <= drawn_g
    exact = drawn_g * max(0, 100 - less_pct * before)
    assert share_g == max(1, exact // 100), "rounded down, once"
    if less_pct == 0:
        assert share_g == drawn_g


@pytest.mark.parametrize(("less_pct", "expected"), [(0, [24, 16]), (20, [24, 16]), (100, [24, 1, 1, 1])])
def test_friends_one_after_another(less_pct: int, expected: list[int]) -> None:
    """80 g, at most 24 g for one, 40 g for all: the floor cuts what the rule leaves."""
    world = World(draw=2**64 - 1, rules=bent(less_pct))
    user, *friends = world.village(1 + len(expected))
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    assert [world.collect(friend, user, number)[0]["energy_g"] for friend in friends] == expected
    world.audit()


def test_the_owner_is_not_one_who_came_before() -> None:
    world = World(draw=2**64 - 1, rules=bent(50))
    user, one, other = world.village(3)
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    assert world.collect(one, user, number)[0]["energy_g"] == 24
    assert world.collect(other, user, number)[0]["energy_g"] == 12


def test_a_ball_keeps_the_rule_that_made_it() -> None:
    world = World(draw=2**64 - 1, rules=bent(0))
    user, one, other = world.village(3)
    before = world.ball(user, "ride-1")
    world.rules = bent(90)
    world.to_ripe(before, MINUTE_MS)
    assert [world.collect(friend, user, before)[0]["energy_g"] for friend in (one, other)] == [24, 16]
