"""What every scenario is handed, and how it asks the driver. A scenario keeps figures and returns their tables."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.table import Table

from loadtest.engines import Engine, Stable
from loadtest.jobs.plans import Server
from loadtest.population import Population
from loadtest.processes import start_yardstick

JOB_TIMEOUT_S = 300
Shape = tuple[int, int]  # connections, outstanding commands each


@dataclass(slots=True)
class Sizes:
    """How much is measured."""

    rounds: int
    measure_s: float
    warm_up_s: float
    shapes: tuple[Shape, ...] = ((64, 16), (1000, 1))
    pressers: int = 500
    presses: int = 5
    listeners: int = 1000
    idle: int = 2000
    expiring: int = 5000
    live_balls: tuple[int, ...] = (10_000, 1_000_000)
    trees: int = 100_000
    page_trees: int = 20_000
    pages_per_s: int = 1_000
    friends: tuple[int, ...] = (10, 1_000)

    @staticmethod
    def small() -> "Sizes":
        """For trying out whether everything works, in seconds."""
        return Sizes(
            rounds=1, measure_s=0.5, warm_up_s=0.2, shapes=((4, 4), (16, 1)), pressers=16, presses=2,
            listeners=20, idle=60, expiring=200, live_balls=(400,), trees=2_000, page_trees=600, pages_per_s=200,
        )  # fmt: skip


@dataclass(slots=True)
class Bench:
    """One run: sizes, population, stores to compare, and where to say what is going on."""

    stable: Stable
    sizes: Sizes
    stores: tuple[str, ...]
    say: Callable[[str], None]
    results: dict[str, Any] = field(default_factory=dict)

    @property
    def population(self) -> Population:
        """Who is in the database."""
        return self.stable.population

    @contextmanager
    def yardstick(self) -> Iterator[Server]:
        """The plain FastAPI application, while it runs; `path` is still to be chosen."""
        process, port = start_yardstick(self.stable.folder)
        try:
            yield Server("127.0.0.1", port, "/echo", "echo", {"server": [process.pid]})
        finally:
            process.stop(timeout_s=3)

    @contextmanager
    def engines(self) -> Iterator[list[Engine]]:
        """An engine for every store of this run, each on a fresh copy."""
        running: list[Engine] = []
        try:
            for store in self.stores:
                self.say(f"starting the engine on {store}")
                running.append(self.stable.start(store))
            yield running
        finally:
            for engine in running:
                engine.stop()


def drive(job: str, plan: object, timeout_s: float = JOB_TIMEOUT_S) -> dict[str, Any]:
    """The figures of one job, measured by a driver in a process of its own. Raises RuntimeError with what it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "loadtest.driver", job],
        input=msgspec.json.encode(plan),
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"the driver failed at {job}:\n{ran.stderr.decode(errors='replace')[-3000:]}")
    return json.loads(ran.stdout)


Scenario = Callable[[Bench], list[Table]]
