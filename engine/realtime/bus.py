"""Joins the processes on one database: one short message a group, telling where in the journal its
publications are.

Messages may be lost, doubled or late; the journal is the truth. Knows Redis and nothing of connections.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any
from uuid import uuid4

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.publication import Item, Publication, Revocation

GROUPS_UNSENT_MAX = 1_000
MESSAGES_PER_TAKE_MAX = 100
RECONNECT_S = 0.5
SOCKET_TIMEOUT_S = 5.0
RECEIVE_S = 0.5
HEARTBEAT_S = 1.0  # every node says something that often, and hears itself
SILENCE_S = 3.5  # a connection on which nothing was heard for so long is taken for dead

Note = tuple[str, int, int] | Revocation  # channel, offset, journal id; or the end of a permission
Take = Callable[[list[Note]], Awaitable[None]]

log = structlog.get_logger(__name__)


class _Message(msgspec.Struct, array_like=True):
    node: str
    pubs: list[tuple[str, int, int]]
    revoked: list[tuple[int, str | None, int]]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Message).decode


class LocalBus:
    """One process, or several that read the journal's tail."""

    def __init__(self, *, is_alone: bool) -> None:
        self.is_up = is_alone

    def group(self, items: Sequence[Item]) -> None:
        """There is nobody to tell."""

    async def run(self, take: Take) -> None:
        """There is nobody to hear."""
        await asyncio.Event().wait()


class RedisBus:
    """Redis pub/sub. While it is away, `is_up` is False and what is to be sent waits, within a bound."""

    def __init__(self, url: str, epoch: str) -> None:
        self.is_up = False
        self.node = uuid4().hex
        self.sent = 0
        self.received = 0
        self._channel = f"saxaul:{epoch}:groups"
        self._client: Redis = Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            health_check_interval=SOCKET_TIMEOUT_S,
        )
        self._heartbeat = _encode(_Message(self.node, [], []))
        self._unsent: deque[bytes] = deque(maxlen=GROUPS_UNSENT_MAX)
        self._wake = asyncio.Event()

    def group(self, items: Sequence[Item]) -> None:
        """Tell the others where the group's publications are; the oldest groups are dropped when too many
        wait.
        """
        pubs = [(i.channel, i.offset, i.journal_id) for i in items if isinstance(i, Publication)]
        revoked = [(i.user, i.channel, i.journal_id) for i in items if isinstance(i, Revocation)]
        if pubs or revoked:
            self._unsent.append(_encode(_Message(self.node, pubs, revoked)))
            self._wake.set()

    async def run(self, take: Take) -> None:
        """Send and receive until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._for_ever(self._send))
                group.create_task(self._for_ever(lambda: self._receive(take)))
        finally:
            self.is_up = False
            with suppress(RedisError, OSError):
                await self._client.aclose()

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (RedisError, OSError, TimeoutError) as problem:
                if self.is_up:
                    log.warning("redis_away", problem=type(problem).__name__)
                self.is_up = False
            except Exception:
                log.exception("bus_failed")
            await asyncio.sleep(RECONNECT_S)

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            while self._unsent:
                message = self._unsent[0]
                await self._client.publish(self._channel, message)
                self.sent += 1
                if self._unsent and self._unsent[0] is message:
                    self._unsent.popleft()
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
                continue
            await self._client.publish(self._channel, self._heartbeat)

    async def _receive(self, take: Take) -> None:
        """Up is who hears: a Redis that accepts connections and answers nothing is as good as none."""
        async with self._client.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            heard_at = monotonic()
            while True:
                message = await pubsub.get_message(timeout=RECEIVE_S)
                if message is None:
                    if monotonic() - heard_at > SILENCE_S:
                        raise ConnectionError("nothing heard")
                    continue
                heard_at = monotonic()
                if message["type"] == "message":
                    self.is_up = True
                    await take(await self._drained(pubsub, message))

    async def _drained(self, pubsub: Any, message: dict[str, Any] | None) -> list[Note]:
        """This message and all that have arrived behind it, so that they share one query."""
        notes: list[Note] = []
        for _ in range(MESSAGES_PER_TAKE_MAX):
            if message is None:
                break
            if message["type"] == "message":
                notes += self._notes(message["data"])
            message = await pubsub.get_message(timeout=0)
        return notes

    def _notes(self, data: bytes) -> list[Note]:
        try:
            message = _decode(data)
        except msgspec.MsgspecError:
            log.warning("bus_message_unreadable", size=len(data))
            return []
        if message.node == self.node:
            return []
        self.received += 1
        revoked: list[Note] = [Revocation(*values) for values in message.revoked]
        return [*message.pubs, *revoked]
