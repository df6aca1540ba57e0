"""One cell to one value: tolerant of how people and spreadsheets write, strict about what is meant.

What may mean two things is refused with both readings named; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any
from unicodedata import category, normalize

from engine.core.errors import Rejected
from engine.core.numbers import parse_order_number
from partners.sheets.kinds import FIRST_DAY, LAST_DAY, Column
from partners.sheets.limits import CELL_CHARACTERS_MAX, NAMES_MAX
from partners.sheets.problems import CellRefused, shown


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell that a spreadsheet would work out."""

    text: str


@dataclass(frozen=True, slots=True)
class ErrorValue:
    """A cell that holds an error such as #REF!."""

    text: str


Raw = str | int | float | bool | date | datetime | time | timedelta | Formula | ErrorValue | None
EXECUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet work a cell out rather than show it, where it comes from CSV; full width where the
spreadsheet speaks Chinese or Japanese."""

SERIAL_FIRST, SERIAL_LAST = 36_526, 73_415
"""Days since 30 December 1899 of 2000-01-01 and 2100-12-31, as spreadsheets store dates."""

_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_DIVIDERS = dict.fromkeys(map(ord, ";、；，|\r\n"), ",")
_TREES = re.compile(r"\s*(株|棵|trees?)$", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([ ,.'’\u00a0\u202f])\d{3})+")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?")
_Y_M_D = re.compile(r"(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})[日号]?)")
_PACKED = re.compile(r"(20\d\d)(\d\d)(\d\d)")
_X_X_Y = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_MIDNIGHT = re.compile(r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_D_MON_Y = re.compile(r"(\d{1,2})[ -]([a-z]{3})[a-z]*\.?,?[ -](\d{4})")
_MON_D_Y = re.compile(r"([a-z]{3})[a-z]*\.? (\d{1,2}),? (\d{4})")
_DEGREES = re.compile(r"(\S+?)\s*°?\s*([NSEWnsew])?")


def is_blank(raw: Raw) -> bool:
    """Nothing that a person would see."""
    return raw is None or (isinstance(raw, str) and not raw.translate(_UNSEEN).strip())


def value_of(raw: Raw, column: Column, epoch_1904: bool = False) -> Any:
    """The cell's value in the column's type; None for an empty cell that may be empty. Raises CellRefused."""
    if isinstance(raw, Formula):
        raise CellRefused("formula")
    if isinstance(raw, ErrorValue):
        raise CellRefused("error_value", value=raw.text)
    if is_blank(raw):
        if column.is_required:
            raise CellRefused("missing")
        return None
    if column.type == "day":
        return day_of(raw, epoch_1904)
    return _READERS[column.type](raw, column)


def text_of(raw: Raw, column: Column) -> str:
    """Text without what surrounds it; a number as a person would write it."""
    if isinstance(raw, bool):
        text = "TRUE" if raw else "FALSE"
    elif isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15:
        text = str(int(raw))
    elif isinstance(raw, datetime):
        text = raw.date().isoformat() if raw.time() == time() else raw.isoformat(" ")
    else:
        text = str(raw)
    text = " ".join(text.translate(_UNSEEN).split())
    if len(text) > 1 and text[0] == "'" and text[1] in EXECUTED:
        text = text[1:]  # the guard that we, or their spreadsheet, put before it
    if len(text) > min(column.characters_max, CELL_CHARACTERS_MAX):
        raise CellRefused("too_long", characters_max=min(column.characters_max, CELL_CHARACTERS_MAX))
    if any(category(character) in ("Cc", "Cs", "Co") for character in text):
        raise CellRefused("control_characters")
    return text


def names_of(raw: Raw, column: Column) -> tuple[str, ...]:
    """File names, divided by commas, semicolons or line ends; each once."""
    divided = raw.translate(_DIVIDERS) if isinstance(raw, str) else raw
    names = tuple(
        dict.fromkeys(name for part in text_of(divided, column).split(",") if (name := part.strip()))
    )
    if len(names) > NAMES_MAX:
        raise CellRefused("too_many_names", names_max=NAMES_MAX)
    return names


def whole_of(raw: Raw, column: Column) -> int:
    """A whole number, also where it is stored as text, as 12.0, or followed by the word for trees."""
    found: int | None = None
    if isinstance(raw, float):
        found = int(raw) if raw.is_integer() else None
    elif isinstance(raw, int) and not isinstance(raw, bool):
        found = raw
    elif isinstance(raw, str):
        found = _whole_text(_TREES.sub("", _plain(raw)), raw)
    if found is None:
        raise CellRefused("not_whole", value=shown(raw))
    if not column.least <= found <= column.most:
        raise CellRefused("out_of_range", value=shown(raw), least=column.least, most=column.most)
    return found


def decimal_of(raw: Raw, column: Column) -> Decimal:
    """A decimal figure with a point or a comma; a place may carry a degree sign and N, S, E or W."""
    found: Decimal | None = None
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        found = Decimal(repr(raw))
    elif isinstance(raw, str):
        found = _decimal_text(_plain(raw), raw)
    if found is None or not found.is_finite():
        raise CellRefused("not_decimal", value=shown(raw))
    if not column.least <= found <= column.most:
        raise CellRefused("out_of_range", value=shown(raw), least=column.least, most=column.most)
    return found


def day_of(raw: Raw, epoch_1904: bool = False) -> date:
    """A day. `03/04/2026` may be two days and is refused; so are years of two digits."""
    if isinstance(raw, datetime):
        found: date | None = raw.date()
    elif isinstance(raw, date):
        found = raw
    elif isinstance(raw, int | float) and not isinstance(raw, bool):
        found = _serial(raw, epoch_1904)
    else:
        found = _day_text(_plain(raw), raw, epoch_1904) if isinstance(raw, str) else None
    if found is None:
        raise CellRefused("not_a_day", value=shown(raw))
    if not FIRST_DAY <= found <= LAST_DAY:
        raise CellRefused("day_out_of_range", value=found, least=FIRST_DAY, most=LAST_DAY)
    return found


def order_of(raw: Raw, column: Column) -> int:
    """The id behind an order number, as a person may type it."""
    try:
        return parse_order_number(_plain(text_of(raw, column)))
    except Rejected:
        raise CellRefused("bad_number", value=shown(raw)) from None


def choice_of(raw: Raw, column: Column) -> str:
    """The id of a choice, by its word in any language; a ticked box counts as yes."""
    assert column.choices is not None
    if isinstance(raw, bool) and set(column.choices) == {"yes", "no"}:
        return "yes" if raw else "no"
    said = folded(text_of(raw, column))
    for name, words in column.choices.items():
        if said in {folded(name), *map(folded, words.values())}:
            return name
    words_all = [" / ".join(words.values()) for words in column.choices.values()]
    raise CellRefused("not_a_choice", value=shown(raw), choices=words_all)


def folded(text: str) -> str:
    """A name so that width, case, spaces and punctuation make no difference."""
    return "".join(
        character for character in normalize("NFKC", text).casefold() if category(character)[0] in "LN"
    )


def _plain(text: str) -> str:
    """Half-width figures and signs, one space at most between words."""
    return " ".join(normalize("NFKC", text).translate(_UNSEEN).replace("−", "-").split()).lstrip("'")


def _whole_text(text: str, raw: Raw) -> int | None:
    grouped = _GROUPED.fullmatch(text)
    if grouped is not None:
        separator = grouped[1]
        if separator == "." or (separator == "," and text.count(",") == 1):
            both = (text.replace(separator, "."), text.replace(separator, ""))
            raise CellRefused("ambiguous_number", value=shown(raw), first=both[0], second=both[1])
        text = text.replace(separator, "")
    if not _NUMBER.fullmatch(text):
        return None
    figure = Decimal(text.replace(",", "."))
    return int(figure) if figure == figure.to_integral_value() else None


def _decimal_text(text: str, raw: Raw) -> Decimal | None:
    parts = _DEGREES.fullmatch(text)
    if parts is None or not _NUMBER.fullmatch(parts[1]):
        return None
    try:
        figure = Decimal(parts[1].replace(",", "."))
    except InvalidOperation:
        return None
    return -figure if (parts[2] or "").upper() in ("S", "W") and parts[2] else figure


def _serial(number: int | float, epoch_1904: bool) -> date | None:
    if not isfinite(number):
        return None
    days = int(number) + (1462 if epoch_1904 else 0) if abs(number) < 1e6 else 0
    if SERIAL_FIRST <= days <= SERIAL_LAST:
        return date(1899, 12, 30) + timedelta(days=days)
    packed = _PACKED.fullmatch(str(int(number))) if number == int(number) else None
    return _day(*map(int, packed.groups())) if packed else None


def _day_text(text: str, raw: Raw, epoch_1904: bool) -> date | None:
    text = _MIDNIGHT.sub("", text)
    ordered = _Y_M_D.fullmatch(text.replace(" ", ""))
    if ordered is not None:
        return _day(*(int(part) for part in ordered.groups() if part is not None))
    if _PACKED.fullmatch(text) or (text.isascii() and text.isdigit() and len(text) == 5):
        return _serial(int(text), epoch_1904)
    either = _X_X_Y.fullmatch(text)
    if either is not None:
        return _one_of_two(*map(int, either.groups()), raw)
    named = _D_MON_Y.fullmatch(text.casefold())
    if named is not None:
        return _named(named[2], named[1], named[3])
    named = _MON_D_Y.fullmatch(text.casefold())
    return _named(named[1], named[2], named[3]) if named is not None else None


def _one_of_two(first: int, second: int, year: int, raw: Raw) -> date | None:
    day_first, month_first = _day(year, second, first), _day(year, first, second)
    if day_first is not None and month_first is not None and day_first != month_first:
        raise CellRefused("ambiguous_day", value=shown(raw), first=day_first, second=month_first)
    return day_first or month_first


def _named(month: str, day: str, year: str) -> date | None:
    return _day(int(year), _MONTHS.index(month) + 1, int(day)) if month in _MONTHS else None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_READERS: dict[str, Callable[[Raw, Column], Any]] = {
    "text": text_of,
    "names": names_of,
    "whole": whole_of,
    "decimal": decimal_of,
    "order": order_of,
    "choice": choice_of,
}
