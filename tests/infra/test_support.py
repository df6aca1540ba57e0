"""The tools of the tests are tested too: a proxy that swallows nothing would make every fault test pass."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from redis.asyncio import Redis as RedisClient
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Origin

from tests.conftest import OpenSocket, StartProxy
from tests.support.postgres import Postgres
from tests.support.process import Child, StartFailed, answers
from tests.support.raw_socket import Closed, RawSocket, Refused, raw_frame
from tests.support.redis import Redis
from tests.support.sdk_js import JsSdk

ROOT = Path(__file__).parents[2]


# Processes


def test_child_that_never_gets_ready_tells_its_log(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "print('about to give up')"], tmp_path / "log")
    with pytest.raises(StartFailed, match=r"ended with 0(?s:.*)about to give up"):
        child.wait_until(lambda: False, "it", 10)


def test_kill_takes_the_grandchildren_along(tmp_path: Path) -> None:
    script = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '600']);"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    child = Child([sys.executable, "-c", script], tmp_path / "log")
    child.wait_until(lambda: bool(child.log_text().strip()), "it", 10)
    grandchild = int(child.log_text())
    child.kill_group()
    assert wait_gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux only")
def test_children_die_when_the_test_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.support.process import Child;"
        "c = Child(['sleep', '600'], Path(sys.argv[1])); print(c.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    parent.stdout.close()
    assert wait_gone(child)


def wait_gone(pid: int) -> bool:
    for _ in range(200):
        if (
            not Path(f"/proc/{pid}").exists()
            or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
        ):
            return True
        time.sleep(0.02)
    return False


# Databases

# a session cut from the server's side shows as any of these, depending on what asyncpg was just doing
CUT = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def test_postgres_is_durable_and_empty(postgres: Postgres, bare_postgres_url: str) -> None:
    connection = await asyncpg.connect(bare_postgres_url)
    try:
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        assert not await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    assert "PostgreSQL" in postgres.version


@pytest.mark.parametrize("fault", ["crash", "restart", "stop"])
async def test_postgres_keeps_what_was_committed(postgres: Postgres, postgres_url: str, fault: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept VALUES (1)")
    getattr(postgres, fault)()
    if fault != "restart":
        assert not answers(postgres.port)
        postgres.start()
    with pytest.raises(CUT):
        await connection.execute("SELECT 1")
    connection.terminate()
    database = postgres_url.rpartition("/")[2]
    assert await postgres.execute("INSERT INTO kept VALUES (2)", database) == "INSERT 0 1"
    assert "COPY public.kept" in await postgres.dump(postgres_url)


async def test_postgres_cuts_sessions(postgres: Postgres, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await postgres.cut_sessions(postgres_url)
    with pytest.raises(CUT):
        await connection.execute("SELECT 1")
    connection.terminate()


async def test_database_url_names_an_empty_database_of_each_kind(database_url: str) -> None:
    kind, _, rest = database_url.partition("://")
    assert kind in {"sqlite", "postgresql"}
    if kind == "sqlite":
        with contextlib.closing(sqlite3.connect(rest[1:])) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


async def test_redis_forgets_when_it_crashes(redis_server: Redis) -> None:
    async with RedisClient.from_url(redis_server.url) as client:
        await client.set("kept", "no")
    redis_server.crash()
    assert not answers(redis_server.port)
    redis_server.start()
    async with RedisClient.from_url(redis_server.url) as client:
        assert await client.get("kept") is None


# The proxy

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Line:
    """A TCP server that echoes and counts, for the proxy to stand before."""

    def __init__(self) -> None:
        self.got = b""
        self.ended = asyncio.Event()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
                await writer.drain()
        self.ended.set()
        writer.close()


@pytest_asyncio.fixture
async def line() -> AsyncIterator[tuple[Line, int]]:
    talker = Line()
    listener = await asyncio.start_server(talker.talk, "127.0.0.1", 0)
    yield talker, listener.sockets[0].getsockname()[1]
    listener.close()


@pytest_asyncio.fixture
async def dial() -> AsyncIterator[Dial]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.transport.abort()


async def nothing_comes(reader: asyncio.StreamReader, seconds: float = 0.3) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return True
    return False


async def test_proxy_passes_bytes_and_ends(
    line: tuple[Line, int], start_proxy: StartProxy, dial: Dial
) -> None:
    talker, port = line
    proxy = await start_proxy(port)
    reader, writer = await dial(proxy.port)
    writer.write(b"x" * 300_000)
    assert len(await asyncio.wait_for(reader.readexactly(300_000), 5)) == 300_000
    writer.close()
    await asyncio.wait_for(talker.ended.wait(), 5)


async def test_proxy_swallows_without_a_word_and_new_connections_work_after(
    line: tuple[Line, int], start_proxy: StartProxy, dial: Dial
) -> None:
    talker, port = line
    proxy = await start_proxy(port)
    reader, writer = await dial(proxy.port)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    proxy.swallow()
    writer.write(b"lost")
    late_reader, late_writer = await dial(proxy.port)
    late_writer.write(b"lost too")
    assert await nothing_comes(reader)
    proxy.restore()
    writer.write(b"still lost")
    assert await nothing_comes(reader) and await nothing_comes(late_reader)
    fresh_reader, fresh_writer = await dial(proxy.port)
    fresh_writer.write(b"b")
    assert await fresh_reader.readexactly(1) == b"b"
    assert talker.got == b"ab"


async def test_proxy_does_not_tell_the_client_of_an_end_in_the_blackout(
    start_proxy: StartProxy, dial: Dial
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    proxy = await start_proxy(listener.sockets[0].getsockname()[1])
    reader, _ = await dial(proxy.port)
    await asyncio.sleep(0.05)
    await proxy.blackout(0.5)
    assert await nothing_comes(reader)
    listener.close()


async def test_proxy_holds_and_delivers_all(
    line: tuple[Line, int], start_proxy: StartProxy, dial: Dial
) -> None:
    _, port = line
    proxy = await start_proxy(port)
    reader, writer = await dial(proxy.port)
    writer.write(b"a")
    await reader.readexactly(1)
    outage = asyncio.create_task(proxy.blackout(0.5, after="deliver"))
    await asyncio.sleep(0)
    writer.write(b"held")
    assert await nothing_comes(reader, 0.3)
    await outage
    assert await asyncio.wait_for(reader.readexactly(4), 2) == b"held"


async def test_proxy_resumes_with_a_hole(line: tuple[Line, int], start_proxy: StartProxy, dial: Dial) -> None:
    talker, port = line
    proxy = await start_proxy(port)
    reader, writer = await dial(proxy.port)
    writer.write(b"a")
    await reader.readexactly(1)
    proxy.swallow()
    writer.write(b"hole")
    await asyncio.sleep(0.1)
    proxy.restore("resume")
    writer.write(b"b")
    assert await asyncio.wait_for(reader.readexactly(1), 2) == b"b"
    assert talker.got == b"ab"


async def test_proxy_cuts_after_so_many_bytes_and_resets(
    line: tuple[Line, int], start_proxy: StartProxy, dial: Dial
) -> None:
    _, port = line
    proxy = await start_proxy(port)
    reader, writer = await dial(proxy.port)
    writer.write(b"a")
    await reader.readexactly(1)
    proxy.cut_after(3)
    writer.write(b"bcdefgh")
    assert await asyncio.wait_for(reader.readexactly(3), 2) == b"bcd"
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 2)


async def test_proxy_delays_refuses_and_takes_back(
    line: tuple[Line, int], start_proxy: StartProxy, dial: Dial
) -> None:
    _, port = line
    proxy = await start_proxy(port)
    proxy.delay_s = 0.1
    reader, writer = await dial(proxy.port)
    began = time.monotonic()
    writer.write(b"a")
    await reader.readexactly(1)
    assert time.monotonic() - began >= 0.2
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await dial(proxy.port)
    await proxy.start()
    reader, writer = await dial(proxy.port)
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"


# The socket without manners


@pytest_asyncio.fixture
async def echo_url() -> AsyncIterator[str]:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(
        echo, "127.0.0.1", 0, origins=[None, Origin("https://good.example")], max_size=70_000
    ) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_raw_socket_speaks_and_splits_lines(echo_url: str, raw_socket: OpenSocket) -> None:
    raw = await raw_socket(echo_url)
    raw.send_json({"id": 1}, {"id": 2})
    assert [await raw.receive_json(), await raw.receive_json()] == [{"id": 1}, {"id": 2}]
    raw.send_text("x" * 70_000)
    assert len(await raw.receive()) == 70_000
    assert await raw.close() == (1000, "")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (raw_frame(1, b"\xff\xfe"), 1007),
        (raw_frame(3, b"reserved opcode"), 1002),
        (raw_frame(1, b"no mask", mask=False), 1002),
        (raw_frame(1, b"rsv", rsv1=True), 1002),
        (raw_frame(0, b"continues nothing"), 1002),
        (raw_frame(1, b"x" * 70_001), 1009),
    ],
    ids=["not UTF-8", "reserved opcode", "no mask", "reserved bit", "continues nothing", "too big"],
)
async def test_raw_socket_sends_what_is_illegal(
    echo_url: str, raw_socket: OpenSocket, frame: bytes, code: int
) -> None:
    raw = await raw_socket(echo_url)
    raw.send_bytes(frame)
    assert (await raw.ended()).code == code
    with pytest.raises(Closed):
        await raw.receive()


async def test_raw_socket_tells_a_refused_handshake(echo_url: str) -> None:
    raw = RawSocket(echo_url, origin="https://bad.example")
    with pytest.raises(Refused) as refusal:
        await raw.open()
    assert refusal.value.status == 403
    await raw.abort()


async def test_raw_socket_reads_slowly(echo_url: str, raw_socket: OpenSocket) -> None:
    raw = await raw_socket(echo_url, receive_buffer_bytes=4096)
    raw.pause_reading()
    raw.send_text("x" * 60_000)
    await asyncio.sleep(0.2)
    assert raw.received_bytes < 60_000
    raw.resume_reading()
    assert len(await raw.receive()) == 60_000


# Node


async def test_javascript_sdk_starts_and_has_a_websocket(sdk_js: JsSdk) -> None:
    runtime = await sdk_js.runtime()
    major = int(runtime["node"].removeprefix("v").partition(".")[0])
    assert major >= 18
    assert runtime["websocket"] == ("own" if major >= 22 else "ws")
    assert os.path.isdir(ROOT / ".cache" / "js")
