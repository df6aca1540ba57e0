"""The WebSocket end of a connection: a protocol class that uvicorn hosts beside its HTTP, for one path.

uvicorn hands an upgrade request to `GameSocket` and from then on the transport is ours. The `websockets`
library's sans-I/O core does the handshake, control frames, fragments and every refusal; complete text frames,
nearly all of the traffic, are unmasked and handed to the session right here, and replies leave as one frame
in one write. There is no task, queue or ASGI message per frame. Knows nothing of the protocol inside the
frames.
"""

import asyncio
import logging
import socket
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled helper
    from websockets.utils import apply_mask

from engine.realtime import protocol
from engine.realtime.limits import Limits
from engine.realtime.protocol import Close, Fault
from engine.realtime.session import Realtime, Session

PATHS = frozenset({"/connection/websocket", "/v1/connection/websocket"})
SUBPROTOCOL = Subprotocol("centrifuge-json")

_FINAL_TEXT = 0x81
_quiet = logging.getLogger("engine.realtime.websockets")
_quiet.setLevel(logging.ERROR)


@dataclass(slots=True)
class Front:
    """What all sockets of a process share. `origins`: exact values that browsers may come from; others are
    refused.
    """

    realtime: Realtime
    origins: frozenset[str] = frozenset()
    sockets: set["GameSocket"] = field(default_factory=set)
    by_address: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)  # upgrades by HTTP status
    is_draining: bool = False
    drained: int = 0
    upgrade_tokens: float = 0.0
    upgrade_tokens_at: float = float("-inf")

    def protocol_class(self) -> Any:
        """For uvicorn's `ws` option."""
        return partial(GameSocket, self)

    def has_room(self, address: str, now: float) -> bool:
        """Whether one more connection may be made, and now."""
        limits = self.realtime.limits
        if self.is_draining or len(self.sockets) > limits.connections_max:
            return False
        if (
            limits.connections_per_address_max
            and self.by_address[address] > limits.connections_per_address_max
        ):
            return False
        if not limits.upgrades_per_s:
            return True
        waited_s = now - self.upgrade_tokens_at
        self.upgrade_tokens = min(
            limits.upgrades_burst, self.upgrade_tokens + waited_s * limits.upgrades_per_s
        )
        self.upgrade_tokens_at = now
        if self.upgrade_tokens < 1:
            return False
        self.upgrade_tokens -= 1
        return True

    def drain_delay_s(self) -> float:
        """When the next connection is closed at shutdown: they come back elsewhere spread over time, not at
        once.
        """
        self.is_draining = True
        self.drained += 1
        slices = max(len(self.sockets), 1)
        return self.realtime.limits.drain_s * min(self.drained / slices, 1.0) if slices > 8 else 0.0


class GameSocket(asyncio.Protocol):
    """One upgraded connection; also the wire of its session."""

    def __init__(
        self, front: Front, config: Any, server_state: Any, app_state: Any = None, _loop: Any = None
    ) -> None:
        self._front = front
        self._limits: Limits = front.realtime.limits
        self._connections: set[Any] = server_state.connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._address = ""
        self._session: Session | None = None
        self._rest = b""  # the beginning of a frame whose end has not come
        self._fragments: list[bytes] = []
        self._is_paused = False
        self._is_closing = False
        self._cut_off: asyncio.TimerHandle | None = None
        self._ws = ServerProtocol(
            origins=None,  # checked here, so that a refusal says 403 and nothing of the list
            subprotocols=None,
            max_size=self._limits.frame_bytes_max,
            logger=_quiet,
        )

    # --- uvicorn's and asyncio's side -------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by uvicorn with the transport of the upgrade request."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        self._connections.add(self)
        self._front.sockets.add(self)
        self._front.by_address[self._address] += 1
        self._transport.set_write_buffer_limits(high=self._limits.send_pause_bytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by whoever's wish."""
        self._is_closing = True
        self._connections.discard(self)
        self._front.sockets.discard(self)
        self._front.by_address[self._address] -= 1
        if not self._front.by_address[self._address]:
            del self._front.by_address[self._address]
        if self._cut_off is not None:
            self._cut_off.cancel()
        if self._session is not None:
            self._session.lost()

    def eof_received(self) -> None:
        """A half-closed connection is closed: nobody would hear the end of it."""
        self._transport.close()

    def pause_writing(self) -> None:
        """The client reads too slowly for what it is sent."""
        if self._session is not None:
            self._session.congested(True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._session is not None:
            self._session.congested(False)

    def shutdown(self) -> None:
        """uvicorn shuts down: it calls this on every connection and waits until they are gone."""
        self._loop.call_later(self._front.drain_delay_s(), self._say_goodbye)

    def _say_goodbye(self) -> None:
        if self._session is not None:
            self._session.end(protocol.SHUTDOWN)
        if not self._is_closing:
            self.close(protocol.SHUTDOWN)

    def data_received(self, data: bytes) -> None:
        """Bytes from the network: the upgrade request, then frames."""
        if self._is_closing:  # only the answer to our close frame is of interest
            self._rest, data = b"", self._rest + data
            self._feed(data)
        elif self._session is None:
            self._ws.receive_data(data)
            self._handshake()
        else:
            self._rest = self._rest + data if self._rest else data
            if not self._is_paused:
                self._take_frames(self._session)

    # --- handshake --------------------------------------------------------------------------------

    def _handshake(self) -> None:
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._answer(event)
                return
        if self._ws.parser_exc is not None or self._ws.handshake_exc is not None:
            self._flush_ws()
            self._transport.close()

    def _answer(self, request: Request) -> None:
        refusal = self._refusal(request)
        if refusal is not None:
            response = self._ws.reject(refusal, "")
            if refusal is HTTPStatus.SERVICE_UNAVAILABLE:
                response.headers["Retry-After"] = "5"
        else:
            response = self._ws.accept(request)
            offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
            if SUBPROTOCOL in [name.strip() for name in offered.split(",")]:
                response.headers["Sec-WebSocket-Protocol"] = SUBPROTOCOL
        self._ws.send_response(response)
        self._flush_ws()
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._session = Session(self._front.realtime, self)
        else:
            self._front.refused[response.status_code] += 1
            self._is_closing = True
            self._transport.close()

    def _refusal(self, request: Request) -> HTTPStatus | None:
        if request.path.partition("?")[0] not in PATHS:
            return HTTPStatus.NOT_FOUND
        origins = cast(list[Origin], request.headers.get_all("Origin"))
        # Apps and servers send no Origin and authenticate by the token in the first frame, never by a cookie.
        if origins and (len(origins) > 1 or origins[0] not in self._front.origins):
            return HTTPStatus.FORBIDDEN
        if not self._front.has_room(self._address, self._loop.time()):
            return HTTPStatus.SERVICE_UNAVAILABLE
        return None

    # --- frames in --------------------------------------------------------------------------------

    def _take_frames(self, session: Session) -> None:
        """Hand over every complete frame; what is incomplete waits, no longer than one frame may be."""
        data, at, size = self._rest, 0, len(self._rest)
        while size - at >= 2 and not self._is_paused and not self._is_closing:
            if not data[at + 1] & 0x80:  # a client masks: the library says so and closes
                self._feed(data[at:])
                at = size
                break
            if size - at < 6:
                break
            length, start = data[at + 1] & 0x7F, at + 6
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 8
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 14
            end = start + length
            is_text = data[at] == _FINAL_TEXT and not self._fragments
            if length > self._limits.frame_bytes_max and size >= start:
                end = size  # refused by its head: the rest need not come
                is_text = False
            elif end > size:
                break
            if is_text:
                session.receive(apply_mask(data[start:end], data[start - 4 : start]))
            else:
                session.toll()
                self._feed(data[at:end])
            at = end
        self._rest = data[at:] if at < size else b""

    def _feed(self, data: bytes) -> None:
        """Whatever is not a plain text frame goes through the library: control frames, fragments, faults."""
        if self._ws.reader.eof or self._ws.state is State.CLOSED:
            return
        self._ws.receive_data(data)
        session = self._session
        for event in self._ws.events_received():
            if isinstance(event, Frame) and session is not None and not self._is_closing:
                self._take_event(session, event)
        self._flush_ws()
        if self._ws.close_expected() and (self._ws.close_rcvd is not None or self._ws.parser_exc is not None):
            self._ended_by_peer()

    def _take_event(self, session: Session, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            session.violated(Fault.BINARY)
        elif frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), []
                session.receive(message)

    def _ended_by_peer(self) -> None:
        """A close frame was answered, or a fault of the framing told: the connection is over."""
        self._is_closing = True
        if self._session is not None:
            self._session.lost()
        self._cut_off_after(self._limits.close_within_s)

    # --- the session's side -----------------------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """Write one text frame; never waits."""
        size = len(payload)
        if size < 126:
            head = bytes((_FINAL_TEXT, size))
        elif size < 65536:
            head = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            head = b"\x81\x7f" + size.to_bytes(8, "big")
        if not self._is_closing:
            self._transport.write(head + payload)

    def buffered_bytes(self) -> int:
        """What the network has not taken yet."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Take no more frames: the client has enough outstanding, or does not read."""
        if not self._is_paused and not self._is_closing:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on, with what was left unread first, but not inside whatever calls this."""
        if self._is_paused:
            self._is_paused = False
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._is_closing or self._is_paused or self._session is None:
            return
        self._take_frames(self._session)
        if not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, close: Close) -> None:
        """Say why, let the client read what is on its way, then free the socket whether it read it or not."""
        if self._is_closing:
            return
        if self._ws.state is State.OPEN:
            self._ws.send_close(close.code, close.reason)
            self._flush_ws()
        self._is_closing = True
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        is_slow = close is protocol.SLOW
        self._cut_off_after(self._limits.slow_grace_s if is_slow else self._limits.close_within_s)

    def _cut_off_after(self, seconds: float) -> None:
        """Free the socket by then, whatever the other side does; an earlier end stays."""
        if self._cut_off is not None:
            if self._cut_off.when() <= self._loop.time() + seconds:
                return
            self._cut_off.cancel()
        self._cut_off = self._loop.call_later(seconds, self._transport.abort)

    def _flush_ws(self) -> None:
        out = self._ws.data_to_send()
        for data in out:
            if data == SEND_EOF:
                self._end_writing()
            elif not self._transport.is_closing():
                self._transport.write(data)

    def _end_writing(self) -> None:
        """Half-close, so that unread bytes of the client do not turn our last words into a reset."""
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._cut_off_after(self._limits.close_within_s)
        else:
            self._transport.close()


def make_listener(host: str, port: int, limits: Limits | None = None) -> socket.socket:
    """A listening socket for uvicorn whose connections let go of a peer that stopped reading.

    Accepted sockets inherit the options on Linux; without them the kernel keeps megabytes for a dead client
    for many minutes. Raises OSError where the address is taken.
    """
    limits = limits or Limits()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        for level, option, value in _socket_options(limits):
            listener.setsockopt(level, option, value)
        listener.bind((host, port))
        listener.listen(limits.backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _socket_options(limits: Limits) -> Iterable[tuple[int, int, int]]:
    yield socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    yield socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1
    yield socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes
    yield socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    if sys.platform == "linux":
        yield socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.tcp_user_timeout_ms
