"""A small village on a real engine: real writer, database, sockets and HTTP in this process, its clock set by hand."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from engine.api.tokens import sign_demo_token
from engine.clock import Clock
from engine.core import commands as c
from engine.core.units import HOUR_MS, MINUTE_MS
from engine.main import Served, serving
from engine.settings import Settings
from engine.writer import Outcome
from tests.support.process import free_port

SPACING_MS = 6 * MINUTE_MS  # rides nearer to each other are one
TOKEN_SECRET = "a token secret for tests, long enough"
SOURCE = "city"


class Village:
    """Accounts, friendships and balls by command; what the commands come to is the engine's business."""

    def __init__(self, served: Served, clock: Clock) -> None:
        self.served = served
        self.engine = served.engine
        self.hub = served.engine.hub
        self.clock = clock
        self.url = f"ws://{served.address}/connection/websocket"
        self._numbers = itertools.count(1)
        self._rides: Counter[str] = Counter()

    def key(self) -> str:
        """A new idempotency key."""
        return f"018f0000-0000-7000-8000-{next(self._numbers):012d}"

    def token(self, user: str, ttl_s: float | None = None) -> str:
        """A token of the app."""
        now_s = self.clock.now_ms() / 1000
        return sign_demo_token(TOKEN_SECRET, int(user), ttl_s=ttl_s, now_s=now_s)

    async def do(self, command: Any) -> dict[str, Any]:
        """Submit a command that must succeed; its reply."""
        outcome: Outcome = await self.engine.writer.submit(command)
        assert outcome.error is None, outcome.error
        return json.loads(outcome.data or b"{}")

    async def open_source(self) -> None:
        """Register the source that reports everything."""
        await self.do(c.AddSource(self.key(), SOURCE, "City", "s" * 32, ("bus", "metro", "walking")))

    async def open_user_without_source(self, name: str) -> str:
        """An account that nobody reports for; its id as the wire has it."""
        return str((await self.do(c.OpenAccount(self.key(), f"ref-{name}", name, "Asia/Shanghai")))["user"])

    async def open_user(self, name: str) -> str:
        """An account that is linked to the source; its id as the wire has it."""
        user = await self.open_user_without_source(name)
        await self.do(
            c.LinkSource(self.key(), int(user), SOURCE, f"subject-{user}", ("bus", "metro", "walking"))
        )
        return user

    async def befriend(self, user: str, friend: str) -> None:
        """Make two users friends."""
        await self.do(c.RequestFriend(self.key(), int(user), int(friend)))
        await self.do(c.AnswerFriend(self.key(), int(friend), int(user)))

    async def ride_bus(self, user: str) -> str:
        """An act that makes a growing ball; the ball's id."""
        number = next(self._numbers)
        reply = await self.do(
            c.ReportActivity(
                SOURCE,
                f"a{number}",
                f"subject-{user}",
                "bus",
                Decimal(1),
                "ride",
                f"c{number}",
                at=self.clock.now_ms() - self._rides[user] * SPACING_MS,
            )
        )
        self._rides[user] += 1
        return str(reply.get("ball", ""))  # past the cap of the day there is none

    async def ripe_ball(self, user: str) -> str:
        """A ball that anybody who may can collect from now."""
        ball = await self.ride_bus(user)
        self.clock.shift_ms += 26 * HOUR_MS
        return ball


@asynccontextmanager
async def a_village(database_url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[Village]:
    """Serve an engine on this database while the block runs."""
    clock = clock or Clock()
    values: dict[str, Any] = {
        "database_url": database_url,
        "token_secret": TOKEN_SECRET,
        "port": free_port(),
        "drain_s": 0.1,
        "commands_per_s": 0.0,
    }
    async with serving(Settings(_env_file=None, **(values | settings)), clock) as served:  # type: ignore[call-arg]
        yield Village(served, clock)
