"""Booking balls that expire: must cost the same among ten thousand live balls as among a million."""

import math
from collections.abc import Callable
from typing import Any

from rich.table import Table

from loadtest import change
from loadtest.bench import Bench, drive
from loadtest.jobs.plans import ExpiryPlan
from loadtest.measure import middle
from loadtest.report import number, table

HEAD_START_MS = 8_000  # the engine is up before anything expires


def run(bench: Bench) -> list[Table]:
    """Every store with few and with many live balls; the figures go to `bench.results["expiry"]`."""
    results: dict[str, list[dict[str, Any]]] = {}
    for turn in range(bench.sizes.rounds):
        for store in bench.stores:
            if store == "null":
                continue
            for live in bench.sizes.live_balls:
                bench.say(f"expiry, round {turn + 1}: {store}, {live:,} live balls")
                results.setdefault(f"{store}, {live:,} live balls", []).append(_round(bench, store, live))
    bench.results["expiry"] = results
    return [_table(bench, results)]


def _round(bench: Bench, store: str, live: int) -> dict[str, Any]:
    expiring = bench.sizes.expiring
    found: dict[str, Any] = {}
    engine = bench.stable.start(store, _preparation(live, expiring, found), {"SAXAUL_EXPIRY_S": "0.5"})
    try:
        plan = ExpiryPlan(found["url"], engine.server().pids, expiring, found["expires_at"])
        return drive("expiry", plan)
    finally:
        engine.stop()


def _preparation(live: int, expiring: int, found: dict[str, Any]) -> Callable[[str], None]:
    def prepare(url: str) -> None:
        change.run(url, f"DELETE FROM balls WHERE id > {live}")
        change.vacuum(url)
        found["url"] = url
        found["expires_at"] = change.now_ms() + HEAD_START_MS
        change.run(url, f"UPDATE balls SET expires_at = {found['expires_at']} WHERE id <= {expiring}")

    return prepare


def _table(bench: Bench, results: dict[str, list[dict[str, Any]]]) -> Table:
    rows = []
    few: dict[str, float] = {}
    for name, rounds in results.items():
        store = name.partition(",")[0]
        cpu_us = middle(sum(_work(figures).values()) for figures in rounds)
        few.setdefault(store, cpu_us)
        rows.append([
            name,
            number(middle(figures["seconds"] for figures in rounds), 2),
            number(middle(figures["cpu_us"]["server"] for figures in rounds), 1),
            number(middle(figures["cpu_us"].get("database", math.nan) for figures in rounds), 1),
            number(cpu_us / few[store] if few[store] else math.nan, 2),  # too short to measure
        ])  # fmt: skip
    columns = (
        "",
        "seconds until booked",
        "CPU µs a ball, server",
        "database",
        "CPU to the fewest live balls (about 1)",
    )
    return table(f"{bench.sizes.expiring:,} balls expire at one instant", columns, rows)


def _work(figures: dict[str, Any]) -> dict[str, float]:
    return {name: used for name, used in figures["cpu_us"].items() if name in ("server", "database")}
