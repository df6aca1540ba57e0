"""Acts that only the user can show: one photo one act, the user's word, few a day, looked at where it is odd."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import commands as c
from engine.core.context import DRAW_MAX
from engine.core.errors import Rejected
from engine.core.shown import OWN_SOURCE
from tests.core.world import DAY_MS, HOUR_MS, World, rules_with_grades


@pytest.fixture
def world() -> World:
    return World(rules=rules_with_grades(), draw=DRAW_MAX - 1)  # a draw that samples nothing


def photo(world: World, user: int, number: int, **more: object) -> str:
    name = f"{number:064x}"
    world.do(c.KeepPhoto(user, name, name, 640, 480, f"{number:016x}", **more))  # type: ignore[arg-type]
    return name


def show(world: World, user: int, name: str, **more: object) -> c.SubmitActivity:
    values = {"behaviour": "bus", "quantity": Decimal(1), "unit": "ride", "at": world.now - HOUR_MS} | more
    return c.SubmitActivity(world.next_key(), user, photo=name, **values)  # type: ignore[arg-type]


def test_what_is_shown_counts_by_the_lowest_grade(world: World) -> None:
    [user] = world.village(1)
    reply = world.do(show(world, user, photo(world, user, 1)))
    assert (reply["status"], reply["energy_g"]) == ("accepted", 80)
    [act] = world.state.activities
    assert (act.source, act.evidence, act.grade) == (OWN_SOURCE, "way-d", "D")
    assert list(world.state.shown_reviews) == []
    world.audit()


def test_an_operators_record_of_the_same_ride_takes_its_place(world: World) -> None:
    [user] = world.village(1)
    world.do(show(world, user, photo(world, user, 1)))
    world.do(world.act(user, "gate", at=world.now - HOUR_MS, evidence="way-a"))
    assert sum(act.energy_g for act in world.state.activities) == 80
    world.audit()


def test_a_photo_shows_one_act_of_one_user(world: World) -> None:
    user, other = world.village(2)
    name = photo(world, user, 1)
    assert world.do(c.KeepPhoto(user, name, name, 640, 480, f"{1:016x}"))["photo"] == name, "sent twice"
    assert world.refused(c.KeepPhoto(other, name, name, 640, 480, f"{1:016x}")).code == "photo_reused"
    assert world.refused(show(world, other, name)).code == "unknown_photo"
    world.do(show(world, user, name))
    assert world.refused(show(world, user, name, at=world.now - 5 * HOUR_MS)).code == "photo_reused"
    assert world.refused(c.KeepPhoto(user, name, name, 640, 480, f"{1:016x}")).code == "photo_reused"
    assert world.refused(show(world, user, "f" * 64)).code == "unknown_photo"


def test_only_what_the_rule_lets_users_show(world: World) -> None:
    [user] = world.village(1)
    name = photo(world, user, 1)
    assert world.refused(show(world, user, name, behaviour="e-invoice", unit="invoice")).code == "not_shown"
    walking = show(world, user, name, behaviour="walking", unit="step", at=None, on=world.days_on(0))
    assert world.refused(walking).code == "not_shown"
    assert world.refused(show(world, user, name, behaviour="flying")).code == "unknown_behaviour"
    assert world.refused(c.AddSource(None, OWN_SOURCE, "Me", "x", ("bus",))).code == "source_exists"


def test_few_a_day(world: World) -> None:
    [user] = world.village(1)
    for number in range(5):
        world.do(show(world, user, photo(world, user, number), at=world.now - number * HOUR_MS))
    refusal = world.refused(show(world, user, photo(world, user, 9), at=world.now - 6 * HOUR_MS))
    assert (refusal.code, refusal.fields) == ("too_many_shown", {"shown_max": 5})
    assert world.do(show(world, user, photo(world, user, 10), at=world.now - DAY_MS))["status"] == "accepted"


@pytest.mark.parametrize(
    ("more", "draw", "reason"),
    [
        ({"alike": ("0" * 64,)}, DRAW_MAX - 1, "alike"),
        ({"taken_at": World().now - 3 * DAY_MS}, DRAW_MAX - 1, "other_day"),
        ({"taken_at": World().now - HOUR_MS}, DRAW_MAX - 1, None),
        ({}, 0, "sample"),
        ({}, DRAW_MAX * 5 // 100 - 1, "sample"),
        ({}, DRAW_MAX * 5 // 100 + 1, None),
    ],
)
def test_the_odd_is_looked_at_and_a_share_of_the_rest(
    world: World, more: dict[str, object], draw: int, reason: str | None
) -> None:
    [user] = world.village(1)
    world.draw = draw
    world.do(show(world, user, photo(world, user, 1, **more)))
    assert [review.reason for review in world.state.shown_reviews] == ([] if reason is None else [reason])


@pytest.mark.parametrize("collects", [False, True])
def test_a_refused_act_is_reversed(world: World, collects: bool) -> None:
    [user] = world.village(1)
    world.draw = 0
    activity = int(world.do(show(world, user, photo(world, user, 1)))["activity"])
    if collects:
        world.to_ripe(activity)
        world.collect(user, user, activity)
    decision = c.ReviewActivity(None, activity, False, "Ana", "a stock picture")
    assert world.do(decision) == {
        "activity": str(activity),
        "state": "refused",
        "owed_g": 80 if collects else 0,
    }
    assert "owed_g" not in world.do(decision), "decided once"
    assert world.refused(c.ReviewActivity(None, activity, True, "Bo")).code == "review_decided"
    assert world.refused(c.ReviewActivity(None, 4711, True, "Bo")).code == "unknown_review"
    [act] = world.state.activities
    assert (act.status, act.energy_g, act.avoided_mg) == ("reversed", 0, 0)
    [review] = world.state.shown_reviews
    assert (review.decided_by, review.note) == ("Ana", "a stock picture")
    assert world.state.users[user].debt_g == (80 if collects else 0)
    world.audit()


def test_an_accepted_review_changes_nothing_else(world: World) -> None:
    [user] = world.village(1)
    world.draw = 0
    activity = int(world.do(show(world, user, photo(world, user, 1)))["activity"])
    world.do(c.ReviewActivity(None, activity, True, "Ana"))
    assert [act.status for act in world.state.activities] == ["accepted"]
    world.audit()


def test_erasure_leaves_hashes_alone(world: World) -> None:
    user, other = world.village(2)
    world.draw = 0
    name = photo(world, user, 1, taken_at=world.now, latitude_e6=1, longitude_e6=2)
    world.do(show(world, user, name))
    world.do(c.CloseAccount(None, user))
    [row] = world.state.photos
    assert (row.user_id, row.file, row.taken_at, row.latitude_e6, row.longitude_e6) == (None,) * 5
    assert [review.state for review in world.state.shown_reviews] == ["erased"]
    assert world.refused(c.KeepPhoto(other, name, name, 640, 480, f"{1:016x}")).code == "photo_reused"


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 4), st.sampled_from(["show", "accept", "refuse", "collect"])
        ),
        max_size=14,
    )
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_shown_and_decided_the_books_balance(steps: list[tuple[int, int, str]]) -> None:
    world = World(rules=rules_with_grades(), draw=0)
    [user] = world.village(1)
    codes: set[str] = set()
    for number, hours, what in steps:
        acts = [act.id for act in world.state.activities]
        try:
            if what == "show":
                world.do(show(world, user, photo(world, user, number), at=world.now - hours * HOUR_MS))
            elif acts and what == "collect":
                world.now += DAY_MS
                world.collect(user, user, *acts)
            elif acts:
                world.do(c.ReviewActivity(None, acts[number % len(acts)], what == "accept", "Ana"))
        except Rejected as refusal:
            codes.add(refusal.code)
        world.audit()
    assert codes <= {"photo_reused", "review_decided", "too_many_shown"}
    for review in world.state.shown_reviews:
        act = world.state.activities[review.source, review.activity]
        assert (review.state == "refused") == (act.status == "reversed")
