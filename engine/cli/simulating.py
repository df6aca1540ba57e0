"""`saxaul rules simulate`: rulebooks in virtual time, of described, traced or real people."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.rulebooks import IN_FORCE, laid_out
from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    failures,
    is_terminal,
    note,
    run,
    say,
    say_json,
    settings_with,
    shown_url,
    step_progress,
)
from engine.cli.simulated import check_targets, give

if TYPE_CHECKING:
    from engine.core.rules import RuleBook
    from engine.simulate.comparing import Difference
    from engine.simulate.days import Trace
    from engine.simulate.figures import Figures
    from engine.simulate.journal import Reading
    from engine.simulate.population import Population
    from engine.simulate.replay import RealDays
    from engine.simulate.running import Progress

    _Shown = tuple[list[Figures], list[str], list[Difference]]  # runs, under which assumptions, differences

RUNS_MAX = 200
PROCESSES_MAX = 256
BENCHMARKED = "first-twelve"

CsvOption = Annotated[Path | None, typer.Option("--csv", help="Write every table as CSV into this folder.")]
ParquetOption = Annotated[
    Path | None,
    typer.Option("--parquet", help="Write every table as Parquet into this folder (extra `charts`)."),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Write one self-contained page with charts (extra `charts`).")
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, max=PROCESSES_MAX, help="As many as cores; changes no figure.")
]


StartOption = Annotated[
    str | None,
    typer.Option(
        help="First day, such as 2026-12-01. If not named: the population's; of two rulebooks the day on which "
        "the last of what differs begins to, where that is later."
    ),
]


# --- simulate ---------------------------------------------------------------------------------------


def rules_simulate(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"One rulebook, or two to compare (A B): a folder, a hash, or {IN_FORCE}; "
            "the engine's own folder if none is named."
        ),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(help="A shipped population by name, or a YAML file (docs/simulation.md)."),
    ] = None,
    users: Annotated[
        int | None, typer.Option(min=1, max=500_000, help="Instead of the population's.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3_660, help="Instead of the population's.")] = None,
    start: StartOption = None,
    seed: Annotated[int, typer.Option(min=0, max=2**53 - 1, help="Same seed, same grams.")] = 1,
    runs: Annotated[
        int | None,
        typer.Option(min=1, max=RUNS_MAX, help="Runs with seeds from --seed on; two rulebooks: 3, else 1."),
    ] = None,
    processes: ProcessesOption = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(help="Real acts, as fitbit=FILE, bike=FILE or ev=FILE; may be given again."),
    ] = None,
    trace_as: Annotated[
        list[str] | None, typer.Option(help="The behaviour of a trace, as ev=BEHAVIOUR, where it is another.")
    ] = None,
    from_journal: Annotated[
        str | None,
        typer.Option(
            "--from-journal", help="Replay this database's real users: sqlite:///path or postgresql://…"
        ),
    ] = None,
    csv_folder: CsvOption = None,
    parquet_folder: ParquetOption = None,
    html_file: HtmlOption = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="Print speed only: user-days a minute, commands a user-day.")
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a population through the rules in virtual time: energy, trees, money, fairness. Nothing real is touched.

    Two rulebooks are compared on the same people and seeds, with the difference and its noise.

    Example: saxaul rules simulate in-force my-rules --users 500 --days 90 --html page.html
    """
    with failures(), named_failures(), ExitStack() as stack:
        books = _books(folders or [], database, stack)
        check_targets(csv_folder, parquet_folder, html_file)
        if from_journal is not None:
            more = bool(population or trace or users or days or start)
            shown: _Shown | None = _replay(books, from_journal, seed, more)
        else:
            traces = _traces(trace or [], trace_as or [], [book for _, book in books.values()])
            people = _people(population or _usual(traces, benchmark), books, traces, users, days, start)
            shown = _described(books, people, traces, seed, runs, processes, benchmark, as_json)
        if shown is not None:
            give(*shown, csv_folder, parquet_folder, html_file, as_json)


def _usual(traces: Sequence["Trace"], benchmark: bool) -> str:
    """The population where none is named."""
    return "traced" if traces else BENCHMARKED if benchmark else "city-and-town"


def _people(
    name: str,
    books: dict[str, tuple[Path, "RuleBook"]],
    traces: Sequence["Trace"],
    users: int | None,
    days: int | None,
    start: str | None,
) -> "Population":
    from engine.workbench.asked import peopled

    rulebooks = [book for _, book in books.values()]
    people, told = peopled(
        _population(name, books), traces, rulebooks, users, days, named_day(start, "--start"), "--start"
    )
    for sentence in told:
        note(sentence)
    return people


def _described(
    books: dict[str, tuple[Path, "RuleBook"]],
    population: "Population",
    traces: Sequence["Trace"],
    seed: int,
    runs: int | None,
    processes: int | None,
    benchmark: bool,
    as_json: bool,
) -> "_Shown | None":
    """What is to be shown of described or traced users; nothing where only the speed was asked for."""
    from engine.simulate.trials import COMPARED_RUNS, about_trial, compared, simulated, typical_of

    runs = runs or (COMPARED_RUNS if len(books) > 1 else 1)
    started = time.perf_counter(), sum(os.times()[:4])
    rulebooks = {label: book for label, (_, book) in books.items()}
    typical = typical_of((folder for folder, _ in books.values()), population)
    with _user_day_progress(population.users * population.days * runs * len(books)) as progress:
        made = simulated(
            rulebooks,
            population,
            typical,
            traces=traces,
            seed=seed,
            runs=runs,
            processes=processes,
            progress=progress,
        )
    if benchmark:
        _tell_speed(made, started, processes, as_json)
        return None
    first = [figures[0] for figures in made]
    return first, about_trial(population, first[0], runs, seed), compared(made)


@contextmanager
def named_failures() -> Iterator[None]:
    """What a simulation may meet, as failures with their own words."""
    from engine.ingest.lines import UnreadableFile
    from engine.simulate.export import ExtraMissing
    from engine.simulate.journal import EmptyDatabase
    from engine.simulate.population import PopulationError
    from engine.simulate.replay import TooLarge
    from engine.simulate.running import SimulationStopped

    try:
        yield
    except PopulationError as problem:
        raise Failure(f"{len(problem.problems)} problems in the population:\n{problem}") from problem
    except ExtraMissing as problem:
        raise Failure(str(problem), Exit.USAGE) from problem
    except (UnreadableFile, EmptyDatabase, TooLarge, SimulationStopped) as problem:
        raise Failure(str(problem)) from problem


def _books(
    names: Sequence[str], database: str | None, stack: ExitStack
) -> dict[str, tuple[Path, "RuleBook"]]:
    """The rulebooks by the label that tables give them, with their folders, which are there as long as the stack."""
    from engine.rulebook import load_rulebook, shipped_rules

    if len(names) > 2:
        raise Failure("at most two rulebooks are compared", Exit.USAGE)
    if not names:
        folder = settings_with().game_rules or shipped_rules()
        return {"the rulebook": (folder, load_rulebook(folder))}
    folders = [stack.enter_context(laid_out(name, database)) for name in names]
    labels = [Path(name).name or folder.resolve().name for name, folder in zip(names, folders, strict=True)]
    if len(set(labels)) < len(labels):
        labels = ["A", "B"]
    return {label: (folder, load_rulebook(folder)) for label, folder in zip(labels, folders, strict=True)}


def _traces(given: Sequence[str], named: Sequence[str], books: Sequence["RuleBook"]) -> list["Trace"]:
    from engine.ingest.traces import TRACES
    from engine.workbench.asked import TraceFile, UnknownBehaviour, read_traces

    behaviours = dict(_pair(text, "--trace-as", TRACES) for text in named)
    pairs = [_pair(text, "--trace", TRACES) for text in given]
    try:
        traces, left_out = read_traces(
            (TraceFile(kind, Path(path), behaviours.get(kind)) for kind, path in pairs), books
        )
    except UnknownBehaviour as problem:
        raise Failure(
            f"no rulebook has {problem.behaviour!r}; say --trace-as {problem.kind}=BEHAVIOUR, one of "
            + ", ".join(problem.known),
            Exit.USAGE,
        ) from problem
    for sentence in left_out:
        note(sentence)
    return traces


def _pair(text: str, option: str, known: Any) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals or not value or kind not in known:
        raise Failure(f"{option} {text!r} is not one of {', '.join(known)} with = and a value", Exit.USAGE)
    return kind, value


def _population(name: str, books: dict[str, tuple[Path, "RuleBook"]]) -> "Population":
    from engine.simulate.population import SHIPPED, check_population, read_population, shipped_populations

    path = SHIPPED / f"{name}.yaml" if name in shipped_populations() else Path(name)
    if not path.is_file():
        known = ", ".join(shipped_populations())
        raise Failure(f"there is no population {name!r}: name a YAML file, or one of {known}", Exit.USAGE)
    population, document = read_population(path)
    check_population(population, {label: book for label, (_, book) in books.items()}, document)
    return population


def named_day(text: str | None, option: str) -> date | None:
    """The day that an option names, if it names one. Raises Failure."""
    if text is None:
        return None
    try:
        if len(text) == 10 and text.startswith("20"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Failure(f"{option} {text[:40]!r} is no day such as 2026-12-01", Exit.USAGE)


@contextmanager
def _user_day_progress(total: int) -> Iterator["Progress"]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Simulating"),
        BarColumn(),
        TextColumn("{task.completed:,} user-days"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), disable=not is_terminal(), transient=True)
    task = bar.add_task("", total=total)
    with bar:
        yield lambda user_days: bar.advance(task, user_days)


def _tell_speed(
    made: Sequence[Sequence["Figures"]], started: tuple[float, float], processes: int | None, as_json: bool
) -> None:
    """Speed by the wall clock, and by processor time, which what else runs on the machine spoils less."""
    from engine.simulate.running import processes_of_machine

    tallies = [figures.tally for runs in made for figures in runs]
    user_days = sum(tally.user_days for tally in tallies)
    commands = sum(sum(tally.commands.values()) for tally in tallies)
    seconds, processor_s = time.perf_counter() - started[0], sum(os.times()[:4]) - started[1]
    facts = {
        "user_days": user_days,
        "seconds": round(seconds, 2),
        "processes": processes or processes_of_machine(),
        "user_days_a_minute": round(user_days * 60 / seconds),
        "commands": commands,
        "commands_a_user_day": round(commands / user_days, 2),
        "commands_a_second": round(commands / seconds),
        "processor_seconds": round(processor_s, 2),
        "user_days_a_processor_minute": round(user_days * 60 / max(processor_s, 0.001)),
    }
    if as_json:
        say_json(facts)
        return
    for name, value in facts.items():
        say(f"{name:<30}{value:>14,}")


# --- replay ------------------------------------------------------------------------------


def _replay(
    books: dict[str, tuple[Path, "RuleBook"]], database: str, seed: int, describes_users: bool
) -> "_Shown":
    from engine.simulate.comparing import differences
    from engine.simulate.trials import beside_real_users

    if describes_users:
        raise Failure("--from-journal brings its own users and days; leave the other options out", Exit.USAGE)
    settings = settings_with(database)
    label, (_, book) = list(books.items())[-1]
    with named_failures():
        runs, about = beside_real_users(*run(_real_users(settings.database_url, book)), label, book, seed)
    about[0] = f"{shown_url(settings)}: {about[0]}"
    return runs, about, differences(runs[:1], runs[1:])


async def _real_users(url: str, book: "RuleBook") -> tuple["Reading", "RealDays"]:
    from engine.reading import reading as opened
    from engine.simulate.trials import real_users

    async with opened(url) as db, db.snapshot() as view:
        with step_progress() as progress:
            return await real_users(view, book, progress)
