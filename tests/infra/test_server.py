"""The tools together: the real server as a process, both SDKs, and a bad network between them."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import OpenSocket, StartProxy, StartServer
from tests.support.raw_socket import Refused
from tests.support.sdk import Ended, Sdk
from tests.support.server import Server


async def test_server_is_ready_drains_and_comes_back_as_it_was(server: Server) -> None:
    user = await server.open_user()
    assert await server.end() == 0
    assert not server.ready()
    await server.start()
    reply = await server.call("GET", f"/v1/users/{user}", bearer=server.server_key)
    assert reply.status_code == 200, reply.text
    assert (await server.cli("check")).check()


async def test_sdk_loads_a_snapshot_and_outlives_a_kill(server: Server, sdk: Sdk) -> None:
    user = await server.open_user()
    client = await sdk.client(server.socket_url, server.token(user))
    await client.connect()
    first = await client.subscribe(f"user:{user}", state=("forest.get", {}))
    assert first.detail["streamPosition"]["epoch"]
    assert client.told("state")[0].detail["user"] == user
    server.kill()
    await client.wait_until(lambda: len(client.told("connecting")) == 2)
    await server.start()
    await client.wait_until(lambda: len(client.told("subscribed")) == 2, timeout_s=20)
    again = client.told("subscribed")[-1]
    assert again.detail["recovered"]
    assert again.detail["streamPosition"]["epoch"] == first.detail["streamPosition"]["epoch"]


async def test_sdk_client_of_nobody_is_ended(server: Server, sdk: Sdk) -> None:
    client = await sdk.client(server.socket_url, server.token(4_000_000))
    with pytest.raises(Ended):
        await client.connect()


async def test_sdk_finds_out_about_a_silent_network_and_gets_around_it(
    start_server: StartServer, start_proxy: StartProxy, sdk: Sdk
) -> None:
    server = await start_server(ping_s=1, pong_s=1)
    user = await server.open_user()
    proxy = await start_proxy(server.port)
    patience = {"max_server_ping_delay": 0.5} if sdk.name == "py" else {"maxServerPingDelay": 500}
    client = await sdk.client(server.socket_url_at(proxy.port), server.token(user), **patience)
    await client.connect()
    await client.subscribe(f"user:{user}", state=("forest.get", {}))
    await proxy.blackout(4)
    await client.wait_until(lambda: len(client.told("subscribed")) >= 2, timeout_s=20)
    assert client.told("subscribed")[-1].detail["recovered"]


async def test_raw_socket_is_refused_from_a_foreign_origin(server: Server, raw_socket: OpenSocket) -> None:
    with pytest.raises(Refused):
        await raw_socket(server.socket_url, origin="https://elsewhere.example")
    raw = await raw_socket(server.socket_url)
    raw.send_text("not json")
    assert (await raw.ended()).code == 3501


async def test_server_on_postgres_with_redis(
    start_server: StartServer, postgres_url: str, redis_url: str
) -> None:
    one, two = await asyncio.gather(
        start_server(database_url=postgres_url, redis_url=redis_url),
        start_server(database_url=postgres_url, redis_url=redis_url),
    )
    user = await one.open_user()
    reply = await two.call("GET", f"/v1/users/{user}", bearer=two.server_key)
    assert reply.status_code == 200, reply.text
