"""Sends a file's activities to the engine in batches, opens demo accounts, counts what became of each line.

Writes only through commands; everything may be run again, because activity ids and references mint once.
"""

import asyncio
import secrets
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from engine.admin import SubmitAll
from engine.clock import Clock
from engine.core.commands import AddSource, BookExpiry, LinkSource, OpenAccount, ReportActivity
from engine.core.errors import CODES, Rejected
from engine.core.rules import RuleBook
from engine.core.units import local_day
from engine.counting import ReportCounts
from engine.ingest.formats import FITBIT_SOURCE, BadLine, Found, Row, Survey, read_file, shifted, survey
from engine.ingest.lines import UnreadableFile
from engine.store.database import Database
from engine.writer import Outcome

BATCH_ROWS = 500
EXAMPLES_MAX = 3
TRIES_MAX = 20
TRY_AGAIN_S = 0.5
SECRET_BYTES = 24
TEMPORARY = frozenset({"overloaded", "unavailable"})


class IngestStopped(Exception):
    """The engine did not take the activities in; the text says why. Running the command again goes on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to take in, and how. `rebase_to`: the day that the file's last day becomes."""

    path: Path
    format: str
    source: str
    rebase_to: str | None = None  # "yesterday" or a day as 2026-11-22
    zone: str = "UTC"
    province: str | None = None
    opens_accounts: bool = False


@dataclass(slots=True)
class Summary:
    """What became of the lines. `issued_g` counts every ball; `expired_g` of it was booked expired."""

    lines: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    balls: int = 0
    issued_g: int = 0
    taken_back_g: int = 0
    avoided_mg: int = 0
    late_balls: int = 0
    expired_balls: int = 0
    expired_g: int = 0
    accounts_opened: int = 0
    accounts_linked: int = 0
    is_new_source: bool = False
    days_shifted: int = 0

    def reject(self, line: int, code: str, about: str) -> None:
        """Count a refusal; the first of each code are kept as examples."""
        self.rejected[code] += 1
        kept = self.examples.setdefault(code, [])
        if len(kept) < EXAMPLES_MAX:
            kept.append({"line": line, "about": about})


async def ingest(
    plan: Plan,
    submit_all: SubmitAll,
    db: Database,
    rules: RuleBook,
    clock: Clock | None = None,
    read: Callable[[int], None] = lambda count: None,
    rejected: Callable[[int, str, str], None] = lambda line, code, about: None,
    counts: ReportCounts | None = None,
) -> Summary:
    """Take the file in; `rejected` is told each refused line. Raises UnreadableFile and IngestStopped."""
    run = _Run(plan, submit_all, db, (clock or Clock()).now_ms(), rejected, counts or ReportCounts())
    if plan.rebase_to is not None or plan.opens_accounts:
        seen = survey(read_file(plan.format, plan.path, plan.source))
        run.summary.days_shifted = _days_to_shift(plan, seen, run.now)
        if plan.opens_accounts:
            await run.prepare_source(sorted(seen.behaviours & rules.behaviours.keys()))
    rows = read_file(plan.format, plan.path, plan.source, read)
    while batch := list(islice(rows, BATCH_ROWS)):
        await run.take(batch)
    await run.book_expiry()
    await run.counts.flush(submit_all)
    return run.summary


def _days_to_shift(plan: Plan, seen: Survey, now: int) -> int:
    if plan.rebase_to is None:
        return 0
    if plan.rebase_to == "yesterday":
        wanted = local_day(now, plan.zone) - timedelta(days=1)
    else:
        wanted = date.fromisoformat(plan.rebase_to)
    if seen.last_on is None:
        raise UnreadableFile(f"{plan.path}: no line is an activity with a day, so there is nothing to rebase")
    return (wanted - seen.last_on).days


class _Run:
    """One pass over a file."""

    def __init__(
        self,
        plan: Plan,
        submit_all: SubmitAll,
        db: Database,
        now: int,
        rejected: Callable[[int, str, str], None],
        counts: ReportCounts,
    ) -> None:
        self.plan, self.now, self.counts = plan, now, counts
        self._rejected = rejected
        self.summary = Summary()
        self._submit_all, self._db = submit_all, db
        self._subjects: set[str] = set()

    # --- activities -------------------------------------------------------------------------------

    async def take(self, rows: Sequence[Row]) -> None:
        """Report a batch and count what became of each."""
        self.summary.lines += len(rows)
        for row in rows:
            if isinstance(row, BadLine):
                self._reject(row.line, "bad_line", row.problem)
                self.counts.note(self.plan.source, None, Outcome(None, Rejected("bad_request")), self.now)
        found = [row for row in rows if isinstance(row, Found)]
        commands = [self._moved(row.command) for row in found]
        if self.plan.opens_accounts:
            await self._prepare_accounts(commands)
        worth = await self._worth([command.activity for command in commands])
        for row, outcome in zip(found, await self._submit(commands), strict=True):
            self._count(row, outcome, worth)

    def _moved(self, command: ReportActivity) -> ReportActivity:
        try:
            return shifted(command, self.summary.days_shifted)
        except OverflowError:
            return command  # a day at the end of the calendar; the engine refuses it as lying in the future

    def _count(self, row: Found, outcome: Outcome, worth: dict[str, tuple[int, int]]) -> None:
        activity = row.command.activity
        self.counts.note(self.plan.source, row.command, outcome, self.now)
        if outcome.error is not None:
            code = outcome.error.code
            fields = ", ".join(f"{name} {value}" for name, value in outcome.error.fields.items())
            about = f"{activity[:60]}: {CODES.get(code, code)}" + (f" ({fields})" if fields else "")
            self._reject(row.line, code, about)
            return
        reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
        if reply["status"] == "duplicate":
            self.summary.duplicate += 1
            return
        self.summary.accepted += 1
        before_g, before_mg = worth.get(activity, (0, 0))
        after_g, after_mg = reply["energy_g"], reply["avoided_mg"]
        worth[activity] = (after_g, after_mg)
        self.summary.issued_g += max(0, after_g - before_g)
        self.summary.taken_back_g += max(0, before_g - after_g)
        self.summary.avoided_mg += after_mg - before_mg
        self.summary.balls += bool(after_g and not before_g)
        if reply.get("reason") == "late" and after_g:
            self.summary.late_balls += 1
            self.summary.expired_balls += 1
            self.summary.expired_g += after_g

    def _reject(self, line: int, code: str, about: str) -> None:
        self.summary.reject(line, code, about)
        self._rejected(line, code, about)

    async def _worth(self, activities: Sequence[str]) -> dict[str, tuple[int, int]]:
        """What known activities are worth now, so that a revision counts only what it adds."""
        sql = "SELECT activity, energy_g, avoided_mg FROM activities WHERE source = ? AND activity IN ?"
        async with self._db.snapshot() as view:
            rows = await view.fetch(sql, self.plan.source, list(activities))
        return {activity: (energy_g, avoided_mg) for activity, energy_g, avoided_mg in rows}

    # --- accounts ---------------------------------------------------------------------------------

    async def _prepare_accounts(self, commands: Sequence[ReportActivity]) -> None:
        """Open and link an account for each subject without a link; a withdrawn consent stays withdrawn."""
        fresh = sorted({command.subject for command in commands} - self._subjects)
        self._subjects.update(fresh)
        async with self._db.snapshot() as view:
            rows = await view.fetch(
                "SELECT subject FROM links WHERE source = ? AND subject IN ?", self.plan.source, fresh
            )
            allowed = await view.fetch("SELECT behaviours FROM sources WHERE id = ?", self.plan.source)
        behaviours = tuple(msgspec.json.decode(allowed[0][0])) if allowed else ()
        if not behaviours:
            return  # an unknown source; the engine refuses each line for that
        known = {subject for (subject,) in rows}
        unknown = [subject for subject in fresh if subject not in known]
        users = await self._open(unknown)
        links = [
            LinkSource(None, user, self.plan.source, subject, behaviours)
            for subject, user in zip(unknown, users, strict=True)
        ]
        for outcome in await self._submit(links):
            if outcome.error is not None:
                raise IngestStopped(f"an account could not be linked: {outcome.error}")
        self.summary.accounts_linked += len(links)

    async def prepare_source(self, behaviours: Sequence[str]) -> None:
        """Register the source for what the file speaks of, unless it is known."""
        if not behaviours:
            return
        secret = "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        name = f"File import ({self.plan.source})"
        [outcome] = await self._submit([AddSource(None, self.plan.source, name, secret, tuple(behaviours))])
        if outcome.error is None:
            self.summary.is_new_source = True
        elif outcome.error.code != "source_exists":
            raise IngestStopped(f"the source could not be registered: {outcome.error}")

    async def _open(self, subjects: Sequence[str]) -> list[int]:
        prefix = "fitbit" if self.plan.source == FITBIT_SOURCE else self.plan.source
        commands = [
            OpenAccount(
                None, f"{prefix}:{subject}", f"Walker {subject[-4:]}", self.plan.zone, self.plan.province
            )
            for subject in subjects
        ]
        users: list[int] = []
        for outcome in await self._submit(commands):
            if outcome.error is None:
                self.summary.accounts_opened += 1
                users.append(int(msgspec.json.decode(outcome.data or b"{}")["user"]))
            elif outcome.error.code == "account_exists":
                users.append(int(str(outcome.error.fields["user"])))
            else:
                raise IngestStopped(f"an account could not be opened: {outcome.error}")
        return users

    # --- what is past its life --------------------------------------------------------------------

    async def book_expiry(self) -> None:
        """Book what is past its life in the forests of the file's subjects."""
        balls = await self._past_their_life()
        for group in _groups(balls):
            [outcome] = await self._submit([BookExpiry(tuple((ball, owner) for ball, owner, _ in group))])
            if outcome.error is not None:
                raise IngestStopped(f"expiry could not be booked: {outcome.error}")
            booked = msgspec.json.decode(outcome.data or b"{}")["booked"]
            self.summary.expired_balls += booked
            if booked:
                self.summary.expired_g += sum(energy_g for _, _, energy_g in group)

    async def _past_their_life(self) -> list[tuple[int, int, int]]:
        sql = (
            "SELECT b.id, b.owner, b.remaining_g FROM links l JOIN balls b ON b.owner = l.user_id "
            "WHERE l.source = ? AND b.expires_at <= ? AND b.remaining_g > 0 ORDER BY b.id"
        )
        async with self._db.snapshot() as view:
            rows = await view.fetch(sql, self.plan.source, self.now)
        return [(ball, owner, energy_g) for ball, owner, energy_g in rows]

    # --- submitting -------------------------------------------------------------------------------

    async def _submit(self, commands: Sequence[Any]) -> list[Outcome]:
        """Submit, and submit again what a busy engine refused. Raises IngestStopped."""
        if not commands:
            return []
        outcomes = await self._submit_all(commands)
        for _ in range(TRIES_MAX):
            refused = [place for place, outcome in enumerate(outcomes) if _is_temporary(outcome)]
            if not refused:
                return outcomes
            await asyncio.sleep(TRY_AGAIN_S)
            again = await self._submit_all([commands[place] for place in refused])
            for place, outcome in zip(refused, again, strict=True):
                outcomes[place] = outcome
        raise IngestStopped("the engine stays busy or its database is away; run the command again later")


def _is_temporary(outcome: Outcome) -> bool:
    return outcome.error is not None and outcome.error.code in TEMPORARY


def _groups(balls: Iterable[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    left = iter(balls)
    while group := list(islice(left, BATCH_ROWS)):
        yield group
