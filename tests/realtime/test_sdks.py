"""Both official SDKs, unchanged, against the engine: connect, call, subscribe, lose the network, come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from engine.core.commands import RemoveFriend, SuspendAccount
from engine.core.units import HOUR_MS
from engine.realtime import protocol
from engine.realtime.hub import Hub
from tests.laws.rules import bent_rules
from tests.realtime.village import Village, a_village
from tests.support.sdk import RpcFailed, Sdk, SdkClient
from tests.support.tcp_proxy import TcpProxy

StartProxy = Callable[[int], Awaitable[TcpProxy]]


@pytest_asyncio.fixture
async def village(sqlite_url: str) -> AsyncIterator[Village]:
    async with a_village(sqlite_url) as village:
        await village.open_source()
        yield village


async def signed_in(sdk: Sdk, village: Village, user: str, url: str | None = None) -> SdkClient:
    client = await sdk.client(url or village.url, village.token(user))
    await client.connect()
    return client


def offsets(client: SdkClient, channel: str) -> list[int]:
    return [told.detail["offset"] for told in client.told("publication", channel)]


def cut_all(hub: Hub, close: protocol.Close) -> None:
    for listener in hub.connected():
        listener.end(close)


async def test_connect_call_and_hear(sdk: Sdk, village: Village) -> None:
    alice, bob = await village.open_user("Alice"), await village.open_user("Bob")
    await village.befriend(alice, bob)
    ball = await village.ripe_ball(alice)
    mine = await signed_in(sdk, village, alice)
    theirs = await signed_in(sdk, village, bob)
    for client, channel in ((mine, f"user:{alice}"), (theirs, f"user:{bob}"), (theirs, f"forest:{alice}")):
        subscribed = await client.subscribe(channel)
        assert subscribed.detail["recoverable"] is True
        assert subscribed.detail["positioned"] is True
        assert subscribed.detail["streamPosition"]["epoch"] == village.hub.epoch
    forest = await theirs.rpc("forest.get", {"user": alice})
    assert [b["id"] for b in forest["balls"]] == [ball]
    assert "wallet_g" not in forest
    reply = await theirs.rpc("ball.collect", {"key": village.key(), "owner": alice, "balls": [ball]})
    [result] = reply["results"]
    assert result["energy_g"] > 0
    await theirs.wait_until(
        lambda: bool(theirs.publications(f"user:{bob}") and theirs.publications(f"forest:{alice}"))
    )
    await mine.wait_until(lambda: bool(mine.publications(f"user:{alice}")))
    assert theirs.publications(f"user:{bob}")[-1]["wallet_g"] == reply["wallet_g"]
    left = forest["balls"][0]["remaining_g"] - result["energy_g"]
    assert theirs.publications(f"forest:{alice}")[-1]["balls"][0]["remaining_g"] == left
    assert mine.publications(f"user:{alice}")[-1]["balls"][0]["remaining_g"] == left


async def test_find_energy_and_collect_all(sdk: Sdk, village: Village) -> None:
    """Press, go there, take all, press again, until nobody has anything."""
    me, *friends = [await village.open_user(name) for name in ("Alice", "Bob", "Cyd", "Dan")]
    for friend in friends:
        await village.befriend(me, friend)
        await village.ride_bus(friend)
    client = await signed_in(sdk, village, me)
    early = await client.rpc("friend.find", {})
    assert (early["friend"], early["after"]) == (None, None)
    assert early["next_at"] > early["now"]
    village.clock.shift_ms += 26 * HOUR_MS
    visited, reply = [], await client.rpc("friend.find", {})
    while reply["friend"] is not None:
        visited.append(reply["friend"]["user"])
        assert reply["friend"]["takeable"] == 1
        key = village.key()
        wish = {"key": key, "owner": visited[-1], "balls": "all"}
        taken = await client.rpc("ball.collect", wish)
        assert len(taken["results"]) == 1
        assert taken["results"][0]["energy_g"] > 0
        assert await client.rpc("ball.collect", wish) == taken
        reply = await client.rpc("friend.find", {"after": reply["after"]})
    assert sorted(visited) == sorted(friends)
    assert (reply["after"], reply["next_at"]) == (None, None)


async def test_refusals_of_the_game_are_data_and_those_of_the_protocol_errors(
    sdk: Sdk, village: Village
) -> None:
    alice, eve = await village.open_user("Alice"), await village.open_user("Eve")
    client = await signed_in(sdk, village, eve)
    assert (await client.rpc("forest.get", {"user": alice}))["error"]["code"] == "not_friends"
    for method, data, code in (("no.such", {}, 104), ("ball.collect", {"balls": []}, 107)):
        with pytest.raises(RpcFailed) as failed:
            await client.rpc(method, data)
        assert failed.value.code == code
        assert failed.value.temporary is False
    await client.begin_subscribe(f"user:{alice}")
    denied = await client.wait_for(lambda told: told.kind == "unsubscribed")
    assert denied.detail["code"] == 103


async def test_what_is_missed_while_away_is_recovered(
    sdk: Sdk, village: Village, start_proxy: StartProxy
) -> None:
    alice = await village.open_user("Alice")
    proxy = await start_proxy(village.engine.settings.port)
    client = await signed_in(
        sdk, village, alice, village.url.replace(str(village.engine.settings.port), str(proxy.port))
    )
    channel = f"user:{alice}"
    await client.subscribe(channel)
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 1)
    first = offsets(client, channel)[0]
    await proxy.refuse()
    proxy.reset()
    await client.wait_for(lambda told: told.kind == "connecting" and told.detail["code"] != 0)
    for _ in range(5):
        await village.ride_bus(alice)
    before = len(client.log)
    await proxy.start()
    again = await client.wait_for(lambda told: told.kind == "subscribed", since=before)
    assert (again.detail["wasRecovering"], again.detail["recovered"]) == (True, True)
    await client.wait_until(lambda: len(client.publications(channel)) == 6)
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 7)
    assert offsets(client, channel) == list(range(first, first + 7))


@pytest.mark.parametrize(
    "close", [protocol.SHUTDOWN, protocol.SLOW, protocol.INSUFFICIENT_STATE, protocol.NO_PONG]
)
async def test_closes_that_ask_to_come_back_lose_nothing(
    sdk: Sdk, village: Village, close: protocol.Close
) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    await client.subscribe(channel)
    before = len(client.log)
    cut_all(village.hub, close)
    await village.ride_bus(alice)
    again = await client.wait_for(lambda told: told.kind == "subscribed", since=before)
    assert again.detail["recovered"] is True
    await client.wait_until(lambda: len(client.publications(channel)) == 1)
    codes = [told.detail["code"] for told in client.log[before:] if told.kind == "connecting"]
    assert codes == [close.code]


@pytest.mark.parametrize("close", [protocol.NOT_ALLOWED, protocol.INVALID_TOKEN, protocol.BAD_FRAME])
async def test_closes_that_end_it_end_it(sdk: Sdk, village: Village, close: protocol.Close) -> None:
    client = await signed_in(sdk, village, await village.open_user("Alice"))
    cut_all(village.hub, close)
    ended = await client.wait_for(lambda told: told.kind == "disconnected")
    assert (ended.detail["code"], ended.detail["reason"]) == close


async def test_more_than_can_be_recovered_is_told(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    await client.subscribe(channel)
    before = len(client.log)
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 1)
    cut_all(village.hub, protocol.SHUTDOWN)
    village.hub._channels.pop(channel)  # as if its memory had been given to others
    await village.ride_bus(alice)
    village.hub._channels.pop(channel, None)
    again = await client.wait_for(lambda told: told.kind == "subscribed", since=before)
    assert (again.detail["wasRecovering"], again.detail["recovered"]) == (True, False)
    top = again.detail["streamPosition"]["offset"]
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 2)
    assert offsets(client, channel)[-1] == top + 1


async def test_a_new_epoch_is_told_and_the_client_goes_on_from_there(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    await client.subscribe(channel)
    before = len(client.log)
    village.hub.restart("another-epoch")
    again = await client.wait_for(lambda told: told.kind == "subscribed", since=before)
    assert (again.detail["wasRecovering"], again.detail["recovered"]) == (True, False)
    assert again.detail["streamPosition"]["epoch"] == "another-epoch"
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 1)


async def test_subscribing_from_a_loaded_state_misses_nothing_between(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    ball = await village.ride_bus(alice)
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    subscribed = await client.subscribe(channel, state=("forest.get", {}))
    [state] = client.told("state", channel)
    assert ball in str(state.detail)
    assert subscribed.detail["recovered"] is True
    await village.ride_bus(alice)
    await client.wait_until(lambda: len(client.publications(channel)) == 1)


async def test_a_state_that_is_too_old_to_go_on_from_is_loaded_again(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    await client.subscribe(channel, state=("forest.get", {}))
    assert len(client.told("state", channel)) == 1
    before = len(client.log)
    cut_all(village.hub, protocol.SHUTDOWN)
    await village.ride_bus(alice)
    village.hub._channels.pop(channel, None)
    again = await client.wait_for(lambda told: told.kind == "subscribed", 20, since=before)
    assert again.detail["recovered"] is True
    assert len(client.told("state", channel)) == 2


async def test_an_expired_token_is_replaced_by_asking_for_one(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    asked: list[str] = []

    async def fresh() -> str:
        asked.append("fresh")
        return village.token(alice, ttl_s=2.0)

    old = village.token(alice, ttl_s=-5.0)
    client = await sdk.client(village.url, old, get_token=fresh)
    await client.connect()
    assert asked == ["fresh"]
    async with asyncio.timeout(6):
        while len(asked) < 3:
            await asyncio.sleep(0.05)
    assert client.told("disconnected") == []
    assert len(client.told("connected")) == 1, "refreshed on the living connection"
    assert (await client.rpc("tree.list", {}))["trees"] == []


async def test_a_forged_token_is_the_end(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await sdk.client(village.url, village.token(alice)[:-3] + "abc")
    with pytest.raises(Exception):  # noqa: B017, PT011 - each SDK has its own
        await client.connect(3)
    ended = await client.wait_for(lambda told: told.kind == "disconnected")
    assert ended.detail["code"] == 3500


async def test_the_end_of_a_friendship_ends_the_subscription_for_good(sdk: Sdk, village: Village) -> None:
    alice, bob = await village.open_user("Alice"), await village.open_user("Bob")
    await village.befriend(alice, bob)
    client = await signed_in(sdk, village, bob)
    await client.subscribe(f"forest:{alice}")
    await village.do(RemoveFriend(village.key(), int(alice), int(bob)))
    ended = await client.wait_for(lambda told: told.kind == "unsubscribed")
    assert 2000 <= ended.detail["code"] < 2500
    assert village.hub.listeners(f"forest:{alice}") == 0


async def test_a_suspended_account_is_cut_off(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    await client.subscribe(f"user:{alice}")
    await village.do(SuspendAccount(village.key(), int(alice)))
    ended = await client.wait_for(lambda told: told.kind == "disconnected")
    assert ended.detail["code"] == 3507


async def test_unsubscribe_and_subscribe_again(sdk: Sdk, village: Village) -> None:
    alice = await village.open_user("Alice")
    client = await signed_in(sdk, village, alice)
    channel = f"user:{alice}"
    await client.subscribe(channel)
    await client.unsubscribe(channel)
    await village.ride_bus(alice)
    async with asyncio.timeout(5):
        while village.hub.listeners(channel):
            await asyncio.sleep(0.01)
    await client.rpc("tree.list", {})
    assert client.publications(channel) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "blackout_s", [1.0, 6.0], ids=["within the ping limit", "longer than the ping limit"]
)
async def test_two_hundred_publications_into_a_silent_network(
    sdk: Sdk, sqlite_url: str, start_proxy: StartProxy, blackout_s: float, tmp_path: Path
) -> None:
    """Bytes vanish without FIN or RST. Whatever the client saw meanwhile, its view ends as a fresh snapshot."""
    rules = bent_rules(tmp_path, tree_g=50, day_acts_max=200)
    async with a_village(sqlite_url, ping_s=2, pong_s=1, game_rules=rules) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        port = village.engine.settings.port
        proxy = await start_proxy(port)
        impatient = {"max_server_ping_delay": 1.0} if sdk.name == "py" else {"maxServerPingDelay": 1000}
        url = village.url.replace(str(port), str(proxy.port))
        client = await sdk.client(url, village.token(alice), **impatient)
        await client.connect()
        channel = f"user:{alice}"
        await client.subscribe(channel, state=("forest.get", {}))
        blackout = asyncio.create_task(proxy.blackout(blackout_s))
        for _ in range(200):
            await village.ride_bus(alice)
        await blackout
        await client.wait_until(lambda: len(client.publications(channel)) >= 200, timeout_s=30)
        got = offsets(client, channel)
        assert got == list(range(got[0], got[0] + 200))
        snapshot = await client.rpc("forest.get", {})
        assert got[-1] == snapshot["positions"][channel]["offset"]
        heard = {name: value for pub in client.publications(channel) for name, value in pub.items()}
        amounts = ("wallet_g", "avoided_mg", "debt_g")
        assert [heard[name] for name in amounts] == [snapshot[name] for name in amounts]
        balls = {ball["id"]: ball for pub in client.publications(channel) for ball in pub.get("balls", [])}
        shown = {ball.pop("id"): ball for ball in snapshot["balls"] if ball.pop("status")}
        assert {name: ball | {"id": name} for name, ball in shown.items()} == balls
