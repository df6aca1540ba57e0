"""What follows verified: counts in their seasons, replacement, completion, closing short, disputes, claims."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from engine.core.units import DAY_MS
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.after_terms import AuditStage
from partners.core.audits import window
from partners.core.disputes import after_workdays, before_workdays
from partners.standard import standard_terms
from tests.partners.test_orders import refused
from tests.partners.watched import (
    IN_THIRD_AUTUMN_ON,
    SURVEYOR,
    count,
    instant_on,
    look,
    monitored,
    verified,
    watched_terms,
)
from tests.partners.world import World, batch


def world_of(**changes: Any) -> World:
    return World(watched_terms(**changes))


def audits(world: World, order: int) -> list[Any]:
    rows = [row for row in world.rows["audits"].values() if row.order_id == order]
    return sorted(rows, key=lambda row: row.id)


# --- the watch opens ------------------------------------------------------------------------------


def test_counts_are_planned_in_the_first_and_third_autumn() -> None:
    world = world_of()
    order = monitored(world)
    assert [
        (row.stage, row.figure, row.opens_on, row.due_on, row.band_bp) for row in audits(world, order)
    ] == [
        ("M12", "survival", "2027-08-15", "2027-10-31", 8500),
        ("M36", "preservation", "2029-08-15", "2029-10-31", 7000),
    ]


def test_the_band_is_that_of_the_rainfall_class() -> None:
    world = World(watched_terms(place={"rainfall": "under_400_mm"}))
    order = verified(world)
    world.order(order).agreement = ""  # older than agreements, which name the bands themselves
    look(world, order)
    assert [row.band_bp for row in audits(world, order)] == [7500, 7000]


@pytest.mark.parametrize(
    ("planted_on", "stage", "season", "expected"),
    [
        (
            "2027-03-10",
            AuditStage("M12", "survival", 1, 12),
            ("08-15", "10-31"),
            ("2027-08-15", "2027-10-31"),
        ),
        (
            "2027-08-15",
            AuditStage("M12", "survival", 1, 12),
            ("08-15", "10-31"),
            ("2028-08-15", "2028-10-31"),
        ),
        (
            "2027-11-05",
            AuditStage("M36", "preservation", 3, 36),
            ("08-15", "10-31"),
            ("2030-08-15", "2030-10-31"),
        ),
        (
            "2027-03-10",
            AuditStage("M12", "survival", 1, 12),
            ("11-15", "02-01"),
            ("2027-11-15", "2028-02-01"),
        ),
        ("2027-03-10", AuditStage("M12", "survival", 1, 12), None, ("2028-01-10", "2028-05-09")),
        ("2024-02-29", AuditStage("M12", "survival", 1, 12), None, ("2024-12-30", "2025-04-29")),
    ],
)
def test_windows_follow_growing_seasons_or_months(
    planted_on: str, stage: AuditStage, season: tuple[str, str] | None, expected: tuple[str, str]
) -> None:
    from datetime import date

    opens_on, due_on = window(date.fromisoformat(planted_on), stage, replace(standard_terms(), season=season))
    assert (opens_on.isoformat(), due_on.isoformat()) == expected


def test_without_a_plan_for_counts_there_is_no_watch() -> None:
    world = world_of(stages=())
    order = verified(world)
    look(world, order)
    assert world.order(order).state == "verified"


# --- counts ---------------------------------------------------------------------------------------


def test_all_counts_in_band_complete_the_order_and_establish_its_trees() -> None:
    world = world_of()
    order = monitored(world)
    assert count(world, order, alive=4).reply["verdict"] == "in_band"
    look(world, order)
    assert world.order(order).state == "monitoring"
    count(world, order, alive=3, on=IN_THIRD_AUTUMN_ON)
    look(world, order)
    assert world.order(order).state == "completed"
    assert world.order(order).due_at is None
    assert world.states(1, 2, 3, 4) == ["established"] * 4  # a pooled tree is never said to be dead


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"method": "plots"}, "too_few_plots"),
        ({"has_conflict": True}, "conflict_of_interest"),
        ({"surveyor": "partner:elm/wang"}, "conflict_of_interest"),
        ({"on": "2027-06-01"}, "outside_window"),
    ],
)
def test_a_count_that_can_not_be_relied_on_is_inconclusive_and_made_again(
    changes: dict[str, Any], why: str
) -> None:
    world = world_of()
    order = monitored(world)
    reply = count(world, order, alive=0, **changes).reply
    assert (reply["verdict"], reply["why"]) == ("inconclusive", why)
    assert world.order(order).state == "monitoring"
    again = next(row for row in audits(world, order) if row.id.endswith("@M12.2"))
    assert (again.state, again.due_on >= "2027-10-31") == ("planned", True)
    assert count(world, order, alive=4).reply["verdict"] == "in_band"


def test_after_the_window_the_next_attempt_has_one_of_its_own() -> None:
    world = world_of()
    order = monitored(world)
    count(world, order, alive=4, on="2027-12-01")
    again = next(row for row in audits(world, order) if row.id.endswith("@M12.2"))
    assert (again.opens_on, again.due_on) == ("2027-12-01", "2028-01-30")


@pytest.mark.parametrize(("must_meet", "verdict"), [("estimate", "in_band"), ("lower_bound", "inconclusive")])
def test_the_terms_say_whether_the_estimate_or_its_lower_bound_must_meet_the_band(
    must_meet: str, verdict: str
) -> None:
    world = world_of(must_meet=must_meet)
    order = monitored(world, 100)
    found = [(10, 10), (10, 9), (10, 10), (10, 8), (10, 10)]
    plots = tuple(ac.PlotCount(str(no), n, alive) for no, (n, alive) in enumerate(found))
    reply = count(world, order, alive=0, method="plots", plots=plots).reply
    assert (reply["verdict"], reply["rate_bp"]) == (verdict, 9400)
    assert reply["low_bp"] == 8289  # 0.94 − 2.776 · √(0.8 / 5) / 10
    row = next(row for row in audits(world, order) if row.state == "done")
    assert (row.n, row.alive, row.surveyor, row.plots[1]) == (50, 47, SURVEYOR, ["1", 10, 9])


def test_a_census_of_all_trees_is_judged_by_its_rate() -> None:
    world = world_of(must_meet="lower_bound")
    reply = count(world, monitored(world), alive=4).reply
    assert (reply["verdict"], reply["rate_bp"]) == ("in_band", 10_000)
    assert isinstance(reply["low_bp"], int)
    assert reply["low_bp"] < 8500


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"visited_on": "2027-02-30"}, "visited_on"),
        ({"visited_on": "2027-01-01"}, "visited_on"),
        ({"visited_on": "2030-01-01"}, "visited_on"),
        ({"method": "satellite"}, "method"),
        ({"surveyor": ""}, "surveyor"),
        ({"plots": ()}, "plots"),
        ({"plots": (ac.PlotCount("1", 4, 5),)}, "plots"),
        ({"plots": (ac.PlotCount("1", 4, -1),)}, "plots"),
        ({"plots": (ac.PlotCount("1", 2, 1), ac.PlotCount("1", 2, 1))}, "plots"),
        ({"plots": (ac.PlotCount("1", 5, 1),)}, "plots"),
        ({"plots": (ac.PlotCount("1", 3, 1),)}, "plots"),  # a census counts them all
        ({"dead": (1,)}, "dead"),  # pooled
    ],
)
def test_counts_that_can_not_be_true_are_refused(changes: dict[str, Any], field: str) -> None:
    world = world_of()
    order = monitored(world)
    with pytest.raises(Exception, match="bad_audit") as refusal:
        count(world, order, alive=1, **changes)
    assert refusal.value.fields["field"] == field  # type: ignore[attr-defined]


def test_a_count_is_made_once_and_only_of_the_orders_own() -> None:
    world = world_of()
    order, other = monitored(world), monitored(world, first=10)
    count(world, order, alive=4)
    row = audits(world, order)[0]
    again = ac.RecordAudit(None, "li", order, row.id, "2027-09-15", "census", "x", False, ())
    assert refused(world, again).code == "audit_done"
    assert refused(world, replace(again, audit=audits(world, other)[0].id)).code == "unknown_audit"
    assert refused(world, replace(again, order=verified(world, first=20))).code == "not_watched"


def test_an_audit_that_is_late_is_escalated() -> None:
    world = world_of()
    order = monitored(world)
    world.now = instant_on("2027-11-02")
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).escalated_at == world.now


# --- replacement ----------------------------------------------------------------------------------


def replanting(world: World, alive: int = 2) -> tuple[int, int]:
    """An order below its band, and the child order that makes it good."""
    order = monitored(world)
    assert count(world, order, alive=alive).reply["verdict"] == "below_band"
    assert world.order(order).state == "replanting"
    look(world, order)
    [row] = [row for row in world.rows["replacements"].values() if row.parent_id == order]
    return order, row.id


def plant_child(world: World, child: int) -> None:
    """The partner plants what is missing, and it is verified."""
    world.delivered(child)
    trees, on = world.line(child).ordered, "2028-03-10"
    world.now = max(world.now, instant_on(on))
    shown = batch("1", trees, f"photo-{child}", planted_from_on=on, planted_to_on=on)
    world.say(child, "planted", accepted=trees, batches=(shown,))
    world.run(c.ReviewOrder(None, "operator:li", child, "verified"))
    look(world, child)


def test_below_the_band_a_child_order_makes_good_what_is_missing_at_no_price() -> None:
    world = world_of()
    order, child = replanting(world)
    line = world.line(child)
    assert (line.ordered, line.unit_price_minor, line.units) == (2, 0, [])
    world.delivered(child)
    world.say(child, "accepted", accepted=2)
    assert world.line(child).accepted == 2
    assert world.delivery(f"submit:{child}").payload["replaces"] == order
    assert world.states(1, 2, 3, 4) == ["verified"] * 4
    look(world, order)  # once
    assert len(world.rows["replacements"]) == 1


def test_a_verified_child_returns_the_parent_to_the_watch_and_its_own_clock_begins() -> None:
    world = world_of()
    order, child = replanting(world)
    plant_child(world, child)
    look(world, order)
    assert world.order(order).state == "monitoring"
    assert [row.opens_on for row in audits(world, child)] == ["2028-08-15", "2030-08-15"]
    count(world, order, alive=4, on=IN_THIRD_AUTUMN_ON)
    look(world, order)
    assert world.order(order).state == "monitoring"  # its share is not seen to the end yet
    count(world, child, alive=2, on="2028-09-15")
    count(world, child, alive=2, on="2030-09-15")
    look(world, child)
    look(world, order)
    assert (world.order(child).state, world.order(order).state) == ("completed", "completed")
    assert world.states(1, 4) == ["established"] * 2


def test_a_replacement_that_comes_to_nothing_waits_for_a_person() -> None:
    world = world_of()
    order, child = replanting(world)
    world.delivered(child)
    row = audits(world, order)[0]
    again = ac.OrderReplacement(None, "operator:li", order, row.id)
    assert refused(world, again).code == "replacement_open"
    world.say(child, "rejected", reason="no seedlings")
    look(world, order)
    assert world.order(order).escalated_at is not None
    look(world, order)
    assert len(world.rows["replacements"]) == 1  # not asked again by itself
    world.run(again)
    assert len(world.rows["replacements"]) == 2
    assert refused(world, replace(again, audit="x")).code == "unknown_audit"


def test_trees_that_are_told_apart_keep_their_numbers_and_stand_in_the_new_batch() -> None:
    world = World(watched_terms(place={"granularity": "individual"}))
    order = monitored(world)
    count(world, order, alive=2, dead=(2, 4))
    look(world, order)
    [row] = world.rows["replacements"].values()
    plant_child(world, row.id)
    look(world, order)
    assert [world.unit(number).batch_id for number in (1, 2, 4)] == [
        f"{order}/1",
        f"{row.id}/1",
        f"{row.id}/1",
    ]
    assert world.states(1, 2, 3, 4) == ["verified"] * 4
    claims = {(row.unit, row.batch_id): row.status for row in world.rows["claims"].values()}
    assert claims[2, f"{order}/1"] == "replaced"
    assert claims[2, f"{row.id}/1"] == "active"
    assert world.line(row.id).units == [2, 4]
    assert world.line(order).units == [1, 3]


# --- closed short ---------------------------------------------------------------------------------


def propose(order: int, **changes: Any) -> ac.ProposeClosing:
    usual: dict[str, Any] = {
        "key": None,
        "operator": "operator:li",
        "order": order,
        "note": "Two of four trees died and the ground is salt now.",
        "remedy": "refund",
        "lost": {f"{order}/1": 2},
    }
    return ac.ProposeClosing(**(usual | changes))


def test_closing_short_takes_two_people_and_is_written_down() -> None:
    world = world_of()
    order, _ = replanting(world)
    approve = ac.ApproveClosing(None, "operator:wang", order)
    assert refused(world, approve).code == "nothing_proposed"
    world.run(propose(order))
    assert refused(world, replace(approve, operator="Operator:LI ")).code == "own_proposal"
    world.run(approve)
    assert world.order(order).state == "closed_short"
    assert world.states(1, 2, 3, 4) == ["verified", "verified", "withdrawn", "withdrawn"]
    [row] = world.rows["write_downs"].values()
    assert (row.trees, row.proposed_by, row.approved_by) == (2, "operator:li", "operator:wang")
    assert world.rows["standings"][f"{order}/1"].claimed == 2
    assert refused(world, approve).code == "not_watched"


def test_claims_move_to_verified_trees_that_nobody_claims() -> None:
    world = world_of()
    other = world.ordered(100, first=100)  # five more than accepted are planted, and nobody claims them
    world.say(other, "planted", accepted=100, batches=(batch("1", 105, "more"),))
    world.run(c.ReviewOrder(None, "operator:li", other, "verified"))
    order, _ = replanting(world)
    move = propose(order, remedy="move", moves={f"{order}/1": f"{other}/1"})
    world.run(move)
    world.run(ac.ApproveClosing(None, "operator:wang", order))
    assert world.states(1, 2, 3, 4) == ["verified"] * 4
    assert world.unit(4).order_id == other
    assert world.rows["standings"][f"{other}/1"].claimed == 102
    assert world.unit(4).note == "moved:closed_short"


@pytest.mark.parametrize(
    "changes",
    [
        {"note": ""},
        {"operator": ""},
        {"remedy": "forget"},
        {"lost": {}},
        {"lost": {"7/1": 1}},
        {"lost": {"1/1": 5}},
        {"lost": {"1/1": 0}},
        {"remedy": "move"},
        {"remedy": "move", "moves": {"1/1": "9/9"}},
        {"remedy": "move", "moves": {"1/1": "1/1"}},
    ],
)
def test_a_closing_that_does_not_add_up_is_refused(changes: dict[str, Any]) -> None:
    world = world_of()
    order = monitored(world)
    own = json.loads(json.dumps(changes).replace("1/1", f"{order}/1"))
    assert refused(world, propose(order, **own)).code == "bad_closing"


def test_what_is_not_watched_is_not_closed_short() -> None:
    world = world_of()
    assert refused(world, propose(world.planted())).code == "not_watched"


# --- holds, disputes, disturbances ----------------------------------------------------------------


def test_a_hold_stops_counts_closings_and_timers() -> None:
    world = world_of()
    order = monitored(world)
    world.run(c.HoldOrder(None, "li", order, "suspended"))
    world.now = instant_on("2027-11-02")
    assert world.run(c.FollowUpOrder(None, order)).events == []
    with pytest.raises(Exception, match="order_held"):
        count(world, order, alive=4)
    assert refused(world, propose(order)).code == "order_held"
    world.run(c.ResumeOrder(None, "li", order))
    assert count(world, order, alive=4, on="2027-10-30").reply["verdict"] == "in_band"


def test_a_dispute_holds_the_order_until_the_last_one_is_decided() -> None:
    world = world_of()
    order = monitored(world)
    first = world.run(ac.OpenDispute(None, "funder:city", order, "the photos show another place"))
    second = world.run(ac.OpenDispute(None, "partner:elm", order, "the count was made too early"))
    assert world.order(order).held == "dispute"
    row = world.rows["disputes"][int(str(first.reply["dispute"]))]
    assert row.answer_by_at - row.opened_at == 7 * DAY_MS  # five working days from a Monday
    assert row.decide_by_at - row.opened_at == 30 * DAY_MS
    answer = ac.AnswerDispute(None, "operator:li", row.id, "we look into it")
    world.run(answer)
    assert refused(world, answer).code == "dispute_decided"
    assert refused(world, c.ResumeOrder(None, "li", order)).code == "order_held"
    decide = ac.DecideDispute(None, "operator:li", row.id, "dismissed", "the place is right")
    assert refused(world, replace(decide, outcome="ignored")).code == "bad_request"
    assert refused(world, replace(decide, by="funder:city")).code == "own_proposal"
    world.run(decide)
    assert world.order(order).held == "dispute"
    world.run(replace(decide, dispute=int(str(second.reply["dispute"])), outcome="upheld"))
    assert world.order(order).held == ""
    assert refused(world, decide).code == "dispute_decided"
    assert refused(world, replace(decide, dispute=999)).code == "unknown_dispute"


def test_working_days_leave_out_weekends() -> None:
    friday = instant_on("2026-11-27")
    assert after_workdays(friday, 1) - friday == 3 * DAY_MS
    assert after_workdays(friday, 5) - friday == 7 * DAY_MS
    assert friday - before_workdays(friday, 5) == 7 * DAY_MS
    monday = friday + 3 * DAY_MS
    assert monday - before_workdays(monday, 1) == 3 * DAY_MS


def test_a_disturbance_is_put_down_and_holds_where_told() -> None:
    world = world_of()
    order = monitored(world)
    report = ac.ReportDisturbance(None, "partner:elm/wang", order, f"{order}/1", "fire", 12_000, "2026-11-20")
    assert world.run(report).reply["is_late"] is False
    assert world.order(order).held == ""
    world.now += 20 * DAY_MS
    assert world.run(replace(report, hold=True)).reply["is_late"] is True
    assert world.order(order).held == "force_majeure"
    for change in ({"kind": "war"}, {"area_m2": -1}, {"happened_on": "2099-01-01"}, {"happened_on": "soon"}):
        assert refused(world, replace(report, **change)).code == "bad_request"
    assert refused(world, replace(report, batch="9/9")).code == "unknown_batch"
