"""The outbox: what leaves the database is claimed for a term, tried, and settled.

A thing that the receiver would do twice is sent once. If it is not known whether the send had its effect,
it is read back until it is found; what is never found waits for a person. Only they can have it sent anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.commands import ClaimDeliveries, ResolveDelivery, SettleDelivery
from partners.core.context import Context
from partners.core.guards import order_terms
from partners.core.model import Delivery, PartnerReport, PartnerState, PartnerTerms, PlantingOrder

ANSWER_CHARACTERS_MAX = 500
KINDS = ("submit", "cancel", "read", "remind")

ReportEvents = Callable[[PartnerState, PlantingOrder, PartnerReport, Context], list[object]]


def delivery_id(kind: str, order: int) -> str:
    """The one outbox row of this kind for an order."""
    return f"{kind}:{order}"


def delivery_key(row: Delivery) -> str:
    """What the receiver knows a delivery by: the same whenever it is sent, another when the row starts over."""
    return f"{row.id}:{row.created_at}"


def queue(kind: str, order: PlantingOrder, resendable: bool, now: int, payload: dict[str, Any]) -> Delivery:
    """A delivery to the order's partner, due now. Reading may always be repeated."""
    return Delivery(
        id=delivery_id(kind, order.id),
        destination=order.partner,
        kind=kind,
        order_id=order.id,
        state="waiting",
        resendable=resendable or kind == "read",
        attempts=0,
        next_at=now,
        lease_until_at=None,
        claimed_by="",
        answer="",
        created_at=now,
        payload=payload,
    )


def claim_deliveries(state: PartnerState, command: ClaimDeliveries, context: Context) -> Decision:
    """Give a relay those of the named deliveries that are due and free."""
    events: list[object] = []
    claimed: list[dict[str, object]] = []
    for name in dict.fromkeys(command.deliveries):
        row = state.deliveries.get(name)
        doing = _doing(row, context.now) if row is not None else None
        if row is None or doing is None:
            continue
        events.append(e.DeliveryClaimed(name, command.relay, doing, context.now + command.lease_ms))
        claimed.append(
            {
                "id": name,
                "destination": row.destination,
                "kind": row.kind,
                "order": row.order_id,
                "key": delivery_key(row),
                "mode": "send" if doing == "sending" else "read",
                "attempt": row.attempts + 1,
                "payload": row.payload,
            }
        )
    return Decision(events, {"claimed": claimed})


def settle_delivery(
    state: PartnerState, command: SettleDelivery, context: Context, report_events: ReportEvents
) -> Decision:
    """Book the end of an attempt, with what the partner said in its answer.

    Raises `unknown_delivery`, `lease_lost` (another relay has it, or it was settled already).
    """
    row = state.deliveries.get(command.delivery)
    if row is None:
        raise Rejected("unknown_delivery", delivery=command.delivery)
    if row.state not in ("sending", "reading") or row.claimed_by != command.relay:
        raise Rejected("lease_lost", delivery=command.delivery)
    order = state.partner_orders[row.order_id]
    terms = order_terms(state, order, context)
    if command.outcome == "done":
        return _done(state, row, order, command, context, report_events)
    if command.outcome == "failed":
        events = _again(row, order, terms, command, context, row.state == "reading")
    elif command.outcome == "unknown":
        events = _again(row, order, terms, command, context, not row.resendable)
    elif command.outcome == "absent":
        events = _absent(row, order, terms, command, context)
    elif command.outcome == "refused":
        events = _refused(row, order, command, context)
    else:
        raise Rejected("bad_request", outcome=command.outcome)
    return Decision(events, {"state": _settled_state(events)})


def resolve_delivery(state: PartnerState, command: ResolveDelivery, context: Context) -> Decision:
    """A person says whether a stuck delivery had its effect; its order goes on.

    Raises `unknown_delivery`, `not_stuck`.
    """
    row = state.deliveries.get(command.delivery)
    if row is None:
        raise Rejected("unknown_delivery", delivery=command.delivery)
    if row.state != "stuck":
        raise Rejected("not_stuck", state=row.state)
    answer = f"{'arrived' if command.arrived else 'never arrived'}, says {command.operator}"
    settled = e.DeliverySettled(
        row.id,
        "done" if command.arrived else "waiting",
        answer[:ANSWER_CHARACTERS_MAX],
        None if command.arrived else context.now,
        0,
    )
    order = state.partner_orders[row.order_id]
    return Decision([settled, *_resumed(order, context)], {"state": settled.state})


def _doing(row: Delivery, now: int) -> str | None:
    """What a claim would do now: sending, reading, or None if the row is not to be had."""
    if row.state in ("waiting", "unknown") and row.next_at is not None and row.next_at <= now:
        return "sending" if row.state == "waiting" else "reading"
    if row.state in ("sending", "reading") and row.lease_until_at is not None and row.lease_until_at <= now:
        # The relay that had it died: what it sent may have arrived.
        return "sending" if row.state == "sending" and row.resendable else "reading"
    return None


def _done(
    state: PartnerState,
    row: Delivery,
    order: PlantingOrder,
    command: SettleDelivery,
    context: Context,
    report_events: ReportEvents,
) -> Decision:
    answer, said = command.answer, []
    if command.report is not None:
        try:
            said = report_events(state, order, command.report, context)
        except Rejected as refusal:
            # The delivery is over all the same; why its answer moves nothing stays readable.
            answer = f"{refusal.code}; {answer}"
    settled = e.DeliverySettled(row.id, "done", answer[:ANSWER_CHARACTERS_MAX], None, row.attempts)
    if row.kind == "submit" and order.state in ("cancelled", "expired"):
        # It was withdrawn while the request was on its way, so only now is there something to cancel.
        said = [e.DeliveryQueued(queue("cancel", order, row.resendable, context.now, {"order": order.id}))]
    return Decision([settled, *said], {"state": "done"})


def withdraw(state: PartnerState, order: PlantingOrder, reason: str, context: Context) -> list[object]:
    """Take an order back from its partner: drop it if it surely never left, else cancel it there."""
    row = state.deliveries.get(delivery_id("submit", order.id))
    if row is None or row.state in ("sending", "reading"):
        return []  # on its way; cancelled when the attempt is settled
    never_left = row.state == "waiting" and (row.attempts == 0 or not row.resendable)
    events: list[object] = []
    if row.state != "done":
        events.append(e.DeliverySettled(row.id, "done", f"withdrawn: {reason}", None, row.attempts))
    if not never_left:
        payload = {"order": order.id, "reason": reason}
        events.append(e.DeliveryQueued(queue("cancel", order, row.resendable, context.now, payload)))
    return events


def _again(
    row: Delivery,
    order: PlantingOrder,
    terms: PartnerTerms,
    command: SettleDelivery,
    context: Context,
    reading: bool,
) -> list[object]:
    if row.attempts > len(terms.retry_ms):
        return _stuck(row, order, command.answer, "undeliverable", context)
    was_reading = row.state == "reading"
    attempts = row.attempts if was_reading or not reading else 0
    wait_ms = max(command.retry_after_ms or 0, terms.retry_ms[max(attempts - 1, 0)])
    answer = command.answer[:ANSWER_CHARACTERS_MAX]
    state = "unknown" if reading else "waiting"
    return [e.DeliverySettled(row.id, state, answer, context.now + wait_ms, attempts)]


def _absent(
    row: Delivery, order: PlantingOrder, terms: PartnerTerms, command: SettleDelivery, context: Context
) -> list[object]:
    if row.kind in ("cancel", "remind"):
        return [e.DeliverySettled(row.id, "done", "the partner has no such order", None, row.attempts)]
    if row.attempts >= terms.reads_before_stuck:
        return _stuck(row, order, command.answer, "unknown_at_partner", context)
    return _again(row, order, terms, command, context, row.state == "reading")


def _refused(row: Delivery, order: PlantingOrder, command: SettleDelivery, context: Context) -> list[object]:
    if row.kind in ("cancel", "remind"):
        answer = f"refused: {command.answer}"[:ANSWER_CHARACTERS_MAX]
        return [e.DeliverySettled(row.id, "done", answer, None, row.attempts)]
    return _stuck(row, order, command.answer, "refused_by_partner", context)


def _stuck(row: Delivery, order: PlantingOrder, answer: str, reason: str, context: Context) -> list[object]:
    events: list[object] = [
        e.DeliverySettled(row.id, "stuck", answer[:ANSWER_CHARACTERS_MAX], None, row.attempts)
    ]
    if order.due_at is not None and not order.held:
        events.append(e.OrderHeld(order.id, reason, context.now))
    return events


def _resumed(order: PlantingOrder, context: Context) -> list[object]:
    if not order.held or order.held_at is None:
        return []
    moved_ms = context.now - order.held_at
    return [e.OrderResumed(order.id, order.expires_at + moved_ms, context.now, context.now)]


def _settled_state(events: list[object]) -> str:
    return next(event.state for event in events if isinstance(event, e.DeliverySettled))
