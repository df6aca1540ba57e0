"""What a partner's call says of an order, as the one report that the core understands. Pure: facts and words in,
a command out.

It is the path of files and signed messages too: an absolute report, once per message id. A slip (more than was
accepted, a report number with other figures) is answered to the caller and changes nothing; what would change the deal
(another species, price or count than was ordered) is reported as said, and the core stops the order for a person.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.errors import Rejected
from partners.core.commands import RecordReport
from partners.core.model import (
    ENDED_STATES,
    WATCHED_STATES,
    BatchShown,
    EvidenceShown,
    LineSaid,
    PartnerReport,
)
from partners.partner_api.bodies import (
    AnswerBody,
    EchoBody,
    InformationBody,
    PhotoBody,
    PlantingBody,
    PlantingsBody,
)

Facts = Mapping[str, Any]
DONE_STATES = (*WATCHED_STATES, *ENDED_STATES)


def answered(facts: Facts, body: AnswerBody, now: int) -> PartnerReport:
    """All of the order is accepted, or a part of it, or nothing. Raises Rejected(invalid)."""
    lines: Sequence[Facts] = facts["lines"]
    echoes = _by_line(body.lines, len(lines))
    if body.answer == "decline":
        if not body.reason:
            raise _invalid("body.reason", "say why the order is declined")
        counts = dict.fromkeys(range(1, len(lines) + 1), 0)
    elif body.answer == "accept":
        counts = {line_no: line["ordered"] for line_no, line in enumerate(lines, 1)}
    else:
        counts = _parts(body, lines)
    said = tuple(_said(line_no, count, echoes.get(line_no)) for line_no, count in counts.items())
    is_one = len(lines) == 1
    return PartnerReport(
        order=facts["id"],
        state="accepted" if any(counts.values()) else "rejected",
        at=now,
        external_ref=body.reference,
        accepted=said[0].accepted if is_one else None,
        reason=body.reason,
        ordered=said[0].ordered if is_one else None,
        species=said[0].species if is_one else None,
        unit_price_minor=said[0].unit_price_minor if is_one else None,
        currency=said[0].currency if is_one else None,
        by=body.by,
        lines=() if is_one else said,
    )


def planted(facts: Facts, body: PlantingsBody, now: int) -> PartnerReport:
    """Plantings, and whether they are all. Raises Rejected: invalid, batch_known, not_planted, order_ended."""
    _check_open(facts)
    batches = [_planting(facts, place, one) for place, one in enumerate(body.plantings)]
    _check_counts(facts, batches)
    return _report(facts, batches, body.all_planted, body.by, now)


def done(facts: Facts, by: str, now: int) -> PartnerReport:
    """Nothing more will be planted of this order. Raises Rejected: not_planted, order_ended."""
    _check_open(facts)
    if not facts["batches"]:
        raise Rejected("not_planted", state=facts["state"])
    return _report(facts, [], True, by, now)


def informed(facts: Facts, body: InformationBody, now: int) -> PartnerReport:
    """More photos of plantings that were reported; with them the order is to be reviewed again.

    Raises Rejected: unknown_batch, not_planted.
    """
    if facts["state"] not in ("planted", "needs_info"):
        raise Rejected("not_planted", state=facts["state"])
    known = {batch["report_no"]: batch for batch in facts["batches"]}
    batches = []
    for one in body.plantings:
        if one.report_no not in known:
            raise Rejected("unknown_batch", report_no=one.report_no)
        batches.append(_known(facts, known[one.report_no], one.photos))
    return _report(facts, batches, True, body.by, now)


def cancelled(facts: Facts, reason: str, by: str, now: int) -> PartnerReport:
    """The partner asks to end an order that it accepted, or agrees that it ends."""
    return PartnerReport(facts["id"], "cancelled", now, reason=reason, by=by)


def named(key: str, route: Sequence[str], words: Any) -> tuple[str, str]:
    """(message id, digest): an idempotency key stands for the same words at the same place alone."""
    said = json.dumps([route, words], sort_keys=True, ensure_ascii=False)
    way = hashlib.sha256(key.encode()).hexdigest()[:40]
    return f"api_{way}", hashlib.sha256(said.encode()).hexdigest()


def command(partner: str, message: str, digest: str, report: PartnerReport) -> RecordReport:
    """The report as a message of its own."""
    return RecordReport(None, partner, message, digest, report)


# --- parts of a report ----------------------------------------------------------------------------


def _invalid(field: str, problem: str) -> Rejected:
    return Rejected("invalid", errors=[{"field": field, "problem": problem}])


def _by_line(lines: Sequence[EchoBody], count: int) -> dict[int, EchoBody]:
    found: dict[int, EchoBody] = {}
    for place, one in enumerate(lines):
        if one.line_no > count:
            raise _invalid(f"body.lines.{place}.line_no", f"the order has {count} lines")
        if one.line_no in found:
            raise _invalid(f"body.lines.{place}.line_no", "each line once")
        found[one.line_no] = one
    return found


def _parts(body: AnswerBody, lines: Sequence[Facts]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for place, one in enumerate(body.lines):
        if one.accepted is None:
            raise _invalid(f"body.lines.{place}.accepted", "say how many trees are accepted")
        most = lines[one.line_no - 1]["ordered"]
        if one.accepted > most:
            raise _invalid(f"body.lines.{place}.accepted", f"at most {most}, what was ordered")
        counts[one.line_no] = one.accepted
    missing = set(range(1, len(lines) + 1)) - set(counts)
    if missing:
        raise _invalid("body.lines", f"every line needs `accepted`; missing: {sorted(missing)}")
    return dict(sorted(counts.items()))


def _said(line_no: int, accepted: int, echo: EchoBody | None) -> LineSaid:
    if echo is None:
        return LineSaid(line_no, accepted)
    return LineSaid(
        line_no, accepted, echo.ordered, echo.species or None, echo.unit_price_minor, echo.currency or None
    )


def _planting(facts: Facts, place: int, one: PlantingBody) -> BatchShown:
    lines: Sequence[Facts] = facts["lines"]
    if one.line_no > len(lines):
        raise _invalid(f"body.plantings.{place}.line_no", f"the order has {len(lines)} lines")
    shown = BatchShown(
        report_no=one.report_no,
        quantity=one.trees,
        planted_from_on=one.planted_from_on,
        planted_to_on=one.planted_to_on,
        site=one.site or lines[one.line_no - 1]["site"],
        evidence=_photos(one.photos),
        planters=one.planters,
        line_no=one.line_no,
    )
    for batch in facts["batches"]:
        if batch["report_no"] == one.report_no and not _is_same(facts, batch, shown):
            known = {name: batch[name] for name in ("planted_from_on", "planted_to_on", "site")}
            raise Rejected("batch_known", report_no=one.report_no, trees=batch["reported"], **known)
    return shown


def _is_same(facts: Facts, batch: Facts, shown: BatchShown) -> bool:
    return (
        facts["lines"][shown.line_no - 1]["id"] == batch["line_id"]
        and batch["reported"] == shown.quantity
        and (batch["planted_from_on"], batch["planted_to_on"], batch["site"])
        == (shown.planted_from_on, shown.planted_to_on, shown.site)
    )


def _check_counts(facts: Facts, batches: Sequence[BatchShown]) -> None:
    known = {batch["report_no"] for batch in facts["batches"]}
    for line_no, line in enumerate(facts["lines"], 1):
        new = sum(one.quantity for one in batches if one.line_no == line_no and one.report_no not in known)
        most = line["accepted"] * (100 + line["tolerance_pct"]) // 100
        if new and line["reported"] + new > most:
            raise _invalid(
                "body.plantings",
                f"line {line_no}: {line['reported'] + new} trees, at most {most} were accepted",
            )
    if facts["state"] in ("planted", "needs_info") and any(one.report_no not in known for one in batches):
        raise Rejected("already_reported", reported=sum(line["reported"] for line in facts["lines"]))


def _check_open(facts: Facts) -> None:
    if facts["state"] in DONE_STATES:
        raise Rejected("order_ended", state=facts["state"])
    if facts["state"] == "submitted":
        raise Rejected("not_accepted", state=facts["state"])


def _known(facts: Facts, batch: Facts, photos: Sequence[PhotoBody]) -> BatchShown:
    """A planting as it was reported, with more photos."""
    ids = [line["id"] for line in facts["lines"]]
    return BatchShown(
        report_no=batch["report_no"],
        quantity=batch["reported"],
        planted_from_on=batch["planted_from_on"],
        planted_to_on=batch["planted_to_on"],
        site=batch["site"],
        evidence=_photos(photos),
        line_no=ids.index(batch["line_id"]) + 1,
    )


def _photos(photos: Sequence[PhotoBody]) -> tuple[EvidenceShown, ...]:
    return tuple(EvidenceShown(one.sha256, "photo", one.name, one.taken_on) for one in photos)


def _report(facts: Facts, batches: Sequence[BatchShown], is_done: bool, by: str, now: int) -> PartnerReport:
    lines: Sequence[Facts] = facts["lines"]
    is_one = len(lines) == 1
    stays_planted = facts["state"] == "planted"
    return PartnerReport(
        order=facts["id"],
        state="planted" if is_done or stays_planted else "in_planting",
        at=now,
        accepted=lines[0]["accepted"] if is_one else None,
        batches=tuple(batches),
        by=by,
        lines=() if is_one else tuple(LineSaid(n, line["accepted"]) for n, line in enumerate(lines, 1)),
    )
