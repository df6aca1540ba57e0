"""The same wishes after planting end in the same rows on SQLite and PostgreSQL, and `saxaul check` finds nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from engine.core.units import local_day
from partners.checks import audit
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from partners.jobs import follow_up
from partners.sealing import seal_audit
from tests.partners.bench import PROGRAMME, Bench, open_bench
from tests.partners.watched import instant_on

STEPS = 60
TABLES = {
    "partner_orders": "state, held, reason",
    "order_lines": "ordered, accepted, reported, verified, units",
    "standings": "state, verified, claimed, written_down, fields, reasons",
    "claims": "batch_id, status",
    "audits": "stage, attempt, opens_on, due_on, state, verdict, why, rate_bp, low_bp, high_bp",
    "replacements": "batch_id, audit_id, trees, state",
    "write_downs": "trees, note, proposed_by, approved_by",
    "order_funds": "held_minor, committed_minor, payable_minor, paid_minor, owed_minor, lost_minor, cost_minor, trees",
    "budget_entries": "kind, debit, credit, currency, amount_minor, reason",
    "milestones": "milestone, amount_minor, invoiced_minor",
    "invoices": "milestone, net_minor, state, split",
    "disputes": "state, outcome",
    "trees": "state, note",
}


class Walk:
    """A seeded life of a few orders through a real writer; it names orders by their place, never by their id."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.dice = random.Random(seed)
        self.outcomes: list[str] = []

    async def run(self) -> None:
        self.bench.clock.shift_ms += instant_on("2026-11-30") - self.bench.clock.now_ms()
        await self.bench.trees(12)
        units = [unit for (unit,) in await self.bench.rows("SELECT id FROM tree_units ORDER BY id")]
        for first in (0, 4, 8):
            assert (await self.bench.form(*units[first : first + 4]))["formed"]
        for (order,) in await self.bench.rows("SELECT id FROM partner_orders ORDER BY id"):
            await self.plant(order)
        for place in range(STEPS):
            orders = await self.bench.rows("SELECT id, state, held FROM partner_orders ORDER BY id")
            await self.step(*self.dice.choice(orders))
            if place > STEPS // 4 and self.dice.random() < 0.4:
                days = self.dice.choice([1, 20, 200])
                self.bench.clock.shift_ms += days * 86_400_000
            await follow_up(self.bench.writer, self.bench.db)
        await seal_audit(self.bench.writer, self.bench.db)

    async def wish(self, command: Any) -> None:
        outcome = await self.bench.writer.submit(command)
        assert outcome.error is None or outcome.error.code not in ("internal", "unavailable"), outcome
        self.outcomes.append(f"{type(command).__name__} {outcome.error.code if outcome.error else 'ok'}")

    async def step(self, order: int, state: str, held: str) -> None:
        chance = self.dice.random()
        if held or chance < 0.06:
            await self.trouble(order)
        elif chance < 0.12 and state in ("monitoring", "replanting"):
            await self.close(order)
        elif chance < 0.3:
            await self.bill(order)
        elif state in ("submitted", "accepted", "in_planting", "needs_info"):
            await self.plant(order)
        elif state == "planted":
            await self.review(order)
        elif state in ("monitoring", "replanting"):
            await self.count(order)

    async def plant(self, order: int) -> None:
        await self.wish(c.ClaimDeliveries(None, "test", 60_000, (f"submit:{order}",)))
        await self.wish(c.SettleDelivery(None, f"submit:{order}", "test", "done"))
        [(ordered,)] = await self.bench.rows("SELECT ordered FROM order_lines WHERE order_id = ?", order)
        accepted = ordered if self.dice.random() < 0.8 else max(1, ordered - 1)
        on = local_day(self.bench.clock.now_ms(), "UTC").isoformat()
        photo = (EvidenceShown(f"{order:064d}"),)
        report = PartnerReport(
            order,
            "planted",
            self.bench.clock.now_ms(),
            accepted=accepted,
            batches=(BatchShown("1", accepted, on, on, PROGRAMME, photo),),
            by="wang",
        )
        name = f"m{len(self.outcomes)}"
        await self.wish(c.RecordReport(None, "simulator-ngo", name, name, report))

    async def review(self, order: int) -> None:
        verdict = self.dice.choice(["verified", "verified", "verified", "needs_info"])
        [(reported,)] = await self.bench.rows("SELECT reported FROM batches WHERE id = ?", f"{order}/1")
        trees = reported - self.dice.choice([0, 0, 0, 1])
        await self.wish(
            ac.ReviewBatch(None, "operator:li", 2, order, f"{order}/1", verdict, trees, reasons=("other",))
        )

    async def count(self, order: int) -> None:
        planned = await self.bench.rows(
            "SELECT a.id, a.opens_on, b.verified FROM audits a JOIN batches b ON b.id = a.batch_id"
            " WHERE a.order_id = ? AND a.state = 'planned' ORDER BY a.due_on, a.id LIMIT 1",
            order,
        )
        for name, opens_on, verified in planned:
            ahead = instant_on(opens_on) - self.bench.clock.now_ms()
            self.bench.clock.shift_ms += max(0, ahead)
            on = local_day(self.bench.clock.now_ms(), "UTC").isoformat()
            alive = self.dice.choice([verified, verified, verified, verified // 2])
            plots = (ac.PlotCount("all", verified, alive),)
            command = ac.RecordAudit(None, "li", order, name, on, "census", "independent:x", False, plots)
            await self.wish(command)

    async def close(self, order: int) -> None:
        lost = {f"{order}/1": 1}
        await self.wish(ac.ProposeClosing(None, "operator:li", order, "salt", "refund", lost))
        await self.wish(ac.ApproveClosing(None, self.dice.choice(["operator:li", "operator:wang"]), order))

    async def bill(self, order: int) -> None:
        open_due = await self.bench.rows(
            "SELECT milestone, amount_minor - invoiced_minor FROM milestones WHERE order_id = ?"
            " AND amount_minor > invoiced_minor ORDER BY id LIMIT 1",
            order,
        )
        for milestone, amount in open_due:
            number = f"{order}-{len(self.outcomes)}"
            lines = (("planting", amount),)
            await self.wish(ac.RecordInvoice(None, "wang", order, milestone, number, lines, 0, "2030-01-01"))
            paid = self.dice.random() < 0.8
            await self.wish(ac.SettleInvoice(None, "operator:li", order, f"simulator-ngo/{number}", paid))

    async def trouble(self, order: int) -> None:
        disputes = await self.bench.rows(
            "SELECT id FROM disputes WHERE order_id = ? AND state <> 'decided' ORDER BY id", order
        )
        if not disputes:
            await self.wish(ac.OpenDispute(None, "city", order, "where are they?"))
        for (dispute,) in disputes:
            await self.wish(ac.DecideDispute(None, "operator:li", dispute, "settled", "shown"))
        await self.wish(c.ResumeOrder(None, "operator:li", order))


async def dump(bench: Bench) -> dict[str, list[Any]]:
    """All rows without instants, orders and trees named by their place."""
    ids = await bench.rows("SELECT id FROM partner_orders ORDER BY id")
    trees = await bench.rows("SELECT id FROM trees ORDER BY id")
    commitments = await bench.rows("SELECT id FROM commitments ORDER BY id")
    names = {str(row[0]): f"o{place}" for place, row in enumerate(ids)}
    names |= {str(row[0]): f"t{place}" for place, row in enumerate(trees)}
    names |= {str(row[0]): f"c{place}" for place, row in enumerate(commitments)}

    def named(value: Any) -> str:
        return re.sub(r"\d{6,}", lambda found: names.get(found[0], found[0]), str(value))

    return {
        table: sorted(
            [
                [named(value) for value in row]
                for row in await bench.rows(f"SELECT id, {columns} FROM {table}")
            ]
        )
        if table != "disputes"
        else sorted(str(row) for row in await bench.rows(f"SELECT {columns} FROM {table}"))
        for table, columns in TABLES.items()
    }


@pytest.mark.parametrize("seed", [3, 17, 2026])
async def test_both_databases_end_in_the_same_rows(tmp_path: Path, postgres_url: str, seed: int) -> None:
    ends = []
    for url in (f"sqlite:///{tmp_path}/game.db", postgres_url):
        async with open_bench(url) as bench:
            walk = Walk(bench, seed)
            await walk.run()
            async with bench.db.snapshot() as view:
                assert [finding async for finding in audit(view)] == []
            ends.append((walk.outcomes, await dump(bench)))
    (sqlite_outcomes, sqlite_rows), (postgres_outcomes, postgres_rows) = ends
    assert sqlite_outcomes == postgres_outcomes
    for table, rows in sqlite_rows.items():
        assert rows == postgres_rows[table], table
    assert len(sqlite_rows["audits"]) >= 4
    assert len(sqlite_rows["budget_entries"]) > 10
