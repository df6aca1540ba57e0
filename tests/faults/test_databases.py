"""The stores break under load: PostgreSQL, Redis, the one SQLite file. Nothing acknowledged is lost; clients go on."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import StartProxy, StartServer
from tests.faults.pressing import Pressing
from tests.faults.views import SdkView
from tests.faults.village import make_village
from tests.support.postgres import Postgres
from tests.support.raw_socket import RawSocket
from tests.support.redis import Redis
from tests.support.sdk import Sdk
from tests.support.sdk_js import JsSdk
from tests.support.sdk_py import PySdk
from tests.support.server import Server, new_key

GO_ON_WITHIN_S = 5.0
TOLD_WITHIN_S = 10.0


# --- PostgreSQL -----------------------------------------------------------------------------------


@pytest.mark.slow
async def test_postgres_restarts_under_load(
    start_server: StartServer, postgres: Postgres, postgres_url: str, sdk_py: PySdk
) -> None:
    """Twice at once, once with all sessions cut: clients hear `unavailable`, for now, and go on by themselves."""
    village = await make_village(postgres_url, users=12, rides=40)
    server = await start_server(database_url=postgres_url, commands_per_s=0)
    watcher, owner = (str(user) for user in village.users[:2])
    view = await SdkView(
        await sdk_py.client(server.socket_url, server.token(watcher)), watcher, [owner]
    ).open()
    load = Pressing(village, random.Random(11))
    clients = [asyncio.create_task(load.client(server, user, pause_s=0.005)) for user in village.users[:8]]
    back_at: list[float] = []
    for breaks in (postgres.restart, postgres.restart, None):
        await asyncio.sleep(1)
        if breaks is None:
            await postgres.cut_sessions(postgres_url)
        else:
            await asyncio.to_thread(breaks)
        back_at.append(time.monotonic())
    await asyncio.sleep(1.5)
    load.is_over = True
    await asyncio.gather(*clients)
    assert load.failures, "somebody was told"
    for at in back_at:
        assert min(answered for answered in load.answered if answered > at) - at < GO_ON_WITHIN_S
    assert sum(press.changed_something for press in load.presses.values()) > 50
    await load.assert_stored(postgres_url)
    await view.assert_equal(server)
    assert len(view.client.told("connected")) == 1, "no connection was closed for it"
    (await server.cli("check")).check()


async def test_reads_and_writes_are_refused_for_now_while_postgres_is_away(
    start_server: StartServer, postgres: Postgres, postgres_url: str
) -> None:
    village = await make_village(postgres_url, users=2, rides=2)
    server = await start_server(database_url=postgres_url)
    one, two = village.users
    async with RawSocket(server.socket_url) as socket:
        await socket.ask({"id": 1, "connect": {"token": server.token(one)}})
        await asyncio.to_thread(postgres.stop)
        data = {"key": new_key(), "owner": str(two), "balls": [str(village.balls[two][0])]}
        press = {"rpc": {"method": "ball.collect", "data": data}}
        for number, command in enumerate(
            (press, {"rpc": {"method": "forest.get", "data": {}}}, {"subscribe": {"channel": f"user:{one}"}}),
            2,
        ):
            reply = await socket.ask({"id": number} | command, timeout_s=15)
            assert reply["error"] == {"code": 401, "message": "database away", "temporary": True}
        await asyncio.sleep(1.1)  # readiness is proved once a second
        assert not server.ready()
        await asyncio.to_thread(postgres.start)
        begun = time.monotonic()
        reply = await socket.ask({"id": 9} | press, timeout_s=15)
        while "error" in reply:
            assert reply["error"]["temporary"] is True
            assert time.monotonic() - begun < GO_ON_WITHIN_S
            await asyncio.sleep(0.1)
            reply = await socket.ask({"id": 9} | press, timeout_s=15)
        assert "energy_g" in reply["rpc"]["data"]["results"][0]
    (await server.cli("check")).check()


@pytest.mark.slow
@pytest.mark.parametrize("has_redis", [False, True], ids=["alone", "with redis"])
async def test_answers_of_commits_are_lost_on_their_way(
    start_server: StartServer,
    start_proxy: StartProxy,
    postgres: Postgres,
    postgres_url: str,
    redis_url: str,
    sdk_py: PySdk,
    has_redis: bool,
) -> None:
    """The network to PostgreSQL is cut again and again: what was committed and not answered is told all the same."""
    village = await make_village(postgres_url, users=12, rides=40)
    proxy = await start_proxy(postgres.port)
    settings: dict[str, object] = {
        "database_url": postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/")
    }
    if has_redis:
        settings["redis_url"] = redis_url
    server = await start_server(**settings, commands_per_s=0)
    watcher, *owners = (str(user) for user in village.users)
    view = await SdkView(
        await sdk_py.client(server.socket_url, server.token(watcher)), watcher, owners
    ).open()
    load = Pressing(village, random.Random(17))
    clients = [asyncio.create_task(load.client(server, user, pause_s=0.005)) for user in village.users[1:9]]
    for _ in range(15):
        await asyncio.sleep(0.2)
        proxy.reset()
    load.is_over = True
    await asyncio.gather(*clients)
    assert load.failures, "somebody was told"
    assert sum(press.changed_something for press in load.presses.values()) > 50
    await load.assert_stored(postgres_url)
    await view.assert_equal(server, within_s=TOLD_WITHIN_S)
    (await server.cli("check")).check()


# --- Redis ----------------------------------------------------------------------------------------


async def break_redis(redis: Redis) -> None:
    """Everything that a Redis may do to us, one after another, with a breath between."""
    await asyncio.to_thread(redis.crash)
    await asyncio.sleep(0.7)
    await asyncio.to_thread(redis.start)
    await asyncio.sleep(0.7)
    await redis.empty()
    await asyncio.sleep(0.3)
    redis.pause()
    await asyncio.sleep(1.5)
    redis.resume()
    await asyncio.sleep(0.5)


async def press_on_both(load: Pressing, servers: list[Server], user: int) -> None:
    """Each press goes to both processes at once with one key: one effect, one answer."""
    sockets = [RawSocket(server.socket_url) for server in servers]
    try:
        for server, socket in zip(servers, sockets, strict=True):
            await socket.open()
            await socket.ask({"id": 1, "connect": {"token": server.token(user)}})
        number = 1
        while not load.is_over:
            number += 1
            press = load.press(user)
            command = {"id": number, "rpc": {"method": "ball.collect", "data": press.data}}
            one, two = await asyncio.gather(*(socket.ask(command, timeout_s=15) for socket in sockets))
            assert ("error" in one, "error" in two) == (False, False), (one, two)
            press.reply = one["rpc"]["data"]
            if press.changed_something:
                assert two["rpc"]["data"] == press.reply
    finally:
        for socket in sockets:
            await socket.abort()


@pytest.mark.slow
async def test_redis_comes_and_goes_between_two_processes(
    start_server: StartServer,
    postgres_url: str,
    redis_server: Redis,
    sdk_py: PySdk,
    sdk_js: JsSdk,
) -> None:
    """Clients of either process converge on what all have done, and no press counts twice."""
    village = await make_village(postgres_url, users=10, rides=40)
    settings = {"database_url": postgres_url, "redis_url": redis_server.url, "commands_per_s": 0}
    one = await start_server(**settings)
    # the same app: one secret
    two = await start_server(**settings, token_secret=one.token_secret, server_key=one.server_key)
    two.token_secret = one.token_secret
    sdks: list[tuple[Sdk, Server]] = [(sdk_py, one), (sdk_js, two)]
    views: list[SdkView] = []
    for place, (sdk, server) in enumerate(sdks):
        watcher, *owners = (str(user) for user in village.users[place : place + 3])
        client = await sdk.client(server.socket_url, server.token(watcher))
        views.append(await SdkView(client, watcher, owners).open())
    load = Pressing(village, random.Random(13))
    clients = [asyncio.create_task(load.client(one, user, 0.01)) for user in village.users[4:7]]
    clients += [asyncio.create_task(load.client(two, user, 0.01)) for user in village.users[5:8]]
    clients.append(asyncio.create_task(press_on_both(load, [one, two], village.users[8])))
    await break_redis(redis_server)
    load.is_over = True
    await asyncio.gather(*clients)
    assert not load.failures, "Redis is never the truth: nobody is refused for it"
    for view in views:
        await view.assert_equal(one, within_s=10)
        assert len(view.client.told("connected")) == 1
    assert sum(press.changed_something for press in load.presses.values()) > 50
    await load.assert_stored(postgres_url)
    (await one.cli("check")).check()


# --- SQLite ---------------------------------------------------------------------------------------


async def test_a_second_server_on_the_same_file_is_refused(server: Server) -> None:
    refused = await server.cli("serve", "--port", "0", timeout_s=20)
    assert refused.status != 0
    assert "another process serves" in refused.err
    assert str(server.folder / "saxaul.db") in refused.err
    assert "Traceback" not in refused.err
    assert server.ready()


async def ingest(server: Server, file: Path, *options: str) -> dict[str, object]:
    ran = await server.cli("ingest", str(file), "--format", "ndjson", "--source", "city", "--json", *options)
    return ran.check().json


async def test_a_file_taken_in_beside_the_server_appears_live(
    server: Server, sdk: Sdk, tmp_path: Path
) -> None:
    """`saxaul ingest` finds the running process and submits through it: balls arrive where somebody watches."""
    user = await server.open_user()
    body = {"source": "city", "name": "City", "behaviours": ["bus"]}
    assert (await server.call("POST", "/v1/sources", body, bearer=server.operator_key)).status_code == 201
    link = {"source": "city", "subject": "mei", "behaviours": ["bus"]}
    linked = await server.call("POST", f"/v1/users/{user}/links", link, bearer=server.server_key)
    assert linked.status_code == 200, linked.text
    view = await SdkView(await sdk.client(server.socket_url, server.token(user)), user).open()
    file = tmp_path / "rides.ndjson"
    rides = [ride(number) for number in range(12)]
    file.write_text("".join(json.dumps(one) + "\n" for one in rides))
    told = await ingest(server, file)
    assert told["accepted"] == 12, told
    balls: Callable[[], int] = lambda: len(  # noqa: E731
        {ball["id"] for data in view.client.publications(f"user:{user}") for ball in data.get("balls", ())}
    )
    await view.client.wait_until(lambda: balls() == 12)
    await view.assert_equal(server)
    again = await ingest(server, file)
    assert (again["accepted"], again["duplicate"]) == (0, 12), again


def ride(number: int) -> dict[str, object]:
    at = datetime.now(UTC) - timedelta(days=number // 4, minutes=10 * number)
    fields: dict[str, object] = {
        "behaviour": "bus",
        "quantity": 1,
        "unit": "ride",
        "at": at.isoformat(timespec="seconds"),
    }
    return {"id": f"ride-{number}", "subject": "mei"} | fields
