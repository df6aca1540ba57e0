"""What comes before a request is whole: endless heads, silence, dribbled bodies. The real process on its real port."""

from __future__ import annotations

import asyncio
import json
import time

from tests.conftest import OpenSocket, StartServer
from tests.support.server import Server


async def _open(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def _send_until_refused(writer: asyncio.StreamWriter, part: bytes, bytes_max: int) -> int:
    sent = 0
    try:
        while sent < bytes_max:
            writer.write(part)
            await asyncio.wait_for(writer.drain(), 5)
            sent += len(part)
            await asyncio.sleep(0)
    except (ConnectionError, TimeoutError):
        pass
    return sent


async def test_an_endless_head_is_refused_and_nobody_waits_for_it(server: Server) -> None:
    for part in (b"a" * 65_536, b"X-A: b\r\n" * 8_192):
        _, writer = await _open(server)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-B: ")
        assert await _send_until_refused(writer, part, 16 * 1024 * 1024) < 16 * 1024 * 1024
        begun = time.monotonic()
        assert (await server.call("GET", "/healthz")).status_code == 200
        assert time.monotonic() - begun < 2
        writer.close()


async def test_a_head_over_the_limit_is_told_so(start_server: StartServer) -> None:
    server = await start_server(head_bytes_max=4096)
    for size, status in ((3000, b"200"), (5000, b"431")):
        reader, writer = await _open(server)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * size)
        await writer.drain()
        if status == b"200":
            writer.write(b"\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.split(b" ")[1] == status
        if status == b"431":
            told = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert (told["code"], told["head_bytes_max"]) == ("head_too_large", 4096)
        writer.close()


async def test_many_requests_on_one_connection_are_not_one_head(start_server: StartServer) -> None:
    server = await start_server(head_bytes_max=4096)
    reader, writer = await _open(server)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 1000 + b"\r\n\r\n"
    for _ in range(10):
        writer.write(request)
        assert b"200" in await asyncio.wait_for(reader.readline(), 5)
        while (await asyncio.wait_for(reader.readline(), 5)).strip():
            pass
        await reader.readexactly(len(b'{"status":"ok"}'))
    writer.close()


async def test_silence_and_dribbling_are_cut_off(start_server: StartServer) -> None:
    server = await start_server(head_within_s=0.5, request_within_s=1.0)
    body = (
        f"POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.server_key}\r\n"
        "Idempotency-Key: 019a0000-0000-7000-8000-000000000001\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    after_one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal"
    for begun in (b"", b"GET /healthz HT", b"\r\n", body.encode(), after_one):
        reader, writer = await _open(server)
        writer.write(begun)
        await asyncio.wait_for(reader.read(), 4)  # to the end of the connection
        writer.close()


async def test_a_socket_outlives_the_time_for_requests(
    start_server: StartServer, raw_socket: OpenSocket
) -> None:
    server = await start_server(head_within_s=0.5, request_within_s=0.5)
    user = await server.open_user()
    raw = await raw_socket(server.socket_url)
    await raw.ask({"id": 1, "connect": {"token": server.token(user)}})
    await asyncio.sleep(1.5)
    assert "rpc" in await raw.ask({"id": 2, "rpc": {"method": "tree.list"}})
