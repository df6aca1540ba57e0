"""`saxaul orders year`: a year of a planting programme in virtual time, on a database of its own, with its audit."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.shared import (
    Exit,
    Failure,
    JsonOption,
    run,
    say,
    say_json,
    settings_with,
    step_progress,
)
from engine.cli.tables import table

if TYPE_CHECKING:
    from partners.year.running import YearFigures

TREES_MAX = 5_000_000
PARTNERS_MAX = 60
MONTHS_MAX = 60


def year(
    trees: Annotated[
        int, typer.Option(min=1, max=TREES_MAX, help="Trees that users redeem in the first year.")
    ] = 20_000,
    partners: Annotated[
        int, typer.Option(min=1, max=PARTNERS_MAX, help="Partners; each behaves in a way of its own.")
    ] = 12,
    months: Annotated[
        int,
        typer.Option(
            min=1, max=MONTHS_MAX, help="How long it is played; 12 months and more show counts of survival."
        ),
    ] = 12,
    seed: Annotated[int, typer.Option(help="The same seed, the same year.")] = 1,
    database: Annotated[
        str | None,
        typer.Option(
            "--database", help="An empty database to keep it in; if left out, one that is deleted afterwards."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a year of a planting programme in virtual time, and audit its books and its trees.

    Twelve partners, four currencies, two seasons, through the engine's own writer, jobs and outbox: some partners are
    slow, refuse, plant too little, say too much, lose trees to drought. Nothing of it is real. Exit code 1: the audit
    found something; it is named.
    """
    with _place(database) as url, step_progress() as progress:
        figures = run(_played(url, trees, partners, months, seed, progress))
    if as_json:
        from partners.year.running import as_json as told

        say_json(told(figures))
    else:
        for line in _told(figures):
            say(line)
    if figures.books.findings:
        raise typer.Exit(Exit.PROBLEMS)


async def _played(
    url: str, trees: int, partners: int, months: int, seed: int, progress: Any
) -> "YearFigures":
    from partners.year.running import run_year
    from partners.year.scenario import shipped
    from partners.year.world import YearProblem

    try:
        return await run_year(shipped().with_partners(partners), url, trees, seed, months, progress=progress)
    except YearProblem as problem:
        raise Failure(str(problem)) from problem


@contextmanager
def _place(database: str | None) -> Iterator[str]:
    """The database that is named, or a file that is gone afterwards."""
    if database is not None:
        yield settings_with(database).database_url
        return
    with tempfile.TemporaryDirectory(prefix="saxaul-year-") as folder:
        yield f"sqlite:///{Path(folder) / 'year.db'}"


# --- telling ------------------------------------------------------------------------------------------------


def _told(figures: "YearFigures") -> Iterator[str]:
    from partners.year.tally import ORDERS, TREES

    yield (
        f"{figures.trees:,} trees, {figures.partners} partners, {figures.days} days, seed {figures.seed}:"
        f" {figures.commands:,} commands in {figures.seconds:,.0f} s"
    )
    yield from _by_month("Trees", figures, TREES, lambda month: month.trees)
    yield from _by_month("Orders", figures, ORDERS, lambda month: month.orders)
    yield from _money(figures)
    yield from _ends(figures)
    books = figures.books
    yield ""
    if books.findings:
        yield f"The audit found {len(books.findings)} things:"
        yield from (f"  {finding}" for finding in books.findings)
    else:
        yield (
            f"The audit found nothing amiss: {books.entries:,} entries balance to the cent in"
            f" {len(books.by_currency)} currencies; {sum(books.places.values()):,} trees, each in one place;"
            " the public counters are those counted from events."
        )


def _by_month(title: str, figures: "YearFigures", names: tuple[str, ...], of: Any) -> Iterator[str]:
    yield ""
    yield f"{title} by month"
    total: Counter[str] = Counter()
    rows: list[tuple[str, ...]] = [("month", *names)]
    for name, month in figures.months.items():
        total.update(of(month))
        rows.append((name, *(_number(of(month)[column]) for column in names)))
    rows.append(("all", *(_number(total[column]) for column in names)))
    yield from table(rows, right=tuple(range(1, len(names) + 1)))


def _money(figures: "YearFigures") -> Iterator[str]:
    """In whole units of each currency, as the books have hundredths."""
    from partners.year.tally import MONEY

    yield ""
    yield "Money by month, in minor units: held for orders, committed to partners, released to them, back, lost"
    rows: list[tuple[str, ...]] = [("month", "currency", *MONEY)]
    for name, month in figures.months.items():
        for currency, sums in sorted(month.money.items()):
            rows.append((name, currency, *(_number(sums[column]) for column in MONEY)))
    yield from table(rows, right=tuple(range(2, len(MONEY) + 2)))


def _ends(figures: "YearFigures") -> Iterator[str]:
    yield ""
    yield "Where the trees are at the end"
    rows = [(place, _number(trees)) for place, trees in figures.books.places.items()]
    yield from table(
        [("place", "trees"), *rows, ("all", _number(sum(figures.books.places.values())))], right=(1,)
    )
    orders = ", ".join(f"{count} {state}" for state, count in figures.orders.items())
    yield f"Orders: {orders}"
    if figures.refused:
        yield "Refused, and tried again: " + ", ".join(
            f"{name} {count}" for name, count in figures.refused.items()
        )


def _number(count: int) -> str:
    return f"{count:,}" if count else "·"
