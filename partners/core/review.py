"""The operator's review of a whole order, at level 2: one verdict on all of its batches that are not decided yet."""

from __future__ import annotations

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.after_rows import Standing
from partners.core.commands import ReviewOrder
from partners.core.context import Context
from partners.core.guards import order_terms
from partners.core.levels import DECIDED, VERDICTS, Verdict, check_batch, follow, reviewed
from partners.core.model import Batch, PartnerState, PlantingOrder, Review
from partners.core.orders import the_order

LEVEL = 2


def review_order(state: PartnerState, command: ReviewOrder, context: Context) -> Decision:
    """Verify what was planted, ask for more, or send it back to planting.

    Raises `unknown_order`, `order_held`, `not_planted`, `own_review`, `over_verified`, `evidence_missing`,
    `evidence_reused`, `evidence_not_uploaded`, `evidence_refused`, `nothing_verified`, `bad_request`.
    """
    order = the_order(state, command.order)
    _check(order, command)
    names = [name for line in order.lines for name in state.order_lines[line].batches]
    batches = [state.batches[name] for name in names if not _is_decided(state, name)]
    found = {batch.id: 0 for batch in batches}
    if command.verdict == "verified":
        found = _found(batches, command, order_terms(state, order, context).evidence_min)
        if not any(found.values()) and len(batches) == len(names):
            raise Rejected("nothing_verified", order=order.id)
    events: list[object] = []
    fresh: dict[str, Standing] = {}
    for batch in batches:
        verdict = Verdict(command.reviewer, LEVEL, command.verdict, found[batch.id], command.note)
        told, fresh[batch.id] = reviewed(state, order, batch, verdict, context)
        events += told
    total = sum(standing.verified for standing in fresh.values())
    verdict = Verdict(command.reviewer, LEVEL, command.verdict, total, command.note)
    moved = follow(state, order, fresh, verdict, context)
    moves = [event.state for event in moved if isinstance(event, e.OrderMoved)]
    reply: dict[str, object] = {"state": moves[-1] if moves else order.state}
    if command.verdict == "verified":
        reply["verified"] = total
    return Decision(
        [e.OrderReviewed(_review(order, command, total, context.now), {}), *events, *moved], reply
    )


def _is_decided(state: PartnerState, batch: str) -> bool:
    standing = state.standings.get(batch)
    return standing is not None and standing.state in DECIDED


def _check(order: PlantingOrder, command: ReviewOrder) -> None:
    if command.verdict not in VERDICTS:
        raise Rejected("bad_request", verdict=command.verdict)
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    if order.state != "planted":
        raise Rejected("not_planted", order=order.id, state=order.state)
    if not command.reviewer or command.reviewer in (order.partner, f"partner:{order.partner}"):
        raise Rejected("own_review", reviewer=command.reviewer)


def _found(batches: list[Batch], command: ReviewOrder, evidence_min: int) -> dict[str, int]:
    """The figure for each batch: named for every one of them, or left out for all."""
    unknown = set(command.verified) - {batch.report_no for batch in batches}
    if unknown:
        raise Rejected("bad_request", report_no=sorted(unknown)[0])
    found = {batch.id: command.verified.get(batch.report_no, batch.reported) for batch in batches}
    for batch in batches:
        check_batch(batch, found[batch.id], evidence_min)
    missing = {batch.report_no for batch in batches} - set(command.verified) if command.verified else set()
    if missing:  # what a reviewer does not name was not looked at
        raise Rejected(
            "bad_request", report_no=sorted(missing)[0], expected="a figure for every report, or none"
        )
    return found


def _review(order: PlantingOrder, command: ReviewOrder, verified: int, now: int) -> Review:
    return Review(
        id=f"{order.id}/{now}",
        order_id=order.id,
        reviewer=command.reviewer,
        verdict=command.verdict,
        verified=verified,
        note=command.note,
        at=now,
    )
