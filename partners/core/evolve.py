"""Facts become rows. The only place where rows of the partners' domain change; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from partners.core import events as e
from partners.core import evidence_events
from partners.core.after_evolve import AFTER_EVOLVE
from partners.core.model import InboxMessage, PartnerState, TreeUnit


def evolve(state: PartnerState, event: Any) -> None:
    """Apply one fact to the working set."""
    EVOLVE[type(event)](state, event)


def _unit_pledged(state: PartnerState, event: e.UnitPledged) -> None:
    state.tree_units.add(
        event.unit,
        TreeUnit(
            id=event.unit,
            programme=event.programme,
            route=event.programme,
            state="pledged",
            waits_from_at=event.at,
            season="",
            order_id=None,
            batch_id=None,
            note="",
            fact_at=event.at,
        ),
    )


def _units_moved(state: PartnerState, event: e.UnitsMoved) -> None:
    for number in event.units:
        unit = state.tree_units.edit(number)
        unit.state, unit.note, unit.fact_at = event.state, event.note, event.at
        unit.order_id, unit.season = event.order, event.season
        unit.batch_id = event.batch or unit.batch_id


def _units_released(state: PartnerState, event: e.UnitsReleased) -> None:
    gone = set(event.units)
    for number in event.units:
        unit = state.tree_units.edit(number)
        if unit.batch_id is not None:
            batch = state.batches.edit(unit.batch_id)
            batch.units = [other for other in batch.units if other not in gone]
        unit.state, unit.note, unit.fact_at = "pledged", event.note, event.at
        unit.route, unit.waits_from_at, unit.season = event.route, event.waits_from_at, event.season
        unit.order_id, unit.batch_id = None, None
        if event.declined and event.declined not in unit.declined:
            unit.declined = [*unit.declined, event.declined]
    if event.order is not None:
        for name in state.partner_orders[event.order].lines:
            line = state.order_lines.edit(name)
            line.units = [number for number in line.units if number not in gone]


def _order_submitted(state: PartnerState, event: e.OrderSubmitted) -> None:
    state.partner_orders.add(event.order.id, event.order)
    for line in event.lines:
        state.order_lines.add(line.id, line)


def _order_moved(state: PartnerState, event: e.OrderMoved) -> None:
    order = state.partner_orders.edit(event.order)
    order.state, order.due_at, order.fact_at = event.state, event.due_at, event.at
    order.reason = event.reason or order.reason
    order.external_ref = order.external_ref or event.external_ref
    order.said_at = max(order.said_at, event.said_at)
    if event.due_at is None:
        order.held, order.held_at, order.difference = "", None, {}


def _line_accepted(state: PartnerState, event: e.LineAccepted) -> None:
    state.order_lines.edit(event.line).accepted = event.accepted


def _batch_reported(state: PartnerState, event: e.BatchReported) -> None:
    state.batches.add(event.batch.id, event.batch)
    for evidence in event.evidence:
        state.evidence.add(evidence.sha256, evidence)
    line = state.order_lines.edit(event.batch.line_id)
    line.reported += event.batch.reported
    line.batches = [*line.batches, event.batch.id]


def _evidence_added(state: PartnerState, event: e.EvidenceAdded) -> None:
    for evidence in event.fresh:
        state.evidence.add(evidence.sha256, evidence)
    batch = state.batches.edit(event.batch)
    batch.evidence = [*batch.evidence, *event.evidence]
    batch.findings = event.findings


def _order_held(state: PartnerState, event: e.OrderHeld) -> None:
    order = state.partner_orders.edit(event.order)
    order.held, order.held_at, order.difference = event.reason, event.at, event.difference


def _order_resumed(state: PartnerState, event: e.OrderResumed) -> None:
    order = state.partner_orders.edit(event.order)
    order.held, order.held_at, order.difference = "", None, {}
    order.expires_at, order.due_at = event.expires_at, event.due_at


def _order_reviewed(state: PartnerState, event: e.OrderReviewed) -> None:
    state.reviews.add(event.review.id, event.review)
    for name, verified in event.verified.items():
        batch = state.batches.edit(name)
        batch.verified = verified
        state.order_lines.edit(batch.line_id).verified += verified


def _order_followed_up(state: PartnerState, event: e.OrderFollowedUp) -> None:
    order = state.partner_orders.edit(event.order)
    order.reminders, order.escalated_at, order.due_at = event.reminders, event.escalated_at, event.due_at


def _delivery_queued(state: PartnerState, event: e.DeliveryQueued) -> None:
    fresh = event.delivery
    if fresh.id not in state.deliveries or state.deliveries.get(fresh.id) is None:
        state.deliveries.add(fresh.id, fresh)
        return
    row = state.deliveries.edit(fresh.id)
    row.state, row.attempts, row.next_at, row.payload = fresh.state, 0, fresh.next_at, fresh.payload
    row.lease_until_at, row.claimed_by, row.answer = None, "", ""


def _delivery_claimed(state: PartnerState, event: e.DeliveryClaimed) -> None:
    row = state.deliveries.edit(event.delivery)
    row.state, row.claimed_by = event.state, event.relay
    row.attempts += 1
    row.next_at, row.lease_until_at = event.lease_until_at, event.lease_until_at


def _delivery_settled(state: PartnerState, event: e.DeliverySettled) -> None:
    row = state.deliveries.edit(event.delivery)
    row.state, row.answer, row.attempts = event.state, event.answer, event.attempts
    row.next_at, row.lease_until_at = event.next_at, None


def _message_received(state: PartnerState, event: e.MessageReceived) -> None:
    state.inbox.add(
        (event.partner, event.message),
        InboxMessage(event.partner, event.message, event.digest, event.order, event.at),
    )


EVOLVE: dict[type, Callable[[PartnerState, Any], None]] = {
    e.UnitPledged: _unit_pledged,
    e.UnitsMoved: _units_moved,
    e.UnitsReleased: _units_released,
    e.OrderSubmitted: _order_submitted,
    e.OrderMoved: _order_moved,
    e.LineAccepted: _line_accepted,
    e.BatchReported: _batch_reported,
    e.EvidenceAdded: _evidence_added,
    e.OrderHeld: _order_held,
    e.OrderResumed: _order_resumed,
    e.OrderReviewed: _order_reviewed,
    e.OrderFollowedUp: _order_followed_up,
    e.DeliveryQueued: _delivery_queued,
    e.DeliveryClaimed: _delivery_claimed,
    e.DeliverySettled: _delivery_settled,
    e.MessageReceived: _message_received,
    **AFTER_EVOLVE,
    **evidence_events.EVOLVE,
}
