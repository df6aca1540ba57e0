"""What a partner's rows mean for the orders that they name. Pure: facts in, reports and problems out.

A slip of the hand (more than was asked, a changed report, a typo) is answered to the sender and changes nothing. What
would change the deal (another species, price or quantity than ordered) is reported as said: the core then stops
the order for a person. Good rows are taken whatever their neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from engine.core.numbers import order_number
from partners.adapters.files.names import Names
from partners.core.model import (
    BATCH_EVIDENCE_MAX,
    ENDED_STATES,
    REPORT_BATCHES_MAX,
    WATCHED_STATES,
    BatchShown,
    EvidenceShown,
    PartnerReport,
)
from partners.sheets.problems import CellProblem
from partners.sheets.rows import AnswerRow, PlantingRow

# digits after the point of currencies that have not two (ISO 4217)
# fmt: off
_WITHOUT = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
)
_WITH_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
# fmt: on
_MINOR_DIGITS = dict.fromkeys(_WITHOUT, 0) | dict.fromkeys(_WITH_THREE, 3)


DONE_STATES = (*WATCHED_STATES, *ENDED_STATES)
PROVEN_STATES = (*WATCHED_STATES, "completed", "closed_short")
"""Of an order whose trees were verified, what is known already may be said again."""


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A planting that is recorded."""

    quantity: int
    planted_from_on: str
    planted_to_on: str
    site: str
    evidence: int


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """How an order with one line stands, as far as a file can concern it."""

    id: int
    state: str
    held: str
    species: str
    site: str
    unit_price_minor: int
    currency: str
    tolerance_pct: int
    ordered: int
    accepted: int
    reported: int
    batches: Mapping[str, KnownBatch] = field(default_factory=dict)


@dataclass(slots=True)
class Judged:
    """Reports to submit, with the rows that each is made of; problems of rows that are not taken; and notes about
    rows that are."""

    reports: list[tuple[PartnerReport, tuple[int, ...]]] = field(default_factory=list)
    problems: list[CellProblem] = field(default_factory=list)
    notes: list[CellProblem] = field(default_factory=list)


IsCode = Callable[[int, str], bool]


def judge_answers(
    rows: Sequence[AnswerRow], facts: Mapping[int, OrderFacts], is_code: IsCode, names: Names, now: int
) -> Judged:
    """Answers to order sheets. `facts`: the partner's own orders only."""
    judged = Judged()
    for row in rows:
        known = facts.get(row.order)
        problem = _common(row, known, is_code)
        if problem is None and known is not None:
            problem = _answer_problem(row, known, names)
        if problem is not None:
            judged.problems.append(problem)
            continue
        assert known is not None
        report = PartnerReport(
            order=row.order,
            state="accepted" if row.accepted else "rejected",
            at=now,
            accepted=row.accepted,
            reason=row.reason,
            ordered=row.quantity,
            species=names.species_called(row.species) if row.species else None,
            unit_price_minor=None if row.unit_price is None else minor(row.unit_price, known.currency),
            currency=row.currency.upper() if row.currency else None,
        )
        judged.reports.append((report, (row.row,)))
    return judged


def _answer_problem(row: AnswerRow, known: OrderFacts, names: Names) -> CellProblem | None:
    if known.state in DONE_STATES and not (known.state in PROVEN_STATES and row.accepted == known.accepted):
        return CellProblem(row.row, "", "order_ended", {"state": known.state})
    if known.state != "submitted" and row.accepted != known.accepted:
        fields = {"known": known.accepted, "value": row.accepted}
        return CellProblem(row.row, "accepted", "answered_before", fields)
    if row.accepted > known.ordered:
        return CellProblem(
            row.row, "accepted", "over_ordered", {"value": row.accepted, "most": known.ordered}
        )
    return _species_problem(row.row, row.species, known, names)


def judge_plantings(
    rows: Sequence[PlantingRow],
    facts: Mapping[int, OrderFacts],
    is_code: IsCode,
    names: Names,
    photos: Mapping[str, str],
    today: date,
    now: int,
    is_spoilt: Callable[[int], bool],
) -> Judged:
    """Planting reports, each order's rows together. `photos`: file name → SHA-256 of what came along;
    `is_spoilt(order)`: a row that may be the order's could not be read, so the order is not declared planted yet."""
    judged = Judged()
    by_order: dict[int, list[PlantingRow]] = {}
    for row in rows:
        problem = _common(row, facts.get(row.order), is_code)
        if problem is None:
            by_order.setdefault(row.order, []).append(row)
        else:
            judged.problems.append(problem)
    for order, of_order in by_order.items():
        _judge_order(of_order, facts[order], names, photos, today, now, judged, is_spoilt(order))
    return judged


def _judge_order(
    rows: Sequence[PlantingRow],
    known: OrderFacts,
    names: Names,
    photos: Mapping[str, str],
    today: date,
    now: int,
    judged: Judged,
    is_spoilt: bool,
) -> None:
    taken: list[tuple[PlantingRow, BatchShown]] = []
    total = known.reported
    before = len(judged.problems)
    for row in rows:
        shown = _batch(row, known, names, photos)
        is_new = row.report_no not in known.batches
        problem = _planting_problem(row, shown, known, names, today, total)
        if problem is not None:
            judged.problems.append(problem)
            continue
        total += shown.quantity if is_new else 0
        taken.append((row, shown))
        note = _photo_note(row, shown, known, photos)
        judged.notes += [note] if note is not None else []
    is_whole = len(judged.problems) == before and not is_spoilt
    wants_end = any(row.all_planted for row in rows) or known.state in ("planted", "needs_info")
    is_done = is_whole and wants_end and total > 0
    if taken:
        judged.reports += _reports(taken, known, names, now, is_done)


def _reports(
    taken: Sequence[tuple[PlantingRow, BatchShown]], known: OrderFacts, names: Names, now: int, is_done: bool
) -> Iterable[tuple[PartnerReport, tuple[int, ...]]]:
    """A report holds so many batches; only the last one ends the order."""
    for first in range(0, len(taken), REPORT_BATCHES_MAX):
        part = taken[first : first + REPORT_BATCHES_MAX]
        is_last = first + REPORT_BATCHES_MAX >= len(taken)
        species = {names.species_called(row.species) for row, _ in part if row.species}
        other = species - {known.species}
        report = PartnerReport(
            order=known.id,
            state="planted" if is_done and is_last else "in_planting",
            at=now,
            accepted=known.accepted,
            species=min(filter(None, other), default=None) or (known.species if species else None),
            batches=tuple(shown for _, shown in part),
        )
        yield report, tuple(row.row for row, _ in part)


def _common(row: AnswerRow | PlantingRow, known: OrderFacts | None, is_code: IsCode) -> CellProblem | None:
    if known is None:
        return CellProblem(row.row, "order_no", "unknown_order", {"value": order_number(row.order)})
    if not is_code(row.order, row.check):
        return CellProblem(row.row, "check", "wrong_check")
    if row.line_no != 1:
        return CellProblem(row.row, "line_no", "unknown_line", {"value": row.line_no})
    if known.held:
        return CellProblem(row.row, "", "order_held")
    return None


def _planting_problem(
    row: PlantingRow, shown: BatchShown, known: OrderFacts, names: Names, today: date, total: int
) -> CellProblem | None:
    batch = known.batches.get(row.report_no)
    if batch is not None and not _same(batch, shown):
        told = f"{batch.quantity}, {batch.planted_from_on} – {batch.planted_to_on}"
        fields = {"report_no": row.report_no, "known": told}
        return CellProblem(row.row, "report_no", "reported_before", fields)
    if known.state == "submitted":
        return CellProblem(row.row, "order_no", "not_accepted_yet")
    if known.state in DONE_STATES and not (known.state in PROVEN_STATES and batch is not None):
        return CellProblem(row.row, "", "order_ended", {"state": known.state})
    if known.state == "planted" and batch is None:
        return CellProblem(row.row, "report_no", "declared_planted")
    for column, on in (("date_from", row.planted_from), ("date_to", row.planted_to)):
        if on > today:
            return CellProblem(row.row, column, "in_future", {"value": on})
    most = known.accepted * (100 + known.tolerance_pct) // 100
    if batch is None and total + row.planted > most:
        return CellProblem(row.row, "planted", "over_accepted", {"total": total + row.planted, "most": most})
    return _species_problem(row.row, row.species, known, names)


def _species_problem(row: int, text: str | None, known: OrderFacts, names: Names) -> CellProblem | None:
    if not text or names.species_called(text) is not None or text == known.species:
        return None
    expected = f"{names.scientific(known.species)} {names.local(known.species, 'zh')}"
    return CellProblem(row, "species", "unknown_species", {"value": text, "expected": expected})


def _batch(row: PlantingRow, known: OrderFacts, names: Names, photos: Mapping[str, str]) -> BatchShown:
    is_ours = not row.site or names.is_site(row.site, known.site)
    hashes = {sha: name for name in row.photos if (sha := photos.get(name.casefold())) is not None}
    evidence = [EvidenceShown(sha, "photo", name[:200]) for sha, name in hashes.items()]
    return BatchShown(
        report_no=row.report_no,
        quantity=row.planted,
        planted_from_on=row.planted_from.isoformat(),
        planted_to_on=row.planted_to.isoformat(),
        site=known.site if is_ours else str(row.site),
        evidence=tuple(evidence[:BATCH_EVIDENCE_MAX]),
        planters=row.planters,
        latitude_e6=_e6(row.lat),
        longitude_e6=_e6(row.lon),
        notes=row.notes,
    )


def _e6(degrees: Decimal | None) -> int | None:
    """Millionths of a degree (a decimetre), halves to the even one."""
    return None if degrees is None else int(degrees.scaleb(6).quantize(Decimal(1)))


def _same(batch: KnownBatch, shown: BatchShown) -> bool:
    return (batch.quantity, batch.planted_from_on, batch.planted_to_on, batch.site) == (
        shown.quantity,
        shown.planted_from_on,
        shown.planted_to_on,
        shown.site,
    )


def _photo_note(
    row: PlantingRow, shown: BatchShown, known: OrderFacts, photos: Mapping[str, str]
) -> CellProblem | None:
    missing = [name for name in row.photos if name.casefold() not in photos]
    batch = known.batches.get(row.report_no)
    if not missing or (batch is not None and batch.evidence >= len(row.photos)):
        return None
    return CellProblem(row.row, "photos", "photo_not_attached", {"names": missing})


def minor(price: Decimal, currency: str) -> int:
    """A price in minor units; -1, which is nobody's price, where it has more digits than the currency."""
    figure = price.scaleb(_MINOR_DIGITS.get(currency, 2))
    return int(figure) if figure == figure.to_integral_value() else -1


def major(price_minor: int, currency: str) -> Decimal:
    """A price as a person reads it."""
    return Decimal(price_minor).scaleb(-_MINOR_DIGITS.get(currency, 2))
