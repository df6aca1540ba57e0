"""Jobs on real databases: what they announce and book, and that outcomes do not wait for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from engine.core.commands import BookExpiry
from engine.core.units import DAY_MS, HOUR_MS
from engine.realtime.hub import Hub
from engine.realtime.protocol import Close
from engine.schedule import EXPIRY_BALLS_MAX, Job, Refused, Schedule, SteadyClock
from engine.tally import JobTally
from tests.api.conftest import Api, open_api, open_parts
from tests.support.databases import migrated


class Listener:
    """Keeps the lines that it is pushed."""

    def __init__(self, hub: Hub, user: int, *channels: str) -> None:
        self.is_dirty = False
        self.lines: list[bytes] = []
        self._hub = hub
        for channel in channels:
            subscription = hub.hold(self, user, channel)
            assert subscription is not None
            hub.release(subscription, 0, 0)

    def push(self, line: bytes) -> None:
        self.lines.append(line)
        self._hub.touch(self)

    def flush(self) -> None:
        self.is_dirty = False

    def end(self, close: Close) -> None:
        raise AssertionError(close)

    @property
    def ripened(self) -> list[dict[str, Any]]:
        pushes = [json.loads(line)["push"] for line in self.lines]
        told = [push["pub"]["data"] | {"channel": push["channel"]} for push in pushes]
        return [one for one in told if one["type"] == "ball.ripened"]


def schedule_of(api: Api, **options: Any) -> Schedule:
    parts = api.parts
    rest = {"announce_s": 3600, "expiry_s": 3600} | options
    return Schedule(parts.db, parts.writer, parts.hub, parts.clock, parts.jobs, **rest)


@pytest_asyncio.fixture
async def schedule(api: Api) -> AsyncIterator[Schedule]:
    made = schedule_of(api)
    made.start()
    yield made
    await made.stop()


async def trips(api: Api, count: int, users: int = 1) -> tuple[list[str], list[int]]:
    """`count` metro trips of now, by several users; users and balls."""
    await api.add_source(behaviours=("metro",))
    people = [await api.open_account() for _ in range(users)]
    for place, user in enumerate(people):
        await api.link(user, f"sub-{place}", "city", "metro")
    at = datetime.now(UTC).isoformat()
    items = [
        {
            "id": f"t{n}",
            "subject": f"sub-{n % users}",
            "behaviour": "metro",
            "at": at,
            "quantity": 1,
            "unit": "ride",
        }
        for n in range(count)
    ]
    answers = (await api.report(*items)).json()["results"]
    assert all(answer["status"] == "accepted" for answer in answers), answers[0]
    return people, [int(answer["ball"]) for answer in answers if "ball" in answer]


async def amounts(api: Api) -> tuple[int, int]:
    async with api.parts.db.snapshot() as reader:
        [(live, left)] = await reader.fetch(
            "SELECT count(*), cast(coalesce(sum(remaining_g), 0) AS bigint) FROM balls WHERE remaining_g > 0"
        )
    return live, left


async def test_ripening_is_announced_once_to_those_who_listen(api: Api, schedule: Schedule) -> None:
    (mine, theirs), balls = await trips(api, 2, users=2)
    own = Listener(api.parts.hub, int(mine), f"user:{mine}", f"forest:{mine}")
    other = Listener(api.parts.hub, int(theirs), f"user:{theirs}")
    assert await schedule.announce() == 0
    api.parts.clock.shift_ms = 25 * HOUR_MS
    assert await schedule.announce() == 2
    assert await schedule.announce() == 0
    assert [one["channel"] for one in own.ripened] == [f"user:{mine}", f"forest:{mine}"]
    [told] = own.ripened[0]["balls"]
    assert own.ripened[0]["type"] == "ball.ripened"
    assert int(told["id"]) in balls
    assert set(told) == {"id", "ripens_at", "friends_from_at", "expires_at"}
    assert len(other.ripened) == 1
    assert b"ball.ripened" in own.lines[-1]
    assert b'"offset"' not in own.lines[-1]


async def test_nobody_listens_and_nothing_is_read(api: Api, schedule: Schedule) -> None:
    await trips(api, 1)
    api.parts.clock.shift_ms = 25 * HOUR_MS
    assert await schedule.announce() == 0
    user = await api.open_account()
    late = Listener(api.parts.hub, int(user), f"user:{user}")
    assert await schedule.announce() == 0
    assert late.lines == []


async def test_expiry_is_booked_once_and_the_watermark_follows(api: Api, schedule: Schedule) -> None:
    _, balls = await trips(api, 3, users=3)
    assert await amounts(api) == (3, 3 * 52)
    assert await schedule.book_expiry() == 0
    api.parts.clock.shift_ms = 5 * DAY_MS
    other = Schedule(
        api.parts.db, api.parts.writer, api.parts.hub, api.parts.clock, JobTally(), announce_s=9, expiry_s=9
    )
    schedule._steady = SteadyClock()  # the jump is meant
    assert await schedule.book_expiry() == len(balls)
    with pytest.raises(Refused, match="elsewhere"):
        await other.book_expiry()
    assert await amounts(api) == (0, 0)
    assert await schedule.book_expiry() == 0
    async with api.parts.db.snapshot() as reader:
        [(watermark,)] = await reader.fetch("SELECT watermark FROM leases WHERE job = 'expiry'")
        rows = await reader.fetch("SELECT transfers FROM journal WHERE kind = 'BookExpiry'")
    assert abs(watermark - api.parts.clock.now_ms()) < 60_000
    assert sum(len(json.loads(row[0])) for row in rows) == 3


async def test_more_than_one_command_of_balls_is_booked_in_one_run(sqlite_url: str) -> None:
    await migrated(sqlite_url)
    async with AsyncExitStack() as stack:
        api = await open_api(stack, sqlite_url)
        async with api.parts.db.write() as tx:
            for ball in range(1, 3 * EXPIRY_BALLS_MAX + 8):  # all at one instant
                await tx.execute(
                    "INSERT INTO balls VALUES (?, 900001, 'metro', 'grams', 52, 52, 26, 1, 9, 1, 5, 6, 1000, '[]', 0)",
                    ball,
                )
            await tx.execute(
                "INSERT INTO users VALUES (900001, 'active', 'person', NULL, 'UTC', NULL, NULL, 0, 0, 0, 0, 0, 0, 1)"
            )
        assert await schedule_of(api).book_expiry() == 3 * EXPIRY_BALLS_MAX + 7
        assert await amounts(api) == (0, 0)


async def test_outcomes_do_not_wait_for_the_job(api: Api) -> None:
    [user], balls = await trips(api, 1)
    api.parts.clock.shift_ms = 5 * DAY_MS
    told = (await api.user(user, "GET", f"/v1/forests/{user}")).json()
    assert told["balls"] == []
    outcome = await api.parts.writer.submit(BookExpiry(((balls[0], int(user)),)))
    assert json.loads(outcome.data or b"") == {"booked": 1}


async def test_a_jump_of_the_wall_clock_stops_booking_until_it_has_settled(api: Api) -> None:
    now = [1000.0]
    schedule = schedule_of(api, steady=SteadyClock(lambda: now[0]))
    await trips(api, 1)
    real, parts = SteadyClock(lambda: now[0]), api.parts
    assert real.is_steady(1_000_000_000)
    now[0] += 10
    assert real.is_steady(1_000_000_000 + 10_000 + HOUR_MS - 1)
    now[0] += 10
    assert not real.is_steady(1_000_000_000 + 20_000 + 3 * HOUR_MS)
    now[0] += 599
    assert not real.is_steady(1_000_000_000 + 619_000 + 3 * HOUR_MS)
    now[0] += 2
    assert real.is_steady(1_000_000_000 + 621_000 + 3 * HOUR_MS)
    now[0] = 5000.0
    assert await schedule.book_expiry() == 0
    now[0] += 3 * 3600  # the monotonic clock went on by hours and the wall clock did not
    with pytest.raises(Refused, match="clock"):
        await schedule.book_expiry()
    assert parts.jobs.runs == {}


async def test_a_lease_made_under_a_clock_set_back_does_not_block(api: Api) -> None:
    api.parts.clock.shift_ms = 10 * DAY_MS
    assert await schedule_of(api).book_expiry() == 0
    api.parts.clock.shift_ms = 0
    assert await schedule_of(api).book_expiry() == 0


async def test_ticks_run_all_jobs_and_count_them(api: Api) -> None:
    ran = asyncio.Event()

    async def orders() -> int:
        ran.set()
        return 3

    async def broken() -> int:
        raise ValueError("Lin's secret")

    jobs = (Job("orders", 0.05, orders), Job("broken", 0.05, broken))
    schedule = schedule_of(api, announce_s=0.05, expiry_s=0.05, others=jobs)
    schedule.start()
    async with asyncio.timeout(10):
        await ran.wait()
        while not {("announce", "done"), ("expiry", "done"), ("broken", "failed")} <= set(
            schedule.tally.runs
        ):
            await asyncio.sleep(0.02)
    await schedule.stop()
    assert schedule.tally.runs["orders", "done"] >= 1
    assert schedule.tally.done["orders"] >= 3


async def test_the_job_of_two_processes_runs_in_one_of_them(api: Api) -> None:
    if not api.parts.db.is_shared:
        pytest.skip("one process writes a SQLite file")
    async with AsyncExitStack() as stack:
        parts = await open_parts(stack, api.parts.settings.database_url)
        two = Schedule(parts.db, parts.writer, parts.hub, parts.clock, parts.jobs, announce_s=9, expiry_s=9)
        one = schedule_of(api)
        runs = await asyncio.gather(one.book_expiry(), two.book_expiry(), return_exceptions=True)
        assert sorted(type(run).__name__ for run in runs) == ["Refused", "int"]
