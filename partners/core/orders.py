"""The life of a planting order: what a partner's message, a timer or an operator does to it. What a message means is
in `reports`; what has gone out began in `drafts`. Nothing here verifies a tree.
"""

from __future__ import annotations

from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.after_events import FixesDeferred
from partners.core.allocate import give_back
from partners.core.commands import (
    CancelOrder,
    FollowUpOrder,
    HoldOrder,
    RecheckOrder,
    RecordReport,
    ResumeOrder,
)
from partners.core.context import Context
from partners.core.deliveries import delivery_id, queue, withdraw
from partners.core.drafts import follow_draft
from partners.core.guards import is_standing_hold, order_terms, stop_of
from partners.core.model import (
    ENDED_STATES,
    WATCHED_STATES,
    PartnerState,
    PartnerTerms,
    PlantingOrder,
    lines_of,
    units_of,
)
from partners.core.reports import report_events

HELD_BY_DISPUTE = "dispute"


def record_report(state: PartnerState, command: RecordReport, context: Context) -> Decision:
    """Take in a partner's message once. The same message again changes nothing.

    Raises `unknown_order`, `message_reused` (same id, other bytes), `order_held`, `order_ended`,
    `bad_request`.
    """
    order = the_order(state, command.report.order)
    if order.partner != command.partner or order.state == "draft":
        raise Rejected("unknown_order", order=command.report.order)
    seen = state.inbox.get((command.partner, command.message))
    if seen is not None:
        if seen.digest != command.digest:
            raise Rejected("message_reused", message=command.message)
        return Decision([], {"status": "duplicate", "state": order.state})
    received = e.MessageReceived(command.partner, command.message, command.digest, order.id, context.now)
    said = report_events(state, order, command.report, context)
    return Decision([received, *said], {"status": "recorded", "state": _state_after(order, said)})


def follow_up(state: PartnerState, command: FollowUpOrder, context: Context) -> Decision:
    """Poll, remind, escalate or expire, each computed from now; early or repeated calls change nothing.

    While the partner may not be asked, the order is held instead, from when that began.
    """
    order = the_order(state, command.order)
    if order.due_at is None or order.held or context.now < order.due_at:
        return Decision([], {"state": order.state})
    held = stopped(state, order, context)
    if held is not None:
        return held
    if order.state == "draft":
        made, moved_to = follow_draft(state, order, context, give_back)
        return Decision(made, {"state": moved_to})
    if order.state == "submitted" and context.now >= order.expires_at:
        return Decision(_expired(state, order, context), {"state": "expired"})
    terms = order_terms(state, order, context)
    reminders, escalated_at = _raised(order, terms, context.now)
    if escalated_at is None and _fix_overdue(state, order, context.now):
        escalated_at = context.now
    note = "reminded" if reminders > order.reminders else ""
    if escalated_at != order.escalated_at:
        note = "escalated"
    due_at = _next_due(order, terms, context.now)
    events: list[object] = [e.OrderFollowedUp(order.id, reminders, escalated_at, due_at, note, context.now)]
    for kind in ("read", "remind") if reminders > order.reminders else ("read",):
        if _free(state, kind, order):
            payload: dict[str, Any] = {"order": order.id}
            events.append(e.DeliveryQueued(queue(kind, order, terms.resendable, context.now, payload)))
    return Decision(events, {"state": order.state})


def cancel_order(state: PartnerState, command: CancelOrder, context: Context) -> Decision:
    """Withdraw an order of which nothing is reported; an accepted one only when both sides agree.

    Raises `unknown_order`, `order_ended`, `already_reported`.
    """
    order = the_order(state, command.order)
    lines = lines_of(state, order)
    if order.state in (*WATCHED_STATES, *ENDED_STATES):
        raise Rejected("order_ended", order=order.id, state=order.state)
    reported = sum(line.reported for line in lines)
    if reported or order.state not in ("draft", "submitted", "accepted"):
        raise Rejected("already_reported", order=order.id, reported=reported)
    partner_asks = order.cancel_asked_by == "partner" or order.held == "partner_asks_to_cancel"
    if order.state == "accepted" and not partner_asks and not command.consent:
        if order.cancel_asked_by:
            return Decision([], {"state": order.state, "asked": order.cancel_asked_by})
        asked = e.CancelAsked(order.id, "operator", command.reason, context.now)
        terms = order_terms(state, order, context)
        payload = {"order": order.id, "reason": command.reason, "consent": True}
        request = queue("cancel", order, terms.resendable, context.now, payload)
        return Decision([asked, e.DeliveryQueued(request)], {"state": order.state, "asked": "operator"})
    reason = f"{command.reason} ({command.consent})" if command.consent else command.reason
    events: list[object] = [e.OrderMoved(order.id, "cancelled", reason, None, context.now)]
    events += give_back(
        units_of(lines), state, order.partner, order.season, order.id, "cancelled", context, declined=False
    )
    if order.state != "draft":
        events += withdraw(state, order, command.reason, context)
    return Decision(events, {"state": "cancelled"})


def hold_order(state: PartnerState, command: HoldOrder, context: Context) -> Decision:
    """Stop an open order. Raises `unknown_order`, `order_ended`."""
    order = the_order(state, command.order)
    if order.state in ENDED_STATES:
        raise Rejected("order_ended", order=order.id, state=order.state)
    if order.held:
        return Decision([], {"state": order.state, "held": order.held})
    return Decision(
        [e.OrderHeld(order.id, command.reason, context.now)], {"state": order.state, "held": command.reason}
    )


def resume_order(state: PartnerState, command: ResumeOrder, context: Context) -> Decision:
    """Let a held order go on, its deadlines moved by the time of the hold.

    Raises `unknown_order`, `partner_blocked` (the partner may not be asked now), `order_held` (a dispute waits for
    its decision).
    """
    order = the_order(state, command.order)
    stop = stop_of(state, order, context)
    if order.held and stop is not None:
        raise Rejected("partner_blocked", partner=order.partner, reason=stop[0])
    if has_open_dispute(state, order):
        raise Rejected("order_held", order=order.id, reason=HELD_BY_DISPUTE)
    return Decision(resumed(state, order, context), {"state": order.state})


def resumed(state: PartnerState, order: PlantingOrder, context: Context) -> list[object]:
    """What the end of a hold changes; nothing where there is none. While the partner may not be asked, the hold goes
    on for that reason."""
    if not order.held or order.held_at is None:
        return []
    stop = stop_of(state, order, context)
    if stop is not None:
        return [] if stop[0] == order.held else [e.OrderHeld(order.id, stop[0], order.held_at)]
    moved_ms = context.now - order.held_at
    asked = [
        name
        for line in lines_of(state, order)
        for name in line.batches
        if (standing := state.standings.get(name)) is not None and standing.fix_by_at is not None
    ]
    events: list[object] = [e.OrderResumed(order.id, order.expires_at + moved_ms, context.now, context.now)]
    return [*events, FixesDeferred(tuple(asked), moved_ms)] if asked else events


def recheck_order(state: PartnerState, command: RecheckOrder, context: Context) -> Decision:
    """Hold an order that has not ended while its partner may not be asked; let it go on, deadlines moved, when it may
    again.

    A hold for another reason stays as it is. Raises `unknown_order`.
    """
    order = the_order(state, command.order)
    stop = stop_of(state, order, context)
    if order.state in ENDED_STATES or (order.held and not is_standing_hold(order.held)):
        return Decision([], {"state": order.state, "held": order.held})
    if stop is not None:
        if stop[0] == order.held:
            return Decision([], {"state": order.state, "held": order.held})
        return _stopped(state, order, stop, context)
    if not order.held or order.held_at is None:
        return Decision([], {"state": order.state, "held": ""})
    if has_open_dispute(state, order):  # raised meanwhile: the hold goes on, for another reason
        held = e.OrderHeld(order.id, HELD_BY_DISPUTE, order.held_at)
        return Decision([held], {"state": order.state, "held": HELD_BY_DISPUTE})
    return Decision(resumed(state, order, context), {"state": order.state, "held": ""})


def has_open_dispute(state: PartnerState, order: PlantingOrder) -> bool:
    """Whether somebody still waits for a decision."""
    return any(one.state != "decided" for one in state.disputes.where("order_id", order.id))


def stopped(state: PartnerState, order: PlantingOrder, context: Context) -> Decision | None:
    """What becomes of an order whose partner may not be asked now; None where it may."""
    stop = stop_of(state, order, context)
    return _stopped(state, order, stop, context) if stop is not None else None


def _stopped(state: PartnerState, order: PlantingOrder, stop: tuple[str, int], context: Context) -> Decision:
    """Timers stand still from when the partner could not be asked any more, however late that is noticed.

    A draft has not gone out, so its trees need not wait for this partner: its places are free again.
    """
    reason, since_at = stop
    if order.state == "draft":
        units = units_of(lines_of(state, order))
        gone = e.OrderMoved(order.id, "cancelled", reason, None, context.now)
        back = give_back(units, state, order.partner, order.season, order.id, reason, context, declined=False)
        return Decision([gone, *back], {"state": "cancelled", "held": ""})
    began_at = order.held_at if order.held and order.held_at is not None else since_at
    held_at = min(context.now, max(began_at, order.submitted_at))
    return Decision([e.OrderHeld(order.id, reason, held_at)], {"state": order.state, "held": reason})


def the_order(state: PartnerState, number: int) -> PlantingOrder:
    """The order, or `Rejected(unknown_order)`."""
    order = state.partner_orders.get(number)
    if order is None:
        raise Rejected("unknown_order", order=number)
    return order


def _state_after(order: PlantingOrder, events: list[object]) -> str:
    moves = [event.state for event in events if isinstance(event, e.OrderMoved)]
    return moves[-1] if moves else order.state


# --- timers ---------------------------------------------------------------------------------------


def _raised(order: PlantingOrder, terms: PartnerTerms, now: int) -> tuple[int, int | None]:
    """(reminders that are due by now, when it was escalated)."""
    if order.state == "submitted":
        waited_ms = now - (order.expires_at - terms.expire_ms)
        reminders = sum(waited_ms >= after_ms for after_ms in terms.reminders_ms)
        is_late = waited_ms >= terms.escalate_ms
    else:
        reminders, is_late = order.reminders, now >= order.season_closes_at + terms.report_overdue_ms
    return max(reminders, order.reminders), order.escalated_at or (now if is_late else None)


def _fix_overdue(state: PartnerState, order: PlantingOrder, now: int) -> bool:
    """Whether what a reviewer asked for is not answered in time."""
    names = [name for line in order.lines for name in state.order_lines[line].batches]
    asked = [standing.fix_by_at for name in names if (standing := state.standings.get(name)) is not None]
    return order.state == "needs_info" and any(at is not None and at <= now for at in asked)


def _next_due(order: PlantingOrder, terms: PartnerTerms, now: int) -> int:
    due = [now + terms.poll_ms]
    if order.state == "submitted":
        began_at = order.expires_at - terms.expire_ms
        marks = (*terms.reminders_ms, terms.escalate_ms, terms.expire_ms)
        due += [began_at + after_ms for after_ms in marks if began_at + after_ms > now]
    return min(due)


def _expired(state: PartnerState, order: PlantingOrder, context: Context) -> list[object]:
    units = units_of(lines_of(state, order))
    return [
        e.OrderMoved(order.id, "expired", "no answer in time", None, context.now),
        *give_back(units, state, order.partner, order.season, order.id, "no_answer", context),
        *withdraw(state, order, "no answer in time", context),
    ]


def _free(state: PartnerState, kind: str, order: PlantingOrder) -> bool:
    """Nothing is asked of the partner before it surely has the order, nor twice at once."""
    submit = state.deliveries.get(delivery_id("submit", order.id))
    row = state.deliveries.get(delivery_id(kind, order.id))
    return submit is not None and submit.state == "done" and (row is None or row.state == "done")
