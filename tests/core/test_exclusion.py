"""Acts that can be real only once count once: whatever order they come in, whoever reports them, whatever was taken."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core import commands as c
from engine.core import exclusion
from engine.core.exclusion import Entry, conflict, settle
from engine.core.state import Activity
from engine.core.units import MINUTE_MS, rfc3339
from tests.core.world import BEHAVIOURS, DAY_MS, HOUR_MS, SOURCE, World, rules_with_grades

GRADES = "ABCD"
SOURCES = ("one", "two", "three", "four")
RIDE_G = {"bus": 80, "metro": 52}


def ride_world() -> tuple[World, int]:
    world = World(rules=rules_with_grades())
    [user] = world.village(1)
    for source in SOURCES:
        world.add_source(source)
    return world, user


def totals(world: World, user: int) -> tuple[int, int]:
    """(milligrams avoided, grams issued and not reversed)."""
    grams = sum(act.energy_g for act in world.state.activities)
    assert sum(act.avoided_mg for act in world.state.activities) == world.state.users[user].avoided_mg
    return world.state.users[user].avoided_mg, grams


def named(world: World, activity: str) -> Activity:
    return next(act for act in world.state.activities if act.activity == activity)


# --- laws -------------------------------------------------------------------------------------------

a_ride = st.fixed_dictionaries(
    {
        "behaviour": st.sampled_from(sorted(RIDE_G)),
        "distance": st.integers(1, 140),
        "minutes": st.integers(0, 4),  # all within the window of each other
        "source": st.sampled_from(SOURCES),
    }
)


def report(world: World, user: int, name: str, grade: str, ride: dict[str, Any]) -> c.ReportActivity:
    return world.act(
        user,
        name,
        ride["behaviour"],
        at=NOONISH - ride["minutes"] * MINUTE_MS,
        source=ride["source"],
        attributes={"distance_km": Decimal(ride["distance"]) / 10},
        evidence=f"way-{grade.lower()}",
    )


NOONISH = World().now - HOUR_MS


@given(rides=st.lists(a_ride, min_size=2, max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_overlapping_reports_give_the_same_total_in_any_order_and_it_is_that_of_the_best(
    rides: list[dict[str, Any]], data: st.DataObject
) -> None:
    reports = [(f"ride-{n}", GRADES[n], ride) for n, ride in enumerate(rides)]
    alone, user = ride_world()
    alone.do(report(alone, user, *reports[0]))
    best = totals(alone, user)
    order = data.draw(st.permutations(reports))
    world, user = ride_world()
    for one in order:
        assert world.do(report(world, user, *one))["status"] == "accepted"
        world.audit()
    assert totals(world, user) == best


@given(
    rides=st.lists(st.tuples(a_ride, st.sampled_from(GRADES)), min_size=2, max_size=4),
    moves=st.lists(st.sampled_from(["friend", "owner", "expire", "nothing"]), min_size=4, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_what_was_collected_in_between_is_never_taken_away_and_never_paid_twice(
    rides: list[tuple[dict[str, Any], str]], moves: list[str]
) -> None:
    world, user = ride_world()
    friend = world.user()
    world.befriend(user, friend)
    held: dict[int, int] = {}
    for n, (ride, grade) in enumerate(rides):
        world.do(report(world, user, f"ride-{n}", grade, ride))
        world.now += 27 * HOUR_MS
        move = moves[n]
        for ball in [one for one in world.state.balls if one.remaining_g]:
            if move in ("friend", "owner"):
                world.collect(friend if move == "friend" else user, user, ball.id)
            elif move == "expire":
                world.now = max(world.now, ball.expires_at)
                world.do(c.BookExpiry(((ball.id, user),)))
        for who in (user, friend):
            wallet_g = world.state.users[who].wallet_g
            assert wallet_g >= held.get(who, 0), "no exclusion takes from a wallet"
            assert world.state.users[who].debt_g == 0
            held[who] = wallet_g
        world.audit()
    counting = [act for act in world.state.activities if act.status in ("accepted", "recorded")]
    assert len(counting) == 1, "of overlapping reports one counts"
    most_g = max(RIDE_G[ride["behaviour"]] for ride, _ in rides)
    avoided_mg, grams = totals(world, user)
    assert grams <= most_g
    assert avoided_mg == counting[0].avoided_mg


@given(
    reports=st.lists(
        st.tuples(st.sampled_from(SOURCES), st.integers(0, 2), st.integers(0, 60_000)), min_size=1, max_size=8
    )
)
@settings(max_examples=60, deadline=None)
def test_steps_of_a_day_are_the_greatest_total_of_any_device_never_the_sum(
    reports: list[tuple[str, int, int]],
) -> None:
    world, user = ride_world()
    latest: dict[str, int] = {}
    for revision, (source, device, steps) in enumerate(reports):
        name = f"{source}-{device}"
        world.do(
            world.act(
                user, name, "walking", quantity=steps, on=world.days_on(0), revision=revision, source=source
            )
        )
        latest[name] = steps
        world.audit()
    alone, other = ride_world()
    alone.do(alone.act(other, "walk", "walking", quantity=max(latest.values()), on=alone.days_on(0)))
    assert totals(world, user) == totals(alone, other)


@given(
    grades=st.lists(st.sampled_from(GRADES), min_size=3, max_size=6),
    gone=st.sets(st.integers(0, 5), max_size=4),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_reports_taken_back_leave_what_the_others_alone_would_give(
    grades: list[str], gone: set[int], data: st.DataObject
) -> None:
    """Each overlaps only the one before and after it, so that what counts hangs together along the chain."""

    def tell(world: World, user: int, n: int) -> None:
        at = NOONISH - n * 4 * MINUTE_MS
        world.do(
            world.act(user, f"ride-{n}", at=at, source=SOURCES[n % 4], evidence=f"way-{grades[n].lower()}")
        )

    world, user = ride_world()
    acts = list(range(len(grades)))
    for n in acts:
        tell(world, user, n)
    for n in data.draw(st.permutations([n for n in acts if n in gone])):
        world.do(c.ReverseActivity(SOURCES[n % 4], f"ride-{n}"))
        world.audit()
    alone, other = ride_world()
    for n in acts:
        if n not in gone:
            tell(alone, other, n)
    assert totals(world, user) == totals(alone, other)


an_entry = st.builds(
    Entry,
    id=st.integers(1, 50),
    source=st.sampled_from("ab"),
    activity=st.just("x"),
    behaviour=st.sampled_from(("bus", "metro")),
    family=st.just("ride"),
    scope=st.just("overlap"),
    on=st.just("2026-11-20"),
    begins=st.integers(1, 40),
    ends=st.integers(41, 60),
    grade=st.sampled_from(GRADES),
    worth_g=st.just(1),
    avoided_mg=st.just(1),
    ripens_at=st.just(1),
    accepted_at=st.integers(1, 3),
    is_late=st.just(False),
    counts=st.just(True),
)


@given(st.lists(an_entry, unique_by=lambda one: one.id, min_size=1, max_size=9))
def test_no_two_that_count_exclude_each_other_and_whoever_does_not_is_told_by_whom(acts: list[Entry]) -> None:
    settled = settle(acts, [], acts[-1].id)
    chosen = [one for one in acts if one.id in settled.counting]
    assert chosen
    assert not any(conflict(one, other) for one in chosen for other in chosen)
    assert {one.id for one in acts} == settled.counting | settled.excluded_by.keys()
    assert all(conflict(one, settled.excluded_by[one.id]) for one in acts if one not in chosen)


of_some_day = st.builds(
    lambda one, **about: one._replace(**about),
    an_entry,
    scope=st.sampled_from(("overlap", "across-sources", "day")),
    on=st.sampled_from(("2026-11-19", "2026-11-20", "2026-12-01")),
    ends=st.sampled_from((0, 60)),
)


@given(of_some_day, of_some_day)
@settings(max_examples=300)
def test_an_act_that_has_only_a_day_excludes_none_of_another_day(one: Entry, other: Entry) -> None:
    if one.on != other.on and not exclusion.may_cross_days(one):
        assert not conflict(one, other)
        assert not conflict(other, one)


# --- cases ------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World(rules=rules_with_grades())


def test_a_check_in_and_a_ticket_photo_of_one_ride_count_once_and_both_traces_say_so(world: World) -> None:
    [user] = world.village(1)
    world.add_source("photos")
    photo = world.do(world.act(user, "photo", "bus", source="photos", evidence="way-d"))
    gate = world.do(world.act(user, "gate", "metro", at=world.now - 2 * MINUTE_MS, evidence="way-a"))
    assert (photo["energy_g"], gate["energy_g"]) == (80, 52)
    shown, passed = named(world, "photo"), named(world, "gate")
    assert (shown.status, shown.energy_g, shown.avoided_mg) == ("excluded", 0, 0)
    assert shown.trace["weighed"] == [{"at": world.now, "by": str(passed.id)}]
    assert passed.trace["excludes"] == [str(shown.id)]
    assert passed.trace["evidence"] == {"kind": "way-a", "grade": "A"}
    again = world.do(world.act(user, "photo", "bus", source="photos", evidence="way-d"))
    assert (again["status"], again["energy_g"], again["reason"]) == ("duplicate", 0, "excluded")
    world.audit()


def test_a_worse_report_that_comes_later_is_kept_with_nothing(world: World) -> None:
    [user] = world.village(1)
    world.add_source("photos")
    world.do(world.act(user, "gate", "bus", evidence="way-a"))
    reply = world.do(world.act(user, "photo", "bus", source="photos", evidence="way-d"))
    assert reply == {
        "id": "photo",
        "status": "accepted",
        "energy_g": 0,
        "avoided_mg": 0,
        "reason": "excluded",
    }
    assert named(world, "gate").trace["excludes"] == [str(named(world, "photo").id)]


def test_rides_one_after_another_all_count(world: World) -> None:
    [user] = world.village(1)
    for n in range(3):
        assert world.do(world.act(user, f"ride-{n}", at=world.now - n * 5 * MINUTE_MS))["energy_g"] == 80


def test_another_family_and_another_user_are_not_excluded(world: World) -> None:
    user, friend = world.village(2)
    assert world.do(world.act(user, "ride"))["energy_g"] == 80
    assert world.do(world.act(friend, "ride-2"))["energy_g"] == 80
    assert world.do(world.act(user, "walk", "walking", quantity=9000, on=world.days_on(0)))["energy_g"] > 0


def test_bills_of_one_source_are_told_apart_by_its_ids_those_of_two_by_their_times(world: World) -> None:
    [user] = world.village(1)
    world.add_source("bank")
    attributes = {"completed_at": rfc3339(world.now)}
    found = [world.do(world.act(user, f"bill-{n}", "e-invoice")) for n in range(2)]
    assert all("reason" not in reply for reply in found), found
    other = world.do(world.act(user, "bill-0", "e-invoice", source="bank"))
    assert other["reason"] == "excluded"
    assert attributes


def test_around_midnight_two_reports_of_one_ride_count_once(world: World) -> None:
    [user] = world.village(1)
    world.add_source("two")
    midnight = world.now + 4 * HOUR_MS - DAY_MS  # noon UTC is 20:00 in Shanghai
    before = world.do(world.act(user, "before", at=midnight - MINUTE_MS))
    after = world.do(world.act(user, "after", at=midnight + MINUTE_MS, source="two"))
    assert (before["energy_g"], after["energy_g"], after["reason"]) == (80, 0, "excluded")
    assert named(world, "before").on != named(world, "after").on


def test_moving_zone_does_not_make_two_of_one_ride(world: World) -> None:
    [user] = world.village(1)
    world.add_source("two")
    at = world.now
    world.do(world.act(user, "before", at=at))
    world.do(c.ChangeAccount(None, user, zone="Pacific/Kiritimati"))
    world.now += 3 * DAY_MS
    assert world.do(world.act(user, "after", at=at, source="two"))["reason"] == "excluded"


def test_a_better_report_gives_what_the_collected_one_has_left_over(world: World) -> None:
    user, friend = world.village(2)
    world.add_source("gate")
    ball = world.ball(user, "photo", "metro", evidence="way-d")
    at = world.now
    world.to_ripe(ball, 60_000)
    taken = world.collect(friend, user, ball)[0]["energy_g"]
    reply = world.do(world.act(user, "pass", "bus", at=at, source="gate", evidence="way-a"))
    assert taken > 0
    assert reply["energy_g"] == 80 - taken
    assert named(world, "pass").trace["granted"] == {"raw_g": 80, "energy_g": 80 - taken, "kept_g": taken}
    assert named(world, "photo").energy_g == taken
    assert world.state.users[friend].wallet_g == taken
    world.audit()
    world.do(c.ReverseActivity(SOURCE, "photo"))
    assert named(world, "pass").energy_g == 80, "what the fault owes now is not held against the true report"
    assert world.state.users[user].debt_g == taken
    world.audit()


def test_evidence_that_the_rule_or_the_source_does_not_know_is_refused(world: World) -> None:
    [user] = world.village(1)
    world.add_source("gate", "way-b", "way-c")
    refusal = world.refused(world.act(user, "ride", evidence="oath"))
    assert (refusal.code, refusal.fields["known"]) == ("wrong_evidence", ["way-a", "way-b", "way-c", "way-d"])
    refusal = world.refused(world.act(user, "ride", source="gate", evidence="way-a"))
    assert (refusal.code, refusal.fields["known"]) == ("wrong_evidence", ["way-b", "way-c"])
    world.do(world.act(user, "ride", source="gate"))
    assert named(world, "ride").evidence == "way-b", "the first that it may claim"


def test_a_days_acts_are_bounded(world: World) -> None:
    [user] = world.village(1)
    for n in range(60):
        world.do(world.act(user, f"walk-{n}", "walking", quantity=n, on=world.days_on(0)))
    refusal = world.refused(world.act(user, "one-more", "walking", quantity=1, on=world.days_on(0)))
    assert (refusal.code, refusal.fields) == ("too_many_acts", {"acts_max": 60})
    assert totals(world, user)[1] == 59 * 296 // 18_040


def comparing(world: World, excludes: str, family: str, *names: str) -> None:
    """Put behaviours into a family that excludes so."""
    behaviours = {
        name: replace(one, family=family, excludes=excludes) if name in names else one
        for name, one in world.rules.behaviours.items()
    }
    world.rules = replace(world.rules, behaviours=behaviours, memo={})


@pytest.mark.parametrize(("excludes", "apart_d"), [("day", 1), ("month", 20)])
def test_behaviours_exclude_each_other_for_a_day_or_a_month_and_their_own_acts_where_they_overlap(
    world: World, excludes: str, apart_d: int
) -> None:
    """A household's saved kilowatt-hours and the appliance that saved them; a car that stood and one that paid toll."""
    [user] = world.village(1)
    world.now += 5 * DAY_MS  # so that 20 days before and after lie in other months
    comparing(world, excludes, "household", "bus", "metro")
    same = world.now - (0 if excludes == "day" else 3 * DAY_MS)
    other = world.now - apart_d * DAY_MS if excludes == "day" else world.now - 30 * DAY_MS
    saved = [
        world.do(world.act(user, f"saved-{n}", at=world.now - n * HOUR_MS, evidence="way-b"))
        for n in range(2)
    ]
    assert [reply["energy_g"] for reply in saved] == [80, 80]
    bought = world.do(world.act(user, "bought", "metro", at=same, evidence="way-c"))
    assert (bought["energy_g"], bought["reason"]) == (0, "excluded")
    before = world.do(world.act(user, "before", "metro", at=other, evidence="way-c"))
    assert before["energy_g"] == 52
    settled = world.do(world.act(user, "settled", "metro", at=same - HOUR_MS, evidence="way-a"))
    assert settled["energy_g"] == 52
    assert [named(world, f"saved-{n}").status for n in range(2)] == ["excluded", "excluded"]
    assert named(world, "bought").status == "accepted", "of the same behaviour, and what excluded it is gone"
    world.audit()
    world.do(c.ReverseActivity(SOURCE, "settled"))
    assert [named(world, f"saved-{n}").status for n in range(2)] == ["accepted", "accepted"]
    assert named(world, "bought").status == "excluded"
    world.audit()


def test_an_act_lasts_as_long_as_it_says(world: World) -> None:
    assert exclusion.span_of(1_000_000, {}, 300) == (850_000, 1_150_000)
    assert exclusion.span_of(1_000_000, {"duration_min": "2"}, 300) == (1_000_000, 1_120_000)
    assert exclusion.span_of(1_000_000, {"duration_s": 90}, 300) == (1_000_000, 1_090_000)
    assert exclusion.span_of(1_000_000, {"ended_at": "1970-01-01T00:20:00Z"}, 300) == (1_000_000, 1_200_000)
    assert exclusion.span_of(1_000_000, {"ended_at": "1969-01-01T00:20:00Z"}, 300) == (850_000, 1_150_000)
    assert exclusion.span_of(1_000_000, {"ended_at": "later", "duration_s": "NaN"}, 300) == (
        850_000,
        1_150_000,
    )
    long = exclusion.span_of(1_000_000, {"duration_s": 10**9}, 300)
    assert long == (1_000_000, 1_000_000 + exclusion.SPAN_MS_MAX)
    assert exclusion.span_of(None, {}, 300) == (0, 0)


def test_all_behaviours_of_the_cast_are_known() -> None:
    assert set(RIDE_G) <= set(BEHAVIOURS)
