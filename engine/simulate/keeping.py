"""What of past days a shard still holds: acts that may be compared with later ones, their rows, balls and caps.

The core compares an act with those of its own day and of the days around it, or with those of its month. Acts that
stand for themselves are let go at once.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from engine.core.events import ActivityAccepted, ActivityRestored
from engine.simulate.world import World

Name = tuple[str, str]


class Keeping:
    """Lets go of what can't be touched any more, so that memory depends on the users and not on the days."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: defaultdict[str, set[int]] = defaultdict(set)  # day or month of rows → their users
        self._acts: defaultdict[str, list[tuple[Name, int]]] = defaultdict(list)  # the same → acts: name, id
        self._compared: dict[int, bool] = {}  # act → whether it ever had a ball
        self._ended: set[int] = set()  # balls past their life whose act may still come back
        self._totals: defaultdict[int, list[tuple[Name, int, int]]] = defaultdict(
            list
        )  # day → running totals: name, id, revision

    def accepted(self, event: ActivityAccepted) -> None:
        """A new act: kept while others may be compared with it, or while its running total may grow."""
        act, entry = event.activity, event.entry
        if entry is not None:
            period = entry.period
            self._rows[period].add(act.user_id)
            self._acts[period].append(((act.source, act.activity), act.id))
            self._compared[act.id] = event.ball is not None
        elif act.revision is None:
            self._world.state.activities.remove((act.source, act.activity))

    def told(self, day: int, name: Name, act: int, revision: int) -> None:
        """A running total was told on the day."""
        self._totals[day].append((name, act, revision))

    def ball_made(self, act: int) -> None:
        """An act without a ball was given one."""
        if act in self._compared:
            self._compared[act] = True

    def ball_restored(self, event: ActivityRestored) -> bool:
        """An act was given grams again; whether this is the first ball that it ever had."""
        self._ended.discard(event.id)
        is_first = not self._compared[event.id]
        self._compared[event.id] = True
        return is_first

    def ball_ended(self, ball: int) -> None:
        """A ball is past its life: let go of it, or keep it for as long as its act may be given grams again."""
        if ball in self._compared:
            self._ended.add(ball)
        else:
            self._world.forget_ball(ball)

    def clear(self, day: int, on: date) -> None:
        """Let go of rows and totals up to the day with this number and date; a month goes when it is over by then."""
        last = on.isoformat()
        for period in [period for period in self._rows if _is_over(period, last)]:
            self._clear_row(period)
        state = self._world.state
        for name, act, revision in self._totals.pop(day, ()):
            if act not in self._compared:
                state.activities.remove(name)
            state.revisions.remove((act, revision))

    def _clear_row(self, period: str) -> None:
        state = self._world.state
        for user in self._rows.pop(period):
            state.occasions.remove((user, period))
        for name, act in self._acts.pop(period):
            state.activities.remove(name)
            del self._compared[act]
            if act in self._ended:
                self._ended.remove(act)
                self._world.forget_ball(act)

    def clear_caps(self, oldest: date) -> None:
        """Let go of the caps of periods that were over before the day."""
        text, caps = oldest.isoformat(), self._world.shelves["caps"]
        for key in [key for key in caps if key[2] < text[: len(key[2])]]:
            caps.remove(key)


def _is_over(period: str, last: str) -> bool:
    return period < last[: len(period)] or period == last
