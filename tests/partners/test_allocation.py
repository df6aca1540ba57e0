"""Where trees go: ranks and reasons, places that run out, drafts that hold them, tests that reach nobody real."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from partners.core import commands as c
from partners.core.guards import may_reach
from partners.core.model import BatchShown, LineSaid, PartnerTerms
from partners.core.placing import CRITERIA, WHY_NOT, nearest
from partners.core.records import commands as r
from tests.partners.world import AUTUMN, SPRING, World, batch, terms


def quota(
    world: World, site: str, capacity: int, season: str = SPRING.id, species: str = "haloxylon"
) -> None:
    world.run(r.SetQuota(None, "li", site, species, season, capacity))


def last(world: World) -> Any:
    return max(world.rows["allocations"].values(), key=lambda row: row.id)


# --- ranks and reasons ----------------------------------------------------------------------------


def test_the_partner_that_the_programme_names_comes_first_then_the_others() -> None:
    world = World(terms(seasons=(SPRING,)), terms("alxa", "oak", seasons=(SPRING,)))
    quota(world, "minqin-north", 4)
    world.pledge(10)
    world.form()
    sites = [world.line(world.unit(number).order_id).site for number in range(1, 11)]
    assert sites == ["minqin-north"] * 4 + ["minqin-north-alxa"] * 6


def test_a_decision_is_kept_with_its_reasons() -> None:
    world = World(
        terms(seasons=(SPRING,)),
        terms("alxa", "oak", seasons=(SPRING,), region="CN-XJ"),
        terms("yili", "ash", seasons=(SPRING,), unit_price_minor=900),
    )
    quota(world, "minqin-north", 4)
    world.pledge(6)
    world.form()
    row = last(world)
    assert (row.trees, row.placed, row.decision["unplaced"]) == (6, 4, {"full": 2})
    told = {
        one["partner"]: (one["named"], one["trees"], one["why_not"]) for one in row.decision["candidates"]
    }
    assert told == {
        "elm": (True, 4, ""),
        "oak": (False, 0, "other_region"),
        "ash": (False, 0, "price_above_funding"),
    }
    assert world.unit(6).note == "no_place:full"
    assert {"named", "season", "tier", "kept", "price_minor"} <= set(row.decision["candidates"][0])
    assert CRITERIA[0] == "named"


def test_tier_then_record_then_price_decide_among_equals() -> None:
    def first(change: Any) -> str:
        world = World(terms("other", "nobody"), terms("a", "oak"), terms("b", "elm"), has_records=False)
        for name in ("a", "b"):
            world.onboard(world.terms[name])
        change(world)
        world.pledge(3, "other")
        return world.order(world.formed("other")).partner

    def tier(world: World, partner: str, level: int) -> None:
        world.rows["partner_records"][partner].tier = level

    def record(world: World, partner: str, asked: int, given_back: int) -> None:
        row = world.rows["performances"][partner]
        row.asked, row.given_back = asked, given_back

    assert first(lambda world: None) == "elm"  # the lower id of the quota, where all else is equal
    assert first(lambda world: tier(world, "oak", 3)) == "oak"
    assert first(lambda world: record(world, "elm", 100, 1)) == "oak"
    assert first(lambda world: (tier(world, "elm", 3), record(world, "elm", 100, 90))) == "elm"


def test_the_nearest_reason_is_told() -> None:
    assert nearest([]) == "no_quota"
    assert nearest(["full", "no_record", "partner_suspended"]) == "full"
    assert len(set(WHY_NOT)) == len(WHY_NOT)


def test_a_partner_without_records_or_agreement_gets_no_order() -> None:
    world = World(has_records=False)
    world.pledge(3)
    world.form()
    assert (world.unit(1).state, world.unit(1).note) == ("pledged", "no_place:no_quota")
    assert world.form().events == []  # its user knows


def test_what_cannot_be_placed_is_placed_when_there_is_room() -> None:
    world = World(terms(seasons=(SPRING,), energy_back_ms=60 * DAY_MS))
    quota(world, "minqin-north", 0)
    world.pledge(3)
    world.form()
    unit = world.unit(1)
    assert (unit.unplaced_at, unit.back_at) == (world.now, world.now + 60 * DAY_MS)
    quota(world, "minqin-north", 3)
    world.form()
    unit = world.unit(1)
    assert (unit.state, unit.unplaced_at, unit.back_at) == ("ordered", None, None)


def test_the_clock_of_a_tree_without_a_place_runs_on_when_the_reason_changes() -> None:
    world = World(terms(seasons=(SPRING,), energy_back_ms=60 * DAY_MS))
    quota(world, "minqin-north", 0)
    world.pledge(1)
    world.form()
    began_at = world.now
    world.now += 10 * DAY_MS
    world.run(r.MovePartner(None, "li", "elm", "suspended", "photos"))
    world.form()
    unit = world.unit(1)
    assert (unit.note, unit.unplaced_at, unit.back_at) == (
        "no_place:partner_suspended",
        began_at,
        began_at + 60 * DAY_MS,
    )


def test_energy_goes_back_after_sixty_days_and_not_before() -> None:
    world = World(terms(energy_back_ms=60 * DAY_MS), has_records=False)
    world.pledge(2)
    world.form()
    world.run(c.KeepUnit(None, 2, world.now + 90 * DAY_MS))  # its user wants to wait
    world.now += 60 * DAY_MS - 1
    assert world.run(c.GiveUpUnits(None, (1, 2))).events == []
    world.now += 1
    assert world.run(c.GiveUpUnits(None, (1, 2))).reply == {"withdrawn": 1}
    assert world.states(1, 2) == ["withdrawn", "pledged"]
    assert world.run(c.GiveUpUnits(None, (1, 2))).events == []
    world.run(c.WithdrawUnit(None, 2, "energy_back:chosen"))
    assert world.unit(2).note == "energy_back:chosen"
    assert world.run(c.WithdrawUnit(None, 2, "energy_back:chosen")).events == []


def test_an_ordered_tree_is_not_withdrawn() -> None:
    world = World()
    world.ordered(3)
    with pytest.raises(Rejected) as refusal:
        world.run(c.WithdrawUnit(None, 1, "x"))
    assert refusal.value.code == "not_waiting"
    assert world.run(c.GiveUpUnits(None, (1,))).events == []


@settings(max_examples=30, deadline=None)
@given(
    waiting=st.integers(1, 60),
    capacities=st.lists(st.integers(0, 25), min_size=3, max_size=3),
    minimum=st.integers(1, 8),
    groups=st.integers(1, 4),
)
def test_as_many_trees_as_there_are_places_and_each_in_one(
    waiting: int, capacities: list[int], minimum: int, groups: int
) -> None:
    """Whatever is asked in which portions: never more than a place takes, and none left while there is room."""
    programmes = [
        terms(name, partner, minimum_trees=minimum, seasons=(SPRING,))
        for name, partner in (("minqin", "elm"), ("alxa", "oak"), ("yili", "ash"))
    ]
    world = World(*programmes)
    for place, capacity in zip(world.places.values(), capacities, strict=True):
        quota(world, place, capacity)
    units = world.pledge(waiting)
    for start in range(groups):
        world.run(world.allocation(units=tuple(units[start::groups])))
        command = world.allocation(units=tuple(units))
        world.run(command)
        assert world.run(command).events == []
    placed = [unit for unit in world.units() if unit.order_id is not None]
    assert len(placed) == min(waiting, sum(capacities))
    for name, row in world.rows["quotas"].items():
        lines = [line for line in world.rows["order_lines"].values() if line.quota == name]
        assert row.held + row.ordered == sum(len(line.units) for line in lines) <= row.capacity
    if groups == 1:
        assert [unit.id for unit in placed] == units[: len(placed)]  # first come, first placed


# --- drafts ---------------------------------------------------------------------------------------


def test_a_draft_grows_and_goes_out_when_it_is_large_enough() -> None:
    world = World()
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    name = world.line(draft).quota
    assert (world.quota(name).held, world.quota(name).ordered) == (2, 0)
    world.pledge(1, first=10)
    assert world.form().reply["orders"] == [draft]
    assert (world.quota(name).held, world.quota(name).ordered) == (0, 3)
    assert world.states(1, 10) == ["ordered"] * 2
    assert world.order(draft).payload_hash
    assert world.delivery(f"submit:{draft}").payload["quantity"] == 3


def test_places_are_free_again_when_the_hold_is_over() -> None:
    world = World(terms(maximum_wait_ms=100 * DAY_MS))
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    name = world.line(draft).quota
    world.now += 45 * DAY_MS
    assert world.form().events == []  # nothing waits; they lie in the draft
    world.run(c.FollowUpOrder(None, draft))
    assert (world.order(draft).state, world.order(draft).reason) == ("cancelled", "hold_expired")
    assert (world.quota(name).held, world.unit(1).state, world.unit(1).declined) == (0, "pledged", [])
    world.pledge(1, first=10)
    assert world.line(world.formed()).units == [10, 1, 2] or world.states(1, 2, 10) == ["ordered"] * 3


def test_the_trees_of_a_draft_need_not_wait_for_a_suspended_partner() -> None:
    world = World(terms(), terms("alxa", "oak"))
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    name = world.line(draft).quota
    world.run(r.MovePartner(None, "li", "elm", "suspended", "looked at"))
    with pytest.raises(Rejected) as refusal:
        world.say(draft, "accepted", accepted=2)
    assert refusal.value.code == "unknown_order"  # it has not gone out
    world.run(c.RecheckOrder(None, draft))
    assert (world.order(draft).state, world.order(draft).reason) == ("cancelled", "partner_suspended")
    assert (world.quota(name).held, world.unit(1).note) == (0, "waits_again:partner_suspended")
    world.form()
    assert world.order(world.unit(1).order_id).partner == "oak"


def test_an_operator_sends_a_draft_out_but_not_past_its_guards() -> None:
    world = World()
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    world.run(r.MovePartner(None, "li", "elm", "suspended", "looked at"))
    with pytest.raises(Rejected) as refusal:
        world.run(c.SubmitOrder(None, "li", draft))
    assert refusal.value.fields["guard"] == "partner_suspended"
    world.run(r.MovePartner(None, "li", "elm", "active"))
    world.run(c.SubmitOrder(None, "li", draft))
    assert (world.order(draft).state, world.order(draft).below_minimum) == ("submitted", True)
    with pytest.raises(Rejected) as refusal:
        world.run(c.SubmitOrder(None, "li", draft))
    assert refusal.value.code == "not_draft"


def test_a_draft_is_cancelled_without_a_word_to_the_partner() -> None:
    world = World()
    world.pledge(2)
    world.form()
    [draft] = world.drafts()
    world.run(c.CancelOrder(None, "li", draft, "mistake"))
    assert world.order(draft).state == "cancelled"
    assert world.rows["deliveries"] == {}


# --- several lines --------------------------------------------------------------------------------


def two_lines() -> tuple[World, int]:
    """An order of two species, three trees each."""
    elm = PartnerTerms("elm", lines_max=3)
    world = World(
        terms(agreed=elm, minimum_trees=6),
        terms("gobi", agreed=elm, minimum_trees=6, species="caragana", site="gobi"),
    )
    world.pledge(3)
    world.pledge(3, "gobi", first=11)
    world.form()
    order = world.formed("gobi")
    world.delivered(order)
    return world, order


def shown(report_no: str, quantity: int, line_no: int) -> BatchShown:
    return batch(report_no, quantity, line_no=line_no, site="minqin-north" if line_no == 1 else "gobi")


def test_an_order_of_several_lines_is_accepted_line_by_line() -> None:
    world, order = two_lines()
    payload = world.delivery(f"submit:{order}").payload
    assert [(line["line_no"], line["species"], line["quantity"]) for line in payload["lines"]] == [
        (1, "haloxylon", 3),
        (2, "caragana", 3),
    ]
    world.say(order, "accepted", lines=(LineSaid(1, 3), LineSaid(2, 1)))
    assert [line.accepted for line in world.lines(order)] == [3, 1]
    assert world.states(1, 3, 11, 12) == ["confirmed", "confirmed", "confirmed", "pledged"]
    world.say(
        order, "planted", lines=(LineSaid(1, 3), LineSaid(2, 1)), batches=(shown("a", 3, 1), shown("b", 1, 2))
    )
    assert world.order(order).state == "planted"
    assert [world.rows["batches"][f"{order}/{no}"].units for no in ("a", "b")] == [[1, 2, 3], [11]]
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    assert [line.verified for line in world.lines(order)] == [3, 1]
    sums = [world.quota(line.quota).planted for line in world.lines(order)]
    assert sums == [3, 1]


@pytest.mark.parametrize(
    ("fields", "differs_in"),
    [
        ({"accepted": 3}, "line 2: accepted"),
        ({"lines": (LineSaid(1, 3),)}, "line 2: accepted"),
        ({"lines": (LineSaid(1, 3), LineSaid(2, 4))}, "line 2: accepted"),
        ({"lines": (LineSaid(1, 3), LineSaid(2, 3, species="haloxylon"))}, "line 2: species"),
        (
            {"lines": (LineSaid(1, 3), LineSaid(2, 1)), "batches": (shown("a", 3, 2),)},
            "line 2: reported",
        ),
    ],
)
def test_an_answer_that_differs_in_a_line_stops_the_order(fields: dict[str, Any], differs_in: str) -> None:
    world, order = two_lines()
    world.say(order, "accepted", **fields)
    assert world.order(order).held == "answer_differs"
    assert differs_in in world.order(order).difference


def test_a_report_about_a_line_that_is_not_there() -> None:
    world, order = two_lines()
    for fields in (
        {"lines": (LineSaid(3, 1),)},
        {"batches": (shown("a", 1, 9),)},
        {"lines": (LineSaid(1, 1),) * 2},
    ):
        with pytest.raises(Rejected) as refusal:
            world.say(order, "accepted", **fields)
        assert refusal.value.code == "bad_request"


# --- tests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_live", [True, False])
def test_a_test_order_never_reaches_a_partner_that_plants_real_trees(is_live: bool) -> None:
    world = World(terms(agreed=PartnerTerms("elm", is_live=is_live)))
    command = c.OrderTest(None, "li", "elm", "haloxylon", "minqin-north", 10)
    assert may_reach("test", is_live) is not is_live
    if is_live:
        with pytest.raises(Rejected) as refusal:
            world.run(command)
        assert refusal.value.code == "test_order_live"
        assert world.rows["deliveries"] == {}
        return
    order = world.run(command).reply["order"]
    assert isinstance(order, int)
    assert world.delivery(f"submit:{order}").payload["kind"] == "test"
    world.delivered(order)
    world.say(order, "planted", accepted=10, batches=(batch("1", 10),))
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    assert world.order(order).state == "verified"
    assert world.units() == []  # it stands for nobody's tree
    assert all((row.held, row.ordered, row.planted) == (0, 0, 0) for row in world.rows["quotas"].values())
    assert world.rows["performances"]["elm"].verified == 0


def test_a_season_is_asked_only_while_it_takes_orders() -> None:
    world = World()
    world.now = SPRING.order_by_at + 1
    world.pledge(3)
    assert world.order(world.formed()).season == AUTUMN.id
