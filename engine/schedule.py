"""The recurring jobs. APScheduler only ticks; what is due is read from the database, and changed by commands.

Jobs announce and book what time has already decided: a late job, a lost job or two at once change no outcome. Work that
one process should do for all is held by a lease. Knows no rule of the game and no partner: main hands over other jobs.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from engine.clock import Clock
from engine.core.commands import BookExpiry
from engine.core.jobs import ClaimLease, MoveWatermark
from engine.core.units import HOUR_MS, rfc3339
from engine.facts import VERSION
from engine.publication import forest_channel, user_channel
from engine.realtime.hub import Hub
from engine.store.database import Database, DatabaseAway, Reader
from engine.tally import JobTally
from engine.writer import Outcome, Writer

EXPIRY_BALLS_MAX = 500  # in one command
EXPIRY_COMMANDS_MAX = 100  # in one run
ANNOUNCED_BALLS_MAX = 5_000  # in one read
ANNOUNCED_READS_MAX = 20  # in one run
LEASE_LIFE_MIN_S = 30.0
LEASE_LIFE_TICKS = 4
PARTED_MS = HOUR_MS
SETTLED_S = 600.0
STOP_WITHIN_S = 5.0
WATERMARK_STEP_MS = 60_000

log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode

Run = Callable[[], Awaitable[int]]


class Refused(Exception):
    """The job did not run, and why: `elsewhere` (another process holds it) or `clock`."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job of another domain: runs every `every_s` seconds in one process; `run` tells how many things it did."""

    name: str
    every_s: float
    run: Run


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that this process has, and the database's now when it got it."""

    job: str
    term: int
    watermark: int
    now: int


class SteadyClock:
    """Whether the wall clock went at the pace of the monotonic one. After a jump it must have settled for a while:
    a clock that is set wrong is usually set right soon, and balls that were booked expired stay so.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead_ms: float | None = None
        self._suspect_until = float("-inf")

    def is_steady(self, wall_ms: int) -> bool:
        """False for some minutes after wall and monotonic clock have parted by over an hour between two calls."""
        passed = self._monotonic()
        ahead_ms = wall_ms - passed * 1000
        if self._ahead_ms is not None and abs(ahead_ms - self._ahead_ms) > PARTED_MS:
            self._suspect_until = passed + SETTLED_S
        self._ahead_ms = ahead_ms
        return passed >= self._suspect_until


class Schedule:
    """All jobs of this process."""

    def __init__(
        self,
        db: Database,
        writer: Writer,
        hub: Hub,
        clock: Clock,
        tally: JobTally,
        *,
        announce_s: float,
        expiry_s: float,
        others: Sequence[Job] = (),
        steady: SteadyClock | None = None,
    ) -> None:
        self._db, self._writer, self._hub, self._clock, self.tally = db, writer, hub, clock, tally
        self._expiry_s = expiry_s
        self._steady = steady or SteadyClock()
        self._holder = secrets.token_hex(8)
        self._announced = (0, 0)  # (ripens_at, ball): everything up to here was announced
        self._running: set[asyncio.Task[Any]] = set()
        self._ticker = AsyncIOScheduler(timezone="UTC")
        self._every("announce", announce_s, self.announce)
        self._every("expiry", expiry_s, self.book_expiry)
        for job in others:
            self._every(job.name, job.every_s, self._leased(job))

    def start(self) -> None:
        """Begin to tick. Only what ripens from now on is announced."""
        self._announced = (self._clock.now_ms(), 0)
        self._ticker.start()

    async def stop(self) -> None:
        """Tick no more and wait for the jobs that run."""
        if self._ticker.running:
            self._ticker.pause()
            if self._running:
                await asyncio.wait(self._running, timeout=STOP_WITHIN_S)
            self._ticker.shutdown(wait=False)
            await asyncio.sleep(0)

    # --- ripening ---------------------------------------------------------------------------------

    async def announce(self) -> int:
        """Tell who listens here which balls have ripened since the last time; returns how many balls."""
        if not self._hub.watched():
            self._announced = (self._clock.now_ms(), 0)
            return 0
        announced = 0
        for _ in range(ANNOUNCED_READS_MAX):
            async with self._db.snapshot() as reader:
                now = await self._now(reader)
                rows = await self._ripened(reader, now)
            announced += self._tell(rows, now)
            if len(rows) < ANNOUNCED_BALLS_MAX:
                self._announced = (now, 0)
                break
            self._announced = (rows[-1][1], rows[-1][0])
        return announced

    async def _ripened(self, reader: Reader, now: int) -> list[tuple[Any, ...]]:
        sql = (
            "SELECT id, ripens_at, owner, friends_from_at, expires_at FROM balls "
            "WHERE ripens_at >= ? AND ripens_at <= ? AND (ripens_at > ? OR id > ?) AND remaining_g > 0 "
            "ORDER BY ripens_at, id LIMIT ?"
        )
        after, ball = self._announced
        return await reader.fetch(sql, after, now, after, ball if ball else 2**62, ANNOUNCED_BALLS_MAX)

    def _tell(self, rows: Sequence[tuple[Any, ...]], now: int) -> int:
        """Only what never changes again is told: whatever else a ball has, publications with offsets tell."""
        told = 0
        for owner, balls in _by_owner(rows):
            channels = [c for c in (user_channel(owner), forest_channel(owner)) if self._hub.watches(c)]
            if not channels:
                continue
            told += len(balls)
            data = _encode({"type": "ball.ripened", "v": VERSION, "at": rfc3339(now), "balls": balls})
            for channel in channels:
                self._hub.announce(channel, data)
        self._hub.flush()
        return told

    async def _now(self, reader: Reader) -> int:
        """The clock that decides: the database's where several processes share it."""
        if not self._db.is_shared:
            return self._clock.now_ms()
        [(now,)] = await reader.fetch("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        return now + self._clock.shift_ms

    # --- expiry -----------------------------------------------------------------------------------

    async def book_expiry(self) -> int:
        """Book what is past its life; returns how many balls. What it costs depends on how many expired since the
        last time, not on how many live.
        """
        held = await self._hold("expiry", self._expiry_s)
        if not self._steady.is_steady(held.now - self._clock.shift_ms):
            raise Refused("clock")
        booked, after = 0, held.watermark
        for _ in range(EXPIRY_COMMANDS_MAX):
            due = await self._due(after, held.now)
            if not due:
                break
            balls = tuple((ball, owner) for ball, owner, _ in due)
            reply = _reply(await self._writer.submit(BookExpiry(balls)))
            booked += reply["booked"]
            after = due[-1][2] - 1  # others may expire at the same instant as the last one
            if len(due) < EXPIRY_BALLS_MAX or not reply["booked"]:
                break
        if booked or held.now - held.watermark > WATERMARK_STEP_MS:
            await self._move(held)
        return booked

    async def _due(self, after: int, now: int) -> list[tuple[Any, ...]]:
        sql = (
            "SELECT id, owner, expires_at FROM balls "
            "WHERE expires_at > ? AND expires_at <= ? AND remaining_g > 0 ORDER BY expires_at LIMIT ?"
        )
        async with self._db.snapshot() as reader:
            return await reader.fetch(sql, after, now, EXPIRY_BALLS_MAX)

    async def _move(self, held: Held) -> None:
        """Up to now, or to just before the first ball that is still to be booked."""
        sql = "SELECT min(expires_at) FROM balls WHERE expires_at > ? AND expires_at <= ? AND remaining_g > 0"
        async with self._db.snapshot() as reader:
            [(first,)] = await reader.fetch(sql, held.watermark, held.now)
        watermark = held.now if first is None else first - 1
        _reply(await self._writer.submit(MoveWatermark(held.job, self._holder, held.term, watermark)))

    # --- ticking ----------------------------------------------------------------------------------

    async def _hold(self, job: str, every_s: float) -> Held:
        """The lease of the job, renewed. Raises Refused(elsewhere) or DatabaseAway."""
        life_ms = int(max(LEASE_LIFE_MIN_S, LEASE_LIFE_TICKS * every_s) * 1000)
        outcome = await self._writer.submit(ClaimLease(job, self._holder, life_ms))
        if outcome.error is not None and outcome.error.code == "lease_lost":
            raise Refused("elsewhere")
        reply = _reply(outcome)
        return Held(job, reply["term"], reply["watermark"], reply["now"])

    def _leased(self, job: Job) -> Run:
        async def run() -> int:
            await self._hold(job.name, job.every_s)
            return await job.run()

        return run

    def _every(self, name: str, seconds: float, run: Run) -> None:
        async def tick() -> None:
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                await self._note(name, run)
            finally:
                self._running.discard(task)

        self._ticker.add_job(
            tick,
            "interval",
            id=name,
            seconds=seconds,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    async def _note(self, name: str, run: Run) -> None:
        """One run, counted; a job that fails is tried again at its next tick."""
        try:
            count = await run()
        except Refused as refusal:
            outcome, count = str(refusal), 0
            if outcome == "clock":
                log.error("job_refused", job=name, why="wall and monotonic clock have parted by over an hour")
        except (DatabaseAway, Failed) as problem:
            outcome, count = "failed", 0
            log.warning("job_failed", job=name, problem=str(problem))
        except Exception:
            outcome, count = "failed", 0
            log.exception("job_failed", job=name)
        else:
            outcome = "done"
        self.tally.runs[name, outcome] += 1
        self.tally.done[name] += count


class Failed(Exception):
    """A command of a job was refused; the next tick tries again."""


def _reply(outcome: Outcome) -> Mapping[str, Any]:
    if outcome.error is not None:
        raise Failed(outcome.error.code)
    return msgspec.json.decode(outcome.data or b"{}")


def _by_owner(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """owner → what is told of their balls."""
    for owner, group in groupby(sorted(rows, key=lambda row: row[2]), key=lambda row: row[2]):
        yield (
            owner,
            [
                {
                    "id": str(ball),
                    "ripens_at": rfc3339(ripens_at),
                    "friends_from_at": rfc3339(friends_from_at),
                    "expires_at": rfc3339(expires_at),
                }
                for ball, ripens_at, _, friends_from_at, expires_at in group
            ],
        )
