"""The writer without sockets: how many collects a second can be decided and stored, and what one costs."""

from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.jobs.plans import WriterPlan
from loadtest.measure import middle
from loadtest.population import Presses
from loadtest.report import number, spread, table

OUTSTANDING = (256, 1024)
PER_S_MAX = 40_000


def run(bench: Bench) -> list[Table]:
    """Rounds at every store; the figures go to `bench.results["writer"]`."""
    results: dict[str, list[dict[str, Any]]] = {}
    for turn in range(bench.sizes.rounds):
        for store in bench.stores:
            if store == "null":
                continue
            for outstanding in OUTSTANDING:
                bench.say(f"writer alone, round {turn + 1}: {store}, {outstanding} outstanding")
                url, pids = bench.stable.database(store)
                plan = writer_plan(bench, url, pids, outstanding)
                results.setdefault(f"{store}, {outstanding} outstanding", []).append(drive("writer", plan))
    bench.results["writer"] = results
    return [_table(results)]


def writer_plan(bench: Bench, url: str, pids: list[int], outstanding: int) -> WriterPlan:
    """A round on that database."""
    population, sizes = bench.population, bench.sizes
    each = int(PER_S_MAX * (sizes.warm_up_s + sizes.measure_s) / population.keen) + 1
    presses = [
        (population.keen_user(nth), Presses(population, nth).peek(each)) for nth in range(population.keen)
    ]
    return WriterPlan(
        url, {"database": pids} if pids else {}, presses, outstanding, sizes.warm_up_s, sizes.measure_s
    )


def _table(results: dict[str, list[dict[str, Any]]]) -> Table:
    rows = []
    for name, rounds in results.items():
        rates = [figures["per_s"] for figures in rounds]
        rows.append([
            name,
            number(middle(rates)),
            spread(rates),
            number(middle(figures["group"] for figures in rounds)),
            number(middle(figures["p50_ms"] for figures in rounds), 1),
            number(middle(figures["p99_ms"] for figures in rounds), 1),
            number(middle(figures["cpu_us"]["driver"] for figures in rounds), 1),
            number(middle(figures["cpu_us"].get("database", float("nan")) for figures in rounds), 1),
            str(sum(figures["refused"] for figures in rounds)),
        ])  # fmt: skip
    columns = (
        "",
        "collects/s",
        "range",
        "commands a group",
        "p50 ms",
        "p99 ms",
        "CPU µs engine",
        "database",
        "refused",
    )
    return table("The writer alone, no sockets", columns, rows)
