"""Who listens to which channel, what was published there lately, and what each listener was sent already.

Memory only: no I/O, no waiting, no knowledge of tokens or of the game. What it holds is a cache of the
journal's tail; whatever it lacks, a client is told so and loads a snapshot. The promise to each subscription:
offsets arrive in order, without a gap and without a repeat, whatever the order in which publications,
subscribes and recoveries meet.
"""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from engine.publication import Publication, Revocation, forest_channel
from engine.realtime import protocol
from engine.realtime.journal import Handed
from engine.realtime.limits import Limits

ENTRY_OVERHEAD_BYTES = 250  # tuples, integers and list slots of one kept publication
REVOCATIONS_KEPT_MAX = 10_000

Entry = tuple[
    int, int, bytes | None
]  # offset, journal id, data; None: another node published it, the journal has it


class Listener(Protocol):
    """What the hub needs of a connection. Nothing here may wait or call back, but for `touch`."""

    is_dirty: bool

    def push(self, line: bytes) -> None:
        """Queue one line for the next frame."""

    def flush(self) -> None:
        """Write what is queued as one frame."""

    def end(self, close: protocol.Close) -> None:
        """Close the connection."""


class Ear(Protocol):
    """Hears which channels change and who may see one no longer, whether anybody listens there or not."""

    def changed(self, channel: str) -> None: ...
    def ended(self, user: int, channel: str | None) -> None: ...
    def restarted(self) -> None: ...


class Subscription:
    """One listener on one channel. `sent` is the last offset that it was given; while held it is given
    nothing.
    """

    __slots__ = ("channel", "held", "listener", "revoked", "sent", "user")

    def __init__(self, listener: Listener, user: int, channel: str) -> None:
        self.listener = listener
        self.user = user
        self.channel = channel
        self.sent = 0
        self.held = True
        self.revoked = False


class _Channel:
    """Entries are sorted by offset; `top` is the highest offset known to exist, published here or not."""

    __slots__ = ("bytes", "entries", "name", "subscriptions", "top")

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[Entry] = []
        self.bytes = 0
        self.top = 0
        self.subscriptions: dict[Listener, Subscription] = {}


@dataclass(slots=True)
class Counters:
    """What happened since the start; metrics read it."""

    published: int = 0
    delivered: int = 0
    repeats: int = 0
    gaps: int = 0
    recoveries: int = 0
    recoveries_refused: int = 0


class Hub:
    """All channels of this process."""

    def __init__(
        self,
        limits: Limits,
        epoch: str,
        *,
        clock: Callable[[], float] = monotonic,
        call_soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self.limits = limits
        self.epoch = epoch
        self.counters = Counters()
        self.history_bytes = 0
        self.lagging: dict[str, float] = {}  # channel → since when a subscription waits for a missing offset
        self.handed = Handed()
        self.ear: Ear | None = None
        self._clock = clock
        self._call_soon = call_soon
        self._channels: dict[str, _Channel] = {}
        self._by_user: dict[int, dict[Listener, set[str]]] = {}
        self._ring: deque[tuple[float, str, int]] = deque()  # (kept since, channel, offset), oldest first
        self._revoked: dict[tuple[int, int, str | None], None] = {}
        self._dirty: list[Listener] = []
        self._flush_is_due = False

    # --- publishing -------------------------------------------------------------------------------

    def publish(self, items: Sequence[Publication | Revocation]) -> None:
        """Hand out what one group published, and keep it. Nothing is written before `flush`."""
        now = self._clock()
        for item in items:
            if isinstance(item, Revocation):
                self._revoke(item)
            else:
                self._publish(item.channel, (item.offset, item.journal_id, item.data), now)
        self._evict(now)

    def note(self, channel: str, offset: int, journal_id: int) -> None:
        """Another node published this; the data stays in the journal until someone here needs it."""
        self._publish(channel, (offset, journal_id, None), self._clock())

    def announce(self, channel: str, data: bytes) -> None:
        """Tell those who listen now; without offset, kept nowhere, lost on whoever is away."""
        found = self._channels.get(channel)
        if found is None or not found.subscriptions:
            return
        line = protocol.publication_push(channel.encode(), 0, data)
        for subscription in found.subscriptions.values():
            if not subscription.held:
                subscription.listener.push(line)
                self.counters.delivered += 1

    def flush(self) -> None:
        """Write to every connection what it got since the last flush: one frame, one socket write."""
        dirty, self._dirty = self._dirty, []
        for listener in dirty:
            listener.flush()

    def touch(self, listener: Listener) -> None:
        """The listener has something to write; it will be flushed with this loop turn at the latest."""
        if listener.is_dirty:
            return
        listener.is_dirty = True
        self._dirty.append(listener)
        if not self._flush_is_due:
            self._flush_is_due = True
            (self._call_soon or asyncio.get_running_loop().call_soon)(self._flush_due)

    def _flush_due(self) -> None:
        self._flush_is_due = False
        self.flush()

    def _publish(self, name: str, entry: Entry, now: float) -> None:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel(name)
        offset, _, data = entry
        if offset > channel.top:
            channel.top = offset
            channel.entries.append(entry)
        elif not self._insert(channel, entry):
            self.counters.repeats += 1
            return
        self._ring.append((now, name, offset))
        self._keep(channel, entry)
        self.counters.published += 1
        if self.ear is not None:
            self.ear.changed(name)
        if channel.subscriptions:
            self._hand_out(channel, offset, data)

    def _hand_out(self, channel: _Channel, offset: int, data: bytes | None) -> None:
        """Encode once; who is at the offset before gets the line, everybody else is caught up from what is
        kept.
        """
        line = None if data is None else protocol.publication_push(channel.name.encode(), offset, data)
        is_last = offset == channel.top
        for subscription in channel.subscriptions.values():
            if subscription.held:
                continue
            if line is not None and is_last and subscription.sent + 1 == offset:
                subscription.sent = offset
                subscription.listener.push(line)
                self.counters.delivered += 1
            elif subscription.sent < channel.top:
                self._catch_up(channel, subscription)

    def _catch_up(self, channel: _Channel, subscription: Subscription) -> None:
        entries = channel.entries
        at = bisect_left(entries, (subscription.sent + 1,))
        name = channel.name.encode()
        while at < len(entries):
            offset, _, data = entries[at]
            if offset != subscription.sent + 1 or data is None:
                break
            subscription.sent = offset
            subscription.listener.push(protocol.publication_push(name, offset, data))
            self.counters.delivered += 1
            at += 1
        if subscription.sent < channel.top and channel.name not in self.lagging:
            self.lagging[channel.name] = self._clock()
            self.counters.gaps += 1

    # --- what is kept -----------------------------------------------------------------------------

    def _insert(self, channel: _Channel, entry: Entry) -> bool:
        """Put an entry that came out of order in its place, or data where only its place was known; False: a
        repeat.
        """
        entries = channel.entries
        at = bisect_left(entries, (entry[0],))
        if at < len(entries) and entries[at][0] == entry[0]:
            if entries[at][2] is not None or entry[2] is None:
                return False
            size = _size(entries.pop(at))
            channel.bytes -= size
            self.history_bytes -= size
        entries.insert(at, entry)
        return True

    def _keep(self, channel: _Channel, entry: Entry) -> None:
        size = _size(entry)
        channel.bytes += size
        self.history_bytes += size
        limits = self.limits
        while (
            len(channel.entries) > limits.channel_history_max
            or channel.bytes > limits.channel_history_bytes_max
        ):
            self._drop_oldest(channel)

    def _drop_oldest(self, channel: _Channel) -> None:
        size = _size(channel.entries.pop(0))
        channel.bytes -= size
        self.history_bytes -= size

    def _evict(self, now: float) -> None:
        ring = self._ring
        too_old = now - self.limits.history_s
        while ring and (ring[0][0] < too_old or self.history_bytes > self.limits.history_bytes_max):
            _, name, offset = ring.popleft()
            channel = self._channels.get(name)
            if channel is None:
                continue
            while channel.entries and channel.entries[0][0] <= offset:
                self._drop_oldest(channel)
            self._forget_if_idle(channel)

    def _forget_if_idle(self, channel: _Channel) -> None:
        if not channel.entries and not channel.subscriptions:
            del self._channels[channel.name]
            self.lagging.pop(channel.name, None)

    # --- subscribing ------------------------------------------------------------------------------

    def hold(self, listener: Listener, user: int, channel: str) -> Subscription | None:
        """Register before the position is read: from now on nothing is missed, and nothing sent until
        `release`.

        None: the listener is subscribed already.
        """
        found = self._channels.get(channel)
        if found is None:
            found = self._channels[channel] = _Channel(channel)
        if listener in found.subscriptions:
            return None
        subscription = found.subscriptions[listener] = Subscription(listener, user, channel)
        self._by_user.setdefault(user, {}).setdefault(listener, set()).add(channel)
        return subscription

    def recovery(self, channel: str, offset: int, top: int) -> list[Entry] | None:
        """What came after `offset` on a channel whose head stands at `top`, or None where that can't be given
        whole.

        What was committed a moment ago may still be on its way here: it follows as a push, so the entries may
        end before `top`, but they begin right after `offset` and have no gap.
        """
        found = self._channels.get(channel)
        entries = found.entries if found else []
        if offset == top:
            return []
        if offset > top or not entries:
            return None
        start = bisect_left(entries, (offset + 1,))
        if start == len(entries):
            return [] if entries[-1][0] == offset else None
        missed: list[Entry] = []
        size = 0
        for entry in entries[start:]:
            if entry[0] != offset + 1 + len(missed):
                break
            missed.append(entry)
            size += len(entry[2] or b"")
        if not missed or len(missed) > self.limits.recovery_max or size > self.limits.recovery_bytes_max:
            return None
        return missed

    def release(self, subscription: Subscription, sent: int, top: int) -> None:
        """The reply is queued and carried the listener to `sent`: pushes follow from the next offset on."""
        found = self._channels.get(subscription.channel)
        if found is None or found.subscriptions.get(subscription.listener) is not subscription:
            return  # the connection ended meanwhile
        subscription.sent = sent
        subscription.held = False
        found.top = max(found.top, top)
        if sent < found.top:
            self._catch_up(found, subscription)

    def leave(self, listener: Listener, user: int, channel: str) -> bool:
        """End one subscription; False if there was none."""
        found = self._channels.get(channel)
        if found is None or found.subscriptions.pop(listener, None) is None:
            return False
        names = self._by_user.get(user, {}).get(listener)
        if names is not None:
            names.discard(channel)
        self._forget_if_idle(found)
        return True

    # --- connections ------------------------------------------------------------------------------

    def join(self, listener: Listener, user: int) -> int:
        """A connection of this user is signed in; how many there are now."""
        listeners = self._by_user.setdefault(user, {})
        listeners.setdefault(listener, set())
        return len(listeners)

    def gone(self, listener: Listener, user: int) -> None:
        """The connection has ended: nothing of it stays."""
        listeners = self._by_user.get(user)
        if listeners is None:
            return
        for channel in list(listeners.get(listener, ())):
            self.leave(listener, user, channel)
        listeners.pop(listener, None)
        if not listeners:
            del self._by_user[user]

    def connected(self) -> list[Listener]:
        """Every signed-in connection of this process."""
        return [listener for listeners in self._by_user.values() for listener in listeners]

    def subscribed(self, listener: Listener, user: int) -> int:
        """How many channels the connection listens to."""
        return len(self._by_user.get(user, {}).get(listener, ()))

    def is_online(self, user: int) -> bool:
        """Whether the user has a connection to this process."""
        return user in self._by_user

    def online(self) -> list[int]:
        """The users with a connection to this process."""
        return list(self._by_user)

    def listeners(self, channel: str) -> int:
        """How many connections listen to the channel here."""
        found = self._channels.get(channel)
        return len(found.subscriptions) if found else 0

    def _revoke(self, item: Revocation) -> None:
        if self._is_known(item):
            return
        if self.ear is not None:
            self.ear.ended(item.user, item.channel)
        listeners = self._by_user.get(item.user, {})
        if item.channel is None:
            for listener in list(listeners):
                listener.end(protocol.NOT_ALLOWED)
            for subscription in self.subscriptions(forest_channel(item.user)):
                self.end_subscription(subscription, protocol.PERMISSION_LOST)
            return
        found = self._channels.get(item.channel)
        if found is None:
            return
        for listener in list(listeners):
            subscription = found.subscriptions.get(listener)
            if subscription is not None:
                self.end_subscription(subscription, protocol.PERMISSION_LOST)

    def _is_known(self, item: Revocation) -> bool:
        """Whether it came before, by bus or journal: what it ended may have been allowed again since."""
        key = (item.journal_id, item.user, item.channel)
        if not item.journal_id:
            return False
        if key in self._revoked:
            return True
        self._revoked[key] = None
        if len(self._revoked) > REVOCATIONS_KEPT_MAX:
            del self._revoked[next(iter(self._revoked))]
        return False

    def end_subscription(self, subscription: Subscription, why: protocol.Unsubscribed) -> None:
        """The server ends a subscription; one that is still being made is refused by who makes it."""
        if subscription.held:
            subscription.revoked = True
            return
        self.leave(subscription.listener, subscription.user, subscription.channel)
        subscription.listener.push(protocol.unsubscribe_push(subscription.channel.encode(), why))

    # --- for upkeep -------------------------------------------------------------------------------

    def watched(self) -> list[str]:
        """The channels that somebody here listens to."""
        return [name for name, channel in self._channels.items() if channel.subscriptions]

    def watches(self, channel: str) -> bool:
        """Whether somebody here listens to the channel."""
        found = self._channels.get(channel)
        return found is not None and bool(found.subscriptions)

    def subscriptions(self, channel: str) -> list[Subscription]:
        """Those who listen to the channel, being subscribed included."""
        found = self._channels.get(channel)
        return list(found.subscriptions.values()) if found else []

    def heads_at(self, channel: str, top: int) -> None:
        """The database says that the channel stands at `top`: whoever was sent less is behind."""
        found = self._channels.get(channel)
        if found is None or not found.subscriptions:
            return
        found.top = max(found.top, top)
        for subscription in found.subscriptions.values():
            if not subscription.held and subscription.sent < found.top:
                self._catch_up(found, subscription)

    def wanted(self, channel: str) -> tuple[list[int], list[tuple[int, int]]]:
        """What subscriptions of a lagging channel wait for: journal ids whose data is missing, and for
        publications not known at all the journal ids they lie between (exclusive; the upper one 0 for "up to
        the newest").
        """
        found = self._channels.get(channel)
        behind = self._furthest_behind(found) if found else None
        if found is None or behind is None:
            return [], []
        ids = [journal_id for offset, journal_id, data in found.entries if offset > behind and data is None]
        return ids, list(_holes(found, behind))

    def still_lagging(self, channel: str) -> list[Subscription]:
        """The subscriptions that still wait; where there are none, the channel is taken off the list."""
        found = self._channels.get(channel)
        waiting = (
            [s for s in found.subscriptions.values() if not s.held and s.sent < found.top] if found else []
        )
        if not waiting:
            self.lagging.pop(channel, None)
        return waiting

    def restart(self, epoch: str) -> None:
        """The database has a new incarnation: all positions are void."""
        self.epoch = epoch
        for listener in self.connected():
            listener.end(protocol.STATE_INVALIDATED)
        self._channels.clear()
        self._ring.clear()
        self.handed = Handed()
        self.lagging.clear()
        self.history_bytes = 0
        if self.ear is not None:
            self.ear.restarted()

    def _furthest_behind(self, channel: _Channel) -> int | None:
        waiting = [s.sent for s in channel.subscriptions.values() if not s.held and s.sent < channel.top]
        return min(waiting) if waiting else None


def _size(entry: Entry) -> int:
    return ENTRY_OVERHEAD_BYTES + len(entry[2] or b"")


def _holes(channel: _Channel, behind: int) -> Iterator[tuple[int, int]]:
    """Where unknown publications after `behind` lie: offset order is journal order within a channel."""
    expected, before = behind + 1, 0
    for offset, journal_id, _ in channel.entries:
        if offset >= expected:
            if offset > expected:
                yield before, journal_id
            expected = offset + 1
        before = journal_id
    if expected <= channel.top:
        yield before, 0
