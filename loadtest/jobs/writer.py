"""Collects handed straight to the engine's writer, in one process and without sockets: what deciding and storing cost.

The only job that runs the engine inside the driver: it tells what of a collect is the store's and what the socket's.
"""

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from engine.clock import Clock
from engine.core.commands import CollectEnergy
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.writer import Outcome, Writer
from loadtest.jobs.common import latency_ms, no_collector
from loadtest.jobs.plans import WriterPlan
from loadtest.keys import rising_keys
from loadtest.measure import CpuWindow
from loadtest.profilers import PROFILERS


async def run(plan: WriterPlan) -> dict[str, object]:
    """Rate, latency and CPU of one round."""
    epoch = await migrate(plan.url)
    db = await open_database(plan.url)
    writer = Writer(db, (GAME,), FixedRules(_no_rules), Hub(Limits(), epoch), Clock(), 100_000)
    writer.start()
    try:
        return await _measure(plan, writer)
    finally:
        await writer.stop()
        await db.close()


def _no_rules() -> Any:
    """A collect is decided from the ball's own row; whoever needs the rulebook here has changed that."""
    return None


async def _measure(plan: WriterPlan, writer: Writer) -> dict[str, object]:
    commands = _commands(plan)
    finished: list[tuple[float, float, bool]] = []
    stopped = asyncio.Event()

    def send() -> None:
        command = next(commands, None)
        if command is None or stopped.is_set():
            stopped.set()
            return
        begun = perf_counter()

        def done(outcome: Outcome) -> None:
            now = perf_counter()
            good = outcome.data is not None and b'"error"' not in outcome.data
            finished.append((now, now - begun, good))
            send()

        writer.post(command, done)

    with no_collector():
        for _ in range(plan.outstanding):
            send()
        await asyncio.sleep(plan.warm_up_s)
        profiler = PROFILERS[plan.profile]() if plan.profile else None
        if profiler is not None:
            profiler.start()
        window, begin, groups = CpuWindow.start(plan.pids), perf_counter(), writer.groups
        try:
            async with asyncio.timeout(plan.measure_s):
                await stopped.wait()
        except TimeoutError:
            pass
        end, cpu, groups = perf_counter(), window.stop(), writer.groups - groups
        findings = profiler.stop() if profiler is not None else {}
        ran_out = stopped.is_set()
        stopped.set()
    if finished and finished[-1][0] <= begin:  # all done while still warming up
        begin = end - plan.warm_up_s
    inside = [(latency, good) for now, latency, good in finished if begin < now <= end]
    return {
        "per_s": sum(good for _, good in inside) / (end - begin),
        "refused": sum(not good for _, good in inside),
        "group": len(inside) / max(1, groups),
        **latency_ms(latency for latency, _ in inside),
        "cpu_us": {name: used / max(1, len(inside)) * 1e6 for name, used in cpu.items() if name != "foreign"},
        "foreign_cores": cpu["foreign"] / (end - begin),
        "ran_out": ran_out,
        "seconds": end - begin,
        "findings": findings,
    }


def _commands(plan: WriterPlan) -> Iterator[CollectEnergy]:
    keys = rising_keys()
    turn, left = 0, True
    while left:
        left = False
        for user, presses in plan.presses:
            if turn < len(presses):
                owner, ball = presses[turn]
                left = True
                yield CollectEnergy(next(keys), user, owner, (ball,))
        turn += 1
