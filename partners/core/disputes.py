"""Disputes hold an order until they are decided; disturbances explain what is found later, and may hold it too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import DAY_MS, local_day
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import AnswerDispute, DecideDispute, OpenDispute, ReportDisturbance
from partners.core.after_rows import Dispute, Disturbance
from partners.core.context import Context
from partners.core.guards import after_of
from partners.core.model import ENDED_STATES, PartnerState, PlantingOrder
from partners.core.orders import HELD_BY_DISPUTE, resumed, the_order

HELD_BY_FORCE = "force_majeure"
OUTCOMES = ("upheld", "dismissed", "settled")
KINDS = (
    "fire",
    "flood",
    "drought",
    "frost",
    "storm",
    "sand",
    "pest",
    "disease",
    "grazing",
    "felling",
    "other",
)
SATURDAY = 5


def open_dispute(state: PartnerState, command: OpenDispute, context: Context) -> Decision:
    """The order is held from now on. Raises `unknown_order`, `order_ended`."""
    order = _open_order(state, command.order)
    terms, now = after_of(state, order, context), context.now
    dispute = Dispute(
        id=context.new_id(),
        order_id=order.id,
        state="open",
        opened_by=command.by,
        reason=command.reason,
        opened_at=now,
        answer_by_at=after_workdays(now, terms.dispute_answer_workdays),
        decide_by_at=now + terms.dispute_decide_ms,
        answered_by="",
        answer="",
        answered_at=None,
        decided_by="",
        outcome="",
        note="",
        decided_at=None,
    )
    events: list[object] = [a.DisputeMoved(dispute)]
    if not order.held:
        events.append(e.OrderHeld(order.id, HELD_BY_DISPUTE, now))
    return Decision(events, {"dispute": str(dispute.id), "answer_by_at": dispute.answer_by_at})


def answer_dispute(state: PartnerState, command: AnswerDispute, context: Context) -> Decision:
    """The first answer; a later one is refused. Raises `unknown_dispute`, `dispute_decided`."""
    dispute = _the_dispute(state, command.dispute)
    if dispute.state != "open":
        raise Rejected("dispute_decided", dispute=dispute.id, state=dispute.state)
    fields = {"answered_by": command.by, "answer": command.answer, "answered_at": context.now}
    return Decision([a.DisputeMoved(replace(dispute, state="answered", **fields))], {"state": "answered"})


def decide_dispute(state: PartnerState, command: DecideDispute, context: Context) -> Decision:
    """The end of a dispute; with the last one the order goes on. Raises `unknown_dispute`, `dispute_decided`."""
    dispute = _the_dispute(state, command.dispute)
    if dispute.state == "decided":
        raise Rejected("dispute_decided", dispute=dispute.id, state=dispute.state)
    if command.outcome not in OUTCOMES:
        raise Rejected("bad_request", outcome=command.outcome, expected=OUTCOMES)
    if command.by == dispute.opened_by:
        raise Rejected("own_proposal", operator=command.by)
    fields = {"decided_by": command.by, "outcome": command.outcome, "note": command.note}
    decided = replace(dispute, state="decided", decided_at=context.now, **fields)
    events: list[object] = [a.DisputeMoved(decided)]
    order = state.partner_orders[dispute.order_id]
    others = [
        one
        for one in state.disputes.where("order_id", order.id)
        if one.id != dispute.id and one.state != "decided"
    ]
    if order.held == HELD_BY_DISPUTE and not others:
        events += resumed(state, order, context)
    return Decision(events, {"state": "decided", "outcome": command.outcome})


def report_disturbance(state: PartnerState, command: ReportDisturbance, context: Context) -> Decision:
    """Put down what befell a site. Raises `unknown_order`, `unknown_batch`, `order_ended`, `bad_request`."""
    order = _open_order(state, command.order)
    names = [name for line in order.lines for name in state.order_lines[line].batches]
    if command.batch and command.batch not in names:
        raise Rejected("unknown_batch", batch=command.batch)
    if command.kind not in KINDS or command.area_m2 < 0:
        raise Rejected("bad_request", kind=command.kind, expected=KINDS, area_m2="not below 0")
    happened_on, today = _day(command.happened_on), local_day(context.now, "UTC")
    if happened_on > local_day(context.now + DAY_MS, "UTC"):
        raise Rejected("bad_request", field="happened_on", expected="not in the future")
    late_after = happened_on + timedelta(days=after_of(state, order, context).disturbance_report_d)
    disturbance = Disturbance(
        id=context.new_id(),
        order_id=order.id,
        batch_id=command.batch,
        kind=command.kind,
        area_m2=command.area_m2,
        happened_on=command.happened_on,
        reported_by=command.by,
        reported_at=context.now,
        is_late=today > late_after,
        is_holding=command.hold,
        note=command.note,
    )
    events: list[object] = [a.DisturbanceReported(disturbance)]
    if command.hold and not order.held:
        events.append(e.OrderHeld(order.id, HELD_BY_FORCE, context.now))
    return Decision(events, {"disturbance": str(disturbance.id), "is_late": disturbance.is_late})


def after_workdays(at: int, days: int) -> int:
    """The same time of day, so many days from Monday to Friday later (UTC; feast days are not known)."""
    return _workdays(at, days, 1)


def before_workdays(at: int, days: int) -> int:
    """The same time of day, so many days from Monday to Friday earlier."""
    return _workdays(at, days, -1)


def _workdays(at: int, days: int, step: int) -> int:
    on, left = local_day(at, "UTC"), days
    first = on
    while left:
        on += timedelta(days=step)
        left -= on.weekday() < SATURDAY
    return at + (on - first).days * DAY_MS


def _open_order(state: PartnerState, number: int) -> PlantingOrder:
    order = the_order(state, number)
    if order.state in ENDED_STATES:
        raise Rejected("order_ended", order=order.id, state=order.state)
    return order


def _the_dispute(state: PartnerState, number: int) -> Dispute:
    dispute = state.disputes.get(number)
    if dispute is None:
        raise Rejected("unknown_dispute", dispute=number)
    return dispute


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Rejected("bad_request", field="happened_on", expected="a day, 2027-09-15") from None
