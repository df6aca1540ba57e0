"""Between our words and those of the simulated NGO. Pure; what does not fit is refused, never guessed.

On its wire an order is named by our public order number, states are those of section "states" in
docs/partners.md, and amounts are whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unicodedata import category

from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import instant, rfc3339
from partners.core.model import (
    BATCH_EVIDENCE_MAX,
    PARTNER_TEXT_CHARACTERS_MAX,
    REPORT_BATCHES_MAX,
    BatchShown,
    EvidenceShown,
    PartnerReport,
)
from partners.port import Answer, OrderSheet

STATES = {
    "received": "received",
    "accepted": "accepted",
    "declined": "rejected",
    "planting": "in_planting",
    "planted": "planted",
    "cancelled": "cancelled",
}
TREES_MAX = 10_000_000


def request_of(sheet: OrderSheet) -> dict[str, Any]:
    """The body of an order request."""
    replaces = {"replaces": order_number(sheet.replaces)} if sheet.replaces is not None else {}
    return {
        "reference": order_number(sheet.order),
        "species": sheet.species,
        "site": sheet.site,
        "trees": sheet.quantity,
        "unit_price_minor": sheet.unit_price_minor,
        "currency": sheet.currency,
        "season": sheet.season,
        "season_opens_at": rfc3339(sheet.season_opens_at),
        "season_closes_at": rfc3339(sheet.season_closes_at),
        "answer_by": rfc3339(sheet.answer_by_at),
        "below_minimum": sheet.below_minimum,
        **replaces,
    }


def report_of(body: object) -> PartnerReport:
    """What an order's status says. Raises Rejected(bad_request | bad_number) naming the field."""
    status = _object(body, "status")
    state = status.get("status")
    if not isinstance(state, str) or state not in STATES:
        raise Rejected("bad_request", field="status", value=_short(state))
    batches = status.get("plantings", [])
    if not isinstance(batches, list) or len(batches) > REPORT_BATCHES_MAX:
        raise Rejected("bad_request", field="plantings", batches_max=REPORT_BATCHES_MAX)
    return PartnerReport(
        order=parse_order_number(_text(status, "reference")),
        state=STATES[state],
        at=_instant(status, "at"),
        external_ref=_text(status, "id"),
        accepted=_whole(status, "trees_accepted", optional=True),
        reason=_text(status, "reason", optional=True),
        ordered=_whole(status, "trees", optional=True),
        species=_text(status, "species", optional=True) or None,
        unit_price_minor=_whole(status, "unit_price_minor", optional=True),
        currency=_text(status, "currency", optional=True) or None,
        batches=tuple(_batch(_object(one, "plantings")) for one in batches),
    )


def answer_of(
    status_code: int, body: object, retry_after_s: int | None = None, reading: bool = False
) -> Answer:
    """What an HTTP answer means. A success that carries an error, or can't be read, is no success."""
    if status_code == 404 and reading:
        return Answer("absent", "404")
    if status_code == 429:
        return Answer("failed", "429", retry_after_ms=(retry_after_s or 0) * 1000)
    if status_code >= 500:
        return Answer("unknown", str(status_code), retry_after_ms=(retry_after_s or 0) * 1000)
    if not 200 <= status_code < 300:
        return Answer("refused", f"{status_code} {_problem(body)}")
    if isinstance(body, dict) and body.get("error"):
        return Answer("refused", f"{status_code} with error {_problem(body)}")
    try:
        return Answer("done", str(status_code), report_of(body))
    except Rejected as refusal:
        return Answer("unknown", f"{status_code} that can't be read: {refusal}"[:300])


def _batch(planting: Mapping[str, Any]) -> BatchShown:
    photos = planting.get("photos", [])
    if not isinstance(photos, list) or len(photos) > BATCH_EVIDENCE_MAX:
        raise Rejected("bad_request", field="photos", photos_max=BATCH_EVIDENCE_MAX)
    return BatchShown(
        report_no=_text(planting, "report"),
        quantity=_whole(planting, "trees") or 0,
        planted_from_on=_text(planting, "from"),
        planted_to_on=_text(planting, "to"),
        site=_text(planting, "site"),
        evidence=tuple(_evidence(_object(photo, "photos")) for photo in photos),
        planters=_whole(planting, "planters", optional=True),
        latitude_e6=_e6(planting, "latitude"),
        longitude_e6=_e6(planting, "longitude"),
        notes=_text(planting, "notes", optional=True),
    )


def _e6(values: Mapping[str, Any], field: str) -> int | None:
    """Degrees as millionths, halves to the even one."""
    value = values.get(field)
    if value is None:
        return None
    if type(value) not in (int, float) or not -180 <= value <= 180:  # NaN is neither
        raise Rejected("bad_request", field=field, expected="degrees, WGS 84")
    return round(value * 1_000_000)


def _evidence(photo: Mapping[str, Any]) -> EvidenceShown:
    sha256 = _text(photo, "sha256")
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise Rejected("bad_request", field="sha256", expected="64 hexadecimal digits in lower case")
    return EvidenceShown(
        sha256, "photo", _text(photo, "name", optional=True), _text(photo, "taken_on", optional=True)
    )


def _object(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Rejected("bad_request", field=field, expected="an object")
    return value


def _text(values: Mapping[str, Any], field: str, optional: bool = False) -> str:
    value = values.get(field)
    if value is None and optional:
        return ""
    if not isinstance(value, str) or (not value and not optional):
        raise Rejected("bad_request", field=field, expected="text")
    if len(value) > PARTNER_TEXT_CHARACTERS_MAX:
        raise Rejected("bad_request", field=field, characters_max=PARTNER_TEXT_CHARACTERS_MAX)
    if any(category(character) in ("Cc", "Cs") for character in value):
        raise Rejected("bad_request", field=field, expected="no control characters")
    return value


def _whole(values: Mapping[str, Any], field: str, optional: bool = False) -> int | None:
    value = values.get(field)
    if value is None and optional:
        return None
    if type(value) is not int or not 0 <= value <= TREES_MAX:
        raise Rejected("bad_request", field=field, expected=f"a whole number from 0 to {TREES_MAX}")
    return value


def _instant(values: Mapping[str, Any], field: str) -> int:
    try:
        return instant(_text(values, field))
    except ValueError as problem:
        raise Rejected("bad_request", field=field, problem=str(problem)) from None


def _problem(body: object) -> str:
    if isinstance(body, dict):
        return _short(body.get("error") or body.get("detail") or "")
    return ""


def _short(value: object) -> str:
    return str(value)[:100]
