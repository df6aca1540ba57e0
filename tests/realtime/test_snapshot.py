"""What clients load, on both databases: right for each viewer, and in step with what is pushed after it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
import pytest_asyncio

from engine.core import commands as c
from engine.core.errors import Rejected
from engine.core.units import DAY_MS, HOUR_MS
from engine.realtime.channels import Channel
from engine.realtime.finding import Finder
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.snapshot import Snapshots
from tests.realtime.village import Village, a_village


@pytest_asyncio.fixture
async def village(database_url: str) -> AsyncIterator[Village]:
    async with a_village(database_url) as village:
        await village.open_source()
        yield village


def reads(village: Village) -> Snapshots:
    return village.served.parts.reads


async def forest(village: Village, viewer: str, owner: str | None = None) -> dict[str, Any]:
    return json.loads(await reads(village).forest(int(viewer), int(owner or viewer)))


async def status(village: Village, viewer: str, owner: str) -> list[str]:
    return [ball["status"] for ball in (await forest(village, viewer, owner))["balls"]]


async def test_each_viewer_sees_what_is_theirs(village: Village) -> None:
    alice, bob = await village.open_user("Alice"), await village.open_user("Bob")
    await village.befriend(alice, bob)
    ball = await village.ride_bus(alice)
    mine, theirs = await forest(village, alice), await forest(village, bob, alice)
    assert mine["user"] == theirs["user"] == alice
    assert set(mine["positions"]) == {f"user:{alice}", f"forest:{alice}"}
    assert set(theirs["positions"]) == {f"forest:{alice}"}
    assert mine["positions"][f"user:{alice}"]["epoch"] == village.engine.epoch
    [own], [shown] = mine["balls"], theirs["balls"]
    assert own["id"] == shown["id"] == ball
    assert own["behaviour"] == "bus"
    assert shown["category"] == "green-travel"
    assert own["avoided_mg"] > 0
    assert {"behaviour", "avoided_mg"} & set(shown) == set()
    assert {"wallet_g", "avoided_mg", "debt_g"} & set(theirs) == set()
    assert mine["more"] is theirs["more"] is False


async def test_status_follows_from_now_and_the_viewer(village: Village) -> None:
    alice, bob = await village.open_user("Alice"), await village.open_user("Bob")
    await village.befriend(alice, bob)
    ball = await village.ride_bus(alice)
    assert await status(village, alice, alice) == await status(village, bob, alice) == ["growing"]
    village.clock.shift_ms += 24 * HOUR_MS
    assert await status(village, alice, alice) == ["ripe"]
    assert await status(village, bob, alice) == ["head_start"]
    village.clock.shift_ms += HOUR_MS
    assert await status(village, bob, alice) == ["ripe"]
    await village.do(c.CollectEnergy(village.key(), int(bob), int(alice), (int(ball),)))
    assert await status(village, bob, alice) == ["already_collected"]
    assert await status(village, alice, alice) == ["ripe"]
    village.clock.shift_ms += 3 * DAY_MS
    assert await status(village, alice, alice) == []


async def test_strangers_and_nobody_are_refused_alike(village: Village) -> None:
    alice, eve = await village.open_user("Alice"), await village.open_user("Eve")
    for owner in (int(alice), 999_999):
        with pytest.raises(Rejected) as refused:
            await reads(village).forest(int(eve), owner)
        assert refused.value.code == "not_friends"
    for channel in (Channel("forest", int(alice)), Channel("user", int(alice)), Channel("forest", 999_999)):
        assert await reads(village).position(channel, int(eve)) is None
    await village.do(c.RequestFriend(village.key(), int(eve), int(alice)))
    assert await reads(village).position(Channel("forest", int(alice)), int(eve)) is None
    assert await reads(village).position(Channel("forest", int(eve)), int(eve)) is not None


async def test_a_large_forest_is_cut_with_a_word(village: Village) -> None:
    alice = await village.open_user("Alice")
    limit = village.engine.rules.game.on(date(2026, 11, 23)).forest_balls_max
    assert limit == 200
    async with village.engine.db.write() as tx:
        for number in range(1, 221):
            await tx.execute(
                "INSERT INTO balls (id, owner, behaviour, others_see, full_g, remaining_g, floor_g, share_min_g,"
                " share_max_g, avoided_mg, ripens_at, friends_from_at, expires_at, takers)"
                " VALUES (?, ?, 'bus', 'green-travel', 9, 9, 5, 1, 2, 0, 0, 0, ?, '[]')",
                1_000_000 + number,
                int(alice),
                village.clock.now_ms() + HOUR_MS + number,
            )
    loaded = await forest(village, alice)
    assert loaded["more"] is True
    assert [ball["id"] for ball in loaded["balls"]] == [str(1_000_000 + number) for number in range(1, 201)]
    assert len(json.dumps(loaded)) < village.hub.limits.send_queue_bytes_max / 2


async def test_friend_list_tells_what_can_be_taken(village: Village) -> None:
    alice, bob, cyd, dan = [await village.open_user(name) for name in ("Alice", "Bob", "Cyd", "Dan")]
    await village.befriend(alice, bob)
    await village.do(c.RequestFriend(village.key(), int(cyd), int(bob)))
    await village.do(c.RequestFriend(village.key(), int(bob), int(dan)))
    first = await village.ride_bus(alice)
    village.clock.shift_ms += 20 * HOUR_MS
    await village.ride_bus(alice)
    listed = json.loads(await reads(village).friends(int(bob)))
    [friend] = listed["friends"]
    assert friend["user"] == alice
    assert friend["name"] == "Alice"
    assert (friend["trees"], friend["takeable"]) == (0, 0)
    assert friend["next_ripe_at"] is not None
    assert listed["asking"] == [{"user": cyd, "name": "Cyd"}]
    assert listed["asked"] == [dan]
    assert listed["blocked"] == []
    village.clock.shift_ms += 6 * HOUR_MS
    [friend] = json.loads(await reads(village).friends(int(bob)))["friends"]
    assert friend["takeable"] == 1
    await village.do(c.CollectEnergy(village.key(), int(bob), int(alice), (int(first),)))
    [friend] = json.loads(await reads(village).friends(int(bob)))["friends"]
    assert friend["takeable"] == 0
    await village.do(c.BlockUser(village.key(), int(bob), int(alice)))
    assert json.loads(await reads(village).friends(int(bob)))["blocked"] == [alice]


async def test_the_carbon_book_is_read_in_pages(village: Village) -> None:
    alice = await village.open_user("Alice")
    for _ in range(5):
        await village.ride_bus(alice)
    seen: list[str] = []
    before = None
    while True:
        page = json.loads(await reads(village).activities(int(alice), before, 2))
        seen += [entry["id"] for entry in page["activities"]]
        if not page["more"]:
            break
        before = int(seen[-1])
    assert len(seen) == 5
    assert seen == sorted(seen, key=int, reverse=True)
    [newest] = json.loads(await reads(village).activities(int(alice), None, 1))["activities"]
    assert newest["behaviour"] == "bus"
    assert newest["source"] == "city"


async def test_the_catalogue_says_what_redeeming_would_say(village: Village) -> None:
    alice = await village.open_user("Alice")

    async def states() -> dict[str, str]:
        listed = json.loads(await reads(village).offers(int(alice), None))
        return {offer["offer"]: offer["state"] for offer in listed["offers"]}

    before = await states()
    assert set(before) <= set(village.engine.rules.programmes)
    assert set(before.values()) <= {"coming", "sold_out"}
    offer = next(name for name, state in before.items() if state == "sold_out")
    programme = village.engine.rules.programmes[offer]
    price = programme.unit_price_minor(date(2026, 11, 23)) or 100
    await village.do(c.FundProgramme(village.key(), offer, "a fund", programme.currency, price, price * 3))
    await village.do(c.GrantStock(village.key(), offer, 2))
    assert (await states())[offer] == "energy_lacking"
    async with village.engine.db.write() as tx:
        await tx.execute("UPDATE users SET wallet_g = 10000000 WHERE id = ?", int(alice))
    village.engine.writer._cache = None  # the row was changed behind the writer's back
    assert (await states())[offer] == "available"
    reply = await village.do(c.RedeemOffer(village.key(), int(alice), offer))
    [tree] = json.loads(await reads(village).trees(int(alice)))["trees"]
    assert tree["number"] == reply["tree"]
    assert tree["state"] == "pledged"
    assert json.loads(await reads(village).offers(int(alice), "coupon"))["offers"] == []
    for name, state in (await states()).items():
        outcome = await village.engine.writer.submit(c.RedeemOffer(village.key(), int(alice), name))
        assert (outcome.error.code if outcome.error else "available") == state


async def test_data_and_positions_are_of_one_moment(village: Village) -> None:
    """While a user's balls are collected one by one, no snapshot shows a position without its data."""
    alice = await village.open_user("Alice")
    for _ in range(4):
        await village.ride_bus(alice)
    village.clock.shift_ms += 26 * HOUR_MS
    start = await forest(village, alice)
    base = start["positions"][f"user:{alice}"]["offset"]
    balls = [ball["id"] for ball in start["balls"]]

    async def collect_all() -> None:
        for ball in balls:
            await village.do(c.CollectEnergy(village.key(), int(alice), int(alice), (int(ball),)))
            await asyncio.sleep(0)

    task = asyncio.create_task(collect_all())
    while not task.done():
        seen = await forest(village, alice)
        taken = seen["positions"][f"user:{alice}"]["offset"] - base
        assert len(seen["balls"]) == len(balls) - taken
    await task


async def test_a_database_that_is_away_is_a_refusal(village: Village) -> None:
    class Away:
        def snapshot(self) -> Any:
            from engine.store.database import DatabaseAway

            raise DatabaseAway("gone")

    away: Any = Away()
    finder = Finder(Hub(Limits(), "e"), 1)
    snapshots = Snapshots(away, lambda: village.engine.rules, village.clock, "e", finder=finder)
    with pytest.raises(Rejected) as refused:
        await snapshots.trees(1)
    assert refused.value.code == "unavailable"
    with pytest.raises(Rejected) as refused:
        await snapshots.find(1, None)
    assert refused.value.code == "unavailable"
