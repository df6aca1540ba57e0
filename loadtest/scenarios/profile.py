"""Where the server's CPU time goes while it collects: the profiled engine under the load of the collect scenario."""

import json
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, Shape, drive
from loadtest.report import number, table
from loadtest.scenarios.collects import Town, collect_plan

FINDINGS_TIMEOUT_S = 20.0


def run(bench: Bench, shape: Shape, top: int, exact: bool) -> list[Table]:
    """A round at every store of this run."""
    made: list[Table] = []
    for store in bench.stores:
        findings_file = bench.stable.folder / f"profile-{store}.json"
        bench.stable.profile = ("exact" if exact else "sample", findings_file)
        engine = bench.stable.start(store)
        try:
            bench.say(f"profiling {store}")
            plan, _ = collect_plan(bench, engine, Town(bench.population), shape, 0)
            plan.mark = True
            figures = drive("collects", plan)
            findings = _findings(findings_file)
        finally:
            engine.stop()
        title = f"{store}, {shape[0]}×{shape[1]}: {number(figures['per_s'])} collects/s, "
        title += f"{number(figures['cpu_us']['server'], 1)} µs CPU each"
        made += _exact(title, findings, figures, top) if exact else _sampled(title, findings, figures, top)
        bench.results[store] = {"figures": figures, "findings": findings}
    return made


def _findings(file: Path) -> dict[str, Any]:
    give_up = time.monotonic() + FINDINGS_TIMEOUT_S
    while time.monotonic() < give_up:
        if file.exists() and (text := file.read_text()).endswith("}"):
            return json.loads(text)
        time.sleep(0.1)
    raise RuntimeError("the profiled engine wrote no findings")


def _sampled(title: str, findings: dict[str, Any], figures: dict[str, Any], top: int) -> list[Table]:
    samples, cpu_us = max(1, findings["samples"]), figures["cpu_us"]["server"]
    tables = []
    for kind, what in (("own", "in the function itself"), ("total", "with all that it calls")):
        rows = [
            [name, f"{100 * count / samples:.1f} %", number(cpu_us * count / samples, 2)]
            for name, count in list(findings[kind].items())[:top]
        ]
        tables.append(table(f"{title}; {what}", ("function", "share", "µs per collect"), rows))
    return tables


def _exact(title: str, findings: dict[str, Any], figures: dict[str, Any], top: int) -> list[Table]:
    collects = max(1.0, figures["per_s"] * figures["seconds"])
    rows = [
        [
            name,
            number(calls / collects, 2),
            number(own / collects * 1e6, 2),
            number(total / collects * 1e6, 2),
        ]
        for name, calls, own, total in findings["functions"][:top]
    ]
    columns = ("function", "calls per collect", "own µs", "total µs")
    return [table(f"{title} (under cProfile)", columns, rows)]
