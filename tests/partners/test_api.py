"""Over HTTP: public tree pages, the NGO's signed messages (pushed by its own process), the operator's desk."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from engine.api.app import make_app
from engine.api.parts import Parts
from engine.core.numbers import order_number, parse_order_number, tree_number
from engine.publication import Publication
from engine.settings import Settings
from partners.api import Desk, partners_router
from partners.record_api import records_router
from partners.signing import sign
from tests.partners.bench import KEY, RULES, Bench, free_port, open_bench, simulated_ngo
from tests.partners.edge import OPERATOR_KEY, TOKEN_SECRET, parts_of


@dataclass
class Site:
    """A served engine with partners, and a client that is an operator when asked."""

    bench: Bench
    http: httpx.AsyncClient

    async def operator(self, method: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {OPERATOR_KEY}"} | ({"idempotency-key": key} if key else {})
        return await self.http.request(method, path, json=body, headers=headers)

    async def push(self, body: bytes, message: str, key: str = KEY) -> httpx.Response:
        headers = sign(key, message, _wall_ms(), body) | {"content-type": "application/json"}
        return await self.http.post("/v1/partners/simulator-ngo/messages", content=body, headers=headers)

    async def story(self) -> list[str]:
        """The states of the tree that its user was told of."""
        told = [json.loads(item.data) for item in self.bench.audience.items if isinstance(item, Publication)]
        states = [tree["state"] for data in told for tree in data.get("trees", [])]
        return list(dict.fromkeys(states))


@asynccontextmanager
async def site(folder: Path, *ngo_options: str, speed: float = 8.0, **faults: Any) -> AsyncIterator[Site]:
    """Engine and NGO, each reachable by the other."""
    port = free_port()
    callback = f"http://127.0.0.1:{port}/v1/partners/simulator-ngo/messages"
    with simulated_ngo(folder, "--callback", callback, *ngo_options, speed=speed) as ngo:
        ngo.faults(**faults)
        async with open_bench(f"sqlite:///{folder}/game.db", [ngo.settings(poll_s=3600)]) as bench:
            app = make_app(_parts(bench))
            server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
            serving = asyncio.create_task(server.serve())
            try:
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                    while not server.started:
                        await asyncio.sleep(0.02)
                    yield Site(bench, http)
            finally:
                server.should_exit = True
                await serving


def _parts(bench: Bench) -> Parts:
    settings = Settings(_env_file=None, operator_key=OPERATOR_KEY, token_secret=TOKEN_SECRET)  # type: ignore[call-arg]
    desk = Desk(bench.writer, bench.db, bench.registry, lambda: RULES)
    return parts_of(bench, settings, routers=[records_router(bench.writer, bench.db), partners_router(desk)])


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize("faults", [{}, {"shuffle": True, "duplicates": True}], ids=repr)
async def test_pushed_messages_bring_an_order_to_planted(tmp_path: Path, faults: dict[str, Any]) -> None:
    async with site(tmp_path, **faults) as world:
        [number] = await world.bench.trees(1)

        async def planted() -> bool:
            return await world.bench.states() == ["planted"]

        await world.bench.run_until(planted)
        assert (await world.http.get(f"/v1/trees/{number}")).json()["state"] == "planted"
        if not faults:
            assert await world.story() == ["pledged", "ordered", "confirmed", "planted"]
            [(reads,)] = await world.bench.rows("SELECT count(*) FROM deliveries WHERE kind = 'read'")
            assert reads == 0  # never polled
        reports = await world.bench.rows("SELECT reported, accepted FROM order_lines")
        assert reports == [(1, 1)]


async def test_the_public_page_of_a_tree(tmp_path: Path) -> None:
    async with site(tmp_path, speed=40.0) as world:
        numbers = await world.bench.trees(3)
        page = (await world.http.get(f"/v1/trees/{numbers[0]}")).json()
        assert page["number"] == numbers[0]
        assert (page["state"], page["pooled"], page["proof"], page["simulated"]) == (
            "pledged",
            None,
            [],
            True,
        )
        assert page["species"]["scientific"] == "Haloxylon ammodendron"
        assert page["site"]["region"] == "CN-NM"
        assert set(page["season"]) == {"id", "opens_on", "closes_on"}

        async def planted() -> bool:
            return await world.bench.states() == ["planted"]

        await world.bench.run_until(planted)
        page = (await world.http.get(f"/v1/trees/{numbers[0].lower().replace('-', ' ')}")).json()
        assert page["proof"][0]["kind"] == "planting_report"
        assert page["last_fact_at"].endswith("Z")
        if page["granularity"] == "pooled":
            assert page["pooled"]["one_of"] in (1, 2)
        shown = json.dumps(page)
        assert "Lin" not in shown and "user" not in shown
        html = await world.http.get(f"/v1/trees/{numbers[0]}", headers={"accept": "text/html,*/*"})
        assert html.headers["content-type"].startswith("text/html")
        assert numbers[0] in html.text and "Simulated partner" in html.text and "Lin" not in html.text
        assert "default-src 'none'" in html.headers["content-security-policy"]


async def test_what_is_no_tree_and_no_operator(tmp_path: Path) -> None:
    order = f"/v1/orders/{order_number(1)}"
    closed = [("GET", "/v1/orders"), ("GET", order), ("POST", "/v1/deliveries/submit:1/resolve")]
    closed += [("POST", f"{order}/{verb}") for verb in ("review", "cancel", "hold", "resume")]
    numbers = {
        "SX-000042-5": "bad_number",
        "42": "bad_number",
        "x": "bad_number",
        order_number(1): "bad_number",
        tree_number(999_999): "unknown_tree",
    }
    async with site(tmp_path) as world:
        for number, code in numbers.items():
            response = await world.http.get(f"/v1/trees/{number}")
            assert (response.status_code, response.json()["code"]) == (404, code), number
        for method, path in closed:
            response = await world.http.request(method, path, json={} if method == "POST" else None)
            assert response.status_code == 401, path


async def test_forged_and_unknown_messages(tmp_path: Path) -> None:
    async with site(tmp_path, answer="silence") as world:
        await world.bench.trees(1)

        async def submitted() -> bool:
            return await world.bench.rows("SELECT state FROM deliveries WHERE kind = 'submit'") == [("done",)]

        await world.bench.run_until(submitted)
        [(order,)] = await world.bench.rows("SELECT id FROM partner_orders")
        body = _accepting(order)
        other = "whsec_" + "b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXkhIQ=="
        assert (await world.push(body, "m1", other)).status_code == 401
        missing = await world.push(_accepting(order + 1), "m1")
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_order")
        nobody = await world.http.post("/v1/partners/nobody/messages", json={})
        assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown_partner")
        assert await world.bench.states() == ["submitted"]
        assert (await world.push(body, "m1")).json()["status"] == "recorded"
        before = await world.bench.rows("SELECT * FROM partner_orders")
        for _ in range(3):
            assert (await world.push(body, "m1")).json()["status"] == "duplicate"
        assert await world.bench.rows("SELECT * FROM partner_orders") == before
        reused = await world.push(body.replace(b"accepted", b"planting", 1), "m1")
        assert (reused.status_code, reused.json()["code"]) == (409, "message_reused")
        huge = await world.push(b" " * 300_000, "m2")
        assert huge.status_code in (400, 413)


def _accepting(order: int) -> bytes:
    data = {
        "id": "NGO-1",
        "reference": order_number(order),
        "status": "accepted",
        "trees_accepted": 1,
        "at": "2026-11-23T00:00:00Z",
    }
    return json.dumps({"type": "order.status", "timestamp": data["at"], "data": data}).encode()


async def test_the_operators_desk(tmp_path: Path) -> None:
    async with site(tmp_path, speed=40.0) as world:
        numbers = await world.bench.trees(2)

        async def planted() -> bool:
            return await world.bench.states() == ["planted"]

        await world.bench.run_until(planted)
        listed = (await world.operator("GET", "/v1/orders")).json()["orders"]
        number = listed[0]["number"]
        assert parse_order_number(number)
        shown = (await world.operator("GET", f"/v1/orders/{number}")).json()
        assert (shown["state"], shown["lines"][0]["reported"]) == ("planted", 2)
        assert {row["kind"] for row in shown["deliveries"]} >= {"submit"}

        path, verdict = f"/v1/orders/{number}/review", {"verdict": "verified"}
        assert (await world.http.post(path, json=verdict)).status_code == 401
        over = await world.operator("POST", path, {"verdict": "verified", "verified": {"A": 9}})
        assert (over.status_code, over.json()["code"]) == (409, "over_verified")
        key = str(uuid.UUID(int=(1 << 76) * 7 | 2 << 62 | 5))
        first = await world.operator("POST", path, verdict, key)
        again = await world.operator("POST", path, verdict, key)
        assert first.json() == again.json() == {"state": "verified", "verified": 2}
        page = (await world.http.get(f"/v1/trees/{numbers[0]}")).json()
        assert (page["state"], page["proof"][1]["kind"]) == ("verified", "review")
        late = await world.operator("POST", f"/v1/orders/{number}/cancel", {"reason": "x"})
        assert (late.status_code, late.json()["code"]) == (409, "order_ended")
        ended = (await world.operator("GET", "/v1/orders?state=verified")).json()["orders"]
        assert [one["number"] for one in ended] == [number]
        assert (await world.operator("GET", f"/v1/orders?after={number}")).json() == {
            "orders": [],
            "more": False,
        }
        assert (
            await world.operator("POST", "/v1/deliveries/submit:1/resolve", {"arrived": True})
        ).status_code == 404


async def test_holding_and_resuming(tmp_path: Path) -> None:
    async with site(tmp_path, answer="silence") as world:
        await world.bench.trees(1)

        async def ordered() -> bool:
            return bool(await world.bench.states())

        await world.bench.run_until(ordered)
        [(order,)] = await world.bench.rows("SELECT id FROM partner_orders")
        path = f"/v1/orders/{order_number(order)}"
        assert (await world.operator("POST", f"{path}/hold", {"reason": "dispute"})).json()[
            "held"
        ] == "dispute"
        held = await world.push(_accepting(order), "m1")
        assert (held.status_code, held.json()["code"]) == (409, "order_held")
        await world.operator("POST", f"{path}/resume")
        assert (await world.push(_accepting(order), "m1")).json()["status"] == "recorded"
        assert (await world.operator("GET", path)).json()["held"] == ""
