"""Commands about the feeds of sources: how they fare, and a visit to one that is pulled."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    note,
    run,
    say,
    say_json,
    settings_with,
    step_progress,
)
from engine.cli.tables import table

if TYPE_CHECKING:
    from engine.pull.run import Visit


def report(
    source: Annotated[
        str | None, typer.Argument(help="One source; all if not named.", show_default=False)
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How many days back.")] = 30,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how the feeds of sources fare: freshness, gaps, duplicate and reject rates, unlinked subjects, totals.

    Runs beside a server too. Rates are of what was counted when reports arrived; a count of the last seconds may be
    missing. Subjects without a link are an estimated number; nobody is named.
    """
    told = run(_report(source, days, database))
    if as_json:
        say_json(told)
        return
    if not told:
        say("no source is registered; see `saxaul source add --help`")
        return
    for line in table([_HEAD, *map(_row, told)], right=(3, 4, 5, 6, 7, 8)):
        say(line)
    for one in told:
        for line in _about(one):
            say(line)


_HEAD = (
    "source",
    "last report",
    "last act",
    "lag s",
    "reports",
    "dup %",
    "rej %",
    "links",
    "unlinked ~",
    "pull",
)


async def _report(source: str | None, days: int, database: str | None) -> list[dict[str, Any]]:
    from engine.clock import Clock
    from engine.feeds import document, feeds
    from engine.reading import reading

    settings = settings_with(database)
    now_ms = Clock().now_ms()
    async with reading(settings.database_url) as db:
        found = await feeds(db, now_ms, days, source)
    if source is not None and not found:
        raise Failure(f"there is no source {source!r}", Exit.USAGE)
    return document(found, now_ms)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    pull = one["pull"]
    state = "" if pull is None else f"failed {pull['failures']}×" if pull["failures"] else "ok"
    return (
        one["source"],
        (one["last_report_at"] or "never")[:19],
        (one["last_act_at"] or one["last_act_on"] or "never")[:19],
        _shown(one["mean_lag_s"]),
        f"{one['reports']:,}",
        _shown(one["duplicate_pct"]),
        _shown(one["rejected_pct"]),
        f"{one['links']:,}",
        f"{one['unlinked_subjects_about']:,}",
        state,
    )


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _about(one: dict[str, Any]) -> list[str]:
    lines = [
        f"{one['source']}: no report from {gap['from_on']} to {gap['last_on']} ({gap['days']} days)"
        for gap in one["gaps"]
    ]
    for code, count in one["rejected_by_code"].items():
        lines.append(f"{one['source']}: rejected as {code}: {count:,}")
    for total in one["behaviour_totals"]:
        avoided = total["avoided_mg"] / 1_000_000
        lines.append(
            f"{one['source']}: {total['behaviour']}: {total['activities']:,} activities, {total['energy_g']:,} g of "
            f"energy, {avoided:,.3f} kg CO2e avoided"
        )
    if one["pull"] and one["pull"]["problem"]:
        lines.append(f"{one['source']}: pull: {one['pull']['problem']}; next at {one['pull']['next_at']}")
    return lines


def pull(
    source: Annotated[str, typer.Argument(help="The source, which has a file in the pull folder.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="The pull folder, instead of SAXAUL_PULL_FOLDER.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Visit a source's feed now, also beside a running server: from the kept cursor to the end of the feed.

    What was taken before is a duplicate and mints nothing. Exit code 1: it ended early, or records were rejected.
    """
    visit = run(_pull(source, folder, database))
    if as_json:
        names = ("pages", "accepted", "duplicate", "rejected", "problem")
        say_json({name: getattr(visit, name) for name in names})
    else:
        counted = f"{visit.accepted:,} accepted, {visit.duplicate:,} duplicate, {visit.rejected:,} rejected"
        say(f"{source}: {visit.pages} pages, {counted}")
        if visit.problem:
            note(f"ended early: {visit.problem}")
    if visit.problem or visit.rejected:
        raise typer.Exit(Exit.PROBLEMS)


async def _pull(source: str, folder: Path | None, database: str | None) -> "Visit":
    from engine.clock import Clock
    from engine.counting import ReportCounts
    from engine.main import writing_engine
    from engine.pull.fetch import Fetcher
    from engine.pull.files import PullError, read_folder
    from engine.pull.run import Puller
    from engine.reading import reading
    from engine.settings import pull_secret

    settings = settings_with(database, pull_folder=folder)
    if settings.pull_folder is None:
        raise Failure("name the pull folder with --folder or SAXAUL_PULL_FOLDER", Exit.USAGE)
    try:
        files = {file.source: file for file in read_folder(settings.pull_folder)}
    except PullError as problem:
        raise Failure(str(problem)) from problem
    if source not in files:
        raise Failure(f"there is no {source}.yaml in {settings.pull_folder}", Exit.USAGE)
    counts = ReportCounts(settings.server_key.encode())
    fetcher = Fetcher(settings.pull_loopback)
    try:
        async with writing_engine(settings) as submit_all, reading(settings.database_url) as db:
            puller = Puller(files[source], fetcher, submit_all, db, counts, Clock().now_ms, pull_secret)
            with step_progress() as progress:
                visit = await puller.visit(None, lambda visit: progress("Pages", visit.pages, 0))
            await counts.flush(submit_all)
            return visit
    finally:
        await fetcher.close()
