"""Finding energy: exactly those whom a scan over all friends finds, at a cost that does not know how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.realtime.finding import FRIENDS_PER_LOOK_MAX
from tests.realtime.shore import VIEWER, Shore, a_shore

FRIENDS = 6
friends = st.integers(VIEWER + 1, VIEWER + FRIENDS)
hours = st.floats(0, 30, allow_nan=False)
changes = st.one_of(
    st.tuples(st.just("ball"), friends, hours, st.floats(0.1, 40)),
    st.tuples(st.sampled_from(["drain", "take", "begin", "end", "suspend", "resume"]), friends),
)
steps = st.one_of(
    changes,
    changes,
    st.tuples(st.just("pass"), hours),
    st.just(("round",)),
    st.just(("next",)),
    st.tuples(st.just("meanwhile"), changes),
    st.sampled_from([("restart",), ("away",)]),
)


@given(course=st.lists(steps, min_size=4, max_size=30))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_round_finds_whom_a_scan_finds(course: list[tuple[Any, ...]], tmp_path: Path) -> None:
    """Whatever has happened, also between a read and its answer, and whatever was forgotten."""
    asyncio.run(play(course, tmp_path))


async def play(course: list[tuple[Any, ...]], folder: Path) -> None:
    async with a_shore(folder, FRIENDS) as shore:
        cursor: int | None = None
        for name, *values in [*course, ("round",), ("round",)]:
            if name == "pass":
                shore.now += int(values[0] * 3_600_000)
            elif name == "round":
                await check_round(shore)
            elif name == "next":
                cursor = await check_next(shore, cursor)
            elif name == "meanwhile":
                change, *of = values[0]
                shore.meanwhile = lambda change=change, of=of: getattr(shore, change)(*of)
                await shore.find(None)
                shore.meanwhile = None
            elif name == "restart":
                shore.hub.restart("another")
            elif name == "away":
                await fail(shore)
            else:
                getattr(shore, name)(*values)


async def check_round(shore: Shore) -> None:
    found: list[tuple[int, int]] = []
    reply = await shore.find(None)
    while reply.standing is not None:
        assert reply.name == f"Friend {reply.standing.friend}"
        found.append((reply.standing.friend, reply.standing.takeable))
        reply = await shore.find(reply.after)
    expected, next_at = shore.naive()
    assert found == expected
    assert reply.next_at == next_at


async def check_next(shore: Shore, cursor: int | None) -> int | None:
    """One press, from wherever the last one led."""
    reply = await shore.find(cursor)
    places = [friend for friend, _ in shore.naive()[0]]
    behind = [friend for friend in places if cursor is None or _key(friend) > _key(cursor)]
    assert (reply.standing.friend if reply.standing else None) == (behind[0] if behind else None)
    return reply.after


def _key(friend: int) -> tuple[int, int]:
    from engine.realtime.rounds import place

    return place(VIEWER, friend), friend


async def fail(shore: Shore) -> None:
    """The database goes away in the middle of a look: nothing that was to be looked at is forgotten."""

    def away() -> None:
        raise ConnectionError

    shore.meanwhile = away
    with pytest.raises(ConnectionError):
        await shore.find(None)


# --- cost -----------------------------------------------------------------------------------------


async def cost_of(shore: Shore, press: Callable[[], Any]) -> tuple[int, int, int]:
    """Queries, rows given and steps of SQLite's machine."""
    shore.asked.clear()
    await press()
    return len(shore.asked), sum(rows for _, _, rows in shore.asked), shore.steps()


async def test_a_press_costs_the_same_for_10_100_and_1000_friends(tmp_path: Path) -> None:
    """Found, found after a change, and found by nobody: the same queries, rows and work in the database."""
    costs = {}
    for count in (10, 100, 1_000):
        async with a_shore(tmp_path, count, name=f"shore-{count}") as shore:
            for friend in range(VIEWER + 1, VIEWER + 1 + count):
                shore.ball(friend, 0, 72, quietly=True)
                shore.ball(friend, 5, 72, quietly=True)
            await shore.find(None)  # the round is made

            async def changed(shore: Shore = shore) -> None:
                reply = await shore.find(None)
                assert reply.standing is not None
                shore.take(reply.standing.friend)
                assert (await shore.find(reply.after)).standing is not None

            async def last(shore: Shore = shore, count: int = count) -> None:
                places = sorted(_key(friend) for friend in range(VIEWER + 1, VIEWER + 1 + count))
                reply = await shore.find(places[-1][1])
                assert (reply.standing, reply.after) == (None, None)

            presses = (lambda shore=shore: shore.find(None), changed, last)
            costs[count] = [await cost_of(shore, press) for press in presses]
            assert shore.finder.rounds_made == 1
    for ten, hundred, thousand in zip(costs[10], costs[100], costs[1_000], strict=True):
        assert ten[:2] == hundred[:2] == thousand[:2], "queries and rows"
        assert max(ten[2], hundred[2], thousand[2]) <= 1.02 * min(ten[2], hundred[2], thousand[2]), "work"
    assert costs[10][0][:2] == (4, 3)


async def test_a_busy_morning_is_looked_at_in_bounded_calls(tmp_path: Path) -> None:
    """All forests have changed and none has anything: a call looks at so many and says how far it came."""
    async with a_shore(tmp_path, 300) as shore:
        await shore.find(None)
        for friend in range(VIEWER + 1, VIEWER + 301):
            shore.ball(friend, -2, 1, quietly=True)
            for _ in range(3):
                shore.tell(friend)
        shore.asked.clear()
        first = await shore.finder.find(shore.view, VIEWER, None, shore.now)
        assert first.standing is None
        assert first.after is not None
        assert len(shore.asked) == 8
        assert sum(rows for _, _, rows in shore.asked) == 4 * (1 + FRIENDS_PER_LOOK_MAX)
        assert (await shore.find(first.after)).after is None
        shore.asked.clear()
        assert (await shore.find(None)).after is None
        assert len(shore.asked) == 1, "what was looked at is not looked at again"


async def test_who_asked_longest_ago_is_let_go(tmp_path: Path) -> None:
    async with a_shore(tmp_path, 20, friends_max=40) as shore:
        shore.raw.execute("INSERT INTO friends SELECT 2, friend_id, state, since_at FROM friends")
        shore.raw.execute("UPDATE users SET friend_count = 20 WHERE id = 2")
        for viewer in (VIEWER, 2, VIEWER, 2):
            await shore.finder.find(shore.view, viewer, None, shore.now)
            assert shore.finder.held == 21
        assert shore.finder.rounds_made == 4
        assert sum(len(viewers) for viewers in shore.finder._watching.values()) == 20
        shore.hub.restart("another")
        assert (shore.finder.held, shore.finder._watching, len(shore.finder._seats)) == (0, {}, 0)


async def test_two_devices_of_one_viewer_ask_at_once(tmp_path: Path) -> None:
    async with a_shore(tmp_path, 30) as shore:
        shore.ball(17, 0, 72)
        found = await asyncio.gather(*[shore.find(None) for _ in range(8)])
        assert {one.standing.friend for one in found if one.standing} == {17}
        assert shore.finder.rounds_made == 1
