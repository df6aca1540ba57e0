"""Fixtures that every test may use: real servers and real clients, started on demand and always ended.

Each process of pytest-xdist has its own PostgreSQL and Redis; ports come from the kernel; nothing is shared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.browser import BrowserMissing, Phones, open_browser
from tests.support.node import NodeMissing
from tests.support.postgres import Postgres
from tests.support.raw_socket import RawSocket
from tests.support.redis import Redis
from tests.support.sdk import Sdk
from tests.support.sdk_js import JsSdk
from tests.support.sdk_py import PySdk
from tests.support.server import Server
from tests.support.tcp_proxy import TcpProxy

StartServer = Callable[..., Awaitable[Server]]
StartProxy = Callable[[int], Awaitable[TcpProxy]]
OpenSocket = Callable[..., Awaitable[RawSocket]]


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Reference data beside the project, for tests that compare with it; skips where it is missing."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the project")
    return folder


# Databases


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres(_postgres_server: Postgres) -> Postgres:
    """The real PostgreSQL server of this test process; up again if the last test left it down."""
    _postgres_server.ensure()
    return _postgres_server


@pytest_asyncio.fixture
async def postgres_url(postgres: Postgres) -> AsyncIterator[str]:
    """Address of a new PostgreSQL database with the newest schema and nothing in it, dropped afterwards."""
    url = await postgres.create_database(await postgres.migrated_template())
    yield url
    postgres.ensure()
    await postgres.drop_database(url)


@pytest_asyncio.fixture
async def bare_postgres_url(postgres: Postgres) -> AsyncIterator[str]:
    """Address of a new PostgreSQL database without any table, dropped afterwards."""
    url = await postgres.create_database()
    yield url
    postgres.ensure()
    await postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'saxaul.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs twice: with no SQLite file yet, and with a PostgreSQL database in which nothing is."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[Redis]:
    server = Redis()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest_asyncio.fixture
async def redis_server(_redis_server: Redis) -> Redis:
    """The real redis-server of this test process, emptied; up again if the last test left it down."""
    if not _redis_server.running:
        _redis_server.start()
    _redis_server.resume()
    await _redis_server.empty()
    return _redis_server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """Address of an empty Redis."""
    return redis_server.url


# The engine as a process


@pytest_asyncio.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    """`await start_server(**settings)`: the real `saxaul serve`, ready. Keywords are fields of Settings."""
    servers: list[Server] = []

    async def start(**settings: Any) -> Server:
        folder = tmp_path / f"server-{len(servers) + 1}"
        folder.mkdir()
        server = Server(folder, **settings)
        servers.append(server)
        return await server.start()

    yield start
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture
async def server(start_server: StartServer) -> Server:
    """One `saxaul serve` on a SQLite file of its own."""
    return await start_server()


# Clients and the network between


@pytest_asyncio.fixture
async def sdk_py() -> AsyncIterator[PySdk]:
    """The official Python SDK."""
    sdk = PySdk()
    yield sdk
    await sdk.close()


@pytest_asyncio.fixture
async def sdk_js() -> AsyncIterator[JsSdk]:
    """The official JavaScript SDK in a Node process of its own; skips where it cannot be installed."""
    sdk = JsSdk()
    try:
        await sdk.start()
    except NodeMissing as missing:
        pytest.skip(str(missing))
    yield sdk
    await sdk.close()


@pytest.fixture(params=["py", "js"])
def sdk(request: pytest.FixtureRequest) -> Sdk:
    """The test runs twice: with the Python and with the JavaScript SDK."""
    return request.getfixturevalue(f"sdk_{request.param}")


@pytest_asyncio.fixture
async def phones() -> AsyncIterator[Phones]:
    """A real Chromium: `await phones.phone()` gives a page as a phone shows it; skips where there is none."""
    try:
        async with open_browser() as browser:
            yield browser
    except BrowserMissing as missing:
        pytest.skip(str(missing))


@pytest_asyncio.fixture
async def start_proxy() -> AsyncIterator[StartProxy]:
    """`await start_proxy(port)`: a TCP proxy before that port of 127.0.0.1, whose network can be made bad."""
    proxies: list[TcpProxy] = []

    async def start(upstream_port: int) -> TcpProxy:
        proxies.append(TcpProxy(upstream_port))
        return await proxies[-1].start()

    yield start
    for proxy in proxies:
        await proxy.close()


@pytest_asyncio.fixture
async def raw_socket() -> AsyncIterator[OpenSocket]:
    """`await raw_socket(url, **options)`: a WebSocket client without manners, aborted afterwards."""
    sockets: list[RawSocket] = []

    async def open_socket(url: str, **options: Any) -> RawSocket:
        raw = RawSocket(url, **options)
        sockets.append(raw)  # also where the handshake is refused: its connection is to be closed
        return await raw.open()

    yield open_socket
    for raw in sockets:
        await raw.abort()
