"""Finding energy in one process, without sockets: what a press costs a viewer with few friends and one with many."""

import sqlite3
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter, process_time, time_ns
from typing import Any

from engine.clock import Clock
from engine.publication import Publication, forest_channel
from engine.realtime.finding import Finder
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.snapshot import Snapshots
from engine.store import tables
from engine.store.opening import open_database
from engine.store.schema import migrate
from loadtest.jobs.common import no_collector
from loadtest.jobs.plans import FindPlan

HOUR_MS = 3_600_000
BLANK = {"TEXT": "", "BIGINT": 0}


async def run(plan: FindPlan) -> dict[str, object]:
    """For each viewer: the first press, presses when nothing has changed, presses after changes, and the list."""
    url = f"sqlite:///{plan.path}"
    epoch = await migrate(url)
    with sqlite3.connect(plan.path) as raw:
        _fill(raw, plan.friends)
    db = await open_database(url)
    hub = Hub(Limits(), epoch)
    finder = Finder(hub, Limits().find_friends_max)
    reads = Snapshots(db, _no_rules, Clock(), epoch, finder=finder)
    offsets = count(1)

    async def after_changes(viewer: int) -> None:
        found = await finder.find(reads._view, viewer, None, Clock().now_ms())
        assert found.standing is not None
        hub.publish([Publication(forest_channel(found.standing.friend), next(offsets), b"{}", 0)])

    figures: dict[str, object] = {}
    try:
        with no_collector():
            for viewer, friends in enumerate(plan.friends, 1):
                begun = perf_counter()
                await reads.find(viewer, None)
                first_ms = (perf_counter() - begun) * 1000
                figures[str(friends)] = {
                    "first_ms": first_ms,
                    "press": await _timed(lambda viewer=viewer: reads.find(viewer, None), plan.measure_s),
                    "changed": await _timed(lambda viewer=viewer: after_changes(viewer), plan.measure_s),
                    "list": await _timed(lambda viewer=viewer: reads.friends(viewer), plan.measure_s),
                }
    finally:
        await db.close()
    return figures


def _no_rules() -> Any:
    """Finding asks no rule; whoever needs the rulebook here has changed that."""
    return None


async def _timed(press: Callable[[], Awaitable[object]], seconds: float) -> dict[str, float]:
    done, begun, used = 0, perf_counter(), process_time()
    while perf_counter() - begun < seconds or not done:
        await press()
        done += 1
    took, used = perf_counter() - begun, process_time() - used
    return {"per_s": done / took, "cpu_us": used / done * 1e6}


def _fill(raw: sqlite3.Connection, friends: list[int]) -> None:
    """A viewer for each number of friends, and for all of them the same forests, two ripe balls in each."""
    now = time_ns() // 1_000_000
    viewers, most = len(friends), max(friends)
    forests = range(viewers + 1, viewers + most + 1)
    counts = dict(enumerate(friends, 1))
    people = (
        {"id": one, "state": "active", "friend_count": counts.get(one, 0)} for one in range(1, forests.stop)
    )
    for person in people:
        _insert(raw, tables.Users, person)
    for viewer, number in counts.items():
        for friend in forests[:number]:
            _insert(raw, tables.Friends, {"user_id": viewer, "friend_id": friend, "state": "friends"})
    for ball in range(2 * most):
        life = {
            "ripens_at": now - HOUR_MS,
            "friends_from_at": now - HOUR_MS,
            "expires_at": now + 48 * HOUR_MS,
        }
        grams = {"full_g": 80, "remaining_g": 80, "floor_g": 40}
        owner = forests[ball % most]
        _insert(raw, tables.Balls, {"id": ball + 1, "owner": owner, "takers": "[]"} | life | grams)


def _insert(raw: sqlite3.Connection, table: Any, values: dict[str, Any]) -> None:
    columns = table.__table__.columns
    row = {c.name: None if c.nullable else BLANK[str(c.type)] for c in columns} | values
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    raw.execute(f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})", list(row.values()))
