"""The one write path: commands in, groups of them decided and saved, one commit, then replies and publications.

The only place that opens a write transaction while the engine serves. Knows no sockets, no SQL and no rule of the game.
"""

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Protocol

import msgspec

from engine import failpoints
from engine.clock import Clock
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.core.state import State, Touch
from engine.dice import Dice
from engine.domain import Domain
from engine.facts import Telling, events_told
from engine.publication import Item, Publication
from engine.store import save
from engine.store.database import Conflict, Database, DatabaseAway, Select, Transaction
from engine.store.load import load
from engine.tally import WriterTally

GROUP_COMMANDS_MAX = 512
ATTEMPTS_MAX = 8
IDS_RESERVED = 10_000
IDS_SPARE = 2_000
CACHED_ROWS_MAX = 400_000

log = logging.getLogger(__name__)
_json = msgspec.json.Encoder(enc_hook=str).encode
_told = frozenset(events_told())


@dataclass(slots=True)
class Outcome:
    """What a command came to: reply data (JSON), or a refusal. `replayed`: the key was bound before."""

    data: bytes | None
    error: Rejected | None = None
    replayed: bool = False


Done = Callable[[Outcome], None]


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
class _Post:
    command: Any
    done: Done
    key: str | None
    actor: int | None
    content: str
    outcome: Outcome | None = None
    moves: list[Any] = field(default_factory=list)
    changed: bool = False


class Writer:
    """Groups commands and makes each group one transaction. One instance a process, on one event loop."""

    def __init__(
        self,
        db: Database,
        domains: Sequence[Domain],
        rules: Callable[[], RuleBook],
        audience: Audience,
        clock: Clock,
        queue_commands_max: int = 20_000,
    ) -> None:
        self._db = db
        self._rules = rules
        self._audience = audience
        self.clock = clock
        self._queue: deque[_Post] = deque()
        self._queue_commands_max = queue_commands_max
        self._wake = asyncio.Event()
        self._dice = Dice()
        self._ids = range(0)
        self._kinds = [kind for domain in domains for kind in domain.shelves]
        self._tables = {name: table for domain in domains for name, table in domain.tables.items()}
        self._of = {command: rule for domain in domains for command, rule in domain.rules.items()}
        self._evolve = {event: rule for domain in domains for event, rule in domain.evolve.items()}
        self._transfers = {event: domain.transfers for domain in domains for event in domain.evolve}
        self._reactions: dict[type, list[Callable[[Any], Iterable[Any]]]] = {}
        for domain in domains:
            for event, reaction in domain.reactions.items():
                self._reactions.setdefault(event, []).append(reaction)
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
        self._queue.append(_Post(command, done, key, actor, _content(command) if key else ""))
        self._wake.set()

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
        self._task = asyncio.create_task(self._run(), name="writer")

    async def stop(self) -> None:
        """Refuse new commands, finish those that are queued, and end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            count = min(len(self._queue), GROUP_COMMANDS_MAX)
            await self._group([self._queue.popleft() for _ in range(count)])

    async def _group(self, posts: list[_Post]) -> None:
        """One group to its end. A fault of the engine's own is traced to the command that causes it."""
        begun = perf_counter()
        try:
            items = await self._until_committed(posts)
        except DatabaseAway as problem:
            log.error("database away: %s", problem)
            return self._answer(posts, Outcome(None, Rejected("unavailable")))
        except Exception:
            self._cache = None
            if len(posts) == 1:
                log.exception("command %s failed", type(posts[0].command).__name__)
                return self._answer(posts, Outcome(None, Rejected("internal")))
            for post in posts:
                post.outcome, post.moves, post.changed = None, [], False
                await self._group([post])
            return None
        self.groups += 1
        self.commands += len(posts)
        self.tally.group_commands.add(len(posts))
        self.tally.group_s.add(perf_counter() - begun)
        failpoints.hit("writer.committed")
        self._answer(posts, None)
        self._audience.publish(items)
        self._audience.flush()
        failpoints.hit("writer.answered")
        return None

    def _answer(self, posts: Sequence[_Post], fault: Outcome | None) -> None:
        for post in posts:
            outcome = fault or post.outcome
            assert outcome is not None
            self.tally.outcomes[type(post.command).__name__, _kind_of(outcome)] += 1
            try:
                post.done(outcome)
            except Exception:
                log.exception("a reply could not be handed over")
        if fault is not None:
            self._audience.flush()

    async def _until_committed(self, posts: list[_Post]) -> list[Item]:
        """Decide and commit, again from the start where another process was in the way."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return await self._attempt(posts)
            except Conflict as problem:
                self._cache = None
                if attempt == ATTEMPTS_MAX - 1:
                    raise
                self.tally.conflicts += 1
                log.info("group of %d is decided again: %s", len(posts), problem)
                for post in posts:
                    post.outcome, post.moves, post.changed = None, [], False
        raise AssertionError("unreachable")

    # --- one attempt ------------------------------------------------------------------------------

    async def _attempt(self, posts: list[_Post]) -> list[Item]:
        db = self._db
        if len(self._ids) < IDS_SPARE + 4 * len(posts):
            self._ids = await db.reserve_ids(IDS_RESERVED)
        await self._dice.prepare(db, self.clock.now_ms())
        state = self._state()
        try:
            async with db.write() as tx:
                commands = [post.command for post in posts]
                await load(tx, self._tables, state, commands, self._touches, db.is_shared, self._is_direct)
                await _find_bound(tx, posts)
                now = await self._now(tx)
                telling = Telling()
                context = Context(now, self._rules(), self._dice.of_day(now), self._next_id)
                changed = await self._decide_all(tx, state, posts, context, telling)
                items = await self._save(tx, state, changed, telling, now)
                failpoints.hit("writer.saved")
                if failpoints.is_on(failpoints.ACK_EARLY):
                    self._answer(posts, None)
                    self._audience.flush()
                    failpoints.hit("writer.answered")
        except BaseException:
            self._cache = None
            raise
        state.clean()
        return items

    def _state(self) -> State:
        """A working set: fresh where others write too, else what earlier groups have left, within a bound."""
        if self._db.is_shared:
            return State(self._kinds)
        if self._cache is None or self._cache.rows() > CACHED_ROWS_MAX:
            self._cache = State(self._kinds)
        return self._cache

    def _touches(self, command: Any, state: State) -> Iterable[Touch]:
        return self._of[type(command)].touches(command, state)

    def _is_direct(self, command: Any) -> bool:
        return self._of[type(command)].is_direct

    async def _now(self, tx: Transaction) -> int:
        """The group's now, read after its locks."""
        return self.clock.group_now_ms(await tx.now())

    def _next_id(self) -> int:
        first, self._ids = self._ids[0], self._ids[1:]
        return first

    async def _decide_all(
        self, tx: Transaction, state: State, posts: Sequence[_Post], context: Context, telling: Telling
    ) -> list[_Post]:
        """Decide in order; each sees what the one before has changed. Returns those for the journal."""
        changed: list[_Post] = []
        in_group: dict[str, _Post] = {}
        for post in posts:
            if post.outcome is not None:  # bound by an earlier group
                continue
            if post.key is not None and post.key in in_group:
                post.outcome = _replay(post, in_group[post.key])
                continue
            try:
                reply = await self._decide(tx, state, post, post.command, context, telling, len(changed))
            except Rejected as refusal:
                post.outcome = Outcome(None, refusal)
                continue
            post.outcome = Outcome(_json(reply))
            if post.changed and self._of[type(post.command)].is_journaled:
                changed.append(post)
                if post.key is not None:
                    in_group[post.key] = post
        return changed

    async def _decide(
        self,
        tx: Transaction,
        state: State,
        post: _Post,
        command: Any,
        context: Context,
        telling: Telling,
        row: int,
    ) -> Mapping[str, Any]:
        """One command and the reactions to its events, which belong to the same journal row."""
        decision = self._of[type(command)].decide(state, command, context)
        for event in decision.events:
            kind = type(event)
            self._evolve[kind](state, event)
            post.changed = True
            post.moves += self._transfers[kind](event)
            if kind in _told:
                telling.add(event, row)
            for reaction in self._reactions.get(kind, ()):
                for follow_up in reaction(event):
                    await self._react(tx, state, post, follow_up, context, telling, row)
        return decision.reply

    async def _react(
        self,
        tx: Transaction,
        state: State,
        post: _Post,
        follow_up: Any,
        context: Context,
        telling: Telling,
        row: int,
    ) -> None:
        """A reaction must succeed: what it reacts to has happened, so a refusal is a fault that undoes the group."""
        await load(tx, self._tables, state, [follow_up], self._touches, self._db.is_shared)
        try:
            await self._decide(tx, state, post, follow_up, context, telling, row)
        except Rejected as refusal:
            raise RuntimeError(f"reaction {type(follow_up).__name__} was refused: {refusal}") from refusal

    async def _save(
        self, tx: Transaction, state: State, changed: Sequence[_Post], telling: Telling, now: int
    ) -> list[Item]:
        journal_ids = await tx.journal_ids(len(changed)) if changed else ()
        items: list[Item] = []
        pubs: dict[int, list[bytes]] = {}
        for item, row in telling.items(state, now):
            item.journal_id = journal_ids[row]
            items.append(item)
            pubs.setdefault(row, []).append(_pub(item))
        journal = [
            (
                journal_ids[row],
                now,
                type(post.command).__name__,
                post.actor,
                post.key,
                post.content,
                _json(post.moves).decode(),
                post.outcome.data.decode() if post.outcome and post.outcome.data else "",
                f"[{','.join(part.decode() for part in pubs[row])}]" if row in pubs else "[]",
            )
            for row, post in enumerate(changed)
        ]
        if steps := save.steps(self._tables, state, journal):
            await tx.run(steps)
        return items


def _settle(future: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)


def _kind_of(outcome: Outcome) -> str:
    """The outcome as metrics count it."""
    if outcome.error is not None:
        return outcome.error.code
    return "replayed" if outcome.replayed else "ok"


def _content(command: Any) -> str:
    """What a key is bound to: the command's kind and everything in it."""
    body = type(command).__name__.encode() + _json(command)
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _pub(item: Item) -> bytes:
    """An item as the journal keeps it."""
    if isinstance(item, Publication):
        return b'["%s",%d,%s]' % (item.channel.encode(), item.offset, item.data)
    return _json(["", item.user, item.channel])


def _replay(post: _Post, first: _Post) -> Outcome:
    """The answer to a key that was bound earlier in the same group."""
    assert first.outcome is not None
    if first.content != post.content or first.actor != post.actor:
        return Outcome(None, Rejected("key_reused"))
    return Outcome(first.outcome.data, None, replayed=True)


async def _find_bound(tx: Transaction, posts: Sequence[_Post]) -> None:
    """Give posts whose key is bound the outcome that it is bound to."""
    keys = sorted({post.key for post in posts if post.key is not None})
    if not keys:
        return
    columns = ("key", "content", "actor", "reply")
    [rows] = await tx.run([Select(save.JOURNAL, columns, ("key",), keys)])
    bound = {key: (content, actor, reply) for key, content, actor, reply in rows}
    for post in posts:
        if post.key in bound:
            content, actor, reply = bound[post.key]
            same = content == post.content and actor == post.actor
            post.outcome = (
                Outcome(reply.encode(), None, replayed=True)
                if same
                else Outcome(None, Rejected("key_reused"))
            )
