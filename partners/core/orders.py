"""The life of a planting order: submitted → accepted → in_planting → planted, and its early ends.

A partner's report is absolute and moves an order forward only; an answer that differs from what was asked
stops the order for a person. Nothing here verifies a tree.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import DAY_MS, SECOND_MS
from partners.core import events as e
from partners.core.after_events import FixesDeferred
from partners.core.allocate import give_back
from partners.core.commands import CancelOrder, FollowUpOrder, HoldOrder, RecordReport, ResumeOrder
from partners.core.context import Context
from partners.core.deliveries import delivery_id, queue, withdraw
from partners.core.evidence import assess_report
from partners.core.model import (
    BATCH_EVIDENCE_MAX,
    ENDED_STATES,
    REPORT_BATCHES_MAX,
    WATCHED_STATES,
    Batch,
    BatchShown,
    Evidence,
    OrderLine,
    PartnerReport,
    PartnerState,
    PartnerTerms,
    PlantingOrder,
    batch_id,
)

ACCEPTING = ("accepted", "in_planting", "planted")
REPORT_STATES = ("received", *ACCEPTING, "rejected", "cancelled")
REPORT_OVERDUE_MS = 30 * DAY_MS


def record_report(state: PartnerState, command: RecordReport, context: Context) -> Decision:
    """Take in a partner's message once. The same message again changes nothing.

    Raises `unknown_order`, `message_reused` (same id, other bytes), `order_held`, `order_ended`,
    `bad_request`.
    """
    order = the_order(state, command.report.order)
    if order.partner != command.partner:
        raise Rejected("unknown_order", order=command.report.order)
    seen = state.inbox.get((command.partner, command.message))
    if seen is not None:
        if seen.digest != command.digest:
            raise Rejected("message_reused", message=command.message)
        return Decision([], {"status": "duplicate", "state": order.state})
    received = e.MessageReceived(command.partner, command.message, command.digest, order.id, context.now)
    said = report_events(state, order, command.report, context)
    return Decision([received, *said], {"status": "recorded", "state": _state_after(order, said)})


def report_events(
    state: PartnerState, order: PlantingOrder, report: PartnerReport, context: Context
) -> list[object]:
    """What a report changes: each step from where the order stands to where the partner says it stands."""
    line = state.order_lines[order.lines[0]]
    _check_shape(report)
    if order.state in (*WATCHED_STATES, *ENDED_STATES):
        return _after_the_end(order, line, report)
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    difference = _difference(state, order, line, report)
    if difference:
        return [e.OrderHeld(order.id, "answer_differs", context.now, difference)]
    if report.state == "rejected" or (report.state in ACCEPTING and report.accepted == 0):
        return _rejected(state, order, line, report, context)
    if report.state == "cancelled":
        return _cancelled_by_partner(state, order, line, report, context)
    return _forward(state, order, line, report, context)


def follow_up(state: PartnerState, command: FollowUpOrder, context: Context) -> Decision:
    """Poll, remind, escalate or expire, each computed from now; early or repeated calls change nothing."""
    order = the_order(state, command.order)
    if order.due_at is None or order.held or context.now < order.due_at:
        return Decision([], {"state": order.state})
    if order.state == "submitted" and context.now >= order.expires_at:
        return Decision(_expired(state, order, context), {"state": "expired"})
    terms = context.partner_terms(order.partner)
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
    """Withdraw an order of which nothing is reported. Raises `unknown_order`, `order_ended`,
    `already_reported`."""
    order = the_order(state, command.order)
    line = state.order_lines[order.lines[0]]
    if order.state in (*WATCHED_STATES, *ENDED_STATES):
        raise Rejected("order_ended", order=order.id, state=order.state)
    if line.reported or order.state not in ("submitted", "accepted"):
        raise Rejected("already_reported", order=order.id, reported=line.reported)
    events: list[object] = [e.OrderMoved(order.id, "cancelled", command.reason, None, context.now)]
    events += give_back(
        line.units, state, order.partner, order.season, order.id, "cancelled", context, declined=False
    )
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
    """Let a held order go on, its deadlines moved by the time of the hold. Raises `unknown_order`, `order_held`
    (a dispute waits for its decision)."""
    order = the_order(state, command.order)
    if any(dispute.state != "decided" for dispute in state.disputes.where("order_id", order.id)):
        raise Rejected("order_held", order=order.id, reason="dispute")
    return Decision(resumed(state, order, context), {"state": order.state})


def resumed(state: PartnerState, order: PlantingOrder, context: Context) -> list[object]:
    """What the end of a hold changes; nothing where there is none."""
    if not order.held or order.held_at is None:
        return []
    moved_ms = context.now - order.held_at
    asked = [
        name
        for line in order.lines
        for name in state.order_lines[line].batches
        if (standing := state.standings.get(name)) is not None and standing.fix_by_at is not None
    ]
    events: list[object] = [e.OrderResumed(order.id, order.expires_at + moved_ms, context.now, context.now)]
    return [*events, FixesDeferred(tuple(asked), moved_ms)] if asked else events


def the_order(state: PartnerState, number: int) -> PlantingOrder:
    """The order, or `Rejected(unknown_order)`."""
    order = state.partner_orders.get(number)
    if order is None:
        raise Rejected("unknown_order", order=number)
    return order


# --- what a report means --------------------------------------------------------------------------


def _check_shape(report: PartnerReport) -> None:
    if report.state not in REPORT_STATES:
        raise Rejected("bad_request", state=report.state)
    if len(report.batches) > REPORT_BATCHES_MAX:
        raise Rejected("bad_request", batches_max=REPORT_BATCHES_MAX)
    numbers = [shown.report_no for shown in report.batches]
    if len(set(numbers)) < len(numbers):
        raise Rejected("bad_request", report_no=max(numbers, key=numbers.count))
    for shown in report.batches:
        if shown.quantity < 1 or not shown.report_no or len(shown.evidence) > BATCH_EVIDENCE_MAX:
            raise Rejected("bad_request", report_no=shown.report_no, quantity=shown.quantity)
        for on in (shown.planted_from_on, shown.planted_to_on):
            _check_day(on, shown.report_no)


def _check_day(on: str, report_no: str) -> None:
    try:
        date.fromisoformat(on)
    except ValueError as problem:
        raise Rejected("bad_request", report_no=report_no, problem=str(problem)) from None


def _after_the_end(order: PlantingOrder, line: OrderLine, report: PartnerReport) -> list[object]:
    """An echo of what is known is harmless; anything new about an ended order is refused."""
    known = {batch_id(order.id, shown.report_no) for shown in report.batches} <= set(line.batches)
    was_verified = order.state in (*WATCHED_STATES, "completed", "closed_short")
    if was_verified and known and report.state in (*ACCEPTING, "received"):
        return []
    if not was_verified and report.state not in ACCEPTING:
        return []
    raise Rejected("order_ended", order=order.id, state=order.state)


def _difference(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport
) -> dict[str, Any]:
    """Where the answer is not what was asked or said before: {what: [ours, theirs]}."""
    theirs: dict[str, tuple[Any, Any]] = {
        "ordered": (line.ordered, report.ordered),
        "species": (line.species, report.species),
        "unit_price_minor": (line.unit_price_minor, report.unit_price_minor),
        "currency": (line.currency, report.currency),
        "external_ref": (order.external_ref, report.external_ref if order.external_ref else None),
    }
    found = {
        name: [ours, their]
        for name, (ours, their) in theirs.items()
        if their is not None and their != "" and their != ours
    }
    return found | _amounts_that_differ(state, order, line, report)


def _amounts_that_differ(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport
) -> dict[str, Any]:
    if report.state not in ACCEPTING and not report.batches:
        return {}
    if report.state not in ACCEPTING and order.state == "submitted":  # planted, but never accepted
        return {"reported": [0, sum(shown.quantity for shown in report.batches)]}
    if report.accepted is None or not 0 <= report.accepted <= line.ordered:
        return {"accepted": [line.ordered, report.accepted]}
    if order.state != "submitted" and report.accepted != line.accepted:
        return {"accepted": [line.accepted, report.accepted]}
    new = 0
    for shown in report.batches:
        known = state.batches.get(batch_id(order.id, shown.report_no))
        if known is None:
            new += shown.quantity
        elif (known.reported, known.planted_from_on, known.planted_to_on, known.site) != (
            shown.quantity,
            shown.planted_from_on,
            shown.planted_to_on,
            shown.site,
        ):
            return {f"batch {shown.report_no}": [known.reported, shown.quantity]}
    most = report.accepted * (100 + line.tolerance_pct) // 100
    if line.reported + new > most:
        return {"reported": [most, line.reported + new]}
    if report.state == "planted" and line.reported + new == 0:
        return {"reported": [report.accepted, 0]}
    return {}


def _rejected(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport, context: Context
) -> list[object]:
    if order.state != "submitted":
        return [e.OrderHeld(order.id, "rejected_after_acceptance", context.now, {"reason": report.reason})]
    why = "below_minimum" if order.below_minimum else "declined"
    return [
        e.OrderMoved(order.id, "rejected", report.reason, None, context.now, report.external_ref),
        *give_back(line.units, state, order.partner, order.season, order.id, why, context),
    ]


def _cancelled_by_partner(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport, context: Context
) -> list[object]:
    if order.state != "submitted":
        return [e.OrderHeld(order.id, "partner_asks_to_cancel", context.now, {"reason": report.reason})]
    return [
        e.OrderMoved(order.id, "cancelled", report.reason, None, context.now, report.external_ref),
        *give_back(line.units, state, order.partner, order.season, order.id, "declined", context),
    ]


def _forward(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport, context: Context
) -> list[object]:
    events: list[object] = []
    at, units = order.state, list(line.units)
    if at == "submitted" and report.state in ACCEPTING:
        events += _accepted(state, order, line, report, context)
        at, units = "accepted", units[: report.accepted]
    unplanted = [number for number in units if state.tree_units[number].batch_id is None]
    new = [shown for shown in report.batches if batch_id(order.id, shown.report_no) not in line.batches]
    if new and at == "planted":
        late = {"batches": [line.batches, [shown.report_no for shown in new]]}
        return [e.OrderHeld(order.id, "reported_after_planted", context.now, late)]
    if at == "accepted" and (new or report.state in ("in_planting", "planted")):
        at = "in_planting"
        events.append(_moved(order, at, report, context))
    seen: dict[str, str] = {}
    for shown in report.batches:
        if shown not in new:
            events += _more_evidence(state, order, line, shown, seen, context)
            continue
        mine, unplanted = unplanted[: shown.quantity], unplanted[shown.quantity :]
        events += _batch(state, order, line, shown, mine, seen, context, report.by)
    events += assess_report(state, order, line, report.batches, events, seen, context)
    answered = at == "needs_info" and report.at > order.said_at
    if report.state == "planted" and (at == "in_planting" or answered):
        events.append(_moved(order, "planted", report, context))
        if unplanted:
            events += give_back(unplanted, state, order.partner, order.season, order.id, "shortfall", context)
    if not events and report.external_ref and not order.external_ref:
        events.append(_moved(order, order.state, report, context))
    return events


def _accepted(
    state: PartnerState, order: PlantingOrder, line: OrderLine, report: PartnerReport, context: Context
) -> list[object]:
    accepted = line.ordered if report.accepted is None else report.accepted
    taken, left = line.units[:accepted], line.units[accepted:]
    events: list[object] = [_moved(order, "accepted", report, context), e.LineAccepted(line.id, accepted)]
    if taken:  # an order for what is to be replaced stands for no trees of its own
        events.append(e.UnitsMoved(tuple(taken), "confirmed", context.now, order.season, order.id))
    if left:
        events += give_back(left, state, order.partner, order.season, order.id, "declined", context)
    return events


def _batch(
    state: PartnerState,
    order: PlantingOrder,
    line: OrderLine,
    shown: BatchShown,
    units: list[int],
    seen: dict[str, str],
    context: Context,
    by: str,
) -> list[object]:
    name = batch_id(order.id, shown.report_no)
    hashes = list(dict.fromkeys(item.sha256 for item in shown.evidence))
    batch = Batch(
        id=name,
        line_id=line.id,
        report_no=shown.report_no,
        site=shown.site,
        planted_from_on=shown.planted_from_on,
        planted_to_on=shown.planted_to_on,
        reported=shown.quantity,
        verified=0,
        submitted_by=f"partner:{order.partner}/{by}" if by else f"partner:{order.partner}",
        reported_at=context.now,
        units=list(units),
        evidence=hashes,
        findings=_findings(state, order, line, shown, hashes, seen, context.now),
    )
    events: list[object] = [e.BatchReported(order.id, batch, _fresh(state, name, shown, seen, context.now))]
    if units:
        events.append(e.UnitsMoved(tuple(units), "planted", context.now, order.season, order.id, name))
    return events


def _more_evidence(
    state: PartnerState,
    order: PlantingOrder,
    line: OrderLine,
    shown: BatchShown,
    seen: dict[str, str],
    context: Context,
) -> list[object]:
    name = batch_id(order.id, shown.report_no)
    known = state.batches[name]
    added = [
        sha for sha in dict.fromkeys(item.sha256 for item in shown.evidence) if sha not in known.evidence
    ]
    if not added:
        return []
    findings = _findings(state, order, line, shown, [*known.evidence, *added], seen, context.now)
    if "evidence_reused" in known.findings and "evidence_reused" not in findings:
        findings.append("evidence_reused")  # more photos do not mend a reused one
    return [e.EvidenceAdded(name, added, _fresh(state, name, shown, seen, context.now), findings)]


def _fresh(
    state: PartnerState, batch: str, shown: BatchShown, seen: dict[str, str], now: int
) -> list[Evidence]:
    """The files that no batch has shown before; `seen` remembers them for the rest of the report."""
    fresh = []
    for item in shown.evidence:
        if item.sha256 not in seen and state.evidence.get(item.sha256) is None:
            seen[item.sha256] = batch
            fresh.append(Evidence(item.sha256, batch, item.kind, item.name, item.taken_on, now))
    return fresh


def _findings(
    state: PartnerState,
    order: PlantingOrder,
    line: OrderLine,
    shown: BatchShown,
    hashes: list[str],
    seen: dict[str, str],
    now: int,
) -> list[str]:
    first, last = _midnight(shown.planted_from_on), _midnight(shown.planted_to_on)
    name = batch_id(order.id, shown.report_no)
    found = {
        "dates_reversed": last < first,
        "planted_in_future": last > now + DAY_MS,
        "outside_season": first < order.season_opens_at - DAY_MS or last > order.season_closes_at + DAY_MS,
        "site_differs": shown.site != line.site,
        "evidence_missing": not hashes,
        "evidence_reused": any(_shown_by(state, sha, seen) not in (None, name) for sha in hashes),
    }
    return [finding for finding, is_so in found.items() if is_so]


def _shown_by(state: PartnerState, sha256: str, seen: dict[str, str]) -> str | None:
    """The batch that showed the file first, or None."""
    known = state.evidence.get(sha256) if sha256 in state.evidence else None
    return known.batch_id if known is not None else seen.get(sha256)


def _moved(order: PlantingOrder, state: str, report: PartnerReport, context: Context) -> e.OrderMoved:
    terms = context.partner_terms(order.partner)
    due_at = None if state == "planted" else context.now + terms.poll_ms
    return e.OrderMoved(order.id, state, report.reason, due_at, context.now, report.external_ref, report.at)


def _state_after(order: PlantingOrder, events: list[object]) -> str:
    moves = [event.state for event in events if isinstance(event, e.OrderMoved)]
    return moves[-1] if moves else order.state


def _midnight(on: str) -> int:
    day = date.fromisoformat(on)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND_MS


# --- timers ---------------------------------------------------------------------------------------


def _raised(order: PlantingOrder, terms: PartnerTerms, now: int) -> tuple[int, int | None]:
    """(reminders that are due by now, when it was escalated)."""
    if order.state == "submitted":
        waited_ms = now - (order.expires_at - terms.expire_ms)
        reminders = sum(waited_ms >= after_ms for after_ms in terms.reminders_ms)
        is_late = waited_ms >= terms.escalate_ms
    else:
        reminders, is_late = order.reminders, now >= order.season_closes_at + REPORT_OVERDUE_MS
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
    line = state.order_lines[order.lines[0]]
    return [
        e.OrderMoved(order.id, "expired", "no answer in time", None, context.now),
        *give_back(line.units, state, order.partner, order.season, order.id, "no_answer", context),
        *withdraw(state, order, "no answer in time", context),
    ]


def _free(state: PartnerState, kind: str, order: PlantingOrder) -> bool:
    """Nothing is asked of the partner before it surely has the order, nor twice at once."""
    submit = state.deliveries.get(delivery_id("submit", order.id))
    row = state.deliveries.get(delivery_id(kind, order.id))
    return submit is not None and submit.state == "done" and (row is None or row.state == "done")
