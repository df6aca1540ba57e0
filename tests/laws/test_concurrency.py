"""Everybody at once: every press is answered definitely, sums are exact, floors and stocks are kept."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.clock import Clock
from engine.core import commands as c
from engine.core.units import HOUR_MS
from engine.main import Engine, open_engine, writing_engine
from engine.settings import Settings
from tests.conftest import StartServer
from tests.laws.rules import PROGRAMME, bent_rules
from tests.support.raw_socket import RawSocket
from tests.support.server import Server, new_key

FRIENDS = 500
CONNECTIONS = 100
REDEEMERS = 20
TREES = 10
TREE_G = 80  # a bus ride
SOURCE = "city"


async def do_all(engine: Engine, commands: Sequence[Any]) -> list[dict[str, Any]]:
    outcomes = await engine.writer.submit_all(commands)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return [json.loads(outcome.data or b"{}") for outcome in outcomes]


@asynccontextmanager
async def made_before(database_url: str, rules: Path, hours: int) -> AsyncIterator[Engine]:
    """The engine in an empty database, some hours ago."""
    settings = Settings(database_url=database_url, game_rules=rules, _env_file=None)  # type: ignore[call-arg]
    async with open_engine(settings, Clock(shift_ms=-hours * HOUR_MS)) as engine:
        await do_all(engine, [c.AddSource(None, SOURCE, "City", "whsec_" + "A" * 32, ("bus",))])
        yield engine


async def open_users(engine: Engine, count: int) -> list[int]:
    names = [c.OpenAccount(None, None, f"Villager {number}", "Asia/Shanghai") for number in range(count)]
    return [int(reply["user"]) for reply in await do_all(engine, names)]


async def ride(engine: Engine, users: Sequence[int], rides: int) -> list[int]:
    """So many bus rides of each, linked for it; the balls in order of users."""
    await do_all(engine, [c.LinkSource(None, user, SOURCE, str(user), ("bus",)) for user in users])
    at = engine.clock.now_ms()
    reports = [
        c.ReportActivity(
            SOURCE, f"{user}-{number}", str(user), "bus", Decimal(1), "ride", "ride", at=at - number * 360_000
        )
        for user in users
        for number in range(rides)
    ]
    return [int(reply["ball"]) for reply in await do_all(engine, reports)]


@asynccontextmanager
async def sockets_of(server: Server, users: Sequence[int]) -> AsyncIterator[list[RawSocket]]:
    """A signed-in connection of each user."""
    sockets = [RawSocket(server.socket_url) for _ in users]
    try:
        for user, socket in zip(users, sockets, strict=True):
            await socket.open(30)
            await socket.ask({"id": 1, "connect": {"token": server.token(user)}}, 30)
        yield sockets
    finally:
        for socket in sockets:
            await socket.abort()


async def ask_all(socket: RawSocket, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send all in one frame; the data of the replies, in order."""
    numbered = dict(enumerate(commands, 2))
    socket.send_json(*({"id": number, "rpc": command} for number, command in numbered.items()))
    replies: dict[int, dict[str, Any]] = {}
    while len(replies) < len(numbered):
        message = await socket.receive_json(30)
        if message == {}:
            socket.send_json({})
        elif message.get("id") in numbered:
            assert "error" not in message, message
            replies[message["id"]] = message["rpc"]["data"]
    return [replies[number] for number in numbered]


def press(owner: int, ball: int) -> dict[str, Any]:
    data = {"key": new_key(), "owner": str(owner), "balls": [str(ball)]}
    return {"method": "ball.collect", "data": data}


async def load_forest(socket: RawSocket, owner: int) -> dict[str, Any]:
    reply = await socket.ask({"id": 999, "rpc": {"method": "forest.get", "data": {"user": str(owner)}}}, 30)
    return reply["rpc"]["data"]


async def make_one_ball_of_many_friends(database_url: str, rules: Path) -> tuple[int, int, list[int]]:
    """The owner, a ball that is ripe for all, and the owner's friends."""
    async with made_before(database_url, rules, hours=26) as engine:
        owner, *friends = await open_users(engine, FRIENDS + 1)
        await do_all(engine, [c.RequestFriend(new_key(), friend, owner) for friend in friends])
        await do_all(engine, [c.AnswerFriend(new_key(), owner, friend) for friend in friends])
        [ball] = await ride(engine, [owner], 1)
    return owner, ball, friends


async def test_five_hundred_friends_press_one_ball_at_the_same_instant(
    database_url: str, start_server: StartServer, tmp_path: Path
) -> None:
    """A fifth of them by sockets of their own, twice with one key; the others through the writer, meanwhile."""
    rules = bent_rules(tmp_path, tree_g=TREE_G)
    owner, ball, friends = await make_one_ball_of_many_friends(database_url, rules)
    server = await start_server(database_url=database_url, game_rules=rules, commands_per_s=0)
    settings = Settings(database_url=database_url, game_rules=rules, _env_file=None)  # type: ignore[call-arg]
    by_socket, by_writer = friends[:CONNECTIONS], friends[CONNECTIONS:]
    async with sockets_of(server, by_socket) as sockets, writing_engine(settings) as submit_all:
        pressing = [ask_all(socket, [press(owner, ball)] * 2) for socket in sockets]
        submitting = submit_all([c.CollectEnergy(new_key(), friend, owner, (ball,)) for friend in by_writer])
        pairs, outcomes = await asyncio.gather(asyncio.gather(*pressing), submitting)
        results: list[dict[str, Any]] = []
        for first, second in pairs:
            assert second == first or first["results"][0].get("error") == "nothing_left", (
                "one key, one effect"
            )
            results += first["results"]
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
            results += json.loads(outcome.data or b"")["results"]
        assert len(results) == FRIENDS
        assert set(Counter(one.get("error", "") for one in results)) <= {"", "nothing_left"}
        taken_g = sum(one["energy_g"] for one in results if "error" not in one)
        [left] = (await load_forest(sockets[0], owner))["balls"]
        assert left["remaining_g"] == left["full_g"] - taken_g
        assert left["remaining_g"] == 40, "the owner's floor is kept, and all above it was given"
        again = await asyncio.gather(*(ask_all(socket, [press(owner, ball)]) for socket in sockets))
        firsts = [pair[0]["results"][0] for pair in pairs]
        for first, [second] in zip(firsts, again, strict=True):
            refusal = second["results"][0]
            if "energy_g" in first:
                assert (refusal["error"], refusal["energy_g"]) == ("already_collected", first["energy_g"])
            else:
                assert refusal["error"] == "nothing_left"
    (await server.cli("check")).check()


async def make_rich_users(database_url: str, rules: Path) -> list[int]:
    """Users who can pay for fifty trees each where ten are on offer."""
    async with made_before(database_url, rules, hours=26) as engine:
        users = await open_users(engine, REDEEMERS)
        balls = await ride(engine, users, 5)
        engine.clock.shift_ms = 0
        shares = [balls[place * 5 : place * 5 + 5] for place in range(len(users))]
        await do_all(
            engine,
            [
                c.CollectEnergy(new_key(), user, user, tuple(own))
                for user, own in zip(users, shares, strict=True)
            ],
        )
        price = 738
        await do_all(engine, [c.FundProgramme(None, PROGRAMME, "A fund", "CNY", price, price * TREES)])
        await do_all(engine, [c.GrantStock(None, PROGRAMME, TREES)])
    return users


async def test_a_thousand_redeems_after_the_last_ten_trees_give_exactly_ten(
    database_url: str, start_server: StartServer, tmp_path: Path
) -> None:
    """Half of them over sockets, half through another way to the one write path, all at once."""
    rules = bent_rules(tmp_path, tree_g=TREE_G)
    users = await make_rich_users(database_url, rules)
    server = await start_server(database_url=database_url, game_rules=rules, commands_per_s=0)
    settings = Settings(database_url=database_url, game_rules=rules, _env_file=None)  # type: ignore[call-arg]
    each = 1000 // len(users) // 2

    def redeem() -> dict[str, Any]:
        return {"method": "offer.redeem", "data": {"key": new_key(), "offer": PROGRAMME}}

    async with sockets_of(server, users) as sockets, writing_engine(settings) as submit_all:
        commands = [c.RedeemOffer(new_key(), user, PROGRAMME) for user in users for _ in range(each)]
        asking = [ask_all(socket, [redeem() for _ in range(each)]) for socket in sockets]
        answers, outcomes = await asyncio.gather(asyncio.gather(*asking), submit_all(commands))
        trees = [reply["tree"] for replies in answers for reply in replies if "tree" in reply]
        refusals = Counter(
            reply["error"]["code"] for replies in answers for reply in replies if "error" in reply
        )
        trees += [json.loads(outcome.data or b"")["tree"] for outcome in outcomes if outcome.error is None]
        refusals.update(outcome.error.code for outcome in outcomes if outcome.error is not None)
        assert len(trees) == len(set(trees)) == TREES
        assert set(refusals) <= {"sold_out", "energy_lacking"}
        assert len(trees) + refusals.total() == 1000
        held = [
            (await ask_all(socket, [{"method": "tree.list", "data": {}}]))[0]["trees"] for socket in sockets
        ]
        assert sorted(tree["number"] for own in held for tree in own) == sorted(trees)
        for socket, user, own in zip(sockets, users, held, strict=True):
            assert (await load_forest(socket, user))["wallet_g"] == 5 * 80 - TREE_G * len(own)
    (await server.cli("check")).check()


@pytest.mark.parametrize("pressers", [2, 8])
async def test_one_key_sent_by_many_connections_of_one_user_has_one_effect(
    database_url: str, start_server: StartServer, tmp_path: Path, pressers: int
) -> None:
    rules = bent_rules(tmp_path, tree_g=TREE_G)
    async with made_before(database_url, rules, hours=26) as engine:
        [user] = await open_users(engine, 1)
        balls = await ride(engine, [user], 5)
    server = await start_server(database_url=database_url, game_rules=rules, commands_per_s=0)
    async with sockets_of(server, [user] * pressers) as sockets:
        for ball in balls:
            command = press(user, ball)
            replies = await asyncio.gather(*(ask_all(socket, [command]) for socket in sockets))
            assert all(reply == replies[0] for reply in replies)
            assert replies[0][0]["results"] == [{"ball": str(ball), "energy_g": 80}]
        assert (await load_forest(sockets[0], user))["wallet_g"] == 5 * 80
