"""Visits a source's feed: pages from the kept cursor on, each record reported by itself, the cursor kept after it.

A page's records are reported before the cursor moves past it. Whatever dies in between, the page is read again and its
records are duplicates. What goes wrong is kept with the cursor, and the next visit waits longer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from engine.admin import SubmitAll
from engine.core.errors import Rejected
from engine.core.sources import MovePull, Pull
from engine.counting import ReportCounts
from engine.deciding import Outcome
from engine.pull.fetch import Fetcher, FetchFailed
from engine.pull.files import PullFile
from engine.pull.mapping import command_from, decoded, found_at
from engine.store.database import Database

PAGES_MAX = 50  # in one visit
RECORDS_MAX = 2_000  # in one page
CURSOR_CHARACTERS_MAX = 2_000
BACKOFF_S_MAX = 3_600
TEMPORARY = frozenset({"overloaded", "unavailable", "internal"})


@dataclass(slots=True)
class Visit:
    """What one visit came to."""

    pages: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    problem: str = ""


class _Stop(Exception):
    """The visit ends here; the text says why. The cursor stays where it is."""


class Puller:
    """Pulls one source. `secret_of` reads a secret by the name that the file gives."""

    def __init__(
        self,
        file: PullFile,
        fetcher: Fetcher,
        submit_all: SubmitAll,
        db: Database,
        counts: ReportCounts,
        now_ms: Callable[[], int],
        secret_of: Callable[[str], str | None],
    ) -> None:
        self.file = file
        self._fetcher, self._submit_all, self._db = fetcher, submit_all, db
        self._counts, self._now_ms, self._secret_of = counts, now_ms, secret_of

    async def run(self) -> int:
        """A visit, unless it is to wait after failures; how many records came. For the schedule."""
        pull = await self.kept()
        if self._now_ms() < pull.next_at <= self._now_ms() + BACKOFF_S_MAX * 1000:
            return 0
        visit = await self.visit(pull)
        return visit.accepted + visit.duplicate + visit.rejected

    async def kept(self) -> Pull:
        """How far this source has been pulled."""
        sql = (
            "SELECT source, cursor, version, failures, problem, next_at, done_at, records "
            "FROM pulls WHERE source = ?"
        )
        async with self._db.snapshot() as view:
            rows = await view.fetch(sql, self.file.source)
        return Pull(*rows[0]) if rows else Pull(self.file.source)

    async def visit(
        self, pull: Pull | None = None, progress: Callable[[Visit], None] = lambda visit: None
    ) -> Visit:
        """Pages from the kept cursor until there is no next one, or this visit's share is done."""
        pull, visit = pull or await self.kept(), Visit()
        seen, last = {pull.cursor}, b""
        try:
            for page in range(PAGES_MAX):
                if page:
                    await asyncio.sleep(60 / self.file.requests_per_min)
                body = await self._fetched(pull.cursor)
                digest = hashlib.blake2b(body, digest_size=16).digest()
                if digest == last:
                    raise _Stop("the same page again under another cursor")
                last = digest
                cursor, taken = await self._take(body, pull.cursor, visit)
                visit.pages += 1
                progress(visit)
                if cursor and cursor in seen and cursor != pull.cursor:
                    raise _Stop("a circle of cursors")
                is_last = cursor in ("", pull.cursor)
                seen.add(cursor)
                pull = await self._moved(pull, cursor or pull.cursor, taken)
                if is_last:
                    break
        except (FetchFailed, _Stop) as problem:
            visit.problem = str(problem)
            with suppress(_Stop):  # what can't be kept now is found out again by the next visit
                await self._failed(pull, visit.problem, isinstance(problem, FetchFailed) and problem.is_final)
        return visit

    async def _fetched(self, cursor: str) -> bytes:
        page, bearer = self.file.page, None
        parameters = {page.parameter: cursor} if cursor else {}
        if page.size_parameter:
            parameters[page.size_parameter] = str(page.size)
        if self.file.secret:
            bearer = self._secret_of(self.file.secret)
            if not bearer:
                raise _Stop(f"{self.file.secret} is not set where the engine runs")
        return await self._fetcher.page(self.file.address, parameters, bearer)

    async def _take(self, body: bytes, cursor: str, visit: Visit) -> tuple[str, int]:
        """Report a page's records; the next cursor ("" for none) and how many records there were."""
        try:
            tree = decoded(body)
        except ValueError as problem:
            raise _Stop("a page that is not JSON") from problem
        records = found_at(tree, self.file.page.records)
        if not isinstance(records, list):
            raise _Stop(f"no list of records at {self.file.page.records or 'the top'}")
        if len(records) > RECORDS_MAX:
            raise _Stop(f"more than {RECORDS_MAX:,} records in a page")
        following = found_at(tree, self.file.page.next) if self.file.page.next else None
        if following is not None and (isinstance(following, bool) or not isinstance(following, str | int)):
            raise _Stop("a cursor that is neither text nor number")
        text = "" if following is None else str(following)
        if len(text) > CURSOR_CHARACTERS_MAX or not text.isprintable():
            raise _Stop("a cursor that is too long or not printable")
        await self._report(records, visit)
        return text, len(records)

    async def _report(self, records: list[Any], visit: Visit) -> None:
        """Each record by itself; one that can't be read is rejected alone."""
        wishes = [self._wish(record) for record in records]
        commands = [wish for wish in wishes if not isinstance(wish, Rejected)]
        outcomes = iter(await self._submit_all(commands) if commands else ())
        is_busy = False
        for wish in wishes:
            outcome = Outcome(None, wish) if isinstance(wish, Rejected) else next(outcomes)
            self._counts.note(self.file.source, wish, outcome, self._now_ms())
            if outcome.error is not None and outcome.error.code in TEMPORARY:
                is_busy = True
            elif outcome.error is not None:
                visit.rejected += 1
            elif b'"duplicate"' in (outcome.data or b""):
                visit.duplicate += 1
            else:
                visit.accepted += 1
        if is_busy:
            raise _Stop("the engine is busy; the page is read again")

    def _wish(self, record: Any) -> Any:
        try:
            return command_from(self.file, record)
        except Rejected as refusal:
            return refusal

    # --- what is kept -----------------------------------------------------------------------------

    async def _moved(self, pull: Pull, cursor: str, records: int) -> Pull:
        now = self._now_ms()
        return await self._keep(
            replace(
                pull,
                cursor=cursor,
                failures=0,
                problem="",
                next_at=0,
                done_at=now,
                records=pull.records + records,
            )
        )

    async def _failed(self, pull: Pull, problem: str, is_final: bool) -> None:
        """Wait twice as long after each failure, an hour at most; at once an hour where only a person can help."""
        wait_s = min(self.file.every_s * 2 ** min(pull.failures + 1, 16), BACKOFF_S_MAX)
        next_at = self._now_ms() + (BACKOFF_S_MAX if is_final else wait_s) * 1000
        await self._keep(replace(pull, failures=pull.failures + 1, problem=problem[:200], next_at=next_at))

    async def _keep(self, pull: Pull) -> Pull:
        """Raises _Stop where another process has moved the pull meanwhile."""
        moved = replace(pull, version=pull.version + 1)
        [outcome] = await self._submit_all([MovePull(moved)])
        if outcome.error is not None and outcome.error.code == "lease_lost":
            raise _Stop("another process pulls this source")
        if outcome.error is not None:
            raise _Stop("the cursor could not be kept; the page is read again")
        return moved
