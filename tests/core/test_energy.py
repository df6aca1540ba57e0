"""Collecting: every answer is definite, shares keep to their bounds, and the sum is exact."""

import pytest

from engine.core import commands as c
from tests.core.world import DAY_MS, HOUR_MS, World

MINUTE_MS = 60_000


@pytest.fixture
def world() -> World:
    return World()


def test_a_ball_grows_ripens_and_gives_its_owner_everything(world: World) -> None:
    [user] = world.village(1)
    ball = world.ball(user, "ride-1")
    [early] = world.collect(user, user, ball)
    assert early["error"] == "not_ripe"
    assert early["ripens_at"] == "2026-11-21T12:00:00.000Z"
    world.to_ripe(ball)
    assert world.collect(user, user, ball) == [{"ball": str(ball), "energy_g": 80}]
    assert world.state.users[user].wallet_g == 80
    world.audit()


def test_the_second_take_is_answered_with_the_first_receipt(world: World) -> None:
    user, friend = world.village(2)
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball, MINUTE_MS)
    [first] = world.collect(friend, user, ball)
    receipt_key = world.state.balls[ball].takers[0][2]
    world.now += 3 * DAY_MS  # even past the ball's life
    [again] = world.collect(friend, user, ball)
    assert again["error"] == "already_collected"
    assert (again["energy_g"], again["key"]) == (first["energy_g"], receipt_key)


def test_friends_wait_for_the_head_start_and_the_owner_does_not(world: World) -> None:
    user, friend = world.village(2)
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball, MINUTE_MS - 1)
    [refusal] = world.collect(friend, user, ball)
    assert refusal["error"] == "head_start"
    world.now += 1
    assert "energy_g" in world.collect(friend, user, ball)[0]


@pytest.mark.parametrize(("draw", "takes"), [(0, "least"), (2**64 - 1, "most")])
def test_a_friends_share_lies_within_the_balls_bounds(draw: int, takes: str) -> None:
    world = World(draw=draw)
    user, friend = world.village(2)
    number = world.ball(user, "ride-1")
    ball = world.state.balls[number]
    world.to_ripe(number, MINUTE_MS)
    [result] = world.collect(friend, user, number)
    assert result["energy_g"] == {"least": ball.share_min_g, "most": ball.share_max_g}[takes]
    assert 1 <= ball.share_min_g <= ball.share_max_g <= ball.full_g - ball.floor_g


def test_friends_never_get_below_the_floor_and_the_owner_gets_the_rest(world: World) -> None:
    world.draw = 2**64 - 1
    user, *friends = world.village(15)
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    results = [world.collect(friend, user, number)[0] for friend in friends]
    taken = sum(result.get("energy_g", 0) for result in results)
    assert taken == 40, "half of 80 g is the owner's floor"
    assert results[-1]["error"] == "nothing_left"
    assert world.collect(user, user, number)[0]["energy_g"] == 40
    world.audit()


def test_an_odd_ball_rounds_the_floor_up(world: World) -> None:
    user, _ = world.village(2)
    number = world.ball(user, "invoice-1", "e-invoice")
    ball = world.state.balls[number]
    assert (ball.full_g, ball.floor_g) == (5, 3)


def test_life_ends_to_the_millisecond(world: World) -> None:
    [user] = world.village(1)
    number = world.ball(user, "ride-1")
    world.now = world.state.balls[number].ripens_at + 72 * HOUR_MS
    assert world.state.balls[number].expires_at == world.now
    [late] = world.collect(user, user, number)
    assert late["error"] == "expired"
    world.now -= 1
    assert world.collect(user, user, number)[0]["energy_g"] == 80


def test_booking_expiry_late_or_twice_changes_no_outcome(world: World) -> None:
    user, friend = world.village(2)
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    [taken] = world.collect(friend, user, number)
    booking = c.BookExpiry(((number, user),))
    assert world.do(booking) == {"booked": 0}, "its life is not over"
    world.now += 9 * DAY_MS
    assert world.do(booking) == {"booked": 1}
    assert world.do(booking) == {"booked": 0}
    booked = [move.amount for move in world.moves if move.credit == "expired"]
    assert booked == [80 - taken["energy_g"]]
    world.audit()


def test_many_balls_in_one_command_are_answered_one_by_one(world: World) -> None:
    [user] = world.village(1)
    ripe = world.ball(user, "ride-1")
    world.to_ripe(ripe)
    growing = world.ball(user, "ride-2")
    results = world.collect(user, user, ripe, growing, 999_999)
    assert [result.get("error") for result in results] == [None, "not_ripe", "unknown_ball"]


def test_a_ball_of_another_forest_is_unknown(world: World) -> None:
    user, friend, third = world.village(3)
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    [result] = world.collect(friend, third, number)
    assert result["error"] == "unknown_ball"


def test_only_friends_collect_and_ids_cant_be_probed(world: World) -> None:
    user, stranger = world.village(1)[0], 0
    stranger = world.user()
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    collect = c.CollectEnergy(world.next_key(), stranger, user, (number,))
    assert world.refused(collect).code == "not_friends"
    collect = c.CollectEnergy(world.next_key(), stranger, 123_456, (number,))
    assert world.refused(collect).code == "not_friends"


def test_a_suspended_account_collects_nothing(world: World) -> None:
    [user] = world.village(1)
    number = world.ball(user, "ride-1")
    world.to_ripe(number)
    world.do(c.SuspendAccount(None, user))
    collect = c.CollectEnergy(world.next_key(), user, user, (number,))
    assert world.refused(collect).code == "account_suspended"
    world.do(c.ResumeAccount(None, user))
    assert world.collect(user, user, number)[0]["energy_g"] == 80


def test_a_ball_named_twice_is_taken_from_once(world: World) -> None:
    user, friend = world.village(2)
    number = world.ball(user, "ride-1")
    world.to_ripe(number, MINUTE_MS)
    assert len(world.collect(friend, user, number, number)) == 1
    assert len(world.collect(user, user, number, number)) == 1
    world.audit()
    late = world.ball(user, "ride-2")
    world.to_ripe(late, 30 * DAY_MS)
    assert world.do(c.BookExpiry(((late, user), (late, user)))) == {"booked": 1}
    world.audit()
