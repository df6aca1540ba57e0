"""The real app on a real database, called through ASGI; and a source that signs with the scheme's own library."""

import io
import json
import logging
import secrets
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from standardwebhooks.webhooks import Webhook

from engine import logs
from engine.api.app import make_app
from engine.api.parts import Parts
from engine.api.tokens import TokenVerifier, sign_demo_token
from engine.clock import Clock
from engine.core.rules import RuleBook
from engine.domain import FEEDS, GAME, JOBS
from engine.explain import explain_ball
from engine.in_force import FixedRules
from engine.photos import PhotoFolder
from engine.publishing import Publisher
from engine.realtime.finding import Finder
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.snapshot import Snapshots
from engine.rulebook import load_rulebook
from engine.settings import Settings
from engine.store.opening import open_database
from engine.writer import Writer
from tests.support.databases import migrated

SERVER_KEY = "server-key-" + "s" * 40
OPERATOR_KEY = "operator-key-" + "o" * 40
TOKEN_SECRET = "token-secret-" + "t" * 40
RULES = load_rulebook()

_last_key_ms = 0


def new_key() -> str:
    """A UUIDv7, later than the one before."""
    global _last_key_ms
    _last_key_ms = max(_last_key_ms + 1, int(datetime.now(UTC).timestamp() * 1000))
    tail = secrets.randbits(74)
    number = (_last_key_ms << 80) | (7 << 76) | ((tail >> 62) << 64) | (2 << 62) | (tail & (2**62 - 1))
    return str(uuid.UUID(int=number))


@dataclass
class Api:
    """The app, its parts, and calls with the right keys."""

    parts: Parts
    http: httpx.AsyncClient
    secrets: dict[str, str] = field(default_factory=dict)

    async def server(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> httpx.Response:
        """As the app's server."""
        return await self.call(method, path, body, SERVER_KEY, key)

    async def operator(
        self, method: str, path: str, body: Any = None, key: str | None = None
    ) -> httpx.Response:
        """As an operator."""
        return await self.call(method, path, body, OPERATOR_KEY, key)

    async def user(
        self, user: str, method: str, path: str, body: Any = None, key: str | None = None
    ) -> httpx.Response:
        """As a user."""
        return await self.call(method, path, body, sign_demo_token(TOKEN_SECRET, int(user)), key)

    async def call(
        self, method: str, path: str, body: Any, bearer: str | None, key: str | None = None
    ) -> httpx.Response:
        """With that bearer; every call but a read has a key."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        if method != "GET":
            headers["Idempotency-Key"] = key or new_key()
        return await self.http.request(method, path, json=body, headers=headers)

    async def open_account(self, name: str = "Lin", **fields: Any) -> str:
        """A new account's id."""
        body = {"display_name": name, "zone": "Asia/Shanghai"} | fields
        response = await self.server("POST", "/v1/users", body)
        assert response.status_code == 201, response.text
        return response.json()["user"]

    async def add_source(
        self, source: str = "city", behaviours: tuple[str, ...] = ("walking", "metro")
    ) -> str:
        """A registered source's secret."""
        body = {"source": source, "name": "City", "behaviours": list(behaviours)}
        response = await self.operator("POST", "/v1/sources", body)
        assert response.status_code == 201, response.text
        self.secrets[source] = response.json()["secret"]
        return self.secrets[source]

    async def link(self, user: str, subject: str, source: str = "city", *behaviours: str) -> None:
        """A consent."""
        body = {"source": source, "subject": subject, "behaviours": list(behaviours) or ["walking", "metro"]}
        response = await self.server("POST", f"/v1/users/{user}/links", body)
        assert response.status_code == 200, response.text

    async def report(self, *items: Any, source: str = "city", path: str = "/v1/activities") -> httpx.Response:
        """Signed by the source."""
        return await self.send(json.dumps({"activities": list(items)}).encode(), source=source, path=path)

    async def send(
        self,
        body: bytes,
        *,
        source: str = "city",
        path: str = "/v1/activities",
        secret: str | None = None,
        message: str | None = None,
        at: datetime | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """These bytes, signed by the library with `secret` (the source's own), as of `at` (now)."""
        message, at = message or f"msg_{uuid.uuid4().hex}", at or datetime.now(UTC)
        signature = sign(secret or self.secrets[source], message, at, body)
        signed = {
            "Saxaul-Source": source,
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        return await self.http.post(path, content=body, headers=signed | (headers or {}))


def sign(secret: str, message: str, at: datetime, body: bytes) -> str:
    """A signature by the scheme's own library; only text can be signed with it."""
    return Webhook(secret).sign(message, at, body.decode("latin-1") if not _is_text(body) else body.decode())


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def walk(activity: str, subject: str = "sub-1", steps: Any = 10_000, **fields: Any) -> dict[str, Any]:
    """A day of walking, today in Shanghai."""
    today = datetime.now(UTC).astimezone(_shanghai()).date().isoformat()
    item = {"id": activity, "subject": subject, "behaviour": "walking", "on": today, "revision": 1}
    return item | {"quantity": steps, "unit": "step"} | fields


def _shanghai() -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo("Asia/Shanghai")


def rules() -> RuleBook:
    return RULES


async def open_parts(
    stack: AsyncExitStack, url: str, rules: Callable[[], RuleBook] = rules, **settings: Any
) -> Parts:
    """A running engine without sockets."""
    values: dict[str, Any] = {
        "_env_file": None,
        "database_url": url,
        "server_key": SERVER_KEY,
        "operator_key": OPERATOR_KEY,
        "token_secret": TOKEN_SECRET,
    }
    made = Settings(**values | settings)
    epoch = await migrated(url)
    db = await open_database(url)
    stack.push_async_callback(db.close)
    clock = Clock()
    hub = Hub(Limits(), epoch)
    writer = Writer(db, [GAME, JOBS, FEEDS], FixedRules(rules), hub, clock, made.queue_commands_max)
    writer.start()
    stack.push_async_callback(writer.stop)

    async def explain(ball: int) -> dict[str, Any] | None:
        return await explain_ball(db, RULES, ball, now=clock.now_ms())

    return Parts(
        settings=made,
        db=db,
        rules=rules,
        clock=clock,
        hub=hub,
        writer=writer,
        reads=Snapshots(db, rules, clock, epoch, finder=Finder(hub, hub.limits.find_friends_max)),
        tokens=TokenVerifier(secret=TOKEN_SECRET, audience="saxaul"),
        explain=explain,
        publisher=Publisher(db, writer.submit_all, clock.now_ms),
        photos=PhotoFolder(made.photo_folder),
    )


async def open_api(
    stack: AsyncExitStack, url: str, rules: Callable[[], RuleBook] = rules, **settings: Any
) -> Api:
    """The app of a running engine."""
    parts = await open_parts(stack, url, rules, **settings)
    transport = httpx.ASGITransport(make_app(parts))
    http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://saxaul"))
    return Api(parts, http)


@pytest_asyncio.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    """The app on both databases."""
    async with AsyncExitStack() as stack:
        yield await open_api(stack, database_url)


@pytest_asyncio.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Api]:
    """The app on SQLite only, where the database makes no difference."""
    async with AsyncExitStack() as stack:
        yield await open_api(stack, sqlite_url)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that the process logs, as an operator would get it."""
    out, before = io.StringIO(), sys.stdout
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.stdout = out
    try:
        logs.configure("DEBUG", as_json=True)
        yield out
    finally:
        sys.stdout = before
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
