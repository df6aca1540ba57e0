"""What lies in a user's forest in a simulation, and what of it somebody may take at an instant.

Friends look in far more often than there is something for them: a forest knows which balls have opened to them.
"""

from heapq import heappop, heappush

from engine.core.state import Ball


class Forest:
    """The balls of one user, until they are collected or past their life. Instants only ever go forward."""

    __slots__ = ("_balls", "_open", "_waiting")

    def __init__(self) -> None:
        self._balls: dict[int, Ball] = {}
        self._waiting: list[tuple[int, int]] = []  # a heap: when a ball opens to friends, its id
        self._open: dict[int, Ball] = {}  # those of which friends may still get something

    def __len__(self) -> int:
        return len(self._balls)

    def add(self, ball: Ball) -> None:
        """A ball, in the place of the one of the same act if there was one."""
        self.drop(ball.id)
        self._balls[ball.id] = ball
        heappush(self._waiting, (ball.friends_from_at, ball.id))

    def drop(self, ball: int) -> None:
        """The ball is gone, if it was there."""
        self._balls.pop(ball, None)
        self._open.pop(ball, None)

    def drop_empty(self, balls: list[int]) -> None:
        """Those of the balls are gone of which nothing is left."""
        for ball in balls:
            if not self._balls[ball].remaining_g:
                self.drop(ball)

    def ripe(self, now: int) -> list[int]:
        """What the owner may take."""
        return [
            ball.id
            for ball in self._balls.values()
            if ball.ripens_at <= now < ball.expires_at and ball.remaining_g
        ]

    def left_for(self, friend: int, now: int) -> list[int]:
        """What the friend may take."""
        if self._waiting and self._waiting[0][0] <= now:
            self._open_up(now)
        found, has_spent = [], False
        for ball in self._open.values():
            if ball.remaining_g <= ball.floor_g or now >= ball.expires_at:
                has_spent = True
                continue
            for taker in ball.takers:
                if taker[0] == friend:
                    break
            else:
                found.append(ball.id)
        if has_spent:
            self._open = {
                number: ball
                for number, ball in self._open.items()
                if ball.remaining_g > ball.floor_g and now < ball.expires_at
            }
        return found

    def _open_up(self, now: int) -> None:
        """Note which balls have opened to friends; one that was replaced may open later than its note says."""
        while self._waiting and self._waiting[0][0] <= now:
            ball = self._balls.get(heappop(self._waiting)[1])
            if ball is not None and ball.friends_from_at <= now:
                self._open[ball.id] = ball
