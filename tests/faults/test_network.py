"""A bad network between the server and both official SDKs: nothing is missed, nothing comes twice, nobody waits."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import StartProxy, StartServer
from tests.faults.views import SdkView
from tests.faults.village import Village, make_village
from tests.support.raw_socket import RawSocket
from tests.support.sdk import Sdk
from tests.support.sdk_js import JsSdk
from tests.support.sdk_py import PySdk
from tests.support.server import Server, new_key
from tests.support.tcp_proxy import TcpProxy

PUBLICATIONS = 200
RIDES = 30  # and as many by metro: each friend of a villager can press 60 balls
OPTIONS: dict[str, dict[str, Any]] = {
    "py": {"max_server_ping_delay": 0.5, "timeout": 2.0},
    "js": {"maxServerPingDelay": 500, "timeout": 2000},
}


async def signed_in(server: Server, user: int, **options: Any) -> RawSocket:
    socket = await RawSocket(server.socket_url, **options).open()
    await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
    return socket


async def collect(socket: RawSocket, owner: int, balls: list[int], number: int) -> int:
    """The grams of one press."""
    data = {"key": new_key(), "owner": str(owner), "balls": [str(ball) for ball in balls]}
    reply = await socket.ask({"id": number, "rpc": {"method": "ball.collect", "data": data}})
    return sum(result.get("energy_g", 0) for result in reply["rpc"]["data"]["results"])


async def press(server: Server, village: Village, owner: int, count: int, within_s: float) -> None:
    """Friends press the owner's balls on good connections, evenly: each press that gives is a publication a channel."""
    friends = [user for user in village.users if user != owner]
    presses = [(user, ball) for user in friends for ball in village.balls[owner]]
    random.Random(3).shuffle(presses)
    async with AsyncExitStack() as stack:
        sockets = {user: await signed_in(server, user) for user in friends}
        for socket in sockets.values():
            stack.push_async_callback(socket.abort)
        given = 0
        for number, (user, ball) in enumerate(presses, 2):
            given += bool(await collect(sockets[user], owner, [ball], number))
            if given == count:
                return
            await asyncio.sleep(within_s / count)
    raise AssertionError(f"only {given} presses gave energy")


async def open_views(
    server: Server, proxy: TcpProxy, village: Village, sdks: list[Sdk], **options: dict[str, Any]
) -> list[SdkView]:
    """Of each SDK the owner's device and a friend's, both behind the proxy."""
    owner, friend = (str(user) for user in village.users[:2])
    views: list[SdkView] = []
    for sdk in sdks:
        for user, watched in ((owner, []), (friend, [owner])):
            url = server.socket_url_at(proxy.port)
            client = await sdk.client(url, server.token(user), **options.get(sdk.name, {}))
            views.append(await SdkView(client, user, watched).open())
    return views


@pytest.mark.slow
async def test_ten_seconds_in_which_nothing_passes(
    start_server: StartServer, start_proxy: StartProxy, sqlite_url: str, sdk_py: PySdk, sdk_js: JsSdk
) -> None:
    """Shorter than the ping limit: TCP delivers what it held, on the same connections."""
    village = await make_village(sqlite_url, users=6, rides=RIDES)
    server = await start_server(database_url=sqlite_url)
    proxy = await start_proxy(server.port)
    views = await open_views(server, proxy, village, [sdk_py, sdk_js])
    pressing = asyncio.create_task(press(server, village, village.users[0], PUBLICATIONS, within_s=6))
    await proxy.blackout(10, after="deliver")
    await pressing
    for view in views:
        await view.assert_equal(server)
        assert len(view.client.told("connected")) == 1


@pytest.mark.slow
async def test_silence_beyond_the_ping_limit(
    start_server: StartServer, start_proxy: StartProxy, sqlite_url: str, sdk_py: PySdk, sdk_js: JsSdk
) -> None:
    """Bytes are swallowed without FIN or RST and the old connections stay dead: clients find out and recover."""
    village = await make_village(sqlite_url, users=6, rides=RIDES)
    server = await start_server(database_url=sqlite_url, ping_s=1, pong_s=1)
    proxy = await start_proxy(server.port)
    views = await open_views(server, proxy, village, [sdk_py, sdk_js], **OPTIONS)
    pressing = asyncio.create_task(press(server, village, village.users[0], PUBLICATIONS, within_s=5))
    await asyncio.sleep(0.5)
    await proxy.blackout(5, after="dead")
    await pressing
    for view in views:
        await view.assert_equal(server)
        channel = next(iter(view.channels))
        assert view.client.told("subscribed", channel)[-1].detail["recovered"]
        assert len(view.client.told("state", channel)) == 1, "recovered, not loaded again"


@pytest.mark.slow
async def test_connections_cut_in_the_middle_of_frames(
    start_server: StartServer, start_proxy: StartProxy, sqlite_url: str, sdk_py: PySdk, sdk_js: JsSdk
) -> None:
    """Reset after some more bytes, at once, or ended by FIN, again and again while everything goes on."""
    village = await make_village(sqlite_url, users=6, rides=RIDES)
    server = await start_server(database_url=sqlite_url)
    proxy = await start_proxy(server.port)
    views = await open_views(server, proxy, village, [sdk_py, sdk_js])
    dice = random.Random(7)
    pressing = asyncio.create_task(press(server, village, village.users[0], PUBLICATIONS, within_s=6))
    while not pressing.done():
        dice.choice((lambda: proxy.cut_after(dice.randint(1, 1500)), proxy.reset, proxy.finish))()
        await asyncio.sleep(dice.uniform(0.1, 0.7))
    await pressing
    await asyncio.sleep(0.2)
    proxy.reset()  # whatever waits to be cut
    assert proxy.accepted > 5 * len(views)
    for view in views:
        await view.assert_equal(server)


# --- slow readers ---------------------------------------------------------------------------------


async def closed_as_slow(server: Server, count: int) -> bool:
    text = (await server.call("GET", "/metrics")).text
    found = re.search(r'^saxaul_closes_total\{code="3008"\} (\d+)', text, re.MULTILINE)
    return found is not None and int(found[1]) == count


def open_sockets(server: Server) -> int:
    folder = f"/proc/{server.pid}/fd"
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except FileNotFoundError:  # closed meanwhile
            continue
    return sum(link.startswith("socket:") for link in links)


async def watch(socket: RawSocket, owners: list[int]) -> None:
    for number, owner in enumerate(owners, 2):
        reply = await socket.ask({"id": number, "subscribe": {"channel": f"forest:{owner}"}})
        assert "error" not in reply, reply


async def count_publications(socket: RawSocket, offsets: dict[str, list[int]]) -> None:
    while True:
        message = await socket.receive_json(30)
        if message == {}:
            socket.send_json({})
        elif "pub" in message.get("push", {}):
            offsets.setdefault(message["push"]["channel"], []).append(message["push"]["pub"]["offset"])


async def wait_until(reached: Callable[[], Awaitable[bool]], within_s: float = 20) -> None:
    ends_at = asyncio.get_running_loop().time() + within_s
    while not await reached():
        assert asyncio.get_running_loop().time() < ends_at, "never came to pass"
        await asyncio.sleep(0.1)


async def press_everything(server: Server, village: Village) -> dict[str, int]:
    """Everybody presses all balls of everybody else, fifty at once; how many publications each forest made."""
    published = dict.fromkeys((f"forest:{user}" for user in village.users), 0)
    for user in village.users:
        presser = await signed_in(server, user)
        for number, owner in enumerate((owner for owner in village.users if owner != user), 2):
            for half in (village.balls[owner][:50], village.balls[owner][50:]):
                published[f"forest:{owner}"] += bool(await collect(presser, owner, half, number))
        await presser.abort()
    return published


async def slow_reader(server: Server, village: Village) -> RawSocket:
    socket = await signed_in(server, village.users[0], receive_buffer_bytes=4096)
    await watch(socket, village.users)
    return socket


async def test_slow_readers_are_closed_and_freed_while_twenty_others_get_everything(
    start_server: StartServer, sqlite_url: str
) -> None:
    """Two of them: one reads again in time and is told 3008, the other never does; both sockets are freed."""
    village = await make_village(sqlite_url, users=10, rides=50)
    server = await start_server(database_url=sqlite_url, send_queue_bytes_max=65_536, commands_per_s=0)
    offsets: list[dict[str, list[int]]] = [{} for _ in range(20)]
    async with AsyncExitStack() as stack:
        slow = [await slow_reader(server, village) for _ in range(2)]
        others = [await signed_in(server, village.users[number % 10]) for number in range(20)]
        for socket in slow + others:
            stack.push_async_callback(socket.abort)
        for socket in others:
            await watch(socket, village.users)
        before = open_sockets(server)
        tasks = [asyncio.create_task(count_publications(*pair)) for pair in zip(others, offsets, strict=True)]
        for socket in slow:
            socket.pause_reading()
        published = await press_everything(server, village)
        assert sum(published.values()) > 100
        await wait_until(lambda: closed_as_slow(server, 2))
        slow[0].resume_reading()
        assert (await slow[0].ended()).code == 3008
        await wait_until(lambda: have_counts(offsets, published))
        for got in (got for found in offsets for got in found.values()):
            assert got == list(range(got[0], got[0] + len(got)))
        await wait_until(lambda: has_open_sockets(server, before - 2))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def have_counts(offsets: list[dict[str, list[int]]], wanted: dict[str, int]) -> bool:
    return all({name: len(got) for name, got in found.items()} == wanted for found in offsets)


async def has_open_sockets(server: Server, at_most: int) -> bool:
    return open_sockets(server) <= at_most
