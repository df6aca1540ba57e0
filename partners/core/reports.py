"""What a partner's report means for an order: each step from where it stands to where the partner says it stands.

A report is absolute and moves an order forward only; an answer that differs from what was asked stops the order for
a person. Nothing here verifies a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, SECOND_MS
from partners.core import events as e
from partners.core.allocate import give_back
from partners.core.context import Context
from partners.core.evidence import assess_report
from partners.core.guards import is_standing_hold, order_terms
from partners.core.model import (
    BATCH_EVIDENCE_MAX,
    BATCH_NOTES_CHARACTERS_MAX,
    ENDED_STATES,
    REPORT_BATCHES_MAX,
    WATCHED_STATES,
    Batch,
    BatchShown,
    Evidence,
    LineSaid,
    OrderLine,
    PartnerReport,
    PartnerState,
    PlantingOrder,
    batch_id,
    lines_of,
    units_of,
)

PLANTERS_MAX = 1_000_000
ACCEPTING = ("accepted", "in_planting", "planted")
REPORT_STATES = ("received", *ACCEPTING, "rejected", "cancelled")


def report_events(
    state: PartnerState, order: PlantingOrder, report: PartnerReport, context: Context
) -> list[object]:
    """What a report changes: each step from where the order stands to where the partner says it stands."""
    lines = lines_of(state, order)
    _check_shape(report, lines)
    if order.state in (*WATCHED_STATES, *ENDED_STATES):
        return _after_the_end(order, lines, report)
    if order.held and not _consents(order, report):
        raise Rejected("order_held", order=order.id, reason=order.held)
    difference = _difference(state, order, lines, report)
    if difference:
        return [e.OrderHeld(order.id, "answer_differs", context.now, difference)]
    if report.state == "rejected" or (report.state in ACCEPTING and _accepts_nothing(lines, report)):
        return _rejected(state, order, lines, report, context)
    if report.state == "cancelled":
        return _cancelled_by_partner(state, order, lines, report, context)
    return _forward(state, order, lines, report, context)


def _said(report: PartnerReport, line_no: int) -> LineSaid:
    """What the report says of a line: by its number, or, for an order of one line, as a whole."""
    for said in report.lines:
        if said.line_no == line_no:
            return said
    if report.lines or line_no > 1:
        return LineSaid(line_no)
    return LineSaid(
        1, report.accepted, report.ordered, report.species, report.unit_price_minor, report.currency
    )


def _accepts_nothing(lines: Sequence[OrderLine], report: PartnerReport) -> bool:
    return all(_said(report, line_no).accepted == 0 for line_no in range(1, len(lines) + 1))


def _consents(order: PlantingOrder, report: PartnerReport) -> bool:
    """A partner that is held only because it is suspended may still agree to end the order."""
    return is_standing_hold(order.held) and order.cancel_asked_by != "" and report.state == "cancelled"


def _check_shape(report: PartnerReport, lines: Sequence[OrderLine]) -> None:
    if report.state not in REPORT_STATES:
        raise Rejected("bad_request", state=report.state)
    named = [said.line_no for said in report.lines]
    if len(set(named)) < len(named) or not set(named) <= set(range(1, len(lines) + 1)):
        raise Rejected("bad_request", line_no=max(named, key=named.count), lines=len(lines))
    for shown in report.batches:
        if not 1 <= shown.line_no <= len(lines):
            raise Rejected("bad_request", report_no=shown.report_no, line_no=shown.line_no, lines=len(lines))
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
        _check_details(shown)


def _check_details(shown: BatchShown) -> None:
    north, east = shown.latitude_e6, shown.longitude_e6
    if (north is None) != (east is None) or abs(north or 0) > 90_000_000 or abs(east or 0) > 180_000_000:
        raise Rejected(
            "bad_request", report_no=shown.report_no, field="point", expected="latitude and longitude"
        )
    if shown.planters is not None and not 0 <= shown.planters <= PLANTERS_MAX:
        raise Rejected("bad_request", report_no=shown.report_no, field="planters", most=PLANTERS_MAX)
    if len(shown.notes) > BATCH_NOTES_CHARACTERS_MAX:
        limit = BATCH_NOTES_CHARACTERS_MAX
        raise Rejected("bad_request", report_no=shown.report_no, field="notes", characters_max=limit)


def _check_day(on: str, report_no: str) -> None:
    try:
        date.fromisoformat(on)
    except ValueError as problem:
        raise Rejected("bad_request", report_no=report_no, problem=str(problem)) from None


def _after_the_end(order: PlantingOrder, lines: Sequence[OrderLine], report: PartnerReport) -> list[object]:
    """An echo of what is known is harmless; anything new about an ended order is refused."""
    had = {name for line in lines for name in line.batches}
    known = {batch_id(order.id, shown.report_no) for shown in report.batches} <= had
    was_verified = order.state in (*WATCHED_STATES, "completed", "closed_short")
    if was_verified and known and report.state in (*ACCEPTING, "received"):
        return []
    if not was_verified and report.state not in ACCEPTING:
        return []
    raise Rejected("order_ended", order=order.id, state=order.state)


def _difference(
    state: PartnerState, order: PlantingOrder, lines: Sequence[OrderLine], report: PartnerReport
) -> dict[str, Any]:
    """Where the answer is not what was asked or said before: {what: [ours, theirs]}."""
    theirs_ref = report.external_ref if order.external_ref else ""
    found: dict[str, Any] = {}
    if theirs_ref and theirs_ref != order.external_ref:
        found["external_ref"] = [order.external_ref, theirs_ref]
    for line_no, line in enumerate(lines, 1):
        said = _said(report, line_no)
        differs = _echo_that_differs(line, said) | _amounts_that_differ(state, order, line, line_no, report)
        mark = f"line {line_no}: " if len(lines) > 1 else ""
        found |= {f"{mark}{name}": values for name, values in differs.items()}
    return found


def _echo_that_differs(line: OrderLine, said: LineSaid) -> dict[str, Any]:
    theirs: dict[str, tuple[Any, Any]] = {
        "ordered": (line.ordered, said.ordered),
        "species": (line.species, said.species),
        "unit_price_minor": (line.unit_price_minor, said.unit_price_minor),
        "currency": (line.currency, said.currency),
    }
    return {
        name: [ours, their]
        for name, (ours, their) in theirs.items()
        if their is not None and their != "" and their != ours
    }


def _amounts_that_differ(
    state: PartnerState, order: PlantingOrder, line: OrderLine, line_no: int, report: PartnerReport
) -> dict[str, Any]:
    batches = [shown for shown in report.batches if shown.line_no == line_no]
    accepted = _said(report, line_no).accepted
    if report.state not in ACCEPTING and not batches:
        return {}
    if report.state not in ACCEPTING and order.state == "submitted":  # planted, but never accepted
        return {"reported": [0, sum(shown.quantity for shown in batches)]}
    if accepted is None or not 0 <= accepted <= line.ordered:
        return {"accepted": [line.ordered, accepted]}
    if order.state != "submitted" and accepted != line.accepted:
        return {"accepted": [line.accepted, accepted]}
    new = 0
    for shown in batches:
        known = state.batches.get(batch_id(order.id, shown.report_no))
        if known is None:
            new += shown.quantity
        elif (
            known.line_id,
            known.reported,
            known.planted_from_on,
            known.planted_to_on,
            known.site,
        ) != (
            line.id,
            shown.quantity,
            shown.planted_from_on,
            shown.planted_to_on,
            shown.site,
        ):
            return {f"batch {shown.report_no}": [known.reported, shown.quantity]}
    most = accepted * (100 + line.tolerance_pct) // 100
    if line.reported + new > most:
        return {"reported": [most, line.reported + new]}
    if report.state == "planted" and accepted and line.reported + new == 0:
        return {"reported": [accepted, 0]}
    return {}


def _rejected(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    report: PartnerReport,
    context: Context,
) -> list[object]:
    if order.state != "submitted":
        return [e.OrderHeld(order.id, "rejected_after_acceptance", context.now, {"reason": report.reason})]
    why = "below_minimum" if order.below_minimum else "declined"
    return [
        e.OrderMoved(order.id, "rejected", report.reason, None, context.now, report.external_ref),
        *give_back(units_of(lines), state, order.partner, order.season, order.id, why, context),
    ]


def _cancelled_by_partner(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    report: PartnerReport,
    context: Context,
) -> list[object]:
    agreed = order.cancel_asked_by == "operator"
    if order.state != "submitted" and not agreed:
        return [
            e.CancelAsked(order.id, "partner", report.reason, context.now),
            e.OrderHeld(order.id, "partner_asks_to_cancel", context.now, {"reason": report.reason}),
        ]
    if any(line.reported for line in lines):
        return [e.OrderHeld(order.id, "cancelled_after_report", context.now, {"reason": report.reason})]
    why = "cancelled" if agreed else "declined"
    return [
        e.OrderMoved(order.id, "cancelled", report.reason, None, context.now, report.external_ref),
        *give_back(
            units_of(lines),
            state,
            order.partner,
            order.season,
            order.id,
            why,
            context,
            declined=not agreed,
        ),
    ]


def _forward(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    report: PartnerReport,
    context: Context,
) -> list[object]:
    events: list[object] = []
    at, units = order.state, {line.id: list(line.units) for line in lines}
    if at == "submitted" and report.state in ACCEPTING:
        for line_no, line in enumerate(lines, 1):
            taken = _said(report, line_no).accepted or 0
            events += _accepted(state, order, line, taken, context)
            units[line.id] = units[line.id][:taken]
        at = "accepted"
        events.append(_moved(state, order, at, report, context))  # after its lines: what falls due is of all
    unplanted = {
        name: [number for number in numbers if state.tree_units[number].batch_id is None]
        for name, numbers in units.items()
    }
    had = {name for line in lines for name in line.batches}
    new = [shown for shown in report.batches if batch_id(order.id, shown.report_no) not in had]
    if new and at == "planted":
        late = {"batches": [sorted(had), [shown.report_no for shown in new]]}
        return [e.OrderHeld(order.id, "reported_after_planted", context.now, late)]
    if at == "accepted" and (new or report.state in ("in_planting", "planted")):
        at = "in_planting"
        events.append(_moved(state, order, at, report, context))
    seen: dict[str, str] = {}
    for shown in report.batches:
        line = lines[shown.line_no - 1]
        if shown not in new:
            events += _more_evidence(state, order, line, shown, seen, context)
            continue
        free = unplanted[line.id]
        mine, unplanted[line.id] = free[: shown.quantity], free[shown.quantity :]
        events += _batch(state, order, line, shown, mine, seen, context, report.by)
    events += assess_report(state, order, lines, report.batches, events, seen, context)
    answered = at == "needs_info" and report.at > order.said_at
    if report.state == "planted" and (at == "in_planting" or answered):
        rest = [number for numbers in unplanted.values() for number in numbers]
        if rest:
            events += give_back(rest, state, order.partner, order.season, order.id, "shortfall", context)
        events.append(_moved(state, order, "planted", report, context))
    if not events and report.external_ref and not order.external_ref:
        events.append(_moved(state, order, order.state, report, context))
    return events


def _accepted(
    state: PartnerState, order: PlantingOrder, line: OrderLine, taken: int, context: Context
) -> list[object]:
    """The line's part of an acceptance. A line that stands for no tree (a test, a replacement) has only its count."""
    kept, left = line.units[:taken], line.units[taken:]
    events: list[object] = [e.LineAccepted(line.id, taken)]
    if kept:
        events.append(
            e.UnitsMoved(tuple(kept), "confirmed", context.now, order.season, order.id, line=line.id)
        )
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
        planters=shown.planters,
        latitude_e6=shown.latitude_e6,
        longitude_e6=shown.longitude_e6,
        notes=shown.notes,
    )
    events: list[object] = [e.BatchReported(order.id, batch, _fresh(state, name, shown, seen, context.now))]
    if units:
        events.append(
            e.UnitsMoved(tuple(units), "planted", context.now, order.season, order.id, name, line=line.id)
        )
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
    details = _details(known, shown)
    if not added:
        return details
    findings = _findings(state, order, line, shown, [*known.evidence, *added], seen, context.now)
    if "evidence_reused" in known.findings and "evidence_reused" not in findings:
        findings.append("evidence_reused")  # more photos do not mend a reused one
    return [e.EvidenceAdded(name, added, _fresh(state, name, shown, seen, context.now), findings), *details]


def _details(known: Batch, shown: BatchShown) -> list[object]:
    """What was missing so far; what was said before stays as it was said."""
    has_point = known.latitude_e6 is not None
    told = (
        known.planters if known.planters is not None else shown.planters,
        known.latitude_e6 if has_point else shown.latitude_e6,
        known.longitude_e6 if has_point else shown.longitude_e6,
        known.notes or shown.notes,
    )
    was = (known.planters, known.latitude_e6, known.longitude_e6, known.notes)
    return [] if told == was else [e.BatchDetailed(known.id, *told)]


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


def _moved(
    state: PartnerState, order: PlantingOrder, to: str, report: PartnerReport, context: Context
) -> e.OrderMoved:
    terms = order_terms(state, order, context)
    due_at = None if to == "planted" else context.now + terms.poll_ms
    return e.OrderMoved(order.id, to, report.reason, due_at, context.now, report.external_ref, report.at)


def _midnight(on: str) -> int:
    day = date.fromisoformat(on)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND_MS
