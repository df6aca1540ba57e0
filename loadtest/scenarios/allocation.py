"""How long it takes to place redeemed trees with partners, through the writer: orders, quotas, events and ledger."""

from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.jobs.plans import AllocationPlan
from loadtest.report import number, table


def run(bench: Bench) -> list[Table]:
    """Once at every store; the figures go to `bench.results["allocation"]`."""
    results: dict[str, dict[str, Any]] = {}
    for store in bench.stores:
        if store == "null":
            continue
        bench.say(f"placing {bench.sizes.trees:,} trees on {store}")
        url, pids = bench.stable.empty(store)
        plan = AllocationPlan(url, {"database": pids} if pids else {}, bench.sizes.trees)
        results[store] = drive("allocation", plan, timeout_s=3600)
    bench.results["allocation"] = results
    return [_table(bench.sizes.trees, results)]


def _table(trees: int, results: dict[str, dict[str, Any]]) -> Table:
    rows = [
        [
            store,
            number(trees),
            number(figures["seconds"], 1),
            number(figures["per_s"]),
            number(figures["orders"]),
            number(figures["partners"]),
            number(figures["ordered"]),
            number(figures["drafted"]),
            number(figures["cpu_us"]["driver"], 1),
            number(figures["cpu_us"].get("database", float("nan")), 1),
            str(len(figures["findings"])),
        ]
        for store, figures in results.items()
    ]
    columns = (
        "",
        "trees",
        "seconds",
        "trees/s",
        "orders",
        "partners",
        "ordered",
        "in drafts",
        "CPU µs engine",
        "database",
        "findings",
    )
    return table("Allocation of redeemed trees, through the writer", columns, rows)
