"""A WebSocket client without manners, for what no SDK sends: broken frames, silence, half-open connections.

Built on the protocol core of `websockets`; frames can be sent well formed, or as raw bytes past the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

_READ_BYTES = 65536


class Refused(Exception):
    """The server answered the handshake with something else than 101."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"handshake refused: {status} {body[:200]!r}")
        self.status, self.headers, self.body = status, headers, body


class Closed(Exception):
    """The connection has ended: `code` 1006 and no reason where no close frame came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed {code} {reason}")
        self.code, self.reason = code, reason


class Ending(NamedTuple):
    """How a connection ended."""

    code: int
    reason: str


class RawSocket:
    """One connection. Received text messages queue up until `receive` or `receive_json` takes them."""

    def __init__(
        self,
        url: str,
        *,
        origin: str | None = None,
        subprotocols: list[str] | None = None,
        headers: dict[str, str] | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self._parts = urlsplit(url)
        self.protocol = ClientProtocol(
            parse_uri(url),
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(name) for name in subprotocols] if subprotocols else None,
            max_size=None,
        )
        self._headers = headers or {}
        self._receive_buffer_bytes = receive_buffer_bytes
        self._messages: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._lines: list[str] = []
        self._partial = b""
        self._reading = asyncio.Event()
        self._reading.set()
        self._opened: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.answers_control_frames = True
        self.received_bytes = 0

    async def open(self, timeout_s: float = 5) -> RawSocket:
        """TCP connect and handshake; raises Refused with the status when the server says no."""
        raw = socket.socket()
        if self._receive_buffer_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, (self._parts.hostname, self._parts.port))
        limit = self._receive_buffer_bytes or _READ_BYTES
        self._reader, self._writer = await asyncio.open_connection(sock=raw, limit=limit)
        request = self.protocol.connect()
        for name, value in self._headers.items():
            request.headers[name] = value
        self.protocol.send_request(request)
        self._flush()
        self._task = asyncio.create_task(self._read())
        async with asyncio.timeout(timeout_s):
            response = await self._opened
        if response is None or self.protocol.state is not State.OPEN:
            status, headers, body = (
                (response.status_code, response.headers, response.body) if response else (0, Headers(), b"")
            )
            raise Refused(status, headers, bytes(body or b""))
        return self

    async def __aenter__(self) -> RawSocket:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.abort()

    # Sending

    def send_json(self, *commands: object) -> None:
        """One text frame with one JSON object per line."""
        self.send_text("\n".join(json.dumps(command, separators=(",", ":")) for command in commands))

    def send_text(self, text: str | bytes) -> None:
        """One well-formed text frame, whatever is in it (bytes: also what is not UTF-8)."""
        self.protocol.send_text(text.encode() if isinstance(text, str) else text)
        self._flush()

    def send_binary(self, data: bytes) -> None:
        """One well-formed binary frame."""
        self.protocol.send_binary(data)
        self._flush()

    def send_frame(
        self, opcode: int, data: bytes = b"", *, fin: bool = True, rsv1: bool = False, mask: bool = True
    ) -> None:
        """One frame as told, legal or not: reserved opcodes, unfinished messages, no mask."""
        self.send_bytes(raw_frame(opcode, data, fin=fin, rsv1=rsv1, mask=mask))

    def send_bytes(self, data: bytes) -> None:
        """Bytes straight onto the TCP connection."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the kernel has taken what was sent."""
        await self._writer.drain()

    # Receiving

    async def receive(self, timeout_s: float = 5) -> str | bytes:
        """The next whole message; raises Closed at the end, TimeoutError when nothing comes."""
        async with asyncio.timeout(timeout_s):
            message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
            raise Closed(*self.ending)
        return message

    async def receive_json(self, timeout_s: float = 5) -> Any:
        """The next JSON object; messages of several lines are taken apart."""
        while not self._lines:
            text = await self.receive(timeout_s)
            self._lines = [
                line for line in (text if isinstance(text, str) else text.decode()).split("\n") if line
            ]
        return json.loads(self._lines.pop(0))

    async def reply(self, command_id: int, timeout_s: float = 5) -> Any:
        """The reply to this command; pings are answered and everything else before it is dropped."""
        async with asyncio.timeout(timeout_s):
            while True:
                answer = await self.receive_json(timeout_s)
                if answer == {}:
                    self.send_json({})
                elif answer.get("id") == command_id:
                    return answer

    async def ask(self, command: dict[str, Any], timeout_s: float = 5) -> Any:
        """Send one command and wait for its reply."""
        self.send_json(command)
        return await self.reply(command["id"], timeout_s)

    def pause_reading(self) -> None:
        """Be a slow reader: take nothing more from the socket."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading.set()

    # Ending

    @property
    def ending(self) -> Ending:
        """Close code and reason that the server gave (1006: none)."""
        got: Close | None = self.protocol.close_rcvd
        return Ending(got.code, got.reason) if got else Ending(1006, "")

    async def ended(self, timeout_s: float = 5) -> Ending:
        """Wait until the server has ended the connection."""
        async with asyncio.timeout(timeout_s):
            await self._ended.wait()
        return self.ending

    async def close(self, code: int = 1000, reason: str = "") -> Ending:
        """A polite close; returns what the server answered."""
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            self._flush()
        ending = await self.ended()
        await self.abort()
        return ending

    async def abort(self) -> None:
        """RST, no close frame."""
        if not hasattr(self, "_writer"):
            return  # never connected
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # How it reads

    async def _read(self) -> None:
        try:
            while True:
                await self._reading.wait()
                data = await self._reader.read(_READ_BYTES)
                self.received_bytes += len(data)
                self.protocol.receive_data(data) if data else self.protocol.receive_eof()
                for event in self.protocol.events_received():
                    self._take(event)
                if self.answers_control_frames:
                    self._flush()
                if not data:
                    return
        except OSError:
            return
        finally:
            if not self._opened.done():
                self._opened.set_result(None)
            self._ended.set()
            self._messages.put_nowait(None)

    def _take(self, event: Response | Frame | object) -> None:
        if isinstance(event, Response):
            if not self._opened.done():
                self._opened.set_result(event)
            return
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                self._text = event.opcode is Opcode.TEXT
            self._partial += bytes(event.data)
            if event.fin:
                message, self._partial = self._partial, b""
                self._messages.put_nowait(message.decode() if self._text else message)

    def _flush(self) -> None:
        with contextlib.suppress(InvalidHandshake):
            for data in self.protocol.data_to_send():
                if data:
                    self._writer.write(data)


def raw_frame(opcode: int, data: bytes, *, fin: bool = True, rsv1: bool = False, mask: bool = True) -> bytes:
    """The bytes of one frame, legal or not (RFC 6455 section 5.2)."""
    first = (0x80 if fin else 0) | (0x40 if rsv1 else 0) | opcode
    flag = 0x80 if mask else 0
    if len(data) < 126:
        head = struct.pack("!BB", first, flag | len(data))
    elif len(data) < 65536:
        head = struct.pack("!BBH", first, flag | 126, len(data))
    else:
        head = struct.pack("!BBQ", first, flag | 127, len(data))
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
