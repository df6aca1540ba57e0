"""`saxaul rules report`: what really happened, in the tables of a simulation."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.shared import (
    DatabaseOption,
    JsonOption,
    failures,
    run,
    settings_with,
    shown_url,
    step_progress,
)
from engine.cli.simulated import check_targets, give
from engine.cli.simulating import CsvOption, HtmlOption, ParquetOption, named_day, named_failures

if TYPE_CHECKING:
    from engine.simulate.figures import Figures


class By(StrEnum):
    """What a report is split by."""

    RULES = "rules"


def rules_report(
    database: DatabaseOption = None,
    by: Annotated[
        By | None, typer.Option(help="rules: one column for each rulebook that made balls.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="First day, such as 2026-12-01; the very first if not named.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--until", help="Last day, which is part of it; the newest if not named.")
    ] = None,
    csv_folder: CsvOption = None,
    parquet_folder: ParquetOption = None,
    html_file: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what really happened, from a database's journal, in the tables of `simulate`. Also beside a server.

    With --by rules, users count for the rulebook of their latest activity and grams for that of their ball, so
    that both arms of a canary can be compared.

    Example: saxaul rules report --database sqlite:///saxaul.db --by rules
    """
    from engine.simulate.trials import about_report

    with failures(), named_failures():
        check_targets(csv_folder, parquet_folder, html_file)
        settings = settings_with(database)
        between = named_day(first, "--from"), named_day(last, "--until")
        arms = run(_read_report(settings.database_url, settings.game_rules, by is By.RULES, between))
        about = [shown_url(settings), *about_report(arms)]
        title = "Saxaul: what happened 实际情况"
        give(arms, about, [], csv_folder, parquet_folder, html_file, as_json, title)


async def _read_report(
    url: str, folder: Path | None, by_rules: bool, between: tuple[date | None, date | None]
) -> list["Figures"]:
    """The arms, read with the names of the rulebook in force, else of the folder."""
    from engine.clock import Clock
    from engine.publishing import rules_in_force
    from engine.reading import reading as opened
    from engine.simulate.between import Between
    from engine.simulate.trials import reported

    async with opened(url) as db:
        book = await rules_in_force(db, folder, Clock().now_ms())
        async with db.snapshot() as view:
            with named_failures(), step_progress() as progress:
                return await reported(view, book, by_rules, Between(*between), progress)
