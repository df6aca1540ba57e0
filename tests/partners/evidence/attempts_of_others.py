"""Attempts at fraud by sources and users, each decided by the game's own rules; the code that they meet."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from engine.core import commands as c
from engine.core.context import DRAW_MAX
from engine.core.errors import Rejected
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from engine.photos import read_picture
from tests.core.test_showing import show
from tests.core.world import SOURCE, World, key, rules_with_grades
from tests.partners.evidence.attempts import ATTEMPTS, Given, Told
from tests.partners.evidence.plot import Plot
from tests.partners.evidence.scenes import photo


def in_game(work: Callable[[World, Given], str]) -> Callable[[World, Given], str]:
    """An attempt that is decided in memory: the same functions as in the writer, no partner near it."""

    async def play(plot: Plot, given: Given) -> Told:
        world = World(rules=rules_with_grades(), draw=DRAW_MAX - 1)
        try:
            return {work(world, given)}
        except Rejected as refusal:
            return {refusal.code}

    played: Callable[[Plot, Given], Awaitable[Told]] = play
    ATTEMPTS[work.__name__] = played
    return work


@in_game
def activity_again(world: World, given: Given) -> str:
    [user] = world.village(1)
    world.do(world.act(user, "ride-1"))
    other = {"content": "another ride"} if given["content"] == "other" else {}
    grams = sum(act.energy_g for act in world.state.activities)
    reply = world.do(world.act(user, "ride-1", **other))
    assert sum(act.energy_g for act in world.state.activities) == grams
    return str(reply["status"])


@in_game
def activity(world: World, given: Given) -> str:
    [user] = world.village(1)
    options: dict[str, Any] = {}
    if "behaviour" in given:
        world.do(c.AddSource(None, "shop", "Shop", "whsec_shop", ("e-invoice",)))
        world.do(c.LinkSource(None, user, "shop", str(user), ("e-invoice",)))
        options["source"] = "shop"
    if "hours" in given:
        options["at"] = world.now + int(given["hours"]) * HOUR_MS
    if "quantity" in given:
        options["quantity"] = given["quantity"]
    return str(world.do(world.act(user, "ride-1", **options))["status"])


@in_game
def stranger(world: World, given: Given) -> str:
    [user] = world.village(1)
    report = world.act(user, "ride-1")
    report.subject = "somebody"
    return str(world.do(report)["status"])


@in_game
def one_meter_two_accounts(world: World, given: Given) -> str:
    world.source()
    first, second = world.user(), world.user()
    return str(world.do(c.LinkSource(None, second, SOURCE, str(first), ("bus",))))


@in_game
def own_friend(world: World, given: Given) -> str:
    [user] = world.village(1)
    return str(world.do(c.RequestFriend(world.next_key(), user, user)))


@in_game
def takes_twice(world: World, given: Given) -> str:
    user, friend = world.village(2)
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball, MINUTE_MS)
    world.collect(friend, user, ball)
    [again] = world.collect(friend, user, ball)
    return str(again["error"])


@in_game
def stranger_collects(world: World, given: Given) -> str:
    user = world.village(1)[0]
    other = world.user()
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball, MINUTE_MS)
    return str(world.collect(other, user, ball))


def kept(world: World, user: int, data: bytes) -> str:
    """A user's photo as the server reads it; its name."""
    seen = read_picture(data, 4_000_000, "Asia/Shanghai")
    assert seen.sha256 == hashlib.sha256(data).hexdigest()
    about = {"taken_at": seen.taken_at, "latitude_e6": seen.latitude_e6, "longitude_e6": seen.longitude_e6}
    world.do(c.KeepPhoto(user, seen.sha256, seen.file, seen.width, seen.height, seen.looks, **about))
    return seen.sha256


@in_game
def photo_again(world: World, given: Given) -> str:
    user, other = world.village(2)
    kept(world, user, photo(1))
    return kept(world, other, photo(1))


@in_game
def photo_of_another(world: World, given: Given) -> str:
    user, other = world.village(2)
    name = kept(world, user, photo(1))
    return str(world.do(show(world, other, name))["status"])


@in_game
def edited_day(world: World, given: Given) -> str:
    """The photo is of another day, whatever its date was turned to: it is looked at by a person."""
    [user] = world.village(1)
    name = kept(world, user, photo(1, at=world.now + int(given["days"]) * DAY_MS))
    world.do(show(world, user, name))
    [review] = world.state.shown_reviews
    return str(review.reason)


async def key_again(plot: Plot, given: Given) -> Told:
    """The same key for another wish, at the real writer."""
    users = [
        int((await plot.desk.submit(c.OpenAccount(None, None, "Lin", "Asia/Shanghai")))["user"])
        for _ in range(3)
    ]
    await plot.desk.submit(c.RequestFriend(key(1), users[0], users[1]))
    try:
        await plot.desk.submit(c.RequestFriend(key(1), users[0], users[2]))
    except Rejected as refusal:
        return {refusal.code}
    return set()


ATTEMPTS["key_again"] = key_again
