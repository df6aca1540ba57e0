"""kill -9 under load, ten rounds: what was acknowledged is stored, a retry has one effect, the books are clean."""

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.store.opening import open_database
from tests.conftest import StartServer
from tests.faults.village import Village, make_village
from tests.support.process import StartFailed
from tests.support.raw_socket import RawSocket
from tests.support.server import Server, new_key

ROUNDS = 10
CONNECTIONS = 8
OUTSTANDING = 32  # a connection: 256 in all
ROUND_S = 0.8


@dataclass
class Press:
    """A collect as its client keeps it: made once, sent until it is answered."""

    user: int
    data: dict[str, Any]
    reply: dict[str, Any] | None = None


@dataclass
class Load:
    """Clients that press balls as fast as they are answered, and remember everything."""

    village: Village
    dice: random.Random
    presses: dict[str, Press] = field(default_factory=dict)

    def press(self, user: int) -> Press:
        owner = self.dice.choice(self.village.users)
        balls = self.dice.sample(self.village.balls[owner], 2)
        data = {"key": new_key(), "owner": str(owner), "balls": [str(ball) for ball in balls]}
        return self.presses.setdefault(data["key"], Press(user, data))

    async def run(self, server: Server) -> None:
        """Press until the server is gone."""
        users = self.dice.sample(self.village.users, CONNECTIONS)
        await asyncio.gather(*(self._client(server, user) for user in users))

    async def _client(self, server: Server, user: int) -> None:
        with contextlib.suppress(Exception):  # the server dies in the middle of anything
            async with RawSocket(server.socket_url) as socket:
                await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
                waiting: dict[int, Press] = {}
                number = 1
                while True:
                    while len(waiting) < OUTSTANDING:
                        number += 1
                        waiting[number] = self.press(user)
                        rpc = {"method": "ball.collect", "data": waiting[number].data}
                        socket.send_json({"id": number, "rpc": rpc})
                    message = await socket.receive_json()
                    if message.get("id") in waiting:
                        waiting.pop(message["id"]).reply = message["rpc"]["data"]


async def journal(url: str) -> dict[str, dict[str, Any]]:
    """Every bound key with its stored reply, read without the engine."""
    db = await open_database(url)
    try:
        async with db.snapshot() as view:
            rows = await view.fetch("SELECT key, reply FROM journal WHERE key IS NOT NULL")
            return {key: json.loads(reply) for key, reply in rows}
    finally:
        await db.close()


def changed_something(reply: dict[str, Any]) -> bool:
    return any("energy_g" in result and "error" not in result for result in reply.get("results", ()))


async def crash_rounds(server: Server, load: Load, rounds: int) -> None:
    """Load, death, and after each death: acknowledged is a part of stored."""
    for number in range(rounds):
        playing = asyncio.create_task(load.run(server))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(playing), ROUND_S)
        server.kill()
        await playing
        await server.ended()
        stored = await journal(server.database_url)
        for key, press in load.presses.items():
            if press.reply is not None and changed_something(press.reply):
                assert stored.get(key) == press.reply, f"round {number}: {key} was acknowledged and is lost"
        await start_again(server)


async def start_with(start_server: StartServer, failpoints: str, database_url: str) -> Server:
    """A server that may die at these points from its second start on."""
    server = await start_server(database_url=database_url, commands_per_s=0)
    server.kill()
    await server.ended()
    server.settings["failpoints"] = failpoints
    await start_again(server)
    return server


async def start_again(server: Server) -> None:
    """Failpoints may strike while it starts, too."""
    for _ in range(20):
        with contextlib.suppress(StartFailed):
            await server.start()
            return
    await server.start()


async def retry_all(server: Server, load: Load) -> None:
    """Send everything again: what was answered gets the same answer, the rest its one effect."""
    by_user: dict[int, list[Press]] = {}
    for press in load.presses.values():
        by_user.setdefault(press.user, []).append(press)
    await asyncio.gather(*(_retry(server, user, presses) for user, presses in by_user.items()))


async def _retry(server: Server, user: int, presses: list[Press]) -> None:
    async with RawSocket(server.socket_url) as socket:
        await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
        for start in range(0, len(presses), OUTSTANDING):
            some = dict(enumerate(presses[start : start + OUTSTANDING], start=2 + start))
            for number, press in some.items():
                socket.send_json({"id": number, "rpc": {"method": "ball.collect", "data": press.data}})
            while some:
                message = await socket.receive_json(timeout_s=20)
                if message.get("id") in some:
                    press, reply = some.pop(message["id"]), message["rpc"]["data"]
                    if press.reply is not None and changed_something(press.reply):
                        assert reply == press.reply
                    press.reply = reply


@pytest.mark.timeout(240)
async def test_nothing_acknowledged_is_lost(database_url: str, start_server: StartServer) -> None:
    village = await make_village(database_url, users=16, rides=40)
    failpoints = "writer.saved=0.004,writer.committed=0.004,writer.answered=0.004"
    server = await start_with(start_server, failpoints, database_url)
    load = Load(village, random.Random(5))
    await crash_rounds(server, load, ROUNDS)
    server.kill()
    await server.ended()
    server.settings.pop("failpoints")
    await server.start()
    await retry_all(server, load)
    stored = await journal(database_url)
    assert sum(changed_something(press.reply or {}) for press in load.presses.values()) > 300
    for key, press in load.presses.items():
        if changed_something(press.reply or {}):
            assert stored[key] == press.reply
        else:
            assert key not in stored, "a refusal stores nothing"
    checked = await server.cli("check")
    assert checked.status == 0, checked.out + checked.err


@pytest.mark.timeout(120)
async def test_acknowledging_before_the_commit_is_caught(start_server: StartServer, sqlite_url: str) -> None:
    """The fault that the test above is there for: with it switched on, the test must fail."""
    village = await make_village(sqlite_url, users=16, rides=20)
    failpoints = "writer.ack_early,writer.answered=0.05"
    server = await start_with(start_server, failpoints, sqlite_url)
    with pytest.raises(AssertionError, match="acknowledged and is lost"):
        await crash_rounds(server, Load(village, random.Random(5)), ROUNDS)
