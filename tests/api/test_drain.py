"""SIGTERM at the real server: unready first, no new sockets, what was begun is finished, sockets told why."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime

import httpx
import pytest

from tests.api.conftest import new_key
from tests.conftest import OpenSocket, StartServer
from tests.support.raw_socket import Refused

NOTICE_S = 1.5


async def test_the_server_drains_in_order(start_server: StartServer, raw_socket: OpenSocket) -> None:
    server = await start_server(drain_notice_s=NOTICE_S, drain_s=1)
    user = await server.open_user()
    sockets = [await raw_socket(server.socket_url) for _ in range(12)]
    for socket in sockets:
        socket.send_json({"id": 1, "connect": {"token": server.token(user)}})
        assert "connect" in await socket.receive_json()
        if socket is sockets[7]:
            break  # no more than a user may have
    async with httpx.AsyncClient(base_url=server.url) as http:
        server.terminate()
        async with asyncio.timeout(NOTICE_S):
            while (ready := await http.get("/readyz")).status_code == 200:
                await asyncio.sleep(0.02)
        assert ready.json()["failing"] == "draining"
        with pytest.raises(Refused) as refused:
            await raw_socket(server.socket_url)
        assert refused.value.status == 503
        headers = {"Authorization": f"Bearer {server.server_key}", "Idempotency-Key": new_key()}
        opened = await http.post("/v1/users", json={"display_name": "Late", "zone": "UTC"}, headers=headers)
        assert opened.status_code == 201
        sockets[0].send_json({"id": 2, "rpc": {"method": "tree.list", "data": {}}})
        assert "rpc" in await sockets[0].receive_json()
    endings = await asyncio.gather(*(socket.ended() for socket in sockets[:8]))
    assert {ending.code for ending in endings} == {3001}
    assert await server.ended() == 0
    events = [json.loads(line)["event"] for line in server.log.splitlines() if line.startswith("{")]
    assert "draining" in events
    await server.start()
    read = await server.call("GET", f"/v1/users/{opened.json()['user']}", bearer=server.server_key)
    assert read.status_code == 200


async def test_what_was_accepted_before_the_end_is_there_after_it(start_server: StartServer) -> None:
    server = await start_server()
    accepted: list[str] = []

    async def opening(http: httpx.AsyncClient) -> None:
        with contextlib.suppress(httpx.TransportError):
            while True:
                headers = {"Authorization": f"Bearer {server.server_key}", "Idempotency-Key": new_key()}
                body = {"display_name": datetime.now(UTC).isoformat(), "zone": "UTC"}
                reply = await http.post("/v1/users", json=body, headers=headers)
                if reply.status_code != 201:
                    break
                accepted.append(reply.json()["user"])

    async with httpx.AsyncClient(base_url=server.url) as http:
        openers = [asyncio.create_task(opening(http)) for _ in range(16)]
        await asyncio.sleep(0.5)
        server.terminate()
        await asyncio.gather(*openers)
    assert await server.ended() == 0
    await server.start()
    assert len(accepted) > 16
    for user in accepted:
        assert (await server.call("GET", f"/v1/users/{user}", bearer=server.server_key)).status_code == 200
    (await server.cli("check")).check()
