"""What `saxaul check` says of the partners' tables: nothing of a sound database, and each damage by its
name."""

from __future__ import annotations

from pathlib import Path

import pytest

from partners.checks import audit
from partners.core.commands import ClaimDeliveries, RecordReport, ReviewOrder, SettleDelivery
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from tests.partners.bench import PROGRAMME, Bench, open_bench

DAMAGES = {
    "tree_without_unit": "DELETE FROM tree_units WHERE id = {pledged}",
    "unit_without_tree": "DELETE FROM trees WHERE id = {pledged}",
    "unit_and_tree_differ": "UPDATE trees SET state = 'verified' WHERE id = {pledged}",
    "unit_state": "UPDATE tree_units SET order_id = NULL WHERE id = {placed}",
    "unit_without_order": "DELETE FROM partner_orders WHERE id = {order}",
    "order_without_line": "DELETE FROM order_lines WHERE order_id = {order}",
    "order_without_delivery": "DELETE FROM deliveries WHERE order_id = {order}",
    "evidence_without_batch": "UPDATE evidence SET batch_id = 'nowhere'",
    "line_counters": "UPDATE batches SET reported = reported - 1, verified = 0",
    "orphan_unit": "UPDATE order_lines SET units = '[999]' WHERE order_id = {order}",
    "unit_in_two_lines": "UPDATE order_lines SET units = (SELECT units FROM order_lines WHERE order_id = {other})"
    " WHERE order_id = {order}",
    "unit_twice_in_line": "UPDATE order_lines SET units = '[{placed}, {placed}]' WHERE order_id = {order}",
    "unit_in_two_batches": "UPDATE batches SET units = '[{placed}, {placed}]'",
    "unit_outside_its_line": "UPDATE order_lines SET units = '[]' WHERE order_id = {order}",
    "quota_counters": "UPDATE quotas SET ordered = ordered + 1 WHERE ordered > 0",
    "line_without_quota": "UPDATE order_lines SET quota = 'nowhere' WHERE order_id = {order}",
    "draft_sent_out": "UPDATE partner_orders SET state = 'draft' WHERE id = {other}",
    "test_order_with_trees": "UPDATE partner_orders SET kind = 'test' WHERE id = {other}",
    "agreement_not_in_force": "UPDATE partner_records SET agreement = 'nobody/1'",
    "two_agreements_active": "INSERT INTO agreements SELECT id || 'x', partner, version + 1, status, starts_on,"
    " ends_on, status_at, terms FROM agreements",
    "order_without_agreement": "UPDATE partner_orders SET agreement = 'nobody/1' WHERE id = {other}",
    "site_without_geometry": "UPDATE sites SET version = version + 1",
    "place_told_wrong": "UPDATE tree_units SET unplaced_at = 5 WHERE id = {pledged}",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def found(bench: Bench) -> set[str]:
    async with bench.db.snapshot() as view:
        return {code async for code, _, _ in audit(view)}


async def two_orders(bench: Bench) -> dict[str, int]:
    """One verified order of two trees, one submitted order, and one tree that waits."""
    await bench.trees(4)
    units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
    order = (await bench.form(*units[:2]))["formed"]
    other = (await bench.form(units[2]))["formed"]
    await bench.do(ClaimDeliveries(None, "test", 60_000, (f"submit:{order}",)))
    await bench.do(SettleDelivery(None, f"submit:{order}", "test", "done"))
    shown = BatchShown("1", 2, "2026-11-23", "2026-11-23", PROGRAMME, (EvidenceShown("a" * 64),))
    report = PartnerReport(order, "planted", 1, accepted=2, batches=(shown,))
    await bench.do(RecordReport(None, "simulator-ngo", "m1", "d", report))
    await bench.do(ReviewOrder(None, "operator", order, "verified"))
    return {"order": order, "other": other, "placed": units[0], "pledged": units[3]}


@pytest.mark.parametrize("code", list(DAMAGES))
async def test_each_damage_is_named(url: str, code: str) -> None:
    async with open_bench(url) as bench:
        about = await two_orders(bench)
        assert await found(bench) == set()
        async with bench.db.write() as tx:
            await tx.execute(DAMAGES[code].format(**about))
        assert code in await found(bench)
