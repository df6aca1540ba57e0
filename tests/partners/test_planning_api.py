"""Over HTTP: queue, budget, forecast and reconciliation, with a partner that answers and one that sends a statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from engine.api.app import make_app
from engine.core.numbers import order_number
from engine.core.units import local_day
from engine.settings import Settings
from partners.api import Desk
from partners.core import commands as c
from partners.planning_api import planning_files, planning_router
from partners.registry import Registry
from partners.store import funders
from tests.partners.bench import PROGRAMME, RULES, Bench, open_bench
from tests.partners.edge import OPERATOR_KEY, parts_of
from tests.partners.test_after_checks import planted

PARTNER = "simulator-ngo"


@asynccontextmanager
async def office(
    folder: Path, registry: Registry | None = None
) -> AsyncIterator[tuple[Bench, httpx.AsyncClient]]:
    async with open_bench(f"sqlite:///{folder}/game.db") as bench:
        settings = Settings(operator_key=OPERATOR_KEY, photo_folder=folder)
        desk = Desk(bench.writer, bench.db, registry or bench.registry, lambda: RULES)
        app = make_app(parts_of(bench, settings, routers=[planning_router(desk)], files=planning_files()))
        headers = {"authorization": f"Bearer {OPERATOR_KEY}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://engine/v1", headers=headers
        ) as http:
            yield bench, http


async def orders(bench: Bench, count: int = 6) -> int:
    """An order that is reported planted; its number."""
    await bench.trees(count)
    units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
    return await planted(bench, units, "a")


async def test_queue_and_budget(tmp_path: Path) -> None:
    async with office(tmp_path) as (bench, http):
        assert (await http.get("/queue")).json() == {"queue": []}
        order = await orders(bench)
        number = order_number(order)
        [one] = (await http.get("/queue")).json()["queue"]
        assert (one["number"], one["why"], one["late"]) == (number, "review", False)
        bench.clock.shift_ms += 30 * 86_400_000
        [one] = (await http.get("/queue")).json()["queue"]
        assert (one["why"], one["late"]) == ("review", True)
        await bench.do(c.HoldOrder(None, "li", order, "odd photos"))
        [one] = (await http.get("/queue")).json()["queue"]
        assert (one["why"], one["detail"], one["state"]) == ("held", "odd photos", "planted")

        told = (await http.get("/budget")).json()
        [programme] = told["programmes"]
        parts = ("free", "waiting", "held", "with_partners", "saved")
        assert sum(programme[f"{part}_minor"] for part in parts) == programme["budget_minor"] == 6_000
        async with bench.db.snapshot() as view:
            [funder] = await funders.report(view)
        assert programme["with_partners_minor"] == funder["with_partners_minor"] > 0
        [partner] = told["partners"]
        assert (partner["partner"], partner["promised_minor"]) == (PARTNER, programme["with_partners_minor"])
        assert (await http.get("/budget", headers={"authorization": "Bearer wrong"})).status_code == 401


async def test_a_forecast_by_the_pace_of_late_and_by_a_simulation(tmp_path: Path) -> None:
    async with office(tmp_path) as (bench, http):
        await bench.trees(9)
        told = (await http.get("/forecast", params={"months": 2, "pace_d": 1})).json()
        assert {one["programme"] for one in told["months"]} == {PROGRAMME}
        assert [one["missing"] > 0 for one in told["stocks"] if one["programme"] == PROGRAMME] == [True]
        assert (await http.get("/forecast", params={"months": 99})).status_code == 422
        missing = await http.get("/forecast", params={"simulation": "018f0000-0000-7000-8000-000000000000"})
        assert missing.json()["code"] == "study_lost"


async def test_a_statement_is_compared_and_changes_nothing(tmp_path: Path) -> None:
    async with office(tmp_path) as (bench, http):
        number = order_number(await orders(bench))
        before = await bench.rows("SELECT * FROM partner_orders")
        text = f"order no.,line no.,state,accepted quantity (trees),planted (trees)\n{number},1,planted,6,6\n"
        path, back = f"/statements/{PARTNER}", f"/partners/{PARTNER}/reconciliation"
        http.headers["content-type"] = "text/csv"
        told = (await http.post(path, content=text.encode(), params={"language": "en"})).json()
        assert (told["differences"], told["problems"], told["orders"]) == ([], [], 1)
        told = (await http.post(path, content=text.replace("6,6", "6,5").encode())).json()
        assert [(one["order"], one["what"], one["ours"], one["theirs"]) for one in told["differences"]] == [
            (number, "planted", 6, 5)
        ]
        refused = await http.post(path, content=b"PK\x03\x04 no workbook")
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_statement")
        assert (await http.post(path, content=b"x" * 5_000_000)).status_code == 413
        assert (await http.post("/statements/nobody", content=b"x")).status_code == 404
        assert (await http.get(back)).json()["code"] == "unknown_partner"  # no adapter reaches it here
        assert (await http.get(back, params={"since": "2027-02-30"})).status_code in (404, 422)
        assert await bench.rows("SELECT * FROM partner_orders") == before


async def test_a_simulation_that_is_done_says_what_will_be_wanted(tmp_path: Path) -> None:
    async with office(tmp_path) as (bench, http):
        start_on = local_day(bench.clock.now_ms(), "UTC").replace(day=1).isoformat()
        asked = {"users": 40, "days": 45, "start_on": start_on}
        key = {"idempotency-key": "018f0000-0001-7000-8000-000000000001"}
        begun = (await http.post("/rules/simulations", json=asked, headers=key)).json()
        early = await http.get("/forecast", params={"simulation": begun["id"]})
        assert early.status_code == 200 or early.json()["code"] == "bad_request"
        while (study := (await http.get(f"/rules/simulations/{begun['id']}")).json())["state"] != "done":
            assert study["state"] in ("waiting", "running"), study
            await asyncio.sleep(0.05)
        tables = (await http.get(f"/rules/simulations/{begun['id']}/tables")).json()["tables"]
        wanted = sum(row["trees_of_real_users"] for row in tables["trees"])
        told = (await http.get("/forecast", params={"simulation": begun["id"]})).json()
        assert sum(one["trees"] for one in told["months"]) == wanted > 0
        assert sum(one["placed"] + one["missing"] for one in told["seasons"]) == wanted
        unknown = await http.get("/forecast", params={"simulation": begun["id"], "run": "other"})
        assert unknown.json()["code"] == "bad_request"
