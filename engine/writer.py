"""The one write path: commands in, groups of them decided and saved, one commit, then replies and publications.

The only place that opens a write transaction while the engine serves. Knows no sockets, no SQL and no rule of the game.

Where other processes write too (PostgreSQL), a group is loaded under locks, decided and committed in one transaction;
the next is begun while it is written, as another process might.
Where this process is alone (SQLite), rows are kept between groups, and the next group is decided while the last one is
written; it is written only after the last one is, and decided again if that one fails.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, cast

from engine import failpoints
from engine.clock import Clock
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.state import State
from engine.deciding import Changed, Decided, Decider, Done, Outcome, Post, ReadAhead, find_bound, json_of
from engine.dice import Dice
from engine.domain import Domain
from engine.in_force import Rules, RulesAway
from engine.publication import Item
from engine.store.database import Conflict, Database, DatabaseAway, SoleDatabase, Step
from engine.tally import WriterTally

GROUP_COMMANDS_MAX = 512
AHEAD_COMMANDS_MIN = 128  # fewer are not read or decided ahead: they wait for the commit and share the next
GROUPS_AT_ONCE = (
    3  # of one process, where the database is shared: while one is decided, the others are written
)
WRITTEN_MAX = 2  # groups decided ahead: one is written, and one waits for it
ATTEMPTS_MAX = 8
IDS_RESERVED = 10_000
IDS_SPARE = 2_000
CACHED_ROWS_MAX = 400_000

log = logging.getLogger(__name__)

__all__ = ["Audience", "Outcome", "Overloaded", "Writer"]


class Audience(Protocol):
    """Who is told after a commit: the hub of this process, and the bus to the others."""

    def publish(self, items: Sequence[Item]) -> None:
        """Local subscribers get the items."""
        ...

    def flush(self) -> None:
        """Write out what sessions have buffered."""
        ...


class Overloaded(Exception):
    """The writer's queue is full; nothing was taken in."""


@dataclass(slots=True)
class _Ready:
    """A group decided ahead: what is to be written for it, and what it tells once that is done."""

    posts: list[Post]
    steps: list[Step]
    items: list[Item]
    rows: Changed


@dataclass(slots=True)
class _Written:
    """A group on its way to the disk: true when it is there, false when it will not be."""

    posts: list[Post]
    task: asyncio.Task[bool]


@dataclass(slots=True)
class _Next:
    """The group after the one that is being decided, and the rows that are read for it meanwhile."""

    posts: list[Post]
    reading: asyncio.Task[ReadAhead | None]


class Writer:
    """Groups commands and makes each group one transaction. One instance a process, on one event loop.

    `pepper` keys the hashes that idempotency keys are bound to, so that nobody who reads the database can try out what
    was in a command.
    """

    def __init__(
        self,
        db: Database,
        domains: Sequence[Domain],
        rules: Rules,
        audience: Audience,
        clock: Clock,
        queue_commands_max: int = 20_000,
        pepper: bytes = b"",
    ) -> None:
        self._db = db
        self._sole = cast(SoleDatabase, db)  # used only where the database is not shared
        self._decider = Decider(domains, db.is_shared)
        self._rules = rules
        self._audience = audience
        self.clock = clock
        self._queue: deque[Post] = deque()
        self._queue_commands_max = queue_commands_max
        key = hashlib.blake2b(pepper, digest_size=32).digest()
        self._hashing = hashlib.blake2b(digest_size=16, key=key)
        self._wake = asyncio.Event()
        self._dice = Dice()
        self._ids = range(0)
        self._cache: State | None = None
        self._next: _Next | None = None
        # keys bound by groups that a reader may not see yet
        self._unsaved: deque[dict[str, Post]] = deque(maxlen=2)
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._watching: list[Callable[[Changed], None]] = []
        self._watched: set[str] = set()
        self.groups = 0
        self.commands = 0
        self.tally = WriterTally()

    # --- taking commands in -----------------------------------------------------------------------

    def post(self, command: Any, done: Done) -> None:
        """Queue a command; `done` gets its outcome after the commit. Raises Overloaded."""
        if len(self._queue) >= self._queue_commands_max or self._closing:
            raise Overloaded
        key = getattr(command, "key", None)
        actor = getattr(command, "user", None)
        self._queue.append(Post(command, done, key, actor, self._content(command) if key else ""))
        self._wake.set()

    def _content(self, command: Any) -> str:
        """What a key is bound to: the command's kind and everything in it, or the part that it calls the wish."""
        hashing = self._hashing.copy()
        hashing.update(type(command).__name__.encode())
        hashing.update(json_of(getattr(command, "wish", command)))
        return hashing.hexdigest()

    async def submit(self, command: Any) -> Outcome:
        """Queue a command and wait for its outcome; a full queue is the outcome `overloaded`."""
        return (await self.submit_all([command]))[0]

    async def submit_all(self, commands: Sequence[Any]) -> list[Outcome]:
        """Queue commands in order and wait for all outcomes."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = []
        for command in commands:
            future: asyncio.Future[Outcome] = loop.create_future()
            futures.append(future)
            try:
                self.post(command, lambda outcome, waiting=future: _settle(waiting, outcome))
            except Overloaded:
                future.set_result(Outcome(None, Rejected("overloaded")))
        return [await future for future in futures]

    def watch(self, shelves: Sequence[str], look: Callable[[Changed], None]) -> None:
        """Have `look` see, after each commit and before anybody is answered, what changed on these shelves (and maybe
        on others). It must be quick, and must not keep or change the rows."""
        self._watched |= set(shelves)
        self._watching.append(look)

    @property
    def queued(self) -> int:
        """Commands that wait for their group to be decided."""
        return len(self._queue) + (len(self._next.posts) if self._next else 0)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to make groups."""
        work = self._run() if self._db.is_shared else self._run_ahead()
        self._task = asyncio.create_task(work, name="writer")

    async def stop(self) -> None:
        """Refuse new commands, finish those that are queued, and end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        """Each group in one transaction from its locks to its commit; the next one begins when this one is decided.

        Then this one needs no further lock, so the next waits at most for its commit, as another process would.
        """
        groups: set[asyncio.Task[bool]] = set()
        while await self._is_time(()):
            if len(groups) == GROUPS_AT_ONCE:
                await asyncio.wait(groups, return_when=asyncio.FIRST_COMPLETED)
                groups = {group for group in groups if not group.done()}
                continue
            decided = asyncio.Event()
            group = asyncio.create_task(self._group(self._taken(), decided))
            group.add_done_callback(lambda _, decided=decided: decided.set())
            groups.add(group)
            await decided.wait()
        if groups:
            await asyncio.wait(groups)

    async def _run_ahead(self) -> None:
        """Decide a group while those before it are written and rows are read for the one after it.

        This process alone writes, so nothing can come between.
        """
        written: deque[_Written] = deque()
        while await self._is_time(written):
            if written and written[0].task.done():
                if written[0].task.result():
                    written.popleft()
                else:
                    await self._again(written, [])
                continue
            posts, rows = await self._next_group()
            ready = await self._ready(posts, rows)
            if ready is None:
                await self._again(written, posts)
                continue
            task = asyncio.create_task(self._write(ready))
            task.add_done_callback(lambda _: self._wake.set())
            written.append(_Written(posts, task))
            await asyncio.sleep(0)  # so that it is handed over before the next group is decided

    async def _is_time(self, written: Sequence[_Written]) -> bool:
        """Wait until a group is written or there is one to make; False when the writer is to end."""
        while True:
            if written and written[0].task.done():
                return True
            if self.queued and (not written or self._may_decide_ahead(written)):
                return True
            if self._closing and not self.queued and not written:
                return False
            self._wake.clear()
            await self._wake.wait()

    def _may_decide_ahead(self, written: Sequence[_Written]) -> bool:
        """Enough is waiting, and the rows kept may stay: dropped now, they would be read as they were before the
        groups that are being written."""
        is_enough = self.queued >= AHEAD_COMMANDS_MIN and len(written) < WRITTEN_MAX
        return is_enough and not self._is_cache_full()

    async def _again(self, written: deque[_Written], posts: list[Post]) -> None:
        """Groups that were decided ahead in vain, on rows that are not to be: decide each alone on what is stored."""
        failed = []
        while written:
            group = written.popleft()
            if not await group.task:
                failed.append(group.posts)
        self._sole.go_on()
        for group in (*failed, posts):
            self._forget(group)
            if group:
                await self._group(group)

    def _taken(self) -> list[Post]:
        """The oldest commands of the queue, as many as a group may have."""
        count = min(len(self._queue), GROUP_COMMANDS_MAX)
        return [self._queue.popleft() for _ in range(count)]

    def _forget(self, posts: Sequence[Post]) -> None:
        """What was decided on rows that are not to be is undone; the rows are read again."""
        self._cache = None
        self._unsaved.clear()
        for post in posts:
            post.again()

    # --- one group after the other ----------------------------------------------------------------

    async def _group(self, posts: list[Post], decided: asyncio.Event | None = None) -> bool:
        """One group to its end. A fault of the engine's own is traced to the command that causes it."""
        begun = perf_counter()
        try:
            items, rows = await self._until_committed(posts, decided)
        except (DatabaseAway, RulesAway) as problem:
            log.error("nothing can be decided: %s", problem)
            return self._fail(posts, "unavailable")
        except Exception:
            self._cache = None
            if len(posts) == 1:
                log.exception("command %s failed", type(posts[0].command).__name__)
                return self._fail(posts, "internal")
            self._forget(posts)
            return all([await self._group([post]) for post in posts])
        self._committed(posts, items, rows, perf_counter() - begun)
        return True

    async def _until_committed(
        self, posts: list[Post], decided: asyncio.Event | None
    ) -> tuple[list[Item], Changed]:
        """Decide and commit, again from the start where another process was in the way."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._attempt(posts, decided)
            except Conflict as problem:
                self._forget(posts)
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                self.tally.conflicts += 1
                log.info("group of %d is decided again: %s", len(posts), problem)
        raise AssertionError("unreachable")

    async def _attempt(
        self, posts: list[Post], is_decided: asyncio.Event | None
    ) -> tuple[list[Item], Changed]:
        await self._prepare(len(posts))
        state = self._state()
        try:
            async with self._db.write() as tx:
                await self._decider.load(tx, state, posts, None)
                await find_bound(tx, posts, (), None)
                now = self.clock.group_now_ms(await tx.now())
                if not self._rules.knows(now):
                    await self._rules.learn(tx, now)
                decided = await self._decider.decide_all(tx, state, posts, self._context(now))
                journal_ids = await tx.journal_ids(len(decided.changed))
                steps, items = self._decider.to_save(state, decided, journal_ids)
                if is_decided is not None:
                    is_decided.set()
                await tx.run(steps)
                self._lie(posts)
                failpoints.hit("writer.saved")
        except BaseException:
            self._cache = None
            raise
        rows = self._decider.changed_rows(state, self._watched)
        state.clean()
        return items, rows

    async def _prepare(self, commands: int) -> None:
        """Have ids and the day's secrets at hand, so that deciding never waits for them."""
        if len(self._ids) < IDS_SPARE + 4 * commands:
            self._ids = await self._db.reserve_ids(IDS_RESERVED)
        await self._dice.prepare(self._db, self.clock.now_ms())

    def _context(self, now: int) -> Context:
        rules, _, canary = self._rules.at(now)
        return Context(now, rules, self._dice.of_day(now), self._next_id, canary, self._rules.by_hash)

    def _next_id(self) -> int:
        first, self._ids = self._ids[0], self._ids[1:]
        return first

    def _state(self) -> State:
        """A working set: fresh where others write too, else what earlier groups have left, within a bound."""
        if self._db.is_shared:
            return State(self._decider.kinds)
        if self._cache is None or self._is_cache_full():
            self._cache = State(self._decider.kinds)
        return self._cache

    def _is_cache_full(self) -> bool:
        return self._cache is not None and self._cache.rows() > CACHED_ROWS_MAX

    # --- deciding ahead ---------------------------------------------------------------------------

    async def _next_group(self) -> tuple[list[Post], ReadAhead | None]:
        """The posts whose turn it is, with what was read ahead for them."""
        if self._next is None:
            return self._taken(), None
        rows = await self._next.reading
        posts, self._next = self._next.posts, None
        return posts, rows

    async def _read_next(self, state: State) -> None:
        """Where enough waits, begin to read rows for the group after this one."""
        if len(self._queue) >= AHEAD_COMMANDS_MIN:
            posts = self._taken()
            self._next = _Next(posts, asyncio.create_task(self._read_ahead(posts, state)))
            await asyncio.sleep(0)  # it begins before this group is decided, which leaves the loop no turn

    async def _read_ahead(self, posts: list[Post], state: State) -> ReadAhead | None:
        try:
            async with self._sole.snapshot_ahead() as view:
                return await self._decider.read_ahead(view, state, posts)
        except Exception as problem:
            log.info("rows for a group of %d are read when it is its turn: %s", len(posts), problem)
            return None

    async def _ready(self, posts: list[Post], rows: ReadAhead | None) -> _Ready | None:
        """Decide a group on the rows that earlier groups have left, written or not; None where that failed.

        Rows that no earlier group holds are read from what is committed: nobody else can have changed them.
        """
        try:
            await self._prepare(len(posts))
            state = self._state()
            ahead = rows if rows is not None and rows.state is state else None
            async with self._sole.snapshot_ahead() as view:
                await self._decider.load(view, state, posts, ahead)
                await find_bound(view, posts, self._unsaved, ahead)
                await self._read_next(state)
                now = self.clock.group_now_ms(None)
                if not self._rules.knows(now):
                    return None  # an edition is on its way to the database: first it is to be there
                decided = await self._decider.decide_all(view, state, posts, self._context(now))
            journal_ids = self._sole.journal_ids(len(decided.changed))
            steps, items = self._decider.to_save(state, decided, journal_ids)
            rows = self._decider.changed_rows(state, self._watched)
            state.clean()
            self._unsaved.append(_keys(decided))
            return _Ready(posts, steps, items, rows)
        except Exception as problem:
            log.info("group of %d is decided again: %s", len(posts), problem)
            return None

    async def _write(self, ready: _Ready) -> bool:
        """Commit a group that was decided ahead; False where that failed, and then nobody is answered."""
        begun = perf_counter()
        try:
            self._lie(ready.posts)
            await self._sole.save(ready.steps, lambda: failpoints.hit("writer.saved"))
        except Exception as problem:
            log.info("group of %d is decided again: %s", len(ready.posts), problem)
            return False
        self._committed(ready.posts, ready.items, ready.rows, perf_counter() - begun)
        return True

    # --- after the commit -------------------------------------------------------------------------

    def _lie(self, posts: Sequence[Post]) -> None:
        """Nothing, but for the test that makes the engine acknowledge before the commit, to see it caught."""
        if failpoints.is_on(failpoints.ACK_EARLY):
            self._answer(posts)
            self._audience.flush()
            failpoints.hit("writer.answered")

    def _committed(self, posts: Sequence[Post], items: Sequence[Item], rows: Changed, seconds: float) -> None:
        self.groups += 1
        self.commands += len(posts)
        self.tally.group_commands.add(len(posts))
        self.tally.group_s.add(seconds)
        failpoints.hit("writer.committed")
        self._show(rows)
        if not failpoints.is_on(failpoints.ACK_EARLY):
            self._answer(posts)
        self._tell(items)
        failpoints.hit("writer.answered")

    def _show(self, rows: Changed) -> None:
        """Those who watch see what has changed. A fault of theirs is theirs."""
        for look in self._watching:
            try:
                look(rows)
            except Exception:
                log.exception("one who watches rows has failed")

    def _tell(self, items: Sequence[Item]) -> None:
        """Publish, and write out. A fault of the audience costs what the journal makes good, not the write path."""
        try:
            self._audience.publish(items)
        except Exception:
            log.exception("a group could not be published")
        try:
            self._audience.flush()
        except Exception:
            log.exception("what was published could not be written out")

    def _fail(self, posts: Sequence[Post], code: str) -> bool:
        for post in posts:
            post.outcome = Outcome(None, Rejected(code))
        self._answer(posts)
        self._tell(())
        return False

    def _answer(self, posts: Sequence[Post]) -> None:
        for post in posts:
            outcome = post.outcome
            assert outcome is not None
            self.tally.outcomes[type(post.command).__name__, _kind_of(outcome)] += 1
            try:
                post.done(outcome)
            except Exception:
                log.exception("a reply could not be handed over")


def _settle(future: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _kind_of(outcome: Outcome) -> str:
    if outcome.error is not None:
        return outcome.error.code
    return "replayed" if outcome.replayed else "ok"


def _keys(decided: Decided) -> dict[str, Post]:
    """The keys that the group binds when it is written."""
    return {post.key: post for post in decided.changed if post.key is not None}
