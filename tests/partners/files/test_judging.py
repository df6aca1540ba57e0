"""What rows mean for orders: which are taken, which are answered with a fix, and which stop the order for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from partners.adapters.files.judging import (
    Judged,
    KnownBatch,
    OrderFacts,
    judge_answers,
    judge_plantings,
    major,
    minor,
)
from partners.adapters.files.names import names_of
from partners.sheets.rows import AnswerRow, PlantingRow
from tests.partners.bench import RULES

NOW = 1_795_392_000_000
TODAY = date(2026, 11, 24)
NAMES = names_of(RULES)
ASKED = OrderFacts(42, "submitted", "", "saxaul", "saxaul-alxa", 738, "CNY", 5, 20, 0, 0)
ACCEPTED = replace(ASKED, state="accepted", accepted=20)
BATCH = KnownBatch(8, "2026-11-20", "2026-11-21", "saxaul-alxa", 1)
BEGUN = replace(ACCEPTED, state="in_planting", reported=8, batches={"1": BATCH})


def answer(**changes: Any) -> AnswerRow:
    return replace(
        AnswerRow(3, 42, 1, 12, "", "good", "Haloxylon ammodendron", 20, Decimal("7.38"), "CNY"), **changes
    )


def planting(row: int = 3, **changes: Any) -> PlantingRow:
    usual = PlantingRow(
        row, 42, 1, "2", date(2026, 11, 22), date(2026, 11, 23), 5, "good", "内蒙古阿拉善", "梭梭", 3, None, None, "",
        (), "", False,
    )  # fmt: skip
    return replace(usual, **changes)


def answers(known: OrderFacts | None, *rows: AnswerRow) -> Judged:
    return judge_answers(rows, {42: known} if known else {}, is_code, NAMES, NOW)


def plantings(known: OrderFacts | None, *rows: PlantingRow, spoilt: bool = False, **photos: str) -> Judged:
    shown = {name.replace("_", "."): sha for name, sha in photos.items()}
    return judge_plantings(
        rows, {42: known} if known else {}, is_code, NAMES, shown, TODAY, NOW, lambda order: spoilt
    )


def is_code(order: int, code: str) -> bool:
    return code == "good"


def test_an_answer_carries_what_the_partner_believes() -> None:
    [(report, rows)] = answers(ASKED, answer()).reports
    assert (report.state, report.accepted, report.ordered, report.species) == ("accepted", 12, 20, "saxaul")
    assert (report.unit_price_minor, report.currency, rows) == (738, "CNY", (3,))
    [(declined, _)] = answers(ASKED, answer(accepted=0, reason="no seedlings")).reports
    assert (declined.state, declined.reason) == ("rejected", "no seedlings")


@pytest.mark.parametrize(
    ("known", "changes", "column", "code"),
    [
        (None, {}, "order_no", "unknown_order"),
        (ASKED, {"check": "bad"}, "check", "wrong_check"),
        (ASKED, {"check": ""}, "check", "wrong_check"),
        (ASKED, {"line_no": 2}, "line_no", "unknown_line"),
        (ASKED, {"accepted": 21}, "accepted", "over_ordered"),
        (ASKED, {"species": "saxual"}, "species", "unknown_species"),
        (replace(ASKED, held="mail_bounced"), {}, "", "order_held"),
        (replace(ASKED, state="expired"), {}, "", "order_ended"),
        (ACCEPTED, {"accepted": 12}, "accepted", "answered_before"),
    ],
)
def test_answers_that_are_told_and_change_nothing(
    known: OrderFacts | None, changes: dict[str, Any], column: str, code: str
) -> None:
    judged = answers(known, answer(**changes))
    assert judged.reports == []
    assert [(one.row, one.column, one.code) for one in judged.problems] == [(3, column, code)]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"species": "红柳"}, "species", "tamarix"),
        ({"quantity": 200}, "ordered", 200),
        ({"unit_price": Decimal("9.99")}, "unit_price_minor", 999),
        ({"unit_price": Decimal("7.381")}, "unit_price_minor", -1),
        ({"currency": "usd"}, "currency", "USD"),
    ],
)
def test_what_would_change_the_deal_is_passed_on_as_said(
    changes: dict[str, Any], field: str, said: Any
) -> None:
    [(report, _)] = answers(ASKED, answer(**changes)).reports
    assert getattr(report, field) == said


def test_the_same_answer_again_is_no_problem() -> None:
    assert answers(ACCEPTED, answer(accepted=20)).problems == []
    assert answers(replace(ACCEPTED, state="verified"), answer(accepted=20)).problems == []


def test_a_planting_is_absolute_and_says_what_was_accepted() -> None:
    [(report, rows)] = plantings(BEGUN, planting(), planting(4, report_no="3", planted=2)).reports
    assert (report.state, report.accepted, rows) == ("in_planting", 20, (3, 4))
    assert [(one.report_no, one.quantity, one.site) for one in report.batches] == [
        ("2", 5, "saxaul-alxa"),
        ("3", 2, "saxaul-alxa"),
    ]


@pytest.mark.parametrize(
    ("known", "changes", "column", "code"),
    [
        (None, {}, "order_no", "unknown_order"),
        (BEGUN, {"check": "bad"}, "check", "wrong_check"),
        (ASKED, {}, "order_no", "not_accepted_yet"),
        (BEGUN, {"planted": 14}, "planted", "over_accepted"),
        (BEGUN, {"report_no": "1"}, "report_no", "reported_before"),
        (BEGUN, {"species": "saxual"}, "species", "unknown_species"),
        (BEGUN, {"planted_to": date(2026, 11, 25)}, "date_to", "in_future"),
        (replace(BEGUN, state="planted"), {}, "report_no", "declared_planted"),
        (replace(BEGUN, state="verified"), {}, "", "order_ended"),
        (replace(BEGUN, state="cancelled"), {}, "", "order_ended"),
        (replace(BEGUN, held="answer_differs"), {}, "", "order_held"),
    ],
)
def test_plantings_that_are_told_and_change_nothing(
    known: OrderFacts | None, changes: dict[str, Any], column: str, code: str
) -> None:
    judged = plantings(known, planting(**changes))
    assert judged.reports == []
    assert [(one.row, one.column, one.code) for one in judged.problems] == [(3, column, code)]


def test_a_wrong_row_leaves_the_others_and_holds_back_the_end() -> None:
    last = planting(5, report_no="4", planted=1, all_planted=True)
    judged = plantings(BEGUN, planting(planted=12), planting(4, report_no="3", planted=9), last)
    [(report, rows)] = judged.reports
    assert (report.state, rows) == ("in_planting", (3, 5))
    assert [(one.row, one.code) for one in judged.problems] == [(4, "over_accepted")]


def test_the_end_is_declared_only_for_a_whole_file() -> None:
    last = planting(all_planted=True)
    assert plantings(BEGUN, last).reports[0][0].state == "planted"
    assert plantings(BEGUN, last, spoilt=True).reports[0][0].state == "in_planting"
    assert plantings(BEGUN, planting()).reports[0][0].state == "in_planting"


def test_tolerance_counts() -> None:
    assert plantings(BEGUN, planting(planted=13)).problems == []


def test_a_repeated_row_is_passed_on_for_its_photos_and_adds_nothing() -> None:
    days = {"planted_from": date(2026, 11, 20), "planted_to": date(2026, 11, 21)}
    again = planting(report_no="1", planted=8, photos=("x.jpg", "y.jpg"), **days)
    judged = plantings(replace(BEGUN, state="needs_info"), again, x_jpg="aa", y_jpg="bb")
    [(report, _)] = judged.reports
    assert (report.state, judged.problems, judged.notes) == ("planted", [], [])
    assert [one.sha256 for one in report.batches[0].evidence] == ["aa", "bb"]


def test_photos_that_did_not_come_along_are_noted() -> None:
    judged = plantings(BEGUN, planting(photos=("X.jpg", "y.jpg")), x_jpg="aa")
    [(report, _)] = judged.reports
    assert [(one.name, one.sha256) for one in report.batches[0].evidence] == [("X.jpg", "aa")]
    assert [(one.code, one.fields["names"]) for one in judged.notes] == [("photo_not_attached", ["y.jpg"])]


def test_another_species_stops_the_order_in_the_core() -> None:
    [(report, _)] = plantings(BEGUN, planting(species="红柳")).reports
    assert report.species == "tamarix"


def test_another_site_is_passed_on_and_found_there() -> None:
    [(report, _)] = plantings(BEGUN, planting(site="民勤")).reports
    assert report.batches[0].site == "民勤"


def test_many_rows_are_several_reports_and_only_the_last_ends_the_order() -> None:
    many = replace(ACCEPTED, ordered=300, accepted=300)
    rows = [
        planting(number, report_no=str(number), planted=1, all_planted=number == 252)
        for number in range(3, 253)
    ]
    reports = [report for report, _ in plantings(many, *rows).reports]
    assert [len(report.batches) for report in reports] == [100, 100, 50]
    assert [report.state for report in reports] == ["in_planting", "in_planting", "planted"]


@pytest.mark.parametrize(
    ("price", "currency", "in_minor"), [("7.38", "CNY", 738), ("500", "JPY", 500), ("1.234", "KWD", 1234)]
)
def test_money_has_the_digits_of_its_currency(price: str, currency: str, in_minor: int) -> None:
    assert minor(Decimal(price), currency) == in_minor
    assert major(in_minor, currency) == Decimal(price)
