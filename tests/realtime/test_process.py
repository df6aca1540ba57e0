"""The socket end of the real process on its real event loop: those who misbehave are freed, the others served."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.conftest import OpenSocket, StartServer
from tests.realtime.small import KEY
from tests.support.server import Server


async def sockets_open(server: Server) -> int:
    reply = await server.call("GET", "/metrics")
    found = re.search(r"^saxaul_connections (\d+)", reply.text, re.MULTILINE)
    assert found, reply.text[:500]
    return int(found[1])


@pytest.mark.slow
async def test_a_client_that_never_reads_is_freed_and_the_others_do_not_notice(
    start_server: StartServer, raw_socket: OpenSocket
) -> None:
    server = await start_server(commands_per_s=0)
    user = await server.open_user()
    stuck = await raw_socket(server.socket_url, receive_buffer_bytes=4096)
    await stuck.ask({"id": 1, "connect": {"token": server.token(user)}})
    other = await raw_socket(server.socket_url)
    await other.ask({"id": 1, "connect": {"token": server.token(user)}})
    stuck.pause_reading()
    data = {"key": KEY, "balls": [str(ball) for ball in range(1, 51)]}
    for number in range(2, 602):
        stuck.send_json({"id": number, "rpc": {"method": "ball.collect", "data": data}})
    assert await sockets_open(server) == 2
    async with asyncio.timeout(30):
        number = 2
        while await sockets_open(server) == 2:
            reply = await other.ask({"id": number, "rpc": {"method": "tree.list"}})
            assert reply["rpc"]["data"]["trees"] == []
            number += 1
            await asyncio.sleep(0.2)
    assert await sockets_open(server) == 1


async def test_hostile_frames_end_their_connection_only(server: Server, raw_socket: OpenSocket) -> None:
    user = await server.open_user()
    other = await raw_socket(server.socket_url, subprotocols=["centrifuge-json"])
    await other.ask({"id": 1, "connect": {"token": server.token(user)}})
    for frame, code in (("not json", 3501), ("{}{}", 3501), ('{"id":4294967296}', 3501), ("x" * 65537, 1009)):
        raw = await raw_socket(server.socket_url)
        await raw.ask({"id": 1, "connect": {"token": server.token(user)}})
        raw.send_text(frame)
        assert (await raw.ended()).code == code
    assert "rpc" in await other.ask({"id": 2, "rpc": {"method": "tree.list"}})
    assert "x" * 100 not in server.log


async def test_the_end_of_the_process_is_told(server: Server, raw_socket: OpenSocket) -> None:
    user = await server.open_user()
    raw = await raw_socket(server.socket_url)
    await raw.ask({"id": 1, "connect": {"token": server.token(user)}})
    server.terminate()
    assert (await raw.ended(10)).code == 3001
