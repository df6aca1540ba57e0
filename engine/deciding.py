"""From posts to rows: decides a group of commands on a working set and says what is to be saved and told.

Knows neither how rows are locked and committed (the writer) nor any rule of a game (the domains).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.state import State, Touch
from engine.domain import Domain
from engine.facts import Telling, events_told
from engine.publication import Item, Publication
from engine.store import save
from engine.store.database import Reader, Rows, Select, Step
from engine.store.load import Ahead, load, place, read_ahead

json_of = msgspec.json.Encoder(enc_hook=str).encode
_told = frozenset(events_told())


@dataclass(slots=True)
class Outcome:
    """What a command came to: reply data (JSON), or a refusal. `replayed`: the key was bound before."""

    data: bytes | None
    error: Rejected | None = None
    replayed: bool = False


Changed = Sequence[tuple[str, Any]]  # (shelf, row)
Done = Callable[[Outcome], None]


@dataclass(slots=True)
class Post:
    """A command on its way: who waits for it, the key it is bound to, and what it came to."""

    command: Any
    done: Done
    key: str | None
    actor: int | None
    content: str
    outcome: Outcome | None = None
    moves: list[Any] = field(default_factory=list)
    changed: bool = False

    def again(self) -> None:
        """Forget a decision that was not committed."""
        self.outcome, self.moves, self.changed = None, [], False


@dataclass(slots=True)
class ReadAhead:
    """Rows and bound keys for posts whose turn has not come; of use beside the working set `state` alone."""

    state: State
    rows: Ahead
    bound: Rows


@dataclass(slots=True)
class Decided:
    """A group whose every post has its outcome: the posts for the journal, and what clients are told."""

    posts: Sequence[Post]
    changed: list[Post]
    telling: Telling
    now: int


class Decider:
    """The domains' tables joined: what to load, who decides, who evolves, who reacts."""

    def __init__(self, domains: Sequence[Domain], is_shared: bool) -> None:
        self.kinds = [kind for domain in domains for kind in domain.shelves]
        self.tables = {name: table for domain in domains for name, table in domain.tables.items()}
        self.rules = {command: rule for domain in domains for command, rule in domain.rules.items()}
        self._evolve = {event: rule for domain in domains for event, rule in domain.evolve.items()}
        self._transfers = {event: domain.transfers for domain in domains for event in domain.evolve}
        self._reactions: dict[type, list[Callable[[Any], Iterable[Any]]]] = {}
        for domain in domains:
            for event, reaction in domain.reactions.items():
                self._reactions.setdefault(event, []).append(reaction)
        self._is_shared = is_shared

    async def read_ahead(self, reader: Reader, state: State, posts: Sequence[Post]) -> ReadAhead:
        """Read what is known to be needed for posts whose turn comes after the group that is decided now."""
        direct = [post.command for post in posts if self._is_direct(post.command)]
        keys = _bound_among(posts)
        rows, bound = await read_ahead(reader, self.tables, state, direct, self._touches, keys)
        return ReadAhead(state, rows, [row for found in bound for row in found])

    async def load(
        self, reader: Reader, state: State, posts: Sequence[Post], ahead: ReadAhead | None
    ) -> None:
        """Put on the shelves what the posts' commands touch."""
        commands = [post.command for post in posts]
        if ahead is not None:
            place(self.tables, state, ahead.rows)
            commands = [command for command in commands if not self._is_direct(command)]
        await self._load(reader, state, commands)

    async def _load(self, reader: Reader, state: State, commands: Sequence[Any]) -> None:
        await load(reader, self.tables, state, commands, self._touches, self._is_shared, self._is_direct)

    def _touches(self, command: Any, state: State) -> Iterable[Touch]:
        return self.rules[type(command)].touches(command, state)

    def _is_direct(self, command: Any) -> bool:
        return self.rules[type(command)].is_direct

    async def decide_all(
        self, reader: Reader, state: State, posts: Sequence[Post], context: Context
    ) -> Decided:
        """Decide in order; each command sees what the one before has changed."""
        decided = Decided(posts, [], Telling(), context.now)
        in_group: dict[str, Post] = {}
        for post in posts:
            if post.outcome is not None:  # bound by an earlier group
                continue
            if post.key is not None and post.key in in_group:
                post.outcome = replay(post, in_group[post.key])
                continue
            try:
                reply = await self._decide(reader, state, post, post.command, context, decided)
            except Rejected as refusal:
                post.outcome = Outcome(None, refusal)
                continue
            post.outcome = Outcome(json_of(reply))
            if post.changed and self.rules[type(post.command)].is_journaled:
                decided.changed.append(post)
                if post.key is not None:
                    in_group[post.key] = post
        return decided

    async def _decide(
        self, reader: Reader, state: State, post: Post, command: Any, context: Context, decided: Decided
    ) -> Mapping[str, Any]:
        """One command and the reactions to its events, which belong to the same journal row."""
        decision = self.rules[type(command)].decide(state, command, context)
        row = len(decided.changed)
        for event in decision.events:
            kind = type(event)
            self._evolve[kind](state, event)
            post.changed = True
            post.moves += self._transfers[kind](event)
            if kind in _told:
                decided.telling.add(event, row)
            for reaction in self._reactions.get(kind, ()):
                for follow_up in reaction(event):
                    await self._react(reader, state, post, follow_up, context, decided)
        return decision.reply

    async def _react(
        self, reader: Reader, state: State, post: Post, follow_up: Any, context: Context, decided: Decided
    ) -> None:
        """A reaction must succeed: what it reacts to has happened, so a refusal is a fault that undoes the group."""
        await self._load(reader, state, [follow_up])
        try:
            await self._decide(reader, state, post, follow_up, context, decided)
        except Rejected as refusal:
            raise RuntimeError(f"reaction {type(follow_up).__name__} was refused: {refusal}") from refusal

    @staticmethod
    def changed_rows(state: State, shelves: Iterable[str]) -> Changed:
        """What the group has made or changed on these shelves, before it is saved."""
        found: list[tuple[str, Any]] = []
        for name in shelves:
            shelf = state.shelves.get(name)
            if shelf is not None:
                keys = (shelf.added | shelf.changed | shelf.rewritten) - shelf.removed
                found += [(name, shelf[key]) for key in keys]
        return found

    def to_save(
        self, state: State, decided: Decided, journal_ids: Sequence[int]
    ) -> tuple[list[Step], list[Item]]:
        """The statements that bring the database to the state, journal included, and what to publish then."""
        items: list[Item] = []
        pubs: dict[int, list[bytes]] = {}
        for item, row in decided.telling.items(state, decided.now):
            item.journal_id = journal_ids[row]
            items.append(item)
            pubs.setdefault(row, []).append(_pub(item))
        journal = [
            (
                journal_ids[row],
                decided.now,
                type(post.command).__name__,
                post.actor,
                post.key,
                post.content,
                json_of(post.moves).decode(),
                post.outcome.data.decode() if post.outcome and post.outcome.data else "",
                f"[{b','.join(pubs[row]).decode()}]" if row in pubs else "[]",
            )
            for row, post in enumerate(decided.changed)
        ]
        return save.steps(self.tables, state, journal), items


def _pub(item: Item) -> bytes:
    """An item as the journal keeps it."""
    if isinstance(item, Publication):
        return b'["%s",%d,%s]' % (item.channel.encode(), item.offset, item.data)
    return json_of(["", item.user, item.channel])


def replay(post: Post, first: Post) -> Outcome:
    """The answer to a key that an earlier post has bound."""
    assert first.outcome is not None
    return _bound_to(post, first.content, first.actor, first.outcome.data)


def _bound_to(post: Post, content: str, actor: int | None, data: bytes | None) -> Outcome:
    if content != post.content or actor != post.actor:
        return Outcome(None, Rejected("key_reused"))
    return Outcome(data, None, replayed=True)


def _bound_among(posts: Sequence[Post]) -> list[Select]:
    """The query for the keys of the posts that the journal has bound."""
    keys = {post.key for post in posts if post.key is not None}
    columns = ("key", "content", "actor", "reply")
    return [Select(save.JOURNAL, columns, ("key",), sorted(keys))] if keys else []


async def find_bound(
    reader: Reader, posts: Sequence[Post], unsaved: Sequence[Mapping[str, Post]], ahead: ReadAhead | None
) -> None:
    """Give posts whose key is bound the outcome that it is bound to, by the journal or by a group on its way there."""
    if ahead is not None:
        rows = ahead.bound
    else:
        rows = [row for found in await reader.run(_bound_among(posts)) for row in found]
    bound = {key: (content, actor, reply.encode()) for key, content, actor, reply in rows}
    for post in posts:
        if post.key in bound:
            post.outcome = _bound_to(post, *bound[post.key])
            continue
        for group in unsaved:
            if post.key in group:
                post.outcome = replay(post, group[post.key])
