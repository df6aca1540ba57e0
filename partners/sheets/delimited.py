"""CSV: rows out, whatever a spreadsheet made of it, new files, and the same file with problems beside the rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

from partners.sheets.cells import EXECUTED, Raw, is_blank
from partners.sheets.kinds import MARK, PROBLEMS, VERSION, Column, FileKind
from partners.sheets.limits import COLUMNS_MAX, HEADER_ROWS_MAX, ROWS_MAX
from partners.sheets.problems import FileRefused
from partners.sheets.words import PROBLEMS_NAME

BOM = "\ufeff"
DELIMITERS = (",", ";", "\t", "|")
SNIFFED_LINES = 25
_FIGURE = re.compile(r"[+-]?\d+([.,]\d+)?")
_SEP = re.compile(r"^sep=(.)\r?\n?", re.IGNORECASE)
_LOCAL_ENCODING = {"zh": "gb18030", "en": "cp1252"}


@dataclass(frozen=True, slots=True)
class Delimited:
    """A CSV as rows: (row number, cells), blank ones left out, and what its cells are divided by."""

    rows: list[tuple[int, list[Raw]]]
    delimiter: str
    is_decimal_comma: bool


def read_delimited(data: bytes, language: str) -> Delimited:
    """The rows of a CSV in UTF-8, UTF-16 or what a spreadsheet of that language writes. Raises FileRefused."""
    text = decoded(data, language)
    named = _SEP.match(text)
    if named is not None:
        text = text[named.end() :]
    delimiter = named[1] if named is not None else _delimiter(text)
    rows: list[tuple[int, list[Raw]]] = []
    try:
        for number, cells in enumerate(csv.reader(StringIO(text, newline=""), delimiter=delimiter), start=1):
            if all(is_blank(cell) for cell in cells):
                continue
            rows.append((number, list(cells[:COLUMNS_MAX])))
            if len(rows) > ROWS_MAX + HEADER_ROWS_MAX:
                raise FileRefused("too_many_rows", rows_max=ROWS_MAX)
    except csv.Error as problem:
        raise FileRefused("broken") from problem
    return Delimited(rows, delimiter, delimiter == ";")


def decoded(data: bytes, language: str) -> str:
    """The text. UTF-8 is believed where it fits; then the encoding that spreadsheets of the language write."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", _LOCAL_ENCODING[language])
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            raise FileRefused("wrong_kind")
        return text.removeprefix(BOM)
    raise FileRefused("encoding")


def _delimiter(text: str) -> str:
    """The sign that divides the first lines most."""
    head = text.splitlines()[:SNIFFED_LINES]
    return max(DELIMITERS, key=lambda sign: max((line.count(sign) for line in head), default=0))


def new_delimited(kind: FileKind, language: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A CSV of the kind: UTF-8 with a byte order mark, by which spreadsheets know it."""
    mark = f"{MARK}:{kind.id}:{VERSION}:{language}"
    lines: list[list[str]] = [[column.id for column in kind.columns] + [mark]]
    lines.append([column.names[language] for column in kind.columns])
    lines += [[_told(row.get(column.id), column, language) for column in kind.columns] for row in rows]
    return _bytes(lines, ",")


def marked_delimited(
    data: bytes, language: str, header_rows: Sequence[int], place: int, told: Mapping[int, str]
) -> bytes:
    """The partner's own table with `told` (row → text) in column `place`; cells that would be worked out are text."""
    text = decoded(data, language)
    named = _SEP.match(text)
    if named is not None:
        text = text[named.end() :]
    delimiter = named[1] if named is not None else _delimiter(text)
    heads = dict(zip(header_rows, (PROBLEMS, PROBLEMS_NAME[language])[-len(header_rows) :], strict=False))
    lines = []
    for number, cells in enumerate(csv.reader(StringIO(text, newline=""), delimiter=delimiter), start=1):
        line = [safe(cell) for cell in cells]
        note = told.get(number) or heads.get(number)
        if note is not None:
            line += [""] * (place - len(line))
            line[place - 1] = safe(note)
        lines.append(line)
    return _bytes(lines, delimiter)


def safe(text: str) -> str:
    """Text that a spreadsheet shows rather than works out: an apostrophe goes before what it would work out."""
    if text.startswith(EXECUTED) or text.lstrip().startswith(EXECUTED):
        if _FIGURE.fullmatch(text):
            return text
        return "'" + text
    return text


def _told(value: Any, column: Column, language: str) -> str:
    if column.choices is not None and value is not None:
        return column.choices[value][language]
    return _written(value)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return safe(" ".join(str(value).split("\0")))


def _bytes(lines: Iterable[Sequence[str]], delimiter: str) -> bytes:
    out = StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(lines)
    return (BOM + out.getvalue()).encode("utf-8")
