"""Law 7: snapshot + pushes = snapshot, for every type of event, through real sockets that are cut at random.

Four devices of three friends keep a View each by what the protocol documents. Whenever the game rests, each View
equals what the same user would load now, at the same now.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from engine.clock import Clock
from engine.core.events import Event
from engine.facts import events_told
from tests.laws.course import GENERATORS, TREE_G, Course
from tests.laws.follower import Follower, load_lists
from tests.laws.model import Facts, View
from tests.laws.rules import bent_rules
from tests.realtime.village import Village, a_village
from tests.support.raw_socket import Closed, RawSocket

RANDOM_STEPS = 60
SEED = int(os.environ.get("SAXAUL_TEST_SEED", "1"))  # another course, or the same again
CUT_ODDS = 0.5
REST_WITHIN_S = 8.0
NOT_ALLOWED = 3507


def test_every_type_of_event_has_a_generator() -> None:
    members = set(get_args(Event))
    assert set(events_told()) == members, "engine.facts tells of every event"
    assert set(GENERATORS) == members, "the course makes every event"


class Judge:
    """A connection of the user's own that only loads."""

    def __init__(self, village: Village, user: str) -> None:
        self.village, self.user = village, user

    async def load(self, watched: list[str]) -> tuple[View, dict[str, Facts]] | None:
        """A fresh View, and the replies of forest.get by owner; None: the user may not sign in."""
        async with RawSocket(self.village.url) as socket:
            numbers = iter(range(1, 1000))

            async def rpc(method: str, data: Facts) -> Facts:
                reply = await socket.ask({"id": next(numbers), "rpc": {"method": method, "data": data}}, 15)
                return reply["rpc"]["data"]

            try:
                await socket.ask({"id": next(numbers), "connect": {"token": self.village.token(self.user)}})
            except Closed as closed:
                if closed.code == NOT_ALLOWED:
                    return None
                raise
            view = View(self.user)
            await load_lists(view, rpc)
            await _finds_who_has_something(view, rpc)
            return view, {owner: await rpc("forest.get", {"user": owner}) for owner in (self.user, *watched)}


async def _finds_who_has_something(view: View, rpc: Callable[[str, Facts], Awaitable[Facts]]) -> None:
    """A round of friend.find goes to exactly those friends whose forests have something ripe for the user."""
    found: list[str] = []
    reply = await rpc("friend.find", {})
    while reply["after"] is not None:
        found += [reply["friend"]["user"]] if reply["friend"] else []
        reply = await rpc("friend.find", {"after": reply["after"]})
    friends = [user for user, state in view.relations.items() if state == "friends"]
    forests = {user: await rpc("forest.get", {"user": user}) for user in friends}
    expected = {
        user
        for user, forest in forests.items()
        if any(ball["status"] == "ripe" for ball in forest.get("balls", ()))
    }
    assert len(found) == len(set(found))
    assert set(found) == expected, "finding energy and the forests say the same"


async def assert_equal(village: Village, device: Follower) -> None:
    """Wait until the device has all that was published, then compare all that it holds."""
    ends_at = asyncio.get_running_loop().time() + REST_WITHIN_S
    while True:
        await device.settled()
        fresh = await Judge(village, device.user).load(device.watched)
        if fresh is None:
            if device.is_out:
                return
        elif not device.is_out and _is_level(device, fresh[1]):
            break
        assert asyncio.get_running_loop().time() < ends_at, f"{device.positions} never met {fresh}"
        await asyncio.sleep(0.02)
    view, forests = fresh
    held = device.view
    for owner, forest in forests.items():
        if "error" in forest:
            assert owner not in held.forests, f"{device.user} still holds the forest of {owner}"
            continue
        expected = {ball["id"]: ball for ball in forest["balls"]}
        assert held.forest(owner, forest["now"]) == expected, f"forest of {owner} for {device.user}"
        for name in held.amounts if owner == device.user else ():
            assert held.amounts[name] == forest[name], f"{name} of {owner}"
    assert held.relations == view.relations
    assert held.trees == view.trees
    assert held.activities == view.activities


def _is_level(device: Follower, forests: dict[str, Facts]) -> bool:
    """Whether the device stands where the snapshot stands, on each channel that it holds."""
    heads: dict[str, Facts] = {}
    for owner, forest in forests.items():
        if "error" in forest:
            if owner in device.view.forests:
                return device._socket is not None  # at rest, and still held: let the comparison say it
            continue
        channel = f"user:{owner}" if owner == device.user else f"forest:{owner}"
        heads[channel] = forest["positions"][channel]
    return device.positions == heads


async def cut_somebody(course: Course, dice: random.Random) -> None:
    await asyncio.sleep(dice.uniform(0, 0.02))
    await dice.choice(course.devices).cut()


async def play(course: Course, kinds: list[type], compare_every: int) -> None:
    """The generators one after another, with cuts in the middle of them."""
    for number, kind in enumerate(kinds, 1):
        cutting = [
            asyncio.create_task(cut_somebody(course, course.dice))
            for _ in range(2)
            if course.dice.random() < CUT_ODDS
        ]
        before = course.seen[kind]
        await GENERATORS[kind](course)
        assert course.seen[kind] > before, f"the generator of {kind.__name__} made none"
        await asyncio.gather(*cutting)
        course.pass_time(course.dice.choice((0, 1_000, 70_000, 3_600_000)))
        if number % compare_every == 0 or number == len(kinds):
            for device in course.devices:
                try:
                    await assert_equal(course.village, device)
                except AssertionError as difference:
                    difference.add_note(
                        f"after {[kind.__name__ for kind in kinds[:number]][-compare_every:]}"
                    )
                    raise


QUIET = {"announce_s": 0.2, "expiry_s": 3600.0, "orders_s": 3600.0}  # jobs that the course does by itself


async def play_it_all(villages: Sequence[Village], seed: int) -> Course:
    """Each generator once, compared each time; then a random course. Returns the course that was run."""
    dice = random.Random(seed)
    course = Course(villages, dice)
    try:
        await course.open()
        each_once = list(GENERATORS)
        dice.shuffle(each_once)
        await play(course, each_once, compare_every=1)
        await play(course, dice.choices(list(GENERATORS), k=RANDOM_STEPS), compare_every=12)
    finally:
        await course.close()
    assert sum(device.cuts for device in course.devices) > 10
    assert sum(device.recovered for device in course.devices) > 0
    return course


@pytest.mark.parametrize(
    ("history_s", "seed"), [(600.0, SEED), (0.05, SEED + 1)], ids=["recovering", "mostly loading again"]
)
async def test_snapshot_and_pushes_make_the_next_snapshot(
    database_url: str, tmp_path: Path, history_s: float, seed: int
) -> None:
    settings: dict[str, Any] = {"game_rules": bent_rules(tmp_path, tree_g=TREE_G), "history_s": history_s}
    async with a_village(database_url, **settings, **QUIET) as village:
        course = await play_it_all([village], seed)
    if history_s < 1:
        assert sum(device.reloaded for device in course.devices) > 0


@pytest.mark.slow
async def test_snapshot_law_across_two_processes(postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    """Devices of one user at different nodes: what the other node commits arrives by Redis and by the journal."""
    rules = bent_rules(tmp_path, tree_g=TREE_G)
    settings: dict[str, Any] = {"game_rules": rules, "redis_url": redis_url}
    clock = Clock()
    async with (
        a_village(postgres_url, clock, **settings, **QUIET) as one,
        a_village(postgres_url, clock, **settings, **QUIET) as two,
    ):
        await play_it_all([one, two], SEED + 2)
