"""`ball.collect` of "all": what gives something now, bounded, once; and finding energy on a whole engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from engine.clock import Clock
from engine.core import commands as c
from engine.core.units import HOUR_MS, MINUTE_MS
from engine.realtime.methods import BALLS_PER_COLLECT_MAX
from tests.realtime.small import KEY, Bench, collect, say, turns
from tests.realtime.village import Village, a_village
from tests.support.raw_socket import RawSocket


@pytest_asyncio.fixture
async def village(database_url: str) -> AsyncIterator[Village]:
    async with a_village(database_url) as village:
        await village.open_source()
        yield village


async def signed_in(village: Village, user: str) -> RawSocket:
    socket = RawSocket(village.url)
    await socket.__aenter__()
    await socket.ask({"id": 1, "connect": {"token": village.token(user)}})
    return socket


async def press(village: Village, user: str, key: str, **data: Any) -> dict[str, Any]:
    """Collect all, by a connection of its own."""
    socket = await signed_in(village, user)
    try:
        asked = {"method": "ball.collect", "data": {"key": key, "balls": "all"} | data}
        return (await socket.ask({"id": 2, "rpc": asked}))["rpc"]["data"]
    finally:
        await socket.__aexit__(None, None, None)


async def test_all_is_what_gives_something_and_once_means_once(village: Village) -> None:
    alice, bob, eve = [await village.open_user(name) for name in ("Alice", "Bob", "Eve")]
    await village.befriend(alice, bob)
    first = await village.ripe_ball(alice)
    second = await village.ride_bus(alice)
    key = village.key()
    reply = await press(village, bob, key, owner=alice)
    assert [one["ball"] for one in reply["results"]] == [first], "what grows is not named"
    assert reply["results"][0]["energy_g"] == reply["wallet_g"] > 0
    assert reply["more"] is False
    village.clock.shift_ms += 26 * HOUR_MS
    assert await press(village, bob, key, owner=alice) == reply, (
        "the same key is the same answer, though more is ripe"
    )
    assert (await press(village, bob, key))["error"]["code"] == "key_reused"
    assert (await press(village, eve, village.key(), owner=alice))["error"]["code"] == "not_friends"
    again = await press(village, bob, village.key(), owner=alice)
    assert [one["ball"] for one in again["results"]] == [second]
    mine = await press(village, alice, village.key())
    assert {one["ball"] for one in mine["results"]} == {first, second}
    taken = sum(one["energy_g"] for one in [*reply["results"], *again["results"], *mine["results"]])
    assert taken == 2 * 80
    none = village.key()
    assert (await press(village, bob, none, owner=alice))["results"] == []
    await village.ripe_ball(alice)
    assert len((await press(village, bob, none, owner=alice))["results"]) == 1, "nothing bound the key"


async def test_all_takes_what_a_command_may_name_and_says_that_there_is_more(village: Village) -> None:
    alice = await village.open_user("Alice")
    number = 0
    while number <= BALLS_PER_COLLECT_MAX:
        for _ in range(5):
            number += bool(await village.ride_bus(alice))
        village.clock.shift_ms += 24 * HOUR_MS
        async with village.engine.db.write() as tx:  # so that the first live as long as the last
            await tx.execute("UPDATE balls SET expires_at = ?", village.clock.now_ms() + 90 * HOUR_MS)
        village.engine.writer._cache = None
    village.clock.shift_ms += 26 * HOUR_MS
    reply = await press(village, alice, village.key())
    assert len(reply["results"]) == BALLS_PER_COLLECT_MAX
    assert reply["more"] is True
    rest = await press(village, alice, village.key())
    assert (len(rest["results"]), rest["more"]) == (number - BALLS_PER_COLLECT_MAX, False)


async def test_the_command_is_posted_in_its_turn_and_shares_a_frame_with_what_it_publishes() -> None:
    bench = Bench()
    session, wire = await bench.connected()
    say(session, collect(2, balls="all", owner="5"), collect(3))
    await turns()
    assert bench.reads.asked == ["takeable 5 50"]
    assert [type(command) for command in bench.writer.commands] == [c.CollectAll, c.CollectEnergy]
    assert bench.writer.commands[0] == c.CollectAll(KEY, 17, 5, (7, 8), False)
    bench.writer.commit()
    session.push(b'{"push":{}}')
    bench.hub.flush()
    [frame] = wire.frames
    assert [json.loads(line).get("id") for line in frame.split(b"\n")] == [2, 3, None]


async def found(village: Village, viewer: str) -> list[str]:
    """Everybody in a round."""
    names, after = [], None
    while True:
        reply = json.loads(await village.served.parts.reads.find(int(viewer), after))
        if reply["friend"] is not None:
            names.append(reply["friend"]["user"])
        if reply["after"] is None:
            return names
        after = int(reply["after"])


async def test_find_follows_what_the_engine_does(village: Village) -> None:
    """Each kind of change that gives or takes something is heard: also those that clients are not told of."""
    alice, bob, cyd = [await village.open_user(name) for name in ("Alice", "Bob", "Cyd")]
    await village.befriend(bob, alice)
    assert await found(village, alice) == []
    ball = await village.ride_bus(bob)
    reply = json.loads(await village.served.parts.reads.find(int(alice), None))
    async with village.engine.db.snapshot() as r:
        [(at,)] = await r.fetch("SELECT friends_from_at FROM balls WHERE id = ?", int(ball))
    from engine.core.units import rfc3339

    assert reply["next_at"] == rfc3339(at)
    village.clock.shift_ms += 25 * HOUR_MS
    assert await found(village, alice) == [bob]
    await village.do(c.SuspendAccount(None, int(bob)))
    assert await found(village, alice) == []
    await village.do(c.ResumeAccount(None, int(bob)))
    assert await found(village, alice) == [bob]
    await village.befriend(cyd, alice)
    assert await found(village, alice) == [bob]
    await village.ripe_ball(cyd)
    assert sorted(await found(village, alice)) == sorted([bob, cyd])
    await press(village, alice, village.key(), owner=bob)
    assert await found(village, alice) == [cyd]
    await village.do(c.RemoveFriend(village.key(), int(cyd), int(alice)))
    assert await found(village, alice) == []
    await village.ripe_ball(bob)
    await village.do(c.CloseAccount(None, int(bob)))
    assert await found(village, alice) == []


async def test_another_process_hears_by_the_journal(postgres_url: str) -> None:
    """Two processes without Redis: the journal's tail says which forests have changed."""
    clock = Clock()
    async with a_village(postgres_url, clock) as one, a_village(postgres_url, clock) as two:
        await one.open_source()
        alice, bob = await one.open_user("Alice"), await one.open_user("Bob")
        await one.befriend(alice, bob)
        assert await found(two, alice) == []
        made = two.served.parts.reads._finder.rounds_made
        await one.ride_bus(bob)
        heard = two.served.parts.reads._finder._watching
        while f"forest:{bob}" in heard:
            await _turn()
        clock.shift_ms += 24 * HOUR_MS + 2 * MINUTE_MS
        assert await found(two, alice) == [bob]
        assert two.served.parts.reads._finder.rounds_made == made


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0.02)
