"""Where records, orders, money and the watch meet: agreements rule what follows planting, and one hold stops all."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from engine.core.units import DAY_MS
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.model import LineSaid, PartnerTerms
from partners.core.records import commands as r
from partners.core.records.agreed import Band, Milestone, as_row_terms, with_agreement
from partners.core.records.rows import Agreement
from partners.standard import standard_terms
from tests.partners.test_allocation import shown
from tests.partners.test_money import balances, books_balance, invoice, pay
from tests.partners.test_orders import refused
from tests.partners.watched import count, look, monitored, verified, watched_terms
from tests.partners.world import NOW, SPRING, World, agreed, batch, terms


def several_lines() -> tuple[World, int]:
    """A submitted order of two species, three trees each at 5.00 and at 3.00, of the standard terms."""
    elm = PartnerTerms("elm", lines_max=3, after=standard_terms())
    world = World(
        terms(agreed=elm, minimum_trees=6),
        terms("gobi", agreed=elm, minimum_trees=6, species="caragana", site="gobi", unit_price_minor=300),
    )
    world.pledge(3)
    world.pledge(3, "gobi", first=11)
    world.form()
    order = world.formed("gobi")
    world.delivered(order)
    return world, order


def suspend(world: World, status: str = "suspended") -> None:
    world.run(r.MovePartner(None, "li", "elm", status, "a complaint is looked into"))


# --- money of several lines -------------------------------------------------------------------------


def test_each_line_is_held_committed_and_returned_at_its_own_price() -> None:
    world, order = several_lines()
    assert balances(world, order) == {"held": 3 * 500 + 3 * 300}
    world.say(order, "accepted", lines=(LineSaid(1, 3), LineSaid(2, 1)))
    assert balances(world, order) == {"committed": 3 * 500 + 300}
    by_line = [row for row in world.rows["order_funds"].values() if row.trees]
    assert {row.price_minor for row in by_line} == {500, 300}
    books_balance(world)


def test_what_is_due_on_acceptance_is_of_all_lines() -> None:
    world, order = several_lines()
    world.say(order, "accepted", lines=(LineSaid(1, 3), LineSaid(2, 1)))
    due = {row.milestone: row.amount_minor for row in world.rows["milestones"].values()}
    assert due == {"accepted": (3 * 500 + 300) * 30 // 100}
    pay(world, order, "accepted", due["accepted"])
    assert balances(world, order)["paid"] == due["accepted"]
    books_balance(world)


def test_lines_are_verified_apart_and_count_for_their_own_programme() -> None:
    world, order = several_lines()
    said = (LineSaid(1, 3), LineSaid(2, 3))
    world.say(order, "planted", lines=said, batches=(shown("a", 3, 1), shown("b", 2, 2)))
    assert balances(world, order) == {
        "committed": 3 * 500 + 2 * 300
    }  # the tree that was not planted is not paid
    world.run(c.ReviewOrder(None, "operator:li", order, "verified", verified={"a": 3, "b": 1}))
    assert [(line.programme, line.verified) for line in world.lines(order)] == [("minqin", 3), ("gobi", 1)]
    assert world.rows["performances"]["elm"].verified == 4
    assert balances(world, order) == {"committed": 3 * 500 + 300}
    books_balance(world)


def test_a_withdrawn_tree_has_nothing_held_any_more() -> None:
    world = World(terms(seasons=(SPRING,), energy_back_ms=60 * DAY_MS))
    order = world.ordered(4)
    assert balances(world, order) == {"held": 2000}
    world.say(order, "rejected")
    world.form()
    assert {unit.note for unit in world.units()} == {"no_place:declined"}
    for unit in world.units():
        world.run(c.WithdrawUnit(None, unit.id, "energy_back:chosen"))
    assert balances(world, order) == {}
    books_balance(world)


# --- what an agreement says of the time after planting ----------------------------------------------


def test_an_agreement_fills_the_terms_of_what_follows_planting() -> None:
    told = agreed(
        survival_m12=Band(80),
        survival_m36=Band(65, "lower_bound"),
        milestones=(Milestone("planted", 50), Milestone("m12_in_band", 50)),
        claim_policy="co_funded",
        claim_share_pct=40,
        evidence_min=3,
    )
    row = Agreement("elm/1", "elm", 1, "active", "2026-01-01", "2032-12-31", NOW, as_row_terms(told))
    holds = with_agreement(PartnerTerms("elm", after=standard_terms()), row)
    after = holds.after
    assert [after.band_bp("from_400_mm", figure) for figure in ("survival", "preservation")] == [8000, 6500]
    assert [after.reading(figure) for figure in ("survival", "preservation")] == ["estimate", "lower_bound"]
    assert [(one.trigger, one.pct) for one in after.milestones] == [("planted", 50), ("M12", 50)]
    assert (after.own_share_pct, holds.evidence_min, after.payments_hold_ms) == (40, 3, 60 * DAY_MS)
    standard = standard_terms()
    assert (after.stages, after.review_levels, after.fix_ms) == (
        standard.stages,
        standard.review_levels,
        standard.fix_ms,
    )


def test_a_milestone_may_hang_on_what_the_partner_reports_planted() -> None:
    world = World(terms(), has_records=False)
    world.onboard(terms(), milestones=(Milestone("planted", 60), Milestone("verified", 40)))
    order = world.ordered(5)
    world.say(order, "planted", accepted=5, batches=(batch("1", 4),))
    due = {row.milestone: row.amount_minor for row in world.rows["milestones"].values()}
    assert due == {"planted": 4 * 500 * 60 // 100}  # of what was planted, not of what was agreed


# --- holds ------------------------------------------------------------------------------------------


def test_a_suspended_partners_watched_order_stands_still_but_for_its_counts() -> None:
    world = World(watched_terms())
    order = monitored(world, 4)
    world.run(invoice(order, "accepted", 100))
    suspend(world)
    bill = ac.SettleInvoice(None, "operator:li", order, f"elm/{order}-accepted", True)
    assert refused(world, bill).fields["reason"] == "partner_suspended"  # before any job has looked
    world.run(c.RecheckOrder(None, order))
    assert world.order(order).held == "partner_suspended"
    assert refused(world, bill).code == "payments_held"
    assert refused(world, c.ResumeOrder(None, "li", order)).code == "partner_blocked"
    count(world, order, 1)  # a surveyor needs no partner
    assert world.order(order).state == "replanting"
    look(world, order)
    assert world.rows["replacements"] == {}  # nothing is asked of the partner
    suspend(world, "active")
    world.run(c.RecheckOrder(None, order))
    assert world.order(order).held == ""
    look(world, order)
    assert len(world.rows["replacements"]) == 1
    world.run(bill)


def test_a_due_watch_notices_by_itself_that_the_partner_may_not_be_asked() -> None:
    world = World(watched_terms())
    order = verified(world)
    suspend(world)
    look(world, order)
    assert (world.order(order).state, world.order(order).held) == ("verified", "partner_suspended")


def test_a_dispute_and_a_suspension_hold_one_after_the_other() -> None:
    world = World(watched_terms())
    order = monitored(world)
    suspend(world)
    world.run(c.RecheckOrder(None, order))
    held_at = world.order(order).held_at
    dispute = int(str(world.run(ac.OpenDispute(None, "funder:city", order, "the place")).reply["dispute"]))
    suspend(world, "active")
    world.run(c.RecheckOrder(None, order))
    assert (world.order(order).held, world.order(order).held_at) == ("dispute", held_at)
    suspend(world)
    world.run(ac.DecideDispute(None, "operator:li", dispute, "dismissed", "the place is right"))
    assert (world.order(order).held, world.order(order).held_at) == ("partner_suspended", held_at)
    suspend(world, "active")
    world.run(c.RecheckOrder(None, order))
    assert world.order(order).held == ""


# --- replacements and tests -------------------------------------------------------------------------


def test_a_replacement_is_of_its_own_kind_under_the_parents_agreement_without_a_quota() -> None:
    world = World(watched_terms())
    order = monitored(world)
    count(world, order, 1)
    quotas = {name: (row.held, row.ordered, row.planted) for name, row in world.rows["quotas"].items()}
    look(world, order)
    [row] = world.rows["replacements"].values()
    child, line = world.order(row.id), world.line(row.id)
    assert (child.kind, child.agreement) == ("replacement", world.order(order).agreement)
    assert (line.quota, line.unit_price_minor, line.programme) == ("", 0, "minqin")
    asked = world.delivery(f"submit:{row.id}").payload
    assert (asked["kind"], asked["replaces"]) == ("replacement", order)
    assert child.payload_hash
    assert quotas == {
        name: (row.held, row.ordered, row.planted) for name, row in world.rows["quotas"].items()
    }
    assert world.rows["performances"]["elm"].asked == 4  # what is owed is not asked anew


@pytest.mark.parametrize("payer", ["funder", "shared"])
def test_what_others_would_have_to_pay_for_waits_for_a_person(payer: str) -> None:
    place = watched_terms()
    world = World(place, has_records=False)
    world.onboard(place, replacement_pays=payer)
    order = monitored(world)
    count(world, order, 1)
    look(world, order)
    assert world.rows["replacements"] == {}
    assert world.order(order).escalated_at is not None
    [audit] = [row for row in world.rows["audits"].values() if row.verdict == "below_band"]
    rejected = refused(world, ac.OrderReplacement(None, "operator:li", order, audit.id))
    assert (rejected.code, rejected.fields["guard"]) == ("not_ready", "replacement_unpaid")


def test_trees_that_are_replaced_leave_their_quota_with_their_line() -> None:
    world = World(watched_terms(place={"granularity": "individual"}))
    order = monitored(world)
    quota = world.quota(world.line(order).quota)
    assert (quota.ordered, quota.planted) == (4, 4)
    count(world, order, 2, dead=(1, 2))
    look(world, order)
    [row] = world.rows["replacements"].values()
    world.delivered(row.id)
    world.now += 200 * DAY_MS
    world.say(row.id, "planted", accepted=2, batches=(batch("1", 2, "anew"),))
    world.run(c.ReviewOrder(None, "operator:li", row.id, "verified"))
    look(world, order)
    assert world.unit(1).line_id == world.line(row.id).id
    quota = world.quota(world.line(order).quota)
    assert (quota.ordered, quota.planted) == (2, 2)


def test_a_verified_test_order_is_nobodys_trees_and_ends() -> None:
    elm = PartnerTerms("elm", is_live=False, after=standard_terms())
    world = World(terms(agreed=elm))
    order = int(str(world.run(c.OrderTest(None, "li", "elm", "haloxylon", "minqin-north", 5)).reply["order"]))
    world.delivered(order)
    world.say(order, "planted", accepted=5, batches=(batch("1", 5),))
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    look(world, order)
    assert world.order(order).state == "completed"
    for name in ("claims", "audits", "order_funds", "milestones"):
        assert world.rows[name] == {}
    assert world.rows["performances"]["elm"].verified == 0


# --- the log ----------------------------------------------------------------------------------------


def test_the_log_tells_of_records_and_of_nobodys_address() -> None:
    world = World(terms())
    contact = r.ContactWish("orders", "Wang Fang", "wang.fang@example.org")
    world.run(r.SetContacts(None, "li", "elm", (contact,)))
    lines = [row for row in world.rows["audit_events"].values() if row.actor == "li"]
    told = {(row.entity.split()[0], row.what) for row in lines}
    assert {
        ("partner", "status"), ("partner", "documents"), ("partner", "contacts"), ("partner", "agreement"),
        ("agreement", "status"), ("site", "status"), ("site", "geometry"), ("species", "status"),
        ("quota", "capacity"),
    } <= told  # fmt: skip
    [moved] = [
        row for row in lines if (row.entity, row.what, row.became) == ("partner elm", "status", "active")
    ]
    assert moved.was == "vetting"
    text = json.dumps([asdict(row) for row in world.rows["audit_events"].values()])
    assert "example.org" not in text
    assert "Wang" not in text


def test_the_log_tells_of_drafts_and_of_what_became_of_them() -> None:
    world = World(terms(minimum_trees=6))
    world.pledge(3)
    world.form()
    [draft] = world.drafts()
    world.run(c.SubmitOrder(None, "li", draft))
    lines: list[Any] = [row for row in world.rows["audit_events"].values() if row.what == "state"]
    assert [(row.was, row.became) for row in lines if row.entity.startswith("order")] == [
        ("", "draft"),
        ("draft", "submitted"),
    ]
