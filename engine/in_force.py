"""Which rulebook a group is decided by: what every process knows of the editions, and how it learns of new ones.

Law: a group whose now lies at or after an edition's instant is decided by that edition, in every process. An edition
begins `LEAD_MS` after its approval where several processes write. What a process has read under the desk's lock holds
for as long from the instant of reading; after that it reads again before it decides. Where one process writes alone,
it knows of every edition as soon as it decides it, and an edition begins at once.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from engine.core import publishing
from engine.core.canary import EVERYBODY, Canary
from engine.core.editions import APPROVED, EDITION_SHELVES, EditionApproved, EditionEnded, EditionMade
from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.core.units import DAY_MS
from engine.domain import Domain
from engine.rulebook import RulebookError
from engine.rulefiles.packing import book_of
from engine.store.database import Database, DatabaseAway, Reader
from engine.store.mapping import shelf_table
from engine.store.tables import EditionDesk, Editions, Rulebooks

LEAD_MS = 5_000
POLL_S = 1.0
AT_ONCE_MS = 1  # after the group that approves it, which is decided by what was in force before
KEPT_MS = (
    8 * DAY_MS
)  # no ball grows longer, so that its running total is revised by the rulebook that made it
BOOKS_MAX = 64
NEVER, ALWAYS = -1, 2**62

Files = dict[str, str]

log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Files).decode


class RulesAway(Exception):
    """The rulebook in force can't be read by this process; nothing may be decided by another one."""


class InForce(NamedTuple):
    """What is in force at an instant: the rulebook for all, its edition, and the canary if one runs."""

    rules: RuleBook
    edition: int
    canary: Canary | None


class Rules(Protocol):
    """What the writer asks of whoever knows the rulebooks."""

    def knows(self, now: int) -> bool:
        """Whether it is certain what is in force at the instant."""
        ...

    async def learn(self, reader: Reader, now: int) -> None:
        """Become certain for `now`, by a transaction that began before it. Raises RulesAway, DatabaseAway."""
        ...

    def at(self, now: int) -> InForce:
        """What is in force at the instant. Raises RulesAway."""
        ...

    def by_hash(self, rules_hash: str) -> RuleBook | None:
        """A rulebook that is or was in force, while it is kept in memory."""
        ...


class FixedRules:
    """One rulebook for ever: for measurements, and for tests of what rulebooks do not change."""

    def __init__(self, rules: Callable[[], RuleBook]) -> None:
        self._rules = rules

    def knows(self, now: int) -> bool:
        """Always."""
        return True

    async def learn(self, reader: Reader, now: int) -> None:
        """Nothing to learn."""

    def at(self, now: int) -> InForce:
        """The one rulebook."""
        return InForce(self._rules(), 0, None)

    def by_hash(self, rules_hash: str) -> RuleBook | None:
        """The one rulebook, if it is that."""
        rules = self._rules()
        return rules if rules is not None and rules.hash == rules_hash else None


@dataclass(frozen=True, slots=True)
class _Row:
    """An approved edition, as far as it matters here."""

    number: int
    hash: str
    share: int
    salt: str
    from_at: int
    until_at: int


class RulesInForce:
    """One a process. `at` costs two comparisons while nothing changes."""

    def __init__(self, is_shared: bool) -> None:
        self._is_shared = is_shared
        self._rows: tuple[_Row, ...] = ()
        self._books: dict[str, RuleBook] = {}
        self._known_until = NEVER
        self._from_at, self._until_at = 0, 0  # the stretch that was asked for last
        self._now_in_force: InForce | None = None
        self._is_due = asyncio.Event()
        self._first: RuleBook | None = None
        self.unreadable: dict[str, str] = {}  # hash → what is wrong with it, for this process

    # --- what the writer asks ---------------------------------------------------------------------

    def knows(self, now: int) -> bool:
        """Whether it is certain what is in force at the instant."""
        return now <= self._known_until

    def at(self, now: int) -> InForce:
        """What is in force at the instant; before the first edition, the first. Raises RulesAway."""
        if self._now_in_force is None or not self._from_at <= now < self._until_at:
            self._turn_to(now)
        assert self._now_in_force is not None
        return self._now_in_force

    def read_at(self, now: int) -> InForce:
        """What is in force at the instant, for reads. Raises Rejected(unavailable)."""
        try:
            return self.at(now)
        except RulesAway as problem:
            raise Rejected("unavailable") from problem

    def of(self, user: int, now: int) -> RuleBook:
        """The rulebook that is in force for a user, for reads. Raises Rejected(unavailable)."""
        found = self.read_at(now)
        return found.canary.rules if found.canary is not None and found.canary.has(user) else found.rules

    def by_hash(self, rules_hash: str) -> RuleBook | None:
        """A rulebook that is or was in force, while it is kept in memory."""
        return self._books.get(rules_hash)

    async def learn(self, reader: Reader, now: int) -> None:
        """Read the editions, under the desk's lock where others write, and load what is in force now."""
        if self._is_shared:
            await reader.fetch("SELECT newest FROM edition_desk WHERE id = 1 FOR SHARE")
        rows = await _approved(reader)
        current = _for_all(rows, now)
        counting = [*_canaries(rows, now), *([current] if current else [])]
        missing = {row.hash for row in counting} - set(self._books) - set(self.unreadable)
        await self._read({one: await stored_files(reader, one) for one in missing})
        self._take(
            rows
        )  # not before the rulebooks are there: whoever reads meanwhile gets what counted so far
        self._known_until = now + LEAD_MS - 1 if self._is_shared else ALWAYS

    @property
    def count(self) -> int:
        """How many approved editions this process knows of."""
        return len(self._rows)

    # --- what is kept -----------------------------------------------------------------------------

    def keep(self, book: RuleBook) -> None:
        """A rulebook that was just checked need not be read again."""
        self._books.setdefault(book.hash, book)

    def start_with(self, book: RuleBook) -> None:
        """What counts until the database has its first edition."""
        self.keep(book)
        self._first = book

    def _take(self, rows: Sequence[_Row]) -> None:
        if tuple(rows) != self._rows:
            self._rows, self._now_in_force = tuple(rows), None

    def _turn_to(self, now: int) -> None:
        """Work out what is in force at the instant, and for how long."""
        current, canaries = _for_all(self._rows, now), _canaries(self._rows, now)
        if current is None:
            if self._first is None:
                raise RulesAway("no rulebook was ever in force")
            found = InForce(self._first, 0, None)
        else:
            chosen = max(canaries, key=lambda row: row.number, default=None)
            canary = None
            if chosen is not None:
                canary = Canary(chosen.number, chosen.share, chosen.salt, self._book(chosen.hash))
            found = InForce(self._book(current.hash), current.number, canary)
        turns = sorted({at for row in self._rows for at in (row.from_at, row.until_at)})
        place = bisect_right(turns, now)
        self._from_at = turns[place - 1] if place else -ALWAYS
        self._until_at = turns[place] if place < len(turns) else ALWAYS
        self._now_in_force = found

    def _book(self, rules_hash: str) -> RuleBook:
        book = self._books.get(rules_hash)
        if book is None:
            why = self.unreadable.get(rules_hash, "it is not loaded yet")
            raise RulesAway(f"the rulebook {rules_hash[:12]} is in force, but {why}")
        return book

    # --- loading ----------------------------------------------------------------------------------

    async def _read(self, texts: Mapping[str, Files | None]) -> None:
        """Check rulebooks that are not in memory, beside the event loop, and keep them."""
        for rules_hash, files in sorted(texts.items()):
            try:
                book = await asyncio.to_thread(book_of, files or {}, rules_hash)
            except RulebookError as problem:
                self.unreadable[rules_hash] = f"{len(problem.problems)} problems: {problem.problems[0]}"
                log.error("rulebook %s can't be read: %s", rules_hash[:12], problem)
                continue
            self._forget_some()
            self._books[rules_hash] = book

    def _forget_some(self) -> None:
        """Keep memory bounded: the rulebooks that ended first go first."""
        last = {row.hash: row.from_at for row in self._rows}
        while len(self._books) >= BOOKS_MAX:
            del self._books[min(self._books, key=lambda one: last.get(one, 0))]

    # --- hearing of changes -----------------------------------------------------------------------

    def expect(self, from_at: int) -> None:
        """An edition was decided here and is on its way to the database: nothing after its instant is certain yet."""
        self._known_until = NEVER if self._is_shared else min(self._known_until, from_at - 1)
        self._is_due.set()

    async def preload(self, db: Database, now: int) -> None:
        """Have in memory what is in force, will be, or was until lately. Raises DatabaseAway.

        What counts when is learnt only by groups of the writer, one after the other.
        """
        async with db.snapshot() as reader:
            rows = await _approved(reader)
            wanted = {row.hash for row in rows if _matters(row, rows, now)} - set(self._books)
            texts = {one: await stored_files(reader, one) for one in wanted - set(self.unreadable)}
        await self._read(texts)

    async def watch(
        self, db: Database, now_ms: Callable[[], int], look: Callable[[], Awaitable[Any]]
    ) -> None:
        """Until cancelled: hear of editions, by a group of the writer that `look` makes, and have them in memory.

        Where other processes publish too, look every second; else only after a decision of this process.
        """
        while True:
            await self._due_or_a_second()
            self._is_due.clear()
            try:
                await self.preload(db, now_ms())
                self._known_until = NEVER
                await look()
            except DatabaseAway as problem:
                log.warning("editions could not be read: %s", problem)
            except Exception:
                log.exception("editions could not be read")

    async def _due_or_a_second(self) -> None:
        if not self._is_shared:
            await self._is_due.wait()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._is_due.wait()


def _matters(row: _Row, rows: Sequence[_Row], now: int) -> bool:
    """Whether it counts, will count, or balls that still grow may be of it."""
    ends = [row.until_at]
    if row.share == EVERYBODY:
        ends += [one.from_at for one in rows if one.share == EVERYBODY and one.from_at > row.from_at]
    return min(ends) > now - KEPT_MS


def _for_all(rows: Sequence[_Row], now: int) -> _Row | None:
    """The edition for everybody at the instant; before the first, the first."""
    ordered = sorted((row for row in rows if row.share == EVERYBODY), key=_place)
    if not ordered:
        return None
    return ordered[max(0, bisect_right([row.from_at for row in ordered], now) - 1)]


def _canaries(rows: Sequence[_Row], now: int) -> list[_Row]:
    return [row for row in rows if row.share != EVERYBODY and row.from_at <= now < row.until_at]


def _place(row: _Row) -> tuple[int, int]:
    return (row.from_at, row.number)


# --- the database ---------------------------------------------------------------------------------


async def _approved(reader: Reader) -> list[_Row]:
    sql = "SELECT number, hash, share, salt, from_at, until_at FROM editions WHERE state = ? ORDER BY number"
    return [
        _Row(number, rules_hash, share, salt, from_at, ALWAYS if until_at is None else until_at)
        for number, rules_hash, share, salt, from_at, until_at in await reader.fetch(sql, APPROVED)
    ]


async def stored_files(reader: Reader, rules_hash: str) -> Files | None:
    """The files of a rulebook, path → text; None where it is not kept."""
    rows = await reader.fetch("SELECT files FROM rulebooks WHERE hash = ?", rules_hash)
    return _decode(rows[0][0]) if rows else None


def editions_domain(in_force: RulesInForce, is_shared: bool) -> Domain:
    """The commands about editions; what they decide is heard by this process before it is committed."""

    def made(state: Any, event: EditionMade) -> None:
        publishing.made(state, event)
        if event.edition.from_at is not None:
            in_force.expect(event.edition.from_at)

    def approved(state: Any, event: EditionApproved) -> None:
        publishing.approved(state, event)
        in_force.expect(event.from_at)

    def ended(state: Any, event: EditionEnded) -> None:
        planned_at = state.editions[event.edition].from_at
        publishing.ended(state, event)
        if event.until_at is not None or planned_at is not None:
            in_force.expect(event.until_at or planned_at)

    tables = zip(EDITION_SHELVES, (EditionDesk, Editions, Rulebooks), strict=True)
    return Domain(
        name="editions",
        shelves=EDITION_SHELVES,
        tables={kind.name: shelf_table(kind, model) for kind, model in tables},
        rules=publishing.rules(LEAD_MS if is_shared else AT_ONCE_MS),
        evolve={**publishing.EVOLVE, EditionMade: made, EditionApproved: approved, EditionEnded: ended},
    )
