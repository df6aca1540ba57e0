"""Ours against theirs: what counts as a difference, statements as partners write them, and orders read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from engine.core.units import DAY_MS
from partners import jobs
from partners.core.reconciling import (
    Difference,
    OurLine,
    OurOrder,
    TheirLine,
    TheirOrder,
    differences,
)
from partners.reconcile import our_orders, with_read_back, with_statement
from partners.sheets.problems import FileRefused
from partners.year.desk import Step
from partners.year.running import _deliver, _redemptions
from partners.year.scenario import shipped
from partners.year.world import World, open_world

OURS = [
    OurOrder(7, "planted", 900, [OurLine(1, 10, 8, 8, 100, "CNY"), OurLine(2, 5, 5, 4, 120, "CNY")]),
    OurOrder(8, "submitted", 0, [OurLine(1, 20, 0, 0, 100, "CNY")]),
    OurOrder(9, "expired", 0, [OurLine(1, 20, 0, 0, 100, "CNY")]),
]


def said(number: int, state: str | None, invoiced: int | None = None, **lines: TheirLine) -> TheirOrder:
    return TheirOrder(number, state, invoiced, {int(name[1:]): line for name, line in lines.items()})


NONE = TheirLine()
AGREES = {
    7: said(7, "planted", 900, l1=TheirLine(8, 8, 100, "CNY"), l2=TheirLine(5, 4, None, None)),
    8: said(8, "received"),
}


def test_what_agrees_or_is_not_said_is_no_difference() -> None:
    assert list(differences(OURS, AGREES)) == []
    assert list(differences(OURS, AGREES | {9: said(9, "cancelled")})) == []


@pytest.mark.parametrize(
    ("their", "found"),
    [
        (said(7, "in_planting"), Difference(7, 0, "state", "planted", "in_planting")),
        (said(7, "planted", 901), Difference(7, 0, "invoiced", 900, 901)),
        (said(7, None, None, l1=TheirLine(9), l2=TheirLine()), Difference(7, 1, "accepted", 8, 9)),
        (said(7, None, None, l1=TheirLine(), l2=TheirLine(5, 5)), Difference(7, 2, "planted", 4, 5)),
        (said(7, None, None, l1=TheirLine(None, None, 99), l2=TheirLine()), Difference(7, 1, "unit_price", 100, 99)),
        (said(7, None, None, l1=TheirLine(currency="EUR"), l2=TheirLine()), Difference(7, 1, "currency", "CNY", "EUR")),
        (said(7, None, None, l1=TheirLine()), Difference(7, 2, "missing_with_them", 5, None)),
        (said(7, None, None, l1=NONE, l2=NONE, l3=TheirLine(4)), Difference(7, 3, "missing_with_us", None, 4)),
        (TheirOrder(7, silent="timeout"), Difference(7, 0, "not_told", "planted", "timeout")),
    ],
)  # fmt: skip
def test_each_difference_is_named(their: TheirOrder, found: Difference) -> None:
    assert list(differences(OURS, AGREES | {7: their})) == [found]


def test_orders_that_only_one_side_has() -> None:
    assert list(differences(OURS, {8: said(8, "received"), 99: said(99, "accepted")})) == [
        Difference(7, 0, "missing_with_them", "planted", None),
        Difference(99, 0, "missing_with_us", None, "accepted"),
    ]


# --- statements -----------------------------------------------------------------------------------------


def reconciled(text: str, language: str = "en", encoding: str = "utf-8") -> tuple[list[Any], list[Any]]:
    found = with_statement("elm", OURS, text.encode(encoding), language)
    return [(one.what, one.ours, one.theirs) for one in found.differences], [
        one.code for one in found.problems
    ]


SEVEN, EIGHT = order_number(7), order_number(8)
ENGLISH = "order no.,line no.,state,accepted quantity (trees),planted (trees),price each,currency,invoiced (with tax)\n"
CHINESE = "订单号;行号;状态;接受数量（株）;种植数量（株）;单价;币种;已开票金额（含税）\n"


def test_statements_in_both_languages() -> None:
    rows = f"{SEVEN},1,planted,8,8,1.00,CNY,9.00\n{SEVEN},2,planted,5,4,1.20,CNY,\n{EIGHT},,received,,,,,\n"
    assert reconciled(ENGLISH + rows) == ([], [])
    chinese = f"{SEVEN};1;已种植;8;8;1,00;CNY;8,00\n{SEVEN};2;已种植;5;4;;;\n{EIGHT};1;已收到;;;;;\n"
    assert reconciled(CHINESE + chinese, "zh", "gb18030") == ([("invoiced", 900, 800)], [])
    assert reconciled("\ufeff" + CHINESE + chinese, "zh") == ([("invoiced", 900, 800)], [])


def test_rows_that_cannot_be_understood_are_named_and_left_out() -> None:
    rows = (
        f"{SEVEN},1,planted,8,8,1.00,CNY,9.00\n"
        f"{SEVEN},1,planted,8,8,,,\n"  # the same line again
        f"{SEVEN},2,growing,5,4,,,\n"  # no such state
        f"{EIGHT},1,=1+1,,,,,\n"
        "PO-000007-X,1,planted,1,1,,,\n"  # the check character is wrong
    )
    found, codes = reconciled(ENGLISH + rows)
    assert codes == ["row_twice", "not_a_choice", "not_a_choice", "bad_number"] or codes == [
        "row_twice",
        "not_a_choice",
        "formula",
        "bad_number",
    ]
    assert ("missing_with_them", 5, None) in found


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04broken", b"\x00" * 300, b"a,b,c\n1,2,3\n", b"%PDF-1.7 what"]
)
def test_hostile_statements_are_refused(data: bytes) -> None:
    with pytest.raises(FileRefused):
        with_statement("elm", OURS, data, "en")


def test_a_price_with_more_digits_than_its_currency_is_nobodys_price() -> None:
    rows = f"{SEVEN},1,planted,8,8,1.001,CNY,9.00\n{SEVEN},2,planted,5,4,1.20,CNY,\n{EIGHT},1,received,,,,,\n"
    assert reconciled(ENGLISH + rows) == ([("unit_price", 100, -1)], [])


# --- on a database -------------------------------------------------------------------------------------


async def some_orders(world: World) -> None:
    plan = _redemptions(world)
    await world.all([wish for _ in range(365) for wish in next(plan)])
    world.clock.at += 40 * DAY_MS
    await jobs.form_orders(world.writer, world.db)
    await jobs.follow_up(world.writer, world.db)
    await _deliver(world)


async def test_orders_are_read_back_from_the_partner(tmp_path: Path) -> None:
    eight = shipped().with_partners(8)
    scenario = replace(eight, planters=tuple(replace(one, lost_pct=0) for one in eight.planters))
    async with open_world(scenario, f"sqlite:///{tmp_path}/year.db", 300, 1) as world:
        await some_orders(world)
        desk = world.desks["gobi-nurse"]
        async with world.db.snapshot() as view:
            ours = await our_orders(view, "gobi-nurse")
            assert await our_orders(view, "gobi-nurse", world.clock.at + 1) == []
            with pytest.raises(Rejected, match="unknown_partner"):
                await our_orders(view, "nobody")
        assert ours
        assert (await with_read_back("gobi-nurse", ours, desk)).is_clean
        held = desk._orders[ours[0].id]
        held.said = Step(world.clock.at, "accepted")
        held.accepted = [ours[0].lines[0].ordered - 1]
        found = await with_read_back("gobi-nurse", ours, desk)
        assert [(one.what, one.theirs) for one in found.differences] == [
            ("state", "accepted"),
            ("accepted", ours[0].lines[0].ordered - 1),
        ]
        del desk._orders[ours[0].id]
        found = await with_read_back("gobi-nurse", ours, desk)
        assert found.told()["differences"][0]["what"] == "missing_with_them"
        with pytest.raises(Rejected, match="not_polled"):
            await with_read_back("prompt", [], world.desks["prompt"])
