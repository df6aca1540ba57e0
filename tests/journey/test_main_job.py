"""The main job, end to end: an act becomes energy, energy a tree, a tree a planting order, and a proven tree.

Real `saxaul serve`, real simulated NGO in its own process, an official SDK at the users' end, signed HTTP at the
source's. Every step is seen as a publication on the user's own channel.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.conftest import StartServer
from tests.faults.views import SdkView
from tests.laws.rules import PROGRAMME, bent_rules
from tests.partners.bench import KEY, Ngo, simulated_ngo
from tests.support.process import free_port
from tests.support.sdk import Sdk, SdkClient
from tests.support.server import Server, new_key

RIPENS_AFTER_S = 2.0
FULL_G = 80  # a bus ride
FLOOR_G = 40
TREE_G = 50
HEAD_START_S = 1


@dataclass
class Town:
    """Everybody who takes part. `near` takes the HTTP calls, `far` serves the clients; they may be one process."""

    near: Server
    far: Server
    sdk: Sdk
    secret: str = ""
    users: dict[str, str] = field(default_factory=dict)
    clients: dict[str, SdkClient] = field(default_factory=dict)

    async def operator(self, path: str, body: Any) -> Any:
        reply = await self.near.call("POST", path, body, bearer=self.near.operator_key)
        assert reply.status_code in (200, 201), reply.text
        return reply.json()

    async def set_up(self) -> None:
        """The operator registers the source, funds the programme and puts trees on offer; two friends join."""
        source = {"source": "metro", "name": "City Transport", "behaviours": ["bus", "metro"]}
        self.secret = (await self.operator("/v1/sources", source))["secret"]
        funding = {"funder": "A fund", "currency": "CNY", "unit_price_minor": 738, "amount_minor": 738 * 3}
        assert (await self.operator(f"/v1/programmes/{PROGRAMME}/commitments", funding))["covers"] == 3
        assert (await self.operator(f"/v1/programmes/{PROGRAMME}/stock", {"trees": 3}))["stock"] == 3
        for name in ("Mei", "Jun"):
            user = self.users[name] = await self.near.open_user(name)
            link = {"source": "metro", "subject": f"card-of-{name}", "behaviours": ["bus"]}
            linked = await self.near.call(
                "POST", f"/v1/users/{user}/links", link, bearer=self.near.server_key
            )
            assert linked.status_code == 200, linked.text
            client = await self.sdk.client(self.far.socket_url, self.far.token(user))
            self.clients[name] = client
            await client.connect()

    async def rpc(self, name: str, method: str, **data: Any) -> Any:
        reply = await self.clients[name].rpc(method, {"key": new_key()} | data)
        assert "error" not in reply, reply
        return reply

    async def report(self, act: str, name: str, at: datetime) -> dict[str, Any]:
        """The source's signed request; the answer to its one item."""
        item = {"id": act, "subject": f"card-of-{name}", "behaviour": "bus", "quantity": 1, "unit": "ride"}
        body = json.dumps({"activities": [item | {"at": at.isoformat(timespec="milliseconds")}]})
        now, message = datetime.now(UTC), f"msg-{act}"
        headers = {
            "Saxaul-Source": "metro",
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(message, now, body),
        }
        async with httpx.AsyncClient(base_url=self.near.url, timeout=20) as http:
            reply = await http.post("/v1/activities", content=body, headers=headers)
        assert reply.status_code == 200, reply.text
        [answer] = reply.json()["results"]
        return answer

    async def told(self, name: str, wanted: Any, since: int = 0) -> dict[str, Any]:
        """The first publication on the user's own channel that is wanted."""
        channel = f"user:{self.users[name]}"
        found = await self.clients[name].wait_for(
            lambda told: (
                told.kind == "publication" and told.channel == channel and wanted(told.detail["data"])
            ),
            20,
            since,
        )
        return found.detail["data"]

    async def told_ball(self, name: str, ball: str, remaining_g: int) -> dict[str, Any]:
        """The publication that says how much is left in a ball."""
        return await self.told(
            name,
            lambda data: any(
                (one["id"], one.get("remaining_g")) == (ball, remaining_g) for one in data.get("balls", ())
            ),
        )

    async def told_tree(self, name: str, state: str) -> None:
        await self.told(name, lambda data: any(tree["state"] == state for tree in data.get("trees", ())))


async def become_friends(town: Town) -> None:
    mei, jun = town.users["Mei"], town.users["Jun"]
    await town.rpc("Mei", "friend.request", user=jun)
    await town.told("Jun", lambda data: {"user": mei, "state": "asking"} in data.get("friends", ()))
    await town.rpc("Jun", "friend.answer", user=mei)
    for name, other in (("Mei", jun), ("Jun", mei)):
        await town.told(
            name, lambda data, other=other: {"user": other, "state": "friends"} in data.get("friends", ())
        )


async def grow_and_ripen(town: Town) -> str:
    """The ball of an act that ripens in a moment: too early for everybody, then announced. Its id."""
    at = datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=RIPENS_AFTER_S)
    answer = await town.report("tap-1", "Mei", at)
    assert (answer["status"], answer["energy_g"]) == ("accepted", FULL_G), answer
    ball = answer["ball"]
    told = await town.told_ball("Mei", ball, FULL_G)
    assert told["activities"][0]["behaviour"] == "bus"
    assert told["avoided_mg"] == answer["avoided_mg"] > 0
    again = await town.report("tap-1", "Mei", at)
    assert (again["status"], again["ball"]) == ("duplicate", ball)
    early = await town.rpc("Mei", "ball.collect", balls=[ball])
    assert early["results"][0]["error"] == "not_ripe"
    seen = await town.rpc("Jun", "forest.get", user=town.users["Mei"])
    assert [(one["status"], one["category"]) for one in seen["balls"]] == [("growing", "green-travel")]
    await town.told(
        "Mei", lambda data: data["type"] == "ball.ripened" and str(ball) in json.dumps(data["balls"])
    )
    return ball


async def collect_together(town: Town, ball: str) -> int:
    """The friend has to wait a moment, takes a share once, and the owner all that remains; the owner's grams."""
    mei = town.users["Mei"]
    while True:
        [taken] = (await town.rpc("Jun", "ball.collect", owner=mei, balls=[ball]))["results"]
        if taken.get("error") != "head_start":
            break
    share_g = taken["energy_g"]
    assert 1 <= share_g <= FULL_G * 30 // 100
    await town.told_ball("Mei", ball, FULL_G - share_g)
    told = await town.told("Jun", lambda data: "took" in data)
    assert (told["took"], told["wallet_g"]) == ([{"ball": ball, "owner": mei, "energy_g": share_g}], share_g)
    [again] = (await town.rpc("Jun", "ball.collect", owner=mei, balls=[ball]))["results"]
    assert (again["error"], again["energy_g"]) == ("already_collected", share_g)
    reply = await town.rpc("Mei", "ball.collect", balls=[ball])
    assert reply["results"] == [{"ball": ball, "energy_g": FULL_G - share_g}]
    assert reply["wallet_g"] == FULL_G - share_g
    told = await town.told_ball("Mei", ball, 0)
    assert told["wallet_g"] == FULL_G - share_g
    return FULL_G - share_g


async def plant(town: Town, wallet_g: int) -> str:
    """Redeem; the scheduled job orders, the relay submits, the NGO accepts and plants; an operator verifies."""
    catalogue = await town.rpc("Mei", "offer.catalogue")
    [offer] = [offer for offer in catalogue["offers"] if offer["offer"] == PROGRAMME]
    assert (offer["state"], offer["energy_g"], offer["stock"]) == ("available", TREE_G, 3)
    reply = await town.rpc("Mei", "offer.redeem", offer=PROGRAMME)
    number = reply["tree"]
    assert reply["wallet_g"] == wallet_g - TREE_G
    for state in ("pledged", "ordered", "planted"):
        await town.told_tree("Mei", state)
    page = await tree_page(town, number)
    assert (page["state"], page["species"]["id"], page["partner"]) == ("planted", "saxaul", "simulator-ngo")
    await order_is(town, page["order"], "planted")
    verdict = {"verdict": "verified", "note": "seen on the photos"}
    reviewed = await town.operator(f"/v1/orders/{page['order']}/review", verdict)
    assert reviewed == {"state": "verified", "verified": 1}
    await town.told_tree("Mei", "verified")
    return number


async def order_is(town: Town, number: str, state: str) -> None:
    """The operator's desk shows the order in that state: a tree may be planted before its order is all done."""
    async with asyncio.timeout(20):
        while True:
            reply = await town.near.call("GET", f"/v1/orders/{number}", bearer=town.near.operator_key)
            if reply.json()["state"] == state:
                return
            await asyncio.sleep(0.2)


async def tree_page(town: Town, number: str) -> dict[str, Any]:
    reply = await town.near.call("GET", f"/v1/trees/{number}")
    assert reply.status_code == 200, reply.text
    return reply.json()


async def assert_all_is_told(town: Town, ball: str, number: str, ngo: Ngo) -> None:
    page = await tree_page(town, number)
    assert page["state"] == "verified"
    assert page["simulated"] is True
    for about_a_person in ("Mei", town.users["Mei"], "card-of-Mei"):
        assert f'"{about_a_person}"' not in json.dumps(page)
        assert f'"{about_a_person}"' not in json.dumps(ngo.orders())
    (await town.near.cli("check")).check()
    explained = (await town.near.cli("explain", "ball", ball, "--json")).check().json
    assert explained["activity"]["id"] == "tap-1"
    assert explained["activity"]["source"] == "metro"
    assert explained["activity"]["energy_g"] == FULL_G
    assert explained["activity"]["rulebook_is_current"] is True
    assert explained["missing_g"] == 0
    moved = [(one["command"], one["amount"]) for one in explained["transfers"] if one["asset"] == "energy"]
    assert moved[0] == ("ReportActivity", FULL_G)
    assert sum(grams for command, grams in moved if command == "CollectEnergy") == FULL_G
    assert {one.get("by") for one in explained["transfers"][-2:]} == set(town.users.values())
    assert explained["words"]


async def assert_views_and_order_of_states(town: Town, views: list[SdkView]) -> None:
    for view in views:
        await view.assert_equal(town.far)
    own = town.clients["Mei"].publications(f"user:{town.users['Mei']}")
    states = [tree["state"] for data in own for tree in data.get("trees", ())]
    once = list(dict.fromkeys(states))  # a message that overtakes another may leave `confirmed` out
    assert [state for state in once if state != "confirmed"] == ["pledged", "ordered", "planted", "verified"]
    [tree] = (await town.rpc("Mei", "tree.list"))["trees"]
    assert tree["state"] == "verified"


async def do_the_main_job(town: Town, ngo: Ngo) -> None:
    await town.set_up()
    mei, jun = town.users["Mei"], town.users["Jun"]
    views = [SdkView(town.clients["Mei"], mei), SdkView(town.clients["Jun"], jun, [mei])]
    for view in views:
        await view.client.subscribe(f"user:{view.user}", state=("forest.get", {}))
    await become_friends(town)
    await town.clients["Jun"].subscribe(f"forest:{mei}", state=("forest.get", {"user": mei}))
    ball = await grow_and_ripen(town)
    wallet_g = await collect_together(town, ball)
    number = await plant(town, wallet_g)
    await assert_views_and_order_of_states(town, views)
    await assert_all_is_told(town, ball, number, ngo)


def settings_for(folder: Path, ngo_port: int) -> dict[str, Any]:
    rules = bent_rules(folder, tree_g=TREE_G, order_min_trees=1, head_start_s=HEAD_START_S)
    quick = {"announce_s": 0.2, "orders_s": 0.3, "commands_per_s": 0}
    partner = {"partner_simulator_url": f"http://127.0.0.1:{ngo_port}", "partner_simulator_key": KEY}
    return quick | partner | {"game_rules": rules}


@contextmanager
def ngo_that_tells(folder: Path, server: Server, port: int) -> Iterator[Ngo]:
    """The simulated NGO, which sends signed messages about its orders to the server."""
    callback = f"{server.url}/v1/partners/simulator-ngo/messages"
    with simulated_ngo(folder, "--callback", callback, port=port, speed=20) as ngo:
        yield ngo


@pytest.mark.parametrize(("database_url", "sdk"), [("sqlite", "js"), ("postgres", "py")], indirect=True)
async def test_an_act_becomes_a_proven_tree(
    start_server: StartServer, database_url: str, sdk: Sdk, tmp_path: Path
) -> None:
    port = free_port()
    server = await start_server(database_url=database_url, **settings_for(tmp_path, port))
    with ngo_that_tells(tmp_path, server, port) as ngo:
        await do_the_main_job(Town(server, server, sdk), ngo)


async def test_clients_of_another_process_see_it_all(
    start_server: StartServer, postgres_url: str, redis_url: str, sdk_js: Sdk, tmp_path: Path
) -> None:
    """HTTP goes to one process, sockets to the other; Redis is between them and PostgreSQL below."""
    port = free_port()
    shared = settings_for(tmp_path, port) | {"database_url": postgres_url, "redis_url": redis_url}
    near = await start_server(**shared)
    keys = {"token_secret": near.token_secret, "server_key": near.server_key}
    far = await start_server(**shared, **keys, operator_key=near.operator_key)
    far.token_secret = near.token_secret
    with ngo_that_tells(tmp_path, near, port) as ngo:
        await do_the_main_job(Town(near, far, sdk_js), ngo)
