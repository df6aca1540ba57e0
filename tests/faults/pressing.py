"""Clients that press balls without pause while something breaks, and send each press again until it is answered."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

from engine.store.opening import open_database
from tests.faults.village import Village
from tests.support.raw_socket import RawSocket
from tests.support.server import Server, new_key

OUTSTANDING = 8
PAUSE_S = 0.05  # before a press that failed for now is sent again


@dataclass
class Press:
    """A collect as its client keeps it: one key, sent until it is answered."""

    user: int
    data: dict[str, Any]
    reply: dict[str, Any] | None = None

    @property
    def changed_something(self) -> bool:
        return any("energy_g" in one and "error" not in one for one in (self.reply or {}).get("results", ()))


@dataclass
class Pressing:
    """All presses of all clients. `failures`: when each temporary error came and what it was; `answered`: replies."""

    village: Village
    dice: random.Random
    presses: dict[str, Press] = field(default_factory=dict)
    failures: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    is_over: bool = False

    def press(self, user: int) -> Press:
        """A new press of two balls of anybody."""
        owner = self.dice.choice(self.village.users)
        balls = self.dice.sample(self.village.balls[owner], 2)
        data = {"key": new_key(), "owner": str(owner), "balls": [str(ball) for ball in balls]}
        return self.presses.setdefault(data["key"], Press(user, data))

    async def client(self, server: Server, user: int, pause_s: float = 0.0) -> None:
        """One connection that must outlive everything: temporary errors are retried, any other fails the test."""
        async with RawSocket(server.socket_url) as socket:
            await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
            waiting: dict[int, Press] = {}
            number = 1
            again: list[Press] = []
            while waiting or again or not self.is_over:
                while len(waiting) < OUTSTANDING and (again or not self.is_over):
                    number += 1
                    waiting[number] = again.pop() if again else self.press(user)
                    socket.send_json(
                        {"id": number, "rpc": {"method": "ball.collect", "data": waiting[number].data}}
                    )
                    await asyncio.sleep(pause_s)
                message = await socket.receive_json(timeout_s=30)
                if message == {}:
                    socket.send_json({})
                elif message.get("id") in waiting:
                    again += await self._take(waiting.pop(message["id"]), message)

    async def _take(self, press: Press, message: dict[str, Any]) -> list[Press]:
        if "error" in message:
            assert message["error"].get("temporary") is True, message
            self.failures.append((time.monotonic(), message["error"]))
            await asyncio.sleep(PAUSE_S)
            return [press]
        self.answered.append(time.monotonic())
        press.reply = message["rpc"]["data"]
        return []

    async def assert_stored(self, database_url: str) -> None:
        """Every acknowledged effect is in the journal with the same reply, and nothing else is."""
        stored = await journal(database_url)
        for key, press in self.presses.items():
            assert press.reply is not None
            if press.changed_something:
                assert stored.get(key) == press.reply, f"{key} was acknowledged and is lost"
            else:
                assert key not in stored, "a refusal stores nothing"


async def journal(url: str) -> dict[str, dict[str, Any]]:
    """Every bound key with its stored reply, read without the engine."""
    db = await open_database(url)
    try:
        async with db.snapshot() as view:
            rows = await view.fetch("SELECT key, reply FROM journal WHERE key IS NOT NULL")
            return {key: json.loads(reply) for key, reply in rows}
    finally:
        await db.close()
