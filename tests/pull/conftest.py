"""A real HTTP server that a test makes as hostile as it likes, and an engine that pulls from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from engine.counting import ReportCounts
from engine.pull.fetch import Fetcher
from engine.pull.files import PullFile
from engine.pull.run import Puller
from tests.api.conftest import Api, api, lite

__all__ = ["api", "lite"]

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    """What the server was asked."""

    path: str
    cursor: str
    headers: dict[str, str]


@dataclass
class Upstream:
    """The other side: `answer` says what it does with a request."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answer: Answer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/feed"

    def pages(self, pages: dict[str, Any]) -> None:
        """Answer with these documents by cursor ("" first)."""

        async def answer(request: Request, out: asyncio.StreamWriter) -> None:
            await send(out, json.dumps(pages[request.cursor]).encode())

        self.answer = answer

    def raw(self, *chunks: bytes, wait_s: float = 0) -> None:
        """Answer with these bytes, status line and all."""

        async def answer(request: Request, out: asyncio.StreamWriter) -> None:
            for chunk in chunks:
                out.write(chunk)
                await out.drain()
                await asyncio.sleep(wait_s)

        self.answer = answer

    async def serve(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            target = urlsplit(head[0].split(" ")[1])
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            cursor = parse_qs(target.query).get("cursor", [""])[0]
            request = Request(target.path, cursor, headers)
            self.requests.append(request)
            assert self.answer is not None
            await self.answer(request, out)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the engine has hung up
        finally:
            out.close()


async def send(out: asyncio.StreamWriter, body: bytes, status: str = "200 OK", more: str = "") -> None:
    """A whole response."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n"
    out.write(head.encode() + body)
    await out.drain()


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


def feed(address: str, **changed: Any) -> PullFile:
    """A pull file of metro rides."""
    tree: dict[str, Any] = {
        "source": "city",
        "address": address,
        "every_s": "60",
        "requests_per_min": "600",
        "page": {"records": "data.items", "next": "data.next"},
        "fields": {
            "id": "trip",
            "subject": "card.id",
            "behaviour": {"path": "kind", "words": {"subway": "metro"}},
            "quantity": {"value": "1"},
            "unit": {"value": "ride"},
            "at": "left_at",
            "attributes.distance_km": "km",
        },
    }
    return PullFile.model_validate(tree | changed)


def ride(number: int | str, subject: str = "sub-1", **fields: Any) -> dict[str, Any]:
    """A record of the feed, a ride of this morning."""
    record = {
        "trip": f"r{number}",
        "card": {"id": subject},
        "kind": "subway",
        "left_at": "2026-11-20T08:00:00+08:00",
    }
    return record | fields


def page(*records: Any, **more: Any) -> dict[str, Any]:
    """A page of the feed; `next` is the cursor of the next one."""
    return {"data": {"items": list(records), "next": more.get("next")}}


@dataclass
class Pulling:
    """An engine with a linked rider, and a puller whose clock the test sets."""

    api: Api
    upstream: Upstream
    fetcher: Fetcher
    now_ms: int
    counts: ReportCounts = field(default_factory=ReportCounts)

    def puller(self, file: PullFile | None = None, **secrets: str) -> Puller:
        parts = self.api.parts
        made = file or feed(self.upstream.url)
        submit = parts.writer.submit_all
        return Puller(made, self.fetcher, submit, parts.db, self.counts, lambda: self.now_ms, secrets.get)

    async def activities(self) -> list[str]:
        async with self.api.parts.db.snapshot() as view:
            rows = await view.fetch("SELECT activity FROM activities WHERE source = 'city' ORDER BY activity")
        return [row[0] for row in rows]


async def pulling_of(api: Api, upstream: Upstream, fetcher: Fetcher) -> Pulling:
    await api.add_source(behaviours=("metro",))
    user = await api.open_account()
    await api.link(user, "sub-1", "city", "metro")
    return Pulling(api, upstream, fetcher, api.parts.clock.now_ms())


@pytest_asyncio.fixture
async def pulling(lite: Api, upstream: Upstream) -> AsyncIterator[Pulling]:
    fetcher = Fetcher(allows_loopback=True, total_s=1.0)
    yield await pulling_of(lite, upstream, fetcher)
    await fetcher.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pulls"
    made.mkdir()
    return made
