"""Reviews of batches in levels: 1 by the partner's own people, 2 by ours, 3 by somebody independent.

A batch is verified when every level that the terms ask for has found trees there, each by another person and none
by whoever submitted it; the smallest figure counts. Its trees then claim it, as far as it is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.core.editions import is_same_person
from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import ReviewBatch
from partners.core.after_rows import BatchReview, Standing
from partners.core.allocate import give_back
from partners.core.context import Context
from partners.core.deliveries import queue
from partners.core.guards import after_of, order_terms
from partners.core.model import Batch, PartnerState, PlantingOrder
from partners.core.orders import the_order

VERDICTS = ("verified", "needs_info", "back")
DECIDED = ("verified", "refused")
LEVELS = (1, 2, 3)
FIELDS = ("quantity", "species", "site", "polygon", "planted_from_on", "planted_to_on", "photos", "documents")
REASONS = (
    "photo_missing",
    "photo_unreadable",
    "photo_reused",
    "place_missing",
    "place_outside_site",
    "datum_unclear",
    "polygon_invalid",
    "outside_season",
    "date_implausible",
    "quantity_implausible",
    "species_unclear",
    "document_missing",
    "other",
)

BARS = (
    "evidence_reused",
    "evidence_not_uploaded",
    "evidence_refused",
)  # findings with which no tree is verified


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one person holds of one batch."""

    reviewer: str
    level: int
    verdict: str
    trees: int
    note: str = ""
    fields: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def review_batch(state: PartnerState, command: ReviewBatch, context: Context) -> Decision:
    """Take a verdict in; the order moves on once each of its batches is decided.

    Raises `unknown_order`, `unknown_batch`, `order_held`, `not_planted`, `batch_decided`, `own_review`,
    `over_verified`, `evidence_missing`, `evidence_reused`, `nothing_verified`, `bad_request`.
    """
    order = the_order(state, command.order)
    names = [name for line in order.lines for name in state.order_lines[line].batches]
    if command.batch not in names:
        raise Rejected("unknown_batch", batch=command.batch)
    batch = state.batches[command.batch]
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    standing = standing_of(state, order, batch, context)
    asked = order.state == "needs_info" and standing.state == "needs_info"
    if order.state not in ("planted", "needs_info") or asked:
        raise Rejected("not_planted", order=order.id, state=order.state)
    _check_choices(command)
    trees = batch.reported if command.trees is None else command.trees
    verdict = Verdict(
        command.reviewer,
        command.level,
        command.verdict,
        trees,
        command.note,
        command.fields,
        command.reasons,
    )
    events, after = reviewed(state, order, batch, verdict, context)
    events += follow(state, order, {batch.id: after}, verdict, context)
    waits_for = [
        level for level in after_of(state, order, context).review_levels if str(level) not in after.levels
    ]
    open_levels = waits_for if after.state == "reported" else []
    return Decision(events, {"batch": after.state, "verified": after.verified, "waits_for": open_levels})


def standing_of(state: PartnerState, order: PlantingOrder, batch: Batch, context: Context) -> Standing:
    """The batch's standing as a copy to build on; a fresh one before its first review."""
    known = state.standings.get(batch.id)
    if known is not None:
        return replace(known, levels=dict(known.levels))
    share = after_of(state, order, context).own_share_pct
    return Standing(batch.id, order.id, "reported", 0, share, 0, 0, None, 0)


def reviewed(
    state: PartnerState, order: PlantingOrder, batch: Batch, verdict: Verdict, context: Context
) -> tuple[list[object], Standing]:
    """The events of one verdict on one batch, and the standing that it leaves."""
    standing = standing_of(state, order, batch, context)
    if standing.state in DECIDED:
        raise Rejected("batch_decided", batch=batch.id, state=standing.state)
    _check_reviewer(order, batch, standing, verdict)
    now, terms = context.now, after_of(state, order, context)
    standing.reviews += 1
    standing.fields, standing.reasons, standing.fix_by_at = [], [], None
    review = _row(batch, order, standing, verdict, now)
    if verdict.verdict != "verified":
        standing.levels = {}  # what is shown anew is looked at anew, at every level
        standing.state = "needs_info" if verdict.verdict == "needs_info" else "reported"
        if verdict.verdict == "needs_info":
            standing.fields, standing.reasons = list(verdict.fields), list(verdict.reasons)
            standing.fix_by_at = now + terms.fix_ms
        return [a.BatchReviewed(review, standing)], standing
    check_batch(batch, verdict.trees, order_terms(state, order, context).evidence_min)
    standing.state = "reported"
    standing.levels[str(verdict.level)] = [verdict.reviewer, verdict.trees, now]
    if any(str(level) not in standing.levels for level in terms.review_levels):
        return [a.BatchReviewed(review, standing)], standing
    return _agreed(state, order, batch, review, standing, context), standing


def follow(
    state: PartnerState,
    order: PlantingOrder,
    fresh: Mapping[str, Standing],
    verdict: Verdict,
    context: Context,
) -> list[object]:
    """What a verdict does to the order, given the standings that it leaves. Raises `nothing_verified`."""
    terms, now = order_terms(state, order, context), context.now
    if verdict.verdict != "verified":
        moved_to = "needs_info" if verdict.verdict == "needs_info" else "in_planting"
        ask = {"order": order.id, "needs_info": verdict.note[:500]}
        return [
            e.OrderMoved(order.id, moved_to, verdict.note, now + terms.poll_ms, now),
            e.DeliveryQueued(queue("remind", order, terms.resendable, now, ask)),
        ]
    total = 0
    for line in order.lines:
        for name in state.order_lines[line].batches:
            standing = fresh.get(name) or state.standings.get(name)
            if standing is None or standing.state not in DECIDED:
                return []
            total += standing.verified
    if total == 0:
        raise Rejected("nothing_verified", order=order.id)
    tell = {"order": order.id, "verified": total}
    return [
        e.OrderMoved(order.id, "verified", verdict.note, now, now),
        e.DeliveryQueued(queue("remind", order, terms.resendable, now, tell)),
    ]


def check_batch(batch: Batch, trees: int, evidence_min: int) -> None:
    """What no reviewer may set aside. Raises `over_verified`, `evidence_missing`, and the findings of `BARS`."""
    if not 0 <= trees <= batch.reported:
        raise Rejected("over_verified", report_no=batch.report_no, reported=batch.reported, verified=trees)
    if trees and len(batch.evidence) < evidence_min:
        raise Rejected("evidence_missing", report_no=batch.report_no, evidence_min=evidence_min)
    for finding in BARS if trees else ():
        if finding in batch.findings:
            raise Rejected(finding, report_no=batch.report_no)


def _agreed(
    state: PartnerState,
    order: PlantingOrder,
    batch: Batch,
    review: BatchReview,
    standing: Standing,
    context: Context,
) -> list[object]:
    """All levels have spoken: the smallest figure is verified, its trees claim it, the others wait again."""
    now = context.now
    levels = after_of(state, order, context).review_levels
    found = min(int(standing.levels[str(level)][1]) for level in levels)
    standing.state, standing.verified = ("verified" if found else "refused"), found
    ours = found * standing.own_share_pct // 100
    proven, unproven = batch.units[:ours], batch.units[ours:]
    events: list[object] = [
        a.BatchReviewed(review, standing),
        a.BatchVerified(batch.id, batch.line_id, found, now),
    ]
    if proven:
        units = tuple(proven)
        events.append(e.UnitsMoved(units, "verified", now, order.season, order.id, batch.id))
        events.append(a.ClaimsMade(units, order.id, batch.id, now))
    if unproven:
        events += give_back(unproven, state, order.partner, order.season, order.id, "not_verified", context)
    return events


def _check_choices(command: ReviewBatch) -> None:
    if command.verdict not in VERDICTS or command.level not in LEVELS:
        raise Rejected("bad_request", verdict=command.verdict, level=command.level)
    unknown = [name for name in command.fields if name not in FIELDS]
    unknown += [name for name in command.reasons if name not in REASONS]
    if unknown:
        raise Rejected("bad_request", unknown=unknown[0], fields=FIELDS, reasons=REASONS)
    if command.verdict == "needs_info" and not command.reasons:
        raise Rejected("bad_request", reasons=REASONS, expected="at least one reason")


def _check_reviewer(order: PlantingOrder, batch: Batch, standing: Standing, verdict: Verdict) -> None:
    """Each level has its own people, no person speaks twice, and nobody about what they submitted."""
    reviewer, partner = verdict.reviewer, f"partner:{order.partner}"
    is_of_partner = reviewer in (order.partner, partner) or reviewer.startswith(f"{partner}/")
    is_named = "/" in batch.submitted_by
    fits = {
        1: is_of_partner and is_named and "/" in reviewer,  # of an unnamed submitter nobody is surely another
        2: not is_of_partner and not reviewer.startswith(("partner:", "independent:")),
        3: reviewer.startswith("independent:"),
    }[verdict.level]
    others = [spoken[0] for level, spoken in standing.levels.items() if level != str(verdict.level)]
    twice = any(_same(reviewer, other) for other in (batch.submitted_by, *others))
    if not reviewer or not fits or twice:
        raise Rejected("own_review", reviewer=reviewer, level=verdict.level)


def _same(one: str, other: str) -> bool:
    """Whether the two are one person, whatever they act as."""
    return is_same_person(one.partition(":")[2] or one, other.partition(":")[2] or other)


def _row(batch: Batch, order: PlantingOrder, standing: Standing, verdict: Verdict, now: int) -> BatchReview:
    return BatchReview(
        id=f"{batch.id}#{standing.reviews}",
        batch_id=batch.id,
        order_id=order.id,
        level=verdict.level,
        reviewer=verdict.reviewer,
        verdict=verdict.verdict,
        trees=verdict.trees if verdict.verdict == "verified" else 0,
        note=verdict.note,
        at=now,
        fields=list(verdict.fields),
        reasons=list(verdict.reasons),
    )
