"""Reviews of batches in levels: who may speak, what is asked for, and what agreement brings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.core.units import DAY_MS
from partners.core import after_commands as ac
from partners.core import commands as c
from tests.partners.test_orders import refused
from tests.partners.watched import watched_terms
from tests.partners.world import World, batch


def reported(world: World, by: str = "wang") -> int:
    """An order of four trees, planted in two batches by a person of the partner."""
    order = world.ordered(4)
    shown = (batch("A", 2, f"a{order}"), batch("B", 2, f"b{order}"))
    world.say(order, "planted", accepted=4, batches=shown, by=by)
    return order


def review(order: int, report_no: str = "A", **changes: Any) -> ac.ReviewBatch:
    usual: dict[str, Any] = {
        "key": None,
        "reviewer": "operator:li",
        "level": 2,
        "order": order,
        "batch": f"{order}/{report_no}",
        "verdict": "verified",
    }
    return ac.ReviewBatch(**(usual | changes))


def test_one_batch_may_be_verified_before_the_other() -> None:
    world = World(watched_terms())
    order = reported(world)
    reply = world.run(review(order)).reply
    assert reply == {"batch": "verified", "verified": 2, "waits_for": []}
    assert world.states(1, 2, 3, 4) == ["verified", "verified", "planted", "planted"]
    assert world.order(order).state == "planted"
    assert refused(world, review(order)).code == "batch_decided"
    world.run(review(order, "B", trees=1))
    assert world.order(order).state == "verified"
    assert world.states(3, 4) == ["verified", "pledged"]


def test_the_other_batch_may_need_information_meanwhile() -> None:
    world = World(watched_terms())
    order = reported(world)
    asks = review(
        order, "B", verdict="needs_info", fields=("photos",), reasons=("photo_unreadable",), note="blurred"
    )
    world.run(asks)
    standing = world.rows["standings"][f"{order}/B"]
    assert (standing.state, standing.fields, standing.reasons) == (
        "needs_info",
        ["photos"],
        ["photo_unreadable"],
    )
    assert standing.fix_by_at == world.now + 14 * DAY_MS
    assert world.order(order).state == "needs_info"
    world.run(review(order, "A"))
    assert refused(world, review(order, "B")).code == "not_planted"  # not answered yet
    world.now += DAY_MS
    shown = (batch("A", 2, f"a{order}"), batch("B", 2, "sharp"))
    world.say(order, "planted", accepted=4, batches=shown)
    world.run(review(order, "B"))
    assert world.order(order).state == "verified"


def test_an_answer_that_does_not_come_in_time_is_escalated_and_a_hold_stops_that_clock() -> None:
    world = World(watched_terms())
    order = reported(world)
    world.run(review(order, verdict="needs_info", reasons=("other",)))
    world.run(c.HoldOrder(None, "li", order, "storm"))
    world.now += 20 * DAY_MS
    world.run(c.ResumeOrder(None, "li", order))
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).escalated_at is None
    world.now += 14 * DAY_MS
    world.run(c.FollowUpOrder(None, order))
    assert world.order(order).escalated_at == world.now


def test_every_level_that_the_terms_ask_for_must_agree_and_the_smallest_figure_counts() -> None:
    world = World(watched_terms(review_levels=(1, 2, 3)))
    order = reported(world)
    world.run(review(order, level=1, reviewer="partner:elm/chen"))
    reply = world.run(review(order, trees=1)).reply
    assert reply["waits_for"] == [3]
    assert world.states(1, 2) == ["planted", "planted"]
    world.run(review(order, level=3, reviewer="independent:institute/zhou"))
    assert world.states(1, 2) == ["verified", "pledged"]


def test_asking_for_more_makes_every_level_look_anew() -> None:
    world = World(watched_terms(review_levels=(2, 3)))
    order = reported(world)
    world.run(review(order))
    world.run(
        review(order, level=3, reviewer="independent:zhou", verdict="needs_info", reasons=("place_missing",))
    )
    assert world.rows["standings"][f"{order}/A"].levels == {}


def test_the_whole_order_is_reviewed_at_our_level_and_waits_for_the_others() -> None:
    world = World(watched_terms(review_levels=(2, 3)))
    order = reported(world)
    assert world.run(c.ReviewOrder(None, "operator:li", order, "verified")).reply == {
        "state": "planted",
        "verified": 0,
    }
    for report_no in "AB":
        world.run(review(order, report_no, level=3, reviewer="independent:zhou"))
    assert world.order(order).state == "verified"


@pytest.mark.parametrize(
    ("level", "reviewer"),
    [
        (1, "partner:elm/wang"),  # who submitted it
        (1, "partner:elm/WANG"),
        (1, "partner:elm"),  # nobody in particular
        (1, "partner:oak/chen"),
        (1, "operator:li"),
        (2, "partner:elm/chen"),
        (2, "elm"),
        (2, ""),
        (2, "independent:zhou"),
        (3, "operator:zhou"),
        (3, "partner:elm/chen"),
    ],
)
def test_each_level_has_its_own_people_and_nobody_reviews_what_they_submitted(
    level: int, reviewer: str
) -> None:
    world = World(watched_terms())
    order = reported(world)
    assert refused(world, review(order, level=level, reviewer=reviewer)).code == "own_review"


def test_of_an_unnamed_submitter_no_colleague_is_surely_another() -> None:
    world = World(watched_terms())
    order = reported(world, by="")
    assert refused(world, review(order, level=1, reviewer="partner:elm/chen")).code == "own_review"


def test_nobody_speaks_at_two_levels() -> None:
    world = World(watched_terms(review_levels=(2, 3)))
    order = reported(world)
    world.run(review(order))
    assert refused(world, review(order, level=3, reviewer="independent:Li")).code == "own_review"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"verdict": "fine"}, "bad_request"),
        ({"level": 4}, "bad_request"),
        ({"verdict": "needs_info"}, "bad_request"),
        ({"verdict": "needs_info", "reasons": ("ugly",)}, "bad_request"),
        ({"verdict": "needs_info", "reasons": ("other",), "fields": ("mood",)}, "bad_request"),
        ({"trees": 3}, "over_verified"),
        ({"trees": -1}, "over_verified"),
        ({"batch": "9/9"}, "unknown_batch"),
        ({"order": 99}, "unknown_order"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], code: str) -> None:
    world = World(watched_terms())
    order = reported(world)
    assert refused(world, replace(review(order), **changes)).code == code


def test_back_sends_the_order_to_planting() -> None:
    world = World(watched_terms())
    order = reported(world)
    world.run(review(order, verdict="back", note="only stakes stand there"))
    assert world.order(order).state == "in_planting"


def test_an_order_without_any_verified_tree_is_not_verified() -> None:
    world = World(watched_terms())
    order = reported(world)
    world.run(review(order, trees=0))
    assert world.states(1, 2) == ["pledged", "pledged"]
    assert refused(world, review(order, "B", trees=0)).code == "nothing_verified"


def test_of_what_is_funded_together_only_our_share_is_claimed() -> None:
    world = World(watched_terms(own_share_pct=50))
    order = reported(world)
    world.run(review(order))
    standing = world.rows["standings"][f"{order}/A"]
    assert (standing.verified, standing.claimed) == (2, 1)
    assert world.states(1, 2) == ["verified", "pledged"]
