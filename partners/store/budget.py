"""Budget against spending: what funders have committed to each programme, and how far it has gone; and what partners
have been promised, billed and paid. From rows of events only; amounts in minor units, each in the currency it says.

Of a programme's budget: free (for no tree yet), waiting (set aside for trees without an order), held (for orders that
nobody has accepted), with partners (what accepted orders cost), and saved (set aside, and not needed). They add up.
Beside them, coming back: billed or paid for trees that have left their order, and not back with the funder yet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

from engine.core.units import DAY_MS, SECOND_MS
from engine.store.database import Reader

PARTS = ("free", "waiting", "held", "with_partners", "saved")
MONTHS_MAX = 120
_SPENT = ("committed", "payable", "paid", "owed", "lost")


async def budget(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    """`programmes` by programme and currency, `partners` by partner and currency, `months` of payments."""
    return {
        "programmes": await _programmes(reader),
        "partners": await _partners(reader),
        "months": await _months(reader),
    }


async def _programmes(reader: Reader) -> list[dict[str, Any]]:
    rows = await reader.fetch(
        "SELECT id, programme, currency, unit_price_minor, amount_minor, left_minor FROM commitments"
    )
    place = {row[0]: (row[1], row[2]) for row in rows}
    price = {row[0]: row[3] for row in rows}
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for _, programme, currency, _, amount, left in rows:
        found[programme, currency].update({"budget": amount, "free": left})
    trees = await reader.fetch(
        "SELECT t.commitment_id, u.state, count(*) FROM trees t JOIN tree_units u ON u.id = t.id"
        " WHERE t.state <> 'withdrawn' OR u.order_id IS NOT NULL GROUP BY t.commitment_id, u.state"
    )
    for commitment, state, count in trees:
        sums = found[place[commitment]]
        sums["trees"] += count
        if state in ("pledged", "allocated"):
            sums["waiting"] += count * price[commitment]
    columns = ", ".join(f"{name}_minor" for name in ("held", "cost", "excess", *_SPENT))
    for row in await reader.fetch(f"SELECT commitment_id, {columns} FROM order_funds"):
        commitment, held, cost, excess, committed, payable, paid, owed, lost = row
        backed = committed + payable + paid + owed + lost
        back = cost * (owed + excess) // backed if backed else 0
        found[place[commitment]].update({"held": held, "with_partners": cost - back, "coming_back": back})
    told = []
    for (programme, currency), sums in sorted(found.items()):
        parts = {name: sums[name] for name in PARTS[:-1]}
        parts["saved"] = sums["budget"] - sum(parts.values())
        spent_bp = (2 * parts["with_partners"] * 10_000 + sums["budget"]) // (2 * sums["budget"])
        amounts = {f"{name}_minor": amount for name, amount in parts.items()}
        told.append(
            {
                "programme": programme,
                "currency": currency,
                "budget_minor": sums["budget"],
                **amounts,
                "coming_back_minor": sums["coming_back"],
                "trees": sums["trees"],
                "spent_bp": spent_bp,
            }
        )
    return told


async def _partners(reader: Reader) -> list[dict[str, Any]]:
    """What was promised to partners for trees that they took on, and what of it fell due, was billed and paid."""
    columns = ", ".join(f"sum({name}_minor)" for name in _SPENT)
    rows = await reader.fetch(
        f"SELECT partner, price_currency, {columns} FROM order_funds GROUP BY partner, price_currency"
        " ORDER BY partner, price_currency"
    )
    due = await reader.fetch(
        "SELECT o.partner, m.currency, sum(m.amount_minor - m.invoiced_minor) FROM milestones m"
        " JOIN partner_orders o ON o.id = m.order_id WHERE o.state <> 'closed_short' GROUP BY o.partner, m.currency"
    )
    to_bill = {(partner, currency): int(amount) for partner, currency, amount in due}
    return [
        {
            "partner": partner,
            "currency": currency,
            "promised_minor": int(sum(balances[:3])),
            "to_bill_minor": min(to_bill.get((partner, currency), 0), int(balances[0])),
            "billed_minor": int(balances[1]),
            "paid_minor": int(balances[2]),
            "owed_back_minor": int(balances[3]),
            "lost_minor": int(balances[4]),
        }
        for partner, currency, *balances in rows
    ]


async def _months(reader: Reader) -> list[dict[str, Any]]:
    """Money that left for partners in each month, the newest months last."""
    rows = await reader.fetch(
        f"SELECT at / {DAY_MS}, currency, sum(amount_minor) FROM budget_entries WHERE kind = 'release'"
        f" GROUP BY at / {DAY_MS}, currency"
    )
    sums: Counter[tuple[str, str]] = Counter()
    for day, currency, amount in rows:
        month = datetime.fromtimestamp(int(day) * DAY_MS / SECOND_MS, UTC).date().isoformat()[:7]
        sums[month, currency] += int(amount)
    months = sorted({month for month, _ in sums})[-MONTHS_MAX:]
    return [
        {"month": month, "currency": currency, "paid_minor": amount}
        for (month, currency), amount in sorted(sums.items())
        if month in months
    ]
