"""XLSX through openpyxl: rows out in bounded memory, new workbooks, and the same workbook with problems beside rows.

Read as a stream: a sheet that claims a million rows costs no memory (decision 0100). Nothing is ever worked out,
followed or run, and no cell leaves here that a spreadsheet would work out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import openpyxl
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.styles import Alignment, Font, PatternFill, Protection
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from partners.sheets.cells import EXECUTED, ErrorValue, Formula, Raw, is_blank
from partners.sheets.kinds import FIRST_DAY, LAST_DAY, MARK, PROBLEMS, VERSION, Column, FileKind
from partners.sheets.limits import (
    COLUMNS_MAX,
    HEADER_ROWS_MAX,
    ROWS_MAX,
    SPREADSHEET_ROWS_MAX,
    WORKSHEETS_MAX,
)
from partners.sheets.problems import FileRefused
from partners.sheets.words import PROBLEMS_NAME

WRONG = "FFF8C9C4"
"""Fill of a cell that is not taken; a cell of exactly this fill gets none again once it is right."""

_ID_FILL, _NAME_FILL, _ANSWER_FILL = "FFEDEDED", "FFDCE6D5", "FFFFFBE6"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Tab:
    """One worksheet as rows: (row number, cells), blank ones left out."""

    title: str
    rows: list[tuple[int, list[Raw]]]
    epoch_1904: bool


def read_tabs(data: bytes) -> Iterator[Tab]:
    """The visible worksheets, first one first, one at a time. Raises FileRefused."""
    book = _opened(data, streams=True)
    epoch_1904 = book.epoch == CALENDAR_MAC_1904
    for sheet in [one for one in book.worksheets if one.sheet_state == "visible"][:WORKSHEETS_MAX]:
        yield Tab(sheet.title, _rows(sheet), epoch_1904)


def _opened(data: bytes, streams: bool) -> Any:
    """A workbook of a file that `guard` let through; what openpyxl stumbles over is a damaged file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what of a workbook is not kept
            return openpyxl.load_workbook(BytesIO(data), read_only=streams, keep_links=False)
    except Exception as problem:
        raise _refused(problem) from problem


def _refused(problem: Exception) -> FileRefused:
    if type(problem).__name__ in ("EntitiesForbidden", "DTDForbidden", "ExternalReferenceForbidden"):
        return FileRefused("xml_entities")
    return FileRefused("broken")


def _rows(sheet: Any) -> list[tuple[int, list[Raw]]]:
    sheet.reset_dimensions()  # what a file claims of its own size
    found: list[tuple[int, list[Raw]]] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = sheet.iter_rows(max_col=COLUMNS_MAX, max_row=SPREADSHEET_ROWS_MAX)
            blank: Any = None
            for number, cells in enumerate(rows, start=1):
                if cells is blank:  # openpyxl hands out one and the same row for all that a file leaves out
                    continue
                raws = [_raw(cell) for cell in cells]
                if all(is_blank(raw) for raw in raws):
                    blank = cells
                    continue
                found.append((number, raws))
                if len(found) > ROWS_MAX + HEADER_ROWS_MAX:
                    raise FileRefused("too_many_rows", rows_max=ROWS_MAX)
    except FileRefused:
        raise
    except Exception as problem:
        raise _refused(problem) from problem
    return found


def _raw(cell: Any) -> Raw:
    value, kind = cell.value, getattr(cell, "data_type", "n")
    if kind == "f":
        return Formula(str(getattr(value, "text", value)))
    if kind == "e":
        return ErrorValue(str(value))
    if value is None or isinstance(value, str | int | float | bool | date | datetime | time | timedelta):
        return value
    return str(value)


# --- writing --------------------------------------------------------------------------------------


def new_workbook(
    kind: FileKind,
    language: str,
    rows: Sequence[Mapping[str, Any]],
    note: str,
    lists: Mapping[str, Sequence[str]],
) -> bytes:
    """A workbook of the kind: ids locked, answers open, list cells, two header rows, a note on a sheet of its own.

    `lists` gives further list cells by column id.
    """
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = kind.names[language]
    _write_header(sheet, kind, language)
    for number, row in enumerate(rows, start=3):
        for place, column in enumerate(kind.columns, start=1):
            _write_cell(sheet.cell(number, place), column, row.get(column.id), language)
    last = len(rows) + 2
    for place, column in enumerate(kind.columns, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = column.width
        _validate(sheet, column, get_column_letter(place), last, language, lists.get(column.id))
    sheet.freeze_panes = "A3"
    _protect(sheet)
    _write_note(book, note, language)
    return _saved(book)


def _write_header(sheet: Worksheet, kind: FileKind, language: str) -> None:
    for place, column in enumerate(kind.columns, start=1):
        ids, names = sheet.cell(1, place, column.id), sheet.cell(2, place, column.names[language])
        ids.font, ids.fill = Font(size=8, color="FF808080"), _fill(_ID_FILL)
        names.font, names.fill = Font(bold=True), _fill(_NAME_FILL)
        names.alignment = Alignment(wrap_text=True, vertical="top")
    mark = sheet.cell(1, len(kind.columns) + 1, f"{MARK}:{kind.id}:{VERSION}:{language}")
    mark.font = Font(size=8, color="FF808080")


def _write_cell(cell: Cell, column: Column, value: Any, language: str) -> None:
    if column.type == "day":
        cell.number_format = "yyyy-mm-dd"
    elif column.type in ("text", "names", "order"):
        cell.number_format = "@"
    if column.choices is not None and value is not None:
        value = column.choices[value][language]
    put(cell, value)
    if column.is_answer:
        cell.protection, cell.fill = Protection(locked=False), _fill(_ANSWER_FILL)


def put(cell: Any, value: Any) -> None:
    """Set a cell to a value that stays one: text is text, whatever it begins with."""
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, str):
        value = _CONTROL.sub(" ", value)
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"
        if value.startswith(EXECUTED):
            cell.quotePrefix = True  # text it stays also when somebody edits it


def _validate(
    sheet: Worksheet, column: Column, letter: str, last: int, language: str, listed: Sequence[str] | None
) -> None:
    rule: DataValidation | None = None
    if not column.is_answer or last < 3:
        return
    words = listed or [words[language] for words in (column.choices or {}).values()]
    if words and all("," not in word and '"' not in word for word in words):
        rule = DataValidation("list", formula1='"' + ",".join(words) + '"', allow_blank=True)
    elif column.type == "whole":
        rule = DataValidation(
            "whole", operator="between", formula1=str(column.least), formula2=str(column.most)
        )
    elif column.type == "decimal":
        rule = DataValidation(
            "decimal", operator="between", formula1=str(column.least), formula2=str(column.most)
        )
    elif column.type == "day":
        serials = [str((day - date(1899, 12, 30)).days) for day in (FIRST_DAY, LAST_DAY)]
        rule = DataValidation("date", operator="between", formula1=serials[0], formula2=serials[1])
    if rule is not None:
        rule.allow_blank = True
        rule.errorStyle = (
            "stop" if words else "warning"
        )  # a person in a hurry may write what we can still read
        sheet.add_data_validation(rule)
        rule.add(f"{letter}3:{letter}{last}")


def _protect(sheet: Worksheet) -> None:
    """Ids can't be overwritten by accident. There is no password: it is a rail, not a lock."""
    sheet.protection.sheet = True
    for allowed in ("formatColumns", "formatRows", "formatCells", "sort", "autoFilter"):
        setattr(sheet.protection, allowed, False)  # False means: not forbidden


def _write_note(book: Any, note: str, language: str) -> None:
    page = book.create_sheet("说明" if language == "zh" else "Read me")
    page.column_dimensions["A"].width = 110
    for number, line in enumerate(note.splitlines(), start=1):
        put(page.cell(number, 1), line or None)
        page.cell(number, 1).alignment = Alignment(wrap_text=True, vertical="top")


# --- the same workbook, with problems -----------------------------------------------------------------


def marked_workbook(
    data: bytes,
    title: str,
    header_rows: Sequence[int],
    place: int,
    language: str,
    told: Mapping[int, str],
    wrong: Iterable[tuple[int, int]],
) -> bytes:
    """The partner's own workbook with `told` (row → text) in column `place` and the `wrong` cells coloured.

    Everything else stays as it is, but formulas of every sheet become text.
    """
    book = _opened(data, streams=False)
    try:
        _harmless(book)
        sheet = book[title]
        cells = set(wrong)
        for row, text in told.items():
            cell = sheet.cell(row, place)
            if isinstance(cell, MergedCell):
                continue
            put(cell, text)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            _colour_row(sheet, row, place, {column for one, column in cells if one == row})
        for row, text in zip(
            header_rows, (PROBLEMS, PROBLEMS_NAME[language])[-len(header_rows) :], strict=False
        ):
            if not isinstance(sheet.cell(row, place), MergedCell):
                put(sheet.cell(row, place), text)
                sheet.cell(row, place).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(place)].width = 60
        return _saved(book)
    except FileRefused:
        raise
    except Exception as problem:
        raise _refused(problem) from problem


def _colour_row(sheet: Any, row: int, place: int, wrong: set[int]) -> None:
    for column in range(1, place + 1):
        cell = sheet.cell(row, column)
        if column in wrong:
            cell.fill = _fill(WRONG)
        elif cell.fill.fill_type == "solid" and cell.fill.start_color.rgb == WRONG:
            cell.fill = _fill(_ANSWER_FILL) if not cell.protection.locked else PatternFill()


def _harmless(book: Any) -> None:
    """Nothing that a spreadsheet would work out, fetch or run when the file is opened."""
    for name in list(book.defined_names):
        del book.defined_names[name]
    for sheet in book.worksheets:
        for name in list(sheet.defined_names):
            del sheet.defined_names[name]
        for row in sheet.iter_rows():
            for cell in row:
                if getattr(cell, "hyperlink", None) is not None:
                    cell.hyperlink = None
                if cell.data_type == "f":
                    text = cell.value
                    style = copy(cell._style)
                    cell.value = None
                    put(cell, str(getattr(text, "text", text)))
                    cell._style = style
                    cell.quotePrefix = True


def _fill(colour: str) -> PatternFill:
    return PatternFill("solid", start_color=colour, end_color=colour)


def _saved(book: Any) -> bytes:
    out = BytesIO()
    book.save(out)
    return out.getvalue()
