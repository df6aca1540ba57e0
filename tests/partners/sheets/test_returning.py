"""The file that comes back: problems beside their rows, wrong cells coloured, all else as it was."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import Font, PatternFill

from partners.sheets.kinds import PLANTING
from partners.sheets.problems import CellProblem
from partners.sheets.reading import read_table
from partners.sheets.returning import returned_file
from partners.sheets.rows import typed_rows
from tests.partners.sheets.making import PLANTING_ROW, changed, made

ROWS = [
    PLANTING_ROW,
    PLANTING_ROW | {"report_no": "2", "planted": "viele"},
    PLANTING_ROW | {"report_no": "3"},
]
RED = "FFF8C9C4"


def back(content: bytes, notes: tuple[CellProblem, ...] = (), language: str = "zh") -> bytes:
    table = read_table(content, language)
    typed_rows(table)
    return returned_file(content, table, table.problems, notes, language)


def test_each_row_has_its_verdict_beside_it() -> None:
    sheet = openpyxl.load_workbook(BytesIO(back(made(rows=ROWS)))).worksheets[0]
    place = 18  # the mark of the version stands in 17
    assert [sheet.cell(row, place).value for row in (1, 2)] == ["problems", "问题（请勿填写）"]
    told = [sheet.cell(row, place).value for row in (3, 4, 5)]
    assert (told[0], told[2]) == ("已登记", "已登记")
    assert told[1] == "种植数量（株）：“viele”不是整数。请只写数字，例如 120。"
    red = [cell.coordinate for row in sheet for cell in row if cell.fill.start_color.rgb == RED]
    assert red == ["H4"]


def test_all_else_stays_as_it_was() -> None:
    def decorate(book: Any) -> None:
        sheet = book.worksheets[0]
        sheet["N3"].font, sheet["N3"].fill = (
            Font(bold=True, color="FF00AA00"),
            PatternFill("solid", "FF123456"),
        )
        sheet["U7"] = "our own remark"
        sheet.column_dimensions["N"].width = 77
        sheet.row_dimensions[4].hidden = True
        book.create_sheet("ours")["B2"] = "kept"

    content = changed(made(rows=ROWS), decorate)
    before = openpyxl.load_workbook(BytesIO(content))
    after = openpyxl.load_workbook(BytesIO(back(content)))
    sheet, old = after.worksheets[0], before.worksheets[0]
    assert after.sheetnames == before.sheetnames
    assert after["ours"]["B2"].value == "kept"
    assert (sheet["N3"].font.bold, sheet["N3"].fill.start_color.rgb) == (True, "FF123456")
    assert (sheet.column_dimensions["N"].width, sheet.row_dimensions[4].hidden) == (77, True)
    assert sheet.protection.sheet
    assert len(sheet.data_validations.dataValidation) == len(old.data_validations.dataValidation)
    for row in old.iter_rows():
        for cell in row:
            assert sheet[cell.coordinate].value == cell.value
            assert sheet[cell.coordinate].number_format == cell.number_format
            assert sheet[cell.coordinate].protection.locked == cell.protection.locked


def test_a_mended_file_loses_its_marks_and_changes_nothing_else() -> None:
    marked = back(made(rows=ROWS))
    mended = changed(marked, lambda book: book.worksheets[0].__setitem__("H4", 7))
    table = read_table(mended, "zh")
    assert table.problems == []
    assert [row.planted for row in typed_rows(table)] == [5, 7, 5]
    again = returned_file(mended, table, [], [], "zh")
    sheet = openpyxl.load_workbook(BytesIO(again)).worksheets[0]
    assert [sheet.cell(row, 18).value for row in (3, 4, 5)] == ["已登记"] * 3
    assert sheet.max_column == 18
    assert sheet["H4"].fill.start_color.rgb != RED


def test_a_note_is_no_problem() -> None:
    note = CellProblem(3, "photos", "photo_not_attached", {"names": ["a.jpg", "b.jpg"]})
    sheet = openpyxl.load_workbook(BytesIO(back(made(), (note,), "en"))).worksheets[0]
    assert sheet.cell(3, 18).value.startswith(
        "recorded photo file names: The photos a.jpg, b.jpg were not attached"
    )
    assert not [cell for row in sheet for cell in row if cell.fill.start_color.rgb == RED]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_comes_back_as_a_csv_of_its_kind(delimiter: str) -> None:
    text = made(form="csv", rows=[row | {"photos": "a.jpg"} for row in ROWS]).decode("utf-8-sig")
    content = text.replace(",", delimiter).encode("gb18030")
    lines = list(csv.reader(StringIO(back(content).decode("utf-8-sig"), newline=""), delimiter=delimiter))
    assert [line[17] for line in lines] == [
        "problems",
        "问题（请勿填写）",
        "已登记",
        "种植数量（株）：“viele”不是整数。请只写数字，例如 120。",
        "已登记",
    ]
    before = list(csv.reader(StringIO(text, newline="")))
    assert [line[:16] for line in lines] == [line[:16] for line in before]
    assert read_table(back(content), "zh").places["problems"] == 18


def test_a_csv_that_names_a_separator_comes_back_with_its_rows_in_place() -> None:
    text = "sep=,\r\n" + made(form="csv", rows=ROWS).decode("utf-8-sig")
    lines = list(csv.reader(StringIO(back(text.encode()).decode("utf-8-sig"), newline="")))
    assert "viele" in lines[3][17]


def test_what_attackers_wrote_comes_back_as_text() -> None:
    text = made(form="csv", rows=[PLANTING_ROW | {"planted": 0}]).decode("utf-8-sig")
    evil = text.replace("沙地", "=cmd|'/c calc'!A0")
    lines = list(csv.reader(StringIO(back(evil.encode()).decode("utf-8-sig"), newline="")))
    assert lines[2][13] == "'=cmd|'/c calc'!A0"
    assert PLANTING.columns[13].id == "notes"
