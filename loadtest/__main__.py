"""The one command: `python -m loadtest` measures everything and prints the tables; `--help` lists the rest."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loadtest import measure, report
from loadtest.bench import Bench, Scenario, Sizes
from loadtest.engines import STORES, Stable
from loadtest.population import Population
from loadtest.postgres import settings as postgres_settings
from loadtest.processes import StartFailed
from loadtest.scenarios import (
    allocation,
    collects,
    expiry,
    fan_out,
    find,
    hot_ball,
    memory,
    public_pages,
    writer,
)
from loadtest.scenarios import profile as profile_scenario

SCENARIOS: dict[str, Scenario] = {
    "collects": collects.run,
    "writer": writer.run,
    "hot_ball": hot_ball.run,
    "fan_out": fan_out.run,
    "memory": memory.run,
    "expiry": expiry.run,
    "allocation": allocation.run,
    "public_pages": public_pages.run,
    "find": find.run,
}
SMALL_SCALE = 0.01

app = typer.Typer(help=__doc__, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
console = Console()

Scale = Annotated[
    float,
    typer.Option(help="Size of the database: 1 is 200,000 users, 1,000,000 balls, 3,000,000 journal rows."),
]
Cache = Annotated[
    Path | None,
    typer.Option(help="Where prefilled databases are kept (3 GB at scale 1); default: the temp folder."),
]
Stores = Annotated[
    str, typer.Option(help="Which stores to measure, comma between: sqlite, postgresql, null.")
]


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    only: Annotated[str, typer.Option(help=f"Scenarios, comma between: {', '.join(SCENARIOS)}.")] = ",".join(
        SCENARIOS
    ),
    stores: Stores = "sqlite,postgresql,null",
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured, alternately.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.2, help="Length of one measurement.")] = 5.0,
    trees: Annotated[int, typer.Option(min=1, help="How many trees `allocation` places.")] = 100_000,
    scale: Scale = 1.0,
    quick: Annotated[bool, typer.Option(help="A tiny run that only shows that everything works.")] = False,
    cache: Cache = None,
    json_to: Annotated[
        Path | None,
        typer.Option("--json", help="File for all figures; default: loadtest/results/<time>.json."),
    ] = None,
) -> None:
    """Measure the engine beside the yardstick and print the tables."""
    if context.invoked_subcommand is not None:
        return
    chosen, wanted = _choice(only, tuple(SCENARIOS)), _choice(stores, STORES)
    sizes = (
        Sizes.small()
        if quick
        else Sizes(rounds=rounds, measure_s=seconds, warm_up_s=min(1.0, seconds / 3), trees=trees)
    )
    target = json_to or Path("loadtest/results") / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.json"
    with stable(SMALL_SCALE if quick else scale, cache) as (ready, say):
        bench = Bench(ready, sizes, wanted, say)
        environment = measure.environment() | _databases(ready, wanted)
        report.print_environment(console, environment)
        for name in chosen:
            for made in SCENARIOS[name](bench):
                console.print(made)
            figures = {"environment": environment, "users": ready.population.users, **bench.results}
            report.write_json(target, figures)  # after each scenario: a later one may fail or be interrupted
    console.print(f"All figures: {target}", highlight=False)


@app.command()
def prefill(scale: Scale = 1.0, stores: Stores = "sqlite,postgresql", cache: Cache = None) -> None:
    """Only make the prefilled databases."""
    with stable(scale, cache) as (ready, say):
        for store in _choice(stores, STORES):
            say(f"prefilling {store}")
            ready.fill(store)


@app.command()
def profile(
    stores: Stores = "sqlite",
    connections: Annotated[int, typer.Option(min=1, help="Sockets that collect.")] = 64,
    outstanding: Annotated[int, typer.Option(min=1, help="Commands under way on each.")] = 16,
    seconds: Annotated[float, typer.Option(min=0.2, help="How long to look.")] = 5.0,
    writer_only: Annotated[bool, typer.Option(help="The writer alone, without sockets.")] = False,
    top: Annotated[int, typer.Option(min=1, help="How many functions to print.")] = 40,
    exact: Annotated[
        bool, typer.Option(help="cProfile instead of sampling: counts calls, distorts times.")
    ] = False,
    scale: Scale = 1.0,
    cache: Cache = None,
) -> None:
    """Show which functions the server's CPU time goes to while it collects."""
    with stable(scale, cache) as (ready, say):
        sizes = Sizes(rounds=1, measure_s=seconds, warm_up_s=1.0)
        bench = Bench(ready, sizes, _choice(stores, STORES), say)
        if writer_only:
            tables = profile_scenario.run_writer(bench, connections * outstanding, top, exact)
        else:
            tables = profile_scenario.run(bench, (connections, outstanding), top, exact)
    for made in tables:
        console.print(made)


@app.command()
def morning(
    store: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
    users: Annotated[int, typer.Option(min=1, help="Locust users.")] = 200,
    spawn_per_s: Annotated[float, typer.Option(min=0.1, help="How many arrive a second.")] = 20.0,
    seconds: Annotated[int, typer.Option(min=5, help="How long the morning is.")] = 60,
    scale: Scale = 0.1,
    cache: Cache = None,
) -> None:
    """Locust's morning: balls ripen, users open their forest, collect, visit friends. Prints percentiles."""
    from loadtest import morning as scenario

    with stable(scale, cache) as (ready, say):
        (chosen,) = _choice(store, ("sqlite", "postgresql"))
        say(f"a morning of {users} Locust users on {chosen}")
        status = scenario.run(ready, chosen, users, spawn_per_s, seconds)
    raise typer.Exit(status)


def _choice(text: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in chosen:
        if part not in allowed:
            raise typer.BadParameter(f"{part!r} is not one of {', '.join(allowed)}")
    return chosen


@contextmanager
def stable(scale: float, cache: Path | None) -> Iterator[tuple[Stable, "Say"]]:
    """A stable with a folder for this run, under a progress display; everything is ended and removed afterwards."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    kept = cache or default_cache()
    kept.mkdir(parents=True, exist_ok=True)
    kept.chmod(0o755)  # PostgreSQL may run as another user
    _widen_console()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=console, transient=True) as progress,
        tempfile.TemporaryDirectory() as folder,
    ):
        say = Say(progress)
        made = Stable(kept, Path(folder), Population.scaled(scale), say.tick)
        try:
            yield made, say
        except StartFailed as problem:
            console.print(f"[red]{problem}[/red]", highlight=False)
            raise typer.Exit(1) from None
        finally:
            made.close()


class Say:
    """Shows what is going on; without a terminal, a line each."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("getting ready", total=None)
        self._last = ""

    def __call__(self, what: str) -> None:
        self._progress.update(self._task, description=what, total=None, completed=0)
        if not console.is_terminal:
            console.print(f"{time.strftime('%H:%M:%S')} {what}", highlight=False)

    def tick(self, table: str, done: int, total: int) -> None:
        """Progress of filling a table."""
        self._progress.update(self._task, description=f"prefilling {table}", total=total, completed=done)
        if not console.is_terminal and table != self._last:
            console.print(f"{time.strftime('%H:%M:%S')} prefilling {table}", highlight=False)
        self._last = table


def default_cache() -> Path:
    """A folder of this user's under the temp folder, where the user that runs PostgreSQL can reach it."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(os.environ.get("SAXAUL_BENCH_CACHE") or Path(tempfile.gettempdir()) / f"saxaul-bench-{user}")


def _widen_console() -> None:
    if not console.is_terminal:
        console.width = 220


def _databases(ready: Stable, stores: tuple[str, ...]) -> dict[str, object]:
    import sqlite3

    facts: dict[str, object] = {"sqlite": f"{sqlite3.sqlite_version}, WAL, synchronous=FULL"}
    if "postgresql" in stores:
        facts["postgresql"] = ready.postgres().version
        facts["postgresql settings"] = postgres_settings()
    facts["clients"] = "the driver and the databases run on the same machine"
    return facts


if __name__ == "__main__":
    app()
