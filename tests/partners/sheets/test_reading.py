"""Whole files as people send them: what is found in spite of what was done to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from openpyxl.styles import Font

from partners.sheets.kinds import ORDER, PLANTING, SURVIVAL
from partners.sheets.limits import ROWS_MAX
from partners.sheets.problems import FileRefused
from partners.sheets.reading import Table, read_table
from partners.sheets.rows import AnswerRow, PlantingRow, SurvivalRow, typed_rows
from partners.sheets.words import cell_text, codes, file_text
from tests.partners.sheets.making import ORDER_ROW, PLANTING_ROW, ROWS, SURVIVAL_ROW, changed, made


def planting(table: Table) -> PlantingRow:
    [row] = typed_rows(table)
    assert isinstance(row, PlantingRow)
    return row


def _title_above(book: Any) -> None:
    sheet = book.worksheets[0]
    sheet.insert_rows(1, 3)
    sheet["A1"] = "我们的种植报告"
    sheet.merge_cells("A1:F2")


def _ids_gone(book: Any) -> None:
    book.worksheets[0].delete_rows(1)


def _reordered(book: Any) -> None:
    sheet = book.worksheets[0]
    sheet.move_range(f"A1:A{sheet.max_row}", cols=40)
    sheet.insert_cols(1, 2)
    sheet["A2"], sheet["B3"] = "我们自己的列", "随便"


def _trimmed(book: Any) -> None:
    sheet = book.worksheets[0]
    for name in ("planters", "lat", "lon", "polygon_file", "notes", "site", "species"):
        places = {cell.value: cell.column for cell in sheet[1]}
        sheet.delete_cols(places[name])


def _hidden_and_blank(book: Any) -> None:
    sheet = book.worksheets[0]
    sheet.insert_rows(3, 40)
    sheet.row_dimensions[43].hidden = True
    sheet["Z900"].font = Font(bold=True)


def _another_sheet_first(book: Any) -> None:
    book.create_sheet("汇总", 0)["A1"] = "合计"


def _numbers_as_text(book: Any) -> None:
    sheet = book.worksheets[0]
    for cell in sheet[3]:
        cell.value = str(cell.value.date() if hasattr(cell.value, "date") else cell.value)


def _names_bent(book: Any) -> None:
    for cell in book.worksheets[0][2]:
        cell.value = f"  {cell.value} ：" if cell.value else None


@pytest.mark.parametrize(
    "change",
    [
        _title_above, _ids_gone, _reordered, _trimmed, _hidden_and_blank, _another_sheet_first, _numbers_as_text,
        _names_bent, lambda book: None,
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_workbook_that_people_worked_on(change: Callable[[Any], None], language: str) -> None:
    row = planting(read_table(changed(made(language=language), change), "zh"))
    assert (row.order, row.report_no, row.planted) == (42, "1", 5)
    assert (row.planted_from, row.planted_to) == (date(2026, 3, 5), date(2026, 3, 6))
    assert (row.photos, row.all_planted) == (("a.jpg", "b.jpg"), False)


CSV = made(form="csv")
TEXT = CSV.decode("utf-8-sig")


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        TEXT.encode("utf-8"),
        TEXT.encode("gb18030"),
        TEXT.encode("utf-16"),
        TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        TEXT.replace("a.jpg, b.jpg", "a.jpg b").replace(",", "\t").replace('"a.jpg b"', "a.jpg|b.jpg").encode(),
        ("sep=;\r\n" + TEXT.replace('"a.jpg, b.jpg"', "a.jpg").replace(",", ";")).encode(),
        TEXT.replace('"a.jpg, b.jpg"', "a.jpg").replace(",", ";").replace("38.8", "38,8").encode(),
        ("\r\n\r\n,,,\r\n" + TEXT + "\r\n,,,,\r\n\r\n").encode(),
        TEXT.replace("2026-03-05", "2026年3月5日").replace("2026-03-06", "2026/3/6").encode(),
        TEXT.replace(",5,3,38.8", ",５,3,３８．８").encode(),
    ],
    ids=["ours", "no-bom", "gb18030", "utf-16", "lf", "cr", "tabs", "sep", "semicolons", "blank", "dates", "wide"],
)  # fmt: skip
def test_a_csv_whatever_a_spreadsheet_made_of_it(content: bytes) -> None:
    row = planting(read_table(content, "zh"))
    assert (row.order, row.planted, row.lat) == (42, 5, Decimal("38.8"))
    assert (row.planted_from, row.planted_to) == (date(2026, 3, 5), date(2026, 3, 6))
    assert (row.photos[0], row.notes) == (
        "a.jpg" if len(row.photos) != 1 or row.photos[0] == "a.jpg" else "",
        "沙地",
    )


def test_an_english_csv_in_the_windows_encoding() -> None:
    row = {**PLANTING_ROW, "notes": "près de l’étang", "site": "Alxa", "species": "saxaul"}
    content = made(form="csv", language="en", rows=[row]).decode("utf-8-sig").encode("cp1252")
    assert planting(read_table(content, "en")).notes == "près de l’étang"


def test_rows_without_an_answer_are_no_rows() -> None:
    waiting = {name: ORDER_ROW[name] for name in ORDER_ROW if name not in ("accepted", "reason")}
    assert read_table(made(ORDER, rows=[waiting]), "zh").rows == []
    numbered = {
        name: PLANTING_ROW[name] for name in ("order_no", "line_no", "report_no", "site", "species", "check")
    }
    table = read_table(made(rows=[numbered, PLANTING_ROW, numbered]), "zh")
    assert [row.number for row in table.rows] == [4]


def test_kinds_are_told_apart_by_their_columns() -> None:
    for kind in (ORDER, PLANTING, SURVIVAL):
        assert read_table(made(kind), "zh").kind is kind
        bare = changed(made(kind), lambda book: book.worksheets[0].delete_rows(1))
        assert read_table(bare, "zh").kind is kind


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda book: book.worksheets[0].delete_rows(1, 2), "no_header"),
        (lambda book: book.worksheets[0].delete_cols(8), "no_header"),
        (lambda book: book.worksheets[0].delete_cols(3), "columns_missing"),
        (lambda book: book.worksheets[0].cell(2, 18, "种植数量（株）"), "column_twice"),
        (lambda book: book.worksheets[0].cell(1, 17, "saxaul:planting:2:zh"), "newer_version"),
        (lambda book: book.worksheets[0].delete_rows(1, 9), "empty"),
    ],
)
def test_files_that_can_not_be_understood(change: Callable[[Any], None], code: str) -> None:
    content = changed(made(), change)
    if code == "empty":
        content = changed(content, lambda book: book.remove(book.worksheets[1]))
    with pytest.raises(FileRefused) as refusal:
        read_table(content, "zh")
    assert refusal.value.code == code


def test_five_thousand_rows_and_not_one_more() -> None:
    head, row = TEXT.splitlines()[:2], TEXT.splitlines()[2]
    lines = [row.replace(",1,1,", f",1,{number},") for number in range(ROWS_MAX)]
    table = read_table("\n".join([*head, *lines]).encode(), "zh")
    assert (len(table.rows), len(typed_rows(table))) == (ROWS_MAX, ROWS_MAX)
    with pytest.raises(FileRefused) as refusal:
        read_table("\n".join([*head, *lines, row]).encode(), "zh")
    assert refusal.value.code == "too_many_rows"


# --- what must hold within a row and between rows ---------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "column", "code"),
    [
        (PLANTING, {"date_to": date(2026, 3, 4)}, "date_to", "dates_reversed"),
        (PLANTING, {"lon": None}, "lon", "half_a_place"),
        (PLANTING, {"lat": None}, "lat", "half_a_place"),
        (SURVIVAL, {"alive": 26}, "alive", "more_than_planted"),
        (SURVIVAL, {"plot_area_m2": None}, "plot_area_m2", "missing"),
    ],
)
def test_rows_that_contradict_themselves(kind: Any, changes: dict[str, Any], column: str, code: str) -> None:
    table = read_table(made(kind, rows=[ROWS[kind.id] | changes]), "zh")
    assert typed_rows(table) == []
    assert [(problem.column, problem.code) for problem in table.problems] == [(column, code)]


def test_a_census_needs_no_plot_area() -> None:
    row = SURVIVAL_ROW | {"method": "census", "plot_area_m2": None}
    [found] = typed_rows(read_table(made(SURVIVAL, rows=[row]), "zh"))
    assert isinstance(found, SurvivalRow)
    assert found.area_m2 is None


@pytest.mark.parametrize(
    ("kind", "named"), [(ORDER, "line_no"), (PLANTING, "report_no"), (SURVIVAL, "plot_no")]
)
def test_the_second_of_two_equal_rows_is_told(kind: Any, named: str) -> None:
    table = read_table(made(kind, rows=[ROWS[kind.id]] * 2), "zh")
    assert [row.row for row in typed_rows(table)] == [3]
    assert [(one.row, one.column, one.code, one.fields["other"]) for one in table.problems] == [
        (4, named, "row_twice", 3)
    ]


def test_one_wrong_row_leaves_its_neighbours() -> None:
    rows = [
        PLANTING_ROW,
        PLANTING_ROW | {"report_no": "2", "planted": "many"},
        PLANTING_ROW | {"report_no": "3"},
    ]
    table = read_table(made(rows=rows), "zh")
    assert [row.row for row in typed_rows(table)] == [3, 5]
    assert [(one.row, one.column, one.code) for one in table.problems] == [(4, "planted", "not_whole")]


def test_an_answer_row() -> None:
    [row] = typed_rows(read_table(made(ORDER), "zh"))
    assert row == AnswerRow(
        3, 42, 1, 12, "苗木不足", "abcdefghijklmnopqrst", "Haloxylon ammodendron", 20, Decimal("7.38"), "CNY"
    )


# --- words ----------------------------------------------------------------------------------------


def test_every_code_has_words_in_both_languages() -> None:
    assert {code: languages for code, languages in codes().items() if languages != ["en", "zh"]} == {}


def test_problems_say_column_expectation_and_fix() -> None:
    table = read_table(made(rows=[PLANTING_ROW | {"date_from": "03/04/2026"}]), "zh")
    [problem] = table.problems
    told = cell_text(problem, PLANTING, "zh")
    assert told == "开始日期：“03/04/2026”看不出是 2026-04-03 还是 2026-03-04。请写成这两种中的一种。"
    assert cell_text(problem, PLANTING, "en").startswith(
        "date from: “03/04/2026” may be 2026-04-03 or 2026-03-04."
    )
    assert "4194304" in file_text(FileRefused("too_large", bytes_max=4194304), "en")
