"""Reconciliation with a partner: our orders from the database beside its statement, or beside what its adapter reads
back. Only reads, on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from engine.store.database import Reader
from partners.core.model import PartnerReport
from partners.core.reconciling import Difference, OurLine, OurOrder, TheirLine, TheirOrder, differences
from partners.port import Adapter
from partners.sheets.problems import CellProblem
from partners.statements import read_statement

ORDERS_MAX = 20_000
READ_BACK_MAX = 2_000
"""Orders that a partner is asked about in one go; of more, its statement is the better source."""

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Reconciliation:
    """What came of it. `problems`: cells of the statement that could not be understood, so that their rows are left
    out."""

    partner: str
    source: str  # statement | read_back
    ours: int
    theirs: int
    differences: list[Difference]
    problems: list[CellProblem] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether the two sides agree in all that could be compared."""
        return not self.differences and not self.problems

    def told(self) -> dict[str, Any]:
        """As plain data, orders by their public numbers."""
        return {
            "partner": self.partner,
            "source": self.source,
            "orders": self.ours,
            "orders_with_them": self.theirs,
            "differences": [
                {
                    "order": order_number(one.order),
                    "line_no": one.line_no or None,
                    "what": one.what,
                    "ours": one.ours,
                    "theirs": one.theirs,
                }
                for one in self.differences
            ],
            "problems": [
                {"row": one.row, "column": one.column, "code": one.code, "fields": dict(one.fields)}
                for one in self.problems
            ],
        }


async def our_orders(reader: Reader, partner: str, since_at: int = 0) -> list[OurOrder]:
    """The partner's orders that went out since an instant. Raises Rejected(unknown_partner, over_limit)."""
    rows = await reader.fetch(
        "SELECT o.id, o.state, l.id, l.ordered, l.accepted, l.reported, l.unit_price_minor, l.currency"
        " FROM partner_orders o JOIN order_lines l ON l.order_id = o.id"
        " WHERE o.partner = ? AND o.kind <> 'test' AND o.submitted_at >= ? AND EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.order_id = o.id AND d.kind = 'submit') ORDER BY o.id LIMIT ?",
        partner,
        since_at,
        ORDERS_MAX + 1,
    )
    if len(rows) > ORDERS_MAX:
        raise Rejected("over_limit", lines_max=ORDERS_MAX)
    if not rows and not await reader.fetch("SELECT 1 FROM partner_records WHERE id = ?", partner):
        raise Rejected("unknown_partner", partner=partner)
    bills = await reader.fetch(
        "SELECT order_id, sum(net_minor + tax_minor) FROM invoices WHERE partner = ? AND state <> 'rejected'"
        " GROUP BY order_id",
        partner,
    )
    invoiced = {order: int(amount) for order, amount in bills}
    lines: defaultdict[int, list[OurLine]] = defaultdict(list)
    states: dict[int, str] = {}
    for order, state, line, *figures in rows:
        states[order] = state
        lines[order].append(OurLine(int(line.rpartition("-")[2]), *figures))
    return [
        OurOrder(order, state, invoiced.get(order, 0), sorted(lines[order], key=lambda one: one.line_no))
        for order, state in states.items()
    ]


def with_statement(partner: str, ours: Sequence[OurOrder], data: bytes, language: str) -> Reconciliation:
    """Ours beside a statement. Raises FileRefused."""
    currencies = {one.id: one.lines[0].currency for one in ours}
    theirs, problems = read_statement(data, language, currencies)
    unread = {one.fields.get("order") for one in problems}
    found = [one for one in differences(ours, theirs) if one.order not in unread]
    return Reconciliation(partner, "statement", len(ours), len(theirs), found, problems)


async def with_read_back(
    partner: str,
    ours: Sequence[OurOrder],
    adapter: Adapter,
    progress: Progress = lambda what, done, of: None,
) -> Reconciliation:
    """Ours beside what the partner answers when it is asked, order by order. It can't tell of orders that we do not
    have. Raises Rejected(not_polled, over_limit)."""
    if not adapter.capabilities.poll_s:
        raise Rejected("not_polled", partner=partner)
    if len(ours) > READ_BACK_MAX:
        raise Rejected("over_limit", orders_max=READ_BACK_MAX)
    theirs: dict[int, TheirOrder] = {}
    for done, order in enumerate(ours):
        progress("orders", done, len(ours))
        answer = await adapter.fetch_status(order.id)
        if answer.outcome == "done" and answer.report is not None:
            theirs[order.id] = _of_report(answer.report, len(order.lines))
        elif answer.outcome != "absent":
            theirs[order.id] = TheirOrder(order.id, silent=answer.text or answer.outcome)
    return Reconciliation(partner, "read_back", len(ours), len(theirs), list(differences(ours, theirs)))


def _of_report(report: PartnerReport, lines: int) -> TheirOrder:
    """What a report says of an order; of one line, as a whole."""
    planted: defaultdict[int, int] = defaultdict(int)
    for batch in report.batches:
        planted[batch.line_no] += batch.quantity
    their = TheirOrder(report.order, report.state)
    if lines == 1 and not report.lines:
        their.lines[1] = TheirLine(report.accepted, planted[1], report.unit_price_minor, report.currency)
    for said in report.lines:
        line = TheirLine(said.accepted, planted[said.line_no], said.unit_price_minor, said.currency)
        their.lines[said.line_no] = line
    return their
