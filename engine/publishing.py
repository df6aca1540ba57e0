"""Publishing rulebooks: what is judged outside the write path before a command about an edition is submitted.

A rulebook is read and checked, compared with the one in force, and its trees are costed; what was seen travels in the
command, and the decision is made on what is committed. Knows no edge and no HTTP.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from engine.core.canary import EVERYBODY
from engine.core.editions import (
    APPROVED,
    EDITION_SHELVES,
    FOLDER,
    ApproveRulebook,
    Edition,
    Looked,
    PromoteCanary,
    ProposeRulebook,
    PublishFolder,
    RollBackRulebook,
    WithdrawEdition,
    canary_at,
    edition_facts,
    for_all_at,
    rollback_target,
    with_ends,
)
from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, local_day
from engine.deciding import Outcome
from engine.in_force import RulesInForce, stored_files
from engine.rulebook import RulebookError, load_rulebook, shipped_rules
from engine.rulefiles.edited import edited
from engine.rulefiles.packing import book_of, packed, stored
from engine.rulefiles.reading import Problem
from engine.store.database import Database, Reader, quoted
from engine.store.mapping import shelf_table
from engine.store.tables import Editions

PROBLEMS_TOLD_MAX = 50
LOOKS_MAX = 3
HISTORY_MAX = 1_000
AHEAD_MAX_D = 366  # a forecast begins no later, however late the edition

Forecast = Callable[[RuleBook, int, date], Mapping[str, int]]
"""What the trees of a rulebook are expected to cost for so many accounts, in minor units by currency.

May take minutes; runs in a thread. Raises Rejected."""

_EDITIONS = shelf_table(EDITION_SHELVES[1], Editions)

log = logging.getLogger(__name__)


# --- reading --------------------------------------------------------------------------------------


async def editions(reader: Reader, where: str = "number > ?", *params: Any) -> list[Edition]:
    """Editions, newest first."""
    sql = f"SELECT {quoted(_EDITIONS.columns)} FROM editions WHERE {where} ORDER BY number DESC"
    return [_EDITIONS.row(row) for row in await reader.fetch(sql, *(params or (0,)))]


async def edition_of(reader: Reader, number: int) -> Edition:
    """One edition. Raises Rejected(unknown_edition)."""
    found = await editions(reader, "number = ?", number)
    if not found:
        raise Rejected("unknown_edition", edition=number)
    return found[0]


async def history(reader: Reader, now: int, limit: int = HISTORY_MAX) -> list[dict[str, object]]:
    """Who put what in force when, for whom and why; newest first."""
    return [edition_facts(row, now) for row in with_ends(await editions(reader))[:limit]]


async def current(reader: Reader, now: int) -> dict[str, object]:
    """The edition in force for all, the canary that runs, and what waits."""
    rows = await editions(reader, "state IN ?", [APPROVED, "proposed"])
    for_all, canary = for_all_at(rows, now), canary_at(rows, now)
    return {
        "in_force": edition_facts(for_all, now) if for_all else None,
        "canary": edition_facts(canary, now) if canary else None,
        "waiting": [
            facts for row in rows if (facts := edition_facts(row, now))["state"] in ("planned", "proposed")
        ],
    }


async def made_by(
    reader: Reader, rules_hash: str, accepted_at: int
) -> tuple[dict[str, str] | None, Edition | None]:
    """The files of a rulebook, and the edition by which it was in force at an instant."""
    files = await stored_files(reader, rules_hash)
    rows = await editions(reader, "hash = ? AND state = ?", rules_hash, APPROVED)
    begun = [row for row in rows if row.counts_at(accepted_at)]
    found = begun or rows
    return files, max(found, key=lambda row: row.number) if found else None


async def books(reader: Reader, limit: int = 64) -> list[RuleBook]:
    """The rulebooks of the newest approved editions that this version can read, each once."""
    rows = await editions(reader, "state = ?", APPROVED)
    found: list[RuleBook] = []
    for rules_hash in list(dict.fromkeys(row.hash for row in rows))[:limit]:
        files = await stored_files(reader, rules_hash)
        try:
            found.append(await asyncio.to_thread(book_of, files or {}, rules_hash))
        except RulebookError:
            log.warning("rulebook %s can't be read by this version", rules_hash[:12])
    return found


async def rules_in_force(db: Database, folder: Path | None, now: int) -> RuleBook:
    """The rulebook in force for all, for commands that only read; the folder's where nothing was ever in force.

    Raises RulebookError, DatabaseAway.
    """
    async with db.snapshot() as reader:
        latest = for_all_at(await editions(reader, "state = ?", APPROVED), now)
        files = await stored_files(reader, latest.hash) if latest else None
    if latest is None or files is None:
        return load_rulebook(folder)
    return await asyncio.to_thread(book_of, files, latest.hash)


async def in_words(db: Database, now: int) -> str | None:
    """What is in force, in a line, after reading it; None where nothing ever was. Raises RulebookError."""
    async with db.snapshot() as reader:
        rows = await editions(reader, "state = ?", APPROVED)
        latest, canary = for_all_at(rows, now), canary_at(rows, now)
        if latest is None:
            return None
        for edition in (latest, canary):
            if edition is not None:
                files = await stored_files(reader, edition.hash)
                await asyncio.to_thread(book_of, files or {}, edition.hash)
    told = f"{latest.number} of {len(rows)}, rulebook {latest.hash[:12]} ({latest.origin})"
    return told + (f"; canary {canary.number} for {canary.share / 100:g} %" if canary else "")


async def difference(db: Database, folder: Path | None, now: int) -> str | None:
    """What to warn of where a folder was named but the database counts."""
    async with db.snapshot() as reader:
        rows = await editions(reader, "state = ?", APPROVED)
    if all(edition.origin == FOLDER for edition in rows):
        return None
    return _difference(folder, for_all_at(rows, now))


# --- starting -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folder:
    """How the folder of the rules stands to what is in force. `command` publishes it, where that is to be done."""

    command: PublishFolder | None
    warning: str | None


async def begin(db: Database, in_force: RulesInForce, folder: Path | None, now: int) -> Folder:
    """Know the rulebooks that are kept, and what to do with the folder. Raises RulebookError, DatabaseAway.

    As long as nothing but folders was ever in force, the folder counts; then the database does, and a folder that
    says something else is only warned of.
    """
    async with db.snapshot() as reader:
        approved = await editions(reader, "state = ?", APPROVED)
    latest = for_all_at(approved, now)
    if any(edition.origin != FOLDER for edition in approved):
        await in_force.preload(db, now)
        return Folder(None, _difference(folder, latest))
    book = load_rulebook(folder)
    in_force.start_with(book)
    await in_force.preload(db, now)
    if latest is not None and latest.hash == book.hash:
        return Folder(None, None)
    files = packed(folder or shipped_rules())
    if book_of(files).hash != book.hash:
        raise RulebookError(
            [Problem(".", 1, "", "files that changed meanwhile", "a folder at rest", "start again")]
        )
    return Folder(PublishFolder(stored(book, files)), None)


def _difference(folder: Path | None, latest: Edition | None) -> str | None:
    """What to warn of where a folder was named and is not what counts."""
    if folder is None or latest is None:
        return None
    try:
        found = load_rulebook(folder).hash
    except RulebookError as problem:
        return f"{folder} is not used (edition {latest.number} is) and has {len(problem.problems)} problems"
    if found == latest.hash:
        return None
    return (
        f"{folder} holds {found[:12]}, but edition {latest.number} ({latest.hash[:12]}) is in force; "
        "publish it with `saxaul rules publish`, or unset SAXAUL_GAME_RULES"
    )


# --- publishing -----------------------------------------------------------------------------------


class Publisher:
    """Submits commands about editions. Each method returns the command's outcome, or raises Rejected before it.

    `keep` gets each rulebook that was read, so that it need not be read again when it comes into force.
    """

    def __init__(
        self,
        db: Database,
        submit_all: Callable[[Sequence[Any]], Awaitable[list[Outcome]]],
        now_ms: Callable[[], int],
        forecast: Forecast | None = None,
        keep: Callable[[RuleBook], None] = lambda book: None,
    ) -> None:
        self._db, self._submit_all, self._now_ms = db, submit_all, now_ms
        self._forecast, self._keep = forecast, keep

    async def propose(
        self,
        key: str | None,
        files: Mapping[str, str],
        by: str,
        why: str,
        share: int = EVERYBODY,
        wanted_at: int | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Check the files and propose them; `share` is in hundredths of a per cent of users."""
        book = await self._read(files)

        def command(looked: Looked) -> object:
            rulebook = stored(book, files)
            return ProposeRulebook(key, rulebook, by, why, looked, share, wanted_at, overrides or {})

        return await self._looking(book, files, command, wanted_at)

    async def approve(
        self, key: str | None, number: int, by: str, overrides: Mapping[str, str] | None = None
    ) -> Outcome:
        """Check the stored files once more and put the edition in force."""
        book, files = await self._stored(number)
        return await self._looking(
            book, files, lambda looked: ApproveRulebook(key, number, by, looked, overrides or {})
        )

    async def promote(
        self, key: str | None, number: int, by: str, why: str, overrides: Mapping[str, str] | None = None
    ) -> Outcome:
        """Check the canary's files once more and put them in force for all."""
        book, files = await self._stored(number)
        return await self._looking(
            book, files, lambda looked: PromoteCanary(key, number, by, why, looked, overrides or {})
        )

    async def withdraw(self, key: str | None, number: int, by: str, why: str) -> Outcome:
        """Take back a proposal or a planned edition, or end a canary."""
        return await self._submit(WithdrawEdition(key, number, by, why))

    async def roll_back(self, key: str | None, by: str, why: str, to: int | None = None) -> Outcome:
        """Undo what was published last; the rulebook that comes back is read first."""
        async with self._db.snapshot() as reader:
            rows = await editions(reader, "state = ?", APPROVED)
        target = rollback_target(rows, self._now_ms(), to)
        if target is not None:
            await self._stored(target.number)
        return await self._submit(RollBackRulebook(key, by, why, to))

    async def running_canary(self) -> int:
        """The number of the canary that runs. Raises Rejected(not_running)."""
        async with self._db.snapshot() as reader:
            canary = canary_at(await editions(reader, "state = ?", APPROVED), self._now_ms())
        if canary is None:
            raise Rejected("not_running")
        return canary.number

    # --- looking before ---------------------------------------------------------------------------

    async def _read(self, files: Mapping[str, str]) -> RuleBook:
        try:
            book = await asyncio.to_thread(book_of, files)
        except RulebookError as problem:
            raise broken(problem) from problem
        self._keep(book)
        return book

    async def _stored(self, number: int) -> tuple[RuleBook, dict[str, str]]:
        """An edition's rulebook. Raises Rejected: it may be damaged, or written for another version."""
        async with self._db.snapshot() as reader:
            edition = await edition_of(reader, number)
            files = await stored_files(reader, edition.hash)
        if files is None:
            raise Rejected("rulebook_missing", rulebook=edition.hash)
        try:
            book = await asyncio.to_thread(book_of, files, edition.hash)
        except RulebookError as problem:
            raise broken(problem) from problem
        self._keep(book)
        return book, files

    async def _looking(
        self,
        book: RuleBook,
        files: Mapping[str, str],
        command: Callable[[Looked], object],
        wanted_at: int | None = None,
    ) -> Outcome:
        """Submit what was seen; look again where another edition came into force meanwhile."""
        now = self._now_ms()
        costs = await self._costs(book, min(max(now, wanted_at or 0), now + AHEAD_MAX_D * DAY_MS))
        for _ in range(LOOKS_MAX):
            outcome = await self._submit(command(await self._look(book, files, costs)))
            if outcome.error is None or outcome.error.code != "rules_moved":
                break
        return outcome

    async def _costs(self, book: RuleBook, from_ms: int) -> Mapping[str, int]:
        if self._forecast is None:
            return {}
        async with self._db.snapshot() as reader:
            [(accounts,)] = await reader.fetch("SELECT count(*) FROM users WHERE state = ?", "active")
        return await asyncio.to_thread(self._forecast, book, accounts, local_day(from_ms, "UTC"))

    async def _look(self, book: RuleBook, files: Mapping[str, str], costs: Mapping[str, int]) -> Looked:
        now = self._now_ms()
        async with self._db.snapshot() as reader:
            latest = for_all_at(await editions(reader, "state = ?", APPROVED), now)
            before = await stored_files(reader, latest.hash) if latest else None
        found: list[str] = []
        if before is not None:
            found = await asyncio.to_thread(edited, before, files, local_day(now, "UTC"))
        return Looked(
            against=latest.number if latest else 0,
            edited=tuple(found),
            costs=dict(costs),
            programmes=tuple(sorted(book.programmes)),
        )

    async def _submit(self, command: object) -> Outcome:
        [outcome] = await self._submit_all([command])
        return outcome


def broken(problem: RulebookError) -> Rejected:
    """The refusal that tells what is wrong with a rulebook."""
    told = [
        {name: getattr(one, name) for name in ("file", "line", "path", "found", "expected", "fix")}
        for one in problem.problems[:PROBLEMS_TOLD_MAX]
    ]
    return Rejected("rulebook_broken", count=len(problem.problems), problems=told)
