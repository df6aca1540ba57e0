"""What is written is read as it was, in both forms and languages, and no cell that leaves is ever worked out."""

from __future__ import annotations

import csv
import re
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.numbers import order_number
from partners.sheets.cells import EXECUTED
from partners.sheets.kinds import Column, FileKind
from partners.sheets.reading import read_table
from partners.sheets.returning import new_file, returned_file
from partners.sheets.rows import typed_rows
from tests.partners.sheets.making import KINDS, ROWS, made, unzipped

FORMS = ("xlsx", "csv")
SAFE_TEXT = st.text(
    st.characters(
        exclude_categories=("Cc", "Cs", "Co", "Cn", "Zl", "Zp"),
        exclude_characters="\u00ad\u200b\u200c\u200d\u2060\ufeff'",
    ),
    max_size=30,
).map(lambda text: " ".join(text.split()))
EVIL = st.sampled_from(
    ["=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(1)", '=HYPERLINK("http://x")', "＝1+1", "-5", "\t=1"]
)


def values(column: Column) -> st.SearchStrategy[Any]:
    if column.type == "order":
        return st.integers(1, 10**9).map(order_number)
    if column.type == "day":
        return st.dates(date(2000, 1, 1), date(2100, 12, 31))
    if column.type == "whole":
        return st.integers(column.least, column.most)
    if column.type == "decimal":
        return st.integers(column.least * 1000, min(column.most, 10**6) * 1000).map(
            lambda n: Decimal(n) / 1000
        )
    if column.choices is not None:
        return st.sampled_from(sorted(column.choices))
    text = st.text("abcXYZ0123456789-_", min_size=1, max_size=min(column.characters_max, 12))
    if column.type == "names":
        return st.lists(text, min_size=1, max_size=5, unique=True).map(", ".join)
    return text | SAFE_TEXT.filter(bool).map(lambda t: t[: column.characters_max].strip()).filter(bool)


def rows(kind: FileKind) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries({column.id: values(column) for column in kind.columns}), min_size=1, max_size=4
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_a_filled_file_reads_as_it_was_filled(kind: FileKind, language: str, form: Any) -> None:
    @settings(
        max_examples=12 if form == "xlsx" else 60, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(rows(kind))
    def law(filled: list[dict[str, Any]]) -> None:
        table = read_table(new_file(kind, language, filled, form), "zh")
        assert (table.kind, table.language, table.problems) == (kind, language, [])
        for row, wanted in zip(table.rows, filled, strict=True):
            for column in kind.columns:
                value, given_ = row.values[column.id], wanted[column.id]
                if column.type == "order":
                    assert order_number(value) == given_
                elif column.type == "names":
                    assert value == tuple(given_.split(", "))
                elif column.type == "decimal":
                    assert abs(value - given_) < Decimal("1e-9")
                else:
                    assert value == given_

    law()


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=40, deadline=None)
@given(notes=EVIL | st.text(max_size=40), site=EVIL | st.text(max_size=40))
def test_no_cell_that_leaves_is_worked_out(form: Any, notes: str, site: str) -> None:
    row = {**ROWS["planting"], "notes": notes, "site": site}
    content = made(form=form, rows=[row])
    assert_harmless(content, form)
    table = read_table(content, "zh")
    again = returned_file(content, table, table.problems, [], "zh")
    assert_harmless(again, form)


def assert_harmless(content: bytes, form: str) -> None:
    if form == "xlsx":
        for name, part in unzipped(content).items():
            assert not re.search(rb"<f[ >/]", part), name
        for sheet in openpyxl.load_workbook(BytesIO(content)).worksheets:
            for cells in sheet.iter_rows():
                for cell in cells:
                    assert cell.data_type != "f"
                    if isinstance(cell.value, str) and cell.value.startswith(EXECUTED):
                        assert cell.quotePrefix
        return
    for line in csv.reader(StringIO(content.decode("utf-8-sig"), newline="")):
        for cell in line:
            assert not cell.startswith(EXECUTED) or re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell), cell


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_typed_rows(kind: FileKind, form: Any) -> None:
    table = read_table(made(kind, form), "zh")
    [row] = typed_rows(table)
    assert row.row == 3
    assert row.check == "abcdefghijklmnopqrst"


def test_ids_are_locked_answers_open_and_lists_are_lists() -> None:
    for kind in KINDS:
        sheet = openpyxl.load_workbook(BytesIO(made(kind, rows=[ROWS[kind.id]]))).worksheets[0]
        assert sheet.protection.sheet
        for place, column in enumerate(kind.columns, start=1):
            assert sheet.cell(3, place).protection.locked == (not column.is_answer), column.id
        letters = {
            str(rule.sqref).rstrip("0123456789:")[0]: rule for rule in sheet.data_validations.dataValidation
        }
        assert letters
        lists = [rule for rule in sheet.data_validations.dataValidation if rule.type == "list"]
        assert len(lists) == sum(column.choices is not None for column in kind.columns)


def test_a_file_is_iso_dates_and_utf8() -> None:
    text = made(form="csv").decode("utf-8-sig")
    assert "2026-03-05" in text
    assert text.splitlines()[0].startswith("order_no,line_no,report_no")
    assert text.splitlines()[0].endswith("saxaul:planting:1:zh")
    book = openpyxl.load_workbook(BytesIO(made()))
    assert book.worksheets[0]["D3"].number_format == "yyyy-mm-dd"
