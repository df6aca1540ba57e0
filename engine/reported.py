"""An activity as a source writes it, in a request or in a line of a file, and the command that it becomes.

One reading for every edge, so that the same act sent by HTTP and by file has the same content and mints once.
Knows no transport, no rule and no account.
"""

import hashlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import msgspec

from engine.core.commands import ReportActivity
from engine.core.errors import Rejected
from engine.core.quantify import plain
from engine.core.units import ID_MAX, instant

NAME_CHARACTERS_MAX = 200
SLUG_CHARACTERS_MAX = 64
QUANTITY_EXPONENT_MAX = 30
ATTRIBUTES_MAX = 20
EARLIEST_AT, LATEST_AT = instant("2000-01-01T00:00:00Z"), instant("2200-01-01T00:00:00Z")

Name = Annotated[
    str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]+\Z", min_length=1, max_length=NAME_CHARACTERS_MAX)
]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*\Z", max_length=SLUG_CHARACTERS_MAX)]
AttributeValue = (
    Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS_MAX)]
    | Annotated[int, msgspec.Meta(ge=-ID_MAX, le=ID_MAX)]
    | float
    | None
)

_canonical = msgspec.json.Encoder(order="sorted", decimal_format="string").encode


class Reported(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One activity on the wire. `id` is the source's own; `at` an RFC 3339 instant or `on` a local day."""

    id: Name
    subject: Name
    behaviour: Slug
    quantity: Decimal
    unit: Annotated[str, msgspec.Meta(max_length=SLUG_CHARACTERS_MAX)]
    at: Annotated[str, msgspec.Meta(max_length=SLUG_CHARACTERS_MAX)] | None = None
    on: date | None = None
    revision: Annotated[int, msgspec.Meta(ge=0, le=ID_MAX)] | None = None
    attributes: Annotated[dict[Slug, AttributeValue], msgspec.Meta(max_length=ATTRIBUTES_MAX)] = {}
    evidence: Slug | None = None


def command_of(source: str, reported: Reported, content: str | None = None) -> ReportActivity:
    """The command; `content` overrides what the activity is recognised by. Raises Rejected(bad_request)."""
    if not is_sane(reported.quantity):
        raise Rejected("quantity_out_of_range", quantity=str(reported.quantity)[:NAME_CHARACTERS_MAX])
    return ReportActivity(
        source=source,
        activity=reported.id,
        subject=reported.subject,
        behaviour=reported.behaviour,
        quantity=reported.quantity,
        unit=reported.unit,
        content=content or content_of(reported),
        at=at_of(reported.at),
        on=reported.on,
        revision=reported.revision,
        attributes=reported.attributes,
        evidence=reported.evidence,
    )


def is_sane(number: Decimal) -> bool:
    """Whether arithmetic on the number stays small: finite, and no exponent that would fill memory."""
    return number.is_finite() and abs(number.adjusted()) <= QUANTITY_EXPONENT_MAX


def content_of(reported: Reported) -> str:
    """What the activity says, whatever its writing: 5 and 5.0, or 08:00+08:00 and 00:00Z, are the same."""
    shown_by = {} if reported.evidence is None else {"evidence": reported.evidence}
    return digest(
        shown_by
        | {
            "behaviour": reported.behaviour,
            "quantity": plain(reported.quantity),
            "unit": reported.unit,
            "at": at_of(reported.at),
            "on": reported.on,
            "revision": reported.revision,
            "attributes": {
                name: _text(value) for name, value in reported.attributes.items() if value is not None
            },
        }
    )


def digest(content: Mapping[str, Any]) -> str:
    """A short name for the content, the same for the same content."""
    return hashlib.blake2b(_canonical(content), digest_size=16).hexdigest()


def _text(value: str | int | float) -> str:
    """A number as plain digits, whether it was written 5, 5.0 or "5.0"; other text as it is."""
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return str(value)
    return plain(number) if is_sane(number) else str(value)


def at_of(text: str | None) -> int | None:
    """The instant of a text. Raises Rejected(bad_request)."""
    if text is None:
        return None
    try:
        at = instant(text)
    except (ValueError, OverflowError) as problem:
        raise Rejected("bad_request", field="at", expected="RFC 3339, 2026-11-23T07:00:00Z") from problem
    if not EARLIEST_AT <= at < LATEST_AT:  # calendars and zones are sure to work in between
        raise Rejected("bad_request", field="at", expected="an instant from 2000 to 2199")
    return at
