"""Decisions about evidence: what is kept, which outline counts, and what the evidence of a batch comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.state import Touch
from partners.core import events as e
from partners.core.context import Context
from partners.core.evidence_commands import (
    AssessBatch,
    DismissReason,
    KeepEvidence,
    NoteLikeness,
    RecordOutline,
)
from partners.core.evidence_events import BatchAssessed, EvidenceKept, LikenessNoted, OutlineRecorded
from partners.core.evidence_rows import Assessment, SiteOutline, outline_id, place_of
from partners.core.evidence_rules import EvidenceRules
from partners.core.model import Batch, BatchShown, OrderLine, PartnerState, PlantingOrder
from partners.core.reasons import REASONS, Reason, judge
from partners.core.signals import Case, Figures, Whose, signals

# What orders.py finds by itself in a report; the rest of a batch's findings is found here.
REPORT_FINDINGS = frozenset(
    {
        "dates_reversed",
        "planted_in_future",
        "outside_season",
        "site_differs",
        "evidence_missing",
        "evidence_reused",
    }
)
REFUSED_FINDING = "evidence_refused"
ALIKE_KEPT_MAX = 20


def keep_evidence(state: PartnerState, command: KeepEvidence, context: Context) -> Decision:
    """Keep what an uploaded photo says. Bytes that are known change nothing, whoever sends them."""
    known = state.evidence_photos.get(command.photo.sha256)
    if known is not None:
        return Decision(
            [], {"status": "known", "sha256": known.sha256, "own": known.partner == command.photo.partner}
        )
    photo = replace(command.photo, kept_at=context.now)
    return Decision([EvidenceKept(photo)], {"status": "kept", "sha256": photo.sha256, "own": True})


def note_likeness(state: PartnerState, command: NoteLikeness, context: Context) -> Decision:
    """Add what a later look has found. Raises `unknown_photo`."""
    photo = state.evidence_photos.get(command.sha256)
    if photo is None:
        raise Rejected("unknown_photo")
    alike = _joined(photo.alike, command.alike)
    elsewhere = _joined(photo.elsewhere, command.elsewhere)
    if (alike, elsewhere) == (photo.alike, photo.elsewhere):
        return Decision([], {"noted": False})
    return Decision([LikenessNoted(photo.sha256, alike, elsewhere)], {"noted": True})


def _joined(known: list[list[Any]], more: list[list[Any]]) -> list[list[Any]]:
    names = {entry[0] for entry in known}
    return [*known, *(entry for entry in more if entry[0] not in names)][:ALIKE_KEPT_MAX]


def record_outline(state: PartnerState, command: RecordOutline, context: Context) -> Decision:
    """A new version of the place's outline; earlier ones are kept.

    Raises `outlines_changed`: others came since this one was compared; look again, then say it again.
    """
    place = place_of(command.partner, command.site, command.season)
    row = state.planted_places.get(place)
    version = row.version if row is not None else 0
    before = outline_id(place, version) if version else None
    known = state.site_outlines[before] if before is not None else None
    if known is not None and known.polygons == command.polygons:
        return Decision([], {"status": "known", "outline": known.id, "area_m2": known.area_m2})
    counted = state.outline_seasons.get(command.season)
    if (counted.outlines if counted is not None else 0) != command.compared_with:
        raise Rejected("outlines_changed", season=command.season)
    west, south, east, north = command.box_e6
    outline = SiteOutline(
        id=outline_id(place, version + 1),
        place=place,
        partner=command.partner,
        site=command.site,
        season=command.season,
        version=version + 1,
        datum=command.datum,
        area_m2=command.area_m2,
        west_e6=west,
        south_e6=south,
        east_e6=east,
        north_e6=north,
        recorded_at=context.now,
        polygons=command.polygons,
        overlaps=command.overlaps,
        notes=command.notes,
    )
    reply = {"status": "recorded", "outline": outline.id, "area_m2": outline.area_m2}
    return Decision([OutlineRecorded(outline, before)], reply)


# --- judging --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """A batch as it stands after the report that is decided on now."""

    id: str
    figures: Figures
    evidence: Sequence[str]
    findings: Sequence[str]
    fresh_trees: int


def assess_report(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    said: Sequence[BatchShown],
    events: Sequence[object],
    seen: Mapping[str, str],
    context: Context,
) -> list[object]:
    """What the evidence comes to of each batch that these events report or add to; nothing without rules.

    `seen` names the batch of every file that the report itself shows first.
    """
    rules = context.partner_terms(order.partner).evidence
    if rules is None:
        return []
    planters = {shown.report_no: shown.planters for shown in said}
    by_id = {line.id: line for line in lines}
    told: list[tuple[OrderLine, _Told]] = []
    for event in events:
        if isinstance(event, e.BatchReported):
            batch = event.batch
            figures = _figures(batch, planters.get(batch.report_no))
            one = _Told(batch.id, figures, batch.evidence, batch.findings, batch.reported)
            told.append((by_id[batch.line_id], one))
        elif isinstance(event, e.EvidenceAdded):
            batch = state.batches[event.batch]
            files = [*batch.evidence, *event.evidence]
            one = _Told(batch.id, _figures(batch, _planters(state, batch)), files, event.findings, 0)
            told.append((by_id[batch.line_id], one))
    on_place: Counter[str] = Counter()
    of_line: Counter[str] = Counter()
    found: list[object] = []
    for line, one in told:
        place = place_of(order.partner, line.site, order.season)
        on_place[place] += one.fresh_trees
        of_line[line.id] += one.fresh_trees
        others = [
            other.figures
            for its_line, other in told
            if its_line is line and other.id != one.id and other.fresh_trees
        ]
        fresh = (on_place[place], of_line[line.id])
        found.append(_assessed(state, order, line, one, rules, others, fresh, seen, context))
    return found


def assess_batch(state: PartnerState, command: AssessBatch, context: Context) -> Decision:
    """Judge a batch anew; the same judgement changes nothing. Raises `unknown_order`, `unknown_batch`."""
    order, line, batch = _the_batch(state, command.order, command.batch)
    rules = context.partner_terms(order.partner).evidence
    if rules is None:
        return Decision([], {"verdict": None})
    told = _Told(batch.id, _figures(batch, _planters(state, batch)), batch.evidence, batch.findings, 0)
    event = _assessed(state, order, line, told, rules, [], (0, 0), {}, context)
    known = state.assessments.get(batch.id)
    reply = {"verdict": event.assessment.verdict, "score": event.assessment.score}
    if known is not None and replace(event.assessment, assessed_at=known.assessed_at) == known:
        return Decision([], reply)
    return Decision([event], reply)


def dismiss_reason(state: PartnerState, command: DismissReason, context: Context) -> Decision:
    """Let a reason not count for a batch, and judge it anew.

    Raises `unknown_order`, `unknown_batch`, `bad_request` (no such reason against it), `own_review`.
    """
    order, line, batch = _the_batch(state, command.order, command.batch)
    known = state.assessments.get(batch.id)
    rules = context.partner_terms(order.partner).evidence
    if known is None or rules is None or command.code not in {entry[0] for entry in known.reasons}:
        raise Rejected("bad_request", reason=command.code, expected="a reason that counts against the batch")
    if command.operator in (order.partner, batch.submitted_by):
        raise Rejected("own_review", reviewer=command.operator)
    if command.code in {entry[0] for entry in known.dismissed}:
        return Decision([], {"verdict": known.verdict, "score": known.score})
    dismissed = [*known.dismissed, [command.code, command.operator, command.why]]
    told = _Told(batch.id, _figures(batch, known.planters), batch.evidence, batch.findings, 0)
    event = _assessed(state, order, line, told, rules, [], (0, 0), {}, context, dismissed)
    return Decision([event], {"verdict": event.assessment.verdict, "score": event.assessment.score})


def _the_batch(state: PartnerState, number: int, name: str) -> tuple[PlantingOrder, OrderLine, Batch]:
    order = state.partner_orders.get(number)
    if order is None:
        raise Rejected("unknown_order", order=number)
    for line_id in order.lines:
        if name in state.order_lines[line_id].batches:
            return order, state.order_lines[line_id], state.batches[name]
    raise Rejected("unknown_batch")


def _figures(batch: Batch, planters: int | None) -> Figures:
    return Figures(batch.reported, batch.planted_from_on, batch.planted_to_on, planters)


def _planters(state: PartnerState, batch: Batch) -> int | None:
    known = state.assessments.get(batch.id) if batch.id in state.assessments else None
    return known.planters if known is not None else None


def _assessed(
    state: PartnerState,
    order: PlantingOrder,
    line: OrderLine,
    told: _Told,
    rules: EvidenceRules,
    others: Sequence[Figures],
    fresh: tuple[int, int],
    seen: Mapping[str, str],
    context: Context,
    dismissed: list[list[str]] | None = None,
) -> BatchAssessed:
    """`fresh`: trees that the report itself adds, so far, to the place and to the line."""
    known = state.assessments.get(told.id)
    more_trees, line_trees = fresh
    if dismissed is None:
        dismissed = known.dismissed if known is not None else []
    place = place_of(order.partner, line.site, order.season)
    row = state.planted_places.get(place)
    version = row.version if row is not None else 0
    photos = [state.evidence_photos.get(sha256) for sha256 in told.evidence]
    missing = [sha for sha, photo in zip(told.evidence, photos, strict=True) if photo is None]
    case = Case(
        rules=rules,
        partner=order.partner,
        order=order.id,
        batch=told.id,
        figures=told.figures,
        photos=[photo for photo in photos if photo is not None],
        missing=missing,
        outline=state.site_outlines[outline_id(place, version)] if version else None,
        trees=(row.trees if row is not None else 0) + more_trees,
        trees_due=max(0, (line.accepted or line.ordered) - line.reported - line_trees),
        others=[*_others(state, line, told.id), *others],
        whose=_whose(state, photos, seen),
        files_required=context.partner_terms(order.partner).files_required,
    )
    base = [Reason(code) for code in told.findings if code in REPORT_FINDINGS]
    judged = judge(
        [*base, *signals(case)],
        rules.weights,
        rules.needs_info_score,
        rules.refused_score,
        [entry[0] for entry in dismissed],
    )
    codes = list(dict.fromkeys([reason.code for reason in base] + [entry[0] for entry in judged.reasons]))
    gone = {entry[0] for entry in dismissed}
    findings = [code for code in codes if code not in gone]
    if judged.verdict == "refused":
        findings.append(REFUSED_FINDING)
    assessment = Assessment(
        batch_id=told.id,
        order_id=order.id,
        place=place,
        outline_version=version,
        verdict=judged.verdict,
        score=judged.score,
        is_waiting=bool(missing),
        planters=told.figures.planters,
        rules=rules.hash,
        assessed_at=context.now,
        reasons=judged.reasons,
        missing=missing,
        dismissed=dismissed,
    )
    return BatchAssessed(assessment, findings, told.fresh_trees)


def _others(state: PartnerState, line: OrderLine, mine: str) -> list[Figures]:
    """The figures of the line's other batches."""
    return [
        _figures(state.batches[name], _planters(state, state.batches[name]))
        for name in line.batches
        if name != mine
    ]


def _whose(state: PartnerState, photos: Iterable[Any], seen: Mapping[str, str]) -> dict[str, Whose]:
    """To whom the photos belong that look like these."""
    found: dict[str, Whose] = {}
    for photo in photos:
        for sha256, *_ in photo.alike if photo is not None else ():
            other = state.evidence_photos.get(sha256)
            if other is None:
                continue
            shown = state.evidence.get(sha256)
            batch = shown.batch_id if shown is not None else seen.get(sha256)
            order = int(batch.partition("/")[0]) if batch is not None else None
            found[sha256] = Whose(other.partner, order, batch)
    return found


# --- what must be loaded --------------------------------------------------------------------------


def touches(command: Any, state: PartnerState) -> Iterator[Touch]:
    """The rows of evidence that a command about evidence reads or changes."""
    match command:
        case KeepEvidence():
            yield Touch("evidence_photos", command.photo.sha256)
        case NoteLikeness():
            yield Touch("evidence_photos", command.sha256)
        case RecordOutline():
            place = place_of(command.partner, command.site, command.season)
            yield from _place_touches(state, place, fresh=True)
            yield Touch("outline_seasons", command.season)
        case AssessBatch() | DismissReason():
            yield from batch_touches(state, command.order, {command.batch: ()})


def batch_touches(state: PartnerState, number: int, batches: Mapping[str, Iterable[str]]) -> Iterator[Touch]:
    """What judging these batches of an order takes, each with the files that are named for it now."""
    order = state.partner_orders.get(number) if number in state.partner_orders else None
    if order is None:
        return
    for line_id in order.lines:
        line = state.order_lines.get(line_id) if line_id in state.order_lines else None
        if line is None:
            continue
        yield from _place_touches(state, place_of(order.partner, line.site, order.season))
        yield from (Touch("assessments", name) for name in line.batches)
    for name, named in batches.items():
        yield Touch("assessments", name)
        batch = state.batches.get(name) if name in state.batches else None
        for sha256 in (*named, *(batch.evidence if batch is not None else ())):
            yield from _photo_touches(state, sha256)


def _photo_touches(state: PartnerState, sha256: str) -> Iterator[Touch]:
    yield Touch("evidence_photos", sha256)
    photo = state.evidence_photos.get(sha256) if sha256 in state.evidence_photos else None
    for other, *_ in photo.alike if photo is not None else ():
        yield Touch("evidence_photos", other)
        yield Touch("evidence", other)


def _place_touches(state: PartnerState, place: str, fresh: bool = False) -> Iterator[Touch]:
    yield Touch("planted_places", place)
    if place not in state.planted_places:
        return
    row = state.planted_places.get(place)
    version = row.version if row is not None else 0
    if version:
        yield Touch("site_outlines", outline_id(place, version))
    if fresh:
        yield Touch("site_outlines", outline_id(place, version + 1))


assert set(REASONS) >= REPORT_FINDINGS
