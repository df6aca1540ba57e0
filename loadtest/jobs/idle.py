"""What a connection weighs that is signed in, listens to its own channel and says nothing."""

import asyncio

from loadtest.jobs.common import alive, close_all, open_sessions
from loadtest.jobs.plans import IdlePlan
from loadtest.measure import memory_bytes


async def run(plan: IdlePlan) -> dict[str, object]:
    """Bytes of the server's resident memory per connection beyond the first ones."""
    server = plan.server.pids["server"][0]
    first = await open_sessions(plan.server, plan.sessions[: plan.first], None)
    await asyncio.sleep(plan.settle_s)
    before = memory_bytes(server)
    rest = await open_sessions(plan.server, plan.sessions[plan.first :], None)
    await asyncio.sleep(plan.settle_s)
    after = memory_bytes(server)
    still_open = alive(first) + alive(rest)
    await close_all([*first, *rest])
    return {
        "connections": len(rest),
        "bytes_per_connection": (after - before) / max(1, len(rest)),
        "closed": len(first) + len(rest) - still_open,
    }
