"""The four counters and what funders are told: from events only, and falling by name alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from partners.store import funders
from partners.store.counters import counters, facts
from tests.partners.bench import PROGRAMME, Bench, open_bench
from tests.partners.test_after_checks import PARTNER, counted, life, planted
from tests.partners.watched import instant_on


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def told(bench: Bench) -> dict[str, object]:
    async with bench.db.snapshot() as view:
        return facts((await counters(view))[PROGRAMME])


async def test_counters_along_a_life(url: str) -> None:
    async with open_bench(url) as bench:
        await bench.trees(4)
        assert await told(bench) == {
            "pledged": 4, "funded": 4, "planted": 0, "written_down": 0, "alive": None, "not_yet_known": 0,
        }  # fmt: skip
        units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
        order = await planted(bench, units[:3], "a")
        assert (await told(bench))["planted"] == 0  # reported is not planted
        await bench.do(c.ReviewOrder(None, "operator", order, "verified"))
        assert ((await told(bench))["planted"], (await told(bench))["not_yet_known"]) == (3, 3)
        await bench.do(c.FollowUpOrder(None, order))
        await counted(bench, order, 1)
        found = await told(bench)
        assert found["alive"] == {
            "trees": 1, "low": 0, "high": 3, "of_trees": 3, "trees_counted": 3,
            "first_count_on": "2027-09-01", "last_count_on": "2027-09-01",
        }  # fmt: skip

        await bench.do(c.FollowUpOrder(None, order))
        [(child,)] = await bench.rows("SELECT id FROM replacements")
        await bench.do(c.ClaimDeliveries(None, "test", 60_000, (f"submit:{child}",)))
        await bench.do(c.SettleDelivery(None, f"submit:{child}", "test", "done"))
        bench.clock.shift_ms += 200 * 86_400_000
        shown = BatchShown("1", 2, "2028-03-10", "2028-03-10", PROGRAMME, (EvidenceShown("c" * 64),))
        report = PartnerReport(child, "planted", 1, accepted=2, batches=(shown,))
        await bench.do(c.RecordReport(None, PARTNER, "child", "d", report))
        await bench.do(c.ReviewOrder(None, "operator", child, "verified"))
        assert (await told(bench))["planted"] == 3  # what replaces is no new tree
        assert (await told(bench))["alive"]["trees"] == 1  # type: ignore[index]  # and not known to live
        await bench.do(c.FollowUpOrder(None, child))
        bench.clock.shift_ms += instant_on("2028-09-01") - bench.clock.now_ms()
        plots = (ac.PlotCount("all", 2, 2),)
        name = f"{child}/1@M12.1"
        audit = ac.RecordAudit(None, "li", child, name, "2028-09-01", "census", "independent:x", False, plots)
        await bench.do(audit)
        assert (await told(bench))["alive"]["trees"] == 3  # type: ignore[index]


async def test_a_programme_without_trees_has_no_counters(url: str) -> None:
    async with open_bench(url) as bench, bench.db.snapshot() as view:
        assert await counters(view) == {}


async def test_funders_are_told_what_became_of_their_money(url: str) -> None:
    async with open_bench(url) as bench:
        await life(bench)
        async with bench.db.snapshot() as view:
            [row] = await funders.report(view)
            assert await funders.report(view, "nobody") == []
    assert row["trees"] == {"verified": 5, "withdrawn": 1}
    # two orders of 3 × 7.38; the one closed short got everything back that was not paid
    assert (row["committed_minor"], row["with_partners_minor"], row["paid_minor"]) == (6000, 2214, 664)
    assert (row["verified"], row["cost_per_verified_minor"]) == (5, 443)
    assert (row["alive"], row["cost_per_living_minor"]) == (1, 2214)


async def test_the_command_line_tells_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/game.db"
    async with open_bench(url) as bench:
        await life(bench)
        async with bench.db.snapshot() as view:
            expected = await funders.report(view)
    import asyncio

    def command(*args: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["funders", "report", *args, "--database", url])
        return done.exit_code, done.output

    code, output = await asyncio.to_thread(command, "--json")
    assert (code, json.loads(output)) == (0, {"funders": expected})
    code, output = await asyncio.to_thread(command)
    assert code == 0
    assert "per living" in output
    assert "2,214" in output
    code, output = await asyncio.to_thread(command, "nobody")
    assert code == 2
