"""Commands about what is in a database: take files in, explain a ball, check all."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    byte_progress,
    failures,
    note,
    run,
    say,
    say_json,
    settings_with,
    shown_url,
    step_progress,
)

if TYPE_CHECKING:
    from engine.check import Findings
    from engine.ingest.run import Plan, Summary
    from engine.store.database import Database

REJECTED = ".rejected.csv"  # what is added to a file's name for the file that names its rejected lines
TAKEN = "taken"  # where files of a folder go when they are done
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class FileFormat(StrEnum):
    """Formats of activity files."""

    FITBIT = "fitbit"
    CSV = "csv"
    NDJSON = "ndjson"


# --- ingest -----------------------------------------------------------------------------------------


def ingest(
    file: Annotated[
        Path,
        typer.Argument(
            help="The file of activities, or a folder of them: each is moved to taken/ when done."
        ),
    ],
    format_name: Annotated[
        FileFormat,
        typer.Option("--format", help="fitbit: daily activity export; csv, ndjson: docs/ingest.md."),
    ],
    rebase: Annotated[
        str | None,
        typer.Option(help="Shift all days so that the file's last is `yesterday`, or e.g. 2026-11-22."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The source that reports (fitbit: fitbit-file; csv, ndjson: needed).")
    ] = None,
    open_accounts: Annotated[
        bool | None,
        typer.Option(
            "--open-accounts/--no-open-accounts",
            help="Open and link a demo account for each subject that has none (fitbit: on; else off).",
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Time zone of accounts that are opened; yesterday counts there.")
    ] = "UTC",
    province: Annotated[
        str | None, typer.Option(help="Province of accounts that are opened, e.g. CN-BJ.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a file of activities, also beside a running server.

    Every activity id mints once, for ever: run it again, today or another day, and nothing is minted twice. A
    bad line is told with its number and the rest goes on; beside the file, NAME.rejected.csv names each of them.
    Exit code 1: at least one line was rejected, or a file of the folder can't be read.

    Example: saxaul ingest docs/samples/fitbit.csv --format fitbit --rebase yesterday
    """
    plan = _plan(file, format_name, rebase, source, open_accounts, zone, province)
    if file.is_dir():
        _ingest_folder(plan, database, as_json)
        return
    summary = run(_ingest(plan, database))
    if as_json:
        say_json(_summary_facts(summary))
    else:
        _tell_summary(plan, summary)
    if summary.rejected:
        raise typer.Exit(Exit.PROBLEMS)


def _ingest_folder(plan: "Plan", database: str | None, as_json: bool) -> None:
    """Each file by itself, in order of names; one that can't be read stays where it is, and the next goes on."""
    from dataclasses import replace

    told: list[dict[str, Any]] = []
    failed = False
    with failures():
        for path in dropped_files(plan.path, plan.format):
            one = replace(plan, path=path)
            try:
                summary = asyncio.run(_ingest(one, database))
            except Failure as problem:
                note(f"saxaul: {problem}")
                told.append({"file": path.name, "problem": str(problem)})
                failed = True
                continue
            taken = plan.path / TAKEN
            taken.mkdir(exist_ok=True)
            path.rename(taken / path.name)
            told.append({"file": path.name, **_summary_facts(summary)})
            failed = failed or bool(summary.rejected)
            if not as_json:
                _tell_summary(one, summary)
    if as_json:
        say_json(told)
    elif not told:
        say(f"no {plan.format} file waits in {plan.path}")
    if failed:
        raise typer.Exit(Exit.PROBLEMS)


def dropped_files(folder: Path, format_name: str) -> list[Path]:
    """The files of a folder that wait to be taken in: by their ending, hidden ones and error files left out."""
    ending = ".ndjson" if format_name == "ndjson" else ".csv"
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.suffix == ending
        and not path.name.startswith(".")
        and not path.name.endswith(REJECTED)
    )


def _plan(
    file: Path,
    format_name: FileFormat,
    rebase: str | None,
    source: str | None,
    open_accounts: bool | None,
    zone: str,
    province: str | None,
) -> "Plan":
    from engine.core.errors import Rejected
    from engine.core.units import zone_of
    from engine.ingest.formats import FITBIT_SOURCE
    from engine.ingest.run import Plan

    is_fitbit = format_name is FileFormat.FITBIT
    with failures():
        if source is None and not is_fitbit:
            raise Failure("--source is needed: who reports these activities?", Exit.USAGE)
        if rebase is not None and rebase != "yesterday" and not _is_day(rebase):
            raise Failure(f"--rebase {rebase!r} is neither `yesterday` nor a day as 2026-11-22", Exit.USAGE)
        try:
            zone_of(zone)
        except Rejected as refusal:
            raise Failure(
                f"--zone {zone!r} is not an IANA time zone such as Asia/Shanghai", Exit.USAGE
            ) from refusal
        if not file.is_file() and not file.is_dir():
            raise Failure(f"there is no file {file}", Exit.USAGE)
    opens = is_fitbit if open_accounts is None else open_accounts
    return Plan(file, format_name.value, source or FITBIT_SOURCE, rebase, zone, province, opens)


def _is_day(text: str) -> bool:
    from datetime import date

    try:
        return bool(_DAY.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


async def _ingest(plan: "Plan", database: str | None) -> "Summary":
    from engine.clock import Clock
    from engine.counting import ReportCounts
    from engine.ingest.errors import ErrorFile
    from engine.ingest.lines import UnreadableFile
    from engine.ingest.run import IngestStopped
    from engine.ingest.run import ingest as take_in
    from engine.main import writing_engine
    from engine.publishing import rules_in_force
    from engine.reading import reading

    settings = settings_with(database)
    counts = ReportCounts(settings.server_key.encode())
    try:
        async with writing_engine(settings) as submit_all, reading(settings.database_url) as db:
            rules = await rules_in_force(db, settings.game_rules, Clock().now_ms())
            bar, task = byte_progress("Reading", plan.path)
            with bar, ErrorFile(plan.path.with_name(plan.path.name + REJECTED)) as errors:
                return await take_in(
                    plan,
                    submit_all,
                    db,
                    rules,
                    read=lambda count: bar.advance(task, count),
                    rejected=errors.add,
                    counts=counts,
                )
    except (UnreadableFile, IngestStopped) as problem:
        raise Failure(str(problem)) from problem


def _summary_facts(summary: "Summary") -> dict[str, Any]:
    return {
        "lines": summary.lines,
        "accepted": summary.accepted,
        "duplicate": summary.duplicate,
        "rejected": sum(summary.rejected.values()),
        "rejected_by_code": dict(summary.rejected),
        "examples": summary.examples,
        "balls": summary.balls,
        "issued_g": summary.issued_g,
        "taken_back_g": summary.taken_back_g,
        "expired_g": summary.expired_g,
        "expired_balls": summary.expired_balls,
        "late_balls": summary.late_balls,
        "avoided_mg": summary.avoided_mg,
        "accounts_opened": summary.accounts_opened,
        "accounts_linked": summary.accounts_linked,
        "days_shifted": summary.days_shifted,
    }


def _tell_summary(plan: "Plan", summary: "Summary") -> None:
    rejected = sum(summary.rejected.values())
    say(f"{plan.path.name}: {summary.lines:,} lines")
    if summary.is_new_source:
        say(f"  registered source   {plan.source}")
    if summary.accounts_opened or summary.accounts_linked:
        opened, linked = summary.accounts_opened, summary.accounts_linked
        say(f"  demo accounts       {opened} opened, {linked} linked to {plan.source}")
    if summary.days_shifted:
        say(f"  days shifted by     {summary.days_shifted:,}")
    say(f"  accepted            {summary.accepted:,}")
    say(f"  duplicate           {summary.duplicate:,}")
    say(f"  rejected            {rejected:,}")
    for code, count in summary.rejected.most_common():
        say(f"    {code}: {count:,}")
        for example in summary.examples[code]:
            say(f"      line {example['line']}: {example['about']}")
    say(f"  energy issued       {summary.issued_g:,} g in {summary.balls:,} balls")
    if summary.taken_back_g:
        say(f"  energy taken back   {summary.taken_back_g:,} g by lower revisions")
    if summary.expired_balls:
        late = (
            f", {summary.late_balls:,} of them reported too late to be collected"
            if summary.late_balls
            else ""
        )
        say(f"  booked expired      {summary.expired_g:,} g in {summary.expired_balls:,} balls{late}")
    say(f"  emissions avoided   {summary.avoided_mg / 1000:,.3f} g CO2e")
    if summary.rejected.get("not_linked") and not plan.opens_accounts:
        note("Subjects without a link were refused; --open-accounts makes demo accounts for them.")
    if summary.rejected.get("unknown_source"):
        note(f"Register it first: saxaul source add {plan.source} --behaviour …  (or use --open-accounts)")


# --- explain ----------------------------------------------------------------------------------------


def explain_ball(
    ball: Annotated[str | None, typer.Argument(help="The ball's id.", show_default=False)] = None,
    edition: Annotated[
        int | None,
        typer.Option(
            "--edition", min=1, help="Instead of an id: the newest ball by this edition's rulebook."
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="With --edition: only of what this source reported.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how a ball's grams came about: activity, source, method, values with references, transfers since.

    You are taken for an operator: draws of today are worked out too, without showing the day's secret.
    """
    document = run(_explain(ball, edition, source, database))
    if as_json:
        say_json(document)
        return
    from engine.explain import in_words

    for line in in_words(document):
        say(line)


async def _explain(
    ball: str | None, edition: int | None, source: str | None, database: str | None
) -> Mapping[str, Any]:
    from engine.clock import Clock
    from engine.core.units import ID_MAX
    from engine.explain import explain_ball as explain
    from engine.publishing import rules_in_force
    from engine.reading import reading

    if (ball is None) == (edition is None) or (ball is not None and source is not None):
        raise Failure("name a ball's id, or --edition NUMBER for the newest ball of an edition", Exit.USAGE)
    if ball is not None and not (ball.isascii() and ball.isdecimal() and 0 < int(ball) <= ID_MAX):
        raise Failure(f"{ball!r} is not a ball's id, which is a whole number", Exit.USAGE)
    settings = settings_with(database)
    async with reading(settings.database_url) as db:
        rules = await rules_in_force(db, settings.game_rules, Clock().now_ms())
        found = int(ball) if ball is not None else await _newest_ball(db, edition, source)
        if found is None:
            raise Failure(f"no ball was made by the rulebook of edition {edition} in {shown_url(settings)}")
        document = await explain(db, rules, found, now=Clock().now_ms(), reveal_today=True)
    if document is None:
        raise Failure(f"there is no ball {ball} in {shown_url(settings)}")
    return document


async def _newest_ball(db: "Database", edition: int | None, source: str | None) -> int | None:
    """The newest ball, of the source if one is named, whose trace names the edition's rulebook."""
    sql = (
        "SELECT max(b.id) FROM balls b JOIN activities a ON a.id = b.id"
        " JOIN editions e ON a.trace LIKE '%' || e.hash || '%' WHERE e.number = ?"
    )
    async with db.snapshot() as view:
        [(found,)] = await view.fetch(
            sql + (" AND a.source = ?" if source else ""), edition, *([source] if source else [])
        )
    return found


# --- check ------------------------------------------------------------------------------------------


def check(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Audit the whole database against the ledger laws; beside a running server too, on one snapshot.

    Exit code 1: at least one law is broken; each problem is named with code, place and what was expected.
    """
    findings = run(_check(database))
    if as_json:
        say_json(_findings_facts(findings))
    else:
        _tell_findings(findings)
    if findings.problems:
        raise typer.Exit(Exit.PROBLEMS)


async def _check(database: str | None) -> "Findings":
    from engine.check import audit
    from engine.clock import Clock
    from engine.publishing import rules_in_force
    from engine.reading import reading
    from partners import checks

    settings = settings_with(database)
    async with reading(settings.database_url) as db:
        rules = await rules_in_force(db, settings.game_rules, Clock().now_ms())
        with step_progress() as progress:
            return await audit(db, rules, [(checks.CHECKED, checks.audit)], progress)


def restored(database: DatabaseOption = None) -> None:
    """Say that this database was restored from a backup: clients that saw later states will load anew.

    Run it after every restore, before the engine serves the database again.
    """
    settings = settings_with(database)
    epoch = run(_renew_epoch(settings.database_url))
    say(f"{shown_url(settings)} is a new incarnation, {epoch}; run `saxaul check`, then serve it")


async def _renew_epoch(url: str) -> str:
    from engine.store.schema import renew_epoch

    return await renew_epoch(url)


def _findings_facts(findings: "Findings") -> dict[str, Any]:
    return {
        "ok": not findings.problems,
        "checked": findings.laws,
        "counts": dict(findings.counts),
        "accounts": [
            {
                "kind": total.kind,
                "asset": total.asset,
                "accounts": total.accounts,
                "credit": total.credit,
                "debit": total.debit,
                "balance": total.by_transfers,
                "balance_in_rows": total.by_rows,
            }
            for _, total in sorted(findings.totals.items())
        ],
        "problems": dict(findings.problems),
        "examples": [{"code": one.code, "place": one.place, "about": one.about} for one in findings.examples],
    }


def _tell_findings(findings: "Findings") -> None:
    say("Checked:")
    for law in findings.laws:
        say(f"  {law}")
    say()
    for what, count in findings.counts.items():
        say(f"  {count:>14,}  {what}")
    say()
    for cells in _account_table(findings):
        say("  " + f"{cells[0]:<10} {cells[1]:<10}" + "".join(f"{cell:>17}" for cell in cells[2:]))
    say()
    if not findings.problems:
        say("No problem was found.")
        return
    say(f"{sum(findings.problems.values()):,} problems:")
    for code, count in findings.problems.most_common():
        say(f"  {code}: {count:,}")
        for one in findings.examples:
            if one.code == code:
                say(f"    {one.place}: {one.about}")


def _account_table(findings: "Findings") -> Iterator[tuple[str, ...]]:
    """What came to and went from each kind of account, by transfers, and what its rows hold."""
    yield "account", "asset", "accounts", "came", "went", "by transfers", "in rows"
    for _, total in sorted(findings.totals.items()):
        numbers = (total.accounts, total.credit, total.debit, total.by_transfers)
        in_rows = "" if total.by_rows is None else f"{total.by_rows:,}"
        yield total.kind, total.asset, *(f"{number:,}" for number in numbers), in_rows
