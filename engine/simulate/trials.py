"""From the rulebooks to the figures: what the command line, HTTP and publishing ask of a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.core.canary import EVERYBODY
from engine.core.rules import RuleBook
from engine.simulate.between import Between
from engine.simulate.comparing import Difference, difference_table, differences
from engine.simulate.days import Trace
from engine.simulate.figures import Figures
from engine.simulate.journal import ALL, Reading, read_journal
from engine.simulate.journal import Progress as Steps
from engine.simulate.population import Population
from engine.simulate.replay import RealDays, real_days, replayed
from engine.simulate.running import Progress, run, setup_of
from engine.simulate.tables import Table, joined, tables_of
from engine.simulate.typical import Typical, typical_reports
from engine.store.database import Reader

COMPARED_RUNS = 3  # of two rulebooks, so that noise can be told


def typical_of(folders: Iterable[Path], population: Population) -> dict[str, Typical]:
    """Ordinary reports of the behaviours that the population may do; where several rulebooks have one, of the first."""
    names = population.acts if population.other_acts is None else None
    found: dict[str, Typical] = {}
    for folder in reversed(list(folders)):
        found |= typical_reports(folder, names)
    return found


def simulated(
    books: Mapping[str, RuleBook],
    population: Population,
    typical: Mapping[str, Typical],
    *,
    traces: Sequence[Trace] = (),
    seed: int = 1,
    runs: int = 1,
    processes: int | None = None,
    progress: Progress = lambda user_days: None,
) -> list[list[Figures]]:
    """For each rulebook, by its label, the figures of each run; the same people and seeds for all."""
    names = {place: f"{about.names.en} {about.names.zh}" for place, about in population.places.items()}
    compared = list(books.values())
    made: list[list[Figures]] = []
    for label, book in books.items():
        figures = []
        for number in range(runs):
            setup = setup_of(book, population, typical, compared=compared, seed=seed + number, traces=traces)
            tally = run(setup, processes, progress)
            stock = dict(population.stock)
            figures.append(
                Figures(
                    label, tally, population.start, setup.days, book, book.hash, setup.scale, stock, names
                )
            )
        made.append(figures)
    return made


def about_trial(population: Population, figures: Figures, runs: int, seed: int) -> list[str]:
    """Under which assumptions a simulation was run, in sentences."""
    who = f"{population.names.en} {population.names.zh}: {population.users:,} users"
    when = f"{figures.start} to {figures.on(figures.days - 1)}"
    dice = f"seed {seed}" if runs == 1 else f"seeds {seed} to {seed + runs - 1}; the tables show the first"
    return [
        f"{who}, {when}, {dice}",
        f"{population.description.en} A model, not a promise: see docs/simulation.md for what it can't say.",
    ]


def compared(made: Sequence[Sequence[Figures]]) -> list[Difference]:
    """The difference and its noise where two rulebooks were run; else nothing."""
    return differences(made[0], made[1]) if len(made) == 2 else []


async def reported(
    view: Reader,
    book: RuleBook,
    by_rules: bool,
    between: Between,
    progress: Steps = lambda what, done, total: None,
) -> list[Figures]:
    """What a database's journal holds of the days: all in one, or an arm for each rulebook, the largest first.

    Raises EmptyDatabase.
    """
    read = await read_journal(view, by_rules, progress, between)
    names = await _edition_names(view)
    return [
        Figures(names.get(group, group[:12]), tally, read.start, read.days, book, group)
        for group, tally in sorted(read.groups.items(), key=lambda item: (-len(item[1].users), item[0]))
    ]


async def real_users(
    view: Reader, book: RuleBook, progress: Steps = lambda what, done, total: None
) -> tuple[Reading, RealDays]:
    """What a database's journal holds, and what its users did. Raises EmptyDatabase, TooLarge."""
    read = await read_journal(view, by_rules=False, progress=progress)
    return read, await real_days(view, read, book)


def beside_real_users(
    read: Reading, days: RealDays, label: str, book: RuleBook, seed: int = 1
) -> tuple[list[Figures], list[str]]:
    """What happened, what it comes to under the rulebook, and in sentences what the two are. Uses the days up."""
    actual = Figures("actual", read.tally(ALL), read.start, read.days, book, "as it was")
    forecast = Figures(
        "forecast", replayed(days, book, read.days, seed), read.start, read.days, book, book.hash
    )
    about = [
        f"{len(read.users):,} real users, {read.days} days from {read.start} ({read.zone})",
        f"forecast: what they did, under {label} ({book.hash[:16]}); actual: what the journal holds",
    ]
    return [actual, forecast], about


async def _edition_names(view: Reader) -> dict[str, str]:
    """What people call the rulebooks that were in force, by hash: edition 1, edition 2 (5 %)."""
    sql = "SELECT hash, number, share FROM editions WHERE state = 'approved' ORDER BY number"
    found: dict[str, list[str]] = {}
    for rules_hash, number, share in await view.fetch(sql):
        whom = "" if share == EVERYBODY else f" ({share / 100:g} %)"
        found.setdefault(rules_hash, []).append(f"{number}{whom}")
    return {
        one: ("editions " if len(all_) > 1 else "edition ") + ", ".join(all_) for one, all_ in found.items()
    }


def about_report(arms: Sequence[Figures]) -> list[str]:
    """Which days a report is of, and who is in its arms."""
    first = arms[0]
    about = [f"{first.start} to {first.on(first.days - 1)}"]
    if len(arms) > 1:
        about += [
            f"{arm.label}: {len(arm.tally.users):,} users, rulebook {arm.rules_hash[:12]}" for arm in arms
        ]
    return about


def all_tables(runs: Sequence[Figures], found: Sequence[Difference] = ()) -> list[Table]:
    """All tables of runs or arms side by side, the difference first."""
    labels = [figures.label for figures in runs]
    tables = joined(labels, [tables_of(figures) for figures in runs])
    return [difference_table(found, labels), *tables] if found else tables


def document(
    runs: Sequence[Figures], about: Sequence[str], found: Sequence[Difference] = ()
) -> dict[str, Any]:
    """All tables as one document, rows as mappings."""
    from engine.simulate.tables import records

    tables = all_tables(runs, found)
    return {"about": list(about), "tables": {table.id: list(records(table)) for table in tables}}
