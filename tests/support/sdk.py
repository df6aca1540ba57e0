"""What a test sees of an official client SDK, the same for Python and JavaScript.

A client keeps a log of all that its SDK told the application. Nothing is interpreted here.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

TokenSource = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class Told:
    """One thing that the SDK told the application.

    kind: connecting, connected, disconnected, error, subscribing, subscribed, unsubscribed, publication,
    subscription_error, state (the reply of the rpc by which the state was loaded). Keys of detail are the
    JavaScript SDK's (code, reason, offset, data, wasRecovering, recovered, streamPosition …) for both SDKs.
    """

    kind: str
    channel: str | None
    detail: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


class RpcFailed(Exception):
    """An rpc got a protocol error, or could not be sent (code below 100: the SDK's own)."""

    def __init__(self, code: int, message: str, temporary: bool = False) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message, self.temporary = code, message, temporary


class Ended(Exception):
    """The SDK gave up for good: the client is disconnected, or the channel unsubscribed."""

    def __init__(self, told: Told) -> None:
        self.code, self.reason = told.detail["code"], told.detail["reason"]
        super().__init__(f"{told.kind} {told.channel or ''} {self.code} {self.reason}")


class SdkClient(ABC):
    """One connection to the server through an official SDK."""

    def __init__(self) -> None:
        self.log: list[Told] = []
        self._news = asyncio.Condition()

    @abstractmethod
    async def begin_connect(self) -> None:
        """Tell the SDK to connect; returns at once. See `connect`."""

    @abstractmethod
    async def disconnect(self) -> None:
        """End the connection for good."""

    @abstractmethod
    async def rpc(self, method: str, data: Any = None) -> Any:
        """Call a method; returns the reply's data, raises RpcFailed."""

    @abstractmethod
    async def begin_subscribe(
        self, channel: str, state: tuple[str, dict[str, Any]] | None = None, **options: Any
    ) -> None:
        """Tell the SDK to subscribe; returns at once. See `subscribe`."""

    @abstractmethod
    async def unsubscribe(self, channel: str) -> None:
        """Tell the SDK to unsubscribe."""

    async def connect(self, timeout_s: float = 10) -> Told:
        """Connect and wait for `connected`; raises Ended with the code when the server does not want us."""
        before = len(self.log)
        await self.begin_connect()
        return await self._reach("connected", "disconnected", None, timeout_s, before)

    async def subscribe(
        self,
        channel: str,
        state: tuple[str, dict[str, Any]] | None = None,
        timeout_s: float = 10,
        **options: Any,
    ) -> Told:
        """Subscribe and wait for `subscribed`; raises Ended with the code when it is refused for good.

        With `state` = (rpc method, its data) the SDK's own getState loads the snapshot by that rpc, takes the
        position of this channel from `positions` in its reply and recovers from there; the log has each load.
        """
        before = len(self.log)
        await self.begin_subscribe(channel, state, **options)
        return await self._reach("subscribed", "unsubscribed", channel, timeout_s, before)

    async def _reach(self, good: str, bad: str, channel: str | None, timeout_s: float, since: int) -> Told:
        told = await self.wait_for(
            lambda told: told.kind in (good, bad) and told.channel == channel, timeout_s, since
        )
        if told.kind == bad:
            raise Ended(told)
        return told

    def told(self, kind: str, channel: str | None = None) -> list[Told]:
        """Everything of one kind so far (of one channel, if named)."""
        return [t for t in self.log if t.kind == kind and (channel is None or t.channel == channel)]

    def publications(self, channel: str) -> list[dict[str, Any]]:
        """The data of all publications received on a channel, in order."""
        return [t.detail["data"] for t in self.told("publication", channel)]

    async def wait_for(self, wanted: Callable[[Told], bool], timeout_s: float = 10, since: int = 0) -> Told:
        """The first thing told, at or after log position `since`, that is wanted; waits for it."""
        position = since

        async with asyncio.timeout(timeout_s), self._news:
            while True:
                for told in self.log[position:]:
                    position += 1
                    if wanted(told):
                        return told
                await self._news.wait()

    async def wait_until(self, reached: Callable[[], bool], timeout_s: float = 10) -> None:
        """Wait until the log makes this true; it is asked again at each thing told."""
        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(reached)

    async def _tell(self, kind: str, channel: str | None, detail: dict[str, Any] | None) -> None:
        self.log.append(Told(kind, channel, detail or {}))
        async with self._news:
            self._news.notify_all()


class Sdk(ABC):
    """Makes clients of one SDK and ends them all."""

    name: str

    @abstractmethod
    async def client(
        self, url: str, token: str = "", *, get_token: TokenSource | None = None, **options: Any
    ) -> SdkClient:
        """A client that is not connected yet. `get_token` is asked when the SDK wants a fresh token."""

    @abstractmethod
    async def close(self) -> None:
        """End every client and whatever runs them."""
