"""What an idle connection weighs."""

from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.jobs.plans import IdlePlan, Session
from loadtest.report import number, table

FIRST = 64
SETTLE_S = 1.0


def run(bench: Bench) -> list[Table]:
    """Yardstick and engines once; the figures go to `bench.results["memory"]`."""
    results: dict[str, dict[str, Any]] = {}
    count = bench.sizes.idle + FIRST
    with bench.yardstick() as yardstick:
        bench.say("memory: yardstick")
        results["yardstick, bare socket"] = drive(
            "idle", IdlePlan(yardstick, [Session("")] * count, FIRST, SETTLE_S)
        )
    with bench.engines() as engines:
        for engine in engines:
            if engine.name == "null":
                continue
            bench.say(f"memory: {engine.name}")
            users = [bench.population.keen_user(nth % bench.population.keen) for nth in range(count)]
            sessions = [engine.session(user, [f"user:{user}"]) for user in users]
            plan = IdlePlan(engine.server(), sessions, FIRST, SETTLE_S)
            results[f"{engine.name}, signed in, one channel"] = drive("idle", plan)
    bench.results["memory"] = results
    rows = [
        [
            name,
            number(figures["connections"]),
            number(figures["bytes_per_connection"] / 1024, 1),
            str(figures["closed"]),
        ]
        for name, figures in results.items()
    ]
    return [table("Memory per idle connection", ("", "connections", "KiB each", "closed"), rows)]
