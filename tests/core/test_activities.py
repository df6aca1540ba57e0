"""From reports to balls: once per id, consent, caps in any order, running totals, lateness, and taking back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import commands as c
from tests.core.world import DAY_MS, HOUR_MS, SOURCE, World


@pytest.fixture
def world() -> World:
    return World()


def test_an_activity_id_mints_once(world: World) -> None:
    [user] = world.village(1)
    report = world.act(user, "ride-1")
    first = world.do(report)
    again = world.do(report)
    assert first["status"] == "accepted"
    assert again == {**first, "status": "duplicate"}
    other = world.act(user, "ride-1", content="another ride")
    assert world.refused(other).code == "activity_conflict"
    assert sum(move.amount for move in world.moves if move.debit == "mint" and move.asset == "energy") == 80


def test_without_a_live_link_nothing_is_kept(world: World) -> None:
    [user] = world.village(1)
    world.do(c.WithdrawLink(None, user, SOURCE, str(user)))
    assert world.refused(world.act(user, "ride-1")).code == "not_linked"
    assert len(list(world.state.activities)) == 0
    world.do(c.LinkSource(None, user, SOURCE, str(user), ("metro",)))
    assert world.refused(world.act(user, "ride-1")).code == "not_linked", "the consent names metro only"
    assert world.do(world.act(user, "ride-2", "metro"))["status"] == "accepted"


def test_a_source_reports_only_what_it_may(world: World) -> None:
    [user] = world.village(1)
    world.do(c.AddSource(None, "shop", "Shop", "whsec_shop", ("e-invoice",)))
    world.do(c.LinkSource(None, user, "shop", "s", ("e-invoice",)))
    report = world.act(user, "ride-1")
    report.source, report.subject = "shop", "s"
    assert world.refused(report).code == "source_not_allowed"


def test_the_future_is_refused(world: World) -> None:
    [user] = world.village(1)
    assert world.refused(world.act(user, "ride-1", at=world.now + HOUR_MS)).code == "in_future"
    tomorrow = world.act(user, "walk", "walking", quantity=9000, on=world.days_on(1))
    assert world.refused(tomorrow).code == "in_future"


def test_count_caps_go_to_the_first_accepted_and_the_trace_names_who_used_the_slots(world: World) -> None:
    [user] = world.village(1)
    replies = [world.do(world.act(user, f"ride-{n}", at=world.now - n * HOUR_MS)) for n in range(7)]
    assert [reply["energy_g"] for reply in replies] == [80] * 5 + [0, 0]
    assert replies[5]["reason"] == "cap_day_count"
    assert "ball" not in replies[5]
    sixth = world.state.activities[SOURCE, "ride-5"]
    assert sixth.trace["granted"]["used_by"] == [reply["ball"] for reply in replies[:5]]
    assert sixth.avoided_mg == world.state.activities[SOURCE, "ride-0"].avoided_mg, (
        "emissions know no game cap"
    )
    world.now += DAY_MS
    assert world.do(world.act(user, "ride-next-day"))["energy_g"] == 80


@given(st.permutations([4000, 9000, 12_000, 700]))
def test_the_days_steps_of_several_devices_are_the_greatest_in_any_order(steps: list[int]) -> None:
    world = World()
    [user] = world.village(1)
    day = world.days_on(-1)
    for number in steps:
        world.do(world.act(user, f"walk-{number}", "walking", quantity=number, on=day))
    assert sum(ball.full_g for ball in world.state.balls) == 12_000 * 296 // 18_040
    world.audit()


def test_moving_zone_opens_no_second_cap(world: World) -> None:
    [user] = world.village(1)
    for number in range(5):
        world.do(world.act(user, f"ride-{number}"))
    world.do(c.ChangeAccount(None, user, zone="Pacific/Kiritimati"))
    assert world.do(world.act(user, "ride-6"))["energy_g"] == 0
    assert world.state.users[user].zone_at(world.now) == "Asia/Shanghai"
    second_midnight = world.state.users[user].next_zone_at
    assert second_midnight is not None
    assert second_midnight - world.now == (4 + 24) * HOUR_MS, "20:00 in Shanghai: 4 h to the first midnight"


# --- running totals -------------------------------------------------------------------------------


def walk(world: World, user: int, revision: int, steps: int) -> c.ReportActivity:
    return world.act(user, "walk", "walking", quantity=steps, on=world.days_on(0), revision=revision)


@pytest.mark.parametrize("order", list(itertools.permutations([(1, 3000), (2, 8000), (3, 12_000)])))
def test_the_highest_revision_counts_whatever_the_order(order: tuple[tuple[int, int], ...]) -> None:
    world = World()
    [user] = world.village(1)
    for revision, steps in order:
        assert world.do(walk(world, user, revision, steps))["status"] == "accepted"
    [ball] = world.state.balls
    assert ball.full_g == ball.remaining_g == 12_000 * 296 // 18_040
    assert ball.floor_g == -(-ball.full_g // 2)
    assert world.state.activities[SOURCE, "walk"].revision == 3
    assert len(list(world.state.revisions)) == 3, "every report is kept"
    world.audit()


def test_a_revision_after_ripening_is_recorded_and_mints_nothing(world: World) -> None:
    [user] = world.village(1)
    first = world.do(walk(world, user, 1, 3000))
    world.now += 2 * DAY_MS
    late = world.do(walk(world, user, 2, 9000))
    assert late == {**first, "reason": "after_ripening"}
    revision = world.state.revisions[int(first["ball"]), 2]
    assert (revision.quantity, revision.counted) == ("9000", False)
    world.audit()


def test_a_running_total_that_begins_with_nothing_gets_its_ball_later(world: World) -> None:
    [user] = world.village(1)
    assert "ball" not in world.do(walk(world, user, 1, 10))
    grown = world.do(walk(world, user, 2, 5000))
    assert grown["energy_g"] == 5000 * 296 // 18_040
    assert world.state.balls[int(grown["ball"])].remaining_g == grown["energy_g"]
    world.audit()


def test_a_total_that_shrinks_gives_back_what_it_had(world: World) -> None:
    [user] = world.village(1)
    world.do(walk(world, user, 1, 9000))
    shrunk = world.do(walk(world, user, 2, 1000))
    assert shrunk["energy_g"] == 1000 * 296 // 18_040
    world.audit()


def test_the_same_revision_with_other_steps_is_a_conflict(world: World) -> None:
    [user] = world.village(1)
    world.do(walk(world, user, 1, 3000))
    assert world.do(walk(world, user, 1, 3000))["status"] == "duplicate"
    assert world.refused(walk(world, user, 1, 3001)).code == "activity_conflict"


# --- ripening and lateness ------------------------------------------------------------------------


def test_walking_ripens_next_morning_at_the_users_own_minute(world: World) -> None:
    users = world.village(40)
    ripening = set()
    for user in users:
        ball = world.ball(user, f"walk-{user}", "walking", quantity=9000, on=world.days_on(0))
        ripens_at = world.state.balls[ball].ripens_at
        morning = ripens_at - (world.now + 11 * HOUR_MS)  # 07:00 in Shanghai is 23:00 UTC
        assert 0 <= morning <= 30 * 60_000
        ripening.add(ripens_at)
    assert len(ripening) > 30, "the offsets flatten 07:00"


def test_a_report_that_comes_late_ripens_on_acceptance(world: World) -> None:
    [user] = world.village(1)
    ball = world.state.balls[world.ball(user, "ride-1", at=world.now - 20 * DAY_MS)]
    assert (ball.ripens_at, ball.expires_at) == (world.now, world.now + 72 * HOUR_MS)


def test_later_than_the_limit_only_the_carbon_record_remembers(world: World) -> None:
    [user] = world.village(1)
    reply = world.do(world.act(user, "ride-1", at=world.now - 31 * DAY_MS))
    assert reply["reason"] == "late"
    ball = world.state.balls[int(reply["ball"])]
    assert ball.remaining_g == 0
    expired = sum(move.amount for move in world.moves if move.credit == "expired")
    assert expired == reply["energy_g"] == 80
    assert world.state.users[user].avoided_mg == reply["avoided_mg"] > 0
    world.audit()


# --- reversal -------------------------------------------------------------------------------------


def test_reversing_takes_uncollected_grams_and_makes_collected_ones_a_debt(world: World) -> None:
    user, friend = world.village(2)
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball, 60_000)
    taken = world.collect(friend, user, ball)[0]["energy_g"]
    reply = world.do(c.ReverseActivity(SOURCE, "ride-1"))
    assert reply["owed_g"] == taken
    actor = world.state.users[user]
    assert (actor.debt_g, actor.avoided_mg) == (taken, 0)
    assert world.state.users[friend].wallet_g == taken, "friends keep what they took"
    assert world.do(c.ReverseActivity(SOURCE, "ride-1"))["status"] == "duplicate"
    world.audit()
    repaying = world.ball(user, "ride-2")
    world.to_ripe(repaying)
    world.collect(user, user, repaying)
    assert (actor.debt_g, actor.wallet_g) == (0, 80 - taken)
    world.audit()


def test_reversing_what_expired_leaves_no_debt(world: World) -> None:
    [user] = world.village(1)
    ball = world.ball(user, "ride-1")
    world.now += 10 * DAY_MS
    world.do(c.BookExpiry(((ball, user),)))
    assert world.do(c.ReverseActivity(SOURCE, "ride-1"))["owed_g"] == 0
    world.audit()


def test_a_reversed_act_frees_its_slot_and_can_never_come_back(world: World) -> None:
    [user] = world.village(1)
    for number in range(5):
        world.do(world.act(user, f"ride-{number}", at=world.now - number * HOUR_MS))
    world.do(c.ReverseActivity(SOURCE, "ride-0"))
    assert world.do(world.act(user, "ride-5"))["energy_g"] == 80
    again = world.do(world.act(user, "ride-0"))
    assert (again["status"], again["energy_g"], again["reason"]) == ("duplicate", 0, "activity_reversed")
    world.audit()


def test_unknown_activities_cant_be_reversed(world: World) -> None:
    world.village(1)
    assert world.refused(c.ReverseActivity(SOURCE, "never")).code == "unknown_activity"


@pytest.mark.parametrize("days_off", [-2, 0, 1])
def test_a_report_with_instant_and_day_counts_on_the_day_of_its_instant(world: World, days_off: int) -> None:
    [user] = world.village(1)
    world.do(world.act(user, "ride-1", at=world.now, on=world.days_on(days_off)))
    assert world.state.activities[SOURCE, "ride-1"].on == world.days_on(0).isoformat()
