"""The partner's end of webhooks: a real server that keeps what it is sent, and is as hostile as a test wants."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Got:
    """A request as it came."""

    head: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


@dataclass
class Receiver:
    """`statuses`: of the next answers, then 204; `raw`: bytes in place of an answer; `hang`: says nothing."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    more: str = ""
    raw: Answer | None = None
    hang: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def told(self, kind: str = "") -> list[dict[str, Any]]:
        """What was said, each message once, in the order in which it first came."""
        seen = {one.headers["webhook-id"]: one.said for one in reversed(self.got)}
        return [one for one in reversed(seen.values()) if one["type"].startswith(kind)]

    async def serve(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        try:
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines if ": " in line]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.got.append(Got(head, headers, body))
            if self.hang:
                await reader.read()  # until the engine hangs up
            elif self.raw is not None:
                await self.raw(out)
            else:
                status = self.statuses.pop(0) if self.statuses else 204
                out.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{self.more}Connection: close\r\n\r\n".encode()
                )
                await out.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            out.close()


@asynccontextmanager
async def receiving(trust: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that runs while the block does."""
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=trust)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


class Names:
    """A resolver that answers one after the other, as one that rebinds would."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]
