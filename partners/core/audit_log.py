"""The audit log: what it keeps of each decision, and the chain of hashes that makes every later change visible.

Lines are made from a decision's events and stored with them. Their places in the chain are given afterwards, by
`SealAudit`, in the order in which they are found committed: writers never wait for each other to append (ADR 0091).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.numbers import order_number
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import SealAudit
from partners.core.after_evolve import CHAIN
from partners.core.after_rows import AuditEvent
from partners.core.api_events import API_TELLERS
from partners.core.context import Context
from partners.core.model import PartnerState
from partners.core.records.noted import RECORD_TELLERS

START = "0" * 64
"""What the first line of the chain has before it."""

Told = tuple[str, str, str, str, str]
"""(entity, what, was, became, reason)."""


def noted(state: PartnerState, command: Any, events: Sequence[object], context: Context) -> list[AuditEvent]:
    """The lines of a decision, from the rows as they were before it."""
    states: dict[int, str] = {}
    told = [
        line for event in events if (tell := _TELLERS.get(type(event))) for line in tell(state, event, states)
    ]
    if not told:
        return []
    actor, number = _actor(command), context.new_id()
    return [
        AuditEvent(f"{number}-{place:03d}", context.now, actor, *line, place=None, previous="", hash="")
        for place, line in enumerate(told)
    ]


def seal_audit(state: PartnerState, command: SealAudit, context: Context) -> Decision:
    """Give lines their places at the end of the chain. Raises `unavailable` where the chain has no head."""
    head = state.chain_heads.get(CHAIN)
    if head is None:
        raise Rejected("unavailable", chain=CHAIN)
    place, previous = head.place, head.hash
    links: list[tuple[str, int, str, str]] = []
    for name in dict.fromkeys(command.events):
        line = state.audit_events.get(name)
        if line is None or line.place is not None:
            continue
        place += 1
        own = link(place, previous, line)
        links.append((name, place, previous, own))
        previous = own
    return Decision([a.AuditSealed(links)] if links else [], {"sealed": len(links)})


def link(place: int, previous: str, line: AuditEvent) -> str:
    """The hash of a line in its place: over everything in it and the hash before it."""
    body = [
        place,
        previous,
        line.id,
        line.at,
        line.actor,
        line.entity,
        line.what,
        line.was,
        line.became,
        line.reason,
    ]
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _actor(command: Any) -> str:
    for name in ("operator", "reviewer", "by", "relay"):
        if value := getattr(command, name, ""):
            return str(value)
    partner, report = getattr(command, "partner", ""), getattr(command, "report", None)
    person = f"/{report.by}" if report is not None and report.by else ""
    return f"partner:{partner}{person}" if partner else "engine"


# --- what is told of each event -------------------------------------------------------------------


def _order(number: int) -> str:
    return f"order {order_number(number)}"


def _was(state: PartnerState, states: dict[int, str], number: int) -> str:
    if number in states:
        return states[number]
    row = state.partner_orders.get(number) if number in state.partner_orders else None
    return row.state if row is not None else ""


def _submitted(state: PartnerState, event: e.OrderSubmitted, states: dict[int, str]) -> list[Told]:
    was = _was(state, states, event.order.id)
    states[event.order.id] = event.order.state
    trees = sum(line.ordered for line in event.lines)
    told = f"{event.order.partner}: {trees} trees"
    if event.order.kind != "standard":
        told = f"{told}, {event.order.kind}"
    return [(_order(event.order.id), "state", was, event.order.state, told)]


def _drafted(state: PartnerState, event: e.OrderDrafted, states: dict[int, str]) -> list[Told]:
    was, trees = _was(state, states, event.order.id), sum(line.ordered for line in event.lines)
    states[event.order.id] = event.order.state
    told = f"{event.order.partner}: {trees} trees"
    return [(_order(event.order.id), "state" if not was else "trees", was, event.order.state, told)]


def _cancel_asked(state: PartnerState, event: e.CancelAsked, states: dict[int, str]) -> list[Told]:
    return [(_order(event.order), "cancel", "", f"asked by {event.by}", event.reason)]


def _moved(state: PartnerState, event: e.OrderMoved, states: dict[int, str]) -> list[Told]:
    was = _was(state, states, event.order)
    states[event.order] = event.state
    return [(_order(event.order), "state", was, event.state, event.reason)] if was != event.state else []


def _held(state: PartnerState, event: e.OrderHeld, states: dict[int, str]) -> list[Told]:
    return [(_order(event.order), "hold", "", "held", event.reason)]


def _resumed(state: PartnerState, event: e.OrderResumed, states: dict[int, str]) -> list[Told]:
    return [(_order(event.order), "hold", "held", "", "")]


def _accepted(state: PartnerState, event: e.LineAccepted, states: dict[int, str]) -> list[Told]:
    return [(f"line {event.line}", "accepted", "0", str(event.accepted), "")]


def _released(state: PartnerState, event: e.UnitsReleased, states: dict[int, str]) -> list[Told]:
    if event.order is None:
        return []
    return [(_order(event.order), "trees", "", f"-{len(event.units)}", event.note)]


def _reported(state: PartnerState, event: e.BatchReported, states: dict[int, str]) -> list[Told]:
    batch = event.batch
    return [(f"batch {batch.id}", "reported", "0", str(batch.reported), ",".join(batch.findings))]


def _reviewed(state: PartnerState, event: a.BatchReviewed, states: dict[int, str]) -> list[Told]:
    known = state.standings.get(event.standing.id) if event.standing.id in state.standings else None
    was, review = known.state if known is not None else "", event.review
    reason = f"level {review.level}: {review.verdict} {review.trees} {','.join(review.reasons)} {review.note}"
    return [(f"batch {review.batch_id}", "review", was, event.standing.state, reason.strip())]


def _verified(state: PartnerState, event: a.BatchVerified, states: dict[int, str]) -> list[Told]:
    return [(f"batch {event.batch}", "verified", "0", str(event.trees), "")]


def _claims_made(state: PartnerState, event: a.ClaimsMade, states: dict[int, str]) -> list[Told]:
    return [(f"batch {event.batch}", "claims", "", f"+{len(event.units)}", "")]


def _claims_ended(state: PartnerState, event: a.ClaimsEnded, states: dict[int, str]) -> list[Told]:
    return [(f"batch {event.batch}", "claims", "", f"-{len(event.units)}", event.status)]


def _audited(state: PartnerState, event: a.AuditDone, states: dict[int, str]) -> list[Told]:
    audit = event.audit
    said = f"{audit.figure} {audit.rate_bp} bp of {audit.n} by {audit.surveyor} {audit.why}"
    return [(f"audit {audit.id}", "verdict", "planned", audit.verdict, said.strip())]


def _replaced(state: PartnerState, event: a.ReplacementOrdered, states: dict[int, str]) -> list[Told]:
    row = event.replacement
    return [(f"batch {row.batch_id}", "replacement", "", order_number(row.id), f"{row.trees} trees")]


def _closing(state: PartnerState, event: a.ClosingProposed, states: dict[int, str]) -> list[Told]:
    return [(_order(event.closing.id), "closing", "", "proposed", event.closing.note)]


def _closed(state: PartnerState, event: a.ClosingApproved, states: dict[int, str]) -> list[Told]:
    return [(_order(event.order), "closing", "proposed", "approved", event.by)]


def _written_down(state: PartnerState, event: a.TreesWrittenDown, states: dict[int, str]) -> list[Told]:
    row = event.write_down
    return [(f"batch {row.id}", "write_down", "", f"-{row.trees}", row.note)]


def _disputed(state: PartnerState, event: a.DisputeMoved, states: dict[int, str]) -> list[Told]:
    row = event.dispute
    was = {"open": "", "answered": "open"}.get(row.state, "answered" if row.answered_at else "open")
    return [(f"dispute {row.id}", "state", was, row.state, row.note or row.answer or row.reason)]


def _disturbed(state: PartnerState, event: a.DisturbanceReported, states: dict[int, str]) -> list[Told]:
    row = event.disturbance
    return [(_order(row.order_id), "disturbance", "", row.kind, f"{row.area_m2} m2 on {row.happened_on}")]


def _money(state: PartnerState, event: a.MoneyMoved, states: dict[int, str]) -> list[Told]:
    return [
        (
            f"fund {entry.order_id}/{entry.commitment_id}",
            entry.kind,
            entry.credit,
            entry.debit,
            _amount(entry),
        )
        for entry in event.entries
    ]


def _amount(entry: Any) -> str:
    return f"{entry.amount_minor} {entry.currency} minor: {entry.reason}"


def _due(state: PartnerState, event: a.MilestoneReached, states: dict[int, str]) -> list[Told]:
    due = event.due
    return [(f"milestone {due.id}", "due", "", "due", f"{due.amount_minor} {due.currency} minor")]


def _billed(state: PartnerState, event: a.InvoiceRecorded, states: dict[int, str]) -> list[Told]:
    return [(f"invoice {event.invoice.id}", "state", "", "received", event.invoice.milestone)]


def _settled(state: PartnerState, event: a.InvoiceSettled, states: dict[int, str]) -> list[Told]:
    return [(f"invoice {event.invoice}", "state", "received", event.state, event.by)]


_TELLERS: Mapping[type, Callable[[PartnerState, Any, dict[int, str]], list[Told]]] = {
    e.OrderDrafted: _drafted,
    e.OrderSubmitted: _submitted,
    e.CancelAsked: _cancel_asked,
    e.OrderMoved: _moved,
    e.OrderHeld: _held,
    e.OrderResumed: _resumed,
    e.LineAccepted: _accepted,
    e.UnitsReleased: _released,
    e.BatchReported: _reported,
    a.BatchReviewed: _reviewed,
    a.BatchVerified: _verified,
    a.ClaimsMade: _claims_made,
    a.ClaimsEnded: _claims_ended,
    a.AuditDone: _audited,
    a.ReplacementOrdered: _replaced,
    a.ClosingProposed: _closing,
    a.ClosingApproved: _closed,
    a.TreesWrittenDown: _written_down,
    a.DisputeMoved: _disputed,
    a.DisturbanceReported: _disturbed,
    a.MoneyMoved: _money,
    a.MilestoneReached: _due,
    a.InvoiceRecorded: _billed,
    a.InvoiceSettled: _settled,
    **RECORD_TELLERS,
    **API_TELLERS,
}
