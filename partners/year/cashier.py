"""Money in the year: partners bill what fell due, we pay or send the bill back, and what is owed comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine.core.units import DAY_MS, local_day
from partners.core import after_commands as ac
from partners.year.dice import dice, hits
from partners.year.world import OPERATOR, World

DUE_D = 30


async def bill(world: World) -> None:
    """Partners send their bills for milestones, some days after they were reached."""
    rows = await world.rows(
        "SELECT m.id, m.order_id, m.milestone, m.amount_minor - m.invoiced_minor, m.reached_at, o.partner,"
        " (SELECT coalesce(sum(f.committed_minor), 0) FROM order_funds f WHERE f.order_id = m.order_id),"
        " (SELECT count(*) FROM invoices i WHERE i.milestone = m.id)"
        " FROM milestones m JOIN partner_orders o ON o.id = m.order_id WHERE m.amount_minor > m.invoiced_minor"
    )
    due_on = (local_day(world.clock.at, "UTC") + timedelta(days=DUE_D)).isoformat()
    commands = []
    left: dict[int, int] = {}
    for name, order, milestone, due, reached_at, partner, committed, bills in sorted(rows):
        waits_d = dice(world.seed, "bill", name).randint(*world.desks[partner].planter.bills_d)
        amount = min(int(due), left.get(order, int(committed)))
        if amount <= 0 or world.clock.at < reached_at + waits_d * DAY_MS:
            continue
        left[order] = left.get(order, int(committed)) - amount
        number = f"{order}-{milestone}-{bills + 1}"
        lines = (("planting", amount),)
        commands.append(
            ac.RecordInvoice(None, f"partner:{partner}", order, milestone, number, lines, 0, due_on)
        )
    await world.all(commands)


async def pay(world: World) -> None:
    """We pay bills, or send some of them back once."""
    rows = await world.rows(
        "SELECT id, order_id, received_at, invoice_no FROM invoices WHERE state = 'received'"
    )
    commands: list[Any] = []
    staff = world.scenario.staff
    for name, order, received_at, number in sorted(rows):
        draws = dice(world.seed, "pay", name)
        if world.clock.at < received_at + draws.randint(*staff.pays_d) * DAY_MS:
            continue
        is_paid = not (number.endswith("-1") and hits(draws, staff.bounces_pct))
        reason = "" if is_paid else "the order's number is missing"
        commands.append(ac.SettleInvoice(None, OPERATOR, order, name, is_paid, reason))
    await world.all(commands)


async def repay(world: World) -> None:
    """Partners pay back what they were paid for trees that they have not delivered."""
    before_at = world.clock.at - world.scenario.staff.repaid_d * DAY_MS
    rows = await world.rows(
        "SELECT f.order_id, sum(f.owed_minor) FROM order_funds f JOIN partner_orders o ON o.id = f.order_id"
        " WHERE f.owed_minor > 0 AND o.fact_at <= ? GROUP BY f.order_id ORDER BY f.order_id",
        before_at,
    )
    await world.all(
        [ac.RecordRepayment(None, OPERATOR, order, int(owed), "as agreed") for order, owed in rows]
    )
