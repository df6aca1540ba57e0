"""The one write path: commands in, groups of them decided and saved, one commit, then replies and publications.

The only place that opens a write transaction while the engine serves. Knows no sockets, no SQL and no rule of the game.

Where other processes write too (PostgreSQL), a group is loaded under locks, decided and committed in one transaction.
Where this process is alone (SQLite), rows are kept between groups, and the next group is decided while the last one is
written; it is written only after the last one is, and decided again if that one fails.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol, cast

from engine import failpoints
from engine.clock import Clock
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.state import State
from engine.deciding import Decided, Decider, Done, Outcome, Post, find_bound, json_of
from engine.dice import Dice
from engine.domain import Domain
from engine.in_force import Rules, RulesAway
from engine.publication import Item
from engine.store.database import Conflict, Database, DatabaseAway, SoleDatabase, Step
from engine.tally import WriterTally

GROUP_COMMANDS_MAX = 512
AHEAD_COMMANDS_MIN = 128  # fewer are not decided ahead: they wait for the commit and share the next
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
    keys: dict[str, Post]


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
        self._pepper = hashlib.blake2b(pepper, digest_size=32).digest()
        self._wake = asyncio.Event()
        self._dice = Dice()
        self._ids = range(0)
        self._cache: State | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
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
        body = type(command).__name__.encode() + json_of(getattr(command, "wish", command))
        return hashlib.blake2b(body, digest_size=16, key=self._pepper).hexdigest()

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

    @property
    def queued(self) -> int:
        """Commands that wait for a group."""
        return len(self._queue)

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
        """One group after the other, each in one transaction from its locks to its commit."""
        while await self._is_time(None):
            await self._group(self._next_posts())

    async def _run_ahead(self) -> None:
        """Decide the next group while the last is written; this process alone writes, so nothing can come between."""
        ahead: _Ready | None = None
        writing: asyncio.Task[bool] | None = None
        while await self._is_time(writing):
            posts, ready = [], None
            if writing is None or not writing.done():
                posts = self._next_posts()
                ready = await self._ready(posts, ahead.keys if ahead else {})
            if writing is not None and ahead is not None and not await writing:
                ready = None
                await self._again(ahead.posts)
            ahead = writing = None
            if ready is not None:
                ahead, writing = ready, asyncio.create_task(self._write(ready))
                writing.add_done_callback(lambda _: self._wake.set())
            elif posts:
                await self._again(posts)

    async def _is_time(self, writing: "asyncio.Task[bool] | None") -> bool:
        """Wait until a group is written or there is one to make; False when the writer is to end."""
        while True:
            if writing is not None and writing.done():
                return True
            if self._queue and (writing is None or self._may_decide_ahead()):
                return True
            if self._closing and not self._queue and writing is None:
                return False
            self._wake.clear()
            await self._wake.wait()

    def _may_decide_ahead(self) -> bool:
        """Enough is waiting, and the rows kept may stay: dropped now, they would be read as they were before the
        group that is being written."""
        return len(self._queue) >= AHEAD_COMMANDS_MIN and not self._is_cache_full()

    async def _again(self, posts: list[Post]) -> None:
        """A group that was decided ahead in vain, on rows that are not to be: decide it alone on what is stored."""
        self._forget(posts)
        await self._group(posts)

    def _next_posts(self) -> list[Post]:
        count = min(len(self._queue), GROUP_COMMANDS_MAX)
        return [self._queue.popleft() for _ in range(count)]

    def _forget(self, posts: Sequence[Post]) -> None:
        """What was decided on rows that are not to be is undone; the rows are read again."""
        self._cache = None
        for post in posts:
            post.again()

    # --- one group after the other ----------------------------------------------------------------

    async def _group(self, posts: list[Post]) -> bool:
        """One group to its end. A fault of the engine's own is traced to the command that causes it."""
        begun = perf_counter()
        try:
            items = await self._until_committed(posts)
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
        self._committed(posts, items, perf_counter() - begun)
        return True

    async def _until_committed(self, posts: list[Post]) -> list[Item]:
        """Decide and commit, again from the start where another process was in the way."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._attempt(posts)
            except Conflict as problem:
                self._forget(posts)
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                self.tally.conflicts += 1
                log.info("group of %d is decided again: %s", len(posts), problem)
        raise AssertionError("unreachable")

    async def _attempt(self, posts: list[Post]) -> list[Item]:
        await self._prepare(len(posts))
        state = self._state()
        try:
            async with self._db.write() as tx:
                await self._decider.load(tx, state, [post.command for post in posts])
                await find_bound(tx, posts, {})
                now = self.clock.group_now_ms(await tx.now())
                if not self._rules.knows(now):
                    await self._rules.learn(tx, now)
                decided = await self._decider.decide_all(tx, state, posts, self._context(now))
                journal_ids = await tx.journal_ids(len(decided.changed))
                steps, items = self._decider.to_save(state, decided, journal_ids)
                await tx.run(steps)
                self._lie(posts)
                failpoints.hit("writer.saved")
        except BaseException:
            self._cache = None
            raise
        state.clean()
        return items

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

    async def _ready(self, posts: list[Post], unsaved: dict[str, Post]) -> _Ready | None:
        """Decide a group on the rows that earlier groups have left, written or not; None where that failed.

        Rows that no earlier group holds are read from what is committed: nobody else can have changed them.
        """
        try:
            await self._prepare(len(posts))
            state = self._state()
            async with self._sole.snapshot_ahead() as view:
                await self._decider.load(view, state, [post.command for post in posts])
                await find_bound(view, posts, unsaved)
                now = self.clock.group_now_ms(None)
                if not self._rules.knows(
                    now
                ):  # an edition is on its way to the database: first it is to be there
                    return None
                decided = await self._decider.decide_all(view, state, posts, self._context(now))
            journal_ids = self._sole.journal_ids(len(decided.changed))
            steps, items = self._decider.to_save(state, decided, journal_ids)
            state.clean()
            return _Ready(posts, steps, items, _keys(decided))
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
        self._committed(ready.posts, ready.items, perf_counter() - begun)
        return True

    # --- after the commit -------------------------------------------------------------------------

    def _lie(self, posts: Sequence[Post]) -> None:
        """Nothing, but for the test that makes the engine acknowledge before the commit, to see it caught."""
        if failpoints.is_on(failpoints.ACK_EARLY):
            self._answer(posts)
            self._audience.flush()
            failpoints.hit("writer.answered")

    def _committed(self, posts: Sequence[Post], items: Sequence[Item], seconds: float) -> None:
        self.groups += 1
        self.commands += len(posts)
        self.tally.group_commands.add(len(posts))
        self.tally.group_s.add(seconds)
        failpoints.hit("writer.committed")
        if not failpoints.is_on(failpoints.ACK_EARLY):
            self._answer(posts)
        self._tell(items)
        failpoints.hit("writer.answered")

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
