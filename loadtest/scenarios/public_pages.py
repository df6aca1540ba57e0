"""Public pages while orders are written: at a thousand a second, and as fast as they come beside bare health routes."""

import secrets
from dataclasses import replace
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.jobs.plans import PagesPlan, PlantedPlan, Server
from loadtest.measure import middle
from loadtest.report import number, spread, table

CONNECTIONS = 64
HOT_TREES = 150
COLD_PCT = 10
WRITES_PER_S = 50
WARM_UP = 4  # times the usual: every hot page is to be made once before
HTML, JSON = "text/html", "application/json"
HEALTH = [("/healthz", JSON)]


def run(bench: Bench) -> list[Table]:
    """Every store; the figures go to `bench.results["public_pages"]`."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for store in bench.stores:
        if store != "null":
            results[store] = _of_store(bench, store)
    bench.results["public_pages"] = results
    return [_table(bench, results), _ratios(results)]


def _of_store(bench: Bench, store: str) -> dict[str, list[dict[str, Any]]]:
    bench.say(f"planting {bench.sizes.page_trees:,} trees on {store}")
    at = bench.stable.empty(store)
    planted = drive("planted", PlantedPlan(at[0], bench.sizes.page_trees), timeout_s=900)
    key = secrets.token_hex(32)
    settings = {"SAXAUL_OPERATOR_KEY": key, "SAXAUL_ORDERS_S": "1"}
    figures: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("steady", "fast", "health", "yardstick")
    }
    engine = bench.stable.start(store, settings=settings, at=at)
    try:
        server = engine.server()
        for nth in range(bench.sizes.rounds):
            plan = _plan(bench, server, planted, nth, 0, key)
            bench.say(f"{store}: {bench.sizes.pages_per_s:,} pages a second, round {nth + 1}")
            figures["steady"].append(drive("pages", plan))
            bench.say(f"{store}: pages as fast as they come, round {nth + 1}")
            fast = replace(_plan(bench, server, planted, nth, 1, key), per_s=0, cold=plan.cold[::-1])
            figures["fast"].append(drive("pages", fast))
            bench.say(f"{store}: health routes, round {nth + 1}")
            bare = replace(plan, per_s=0, hot=HEALTH, cold=[], writes_per_s=0)
            figures["health"].append(drive("pages", bare))
            with bench.yardstick() as yardstick:
                figures["yardstick"].append(drive("pages", replace(bare, server=yardstick)))
    finally:
        engine.stop()
    return figures


def _plan(bench: Bench, server: Server, planted: dict[str, Any], nth: int, half: int, key: str) -> PagesPlan:
    """Hot pages of all kinds; cold ones are trees that nobody has asked for in this round."""
    trees, orders = planted["trees"], planted["planted"]
    hot = [(f"/v1/trees/{one}", accept) for one in trees[:HOT_TREES] for accept in (HTML, JSON)]
    hot += [(f"/v1/registry/batches/{one}/1", HTML) for one in orders[: HOT_TREES // 3]]
    programmes = ("saxaul-alxa", "caragana-wuwei", "tamarix-jinta")
    hot += [(f"/v1/{kind}/{one}", HTML) for kind in ("programmes", "registry/sites") for one in programmes]
    hot += [
        ("/v1/registry", HTML),
        *((f"/v1/registry/sites/{one}/map.svg", "image/svg+xml") for one in programmes),
    ]
    share = max(1, (len(trees) - HOT_TREES) // bench.sizes.rounds)
    mine = trees[HOT_TREES + nth * share : HOT_TREES + (nth + 1) * share]
    cold = [(f"/v1/trees/{one}", accept) for accept in (HTML, JSON) for one in mine]
    writes = [
        (f"/v1/orders/{held}/{verb}", body)
        for held in planted["to_hold"]
        for verb, body in (("hold", '{"reason":"bench"}'), ("resume", "{}"))
    ]
    verdict = '{"verdict":"verified"}'
    once = [
        (f"/v1/orders/{one}/review", verdict)
        for one in planted["to_review"][2 * nth + half :: 2 * bench.sizes.rounds]
    ]
    return PagesPlan(
        server=server,
        hot=hot,
        cold=cold,
        cold_pct=COLD_PCT,
        per_s=bench.sizes.pages_per_s,
        connections=CONNECTIONS,
        warm_up_s=WARM_UP * bench.sizes.warm_up_s,
        measure_s=bench.sizes.measure_s,
        writes=writes,
        once=once,
        writes_per_s=WRITES_PER_S,
        operator_key=key,
    )


def _table(bench: Bench, results: dict[str, dict[str, list[dict[str, Any]]]]) -> Table:
    rows = []
    for store, figures in results.items():
        for name, label in (("steady", f"{bench.sizes.pages_per_s:,}/s"), ("fast", "as fast as they come")):
            rounds = figures[name]
            asked = [one["hits"] + one["misses"] for one in rounds]
            rows.append(
                [
                    f"{store}, {label}",
                    number(middle(one["per_s"] for one in rounds)),
                    number(
                        middle(
                            100 * one["misses"] / max(1, all_)
                            for one, all_ in zip(rounds, asked, strict=True)
                        ),
                        1,
                    ),
                    *(
                        f"{number(middle(one[kind]['p50_ms'] for one in rounds), 1)} / "
                        f"{number(middle(one[kind]['p99_ms'] for one in rounds), 1)}"
                        for kind in ("all", "hit", "miss")
                    ),
                    number(middle(one["writes_per_s"] for one in rounds)),
                    number(middle(one["cpu_us"]["server"] for one in rounds)),
                    number(middle(one["cpu_us"].get("database") for one in rounds)),
                    number(middle(one["foreign_cores"] for one in rounds), 2),
                ]
            )
    columns = (
        "",
        "pages/s",
        "misses %",
        "p50 / p99 ms",
        "of hits",
        "of misses",
        "orders written/s",
        "CPU µs server",
        "database",
        "foreign cores",
    )
    return table("Public pages while orders are written", columns, rows, _odd(results))


def _ratios(results: dict[str, dict[str, list[dict[str, Any]]]]) -> Table:
    rows = []
    for store, figures in results.items():
        for name, label in (
            ("health", "the engine's health route"),
            ("yardstick", "a bare FastAPI health route"),
        ):
            pairs = zip(figures["fast"], figures[name], strict=True)
            ratios = [fast["per_s"] / bare["per_s"] for fast, bare in pairs]
            bare = number(middle(one["per_s"] for one in figures[name]))
            rows.append([f"{store}: pages to {label}", bare, number(middle(ratios), 2), spread(ratios, 2)])
    return table("As fast as they come", ("", "route/s", "ratio", "lowest-highest"), rows)


def _odd(results: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """What must not be overlooked: statuses that are no success, pages that were due and never came."""
    told = []
    for store, figures in results.items():
        for name in ("steady", "fast"):
            for one in figures[name]:
                odd = {status: count for status, count in one["statuses"].items() if status != "200"}
                wrong = {status: count for status, count in one["write_statuses"].items() if status != "200"}
                waiting = one["late"] if name == "steady" and one["late"] > CONNECTIONS else 0
                if odd or wrong or waiting:
                    told.append(f"{store} {name}: statuses {odd}, writes {wrong}, never came {waiting}")
    return "\n".join(told)
