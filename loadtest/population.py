"""Who is in the prefilled database, as arithmetic: users, friends and balls follow from their numbers alone, so the
driver knows without a query whom to sign in and which ball to press. Pure; it must not know of databases or sockets.

Users, by id from 1:

- *keen* users do the collecting. They have many balls and many friends, so that few connections suffice for a long run.
- *watchers* are friends with every second owner and look at their forests.
- *stars* are friends with every keen user: for the hot ball and the fan-out.
- *ordinary* users own the balls that friends collect.

Ball ids are scattered over their range: balls of one owner do not lie on one page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from math import gcd


@dataclass(frozen=True, slots=True)
class Population:
    """Sizes. `scaled(1)` is the size of the yardstick in the architecture; smaller scales are for trying things out."""

    users: int
    balls: int
    journal_rows: int
    keen: int
    keen_balls: int
    keen_friends: int
    watchers: int
    stars: int
    star_balls: int
    near_friends: int

    @staticmethod
    def scaled(scale: float) -> "Population":
        """200,000 users, 1,000,000 balls, 3,000,000 journal rows, 2,000,000 rows of friends, times `scale`."""
        users = max(400, round(200_000 * scale))
        keen = max(20, min(1000, users // 8))
        stars = 8
        watchers = max(5, min(500, users // 40))
        ordinary = users - keen - watchers - stars
        balls = max(4_000, round(1_000_000 * scale))
        star_balls = max(20, min(1000, balls // 200))
        return Population(
            users=users,
            balls=balls,
            journal_rows=max(balls, round(3_000_000 * scale)),
            keen=keen,
            keen_balls=(balls // 2 - stars * star_balls) // keen,
            keen_friends=min(300, ordinary // 4),
            watchers=watchers,
            stars=stars,
            star_balls=star_balls,
            near_friends=3,
        )

    # --- users ------------------------------------------------------------------------------------

    @property
    def ordinary(self) -> int:
        """How many ordinary users there are."""
        return self.users - self.keen - self.watchers - self.stars

    def keen_user(self, number: int) -> int:
        """User id of a keen user."""
        return 1 + number

    def watcher_user(self, number: int) -> int:
        """User id of a watcher."""
        return 1 + self.keen + number

    def star_user(self, number: int) -> int:
        """User id of a star."""
        return 1 + self.keen + self.watchers + number

    def ordinary_user(self, number: int) -> int:
        """User id of an ordinary user."""
        return 1 + self.keen + self.watchers + self.stars + number

    # --- friends ----------------------------------------------------------------------------------

    def friends_of_keen(self, number: int) -> list[int]:
        """Numbers of the ordinary users who are friends of a keen user, scattered over all of them."""
        step = _coprime_near(self.ordinary, 0.618)
        first = number * self.keen_friends
        return [(first + nth) * step % self.ordinary for nth in range(self.keen_friends)]

    def watcher_of(self, user: int) -> int | None:
        """User id of the watcher who is a friend of `user`: every second keen and ordinary user has one."""
        return self.watcher_user(user // 2 % self.watchers) if user % 2 == 0 else None

    def friendships(self) -> Iterator[tuple[int, int]]:
        """Every friendship once, lower user id first."""
        for number in range(self.keen):
            user = self.keen_user(number)
            for friend in self.friends_of_keen(number):
                yield user, self.ordinary_user(friend)
            for star in range(self.stars):
                yield user, self.star_user(star)
            watcher = self.watcher_of(user)
            if watcher is not None:
                yield user, watcher
        for number in range(self.ordinary):
            user = self.ordinary_user(number)
            watcher = self.watcher_of(user)
            if watcher is not None:
                yield watcher, user
            for distance in range(1, self.near_friends + 1):
                if number + distance < self.ordinary:
                    yield user, self.ordinary_user(number + distance)

    # --- balls ------------------------------------------------------------------------------------

    def balls_of_keen(self, number: int) -> range:
        """Serial numbers of a keen user's balls."""
        return range(number * self.keen_balls, (number + 1) * self.keen_balls)

    def balls_of_star(self, number: int) -> range:
        """Serial numbers of a star's balls."""
        first = self.keen * self.keen_balls + number * self.star_balls
        return range(first, first + self.star_balls)

    def balls_of_ordinary(self, number: int) -> range:
        """Serial numbers of an ordinary user's balls, two or three each at full size."""
        first = self.keen * self.keen_balls + self.stars * self.star_balls
        return range(first + number, self.balls, self.ordinary)

    def ball_id(self, serial: int) -> int:
        """The id of the ball with this serial number; scattered."""
        return 1 + serial * _coprime_near(self.balls, 0.382) % self.balls

    def serial_of(self, ball: int) -> int:
        """The serial number of the ball with this id."""
        return (ball - 1) * pow(_coprime_near(self.balls, 0.382), -1, self.balls) % self.balls

    def owner_of(self, serial: int) -> int:
        """The owner (user id) of the ball with this serial number."""
        if serial < self.keen * self.keen_balls:
            return self.keen_user(serial // self.keen_balls)
        rest = serial - self.keen * self.keen_balls
        if rest < self.stars * self.star_balls:
            return self.star_user(rest // self.star_balls)
        return self.ordinary_user((rest - self.stars * self.star_balls) % self.ordinary)


class Presses:
    """What one keen user has yet to press, as (owner, ball id): 40 % own balls, 60 % friends', mixed, each once."""

    __slots__ = ("_coming", "_left")

    def __init__(self, population: Population, number: int) -> None:
        user = population.keen_user(number)
        own = ((user, population.ball_id(serial)) for serial in population.balls_of_keen(number))
        friends = (
            (population.ordinary_user(friend), population.ball_id(serial))
            for friend in population.friends_of_keen(number)
            for serial in population.balls_of_ordinary(friend)
        )
        self._coming = _mixed(own, friends)
        self._left: list[tuple[int, int]] = []

    def peek(self, most: int) -> list[tuple[int, int]]:
        """The next presses, up to `most`; they stay until they are dropped."""
        self._left += islice(self._coming, max(0, most - len(self._left)))
        return self._left[:most]

    def drop(self, count: int) -> None:
        """The first `count` are done."""
        del self._left[:count]


def _mixed(own: Iterator[tuple[int, int]], friends: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for turn in count():
        target = next(own if turn % 5 in (0, 3) else friends, None)
        if target is None:  # one kind has run out: the mix would no longer be right
            return
        yield target


@cache
def _coprime_near(size: int, part: float) -> int:
    step = max(1, round(size * part))
    while gcd(step, size) != 1:
        step += 1
    return step
