"""Find energy: the next friend who has something for a viewer, without going through the viewer's friends.

A round of each viewer who asks is kept in memory: made by one read of all their friends, and kept by what the hub
hears of forests, from this process or another. A forest is listened to until its next change and then only looked at
again when its turn comes, so that a busy forest costs its watchers one look, however often it changes. Nobody is told
of a friend who was not read a moment ago. Lost messages cost a late answer: where processes share the database, a
round is made anew after a while.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import NamedTuple

from engine.core.errors import Rejected
from engine.publication import forest_channel
from engine.realtime.channels import parse_channel
from engine.realtime.hub import Hub
from engine.realtime.rounds import Known, Round
from engine.store import queries
from engine.store.database import Reader
from engine.store.queries import Standing

FRIENDS_PER_LOOK_MAX = 16
LOOKS_MAX = 4  # in one call; then the caller is told how far it came
SHARED_AGE_S_MAX = 600.0

View = Callable[[], AbstractAsyncContextManager[Reader]]


class Found(NamedTuple):
    """`standing`: who has something, None for nobody so far. `after`: where to go on; None: the round is over, and
    the next ball that others than those who have something now will have ripens at `next_at`.
    """

    standing: Standing | None
    name: str
    trees: int
    after: int | None
    next_at: int | None


class _Seat:
    """A viewer's round, and the turn to use it: two devices of one viewer wait for each other."""

    __slots__ = ("lock", "made_at", "round", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.round: Round | None = None
        self.made_at = 0.0
        self.waiting = 0


class Finder:
    """All rounds of this process. `friends_max` bounds viewers and friends in them: who asked longest ago is let go."""

    def __init__(
        self,
        hub: Hub,
        friends_max: int,
        age_s_max: float | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`age_s_max`: when a round is made anew, for a process that may miss what others tell."""
        self.rounds_made = 0
        self.held = 0  # viewers, and the friends in their rounds
        self._friends_max = friends_max
        self._age_s_max = age_s_max
        self._clock = clock
        self._seats: OrderedDict[int, _Seat] = OrderedDict()
        self._watching: dict[str, set[int]] = {}  # channel → viewers who want to hear of its next change
        hub.ear = self

    # --- what the hub hears -----------------------------------------------------------------------

    def changed(self, channel: str) -> None:
        """Something was published there, by whichever process."""
        viewers = self._watching.pop(channel, None)
        if viewers is None:
            return
        about = parse_channel(channel)
        assert about is not None, "only channels of users are watched"
        for viewer in viewers:
            round_ = self._round(viewer)
            if round_ is not None and (known := round_.known.get(about.user)) is not None:
                known.watched = None
                round_.changed(about.user)

    def ended(self, user: int, channel: str | None) -> None:
        """The user may no longer see the forest of the channel; None: the account itself has ended."""
        if channel is None:
            self._drop(user)
            self.changed(forest_channel(user))
            return
        round_, about = self._round(user), parse_channel(channel)
        if round_ is not None and about is not None:
            known = round_.ended(about.user)
            if known is not None:
                self.held -= 1
                self._unwatch(user, known)

    def restarted(self) -> None:
        """The database has a new incarnation: nothing that was known counts."""
        for viewer in list(self._seats):
            self._drop(viewer)

    # --- finding ----------------------------------------------------------------------------------

    async def find(self, view: View, viewer: int, after: int | None, now: int) -> Found:
        """The next friend behind `after` in the viewer's round. Each `view` is a snapshot of its own."""
        seat = self._seats.get(viewer)
        if seat is None:
            seat = self._seats[viewer] = _Seat()
        self._seats.move_to_end(viewer)
        seat.waiting += 1
        try:
            async with seat.lock:
                return await self._find(seat, view, viewer, after, now)
        finally:
            seat.waiting -= 1
            if seat.round is None and not seat.waiting:
                self._seats.pop(viewer, None)
            self._let_go()

    async def _find(self, seat: _Seat, view: View, viewer: int, after: int | None, now: int) -> Found:
        was_made = False
        for _ in range(LOOKS_MAX):
            if seat.round is None or self._is_old(seat):
                await self._make(seat, view, viewer, now)
                was_made = True
            round_ = seat.round
            if round_ is None:  # the account ended meanwhile
                raise Rejected("unknown_user")
            batch = round_.candidates(after, now, FRIENDS_PER_LOOK_MAX)
            self._begin(round_, batch)
            try:
                async with view() as r:
                    count = await queries.friend_count(r, viewer)
                    standings = await queries.standings(r, viewer, batch, now) if batch else []
                    round_.learn(batch, standings, now)
                    first = _first(batch, standings)
                    if count != round_.friend_count and not was_made:
                        self._forget(seat, viewer)
                        continue
                    if first is not None:
                        return await _told(r, first)
            except BaseException:
                for friend in batch:
                    round_.changed(friend)
                raise
            if not batch or not round_.candidates(batch[-1], now, 1):
                return Found(None, "", 0, None, round_.next_at(now))
            after = batch[-1]
        return Found(None, "", 0, after, None)

    async def _make(self, seat: _Seat, view: View, viewer: int, now: int) -> None:
        """Read all friends, listen to their forests, and only then read what lies there: nothing comes between."""
        self._forget(seat, viewer)
        async with view() as r:
            friends = await queries.friends_of(r, viewer)
        round_ = seat.round = Round(viewer, friends)
        seat.made_at = self._clock()
        self.held += 1 + len(friends)
        self.rounds_made += 1
        self._begin(round_, friends)
        try:
            async with view() as r:
                standings = await queries.standings(r, viewer, None, now)
        except BaseException:
            self._forget(seat, viewer)
            raise
        round_.learn(friends, standings, now)

    def _begin(self, round_: Round, friends: Sequence[int]) -> None:
        """Listen before the read begins, so that no change falls between the two."""
        round_.look(friends)
        for friend in friends:
            known = round_.known.get(friend)
            if known is not None and known.watched is None:
                known.watched = forest_channel(friend)
                self._watching.setdefault(known.watched, set()).add(round_.viewer)

    # --- what is kept -----------------------------------------------------------------------------

    def _round(self, viewer: int) -> Round | None:
        seat = self._seats.get(viewer)
        return None if seat is None else seat.round

    def _is_old(self, seat: _Seat) -> bool:
        return self._age_s_max is not None and self._clock() - seat.made_at > self._age_s_max

    def _unwatch(self, viewer: int, known: Known) -> None:
        if known.watched is None:
            return
        viewers = self._watching.get(known.watched)
        if viewers is not None:
            viewers.discard(viewer)
            if not viewers:
                del self._watching[known.watched]
        known.watched = None

    def _forget(self, seat: _Seat, viewer: int) -> None:
        round_, seat.round = seat.round, None
        if round_ is not None:
            self.held -= 1 + len(round_.known)
            for known in round_.known.values():
                self._unwatch(viewer, known)

    def _drop(self, viewer: int) -> None:
        seat = self._seats.get(viewer)
        if seat is not None:
            self._forget(seat, viewer)
            if not seat.waiting:
                del self._seats[viewer]

    def _let_go(self) -> None:
        """Who asked longest ago makes room; whoever is being answered stays."""
        while self.held > self._friends_max:
            oldest = next((viewer for viewer, seat in self._seats.items() if not seat.waiting), None)
            if oldest is None:
                return
            self._drop(oldest)


def _first(batch: Sequence[int], standings: Sequence[Standing]) -> Standing | None:
    """The first of the batch who has something now."""
    having = {one.friend: one for one in standings if one.is_active and one.takeable}
    return next((having[friend] for friend in batch if friend in having), None)


async def _told(r: Reader, standing: Standing) -> Found:
    names = await queries.names(r, [standing.friend])
    trees = await queries.tree_counts(r, [standing.friend])
    name, count = names.get(standing.friend, ""), trees.get(standing.friend, 0)
    return Found(standing, name, count, standing.friend, None)
