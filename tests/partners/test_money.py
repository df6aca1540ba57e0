"""The books of orders: every entry balances, nothing is paid that was not committed, and it adds up to the cent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.units import DAY_MS
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.after_terms import Funding, Rate
from partners.core.context import Context
from partners.core.model import PARTNER_SHELVES, PartnerState
from partners.core.money import BALANCES, budget_hold_guard, split
from tests.partners.test_orders import refused
from tests.partners.watched import IN_THIRD_AUTUMN_ON, count, look, monitored, verified, watched_terms
from tests.partners.world import NOW, World, batch

EURO = Rate("CNY", "EUR", "0.127", "2026-11-23", "ECB")


def balances(world: World, order: int) -> dict[str, int]:
    """All accounts of an order."""
    totals: Counter[str] = Counter()
    for fund in world.rows["order_funds"].values():
        if fund.order_id == order:
            for account, name in BALANCES.items():
                totals[account] += getattr(fund, name)
    return {account: amount for account, amount in totals.items() if amount}


def books_balance(world: World) -> None:
    """Each fund's balances are the sums of its entries; each currency adds up to nothing with its fund."""
    for fund in world.rows["order_funds"].values():
        sums: Counter[tuple[str, str]] = Counter()
        for entry in world.rows["budget_entries"].values():
            if entry.fund_id == fund.id:
                assert entry.amount_minor > 0
                sums[entry.debit, entry.currency] += entry.amount_minor
                sums[entry.credit, entry.currency] -= entry.amount_minor
        for account, name in BALANCES.items():
            own = fund.currency if account == "held" else fund.price_currency
            assert sums[account, own] == getattr(fund, name) >= 0, (fund.id, account)
        if world.order(fund.order_id).state != "closed_short":
            with_partner = fund.committed_minor + fund.payable_minor + fund.paid_minor
            assert with_partner - fund.excess_minor == fund.trees * fund.price_minor, fund
        for currency in {fund.currency, fund.price_currency}:
            assert sum(amount for (_, of), amount in sums.items() if of == currency) == 0


def invoice(order: int, milestone: str, amount: int, **changes: Any) -> ac.RecordInvoice:
    usual: dict[str, Any] = {
        "key": None,
        "by": "partner:elm/wang",
        "order": order,
        "milestone": milestone,
        "invoice_no": f"{order}-{milestone}",
        "lines": (("planting", amount),),
        "tax_minor": 0,
        "due_on": "2027-12-31",
    }
    return ac.RecordInvoice(**(usual | changes))


def pay(world: World, order: int, milestone: str, amount: int) -> None:
    bill = world.run(invoice(order, milestone, amount)).reply["invoice"]
    world.run(ac.SettleInvoice(None, "operator:li", order, str(bill), True))


def test_a_submitted_order_holds_an_accepted_one_commits() -> None:
    world = World(watched_terms())
    order = world.ordered(5)
    assert balances(world, order) == {"held": 2500}
    world.say(order, "accepted", accepted=4)
    assert balances(world, order) == {"committed": 2000}
    books_balance(world)


@pytest.mark.parametrize("end", ["rejected", "expired", "cancelled", "cancelled after acceptance"])
def test_an_early_end_gives_everything_back(end: str) -> None:
    world = World(watched_terms())
    order = world.ordered(5)
    if end == "rejected":
        world.say(order, "rejected")
    elif end == "expired":
        world.now += 15 * DAY_MS
        world.run(c.FollowUpOrder(None, order))
    else:
        if end != "cancelled":
            world.say(order, "accepted", accepted=5)
        world.run(c.CancelOrder(None, "li", order, "mistake", "by telephone"))
    assert balances(world, order) == {}
    books_balance(world)


def test_milestones_fall_due_one_after_the_other_and_end_at_the_whole_price() -> None:
    world = World(watched_terms())
    order = monitored(world, 7)
    due = {row.milestone: row.amount_minor for row in world.rows["milestones"].values()}
    assert due == {"accepted": 1050, "verified": 1400}
    pay(world, order, "accepted", 1050)
    pay(world, order, "verified", 1400)
    count(world, order, alive=7)
    pay(world, order, "M12", 525)
    count(world, order, alive=6, on=IN_THIRD_AUTUMN_ON)
    pay(world, order, "M36", 525)
    look(world, order)
    assert balances(world, order) == {"paid": 3500}
    books_balance(world)


def test_a_milestone_below_its_band_waits_for_the_end() -> None:
    world = World(watched_terms())
    order = monitored(world)
    count(world, order, alive=1)
    assert refused(world, invoice(order, "M12", 1)).code == "milestone_open"


def test_trees_that_do_not_come_are_not_paid_and_what_was_paid_for_them_is_owed() -> None:
    world = World(watched_terms())
    order = world.ordered(10)
    world.say(order, "accepted", accepted=10)
    pay(world, order, "accepted", 1500)
    world.say(order, "planted", accepted=10, batches=(batch("1", 2),))
    assert balances(world, order) == {"paid": 1000, "owed": 500}
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    assert refused(world, invoice(order, "verified", 1)).code == "over_invoiced"
    repay = ac.RecordRepayment(None, "operator:li", order, 500, "bank slip 7")
    assert refused(world, replace(repay, amount_minor=501)).code == "over_repaid"
    world.run(repay)
    assert balances(world, order) == {"paid": 1000}
    books_balance(world)


def test_an_unpaid_bill_for_trees_that_left_is_owed_once_it_is_paid_or_freed_once_it_is_rejected() -> None:
    for is_paid, expected in ((True, {"paid": 1000, "owed": 500}), (False, {"committed": 1000})):
        world = World(watched_terms())
        order = world.ordered(10)
        world.say(order, "accepted", accepted=10)
        bill = str(world.run(invoice(order, "accepted", 1500)).reply["invoice"])
        world.say(order, "planted", accepted=10, batches=(batch("1", 2),))
        world.run(ac.SettleInvoice(None, "operator:li", order, bill, is_paid))
        assert balances(world, order) == expected
        books_balance(world)


def test_trees_that_leave_after_everything_is_billed_are_owed_too() -> None:
    world = World(watched_terms())
    order = world.ordered(10)
    world.say(order, "accepted", accepted=10)
    bill = str(world.run(invoice(order, "accepted", 1500)).reply["invoice"])
    world.say(order, "planted", accepted=10, batches=(batch("1", 2),))
    assert balances(world, order) == {"payable": 1500}
    world.run(c.ReviewOrder(None, "operator:li", order, "verified", verified={"1": 1}))
    world.run(ac.SettleInvoice(None, "operator:li", order, bill, True))
    assert balances(world, order) == {"paid": 500, "owed": 1000}
    books_balance(world)


def test_closing_short_gives_the_rest_back_and_writes_off_the_share_of_what_is_lost() -> None:
    world = World(watched_terms())
    order = monitored(world)
    pay(world, order, "accepted", 600)
    lost = ac.ProposeClosing(None, "operator:li", order, "flooded", "refund", {f"{order}/1": 3})
    world.run(lost)
    world.run(ac.ApproveClosing(None, "operator:wang", order))
    assert balances(world, order) == {"paid": 150, "lost": 450}
    books_balance(world)


# --- bills ----------------------------------------------------------------------------------------


def test_a_bill_counts_once_and_for_no_more_than_is_due() -> None:
    world = World(watched_terms())
    order = verified(world)
    bill = invoice(order, "accepted", 500, tax_minor=100)
    world.run(bill)
    assert world.run(bill).events == []
    assert refused(world, replace(bill, tax_minor=99)).code == "invoice_known"
    assert refused(world, replace(bill, invoice_no="2")).code == "over_invoiced"
    assert balances(world, order) == {"payable": 600, "committed": 1400}
    settle = ac.SettleInvoice(None, "operator:li", order, f"elm/{order}-accepted", False, "wrong tax number")
    world.run(settle)
    assert balances(world, order) == {"committed": 2000}
    assert refused(world, settle).code == "invoice_settled"
    assert refused(world, replace(settle, invoice="elm/none")).code == "unknown_invoice"
    world.run(replace(bill, invoice_no="3"))
    books_balance(world)


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": ()},
        {"lines": (("planting", 0),)},
        {"lines": (("planting", -5),)},
        {"tax_minor": -1},
        {"due_on": "soon"},
        {"invoice_no": ""},
        {"lines": (("x", 1),) * 101},
    ],
)
def test_a_bill_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    world = World(watched_terms())
    order = verified(world)
    assert refused(world, invoice(order, "accepted", 1, **changes)).code == "bad_request"


@pytest.mark.parametrize("why", ["held", "dispute", "report_overdue"])
def test_payments_stop_while_the_order_is_held_disputed_or_not_reported(why: str) -> None:
    world = World(watched_terms())
    order = world.ordered(4)
    world.say(order, "accepted", accepted=4)
    bill = str(world.run(invoice(order, "accepted", 100)).reply["invoice"])
    if why == "held":
        world.run(c.HoldOrder(None, "li", order, "suspended"))
    elif why == "dispute":
        world.run(ac.OpenDispute(None, "city", order, "who planted this?"))
    else:
        world.now = world.order(order).season_closes_at + 60 * DAY_MS
    assert refused(world, ac.SettleInvoice(None, "operator:li", order, bill, True)).code == "payments_held"
    assert balances(world, order)["payable"] == 100


# --- currencies -----------------------------------------------------------------------------------


def euro_world(set_aside: int = 800) -> World:
    """A partner paid in euro, funded in yuan: 1 yuan is 0.127 euro; a tree costs 1.00 euro, 7.88 yuan rounded up."""
    world = World(watched_terms(rates=(EURO,), place={"currency": "EUR", "unit_price_minor": 100}))
    world.pledge(7)
    world.funding = dict.fromkeys(range(1, 8), Funding(9, set_aside, "CNY"))
    return world


def test_where_currencies_differ_each_balances_and_the_rate_is_kept() -> None:
    world = euro_world()
    order = world.formed()
    world.delivered(order)
    [fund] = world.rows["order_funds"].values()
    assert (fund.held_minor, fund.rate["rate"]) == (5512, "0.127")  # 700 / 0.127 = 5511.8
    world.say(order, "planted", accepted=7, batches=(batch("1", 4),))
    [fund] = world.rows["order_funds"].values()
    assert (fund.committed_minor, fund.cost_minor) == (400, 5512 - 5512 * 300 // 700)
    books_balance(world)
    world.run(c.ReviewOrder(None, "operator:li", order, "verified", verified={"1": 1}))
    pay(world, order, "accepted", 30)
    books_balance(world)


def test_trees_whose_funding_does_not_pay_the_price_wait() -> None:
    assert euro_world(set_aside=787).form().reply["unplaced"] == 7
    poor = World(watched_terms())
    poor.pledge(3)
    poor.funding[2] = Funding(1, 499, "CNY")
    told = poor.form().reply
    assert (told["drafted"], told["unplaced"]) == (2, 1)
    assert poor.unit(2).note == "no_place:price_above_funding"


def test_the_guard_names_what_an_order_would_hold_and_changes_nothing() -> None:
    world = World(watched_terms())
    world.pledge(4)
    state = PartnerState(PARTNER_SHELVES)
    for number in range(1, 6):
        state.tree_units.loaded(number, world.rows["tree_units"].get(number))
    context = Context(NOW, lambda: 1, world.terms, world.partners, world.funding.get)
    holds = budget_hold_guard(state, [1, 2, 3], 500, "CNY", "elm", context)
    assert [(hold.commitment, hold.trees, hold.amount_minor) for hold in holds] == [(1, 1, 500), (2, 2, 1000)]
    for units, price, currency in (([1, 5], 500, "CNY"), ([1], 501, "CNY"), ([1], 500, "EUR")):
        with pytest.raises(Exception, match="not_funded"):
            budget_hold_guard(state, units, price, currency, "elm", context)


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(sum))
def test_a_split_adds_up_and_no_part_is_off_by_one_cent(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert amount * weight // sum(weights) <= part <= -(-amount * weight // sum(weights))
