"""The friends of one viewer in the order in which finding energy offers them, and what is known of their forests.

Memory only: no I/O, no clock. What it holds is a guess that is looked at anew before anybody is told of it. All
that it does costs the same for ten friends and for a thousand, but for a search in a sorted list.
"""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush

from engine.store.queries import Standing

STALE_TURNS_MIN = 64


def place(viewer: int, friend: int) -> int:
    """Where the friend stands in the viewer's round: every viewer has an order of their own, so that not everybody
    begins with the same forests.
    """
    return int.from_bytes(hashlib.blake2b(b"round:%d:%d" % (viewer, friend), digest_size=8).digest())


class Known:
    """Of one friend: something can be taken from `from_at` (None: nothing is coming), and nothing from `until_at` on.

    `is_changed`: their forest has changed since. `watched`: the channel that is listened to for the next change.
    """

    __slots__ = ("from_at", "is_changed", "is_up", "place", "until_at", "watched")

    def __init__(self, place: int) -> None:
        self.place = place
        self.from_at: int | None = None
        self.until_at = 0
        self.is_changed = True
        self.is_up = False
        self.watched: str | None = None


class Round:
    """`friend_count` is the one that the viewer's row should have, as long as every change of friends was heard."""

    def __init__(self, viewer: int, friends: Iterable[int]) -> None:
        self.viewer = viewer
        self.known = {friend: Known(place(viewer, friend)) for friend in friends}
        self.friend_count = len(self.known)
        self._up: list[tuple[int, int]] = []  # (place, friend) of those who may have something now
        self._turns: list[tuple[int, int]] = []  # a heap of (when a friend will have something, friend)
        self._changed = list(self.known)

    # --- what is heard ----------------------------------------------------------------------------

    def changed(self, friend: int) -> None:
        """The friend's forest is to be looked at anew."""
        known = self.known.get(friend)
        if known is not None:
            known.is_changed = True
            self._changed.append(friend)

    def ended(self, friend: int) -> Known | None:
        """They are friends no longer; what was known."""
        known = self.known.pop(friend, None)
        if known is not None:
            self.friend_count -= 1
            self._take_down(known, friend)
        return known

    # --- what is asked ----------------------------------------------------------------------------

    def candidates(self, after: int | None, now: int, most: int) -> list[int]:
        """The next friends behind `after` who may have something, in order, up to the first who is known to have."""
        self._turn(now)
        up = self._up
        at = 0 if after is None else bisect_right(up, (place(self.viewer, after), after))
        found: list[int] = []
        while at < len(up) and len(found) < most:
            friend = up[at][1]
            known = self.known[friend]
            if not known.is_changed and now >= known.until_at:
                self._take_down(known, friend)
                continue
            found.append(friend)
            if not known.is_changed:
                break
            at += 1
        return found

    def next_at(self, now: int) -> int | None:
        """When the first of the friends who have nothing now will have something."""
        self._turn(now)
        while self._turns:
            at, friend = self._turns[0]
            if self._is_coming(friend, at):
                return at
            heappop(self._turns)
        return None

    def look(self, friends: Iterable[int]) -> None:
        """Their forests are about to be read: a change that is heard from now on counts again."""
        for friend in friends:
            self.known[friend].is_changed = False

    def learn(self, asked: Iterable[int], standings: Sequence[Standing], now: int) -> None:
        """What the read found; of those who were asked for and not found there is nothing."""
        found = {standing.friend: standing for standing in standings}
        for friend in asked:
            known, standing = self.known.get(friend), found.get(friend)
            if known is None:
                continue
            known.from_at, known.until_at = None, 0
            if standing is not None and standing.is_active:
                known.from_at = now if standing.takeable else standing.next_at
                known.until_at = standing.until_at
            self._settle(friend, known, now)

    # --- in order ---------------------------------------------------------------------------------

    def _turn(self, now: int) -> None:
        """Bring up whom time or a change has given something."""
        changed, self._changed = self._changed, []
        for friend in changed:
            known = self.known.get(friend)
            if known is not None:
                self._settle(friend, known, now)
        turns = self._turns
        while turns and turns[0][0] <= now:
            at, friend = heappop(turns)
            if self._is_coming(friend, at):
                self._settle(friend, self.known[friend], now)

    def _settle(self, friend: int, known: Known, now: int) -> None:
        from_at = known.from_at
        if known.is_changed or (from_at is not None and from_at <= now):
            if not known.is_up:
                known.is_up = True
                insort(self._up, (known.place, friend))
            return
        self._take_down(known, friend)
        if from_at is not None:
            heappush(self._turns, (from_at, friend))
            self._drop_stale_turns()

    def _take_down(self, known: Known, friend: int) -> None:
        if known.is_up:
            known.is_up = False
            del self._up[bisect_left(self._up, (known.place, friend))]

    def _is_coming(self, friend: int, at: int) -> bool:
        known = self.known.get(friend)
        return known is not None and not known.is_up and known.from_at == at

    def _drop_stale_turns(self) -> None:
        if len(self._turns) > 2 * len(self.known) + STALE_TURNS_MIN:
            self._turns = list({turn for turn in self._turns if self._is_coming(turn[1], turn[0])})
            heapify(self._turns)
