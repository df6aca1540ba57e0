"""Real writer, both databases: a life after planting, what `saxaul check` says of it, and each damage by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.check import audit as audit_all
from partners.checks import audit
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from partners.sealing import seal_audit
from tests.partners.bench import PROGRAMME, RULES, Bench, open_bench
from tests.partners.watched import instant_on

PARTNER = "simulator-ngo"

DAMAGES = {
    "standing_and_batch_differ": "UPDATE standings SET verified = verified + 1 WHERE id = '{batch}'",
    "batch_without_verdict": "DELETE FROM batch_reviews",
    "claims_miscounted": "UPDATE standings SET claimed = claimed - 1 WHERE id = '{batch}'",
    "claimed_too_much": "UPDATE standings SET written_down = 2 WHERE id = '{batch}'",
    "claim_of_another_batch": "UPDATE claims SET batch_id = 'nowhere' WHERE unit = {unit}",
    "verified_without_claim": "DELETE FROM claims WHERE unit = {unit}",
    "fund_balance": "UPDATE order_funds SET paid_minor = paid_minor + 1 WHERE order_id = {order}",
    "fund_price": "UPDATE order_funds SET trees = trees + 1 WHERE order_id = {order}",
    "commitment_overdrawn": "UPDATE commitments SET amount_minor = 1",
    "milestone_invoices": "UPDATE milestones SET invoiced_minor = 0",
    "watched_without_counts": "DELETE FROM audits WHERE order_id = {order}",
    "completed_too_early": "UPDATE partner_orders SET state = 'completed' WHERE id = {order}",
    "closed_without_approval": "UPDATE closings SET state = 'proposed'",
    "write_down_of_nothing": "UPDATE write_downs SET trees = 2",
    "audit_line_altered": "UPDATE audit_events SET reason = 'nothing happened' WHERE place = 5",
    "audit_line_missing": "DELETE FROM audit_events WHERE place = 5",
    "audit_chain_cut": "DELETE FROM audit_events WHERE place = (SELECT max(place) FROM audit_events)",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def found(bench: Bench) -> list[tuple[str, str, str]]:
    async with bench.db.snapshot() as view:
        return [finding async for finding in audit(view)]


async def planted(bench: Bench, units: list[int], photo: str, more: int = 0) -> int:
    """An order of these trees, reported planted, with some more within the tolerance."""
    order = int((await bench.form(*units))["formed"])
    await bench.do(c.ClaimDeliveries(None, "test", 60_000, (f"submit:{order}",)))
    await bench.do(c.SettleDelivery(None, f"submit:{order}", "test", "done"))
    trees = len(units) + more
    shown = BatchShown("1", trees, "2026-11-23", "2026-11-23", PROGRAMME, (EvidenceShown(photo * 64),))
    report = PartnerReport(order, "planted", 1, accepted=len(units), batches=(shown,), by="wang")
    await bench.do(c.RecordReport(None, PARTNER, f"m{order}", "d", report))
    return order


async def counted(bench: Bench, order: int, alive: int) -> dict[str, Any]:
    """The first autumn's census of an order of three trees."""
    bench.clock.shift_ms += instant_on("2027-09-01") - bench.clock.now_ms()
    plots = (ac.PlotCount("all", 3, alive),)
    audit_id = f"{order}/1@M12.1"
    command = ac.RecordAudit(
        None, "operator:li", order, audit_id, "2027-09-01", "census", "independent:zhou", False, plots
    )
    return await bench.do(command)


async def life(bench: Bench) -> dict[str, Any]:
    """One order below its band with a bill paid and a child order, one closed short; all that happened is sealed."""
    await bench.trees(6)
    units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
    order, other = await planted(bench, units[:3], "a"), await planted(bench, units[3:], "b")
    for number in (order, other):
        review = ac.ReviewBatch(None, "operator:li", 2, number, f"{number}/1", "verified")
        assert (await bench.do(review))["batch"] == "verified"
        await bench.do(c.FollowUpOrder(None, number))
    lines = (("planting", 600), ("transport", 40))
    bill = ac.RecordInvoice(None, "partner:wang", order, "accepted", "2027-1", lines, 24, "2027-12-31")
    assert (await bench.do(bill))["state"] == "received"
    await bench.do(ac.SettleInvoice(None, "operator:li", order, f"{PARTNER}/2027-1", True))
    assert (await counted(bench, order, 1))["verdict"] == "below_band"
    await bench.do(c.FollowUpOrder(None, order))
    [(child,)] = await bench.rows("SELECT id FROM replacements")
    lost = {f"{other}/1": 1}
    await bench.do(ac.ProposeClosing(None, "operator:li", other, "One of three was dug up.", "refund", lost))
    await bench.do(ac.ApproveClosing(None, "operator:wang", other))
    assert await seal_audit(bench.writer, bench.db) > 20
    assert await seal_audit(bench.writer, bench.db) == 0
    return {"order": order, "other": other, "batch": f"{order}/1", "unit": units[0], "child": child}


async def test_a_sound_life_has_no_findings_and_both_databases_agree(
    tmp_path: Path, postgres_url: str
) -> None:
    told = []
    for url in (f"sqlite:///{tmp_path}/game.db", postgres_url):
        async with open_bench(url) as bench:
            about = await life(bench)
            assert await found(bench) == []
            names = {about["order"]: "order", about["other"]: "other", about["child"]: "child"}
            states = await bench.rows("SELECT id, state FROM partner_orders ORDER BY id")
            money = await bench.rows(
                "SELECT kind, debit, credit, currency, amount_minor FROM budget_entries ORDER BY order_id, at, id"
            )
            log = await bench.rows("SELECT actor, what, was FROM audit_events ORDER BY place")
            trees = await bench.rows("SELECT state, note FROM trees ORDER BY id")
            told.append(([(names[number], state) for number, state in states], money, sorted(log), trees))
    assert told[0] == told[1]
    orders, money, _, trees = told[0]
    assert orders == [("order", "replanting"), ("other", "closed_short"), ("child", "submitted")]
    assert ("release", "paid", "payable", "CNY", 664) in money
    assert [state for state, _ in trees] == ["verified"] * 5 + ["withdrawn"]


@pytest.mark.parametrize("code", list(DAMAGES))
async def test_each_damage_is_named(url: str, code: str) -> None:
    async with open_bench(url) as bench:
        about = await life(bench)
        async with bench.db.write() as tx:
            await tx.execute(DAMAGES[code].format(**about))
        assert code in {one for one, _, _ in await found(bench)}


async def test_claims_move_to_trees_that_nobody_claims(url: str) -> None:
    async with open_bench(url) as bench:
        await bench.trees(23)
        units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
        home, lost = await planted(bench, units[:20], "a", more=1), await planted(bench, units[20:], "b")
        for number in (home, lost):
            await bench.do(c.ReviewOrder(None, "operator:li", number, "verified"))
        moves = {f"{lost}/1": f"{home}/1"}
        with pytest.raises(Exception, match="at most 1 trees"):
            await bench.do(ac.ProposeClosing(None, "li", lost, "salt", "move", {f"{lost}/1": 2}, moves))
        await bench.do(ac.ProposeClosing(None, "li", lost, "salt", "move", {f"{lost}/1": 1}, moves))
        await bench.do(ac.ApproveClosing(None, "wang", lost))
        claims = await bench.rows(
            "SELECT batch_id, status FROM claims WHERE unit = ? ORDER BY from_at", units[22]
        )
        assert claims == [(f"{lost}/1", "replaced"), (f"{home}/1", "active")]
        assert await found(bench) == []


async def test_an_altered_line_is_named_with_its_place(url: str) -> None:
    async with open_bench(url) as bench:
        await life(bench)
        [(name,)] = await bench.rows("SELECT id FROM audit_events WHERE place = 7")
        async with bench.db.write() as tx:
            await tx.execute("UPDATE audit_events SET actor = 'operator:nobody' WHERE place = 7")
        [(code, place, about)] = await found(bench)
        assert (code, place) == ("audit_line_altered", f"audit line 7 ({name})")
        assert "expected the hash" in about


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE standings SET claimed = verified + 1",
        "UPDATE order_funds SET committed_minor = -1",
        "UPDATE audits SET alive = n + 1",
        "UPDATE milestones SET invoiced_minor = amount_minor + 1",
        "UPDATE closings SET approved_by = proposed_by",
        "UPDATE budget_entries SET amount_minor = 0",
        "UPDATE budget_entries SET debit = credit",
        "INSERT INTO claims SELECT id || 'x', unit, batch_id, order_id, status, from_at, to_at FROM claims",
    ],
)
async def test_the_database_itself_refuses_what_can_not_be_true(url: str, sql: str) -> None:
    async with open_bench(url) as bench:
        await life(bench)
        with pytest.raises(Exception, match=r"(?i)constraint|unique"):
            async with bench.db.write() as tx:
                await tx.execute(sql)
        assert await found(bench) == []


async def test_bills_and_log_name_no_user(url: str) -> None:
    async with open_bench(url) as bench:
        await life(bench)
        log = await bench.rows("SELECT entity, reason, actor FROM audit_events")
        assert "Lin" not in json.dumps(log)


async def test_what_is_written_down_stays_paid_for(tmp_path: Path) -> None:
    """Energy does not come back by a closing, so the game's books stay as they are."""
    async with open_bench(f"sqlite:///{tmp_path}/game.db") as bench:
        await life(bench)
        found = await audit_all(bench.db, RULES)
    of_trees = {"trees_sold", "commitment_left", "redeemed_energy", "over_funding", "commitment_missing"}
    assert of_trees & set(found.problems) == set()
