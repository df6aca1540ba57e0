"""Where the server's CPU time goes while it collects: the profiled engine under the load of the collect scenario."""

import json
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, Shape, drive
from loadtest.report import number, table
from loadtest.scenarios.collects import Town, collect_plan
from loadtest.scenarios.writer import writer_plan

KINDS = (
    ("own", "in the function itself"),
    ("lines", "in the line itself"),
    ("total", "with all that it calls"),
)
FINDINGS_TIMEOUT_S = 20.0


def run_writer(bench: Bench, outstanding: int, top: int, exact: bool) -> list[Table]:
    """The writer alone, without sockets, at every store of this run."""
    made: list[Table] = []
    for store in bench.stores:
        url, pids = bench.stable.database(store)
        bench.say(f"profiling the writer on {store}")
        plan = writer_plan(bench, url, pids, outstanding)
        plan.profile = "exact" if exact else "sample"
        figures = drive("writer", plan)
        cpu_us = figures["cpu_us"]["driver"]
        title = (
            f"{store}, writer alone: {number(figures['per_s'])} collects/s, {number(cpu_us, 1)} µs CPU each"
        )
        show = _exact if exact else _sampled
        made += show(title, figures["findings"], figures["per_s"] * figures["seconds"], cpu_us, top)
    return made


def run(bench: Bench, shape: Shape, top: int, exact: bool) -> list[Table]:
    """The whole engine behind its sockets, a round at every store of this run."""
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
        show = _exact if exact else _sampled
        collects, cpu_us = figures["per_s"] * figures["seconds"], figures["cpu_us"]["server"]
        made += show(title, findings, collects, cpu_us, top)
        bench.results[store] = {"figures": figures, "findings": findings}
    return made


def _findings(file: Path) -> dict[str, Any]:
    give_up = time.monotonic() + FINDINGS_TIMEOUT_S
    while time.monotonic() < give_up:
        if file.exists() and (text := file.read_text()).endswith("}"):
            return json.loads(text)
        time.sleep(0.1)
    raise RuntimeError("the profiled engine wrote no findings")


def _sampled(title: str, findings: dict[str, Any], collects: float, cpu_us: float, top: int) -> list[Table]:
    samples = max(1, findings["samples"])
    tables = []
    for kind, what in KINDS:
        rows = [
            [name, f"{100 * count / samples:.1f} %", number(cpu_us * count / samples, 2)]
            for name, count in list(findings[kind].items())[:top]
        ]
        tables.append(table(f"{title}; {what}", ("function", "share", "µs per collect"), rows))
    return tables


def _exact(title: str, findings: dict[str, Any], collects: float, cpu_us: float, top: int) -> list[Table]:
    collects = max(1.0, collects)
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
