"""Over HTTP: batch reviews, counts, closing by two, disputes, bills, funders, certificates, counters, the log."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pypdf import PdfReader

from engine.api.app import make_app
from engine.core.numbers import order_number, tree_number
from partners import public_api
from partners.after_api import after_router
from partners.api import Desk
from partners.jobs import follow_up, form_orders
from partners.public.kept import Kept
from partners.public_api import public_router
from partners.sealing import seal_audit
from tests.partners.bench import PROGRAMME, RULES, Bench, free_port, open_bench
from tests.partners.edge import read_out
from tests.partners.test_after_checks import life, planted
from tests.partners.test_api import OPERATOR_KEY, _parts
from tests.partners.watched import instant_on

KEYS = {"li": "k" * 40, "wang": "w" * 40}


class Office:
    """A served engine with the routes of what follows planting."""

    def __init__(self, bench: Bench, http: httpx.AsyncClient) -> None:
        self.bench = bench
        self.http = http

    async def post(self, path: str, body: Any = None, key: str = OPERATOR_KEY) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        return await self.http.post(f"/v1{path}", json=body or {}, headers=headers)

    async def get(self, path: str, key: str = OPERATOR_KEY, **headers: str) -> httpx.Response:
        return await self.http.get(f"/v1{path}", headers={"authorization": f"Bearer {key}"} | headers)


@asynccontextmanager
async def office(folder: Path, operators: dict[str, str] | None = None) -> AsyncIterator[Office]:
    port = free_port()
    async with open_bench(f"sqlite:///{folder}/game.db") as bench:
        parts = _parts(bench)
        parts.settings = parts.settings.model_copy(update={"operators": operators or {}})
        desk = Desk(bench.writer, bench.db, bench.registry, lambda: RULES, kept=Kept(0.0))
        app = make_app(replace(parts, routers=[*parts.routers, public_router(desk), after_router(desk)]))
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                while not server.started:
                    await asyncio.sleep(0.02)
                yield Office(bench, http)
        finally:
            server.should_exit = True
            await serving


async def one_planted(at: Office, count: int = 3) -> tuple[str, list[int]]:
    await at.bench.trees(count)
    units = [unit for (unit,) in await at.bench.rows("SELECT id FROM tree_units ORDER BY id")]
    return order_number(await planted(at.bench, units, "a")), units


async def follow(at: Office) -> None:
    await follow_up(at.bench.writer, at.bench.db)


async def test_a_life_after_planting_over_http(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        order, units = await one_planted(at)
        number = tree_number(units[0])
        card = (await at.get(f"/trees/{number}/certificate?format=json")).json()
        assert (card["kind"], card["zh"]["title"], card["state"]) == ("pledge", "认捐卡", "valid")
        asks = {"verdict": "needs_info", "fields": ["photos"], "reasons": ["photo_missing"], "by": "li"}
        assert (await at.post(f"/orders/{order}/batches/9/review", asks)).json()["code"] == "unknown_batch"
        review = {"verdict": "verified", "by": "li"}
        done = await at.post(f"/orders/{order}/batches/1/review", review)
        assert done.json() == {"batch": "verified", "verified": 3, "waits_for": []}
        await follow(at)
        after = (await at.get(f"/orders/{order}/after")).json()
        assert [audit["stage"] for audit in after["audits"]] == ["M12", "M36"]
        assert [due["milestone"] for due in after["milestones"]] == ["accepted", "verified"]

        at.bench.clock.shift_ms += instant_on("2027-09-01") - at.bench.clock.now_ms()
        count = {
            "audit": after["audits"][0]["id"],
            "visited_on": "2027-09-01",
            "method": "census",
            "surveyor": "independent:zhou",
            "has_conflict": False,
            "plots": [{"plot": "all", "planted": 3, "alive": 1}],
        }
        refused = await at.post(f"/orders/{order}/audits", count | {"plots": []})
        assert refused.status_code == 422
        told = (await at.post(f"/orders/{order}/audits", count)).json()
        assert (told["verdict"], told["rate_bp"]) == ("below_band", 3333)
        assert (await at.post(f"/orders/{order}/audits", count)).json()["code"] == "audit_done"

        updated = (await at.get(f"/trees/{number}/certificate?format=json&edition={card['edition']}")).json()
        assert (updated["kind"], updated["state"]) == ("certificate", "updated")
        page = (await at.get(f"/trees/{number}")).json()
        [seen] = [proof for proof in page["proof"] if proof["kind"] == "survival_count"]
        assert (page["state"], seen["rate_bp"], seen["trees_counted"]) == ("verified", 3333, 3)
        html = (await at.get(f"/trees/{number}", accept="text/html")).text
        assert "survival 成活率 of the plot: 33.3 %" in read_out(html)
        assert "dead" not in html


async def test_two_people_close_an_order_and_the_public_number_falls_by_name(tmp_path: Path) -> None:
    async with office(tmp_path, KEYS) as at:
        order, _ = await one_planted(at)
        assert (
            await at.post(f"/orders/{order}/batches/1/review", {"verdict": "verified"})
        ).status_code == 403
        await at.post(f"/orders/{order}/batches/1/review", {"verdict": "verified"}, KEYS["li"])
        counted = (await at.get(f"/programmes/{PROGRAMME}")).json()
        assert (counted["pledged"], counted["funded"], counted["planted"]) == (3, 3, 3)
        assert (counted["alive"], counted["not_yet_known"]) == (None, 3)
        closing = {"note": "A road was built.", "remedy": "refund", "lost": {"1": 2}}
        assert (
            await at.post(f"/orders/{order}/closing", closing | {"by": "wang"}, KEYS["li"])
        ).status_code == 403
        proposed = await at.post(f"/orders/{order}/closing", closing, KEYS["li"])
        assert proposed.json()["closing"] == "proposed"
        assert (await at.post(f"/orders/{order}/closing/approve", {}, KEYS["li"])).json()[
            "code"
        ] == "own_proposal"
        closed = await at.post(f"/orders/{order}/closing/approve", {}, KEYS["wang"])
        assert closed.json() == {"state": "closed_short", "written_down": 2}
        counted = (await at.get(f"/programmes/{PROGRAMME}")).json()
        assert (counted["pledged"], counted["planted"], counted["written_down"]) == (1, 1, 2)
        html = (await at.get(f"/programmes/{PROGRAMME}", accept="text/html")).text
        assert "Alive 存活" in read_out(html)
        assert "not yet known" in html


async def test_disputes_and_disturbances_over_http(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        order, _ = await one_planted(at)
        dispute = (await at.post(f"/orders/{order}/disputes", {"by": "city", "reason": "which site?"})).json()
        assert dispute["answer_by_at"].endswith("Z")
        assert (await at.post(f"/orders/{order}/resume")).json()["code"] == "order_held"
        answered = await at.post(f"/disputes/{dispute['dispute']}/answer", {"by": "li", "answer": "site 2"})
        assert answered.json()["state"] == "answered"
        at.bench.clock.shift_ms += 40 * 86_400_000
        late = (await at.get("/late")).json()
        assert [row["order"] for row in late["disputes"]] == [order]
        assert [row["order"] for row in late["reviews"]] == [order]
        decision = {"by": "li", "outcome": "settled", "note": "agreed"}
        assert (await at.post(f"/disputes/{dispute['dispute']}/decide", decision)).status_code == 200
        assert (await at.post("/disputes/99/decide", decision)).json()["code"] == "unknown_dispute"
        fire = {"by": "elm", "kind": "fire", "area_m2": 500, "happened_on": "2026-11-25", "hold": True}
        assert (await at.post(f"/orders/{order}/disturbances", fire)).json()["is_late"] is True
        assert (await at.get(f"/orders/{order}")).json()["held"] == "force_majeure"


async def test_bills_and_funders_over_http(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        order, _ = await one_planted(at)
        bill = {
            "by": "partner:wang",
            "milestone": "accepted",
            "invoice_no": "2027/7",
            "lines": [{"text": "planting", "amount_minor": 600}],
            "tax_minor": 36,
            "due_on": "2027-01-31",
        }
        early = await at.post(f"/orders/{order}/invoices", bill | {"milestone": "M12"})
        assert early.json()["code"] == "milestone_open"
        assert (await at.post(f"/orders/{order}/invoices", bill)).json()["state"] == "received"
        paid = await at.post(f"/orders/{order}/invoices/2027/7/settle", {"paid": True, "by": "li"})
        assert paid.json() == {"invoice": "simulator-ngo/2027/7", "state": "paid"}
        await at.post(f"/orders/{order}/batches/1/review", {"verdict": "verified"})
        [row] = (await at.get("/funders")).json()["funders"]
        assert (row["funder"], row["committed_minor"], row["paid_minor"]) == ("fund", 3000, 636)
        assert (row["with_partners_minor"], row["verified"], row["cost_per_verified_minor"]) == (2214, 3, 738)
        assert (row["alive"], row["cost_per_living_minor"]) == (None, None)
        assert (await at.post(f"/orders/{order}/repayments", {"amount_minor": 1, "reason": "x"})).json()[
            "code"
        ] == ("over_repaid")


async def test_the_log_is_read_and_its_head_told(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        await life(at.bench)
        head = (await at.get("/audit/head")).json()
        lines = (await at.get("/audit?after=0")).json()["lines"]
        assert (head["not_sealed"], head["place"], head["hash"]) == (0, len(lines), lines[-1]["hash"])
        assert [line["place"] for line in lines] == list(range(1, len(lines) + 1))
        assert (await at.get(f"/audit?after={len(lines)}")).json() == {"lines": [], "more": False}
        assert await seal_audit(at.bench.writer, at.bench.db) == 0


async def test_the_pdf_leads_to_the_page_that_tells_what_became_of_it(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        order, units = await one_planted(at)
        await at.post(f"/orders/{order}/batches/1/review", {"verdict": "verified"})
        for language, title in (("zh", "种植证书"), ("en", "Planting certificate")):
            found = await at.http.get(f"/v1/trees/{tree_number(units[0])}/certificate?lang={language}")
            assert found.headers["content-type"] == "application/pdf"
            text = PdfReader(io.BytesIO(found.content)).pages[0].extract_text()
            assert title in text
        told = (await at.get(f"/trees/{tree_number(units[0])}/certificate?format=json")).json()
        checked = await at.http.get(f"/v1/certificates/{told['number']}?edition={told['edition']}")
        assert checked.json()["state"] == "valid"
        html = await at.http.get(f"/v1/certificates/{told['number']}", headers={"accept": "text/html"})
        assert "valid 有效" in read_out(html.text)
        assert "Simulated partner" in html.text


async def test_trees_that_no_funding_pays_for_wait_and_are_told(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        await at.bench.trees(2)
        async with at.bench.db.write() as tx:
            await tx.execute("UPDATE commitments SET unit_price_minor = 700")
        at.bench.writer._cache = None
        assert await form_orders(at.bench.writer, at.bench.db) == 0
        [row] = (await at.get("/late")).json()["not_funded"]
        assert row == {
            "programme": PROGRAMME, "set_aside_minor": 700, "currency": "CNY", "trees": 2,
            "unit_price_minor": 738, "price_currency": "CNY",
        }  # fmt: skip


async def test_printing_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_api, "PRINTS_WAITING_MAX", 2)
    async with office(tmp_path) as at:
        _, units = await one_planted(at)
        paths = [f"/v1/trees/{tree_number(unit)}/certificate" for unit in units]
        found = await asyncio.gather(*(at.http.get(path) for path in paths))
        assert sorted(one.status_code for one in found) == [200, 200, 503]
        long = await at.http.get(paths[0], headers={"host": "x" * 300})
        assert (long.status_code, long.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/trees/SX-000042-X/certificate", "bad_number"),
        ("GET", "/trees/SX-000042-4/certificate", "unknown_tree"),
        ("GET", "/certificates/SX-000042-4", "bad_number"),
        ("GET", "/programmes/nowhere", "unknown_programme"),
        ("GET", "/orders/PO-000042-Z/after", "unknown_order"),
        ("POST", "/orders/PO-000042-Z/closing/approve", "unknown_order"),
        ("POST", "/orders/PO-000042-Z/invoices/7/settle", "unknown_order"),
    ],
)
async def test_what_is_not_there_is_said_so(tmp_path: Path, method: str, path: str, code: str) -> None:
    async with office(tmp_path) as at:
        body = {"paid": True} if path.endswith("settle") else {}
        found = await (at.post(path, body) if method == "POST" else at.get(path))
        assert found.json()["code"] == code


async def test_only_operators_have_the_desk(tmp_path: Path) -> None:
    async with office(tmp_path) as at:
        for path in ("/late", "/funders", "/audit", "/audit/head", "/orders/PO-000042-Z/after"):
            assert (await at.http.get(f"/v1{path}")).status_code == 401
