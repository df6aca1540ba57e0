"""Tables of commands: what each does to an order and its trees, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from engine.core.errors import CODES, Rejected
from engine.core.units import DAY_MS
from partners.core import commands as c
from partners.core.model import ALLOCATED_TREES_MAX, ORDER_TREES_MAX, PartnerReport, PartnerTerms
from tests.partners.world import AUTUMN, SPRING, World, batch, terms


def refused(world: World, command: Any) -> Rejected:
    before = repr(world.rows)
    with pytest.raises(Rejected) as refusal:
        world.run(command)
    assert repr(world.rows) == before
    assert refusal.value.code in CODES
    return refusal.value


# --- allocation -----------------------------------------------------------------------------------


def test_enough_trees_make_an_order_at_once() -> None:
    world = World()
    world.pledge(3)
    order = world.formed()
    assert world.order(order).state == "submitted"
    assert world.line(order).units == [1, 2, 3]
    assert world.states(1, 2, 3) == ["ordered"] * 3
    assert world.delivery(f"submit:{order}").payload["quantity"] == 3


def test_first_come_first_placed_whatever_the_order_of_the_list() -> None:
    world = World()
    world.pledge(2, first=10)
    world.now += 1
    world.pledge(2, first=1)
    order = world.formed(units=(2, 11, 1, 10, 10))
    assert world.line(order).units == [10, 11, 1, 2]


def test_forming_again_changes_nothing() -> None:
    world = World()
    units = tuple(world.pledge(3))
    world.run(c.FormOrder(None, "minqin", units))
    before = repr(world.rows)
    assert world.run(c.FormOrder(None, "minqin", units)).events == []
    assert repr(world.rows) == before


def test_too_few_gather_in_a_draft_until_the_maximum_wait() -> None:
    world = World()
    world.pledge(2)
    world.now += 7 * DAY_MS - 1
    assert world.form().reply["formed"] is None
    assert world.states(1, 2) == ["allocated"] * 2
    [draft] = world.drafts()
    assert (world.order(draft).state, world.order(draft).due_at) == ("draft", world.now + 1)
    assert f"submit:{draft}" not in world.rows["deliveries"]
    assert world.form().events == []


def test_too_few_after_the_maximum_wait_ask_the_partner() -> None:
    world = World()
    world.pledge(2)
    world.now += 7 * DAY_MS
    order = world.formed()
    assert world.order(order).below_minimum
    assert world.delivery(f"submit:{order}").payload["below_minimum"] is True
    assert world.unit(1).note == "asked_below_minimum"


def test_a_draft_that_waited_long_enough_asks_the_partner() -> None:
    world = World()
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    world.now += 7 * DAY_MS
    world.run(c.FollowUpOrder(None, draft))
    assert (world.order(draft).state, world.order(draft).below_minimum) == ("submitted", True)
    assert world.states(1, 2) == ["ordered"] * 2


def test_too_few_roll_to_the_next_season_where_the_partner_is_not_asked() -> None:
    world = World(terms(agreed=PartnerTerms("elm", asks_below_minimum=False)))
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    world.now += 7 * DAY_MS
    world.run(c.FollowUpOrder(None, draft))
    assert world.order(draft).state == "cancelled"
    unit = world.unit(1)
    assert (unit.state, unit.declined, unit.note) == ("pledged", [f"elm/{SPRING.id}"], "waits_again:rolled")
    world.pledge(1, first=50)
    world.form()
    assert world.order(world.unit(50).order_id).season == SPRING.id
    assert world.order(world.unit(1).order_id).season == AUTUMN.id  # not asked again in this season


def test_a_partner_that_refuses_the_small_order_is_asked_in_the_next_season() -> None:
    world = World()
    world.pledge(2)
    world.now += 7 * DAY_MS
    order = world.formed()
    world.delivered(order)
    world.say(order, "rejected", reason="too few")
    assert world.unit(2).note == "waits_again:below_minimum"
    world.form()
    assert (world.unit(2).season, world.unit(2).note) == (AUTUMN.id, "rerouted")


def test_the_last_call_of_a_season_is_a_maximum_wait() -> None:
    world = World()
    world.now = SPRING.order_by_at - DAY_MS
    world.pledge(1)
    assert world.order(world.formed()).below_minimum


def test_one_command_places_a_thousand_trees_at_most() -> None:
    world = World()
    world.pledge(ALLOCATED_TREES_MAX + 5)
    assert world.line(world.formed()).ordered == ALLOCATED_TREES_MAX
    assert len(world.waiting()) == 5


def test_an_order_has_a_largest_size() -> None:
    world = World(terms(minimum_trees=ORDER_TREES_MAX))
    world.pledge(ORDER_TREES_MAX + 5)
    while world.waiting():
        world.form()
    [draft] = world.drafts()
    [out] = [number for number in world.rows["partner_orders"] if number != draft]
    assert (world.line(out).ordered, world.line(draft).ordered) == (ORDER_TREES_MAX, 5)


def test_no_programme_and_no_season() -> None:
    world = World(terms(seasons=()))
    world.pledge(3)
    world.form()
    assert world.states(1, 2, 3) == ["pledged"] * 3
    assert world.unit(1).note == "no_place:no_quota"
    assert refused(world, c.FormOrder(None, "moon", (1,))).code == "unknown_programme"


def test_pledging_twice_changes_nothing() -> None:
    world = World()
    world.pledge(1)
    assert world.run(c.PledgeUnit(None, 1, "minqin")).events == []


# --- the partner's answers ------------------------------------------------------------------------


def test_accepting_all_and_planting() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "accepted", accepted=4, external_ref="E-9")
    assert (world.order(order).state, world.order(order).external_ref) == ("accepted", "E-9")
    assert world.states(1, 4) == ["confirmed"] * 2
    world.say(order, "in_planting", accepted=4)
    world.say(order, "in_planting", accepted=4, batches=(batch("a", 1),))
    assert world.states(1, 2, 3, 4) == ["planted", "confirmed", "confirmed", "confirmed"]
    world.say(order, "planted", accepted=4, batches=(batch("a", 1), batch("b", 3)))
    assert world.order(order).state == "planted"
    assert world.states(1, 2, 3, 4) == ["planted"] * 4
    assert (world.line(order).accepted, world.line(order).reported, world.line(order).verified) == (4, 4, 0)
    assert world.rows["batches"][f"{order}/b"].units == [2, 3, 4]


def test_a_part_accepted_gives_the_rest_back() -> None:
    world = World()
    order = world.ordered(5)
    world.say(order, "accepted", accepted=3)
    assert world.line(order).units == [1, 2, 3]
    assert world.states(3, 4, 5) == ["confirmed", "pledged", "pledged"]
    assert world.unit(5).declined == [f"elm/{SPRING.id}"]
    assert world.unit(5).order_id is None


def test_rejected_trees_are_rerouted_to_the_same_species_and_region() -> None:
    world = World(terms(), terms("alxa", "oak"), terms("yili", "ash", region="CN-XJ"))
    order = world.ordered(3)
    world.say(order, "rejected", reason="no seedlings")
    assert world.order(order).state == "rejected"
    unit = world.unit(1)
    assert (unit.route, unit.state, unit.note) == ("minqin", "pledged", "waits_again:declined")
    other = world.formed()
    assert (world.order(other).partner, world.order(other).season) == ("oak", SPRING.id)
    assert world.unit(1).note == "rerouted"
    world.delivered(other)
    world.say(other, "rejected")
    last = world.formed()
    assert (world.order(last).partner, world.order(last).season) == ("elm", AUTUMN.id)


@pytest.mark.parametrize(
    "change",
    [
        {"unit_price_minor": 501},
        {"currency": "EUR"},
        {"species": "poplar"},
        {"region": "CN-XJ"},
    ],
)
def test_no_reroute_to_what_is_not_the_same(change: dict[str, Any]) -> None:
    world = World(terms(seasons=(SPRING,)), terms("alxa", "oak", **change))
    order = world.ordered(3)
    world.say(order, "rejected")
    world.form()
    assert (world.unit(1).state, world.unit(1).note) == ("pledged", "no_place:declined")
    assert world.unit(1).unplaced_at == world.now


def test_accepting_none_is_a_rejection() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "accepted", accepted=0)
    assert world.order(order).state == "rejected"


@pytest.mark.parametrize(
    ("fields", "differs_in"),
    [
        ({"accepted": 5}, "accepted"),
        ({"accepted": -1}, "accepted"),
        ({}, "accepted"),
        ({"accepted": 4, "ordered": 40}, "ordered"),
        ({"accepted": 4, "species": "poplar"}, "species"),
        ({"accepted": 4, "unit_price_minor": 900}, "unit_price_minor"),
        ({"accepted": 4, "currency": "USD"}, "currency"),
        ({"accepted": 4, "batches": (batch("1", 5),)}, "reported"),
    ],
)
def test_an_answer_that_differs_stops_the_order_for_a_person(fields: dict[str, Any], differs_in: str) -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "in_planting" if "batches" in fields else "accepted", **fields)
    row = world.order(order)
    assert (row.state, row.held) == ("submitted", "answer_differs")
    assert list(row.difference) == [differs_in]
    assert world.states(1, 4) == ["ordered"] * 2
    with pytest.raises(Rejected) as refusal:
        world.say(order, "accepted", accepted=4)
    assert refusal.value.code == "order_held"


@pytest.mark.parametrize("accepted", [None, 0, 4])
def test_planting_reported_by_who_has_only_received_the_order_needs_a_person(accepted: int | None) -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "received", accepted=accepted, batches=(batch("1", 1), batch("2", 2)))
    row = world.order(order)
    assert (row.state, row.held, row.difference) == ("submitted", "answer_differs", {"reported": [0, 3]})
    assert world.line(order).reported == 0


def test_an_amount_may_not_change_after_acceptance() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "accepted", accepted=4)
    world.say(order, "accepted", accepted=3)
    assert world.order(order).held == "answer_differs"


def test_a_batch_may_not_change_its_content() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "in_planting", accepted=4, batches=(batch("1", 2),))
    world.say(order, "in_planting", accepted=4, batches=(batch("1", 3),))
    assert world.order(order).difference == {"batch 1": [2, 3]}


def test_over_delivery_within_tolerance_counts_but_plants_no_more_trees_than_ordered() -> None:
    world = World()
    order = world.ordered(40)
    world.say(order, "planted", accepted=40, batches=(batch("1", 42),))
    assert (world.line(order).reported, len(world.rows["batches"][f"{order}/1"].units)) == (42, 40)
    other = World()
    order = other.ordered(40)
    other.say(order, "planted", accepted=40, batches=(batch("1", 43),))
    assert other.order(order).held == "answer_differs"


def test_planted_without_any_planting_is_not_believed() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4)
    assert (world.order(order).state, world.order(order).held) == ("submitted", "answer_differs")


def test_a_shortfall_goes_back_to_waiting() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 3),))
    assert world.states(3, 4) == ["planted", "pledged"]
    assert world.unit(4).note == "waits_again:shortfall"


def test_old_messages_that_come_late_change_nothing_but_the_inbox() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 4),))
    before = repr({name: rows for name, rows in world.rows.items() if name != "inbox"})
    world.say(order, "received")
    world.say(order, "accepted", accepted=4)
    world.say(order, "in_planting", accepted=4)
    assert repr({name: rows for name, rows in world.rows.items() if name != "inbox"}) == before


def test_a_message_counts_once() -> None:
    world = World()
    order = world.ordered(4)
    report = PartnerReport(order, "accepted", world.now, accepted=4)
    assert world.run(c.RecordReport(None, "elm", "m", "d", report)).reply["status"] == "recorded"
    before = repr(world.rows)
    again = world.run(c.RecordReport(None, "elm", "m", "d", report))
    assert (again.events, again.reply["status"]) == ([], "duplicate")
    assert repr(world.rows) == before
    assert refused(world, c.RecordReport(None, "elm", "m", "other", report)).code == "message_reused"


def test_nobody_speaks_for_another_partner() -> None:
    world = World()
    order = world.ordered(4)
    report = PartnerReport(order, "accepted", world.now, accepted=4)
    assert refused(world, c.RecordReport(None, "oak", "m", "d", report)).code == "unknown_order"
    missing = PartnerReport(999, "accepted", world.now, accepted=4)
    assert refused(world, c.RecordReport(None, "elm", "m", "d", missing)).code == "unknown_order"


@pytest.mark.parametrize(
    "shown",
    [
        batch("", 1),
        batch("1", 0),
        batch("1", -2),
        batch("1", 1, planted_from_on="10/03/2027"),
        batch("1", 1, planted_to_on="2027-13-01"),
    ],
)
def test_malformed_batches_are_refused(shown: Any) -> None:
    world = World()
    order = world.ordered(4)
    report = PartnerReport(order, "in_planting", world.now, accepted=4, batches=(shown,))
    assert refused(world, c.RecordReport(None, "elm", "m", "d", report)).code == "bad_request"


def test_no_report_says_verified() -> None:
    world = World()
    order = world.planted()
    report = PartnerReport(order, "verified", world.now, accepted=4)
    assert refused(world, c.RecordReport(None, "elm", "m", "d", report)).code == "bad_request"


@pytest.mark.parametrize(
    ("shown", "finding"),
    [
        (batch("1", 4, planted_from_on="2026-11-01", planted_to_on="2026-11-02"), "outside_season"),
        (batch("1", 4, planted_from_on="2027-03-11"), "dates_reversed"),
        (batch("1", 4, site="elsewhere"), "site_differs"),
        (batch("1", 4, evidence=()), "evidence_missing"),
        (batch("1", 4), "planted_in_future"),
    ],
)
def test_what_looks_wrong_is_found_and_left_to_the_reviewer(shown: Any, finding: str) -> None:
    world = World()
    order = world.ordered(4)
    if finding != "planted_in_future":
        world.now = SPRING.opens_at + 20 * DAY_MS
    world.say(order, "planted", accepted=4, batches=(shown,))
    assert world.rows["batches"][f"{order}/1"].findings == [finding]


# --- review ---------------------------------------------------------------------------------------


def test_only_a_review_verifies() -> None:
    world = World()
    order = world.planted()
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    assert world.order(order).state == "verified"
    assert world.states(1, 4) == ["verified"] * 2
    assert world.line(order).verified == 4


def test_a_report_that_the_reviewer_does_not_name_is_not_verified() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("A", 2), batch("B", 2)))
    partly = c.ReviewOrder(None, "operator:li", order, "verified", verified={"A": 2})
    assert refused(world, partly).fields["report_no"] == "B"
    assert world.states(1, 2, 3, 4) == ["planted"] * 4


def test_fewer_verified_than_reported_gives_the_rest_back() -> None:
    world = World()
    order = world.planted()
    world.run(c.ReviewOrder(None, "operator:li", order, "verified", verified={"1": 3}))
    assert world.states(3, 4) == ["verified", "pledged"]
    assert world.unit(4).note == "waits_again:not_verified"
    assert world.rows["batches"][f"{order}/1"].units == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"verified": {"1": 5}}, "over_verified"),
        ({"verified": {"1": -1}}, "over_verified"),
        ({"verified": {"1": 0}}, "nothing_verified"),
        ({"verified": {"7": 1}}, "bad_request"),
        ({"reviewer": "partner:elm"}, "own_review"),
        ({"reviewer": "elm"}, "own_review"),
        ({"reviewer": ""}, "own_review"),
        ({"verdict": "fine"}, "bad_request"),
        ({"order": 77}, "unknown_order"),
    ],
)
def test_reviews_that_are_refused(change: dict[str, Any], code: str) -> None:
    world = World()
    usual = {"key": None, "reviewer": "operator:li", "order": world.planted(), "verdict": "verified"}
    assert refused(world, c.ReviewOrder(**(usual | change))).code == code


@pytest.mark.parametrize("state", ["received", "accepted", "in_planting"])
def test_what_is_not_planted_is_not_reviewed(state: str) -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, state, accepted=4)
    assert refused(world, c.ReviewOrder(None, "operator:li", order, "verified")).code == "not_planted"


def test_a_batch_without_evidence_is_not_verified() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 4, evidence=()),))
    assert refused(world, c.ReviewOrder(None, "operator:li", order, "verified")).code == "evidence_missing"


def test_one_photo_does_not_serve_two_orders() -> None:
    world = World()
    first, second = world.ordered(3, first=1), world.ordered(3, first=10)
    world.say(first, "planted", accepted=3, batches=(batch("1", 3, "same-photo"),))
    world.say(second, "planted", accepted=3, batches=(batch("1", 3, "same-photo"),))
    assert "evidence_reused" in world.rows["batches"][f"{second}/1"].findings
    assert refused(world, c.ReviewOrder(None, "operator:li", second, "verified")).code == "evidence_reused"
    world.run(c.ReviewOrder(None, "operator:li", first, "verified"))


def test_one_photo_does_not_serve_two_batches_of_one_message() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 2, "same"), batch("2", 2, "same")))
    assert refused(world, c.ReviewOrder(None, "operator:li", order, "verified")).code == "evidence_reused"


def test_needs_info_is_answered_by_a_newer_report() -> None:
    world = World()
    order = world.planted()
    world.run(c.ReviewOrder(None, "operator:li", order, "needs_info", note="where is the fence?"))
    assert world.order(order).state == "needs_info"
    assert world.delivery(f"remind:{order}").payload["needs_info"] == "where is the fence?"
    old = PartnerReport(order, "planted", world.now - 1, accepted=4, batches=(batch("1", 4),))
    world.run(c.RecordReport(None, "elm", "old", "d", old))
    assert world.order(order).state == "needs_info"
    world.now += 1
    world.say(order, "planted", accepted=4, batches=(batch("1", 4),))
    assert world.order(order).state == "planted"


def test_needs_info_is_answered_by_more_evidence() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 4, evidence=()),))
    world.run(c.ReviewOrder(None, "operator:li", order, "needs_info", note="a photo, please"))
    world.now += 1
    world.say(order, "planted", accepted=4, batches=(batch("1", 4),))
    shown = world.rows["batches"][f"{order}/1"]
    assert len(shown.evidence) == 1 and "evidence_missing" not in shown.findings
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))


def test_more_evidence_that_another_order_showed_is_found() -> None:
    world = World()
    first, second = world.ordered(3, first=1), world.ordered(3, first=10)
    world.say(first, "planted", accepted=3, batches=(batch("1", 3, "mine"),))
    world.say(second, "planted", accepted=3, batches=(batch("1", 3, "other"),))
    more = (*batch("1", 3, "other").evidence, *batch("1", 3, "mine").evidence)
    world.say(second, "planted", accepted=3, batches=(batch("1", 3, evidence=more),))
    assert refused(world, c.ReviewOrder(None, "operator:li", second, "verified")).code == "evidence_reused"


def test_planting_reported_after_the_order_was_declared_done_needs_a_person() -> None:
    world = World()
    order = world.ordered(4)
    world.say(order, "planted", accepted=4, batches=(batch("1", 3),))
    world.say(order, "planted", accepted=4, batches=(batch("1", 3), batch("2", 1)))
    assert world.order(order).held == "reported_after_planted"


def test_back_to_planting() -> None:
    world = World()
    order = world.planted()
    world.run(c.ReviewOrder(None, "operator:li", order, "back", note="rows 3 to 5 are empty"))
    assert world.order(order).state == "in_planting"
    assert world.states(1) == ["planted"]


# --- ends, timers, holds --------------------------------------------------------------------------


def test_an_ended_order_says_so() -> None:
    world = World()
    order = world.ordered(3)
    world.now += 14 * DAY_MS
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).state == "expired"
    assert world.unit(1).note == "waits_again:no_answer"
    assert world.delivery(f"cancel:{order}").state == "waiting"
    report = PartnerReport(order, "accepted", world.now, accepted=3)
    assert refused(world, c.RecordReport(None, "elm", "late", "d", report)).code == "order_ended"
    world.say(order, "rejected")  # agrees with what is
    assert world.order(order).state == "expired"


def test_a_verified_order_takes_echoes_but_nothing_new() -> None:
    world = World()
    order = world.planted()
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    world.say(order, "planted", accepted=4, batches=(batch("1", 4),))
    with pytest.raises(Rejected) as refusal:
        world.say(order, "planted", accepted=4, batches=(batch("1", 4), batch("2", 1)))
    assert refusal.value.code == "order_ended"


def test_silence_is_polled_reminded_escalated_and_ended() -> None:
    world = World()
    order = world.ordered(3)
    seen: list[tuple[int, int, bool]] = []
    for _ in range(15 * 24):
        world.now += DAY_MS // 24
        world.run(c.FollowUpOrder(None, order))
        for kind in ("read", "remind"):
            row = world.rows["deliveries"].get(f"{kind}:{order}")
            if row is not None and row.state == "waiting":
                world.delivered(order, kind)
        row = world.order(order)
        day = (world.now - row.submitted_at) // DAY_MS
        if not seen or seen[-1][1:] != (row.reminders, row.escalated_at is not None):
            seen.append((day, row.reminders, row.escalated_at is not None))
        if row.state != "submitted":
            break
    assert seen == [(0, 0, False), (3, 1, False), (7, 2, False), (10, 2, True)]
    assert (world.order(order).state, (world.now - world.order(order).submitted_at) // DAY_MS) == (
        "expired",
        14,
    )


def test_a_late_follow_up_comes_to_the_same_end() -> None:
    world = World()
    order = world.ordered(3)
    world.now += 400 * DAY_MS
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).state == "expired"
    assert world.run(c.FollowUpOrder(None, order)).events == []


def test_a_follow_up_before_its_time_does_nothing() -> None:
    world = World()
    order = world.ordered(3)
    assert world.run(c.FollowUpOrder(None, order)).events == []


def test_a_hold_stops_timers_and_reports() -> None:
    world = World()
    order = world.ordered(3)
    world.run(c.HoldOrder(None, "operator:li", order, "dispute"))
    world.now += 100 * DAY_MS
    assert world.run(c.FollowUpOrder(None, order)).events == []
    with pytest.raises(Rejected):
        world.say(order, "accepted", accepted=3)
    expires_at = world.order(order).expires_at
    world.run(c.ResumeOrder(None, "operator:li", order))
    assert world.order(order).expires_at == expires_at + 100 * DAY_MS
    world.say(order, "accepted", accepted=3)
    assert world.order(order).state == "accepted"


def test_an_accepted_order_is_cancelled_when_the_partner_consents() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "accepted", accepted=3)
    asked = world.run(c.CancelOrder(None, "operator:li", order, "site burnt"))
    assert asked.reply == {"state": "accepted", "asked": "operator"}
    assert world.delivery(f"cancel:{order}").payload["consent"] is True
    assert world.run(c.CancelOrder(None, "operator:li", order, "site burnt")).events == []
    assert world.states(1, 2, 3) == ["confirmed"] * 3
    world.say(order, "cancelled", reason="agreed")
    assert world.order(order).state == "cancelled"
    assert world.states(1, 2, 3) == ["pledged"] * 3
    assert world.unit(1).declined == []  # the partner has not failed


def test_an_accepted_order_is_cancelled_when_we_consent() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "accepted", accepted=3)
    world.say(order, "cancelled", reason="no seedlings")
    assert (world.order(order).state, world.order(order).held) == ("accepted", "partner_asks_to_cancel")
    world.run(c.CancelOrder(None, "operator:li", order, "agreed"))
    assert (world.order(order).state, world.order(order).held) == ("cancelled", "")
    assert world.states(1, 2, 3) == ["pledged"] * 3


def test_a_partner_that_agreed_by_telephone() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "accepted", accepted=3)
    world.run(c.CancelOrder(None, "operator:li", order, "site burnt", consent="Wang, on the telephone"))
    assert (world.order(order).state, world.order(order).reason) == (
        "cancelled",
        "site burnt (Wang, on the telephone)",
    )


def test_cancelling_before_anything_is_answered() -> None:
    world = World()
    order = world.ordered(3)
    world.run(c.CancelOrder(None, "operator:li", order, "site burnt"))
    assert world.order(order).state == "cancelled"
    assert world.states(1, 2, 3) == ["pledged"] * 3
    assert world.delivery(f"cancel:{order}").payload == {"order": order, "reason": "site burnt"}


def test_an_order_that_never_left_is_cancelled_without_a_word() -> None:
    world = World()
    world.pledge(3)
    order = world.formed()
    world.run(c.CancelOrder(None, "operator:li", order, "mistake"))
    assert world.delivery(f"submit:{order}").state == "done"
    assert f"cancel:{order}" not in world.rows["deliveries"]


def test_an_order_on_its_way_is_cancelled_when_it_has_arrived() -> None:
    world = World()
    world.pledge(3)
    order = world.formed()
    world.run(c.ClaimDeliveries(None, "relay", 60_000, (f"submit:{order}",)))
    world.run(c.CancelOrder(None, "operator:li", order, "mistake"))
    assert f"cancel:{order}" not in world.rows["deliveries"]
    world.run(c.SettleDelivery(None, f"submit:{order}", "relay", "done"))
    assert world.delivery(f"cancel:{order}").state == "waiting"


def test_no_cancel_once_planting_is_reported() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "in_planting", accepted=3, batches=(batch("1", 1),))
    assert refused(world, c.CancelOrder(None, "operator:li", order, "x")).code == "already_reported"


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_a_partner_that_changes_its_mind_after_accepting_needs_a_person(state: str) -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "accepted", accepted=3)
    world.say(order, state, reason="flood")
    assert world.order(order).state == "accepted"
    assert world.order(order).held in ("rejected_after_acceptance", "partner_asks_to_cancel")


def test_a_partner_may_cancel_what_it_has_not_accepted() -> None:
    world = World()
    order = world.ordered(3)
    world.say(order, "cancelled", reason="closed")
    assert world.order(order).state == "cancelled"
    assert world.states(1) == ["pledged"]


def test_a_report_that_names_a_planting_twice_is_refused() -> None:
    world = World()
    world.pledge(4)
    order = world.formed()
    world.delivered(order)
    with pytest.raises(Rejected) as refusal:
        world.say(order, "planted", accepted=4, batches=(batch("a", 2, "one"), batch("a", 2, "two")))
    assert (refusal.value.code, refusal.value.fields) == ("bad_request", {"report_no": "a"})
