"""A device of a user: connects, loads, subscribes from what it loaded, recovers after every cut, and keeps a View.

It speaks the protocol by hand, so that each offset that arrives can be judged: no gap and no repeat, whatever is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Any

from websockets.exceptions import InvalidState

from engine.realtime.protocol import REJECT_UNRECOVERED
from tests.laws.model import Facts, View
from tests.support.raw_socket import Closed, RawSocket, Refused

UNRECOVERABLE, PERMISSION_DENIED = 112, 103
PAUSE_S_MAX = 0.15
PATIENCE_S = 15.0
LOST = (Closed, Refused, OSError, TimeoutError)


class SignedOut(Exception):
    """The server does not want this user any more."""


class Follower:
    """One device. `watched`: the friends whose forests it wants to see."""

    def __init__(self, url: str, user: str, token: str, watched: list[str], dice: random.Random) -> None:
        self.user, self.watched = user, watched
        self._url, self._token, self._dice = url, token, dice
        self.view = View(user)
        self.positions: dict[str, Facts] = {}
        self.is_out = False
        self.cuts = self.recovered = self.reloaded = 0
        self._socket: RawSocket | None = None
        self._subscribed: set[str] = set()
        self._numbers = 0
        self._open: dict[int, tuple[asyncio.Future[Facts], Callable[[Facts], None]]] = {}
        self._ready = asyncio.Event()
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- life

    def start(self) -> None:
        """Sign in, again and again, until stopped or refused."""
        self.is_out = False
        self.view, self.positions = View(self.user), {}
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def cut(self) -> None:
        """The network goes away in the middle of anything."""
        if self._socket is not None:
            self.cuts += 1
            await self._socket.abort()

    async def _live(self) -> None:
        while not self.is_out:
            try:
                async with RawSocket(self._url) as socket:
                    await self._connection(socket)
            except SignedOut:
                self.is_out = True
            except LOST:
                await asyncio.sleep(self._dice.uniform(0, PAUSE_S_MAX))

    async def _connection(self, socket: RawSocket) -> None:
        self._socket = socket
        self._subscribed.clear()
        reading = asyncio.create_task(self._read(socket))
        tending = asyncio.create_task(self._tend())
        try:
            done, _ = await asyncio.wait((reading, tending), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Closed:
            raise _lost(socket) from None
        finally:
            self._ready.clear()
            self._socket = None
            for task in (reading, tending):
                task.cancel()
            await asyncio.gather(reading, tending, return_exceptions=True)
            for answer, _ in self._open.values():
                answer.cancel()
            self._open.clear()

    # --- what it wants

    async def _tend(self) -> None:
        await self._ask({"connect": {"token": self._token}})
        own = f"user:{self.user}"
        if own not in self.positions:
            await self._load_own()
        while not await self._subscribe(own):
            await self._load_own()
        while True:
            self._look.clear()
            for owner in self.watched:
                await self._watch(owner)
            self._ready.set()
            await self._look.wait()
            self._ready.clear()

    async def _load_own(self) -> None:
        self.view = View(self.user)
        self.positions.clear()
        forest = await self._rpc("forest.get", {})
        self.view.load_forest(forest)
        await load_lists(self.view, self._rpc)
        self.positions[f"user:{self.user}"] = forest["positions"][f"user:{self.user}"]
        self._look.set()

    async def _watch(self, owner: str) -> None:
        """Hold a friend's forest: recover it, or load it, or find that it is not to be seen."""
        channel = f"forest:{owner}"
        while channel not in self._subscribed:
            if channel not in self.positions:
                forest = await self._rpc("forest.get", {"user": owner})
                if "error" in forest:
                    return
                self.view.load_forest(forest)
                self.positions[channel] = forest["positions"][channel]
            await self._subscribe(channel)

    async def _subscribe(self, channel: str) -> bool:
        """Subscribe from the position that is held; False: nothing is held any more."""
        position = self.positions[channel]
        request = {"channel": channel, "recover": True, "flag": REJECT_UNRECOVERED} | position

        def take(reply: Facts) -> None:
            if reply.get("error", {}).get("code") in (UNRECOVERABLE, PERMISSION_DENIED):
                self._forget(channel)
                return
            result = reply["subscribe"]
            assert (result["recovered"], result["recoverable"], result["positioned"]) == (True, True, True)
            assert (result["epoch"], result["offset"]) == (position["epoch"], position["offset"])
            self._subscribed.add(channel)
            for publication in result.get("publications", ()):
                self._take(channel, publication)

        reply = await self._ask({"subscribe": request}, take)
        if "error" in reply:
            assert reply["error"]["code"] in (UNRECOVERABLE, PERMISSION_DENIED), reply
            self.reloaded += 1
            return False
        self.recovered += len(reply["subscribe"].get("publications", ()))
        return True

    def _forget(self, channel: str) -> None:
        self.positions.pop(channel, None)
        self._subscribed.discard(channel)
        if channel.startswith("forest:"):
            self.view.drop_forest(channel.removeprefix("forest:"))

    # --- the wire

    async def _read(self, socket: RawSocket) -> None:
        while True:
            message = await socket.receive_json(30)
            if message == {}:
                socket.send_json({})
            elif "push" in message:
                self._pushed(message["push"])
            elif (waiting := self._open.pop(message["id"], None)) is not None:
                answer, take = waiting
                take(message)
                if not answer.done():
                    answer.set_result(message)

    def _pushed(self, push: Facts) -> None:
        channel = push["channel"]
        if "unsubscribe" in push:
            assert 2000 <= push["unsubscribe"]["code"] < 2500
            self._forget(channel)
            return
        assert channel in self._subscribed, f"{channel} was pushed without a subscription"
        self._take(channel, push["pub"])

    def _take(self, channel: str, publication: Facts) -> None:
        if "offset" in publication:
            position = self.positions[channel]
            assert publication["offset"] == position["offset"] + 1, (
                f"{channel}: {publication['offset']} after {position['offset']}"
            )
            self.positions[channel] = position | {"offset": publication["offset"]}
        self.view.apply(channel, publication["data"])
        self._look.set()

    async def _ask(self, command: Facts, take: Callable[[Facts], None] = lambda _: None) -> Facts:
        socket = self._socket
        if socket is None:
            raise Closed(1006, "")
        self._numbers += 1
        answer: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._open[self._numbers] = answer, take
        try:
            socket.send_json({"id": self._numbers} | command)
            async with asyncio.timeout(PATIENCE_S):
                await asyncio.wait((answer,))
        except InvalidState:
            raise _lost(socket) from None
        if answer.cancelled():  # the connection ended
            raise _lost(socket)
        return answer.result()

    async def _rpc(self, method: str, data: Facts) -> Facts:
        reply = await self._ask({"rpc": {"method": method, "data": data}})
        assert "error" not in reply, reply
        return reply["rpc"]["data"]

    # --- for the course

    async def call(self, method: str, data: Facts) -> Facts:
        """Call through whatever connection there is; sent again with the same key until it is answered."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self._ready.wait()
                with contextlib.suppress(*LOST):
                    return await self._rpc(method, data)

    async def settled(self) -> None:
        """Wait until everything is subscribed that can be, looking again where nothing is told (a resumed account)."""
        self._ready.clear()
        self._look.set()
        ends_at = asyncio.get_running_loop().time() + PATIENCE_S
        while not self.is_out:
            if self._task is not None and self._task.done():
                self._task.result()  # what it asserted
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._ready.wait()
                return
            assert asyncio.get_running_loop().time() < ends_at, (
                f"the device of {self.user} does not come to rest"
            )


def _lost(socket: RawSocket) -> Exception:
    """What the end of the connection means: for good, or to come back."""
    ending = socket.ending
    return SignedOut(ending) if 3500 <= ending.code < 4000 else Closed(*ending)


async def load_lists(
    view: View, rpc: Callable[[str, Facts], Coroutine[Any, Any, Facts]], page: int = 100
) -> None:
    """All pages of the carbon book, the trees and the relations."""
    activities: list[Facts] = []
    while True:
        before = {"before": activities[-1]["id"]} if activities else {}
        reply = await rpc("activity.list", {"limit": page} | before)
        activities += reply["activities"]
        if not reply["more"]:
            break
    view.load_lists(activities, await rpc("tree.list", {}), await rpc("friend.list", {}))
