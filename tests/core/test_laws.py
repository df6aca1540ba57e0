"""The ledger laws over any sequence of commands: hypothesis plays, an auditor with its own books compares."""

import contextlib
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.core import commands as c
from engine.core.errors import Rejected
from tests.core.world import DAY_MS, HOUR_MS, SOURCE, World

PLACES = st.integers(0, 3)
ACTS = st.integers(0, 30)
DRAWS = st.integers(0, 2**64 - 1)
CAPS_PER_DAY = {"bus": 400, "walking": 296, "e-invoice": 25}


class Game(RuleBasedStateMachine):
    """Four friends, one source, a clock that only goes forward."""

    @initialize()
    def village(self) -> None:
        self.world = World()
        self.users = self.world.village(4)

    def attempt(self, command: object) -> None:
        """Refusals are fine; anything else is a fault."""
        with contextlib.suppress(Rejected):
            self.world.do(command)

    @rule(who=PLACES, act=ACTS, behaviour=st.sampled_from(sorted(CAPS_PER_DAY)), back_d=st.integers(0, 40))
    def report(self, who: int, act: int, behaviour: str, back_d: int) -> None:
        world, user = self.world, self.users[who]
        if behaviour == "walking":
            options = {"on": world.days_on(-back_d), "quantity": 500 * act, "revision": act}
            self.attempt(world.act(user, f"walk-{user}-{back_d}", behaviour, **options))
        else:
            at = world.now - back_d * DAY_MS
            self.attempt(world.act(user, f"{behaviour}-{act}-{user}", behaviour, at=at))

    @rule(who=PLACES, act=ACTS)
    def reverse(self, who: int, act: int) -> None:
        self.attempt(c.ReverseActivity(SOURCE, f"bus-{act}-{self.users[who]}"))

    @rule(who=PLACES, owner=PLACES, draw=DRAWS)
    def collect(self, who: int, owner: int, draw: int) -> None:
        world = self.world
        world.draw = draw
        balls = tuple(ball.id for ball in world.state.balls if ball.owner == self.users[owner])[:50]
        self.attempt(c.CollectEnergy(world.next_key(), self.users[who], self.users[owner], balls))

    @rule()
    def book(self) -> None:
        balls = tuple((ball.id, ball.owner) for ball in self.world.state.balls)
        self.attempt(c.BookExpiry(balls))

    @rule(hours=st.integers(1, 60))
    def wait(self, hours: int) -> None:
        self.world.now += hours * HOUR_MS

    @rule(one=PLACES, other=PLACES, kind=st.sampled_from([c.RequestFriend, c.AnswerFriend, c.RemoveFriend]))
    def friends(self, one: int, other: int, kind: Callable[..., object]) -> None:
        self.attempt(kind(self.world.next_key(), self.users[one], self.users[other]))

    @invariant()
    def books_balance(self) -> None:
        self.world.audit()

    @invariant()
    def floors_and_caps_hold(self) -> None:
        for ball in self.world.state.balls:
            friends_g = sum(taker[1] for taker in ball.takers if taker[0] != ball.owner)
            assert friends_g <= ball.full_g - ball.floor_g
        for use in self.world.state.caps:
            if len(use.period) == len("2026-11-20"):
                assert 0 <= use.used_g <= CAPS_PER_DAY[use.behaviour]
                assert use.used_count == len(use.acts)

    @invariant()
    def friendship_is_mutual_and_counted(self) -> None:
        pairs = {(row.user_id, row.friend_id) for row in self.world.state.friends if row.state == "friends"}
        assert all((friend, user) in pairs for user, friend in pairs)
        for user in self.users:
            assert self.world.state.users[user].friend_count == sum(user == one for one, _ in pairs)


TestGame = Game.TestCase
TestGame.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
