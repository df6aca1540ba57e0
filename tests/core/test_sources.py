"""Counts of reports add up in any order and grouping, and a pull is moved by one puller at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.sources import PULLS, RULES, SOURCE_DAYS, CountReports, MovePull, Pull, SourceDay, together
from engine.core.state import State

counts = st.integers(0, 10**9)
days = st.builds(
    SourceDay,
    st.just("city"),
    st.just("2026-11-25"),
    counts,
    counts,
    counts,
    st.dictionaries(st.sampled_from(["not_linked", "bad_request", "in_future"]), st.integers(1, 100)),
    st.integers(0, 2**2048 - 1).map(lambda bits: format(bits, "x")),
    counts,
    st.integers(-(10**12), 10**12),
    counts,
)


@given(days, days, days)
def test_counts_add_up_in_any_order(one: SourceDay, two: SourceDay, three: SourceDay) -> None:
    assert together(one, two) == together(two, one)
    assert together(together(one, two), three) == together(one, together(two, three))


def decide(state: State, command: object) -> None:
    rule = RULES[type(command)]
    for touch in rule.touches(command, state):
        shelf = state.shelves[touch.shelf]
        if touch.key not in shelf:
            shelf.loaded(touch.key, None)
    from engine.core.sources import EVOLVE

    context: Context = None  # type: ignore[assignment]
    for event in rule.decide(state, command, context).events:
        EVOLVE[type(event)](state, event)


@given(st.lists(days, min_size=1, max_size=6))
def test_one_command_or_several_come_to_the_same(found: list[SourceDay]) -> None:
    at_once, apart = State([SOURCE_DAYS, PULLS]), State([SOURCE_DAYS, PULLS])
    decide(at_once, CountReports(found))
    for day in found:
        decide(apart, CountReports([day]))
    shelves = [state.shelves["source_days"] for state in (at_once, apart)]
    assert list(shelves[0]) == list(shelves[1])


def test_a_pull_moves_one_version_at_a_time() -> None:
    state = State([SOURCE_DAYS, PULLS])
    first = Pull("city", "a", version=1)
    decide(state, MovePull(first))
    for stale in (first, replace(first, version=3), replace(first, version=0)):
        with pytest.raises(Rejected, match="lease_lost"):
            decide(state, MovePull(stale))
    decide(state, MovePull(replace(first, cursor="b", version=2)))
    assert state.shelves["pulls"].get("city").cursor == "b"
