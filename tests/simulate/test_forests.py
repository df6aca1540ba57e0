"""A forest that knows which balls have opened gives what looking at each ball gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.state import Ball
from engine.simulate.forests import Forest

OWNER, FRIENDS = 1, (2, 3, 4)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 6), st.integers(0, 20), st.integers(1, 30)),
        st.tuples(st.just("take"), st.sampled_from(FRIENDS), st.integers(1, 6)),
        st.tuples(st.just("own"), st.integers(0, 3)),
        st.tuples(st.just("shrink"), st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.integers(1, 9)),
    ),
    max_size=40,
)


def ball(number: int, ripens_at: int, life: int) -> Ball:
    return Ball(number, OWNER, "bus", "grams", 9, 9, 4, 1, 3, 0, ripens_at, ripens_at + 2, ripens_at + life)


@given(steps)
@settings(max_examples=400, deadline=None)
def test_it_finds_what_looking_at_every_ball_finds(steps: list[tuple[Any, ...]]) -> None:
    forest, balls, now = Forest(), dict[int, Ball](), 0
    for what, *about in steps:
        if what == "add":
            number, after, life = about
            balls[number] = ball(number, now + after, life)
            forest.add(balls[number])
        elif what == "take":
            friend, most = about
            for number in forest.left_for(friend, now)[:most]:
                balls[number].remaining_g -= 1
                balls[number].takers.append([friend, 1, ""])
        elif what == "own":
            ripe = forest.ripe(now)[: about[0]]
            for number in ripe:
                balls[number].remaining_g = 0
            forest.drop_empty(ripe)
            for number in ripe:
                del balls[number]
        elif what == "shrink" and about[0] in balls:  # a better report of the same act came
            balls[about[0]].remaining_g, balls[about[0]].floor_g = 0, 0
        elif what == "end":
            forest.drop(about[0])
            balls.pop(about[0], None)
        elif what == "wait":
            now += about[0]
        alive = [one for one in balls.values() if now < one.expires_at]
        assert sorted(forest.ripe(now)) == sorted(
            one.id for one in alive if one.ripens_at <= now and one.remaining_g
        )
        for friend in FRIENDS:
            expected = [
                one.id
                for one in alive
                if one.friends_from_at <= now
                and one.remaining_g > one.floor_g
                and friend not in [taker[0] for taker in one.takers]
            ]
            assert sorted(forest.left_for(friend, now)) == sorted(expected)
    assert len(forest) == len(balls)
