"""The operator's people in the year: they review, answer what is held, pay bills, count living trees, close orders.

What they find on the ground is thrown by dice; what they may do is decided by the core as for anybody else.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from engine.core.units import DAY_MS, local_day, local_instant
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.records import commands as r
from partners.year.dice import dice, hits
from partners.year.world import OPERATOR, World

SECOND = "operator:chen"
INDEPENDENT = "independent:zhou"
PLOTS = 8
Orders = list[tuple[Any, ...]]


async def review(world: World) -> None:
    """Look at what is reported planted, some days after it was; ask for more where the dice say so."""
    rows = await world.rows(
        "SELECT o.id, o.partner, o.fact_at, b.id, b.report_no, b.reported, b.findings, s.levels, s.reviews"
        " FROM partner_orders o JOIN order_lines l ON l.order_id = o.id JOIN batches b ON b.line_id = l.id"
        " LEFT JOIN standings s ON s.id = b.id WHERE o.state = 'planted' AND o.held = ''"
    )
    orders: dict[int, list[tuple[Any, ...]]] = {}
    for row in sorted(rows):
        orders.setdefault(row[0], []).append(row)
    commands = [command for found in orders.values() for command in _looked(world, found)]
    await world.all(commands)


def _looked(world: World, batches: Orders) -> list[Any]:
    order, _, planted_at = batches[0][:3]
    staff, draws = world.scenario.staff, dice(world.seed, "review", order)
    if world.clock.at < planted_at + draws.randint(*staff.looks_d) * DAY_MS:
        return []
    asks = hits(draws, staff.asks_pct)
    found = {
        report_no: _found(world, name, reported, findings)
        for _, _, _, name, report_no, reported, findings, *_ in batches
    }
    levels = [json.loads(row[7]) if row[7] else {} for row in batches]
    if all("2" in one for one in levels):
        return [
            ac.ReviewBatch(None, INDEPENDENT, 3, order, row[3], "verified", found[row[4]])
            for row, one in zip(batches, levels, strict=True)
            if "3" not in one
        ]
    if asks and not any(row[8] for row in batches):
        return [c.ReviewOrder(None, OPERATOR, order, "needs_info", "a photo of the whole plot")]
    if not any(found.values()):
        found = {name: 1 for name in found if "evidence_reused" not in str(batches[0][6])} or found
    return [c.ReviewOrder(None, OPERATOR, order, "verified", "", found)]


def _found(world: World, batch: str, reported: int, findings: str) -> int:
    """Trees found of a report: none where its photo is another's, in some reports a few less."""
    if "evidence_reused" in findings:
        return 0
    draws = dice(world.seed, "found", batch)
    return reported - (
        draws.randint(1, max(1, reported // 12)) if hits(draws, world.scenario.staff.misses_pct) else 0
    )


async def unhold(world: World) -> None:
    """What is held for a person: call the partner, answer, decide, and let it go on."""
    before_at = world.clock.at - world.scenario.staff.mends_d * DAY_MS
    rows = await world.rows(
        "SELECT id, partner, held, state FROM partner_orders WHERE held <> '' AND held_at <= ? ORDER BY id",
        before_at,
    )
    for order, partner, held, _state in rows:
        await world.all(await _answer(world, order, partner, held))


async def _answer(world: World, order: int, partner: str, held: str) -> list[Any]:
    if held in ("answer_differs", "reported_after_planted"):
        world.desks[partner].mend(order)
        return [c.ResumeOrder(None, OPERATOR, order)]
    if held in ("partner_asks_to_cancel", "rejected_after_acceptance"):
        world.desks[partner].heard(order)
        return [c.CancelOrder(None, OPERATOR, order, "the partner can't", "as it wrote")]
    if held == "cancelled_after_report":
        world.desks[partner].heard(order)
        return [c.ResumeOrder(None, OPERATOR, order)]
    if held in ("undeliverable", "unknown_at_partner", "refused_by_partner"):
        arrived = world.desks[partner].has(order)
        stuck = await world.rows(
            "SELECT id FROM deliveries WHERE order_id = ? AND state = 'stuck' ORDER BY id", order
        )
        return [c.ResolveDelivery(None, OPERATOR, name, arrived) for (name,) in stuck]
    if held == "dispute":
        open_ = await world.rows(
            "SELECT id, state FROM disputes WHERE order_id = ? AND state <> 'decided'", order
        )
        return [
            ac.AnswerDispute(None, OPERATOR, one, "the plot was visited")
            if state == "open"
            else ac.DecideDispute(None, SECOND, one, "dismissed", "its trees stand")
            for one, state in sorted(open_)
        ]
    return []  # a partner that may not be asked: the job lets it go on


async def count_trees(world: World) -> None:
    """Count living trees in the windows that are open."""
    today = local_day(world.clock.at, "UTC")
    rows = await world.rows(
        "SELECT a.id, a.order_id, a.opens_on, a.due_on, a.attempt, b.verified, b.units, l.granularity, o.partner"
        " FROM audits a JOIN partner_orders o ON o.id = a.order_id JOIN batches b ON b.id = a.batch_id"
        " JOIN order_lines l ON l.id = b.line_id WHERE a.state = 'planned' AND a.opens_on <= ?"
        " AND o.state IN ('monitoring', 'replanting') AND o.held = ''",
        today.isoformat(),
    )
    commands = []
    for row in sorted(rows):
        name, _, opens_on, due_on = row[:4]
        draws = dice(world.seed, "count", name)
        waits_d = draws.randint(*world.scenario.staff.counts_d)
        from_on = min(local_day(_instant(opens_on) + waits_d * DAY_MS, "UTC").isoformat(), due_on)
        if today.isoformat() >= from_on:
            commands.append(_counted(world, row, draws, today.isoformat()))
    await world.all(commands)


def _instant(on: str) -> int:
    return local_instant(date.fromisoformat(on), 0, "UTC")


def _counted(world: World, row: tuple[Any, ...], draws: Any, on: str) -> ac.RecordAudit:
    """In plots at first; every tree where that has told nothing, or where trees are told apart."""
    name, order, _, _, attempt, verified, units, granularity, partner = row
    planter = world.desks[partner].planter
    pct = draws.randint(*planter.survives_pct)
    is_census = attempt > 1 or granularity == "individual" or verified < 2 * PLOTS
    if is_census:
        alive = verified * pct // 100
        plots = (ac.PlotCount("all", verified, alive),)
        numbers = json.loads(units)
        dead = tuple(numbers[: verified - alive]) if granularity == "individual" else ()
        return ac.RecordAudit(None, OPERATOR, order, name, on, "census", INDEPENDENT, False, plots, dead)
    size = max(1, min(30, verified // PLOTS))
    counts = []
    for number in range(1, PLOTS + 1):
        alive = sum(hits(draws, pct) for _ in range(size))
        counts.append(ac.PlotCount(str(number), size, alive))
    return ac.RecordAudit(None, OPERATOR, order, name, on, "plots", INDEPENDENT, False, tuple(counts))


async def close_short(world: World) -> None:
    """Orders whose lost trees nobody replants end here: one proposes, another approves the day after."""
    proposed = await world.rows("SELECT id FROM closings WHERE state = 'proposed' ORDER BY id")
    await world.all([ac.ApproveClosing(None, SECOND, order) for (order,) in proposed])
    rows = await world.rows(
        "SELECT a.order_id, a.batch_id, b.verified, a.alive, a.n FROM audits a JOIN batches b ON b.id = a.batch_id"
        " JOIN partner_orders o ON o.id = a.order_id WHERE a.verdict = 'below_band' AND o.state = 'replanting'"
        " AND o.held = '' AND NOT EXISTS (SELECT 1 FROM closings c WHERE c.id = o.id)"
        " AND EXISTS (SELECT 1 FROM replacements r WHERE r.audit_id = a.id AND r.state = 'failed')"
        " AND NOT EXISTS (SELECT 1 FROM replacements r WHERE r.audit_id = a.id AND r.state <> 'failed')"
    )
    lost: dict[int, dict[str, int]] = {}
    for order, batch, verified, alive, counted in sorted(rows):
        missing = max(1, verified - verified * alive // counted)
        lost.setdefault(order, {})[batch] = max(missing, lost.get(order, {}).get(batch, 0))
    note = "lost, and nobody replants"
    await world.all(
        [ac.ProposeClosing(None, OPERATOR, order, note, "refund", trees) for order, trees in lost.items()]
    )


async def befall(world: World, days: frozenset[str]) -> None:
    """What the scenario has happen to partners on these days (MM-DD)."""
    for planter in world.scenario.planters:
        for on, what in planter.told:
            if on not in days:
                continue
            if what == "papers":
                until = world.scenario.ends_on.isoformat()
                await world.all(
                    [r.RecordDocument(None, OPERATOR, planter.id, "registration", "2", "bureau", until)]
                )
            elif what == "dispute":
                rows = await world.rows(
                    "SELECT id FROM partner_orders WHERE partner = ? AND held = '' AND state IN"
                    " ('in_planting', 'planted', 'monitoring') ORDER BY id LIMIT 2",
                    planter.id,
                )
                await world.all(
                    [ac.OpenDispute(None, "a visitor", order, "no tree seen") for (order,) in rows]
                )
            else:
                await world.all([r.MovePartner(None, OPERATOR, planter.id, what, "looked at")])
