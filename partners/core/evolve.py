"""Facts become rows. The only place where rows of the partners' domain change; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from partners.core import api_events, evidence_events
from partners.core import events as e
from partners.core.after_evolve import AFTER_EVOLVE
from partners.core.counting import count_performance, count_planted, count_released, stand
from partners.core.model import InboxMessage, PartnerState, TreeUnit, line_id
from partners.core.records.table import EVOLVE as RECORDS


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
    planted: dict[str, int] = {}
    for number in event.units:
        unit = state.tree_units.edit(number)
        unit.line_id = event.line or unit.line_id or line_id(event.order)
        if event.batch is not None and unit.batch_id is None:
            planted[unit.line_id] = planted.get(unit.line_id, 0) + 1
        unit.state, unit.note, unit.fact_at = event.state, event.note, event.at
        unit.order_id, unit.season = event.order, event.season
        unit.batch_id = event.batch or unit.batch_id
        unit.unplaced_at = unit.back_at = None
    for name, trees in planted.items():
        count_planted(state, name, trees)


def _units_released(state: PartnerState, event: e.UnitsReleased) -> None:
    gone = set(event.units)
    lines: dict[str, tuple[int, int]] = {}
    for number in event.units:
        unit = state.tree_units.edit(number)
        if unit.batch_id is not None:
            batch = state.batches.edit(unit.batch_id)
            batch.units = [other for other in batch.units if other not in gone]
        if event.order is not None:
            name = unit.line_id or line_id(event.order)
            trees, planted = lines.get(name, (0, 0))
            lines[name] = trees + 1, planted + (unit.batch_id is not None)
        unit.state, unit.note, unit.fact_at = "pledged", event.note, event.at
        unit.route, unit.waits_from_at, unit.season = event.route, event.waits_from_at, event.season
        unit.order_id, unit.batch_id, unit.line_id = None, None, None
        if event.declined and event.declined not in unit.declined:
            unit.declined = [*unit.declined, event.declined]
    for name, (trees, planted) in lines.items():
        line = state.order_lines.edit(name)
        line.units = [number for number in line.units if number not in gone]
        count_released(state, line, trees, planted, bool(event.declined))


def _units_unplaced(state: PartnerState, event: e.UnitsUnplaced) -> None:
    for number in event.units:
        unit = state.tree_units.edit(number)
        unit.note, unit.back_at = event.why, event.back_at
        if unit.unplaced_at is None:
            unit.unplaced_at = event.at


def _unit_kept(state: PartnerState, event: e.UnitKept) -> None:
    state.tree_units.edit(event.unit).back_at = event.back_at


def _units_withdrawn(state: PartnerState, event: e.UnitsWithdrawn) -> None:
    for number in event.units:
        unit = state.tree_units.edit(number)
        unit.state, unit.note, unit.fact_at = "withdrawn", event.note, event.at
        unit.back_at = None


def _trees_allocated(state: PartnerState, event: e.TreesAllocated) -> None:
    state.allocations.add(event.allocation.id, event.allocation)


def _order_drafted(state: PartnerState, event: e.OrderDrafted) -> None:
    stand(state, event.order, event.lines, is_out=False)


def _order_submitted(state: PartnerState, event: e.OrderSubmitted) -> None:
    stand(state, event.order, event.lines, is_out=True)


def _cancel_asked(state: PartnerState, event: e.CancelAsked) -> None:
    order = state.partner_orders.edit(event.order)
    order.cancel_asked_by, order.reason = event.by, event.reason


def _order_moved(state: PartnerState, event: e.OrderMoved) -> None:
    order = state.partner_orders.edit(event.order)
    order.state, order.due_at, order.fact_at = event.state, event.due_at, event.at
    order.reason = event.reason or order.reason
    order.external_ref = order.external_ref or event.external_ref
    order.said_at = max(order.said_at, event.said_at)
    if event.due_at is None:
        order.held, order.held_at, order.difference = "", None, {}


def _line_accepted(state: PartnerState, event: e.LineAccepted) -> None:
    line = state.order_lines.edit(event.line)
    line.accepted = event.accepted
    count_performance(state, line, accepted=event.accepted)


def _batch_reported(state: PartnerState, event: e.BatchReported) -> None:
    state.batches.add(event.batch.id, event.batch)
    for evidence in event.evidence:
        state.evidence.add(evidence.sha256, evidence)
    line = state.order_lines.edit(event.batch.line_id)
    line.reported += event.batch.reported
    line.batches = [*line.batches, event.batch.id]


def _batch_detailed(state: PartnerState, event: e.BatchDetailed) -> None:
    batch = state.batches.rewrite(event.batch)
    batch.planters, batch.notes = event.planters, event.notes
    batch.latitude_e6, batch.longitude_e6 = event.latitude_e6, event.longitude_e6


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
        line = state.order_lines.edit(batch.line_id)
        line.verified += verified
        count_performance(state, line, verified=verified)


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
    row.created_at = fresh.created_at  # part of its key: another reminder is no repeat of the last one
    row.lease_until_at, row.claimed_by, row.answer = None, "", ""
    if (
        fresh.kind != "submit"
    ):  # an order stays one; another message has another key, or it is dropped as a repeat
        row.created_at = fresh.created_at


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
    e.UnitsUnplaced: _units_unplaced,
    e.UnitKept: _unit_kept,
    e.UnitsWithdrawn: _units_withdrawn,
    e.TreesAllocated: _trees_allocated,
    e.OrderDrafted: _order_drafted,
    e.OrderSubmitted: _order_submitted,
    e.CancelAsked: _cancel_asked,
    e.OrderMoved: _order_moved,
    e.LineAccepted: _line_accepted,
    e.BatchReported: _batch_reported,
    e.EvidenceAdded: _evidence_added,
    e.BatchDetailed: _batch_detailed,
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
    **RECORDS,
    **api_events.EVOLVE,
}
