"""The operator's review: the only way from planted to verified."""

from __future__ import annotations

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.allocate import give_back
from partners.core.commands import ReviewOrder
from partners.core.context import Context
from partners.core.deliveries import queue
from partners.core.model import Batch, OrderLine, PartnerState, PlantingOrder, Review
from partners.core.orders import the_order

VERDICTS = ("verified", "needs_info", "back")


def review_order(state: PartnerState, command: ReviewOrder, context: Context) -> Decision:
    """Verify what was planted, ask for more, or send it back to planting.

    Raises `unknown_order`, `order_held`, `not_planted`, `own_review`, `over_verified`, `evidence_missing`,
    `evidence_reused`, `nothing_verified`, `bad_request`.
    """
    order = the_order(state, command.order)
    line = state.order_lines[order.lines[0]]
    _check(order, command)
    if command.verdict == "verified":
        return _verified(state, order, line, command, context)
    moved_to = "needs_info" if command.verdict == "needs_info" else "in_planting"
    terms = context.partner_terms(order.partner)
    ask = {"order": order.id, "needs_info": command.note[:500]}
    events: list[object] = [
        e.OrderReviewed(_review(order, line, command, 0, context.now), {}),
        e.OrderMoved(order.id, moved_to, command.note, context.now + terms.poll_ms, context.now),
        e.DeliveryQueued(queue("remind", order, terms.resendable, context.now, ask)),
    ]
    return Decision(events, {"state": moved_to})


def _check(order: PlantingOrder, command: ReviewOrder) -> None:
    if command.verdict not in VERDICTS:
        raise Rejected("bad_request", verdict=command.verdict)
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    if order.state != "planted":
        raise Rejected("not_planted", order=order.id, state=order.state)
    if not command.reviewer or command.reviewer in (order.partner, f"partner:{order.partner}"):
        raise Rejected("own_review", reviewer=command.reviewer)


def _verified(
    state: PartnerState, order: PlantingOrder, line: OrderLine, command: ReviewOrder, context: Context
) -> Decision:
    batches = [state.batches[name] for name in line.batches]
    unknown = set(command.verified) - {batch.report_no for batch in batches}
    if unknown:
        raise Rejected("bad_request", report_no=sorted(unknown)[0])
    found = {batch.id: command.verified.get(batch.report_no, batch.reported) for batch in batches}
    evidence_min = context.partner_terms(order.partner).evidence_min
    for batch in batches:
        _check_batch(batch, found[batch.id], evidence_min)
    missing = {batch.report_no for batch in batches} - set(command.verified) if command.verified else set()
    if missing:  # what a reviewer does not name was not looked at
        raise Rejected(
            "bad_request", report_no=sorted(missing)[0], expected="a figure for every report, or none"
        )
    total = sum(found.values())
    if total == 0:
        raise Rejected("nothing_verified", order=order.id)
    events: list[object] = [
        e.OrderReviewed(_review(order, line, command, total, context.now), found),
        e.OrderMoved(order.id, "verified", command.note, None, context.now),
    ]
    tell = {"order": order.id, "verified": total}
    resendable = context.partner_terms(order.partner).resendable
    events.append(e.DeliveryQueued(queue("remind", order, resendable, context.now, tell)))
    for batch in batches:
        proven, unproven = batch.units[: found[batch.id]], batch.units[found[batch.id] :]
        if proven:
            events.append(
                e.UnitsMoved(tuple(proven), "verified", context.now, order.season, order.id, batch.id)
            )
        if unproven:
            events += give_back(
                unproven, state, order.partner, order.season, order.id, "not_verified", context
            )
    return Decision(events, {"state": "verified", "verified": total})


def _check_batch(batch: Batch, verified: int, evidence_min: int) -> None:
    if not 0 <= verified <= batch.reported:
        raise Rejected("over_verified", report_no=batch.report_no, reported=batch.reported, verified=verified)
    if verified and len(batch.evidence) < evidence_min:
        raise Rejected("evidence_missing", report_no=batch.report_no, evidence_min=evidence_min)
    if verified and "evidence_reused" in batch.findings:
        raise Rejected("evidence_reused", report_no=batch.report_no)


def _review(order: PlantingOrder, line: OrderLine, command: ReviewOrder, verified: int, now: int) -> Review:
    return Review(
        id=f"{order.id}/{now}",
        order_id=order.id,
        reviewer=command.reviewer,
        verdict=command.verdict,
        verified=verified,
        note=command.note,
        at=now,
    )
