"""One client connection of the driver: the Centrifuge JSON protocol with as little work per message as possible.

It knows how to connect, subscribe, call, answer pings, keep a number of commands outstanding, and write down when what
came. What the commands mean is the jobs' business.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import cast

import msgspec

from loadtest import wire

CONNECT_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 30.0
FIRST_LOAD_ID = 1_000_000


class _Line(msgspec.Struct):
    id: int = 0


_decode_line = msgspec.json.Decoder(_Line).decode
_PONG = wire.frame(b"{}")


class CallFailed(Exception):
    """The server answered a call with a protocol error, or closed instead of answering."""


class Load:
    """Prepared frames, `outstanding` of which are always under way. The n-th frame carries id FIRST_LOAD_ID + n.

    `again` starts over when all are sent (for servers that do not mind); otherwise `ran_out_at` says when that was.
    """

    __slots__ = ("frames", "outstanding", "again", "next", "sent", "sent_at", "log", "stopped", "ran_out_at")

    def __init__(
        self,
        frames: Sequence[bytes],
        outstanding: int,
        log: list[tuple[float, float, bytes]],
        again: bool = False,
    ) -> None:
        self.frames = frames
        self.outstanding = outstanding
        self.again = again
        self.next = 0
        self.sent = 0
        self.sent_at = [0.0] * len(frames)
        self.log = log
        self.stopped = False
        self.ran_out_at: float | None = None


class Connection(asyncio.Protocol):
    """Counts and times everything that comes; `pushes` gets (monotonic seconds, line) of every push."""

    def __init__(
        self, host: str, port: int, path: str, pushes: list[tuple[float, bytes]] | None = None
    ) -> None:
        self.pushes = pushes
        self.frames_received = 0
        self.load: Load | None = None
        self.closed_because: str | None = None
        self._request, self._accept = wire.handshake(host, port, path)
        self._head = b""
        self._reader = wire.Reader()
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._next_id = 1
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_open = False

    # --- asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_because = self.closed_because or f"lost: {exc}"
        error = CallFailed(self.closed_because)
        for waiting in (self._opened, *self._calls.values()):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # whoever waits still gets it; nobody waiting is no news
        self._calls.clear()

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        if not self._is_open:
            data = self._shake_hands(data)
            if not data:
                return
        payloads = self._reader.feed(data)
        self.frames_received += len(payloads)
        out: list[bytes] = []
        for payload in payloads:
            if b"\n" in payload:
                for line in payload.split(b"\n"):
                    if line:
                        self._take(line, now, out)
            else:
                self._take(payload, now, out)
        if self._reader.controls:
            self._answer_controls(out)
        if out and self._transport is not None:
            self._transport.write(b"".join(out) if len(out) > 1 else out[0])

    def _shake_hands(self, data: bytes) -> bytes:
        self._head += data
        head, blank, rest = self._head.partition(b"\r\n\r\n")
        if not blank:
            return b""
        try:
            wire.check_handshake(head, self._accept)
        except wire.WireError as error:
            self._opened.set_exception(error)
            self.abort()
            return b""
        self._is_open = True
        self._opened.set_result(None)
        return rest

    def _take(self, line: bytes, now: float, out: list[bytes]) -> None:
        number = _decode_line(line).id
        load = self.load
        if number >= FIRST_LOAD_ID and load is not None:
            load.log.append((now, now - load.sent_at[number - FIRST_LOAD_ID], line))
            if load.stopped:
                return
            nth = load.next
            if nth == len(load.frames):
                if not load.again:
                    load.ran_out_at = load.ran_out_at or now
                    return
                nth = 0
            load.sent_at[nth] = now
            load.next = nth + 1
            load.sent += 1
            out.append(load.frames[nth])
        elif 0 < number < FIRST_LOAD_ID:
            waiting = self._calls.pop(number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(line)
        elif line == b"{}":
            out.append(_PONG)
        else:
            if self.pushes is not None:
                self.pushes.append((now, line))

    def _answer_controls(self, out: list[bytes]) -> None:
        for opcode, body in self._reader.controls:
            if opcode == wire.PING:
                out.append(wire.frame(body, wire.PONG))
            elif opcode == wire.CLOSE:
                code = int.from_bytes(body[:2], "big")
                self.closed_because = f"closed by the server: {code} {body[2:].decode(errors='replace')}"
                out.append(wire.frame(body[:2], wire.CLOSE))
        self._reader.controls.clear()

    # --- the jobs' side ---------------------------------------------------------------------------

    async def opened(self) -> None:
        """Wait for the upgrade. Raises WireError or CallFailed."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._opened

    async def call(self, method: str, params: dict[str, object]) -> dict[str, object]:
        """One protocol call; the reply's result. Raises CallFailed."""
        number = self._next_id
        self._next_id += 1
        waiting: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls[number] = waiting
        self.write(wire.frame(json.dumps({"id": number, method: params}, separators=(",", ":")).encode()))
        async with asyncio.timeout(CALL_TIMEOUT_S):
            reply = json.loads(await waiting)
        if "error" in reply:
            raise CallFailed(f"{method}: {reply['error']}")
        return reply.get(method, {})

    async def rpc(self, method: str, data: dict[str, object]) -> dict[str, object]:
        """One game call; its data. Raises CallFailed also for the game's refusals."""
        result = await self.call("rpc", {"method": method, "data": data})
        answer = cast(dict[str, object], result.get("data", {}))
        if "error" in answer:
            raise CallFailed(f"{method}: {answer['error']}")
        return answer

    def start(self, load: Load) -> None:
        """Send the first `outstanding` frames; every reply sends the next one."""
        self.load = load
        first = load.frames[: load.outstanding]
        now = perf_counter()
        for number in range(len(first)):
            load.sent_at[number] = now
        load.next = load.sent = len(first)
        self.write(b"".join(first))

    def write(self, data: bytes) -> None:
        """Raises CallFailed when the connection is gone."""
        if self._transport is None or self._transport.is_closing():
            raise CallFailed(self.closed_because or "not connected")
        self._transport.write(data)

    def close(self) -> None:
        """Say goodbye and let go."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(wire.frame((1000).to_bytes(2, "big"), wire.CLOSE))
            self._transport.close()

    def abort(self) -> None:
        """Let go without a word."""
        if self._transport is not None:
            self._transport.abort()


async def open_connection(
    host: str, port: int, path: str, pushes: list[tuple[float, bytes]] | None = None
) -> Connection:
    """A connection after the WebSocket upgrade."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(host, port, path, pushes), host, port)
    await connection.opened()
    return connection


async def open_session(
    host: str,
    port: int,
    path: str,
    token: str,
    channels: Sequence[str],
    pushes: list[tuple[float, bytes]] | None = None,
) -> Connection:
    """A connection that is signed in and subscribed."""
    connection = await open_connection(host, port, path, pushes)
    await connection.call("connect", {"token": token})
    for channel in channels:
        await connection.call("subscribe", {"channel": channel})
    return connection


async def gather_few(
    openers: Sequence[Callable[[], Awaitable[Connection]]], at_once: int = 32
) -> list[Connection]:
    """Run the openers, at most `at_once` together; the connections in the openers' order."""
    gate = asyncio.Semaphore(at_once)

    async def one(opener: Callable[[], Awaitable[Connection]]) -> Connection:
        async with gate:
            return await opener()

    return list(await asyncio.gather(*(one(opener) for opener in openers)))
