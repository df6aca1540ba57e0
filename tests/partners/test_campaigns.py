"""A campaign on both stores: energy by real acts, a tree to an order, the report, the check, HTTP and command line."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.api.app import make_app
from engine.check import audit
from engine.core import commands as game
from engine.core.campaigns import StartCampaign
from engine.core.units import DAY_MS, HOUR_MS, local_day
from engine.demo.people import new_key
from engine.reported import Reported, command_of
from engine.settings import Settings
from partners import checks
from partners.api import Desk
from partners.campaign_api import campaigns_router
from partners.jobs import form_orders
from partners.store import campaigns
from tests.cli.conftest import run_saxaul
from tests.core.test_campaigns import PRICE_G, PROGRAMME, cheap
from tests.partners.bench import Bench, open_bench
from tests.partners.edge import OPERATOR_KEY, parts_of

RULES = cheap()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


class Story:
    """Riders on a bench, whose rides are reported, ripen and are collected."""

    def __init__(self, bench: Bench) -> None:
        import random

        self.bench, self.dice, self.rides = bench, random.Random(3), 0

    def key(self) -> str:
        return new_key(self.dice, self.bench.clock.now_ms())

    async def rider(self, name: str) -> int:
        user = int((await self.bench.do(game.OpenAccount(None, name, name, "UTC")))["user"])
        await self.bench.do(game.LinkSource(None, user, "city", name, ("bus", "metro")))
        return user

    async def earn(self, user: int, name: str, behaviour: str = "bus") -> int:
        grams = 0
        while grams < PRICE_G:
            self.rides += 1
            at = self.bench.clock.now_ms() - HOUR_MS
            wire = Reported(f"r{self.rides}", name, behaviour, Decimal(1), "ride", at=_text(at))
            ball = int((await self.bench.do(command_of("city", wire)))["ball"])
            [(ripens_at,)] = await self.bench.rows("SELECT ripens_at FROM balls WHERE id = ?", ball)
            self.bench.clock.shift_ms += max(0, ripens_at - self.bench.clock.now_ms()) + HOUR_MS
            told = await self.bench.do(game.CollectEnergy(self.key(), user, user, (ball,)))
            grams += told["results"][0]["energy_g"]
        return grams

    async def redeem(self, user: int) -> int:
        reply = await self.bench.do(game.RedeemOffer(self.key(), user, PROGRAMME))
        rows = await self.bench.rows("SELECT commitment_id FROM trees WHERE number = ?", reply["tree"])
        return int(rows[0][0])


def _text(at: int) -> str:
    from engine.core.units import rfc3339

    return rfc3339(at)


def wish(bench: Bench, **changes: Any) -> StartCampaign:
    today = local_day(bench.clock.now_ms(), "UTC")
    last = today.replace(year=today.year + 1).isoformat()
    usual = StartCampaign(
        None,
        "operator:li",
        "Ride",
        "Bank",
        PROGRAMME,
        ("bus",),
        today.isoformat(),
        last,
        last,
        "CNY",
        1000,
        2000,
    )
    return replace(usual, **changes)


async def test_a_tree_of_a_campaign_is_ordered_and_reported(url: str) -> None:
    async with open_bench(url, rules=RULES) as bench:
        story = Story(bench)
        await bench.do(game.AddSource(None, "city", "City", "whsec_c2VjcmV0", ("bus", "metro")))
        await bench.do(game.FundProgramme(None, PROGRAMME, "Foundation", "CNY", 1000, 3000))
        campaign = int((await bench.do(wish(bench)))["campaign"])
        await bench.do(game.GrantStock(None, PROGRAMME, 5))
        lin, wu = await story.rider("lin"), await story.rider("wu")
        await story.earn(lin, "lin")
        await story.earn(wu, "wu", "metro")
        assert await story.redeem(lin) == campaign
        assert await story.redeem(wu) != campaign
        assert await form_orders(bench.writer, bench.db) >= 1
        async with bench.db.snapshot() as view:
            [told] = await campaigns.report(view)
        assert (told["users"], told["energy_g"], told["trees_of_its_energy"]) == (1, PRICE_G, 1)
        assert (told["committed_minor"], told["not_set_aside_minor"]) == (2000, 1000)
        assert (told["funder"], told["trees"]) == ("Bank", {"ordered": 1})
        assert told["held_minor"] == 738  # what the order's tree costs
        assert (await audit(bench.db, RULES, [(checks.CHECKED, checks.audit)])).examples == []
        async with bench.db.write() as tx:
            await tx.execute("UPDATE campaign_uses SET used_g = used_g + 1")
        found = await audit(bench.db, RULES)
        assert [one.code for one in found.examples] == ["campaign_energy"]


async def test_a_tree_that_comes_back_frees_its_energy(url: str) -> None:
    async with open_bench(url, rules=RULES) as bench:
        story = Story(bench)
        await bench.do(game.AddSource(None, "city", "City", "whsec_c2VjcmV0", ("bus", "metro")))
        campaign = int((await bench.do(wish(bench, amount_minor=1000)))["campaign"])
        await bench.do(game.GrantStock(None, PROGRAMME, 1))
        lin = await story.rider("lin")
        await story.earn(lin, "lin")
        for _ in range(2):
            assert await story.redeem(lin) == campaign
            [(tree,)] = await bench.rows("SELECT id FROM trees WHERE state = 'pledged'")
            await bench.do(game.WithdrawTrees((tree,), "energy_back:no_place"))
        assert await bench.rows("SELECT used_g, trees FROM campaign_uses") == [(0, 0)]
        assert (await audit(bench.db, RULES, [(checks.CHECKED, checks.audit)])).examples == []
        bench.clock.shift_ms += DAY_MS


async def test_campaigns_over_http(tmp_path: Path) -> None:
    async with open_bench(f"sqlite:///{tmp_path}/game.db") as bench:
        settings = Settings(operator_key=OPERATOR_KEY, photo_folder=tmp_path)
        desk = Desk(bench.writer, bench.db, bench.registry, cheap)
        app = make_app(parts_of(bench, settings, routers=[campaigns_router(desk)]))
        headers = {"authorization": f"Bearer {OPERATOR_KEY}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://engine/v1", headers=headers
        ) as http:
            asked = wish(bench)
            body = {
                name: getattr(asked, name)
                for name in asked.__dataclass_fields__
                if name not in ("key", "operator", "behaviours")
            } | {"behaviours": ["bus"], "by": "li"}
            made = await http.post("/campaigns", json=body)
            assert (made.status_code, made.json()["covers"]) == (201, 2)
            number = made.json()["campaign"]
            [one] = (await http.get("/campaigns")).json()["campaigns"]
            assert (one["campaign"], one["name"], one["started_by"]) == (number, "Ride", "operator:li")
            assert (await http.get(f"/campaigns/{number}")).json()["not_set_aside_minor"] == 2000
            assert (await http.get("/campaigns/9")).json()["code"] == "unknown_campaign"
            bad = await http.post("/campaigns", json=body | {"behaviours": ["flying"]})
            assert (bad.status_code, bad.json()["field"]) == (422, "behaviours")
            assert (await http.post("/campaigns", json=body | {"name": ""})).status_code == 422
            assert (await http.get("/campaigns", headers={"authorization": "Bearer x"})).status_code == 401


def test_campaigns_on_the_command_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/game.db"
    start = (
        "campaigns", "start", "Ride", "--funder", "Bank", "--programme", PROGRAMME, "--behaviour", "bus",
        "--from", "2026-11-01", "--until", "2036-12-01", "--price", "738", "--budget", "7380", "--by", "li",
    )  # fmt: skip
    made = run_saxaul(*start, "--json", database_url=url).check().json
    assert made["covers"] == 10
    assert "Ride" in run_saxaul("campaigns", "list", database_url=url).check().out
    told = run_saxaul("campaigns", "report", made["campaign"], database_url=url).check().out
    assert "budget: 7,380 CNY" in told
    assert "per verified tree: not yet known" in told
    assert run_saxaul("campaigns", "report", "7", database_url=url).status == 2
    bad = run_saxaul(*start, "--behaviour", "flying", database_url=url)
    assert (bad.status, "bad_campaign" in bad.err) == (1, True)
    assert run_saxaul("check", database_url=url).status == 0
