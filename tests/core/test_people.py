"""Accounts, consents and friendships."""

import pytest

from engine.core import commands as c
from tests.core.world import SOURCE, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_reference_opens_one_account(world: World) -> None:
    opened = world.do(c.OpenAccount(None, "app-17", "Lin", "Asia/Shanghai", "CN-BJ"))
    refusal = world.refused(c.OpenAccount(None, "app-17", "Lin", "Asia/Shanghai"))
    assert refusal.code == "account_exists"
    assert refusal.fields == {"user": opened["user"]}


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "../../etc/passwd", "asia" * 100, "localtime", "right/UTC", "posixrules"]
)
def test_a_zone_must_be_one(world: World, zone: str) -> None:
    assert world.refused(c.OpenAccount(None, None, "Lin", zone)).code == "bad_zone"


def test_closing_erases_the_person_and_keeps_the_amounts(world: World) -> None:
    user, friend = world.village(2)
    ball = world.ball(user, "ride-1")
    world.to_ripe(ball)
    world.collect(user, user, ball)
    world.do(c.CloseAccount(None, user))
    assert world.state.identities.get(user) is None
    assert not [link for link in world.state.links if link.user_id == user]
    assert not list(world.state.friends)
    assert world.state.users[friend].friend_count == 0
    assert (world.state.users[user].state, world.state.users[user].wallet_g) == ("closed", 80)
    assert world.do(c.CloseAccount(None, user)) == {"user": str(user), "state": "closed"}
    assert world.refused(c.ResumeAccount(None, user)).code == "account_closed"
    world.audit()


def test_a_subject_belongs_to_one_account_until_withdrawn(world: World) -> None:
    world.source()
    first, second = world.user(), world.user()
    take = c.LinkSource(None, second, SOURCE, str(first), ("bus",))
    assert world.refused(take).code == "subject_taken"
    world.do(c.WithdrawLink(None, first, SOURCE, str(first)))
    assert world.do(take)["behaviours"] == ["bus"]
    assert world.refused(c.WithdrawLink(None, first, SOURCE, str(first))).code == "not_linked"


def test_a_link_names_only_what_the_source_may_report(world: World) -> None:
    world.source()
    user = world.user()
    for behaviours in ((), ("bus", "flying")):
        link = c.LinkSource(None, user, SOURCE, "s", behaviours)
        assert world.refused(link).code == "behaviours_missing"
    assert world.refused(c.LinkSource(None, user, "nobody", "s", ("bus",))).code == "unknown_source"


# --- friends --------------------------------------------------------------------------------------


def pair(world: World) -> tuple[int, int]:
    world.source()
    return world.user(), world.user()


def test_asking_and_answering(world: World) -> None:
    user, friend = pair(world)
    ask = c.RequestFriend(world.next_key(), user, friend)
    assert world.do(ask) == {"user": str(friend), "state": "asked"}
    assert world.refused(ask).code == "already_asked"
    assert world.refused(c.AnswerFriend(world.next_key(), user, friend)).code == "not_asked", "not one's own"
    assert world.do(c.AnswerFriend(world.next_key(), friend, user))["state"] == "friends"
    assert world.refused(ask).code == "already_friends"
    assert [world.state.users[one].friend_count for one in (user, friend)] == [1, 1]


def test_asking_each_other_makes_friends(world: World) -> None:
    user, friend = pair(world)
    world.do(c.RequestFriend(world.next_key(), user, friend))
    assert world.do(c.RequestFriend(world.next_key(), friend, user))["state"] == "friends"


def test_declining_and_removing_leave_nothing(world: World) -> None:
    user, friend = pair(world)
    world.do(c.RequestFriend(world.next_key(), user, friend))
    world.do(c.AnswerFriend(world.next_key(), friend, user, accept=False))
    assert not list(world.state.friends)
    world.befriend(user, friend)
    world.do(c.RemoveFriend(world.next_key(), friend, user))
    assert not list(world.state.friends)
    assert [world.state.users[one].friend_count for one in (user, friend)] == [0, 0]
    assert world.refused(c.RemoveFriend(world.next_key(), friend, user)).code == "not_friends"


def test_blocking_ends_everything_and_says_nothing(world: World) -> None:
    user, friend = pair(world)
    world.befriend(user, friend)
    world.do(c.BlockUser(world.next_key(), user, friend))
    assert [(row.user_id, row.state) for row in world.state.friends] == [(user, "blocked")]
    for asker, asked in ((user, friend), (friend, user)):
        assert world.refused(c.RequestFriend(world.next_key(), asker, asked)).code == "not_available"
    world.do(c.BlockUser(world.next_key(), user, friend, blocked=False))
    assert not list(world.state.friends)


def test_both_may_block_each_other(world: World) -> None:
    user, friend = pair(world)
    world.do(c.BlockUser(world.next_key(), user, friend))
    world.do(c.BlockUser(world.next_key(), friend, user))
    world.do(c.BlockUser(world.next_key(), user, friend, blocked=False))
    assert [(row.user_id, row.state) for row in world.state.friends] == [(friend, "blocked")]


def test_nobody_befriends_themselves_or_nobody(world: World) -> None:
    world.source()
    user = world.user()
    assert world.refused(c.RequestFriend(world.next_key(), user, user)).code == "self_friend"
    assert world.refused(c.RequestFriend(world.next_key(), user, 99_999)).code == "not_available"
