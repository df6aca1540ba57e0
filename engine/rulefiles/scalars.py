"""Numbers, days, ids and texts of rule files: read from the text that was written, exactly or not at all.

Each refusal tells what was found, what was expected and what to do. This module knows nothing of the files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
REGION = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?")
FRACTION = re.compile(r"(0|[1-9][0-9]{0,14})/([1-9][0-9]{0,14})")
PUBLISHED = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?|undated")
YEAR_MIN, YEAR_MAX = 2000, 2100
FIGURE_YEAR_MIN = 1990


def wrong(found: object, expected: str, fix: str) -> PydanticCustomError:
    """A complaint with what was found, what was expected and what to do."""
    shown = (
        "nothing"
        if found is None
        else "a mapping"
        if isinstance(found, dict)
        else "a list"
        if isinstance(found, list)
        else repr(found)
    )
    parts: dict[str, Any] = {"found": shown[:120], "expected": expected, "fix": fix}
    return PydanticCustomError("rule", "{found}; expected {expected}", parts)


# --- scalars ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exact:
    """A number as it was written and as what it is: `296/18040`, 0.16725, 80."""

    text: str
    amount: Fraction


def _exact(found: object) -> Exact:
    if isinstance(found, str):
        if NUMBER.fullmatch(found):
            return Exact(found, Fraction(found))
        if FRACTION.fullmatch(found):
            return Exact(found, Fraction(found))
    raise wrong(
        found,
        "an exact number such as 80, 0.16725 or 296/18040",
        "write digits only: no exponent, thousands mark, unit or NaN",
    )


def _whole(found: object) -> int:
    if isinstance(found, str) and re.fullmatch(r"0|[1-9][0-9]{0,14}", found):
        return int(found)
    raise wrong(found, "a whole number such as 80", "write digits only, without leading zero")


def _truth(found: object) -> bool:
    if found in ("true", "false"):
        return found == "true"
    raise wrong(found, "true or false", "write true or false in small letters")


def day_of(found: object) -> date:
    """The day that a text `2026-11-23` names."""
    if isinstance(found, date):
        return found
    if isinstance(found, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found):
        try:
            day = date.fromisoformat(found)
        except ValueError:
            day = None
        if day and YEAR_MIN <= day.year <= YEAR_MAX:
            return day
    raise wrong(
        found,
        f"a day such as 2026-01-31, between {YEAR_MIN} and {YEAR_MAX}",
        "write year-month-day with a real day",
    )


def _year(found: object) -> int:
    if (
        isinstance(found, str)
        and re.fullmatch(r"[0-9]{4}", found)
        and FIGURE_YEAR_MIN <= int(found) <= YEAR_MAX
    ):
        return int(found)
    raise wrong(
        found,
        f"a year from {FIGURE_YEAR_MIN} to {YEAR_MAX}",
        "write the year that the figure describes, as 2023",
    )


def _month_day(found: object) -> tuple[int, int]:
    if isinstance(found, str) and re.fullmatch(r"[0-9]{2}-[0-9]{2}", found) and found != "02-29":
        try:
            day = date.fromisoformat(f"2001-{found}")
        except ValueError:
            day = None
        if day:
            return day.month, day.day
    raise wrong(
        found,
        "a day of any year such as 03-10",
        "write month-day with two digits each (02-29 is not in every year)",
    )


def _matching(pattern: re.Pattern[str], expected: str, fix: str) -> BeforeValidator:
    def check(found: object) -> object:
        if isinstance(found, str) and pattern.fullmatch(found):
            return found
        raise wrong(found, expected, fix)

    return BeforeValidator(check)


def _text(found: object) -> object:
    if isinstance(found, str) and found.strip():
        return found.strip()
    raise wrong(found, "a text", "write some words")


def _numeric(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^({pattern})$"}]})


Number = Annotated[Exact, PlainValidator(_exact), _numeric(f"{NUMBER.pattern}|{FRACTION.pattern}")]
Whole = Annotated[int, PlainValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 0})]
Truth = Annotated[bool, PlainValidator(_truth), WithJsonSchema({"type": "boolean"})]
Day = Annotated[
    date, PlainValidator(day_of), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
]
MonthDay = Annotated[
    tuple[int, int],
    PlainValidator(_month_day),
    WithJsonSchema({"type": "string", "pattern": r"^\d{2}-\d{2}$"}),
]
Id = Annotated[
    str,
    _matching(ID, "an id: small letters, digits and single hyphens", "write it like utility-bill-online"),
    WithJsonSchema({"type": "string", "pattern": f"^{ID.pattern}$"}),
]
Region = Annotated[
    str,
    _matching(
        REGION, "an ISO 3166 code such as CN or CN-BJ, or XX for the world", "look the code up in ISO 3166-2"
    ),
    WithJsonSchema({"type": "string", "pattern": f"^{REGION.pattern}$"}),
]
AttributeName = Annotated[
    str,
    _matching(
        re.compile(r"[a-z][a-z0-9_]{0,39}"),
        "a name of small letters, digits and _",
        "write it like completed_at",
    ),
    WithJsonSchema({"type": "string"}),
]
Choice = Annotated[
    str,
    _matching(
        re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"),
        "a choice of letters, digits, point, hyphen and _, at most 40",
        "write it like up-to-1.6l",
    ),
    WithJsonSchema({"type": "string"}),
]
Year = Annotated[
    int,
    PlainValidator(_year),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d{4}$"}]}),
]
Link = Annotated[
    str,
    _matching(
        re.compile(r"https?://[^\s]+"),
        "an address that begins with https:// or http://",
        "write the whole address, or use document",
    ),
    WithJsonSchema({"type": "string", "format": "uri"}),
]
PublishedOn = Annotated[
    str,
    _matching(
        PUBLISHED, "a year, a month or a day of publication, or undated", "write 2025, 2025-06 or 2025-06-10"
    ),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
Text = Annotated[str, BeforeValidator(_text)]
Written = Annotated[
    str, BeforeValidator(_text), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]})
]
Currency = Annotated[
    str, _matching(re.compile(r"[A-Z]{3}"), "an ISO 4217 currency such as CNY", "write three capital letters")
]
