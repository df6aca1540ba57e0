"""The smallest things that a session can be given: a writer told when to commit, reads from a dict, a wire.

They stand in for writer, database and network only where a test is about the order of things in a session.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.core.errors import Rejected
from engine.core.units import rfc3339
from engine.realtime.channels import Channel
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.parts import Realtime
from engine.realtime.protocol import Close
from engine.realtime.session import Session
from engine.writer import Outcome, Overloaded

KEY = "0190c8a0-1234-7abc-8def-0123456789ab"


class SmallWriter:
    """Queues commands until `commit`, which answers each by `answer(command)`; raises Overloaded if told."""

    def __init__(self) -> None:
        self.queue: list[tuple[Any, Callable[[Outcome], None]]] = []
        self.commands: list[Any] = []
        self.is_full = False
        self.answer: Callable[[Any], Outcome] = lambda command: Outcome(b'{"done":true}')

    def post(self, command: Any, done: Callable[[Outcome], None], /) -> None:
        """Queue a command."""
        if self.is_full:
            raise Overloaded
        self.commands.append(command)
        self.queue.append((command, done))

    def commit(self, count: int | None = None) -> None:
        """Answer the oldest commands."""
        group, self.queue = self.queue[:count], self.queue[count:] if count else []
        for command, done in group:
            done(self.answer(command))


class SmallReads:
    """Positions and accounts from dicts; every read waits for `gate`, if there is one."""

    def __init__(self) -> None:
        self.accounts: dict[int, str] = {}
        self.heads: dict[str, int] = {}
        self.forbidden: set[tuple[int, str]] = set()
        self.rows: dict[int, tuple[str, int, bytes]] = {}
        self.gate: asyncio.Event | None = None
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def _pass(self, what: str) -> None:
        self.asked.append(what)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def account_state(self, user: int) -> str | None:
        """active unless told otherwise."""
        return self.accounts.get(user, "active")

    async def position(self, channel: Channel, viewer: int) -> int | None:
        """The head, or None where forbidden."""
        name = f"{channel.kind}:{channel.user}"
        await self._pass(f"position {name}")
        return None if (viewer, name) in self.forbidden else self.heads.get(name, 0)

    async def publications(self, channel: str, journal_ids: list[int]) -> dict[int, bytes]:
        """Rows of the small journal."""
        rows = [self.rows[journal_id] for journal_id in journal_ids if journal_id in self.rows]
        return {offset: data for name, offset, data in rows if name == channel}

    async def forest(self, viewer: int, owner: int) -> bytes:
        """A forest without trees."""
        await self._pass(f"forest {owner}")
        return b'{"user":"%d"}' % owner

    async def activities(self, user: int, before: int | None, limit: int) -> bytes:
        """An empty book."""
        await self._pass(f"activities {before} {limit}")
        return b'{"activities":[]}'

    async def friends(self, user: int) -> bytes:
        """Nobody."""
        await self._pass("friends")
        return b'{"friends":[]}'

    async def find(self, viewer: int, after: int | None) -> bytes:
        """Nobody."""
        await self._pass(f"find {after}")
        return b'{"friend":null}'

    async def receipt(self, user: int, ball: int) -> bytes:
        """None."""
        await self._pass(f"receipt {ball}")
        return b"{}"

    async def takeable(self, viewer: int, owner: int, limit: int) -> tuple[list[int], bool]:
        """Two balls."""
        await self._pass(f"takeable {owner} {limit}")
        return [7, 8], False

    async def offers(self, user: int, kind: str | None) -> bytes:
        """Nothing."""
        await self._pass(f"offers {kind}")
        return b'{"offers":[]}'

    async def trees(self, user: int) -> bytes:
        """None."""
        await self._pass("trees")
        return b'{"trees":[]}'


@dataclass
class SmallBearer:
    """Whom a token speaks for."""

    user: int
    expires_at_s: float | None = None


class SmallVerifier:
    """A token is the user's id; `expired` and `forged` are what they say."""

    def __init__(self) -> None:
        self.expires_at_s: float | None = None

    async def verify(self, token: str) -> SmallBearer:
        """Read the token."""
        if token == "expired":
            raise Rejected("token_expired")
        if token == "unavailable":
            raise Rejected("unavailable")
        if not token.isdigit():
            raise Rejected("token_invalid")
        return SmallBearer(int(token), self.expires_at_s)


@dataclass
class SmallWire:
    """Remembers what a session does to its connection."""

    frames: list[bytes] = field(default_factory=list)
    closed: Close | None = None
    is_reading: bool = True
    unread_bytes: int = 0

    def send(self, payload: bytes) -> None:
        """Keep a frame."""
        self.frames.append(payload)

    def buffered_bytes(self) -> int:
        """As told."""
        return self.unread_bytes

    def close(self, close: Close) -> None:
        """Keep the code."""
        self.closed = close

    def pause_reading(self) -> None:
        """Note it."""
        self.is_reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.is_reading = True

    def lines(self) -> list[Any]:
        """All JSON lines so far; forgets them."""
        lines = [json.loads(line) for frame in self.frames for line in frame.split(b"\n")]
        self.frames.clear()
        return lines


class Bench:
    """A hub and what hangs on it."""

    def __init__(self, **limits: Any) -> None:
        self.limits = Limits(**({"commands_per_s": 0.0} | limits))
        self.hub = Hub(self.limits, "e1")
        self.writer = SmallWriter()
        self.reads = SmallReads()
        self.verifier = SmallVerifier()
        self.rt = Realtime(
            self.hub,
            self.writer,
            self.reads,
            self.verifier,
            self.limits,
            lambda: time.time_ns() // 1_000_000,
            rfc3339,
            "saxaul test",
        )

    def session(self) -> tuple[Session, SmallWire]:
        """A new connection that has said nothing."""
        wire = SmallWire()
        return Session(self.rt, wire), wire

    async def connected(self, user: int = 17) -> tuple[Session, SmallWire]:
        """A connection that is signed in, its reply already taken."""
        session, wire = self.session()
        say(session, {"id": 1, "connect": {"token": str(user)}})
        await turns()
        assert wire.lines()[0]["connect"]["client"]
        return session, wire


def say(session: Session, *commands: object) -> None:
    """One frame with these commands."""
    session.receive("\n".join(json.dumps(command) for command in commands).encode())


async def turns(count: int = 8) -> None:
    """Let the loop go round: tasks run and what is due is flushed."""
    for _ in range(count):
        await asyncio.sleep(0)


def collect(number: int, key: str = KEY, **data: Any) -> dict[str, Any]:
    """A ball.collect command."""
    return {"id": number, "rpc": {"method": "ball.collect", "data": {"key": key, "balls": ["5"]} | data}}
