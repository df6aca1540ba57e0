"""A later rulebook never changes an earlier ball, and what an explanation says is what was booked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.canary import Canary
from engine.core.context import Context
from engine.core.formulas import Ratio
from engine.core.quantify import recount
from engine.core.rules import RuleBook
from engine.core.values import Dated
from tests.core.world import HOUR_MS, World, rulebook

LONG_AGO = date(2016, 1, 1)


@lru_cache(maxsize=64)
def bent(cap_g: int, life_h: int, floor_pct: int, per_1000_steps: int) -> RuleBook:
    """The shipped rulebook with other numbers for walking, whatever day it is."""
    walking = rulebook().behaviours["walking"]
    now = walking.on(date(2026, 11, 20))
    assert now is not None
    energy = now.energy
    assert isinstance(energy, Ratio)
    text = f"{per_1000_steps}/1000"
    grams = replace(energy.grams_per_unit, amount=Fraction(text), text=text)
    rule = replace(
        now,
        caps=replace(now.caps, day_g=cap_g),
        ball=replace(now.ball, life_h=life_h, floor_pct=floor_pct),
        energy=replace(energy, grams_per_unit=grams),
        since=LONG_AGO,
    )
    behaviours = {**rulebook().behaviours, "walking": replace(walking, history=Dated((LONG_AGO,), (rule,)))}
    name = f"{cap_g}-{life_h}-{floor_pct}-{per_1000_steps}"
    return replace(rulebook(), hash=name, behaviours=behaviours, memo={})


@dataclass
class Changing(World):
    """A game whose rulebooks come and go; all that were in force are kept."""

    rules: RuleBook = field(default_factory=rulebook)
    canary: Canary | None = None
    kept: dict[str, RuleBook] = field(default_factory=dict)

    def context(self) -> Context:
        for book in (self.rules, *([self.canary.rules] if self.canary else [])):
            self.kept[book.hash] = book
        return Context(
            self.now, self.rules, lambda ball, user: self.draw, self.new_id, self.canary, self.kept.get
        )


BENT = st.tuples(
    st.sampled_from((20, 100, 400)),
    st.sampled_from((24, 72)),
    st.sampled_from((0, 60)),
    st.sampled_from((8, 40)),
)
STEPS = st.lists(
    st.tuples(st.integers(100, 40_000), BENT, st.sampled_from((0, 3_000, 9_999))), min_size=1, max_size=5
)


@settings(max_examples=60, deadline=None)
@given(first=BENT, later=STEPS)
def test_what_comes_later_leaves_a_ball_as_its_own_rulebook_makes_it(first: Any, later: Any) -> None:
    """One game keeps its rulebook, the other changes it, canaries too, before every further report of the day."""
    own = bent(*first)
    kept, changing = Changing(rules=own), Changing(rules=own)
    for world in (kept, changing):
        world.source()
        user, friend = world.user(), world.user()
        world.befriend(user, friend)
        world.do(world.act(user, "day", "walking", quantity=50, on=world.days_on(0), revision=1))
    for number, (steps, book, share) in enumerate(later):
        changing.rules = bent(*book)
        changing.canary = Canary(2, share, f"s{number}", bent(7, 24, 0, 1)) if share else None
        for world in (kept, changing):
            world.now += HOUR_MS // 4
            command = world.act(
                user, "day", "walking", quantity=steps, on=world.days_on(0), revision=number + 2
            )
            world.do(command)
        assert rows(changing) == rows(kept)
        for activity in changing.state.activities:
            assert activity.trace["rules"] == own.hash
            energy_g, avoided_mg = recount(activity.trace)
            granted = activity.trace["granted"]
            assert (granted["raw_g"], avoided_mg) == (energy_g, activity.avoided_mg)
            assert granted["energy_g"] == activity.energy_g
    for ball in list(changing.state.balls):
        for world in (kept, changing):
            world.to_ripe(ball.id, after_ms=HOUR_MS)
        assert changing.collect(friend, user, ball.id) == kept.collect(friend, user, ball.id)
        assert changing.collect(user, user, ball.id) == kept.collect(user, user, ball.id)
    assert rows(changing) == rows(kept)
    changing.audit()


def rows(world: World) -> list[dict[str, Any]]:
    """All that a ball is and where it came from."""
    return [asdict(row) for shelf in ("balls", "activities", "caps") for row in world.state.shelves[shelf]]


@settings(max_examples=30, deadline=None)
@given(book=BENT, share=st.integers(1, 9_999))
def test_an_act_is_worth_what_the_users_own_arm_says(book: Any, share: int) -> None:
    world = Changing()
    world.source()
    world.canary = canary = Canary(2, share, "a salt", bent(*book))
    for user in [world.user() for _ in range(6)]:
        world.do(world.act(user, f"a{user}", "walking", quantity=30_000, on=world.days_on(0), revision=1))
        [activity] = [one for one in world.state.activities if one.user_id == user]
        expected = canary.rules if canary.has(user) else rulebook()
        assert activity.trace["rules"] == expected.hash
        in_force = expected.behaviours["walking"].on(world.days_on(0))
        assert in_force is not None and activity.energy_g <= (in_force.caps.day_g or 0)
