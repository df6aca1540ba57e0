"""The operator's queue: every order that waits for a person, why, since when, and whether that is late or escalated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.core.numbers import order_number
from engine.core.units import local_day, rfc3339
from engine.store.database import Reader
from partners.core.disputes import before_workdays
from partners.standard import standard_terms

ROWS_MAX = 500
WHY = ("held", "stuck", "dispute", "escalated", "review", "closing", "count", "answer", "invoice", "minimum")
"""Why an order waits for a person, the most pressing first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that waits. `detail` says more: why it is held, which delivery, which count."""

    order: int
    partner: str
    state: str
    why: str
    detail: str
    since_at: int | None
    is_late: bool
    is_escalated: bool


class _Look(NamedTuple):
    """A query of one kind: what it tells, since when, and when that is late. `{now}` and `{today}` are filled in."""

    why: str
    detail: str
    since: str
    late: str
    rest: str


_ESCALATED = "o.escalated_at >= o.fact_at"
"""Escalated, and nothing has moved the order since."""

_LOOKS = (
    _Look(
        "held", "o.held", "o.held_at", "0 = 1", "partner_orders o WHERE o.held <> '' AND o.held <> 'dispute'"
    ),
    _Look(
        "stuck",
        "d.id",
        "d.created_at",
        "0 = 0",
        "partner_orders o JOIN deliveries d ON d.order_id = o.id WHERE d.state = 'stuck'",
    ),
    _Look(
        "dispute",
        "p.state",
        "p.opened_at",
        "(p.state = 'open' AND p.answer_by_at < {now}) OR p.decide_by_at < {now}",
        "partner_orders o JOIN disputes p ON p.order_id = o.id WHERE p.state <> 'decided'",
    ),
    _Look(
        "escalated",
        "o.state",
        "o.escalated_at",
        "0 = 0",
        f"partner_orders o WHERE {_ESCALATED} AND o.held = '' AND o.due_at IS NOT NULL",
    ),
    _Look(
        "review",
        "o.state",
        "o.fact_at",
        "o.fact_at < {planted_before}",
        "partner_orders o WHERE o.state = 'planted' AND o.held = ''",
    ),
    _Look(
        "closing",
        "c.note",
        "c.proposed_at",
        "0 = 1",
        """partner_orders o JOIN closings c ON c.id = o.id WHERE c.state = 'proposed'
           AND o.state IN ('verified', 'monitoring', 'replanting')""",
    ),
    _Look(
        "count",
        "a.id",
        "NULL",
        "a.due_on < '{today}'",
        """partner_orders o JOIN audits a ON a.order_id = o.id WHERE a.state = 'planned'
           AND a.opens_on <= '{today}' AND o.state IN ('monitoring', 'replanting')""",
    ),
    _Look(
        "answer",
        "s.id",
        "s.fix_by_at",
        "s.fix_by_at < {now}",
        """partner_orders o JOIN standings s ON s.order_id = o.id
           WHERE s.state = 'needs_info' AND o.state = 'needs_info'""",
    ),
    _Look(
        "invoice",
        "i.id",
        "i.received_at",
        "i.due_on < '{today}'",
        "partner_orders o JOIN invoices i ON i.order_id = o.id WHERE i.state = 'received'",
    ),
    _Look(
        "minimum",
        "o.season",
        "o.submitted_at",
        "o.expires_at < {now}",
        "partner_orders o WHERE o.state = 'draft' AND o.held = ''",
    ),
)


async def queue(reader: Reader, now: int) -> list[Waiting]:
    """What waits at `now`: late things first, then by why and age."""
    marks = {
        "now": now,
        "today": local_day(now, "UTC").isoformat(),
        "planted_before": before_workdays(now, standard_terms().review_workdays),
    }
    found: list[Waiting] = []
    for look in _LOOKS:
        sql = (
            f"SELECT o.id, o.partner, o.state, {look.detail}, {look.since}, CASE WHEN {look.late} THEN 1 ELSE 0 END,"
            f" CASE WHEN {_ESCALATED} THEN 1 ELSE 0 END FROM {look.rest} ORDER BY o.id LIMIT {ROWS_MAX}"
        )
        found += [
            Waiting(order, partner, state, look.why, str(more), at, bool(is_late), bool(is_escalated))
            for order, partner, state, more, at, is_late, is_escalated in await reader.fetch(
                sql.format(**marks)
            )
        ]
    return sorted(found, key=lambda one: (not one.is_late, WHY.index(one.why), one.since_at or 0, one.order))


def queue_shown(found: Iterable[Waiting]) -> list[dict[str, Any]]:
    """The queue as it goes out: public numbers, instants as text."""
    return [
        {
            "number": order_number(one.order),
            "partner": one.partner,
            "state": one.state,
            "why": one.why,
            "detail": one.detail,
            "since_at": None if one.since_at is None else rfc3339(one.since_at),
            "late": one.is_late,
            "escalated": one.is_escalated,
        }
        for one in found
    ]
