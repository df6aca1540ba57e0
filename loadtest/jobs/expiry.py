"""How long the engine takes to book balls that expire together, and what CPU that costs; seen from outside.

It only watches the database: how many balls past their life still hold energy.
"""

import asyncio
import sqlite3
import time
from typing import Any

import asyncpg

from loadtest.jobs.plans import ExpiryPlan
from loadtest.measure import CpuWindow

LEAD_S = 0.5
POLL_S = 0.1
TIMEOUT_S = 120.0


async def run(plan: ExpiryPlan) -> dict[str, object]:
    """Seconds from the instant of expiry until all is booked, and CPU microseconds a ball."""
    left = _sqlite_left if plan.url.startswith("sqlite") else _postgres_left
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.sleep(plan.expires_at / 1000 - LEAD_S - time.time())
        window = CpuWindow.start(plan.pids)
        await asyncio.sleep(LEAD_S)
        expired = await left(plan)
        while await left(plan):
            await asyncio.sleep(POLL_S)
    took_s = time.time() - plan.expires_at / 1000
    cpu = window.stop()
    return {
        "seen": expired,
        "seconds": took_s,
        "cpu_us": {name: used / plan.expiring * 1e6 for name, used in cpu.items()},
    }


_LEFT = "SELECT count(*) FROM balls WHERE expires_at <= {} AND remaining_g > 0"


async def _sqlite_left(plan: ExpiryPlan) -> int:
    connection = sqlite3.connect(plan.url.partition("///")[2])
    try:
        return connection.execute(_LEFT.format(plan.expires_at)).fetchone()[0]
    finally:
        connection.close()


async def _postgres_left(plan: ExpiryPlan) -> int:
    connection: Any = await asyncpg.connect(plan.url)
    try:
        return await connection.fetchval(_LEFT.format(plan.expires_at))
    finally:
        await connection.close()
