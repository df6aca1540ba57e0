"""Cells as people and spreadsheets write them: what is taken, and what is refused with which reading named."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.sheets.cells import ErrorValue, Formula, day_of, is_blank, value_of
from partners.sheets.kinds import ORDER, PLANTING, SURVIVAL, Column
from partners.sheets.problems import CellRefused

DAY = PLANTING.column("date_from")
TREES = PLANTING.column("planted")
LAT = PLANTING.column("lat")
NOTES = PLANTING.column("notes")
FIFTH = date(2026, 3, 5)


@pytest.mark.parametrize(
    "raw",
    [
        FIFTH,
        datetime(2026, 3, 5, 8, 30),  # noqa: DTZ001 - a spreadsheet has no zones
        "2026-03-05",
        "2026/3/5",
        "2026.3.5",
        "2026年3月5日",
        "2026 年 3 月 5 日",
        "２０２６年３月５日",
        "2026-03-05 00:00:00",
        "2026-03-05T08:00:00Z",
        "20260305",
        20260305,
        46086,
        46086.0,
        46086.75,
        "46086",
        "5 March 2026",
        "5 Mar 2026",
        "March 5, 2026",
        " 2026-03-05\u200b",
        "'2026-03-05",
    ],
)
def test_days_that_can_only_be_one(raw: Any) -> None:
    assert value_of(raw, DAY) == FIFTH


@pytest.mark.parametrize("raw", ["13/04/2026", "04/13/2026", "13.4.2026", "13-04-2026"])
def test_a_day_over_twelve_tells_the_month(raw: str) -> None:
    assert value_of(raw, DAY) == date(2026, 4, 13)


def test_a_serial_number_of_an_old_macintosh() -> None:
    assert day_of(46086 - 1462, epoch_1904=True) == FIFTH


@pytest.mark.parametrize("raw", ["03/04/2026", "3-4-2026", "03.04.2026", "０３／０４／２０２６"])
def test_a_day_that_may_be_two_names_both(raw: str) -> None:
    with pytest.raises(CellRefused) as refusal:
        value_of(raw, DAY)
    assert refusal.value.code == "ambiguous_day"
    assert {refusal.value.fields["first"], refusal.value.fields["second"]} == {
        date(2026, 4, 3),
        date(2026, 3, 4),
    }


def test_equal_day_and_month_are_not_ambiguous() -> None:
    assert value_of("03/03/2026", DAY) == date(2026, 3, 3)


@pytest.mark.parametrize(
    "raw",
    [
        "26/3/5",
        "3/5/26",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-W10",
        "春天",
        12,
        1.5,
        True,
        "31/02/2026",
        "1e5",
    ],
)
def test_what_is_no_day(raw: Any) -> None:
    with pytest.raises(CellRefused) as refusal:
        value_of(raw, DAY)
    assert refusal.value.code == "not_a_day"


@pytest.mark.parametrize("raw", ["1926-03-05", "2206-03-05"])
def test_a_slip_in_the_year(raw: str) -> None:
    with pytest.raises(CellRefused) as refusal:
        value_of(raw, DAY)
    assert refusal.value.code == "day_out_of_range"


@pytest.mark.parametrize(
    ("raw", "trees"),
    [
        (120, 120),
        (120.0, 120),
        ("120", 120),
        (" 120 ", 120),
        ("１２０", 120),
        ("120.0", 120),
        ("120,00", 120),
        ("120 株", 120),
        ("120棵", 120),
        ("120 trees", 120),
        ("1 200", 1200),
        ("1,234,567", 1234567),
        ("1'200", 1200),
        ("'120", 120),
        ("+120", 120),
    ],
)
def test_whole_numbers(raw: Any, trees: int) -> None:
    assert value_of(raw, TREES) == trees


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("12.5", "not_whole"),
        (12.5, "not_whole"),
        ("1,5", "not_whole"),
        ("about 12", "not_whole"),
        ("十二", "not_whole"),
        (True, "not_whole"),
        ("1e3", "not_whole"),
        ("0x10", "not_whole"),
        (float("inf"), "not_whole"),
        (float("nan"), "not_whole"),
        (date(2026, 3, 5), "not_whole"),
        ("9" * 400, "not_whole"),
        ("1.200", "ambiguous_number"),
        ("1,200", "ambiguous_number"),
        (0, "out_of_range"),
        (-5, "out_of_range"),
        (10**9, "out_of_range"),
        (Formula("=SUM(A1:A9)"), "formula"),
        (ErrorValue("#REF!"), "error_value"),
        (None, "missing"),
        ("  \u200b", "missing"),
    ],
)
def test_what_is_no_number_of_trees(raw: Any, code: str) -> None:
    with pytest.raises(CellRefused) as refusal:
        value_of(raw, TREES)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("raw", "figure"),
    [
        (38.8, "38.8"),
        (38, "38"),
        ("38.8", "38.8"),
        ("38,8", "38.8"),
        ("３８．８", "38.8"),
        ("38.8°", "38.8"),
        ("38.8° N", "38.8"),
        ("38.8S", "-38.8"),
        ("-38.8", "-38.8"),
        ("−38.8", "-38.8"),
    ],
)
def test_decimal_figures(raw: Any, figure: str) -> None:
    assert value_of(raw, LAT) == Decimal(figure)


@pytest.mark.parametrize(
    "raw", ["38°48'0\"N", "38.8.1", "1,234.5", "north", "nan", "inf", float("nan"), True, "91", "-90.01"]
)
def test_what_is_no_latitude(raw: Any) -> None:
    with pytest.raises(CellRefused):
        value_of(raw, LAT)


def test_a_missing_answer_that_may_be_missing() -> None:
    assert value_of(None, LAT) is None


@pytest.mark.parametrize(
    ("raw", "choice"),
    [("是", "yes"), ("Yes", "yes"), (" YES ", "yes"), (True, "yes"), ("否", "no"), ("no", "no")],
)
def test_choices_in_any_language(raw: Any, choice: str) -> None:
    assert value_of(raw, PLANTING.column("all_planted")) == choice
    with pytest.raises(CellRefused):
        value_of("perhaps", PLANTING.column("all_planted"))


@pytest.mark.parametrize(
    "raw", ["PO-000042-Z", "po 000042 z", "ＰＯ－０００042－Z", "PO–000042–Z", "PO-OOOO42-Z"]
)
def test_order_numbers_as_people_type_them(raw: str) -> None:
    assert value_of(raw, ORDER.column("order_no")) == 42


@pytest.mark.parametrize("raw", ["PO-000042-A", "SX-000042-4", "42", 42, "PO-", "x" * 900])
def test_other_numbers(raw: Any) -> None:
    with pytest.raises(CellRefused):
        value_of(raw, ORDER.column("order_no"))


@pytest.mark.parametrize(
    "raw", ["a.jpg,b.jpg", "a.jpg; b.jpg", "a.jpg、b.jpg", "a.jpg\nb.jpg", "a.jpg，b.jpg,a.jpg"]
)
def test_file_names_however_divided(raw: str) -> None:
    assert value_of(raw, PLANTING.column("photos")) == ("a.jpg", "b.jpg")


def test_text_keeps_what_it_says() -> None:
    assert value_of("'=1+1", NOTES) == "=1+1"
    assert value_of("  two\n lines ", NOTES) == "two lines"
    assert value_of(12.0, NOTES) == "12"
    assert value_of("it's 'fine'", NOTES) == "it's 'fine'"
    for raw, code in (
        ("x" * 501, "too_long"),
        ("a\x07b", "control_characters"),
        ("a\ud800", "control_characters"),
    ):
        with pytest.raises(CellRefused) as refusal:
            value_of(raw, NOTES)
        assert refusal.value.code == code


RAWS = (
    st.none()
    | st.text(max_size=60)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.dates()
    | st.datetimes()
    | st.builds(Formula, st.text(max_size=9))
    | st.builds(ErrorValue, st.text(max_size=9))
)
ALL_COLUMNS = [column for kind in (ORDER, PLANTING, SURVIVAL) for column in kind.columns]


@given(RAWS, st.sampled_from(ALL_COLUMNS))
def test_any_cell_is_a_value_or_a_named_refusal(raw: Any, column: Column) -> None:
    value, code = outcome(raw, column)
    assert (value is None) == (code != "" or (not column.is_required and is_blank(raw)))


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_every_day_is_read_in_every_clear_way(day: date) -> None:
    serial = (day - date(1899, 12, 30)).days
    ways = [
        day,
        day.isoformat(),
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        serial,
    ]
    ways += [str(serial), f"{day:%d %B %Y}", f"{day:%Y%m%d}" if day.year < 2100 else day]
    assert {value_of(way, DAY) for way in ways} == {day}


@given(st.integers(1, 28), st.integers(1, 28), st.integers(2000, 2100))
def test_a_day_that_may_be_two_is_never_guessed(first: int, second: int, year: int) -> None:
    found, code = outcome(f"{first}/{second}/{year}", DAY)
    if first <= 12 and second <= 12 and first != second:
        assert code == "ambiguous_day"
    elif first > 12 and second > 12:
        assert code == "not_a_day"
    else:
        assert {found.day, found.month} == {first, second}


def outcome(raw: Any, column: Column) -> tuple[Any, str]:
    """(value, code of the refusal)."""
    try:
        return value_of(raw, column), ""
    except CellRefused as refusal:
        return None, refusal.code
