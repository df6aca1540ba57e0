"""The HTTP end of a connection: uvicorn's, with limits on what comes before the app sees a request.

The parser itself takes a head of any size, for ever, and joins an endless header in time that grows with its square;
whoever sends nothing keeps a connection. Nothing is known here of routes or of what a request means.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engine.api.problems import problem_of


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """How large a request's head may be, when it must be there, and when the whole request must be."""

    head_bytes_max: int = 32_768
    head_within_s: float = 10.0
    request_within_s: float = 60.0


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection. A request that is late is cut off, a head that is too large is told so (431)."""

    def __init__(self, limits: HeadLimits, **given: Any) -> None:
        super().__init__(**given)
        self._limits = limits
        self._head_bytes = 0
        self._is_in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Who connects is to say something."""
        super().connection_made(transport)
        self._expect_within(self._limits.head_within_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the network; those of a head are counted until it is whole."""
        if self._deadline is None:
            self._expect_within(self._limits.head_within_s)
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self._limits.head_bytes_max:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A head begins; the last one may have ended in the same bytes."""
        super().on_message_begin()
        self._is_in_head = True
        if self._deadline is None:
            self._expect_within(self._limits.head_within_s)

    def on_headers_complete(self) -> None:
        """The head is whole; the body has time of its own."""
        self._is_in_head = False
        self._head_bytes = 0
        self._expect_within(self._limits.request_within_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole: from now on the app takes its time."""
        self._is_in_head = True
        self._expect_nothing()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The connection is somebody else's from here on."""
        self._expect_nothing()
        super().handle_websocket_upgrade()
        self._expect_nothing()
        self._is_in_head = False

    def _refuse_head(self) -> None:
        """Say so where no other answer is on its way, and let go."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            limit = {"head_bytes_max": self._limits.head_bytes_max}
            self.transport.write(_raw(problem_of("head_too_large", limit)))
        self.transport.close()

    def _late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()

    def _expect_within(self, seconds: float) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def http_class(limits: HeadLimits) -> Any:
    """For uvicorn's `http` option."""
    return partial(BoundedHttp, limits)


def _raw(response: Response) -> bytes:
    """A whole response as it goes over the wire, before there is a request that it could answer."""
    head = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
    line = b"HTTP/1.1 %d Request Header Fields Too Large\r\n" % response.status_code
    return line + head + b"connection: close\r\n\r\n" + bytes(response.body)
