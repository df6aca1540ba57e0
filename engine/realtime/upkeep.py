"""Keeps the hub's memory in step with the journal: at start, for gaps, and between processes.

Everything here may fail, stop or come late and cost only latency: what is committed stays in the journal, and
whoever is behind is caught up, or told to come back with its position.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import structlog

from engine.core.units import ID_MAX
from engine.publication import Item, Publication, Revocation
from engine.realtime import protocol
from engine.realtime.bus import Note
from engine.realtime.channels import Channel, parse_channel
from engine.realtime.hub import Hub, Subscription
from engine.realtime.journal import items_of
from engine.store import queries
from engine.store.database import Database, DatabaseAway, Reader

REFILL_ROWS_MAX = 100_000
REFILL_BYTES_MAX = 32 * 1024 * 1024
ROWS_PER_READ = 2_000
IDS_PER_READ = 20_000
CHANNELS_PER_READ = 500
POLL_S = 1.0
POLL_OVERLAP_S = 5.0  # journal ids of other processes become visible out of order by at most this long
GIVE_UP_AFTER_S = 5.0  # a gap that the journal can't fill by then closes the connection (3010)

log = structlog.get_logger(__name__)


class Bus(Protocol):
    """What joins the processes on one database."""

    is_up: bool

    def group(self, items: Sequence[Item]) -> None:
        """Tell the others what this process has committed; never waits, may be lost."""
        ...

    async def run(self, take: Callable[[list[Note]], Awaitable[None]]) -> None:
        """Receive from the others until cancelled."""
        ...


@dataclass(slots=True)
class Audience:
    """Who is told after a commit: the connections of this process, and the other processes."""

    hub: Hub
    bus: Bus

    def publish(self, items: Sequence[Item]) -> None:
        """Hand out the items of one group."""
        self.hub.publish(items)
        if not self.bus.is_up:  # the journal's tail is read, and there they stand as well
            self.hub.handed.add({item.journal_id for item in items})
        self.bus.group(items)

    def flush(self) -> None:
        """Write out what connections have queued."""
        self.hub.flush()


class Upkeep:
    """The hub's background work; `run` until cancelled. `now_ms` is the engine's clock, as the journal has
    it.
    """

    def __init__(self, hub: Hub, db: Database, bus: Bus, now_ms: Callable[[], int]) -> None:
        self._hub = hub
        self._db = db
        self._bus = bus
        self._now_ms = now_ms
        self._newest = 0  # the highest journal id seen
        self._seen: deque[tuple[float, int]] = deque()  # (when, the highest id then), for the overlap
        self._was_up = False
        self._turned_at = monotonic()
        self.given_up = 0

    async def run(self) -> None:
        """Bus, polling, repair and sweep side by side."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._bus.run(self.take))
            group.create_task(self._repeat(self._repair, self._hub.limits.repair_after_s))
            group.create_task(self._repeat(self.sweep, self._hub.limits.sweep_s))
            if self._db.is_shared:
                group.create_task(self._repeat(self._poll, POLL_S))

    async def _repeat(self, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await work()
            except DatabaseAway:
                continue
            except Exception:
                log.exception("upkeep_failed", work=getattr(work, "__name__", ""))

    # --- at start ---------------------------------------------------------------------------------

    async def refill(self) -> int:
        """Load the journal's tail as far as it is kept, oldest first; how many publications it held."""
        found: list[list[Item]] = []
        size = rows_read = 0
        since_at = self._now_ms() - int(self._hub.limits.history_s * 1000)
        size_max = min(REFILL_BYTES_MAX, self._hub.limits.history_bytes_max)
        async with self._db.snapshot() as r:
            self._saw(await queries.newest_journal_id(r))
            below = ID_MAX
            while rows_read < REFILL_ROWS_MAX and size < size_max:
                rows = await queries.newest_pubs(r, since_at, below, ROWS_PER_READ)
                for journal_id, _, pubs in rows:
                    found.append(
                        [item for item in items_of(journal_id, pubs) if isinstance(item, Publication)]
                    )
                    size += len(pubs)
                rows_read += len(rows)
                if len(rows) < ROWS_PER_READ:
                    break
                below = rows[-1][0]
        for items in reversed(found):
            self._hub.publish(items)
        return sum(len(items) for items in found)

    # --- other processes --------------------------------------------------------------------------

    async def take(self, notes: list[Note]) -> None:
        """What the bus brought: fetch what somebody here listens to in one query, note the rest."""
        wanted: set[int] = set()
        revoked: list[Item] = []
        for note in notes:
            if isinstance(note, Revocation):
                revoked.append(note)
                continue
            channel, offset, journal_id = note
            self._saw(journal_id)
            if self._hub.watches(channel):
                wanted.add(journal_id)
            else:
                self._hub.note(channel, offset, journal_id)
        if wanted:
            async with self._db.snapshot() as r:
                await self._publish_rows(await queries.pubs(r, sorted(wanted)))
        self._hub.publish(revoked)
        self._hub.flush()

    async def _poll(self) -> None:
        """Without a bus, and once when it is back: read the journal's tail, and a little of it again."""
        was_up, self._was_up = self._was_up, self._bus.is_up
        if was_up and self._was_up:
            return
        handed = self._hub.handed
        async with self._db.snapshot() as r:
            after = self._overlap_begins()
            while ids := await queries.journal_ids_after(r, after, IDS_PER_READ):
                strange = handed.without(ids)
                for start in range(0, len(strange), ROWS_PER_READ):
                    await self._publish_rows(await queries.pubs(r, strange[start : start + ROWS_PER_READ]))
                handed.add(strange)
                after = ids[-1]
                self._saw(after)
                if len(ids) < IDS_PER_READ:
                    break
        self._turn()
        self._hub.flush()

    def _turn(self) -> None:
        if monotonic() - self._turned_at > 2 * POLL_OVERLAP_S:
            self._hub.handed.turn()
            self._turned_at = monotonic()

    async def _publish_rows(self, rows: Iterable[tuple[int, str]]) -> None:
        """Data for those who listen here; of everything else only where it is."""
        items: list[Item] = []
        for journal_id, pubs in rows:
            for item in items_of(journal_id, pubs):
                if isinstance(item, Revocation) or self._hub.watches(item.channel):
                    items.append(item)
                else:
                    self._hub.note(item.channel, item.offset, journal_id)
        self._hub.publish(items)

    def _saw(self, journal_id: int) -> None:
        if journal_id > self._newest:
            self._newest = journal_id
            if not self._seen or monotonic() - self._seen[-1][0] > POLL_S:
                self._seen.append((monotonic(), journal_id))

    def _overlap_begins(self) -> int:
        """The highest id that was seen long enough ago that nothing below it can still appear."""
        settled_before = monotonic() - POLL_OVERLAP_S
        while len(self._seen) > 1 and self._seen[1][0] < settled_before:
            self._seen.popleft()
        if not self._seen:
            return 0
        when, journal_id = self._seen[0]
        return journal_id if when < settled_before else max(journal_id - ROWS_PER_READ, 0)

    # --- gaps -------------------------------------------------------------------------------------

    async def _repair(self) -> None:
        """Ask the journal for what some connection waits for; who waits in vain is sent back with its
        position.
        """
        hub, now = self._hub, monotonic()
        late = [name for name, since in hub.lagging.items() if now - since >= hub.limits.repair_after_s]
        for name in late:
            waiting = hub.still_lagging(name)
            if not waiting:
                continue
            async with self._db.snapshot() as r:
                await self._fetch_missing(r, name)
            waiting = hub.still_lagging(name)
            if waiting and now - hub.lagging.get(name, now) > GIVE_UP_AFTER_S:
                self._give_up(waiting)
        if late:
            hub.flush()

    async def _fetch_missing(self, r: Reader, channel: str) -> None:
        ids, holes = self._hub.wanted(channel)
        rows = await queries.pubs(r, ids) if ids else []
        for after, before in holes:
            if after:
                rows += await queries.pubs_between(r, after, before or ID_MAX, ROWS_PER_READ)
            else:  # where it begins is not known: it will not lie far back
                newest = await queries.newest_pubs(r, 0, before or ID_MAX, ROWS_PER_READ)
                rows += [(journal_id, pubs) for journal_id, _, pubs in reversed(newest)]
        await self._publish_rows(rows)

    def _give_up(self, waiting: Iterable[Subscription]) -> None:
        for subscription in waiting:
            self.given_up += 1
            subscription.listener.end(protocol.INSUFFICIENT_STATE)

    async def sweep(self) -> None:
        """Compare what connections were sent with where channels stand; where processes share the database,
        also whether they may still listen, because the message that says so may be lost.
        """
        hub = self._hub
        async with self._db.snapshot() as r:
            epoch = await queries.epoch(r)
        if epoch != hub.epoch:
            log.warning("epoch_changed")
            hub.restart(epoch)
            return
        if self._db.is_shared:
            await self._end_accounts()
        names = hub.watched()
        for start in range(0, len(names), CHANNELS_PER_READ):
            channels = {name: parse_channel(name) for name in names[start : start + CHANNELS_PER_READ]}
            known = {name: channel for name, channel in channels.items() if channel is not None}
            async with self._db.snapshot() as r:
                heads = await queries.positions(r, sorted({channel.user for channel in known.values()}))
                friends = await self._friends_of_viewers(r, known) if self._db.is_shared else None
            for name, channel in known.items():
                self._compare(name, channel, heads, friends)
        hub.flush()

    async def _end_accounts(self) -> None:
        """Close the connections of accounts that another process has suspended or closed, if nobody told us."""
        online = self._hub.online()
        for start in range(0, len(online), CHANNELS_PER_READ):
            async with self._db.snapshot() as r:
                ended = await queries.not_active(r, online[start : start + CHANNELS_PER_READ])
            self._hub.publish([Revocation(user, None) for user in ended])

    def _compare(
        self,
        name: str,
        channel: Channel,
        heads: dict[int, tuple[int, int]],
        friends: set[tuple[int, int]] | None,
    ) -> None:
        if friends is not None and channel.kind == "forest":
            for subscription in self._hub.subscriptions(name):
                if subscription.user != channel.user and (subscription.user, channel.user) not in friends:
                    self._hub.end_subscription(subscription, protocol.PERMISSION_LOST)
        if channel.user in heads:
            self._hub.heads_at(name, heads[channel.user][0 if channel.kind == "user" else 1])

    async def _friends_of_viewers(self, r: Reader, channels: dict[str, Channel]) -> set[tuple[int, int]]:
        viewers: set[int] = set()
        owners: set[int] = set()
        for name, channel in channels.items():
            if channel.kind == "forest":
                others = {s.user for s in self._hub.subscriptions(name)} - {channel.user}
                viewers |= others
                owners |= {channel.user} if others else set()
        return await queries.friends_among(r, sorted(viewers), sorted(owners)) if viewers else set()
