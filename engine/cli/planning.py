"""Commands by which operators plan: reconciliation with a partner, budget against spending, forecasts of quota."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.record_tools import PartnerArgument, tell
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

if TYPE_CHECKING:
    from engine.settings import Settings
    from partners.registry import Registry

MONTHS_MAX, PACE_D_MAX = 36, 730
DEMAND_BYTES_MAX = 64 * 1024 * 1024
SHOWN_MAX = 200


# --- reconciliation -----------------------------------------------------------------------------------


def reconcile(
    partner: PartnerArgument,
    file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The partner's statement, XLSX or CSV; if left out, it is asked.",
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Orders that went out from this day on, 2027-03-01.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh or en, where the statement does not tell.")] = "zh",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lay our orders beside what a partner says of them: what is missing on either side, and where figures differ.

    Reads only. A statement has the columns order no., line no., state, accepted, planted, price each, currency,
    invoiced, as far as the partner keeps them. Exit code 1: the two sides differ, or a row can't be read.
    """
    told = run(_reconciled(partner, file, since, language, database))
    if as_json:
        say_json(told)
    else:
        _tell_reconciliation(told)
    if told["differences"] or told["problems"]:
        raise typer.Exit(Exit.PROBLEMS)


def _tell_reconciliation(told: dict[str, Any]) -> None:
    source = "its statement" if told["source"] == "statement" else "what it answers"
    say(f"{told['partner']}: {told['orders']} orders of ours, {told['orders_with_them']} in {source}")
    rows = [
        (
            one["order"],
            str(one["line_no"] or ""),
            one["what"],
            "-" if one["ours"] is None else str(one["ours"]),
            "-" if one["theirs"] is None else str(one["theirs"]),
        )
        for one in told["differences"]
    ]
    tell(("order", "line", "what", "ours", "theirs"), rows[:SHOWN_MAX], "No difference was found.")
    if len(rows) > SHOWN_MAX:
        note(f"… and {len(rows) - SHOWN_MAX} more; --json tells all.")
    for one in told["problems"]:
        say(f"  row {one['row']} is left out: {one['text']}")


async def _reconciled(
    partner: str, file: Path | None, since: str | None, language: str, database: str | None
) -> dict[str, Any]:
    from engine.core.errors import Rejected
    from engine.reading import reading
    from partners.reconcile import our_orders, with_statement
    from partners.sheets.limits import FILE_BYTES_MAX
    from partners.sheets.problems import FileRefused
    from partners.sheets.words import cell_text, file_text
    from partners.statements import STATEMENT

    if language not in ("zh", "en"):
        raise Failure("--language is zh or en", Exit.USAGE)
    settings, since_at = settings_with(database), _day(since)
    async with reading(settings.database_url) as db:
        try:
            async with db.snapshot() as view:
                ours = await our_orders(view, partner, since_at)
            if file is None:
                return await _asked(settings, db, partner, ours)
        except Rejected as refusal:
            raise Failure(str(refusal)) from refusal
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    try:
        found = with_statement(partner, ours, data, language)
    except FileRefused as refusal:
        raise Failure(f"{file.name}: {file_text(refusal, 'en')}") from refusal
    told = found.told()
    for shown, problem in zip(told["problems"], found.problems, strict=True):
        shown["text"] = cell_text(problem, STATEMENT, "en")
    return told


async def _asked(settings: "Settings", db: Any, partner: str, ours: Any) -> dict[str, Any]:
    """What the partner's adapter reads back, order by order."""
    from partners.reconcile import with_read_back

    registry = await _registry(settings, db)
    try:
        adapter = registry.adapters.get(partner)
        if adapter is None:
            raise Failure(
                f"no adapter reaches {partner} by the settings; give its statement with --file", Exit.USAGE
            )
        with step_progress() as progress:
            return (await with_read_back(partner, ours, adapter, progress)).told()
    finally:
        await registry.close()


async def _registry(settings: "Settings", db: Any) -> "Registry":
    import time

    from engine.publishing import rules_in_force
    from partners.adapters.files.names import names_of
    from partners.configured import registry_of

    rules = await rules_in_force(db, settings.game_rules, time.time_ns() // 1_000_000)
    return registry_of(settings, lambda: names_of(rules))


def _day(since: str | None) -> int:
    from datetime import date

    from engine.core.units import local_instant

    if since is None:
        return 0
    try:
        return local_instant(date.fromisoformat(since), 0, "UTC")
    except ValueError as problem:
        raise Failure(f"--since is a day such as 2027-03-01, not {since!r}", Exit.USAGE) from problem


# --- budget ---------------------------------------------------------------------------------------------


def budget(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Tell how far funders' budgets have gone, and what partners were promised, billed and paid.

    Of a budget: free (for no tree yet), waiting (for trees without an order), held (for orders not accepted), with
    partners (what accepted orders cost), saved (set aside and not needed); beside them what is coming back for trees
    that have left their orders. Amounts in minor units.
    """
    told = run(_budget(database))
    if as_json:
        say_json(told)
        return
    parts = ("free", "waiting", "held", "with_partners", "saved", "coming_back")
    head = ("programme", "currency", "budget", *(part.replace("_", " ") for part in parts), "spent", "trees")
    rows = [
        (
            row["programme"],
            row["currency"],
            *(f"{row[f'{name}_minor']:,}" for name in ("budget", *parts)),
            f"{row['spent_bp'] / 100:.2f} %",
            f"{row['trees']:,}",
        )
        for row in told["programmes"]
    ]
    tell(head, rows, "No funder has committed anything yet.", right=tuple(range(2, len(head))))
    owed = ("promised", "to_bill", "billed", "paid", "owed_back", "lost")
    head = ("partner", "currency", *(name.replace("_", " ") for name in owed))
    rows = [
        (row["partner"], row["currency"], *(f"{row[f'{name}_minor']:,}" for name in owed))
        for row in told["partners"]
    ]
    tell(head, rows, "No partner has been promised anything yet.", right=tuple(range(2, len(head))))
    rows = [(row["month"], row["currency"], f"{row['paid_minor']:,}") for row in told["months"]]
    tell(("month", "currency", "paid"), rows, "Nothing was paid yet.", right=(2,))


async def _budget(database: str | None) -> dict[str, Any]:
    from engine.reading import reading
    from partners.store import budget as spending

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return await spending.budget(view)


# --- forecast -------------------------------------------------------------------------------------------


def forecast(
    demand: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="What `saxaul rules simulate --json` printed; the pace of late if left out.",
        ),
    ] = None,
    run_name: Annotated[
        str | None, typer.Option("--run", help="Of several runs in it, the one that counts.")
    ] = None,
    months: Annotated[
        int, typer.Option(min=1, max=MONTHS_MAX, help="How far the pace of late is carried on.")
    ] = 12,
    pace_d: Annotated[
        int, typer.Option("--pace-d", min=1, max=PACE_D_MAX, help="Days by which the pace goes.")
    ] = 90,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell when places and funded trees run out, by programme and season, and how many are missing.

    Trees that wait are placed first, then those to come, day by day, each into the season that opens first and has
    room. Exit code 1: some find no place, or are not funded.
    """
    told = run(_forecast(demand, run_name, months, pace_d, database))
    if as_json:
        say_json(told)
    else:
        _tell_forecast(told)
    if told["missing"] or any(one["missing"] for one in told["stocks"]):
        raise typer.Exit(Exit.PROBLEMS)


def _tell_forecast(told: dict[str, Any]) -> None:
    head = ("programme", "season", "order by", "places", "trees", "without a place", "full from")
    rows = [
        (
            one["programme"],
            one["season"] or "none open",
            one["order_by_on"] or "-",
            f"{one['free']:,}",
            f"{one['placed']:,}",
            f"{one['missing']:,}",
            one["full_on"] or "-",
        )
        for one in told["seasons"]
    ]
    tell(head, rows, "There is no place and no tree to come.", right=(3, 4, 5))
    head = ("programme", "funded trees on offer", "wanted", "not funded", "sold out on")
    rows = [
        (
            one["programme"],
            *(f"{one[name]:,}" for name in ("stock", "wanted", "missing")),
            one["out_on"] or "-",
        )
        for one in told["stocks"]
    ]
    tell(head, rows, "No programme has trees on offer.", right=(1, 2, 3))


async def _forecast(
    demand: Path | None, run_name: str | None, months: int, pace_d: int, database: str | None
) -> dict[str, Any]:
    import time

    from engine.publishing import rules_in_force
    from engine.reading import reading
    from partners.store.ahead import forecast_told, look_ahead

    settings, now = settings_with(database), time.time_ns() // 1_000_000
    wanted = None if demand is None else _demand(demand, run_name)
    async with reading(settings.database_url) as db:
        rules = await rules_in_force(db, settings.game_rules, now)
        async with db.snapshot() as view:
            return forecast_told(await look_ahead(view, rules, now, wanted, pace_d, months))


def _demand(path: Path, run_name: str | None) -> dict[tuple[str, str], int]:
    import json

    from partners.store.ahead import DemandProblem, demand_of

    with path.open("rb") as opened:
        data = opened.read(DEMAND_BYTES_MAX + 1)
    if len(data) > DEMAND_BYTES_MAX:
        raise Failure(f"{path.name} has more than {DEMAND_BYTES_MAX:,} bytes", Exit.USAGE)
    try:
        return demand_of(json.loads(data), run_name)
    except (ValueError, RecursionError) as problem:
        raise Failure(f"{path.name} is no JSON: {problem}", Exit.USAGE) from problem
    except DemandProblem as problem:
        raise Failure(f"{path.name}: {problem}", Exit.USAGE) from problem
