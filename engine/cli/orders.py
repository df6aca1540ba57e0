"""Commands about planting orders and the files of partners who work by mail and spreadsheet."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.shared import (
    DatabaseOption,
    Exit,
    Failure,
    JsonOption,
    failures,
    note,
    run,
    say,
    say_json,
    settings_with,
)

if TYPE_CHECKING:
    from engine.settings import Settings
    from partners.adapters.files.config import FilesPartner
    from partners.intake import Taken

NumberArgument = Annotated[str, typer.Argument(help="The order's number, such as PO-000042-Z.")]
ByOption = Annotated[str, typer.Option(help="Who looked at it.")]
NOTE_CHARACTERS_MAX = 500


def orders_list(
    state: Annotated[
        list[str] | None, typer.Option(help="A state to show; may be repeated. All open ones if left out.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Go on after this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List planting orders, those that a person must look at marked."""
    rows = run(_listed(state, after, limit, database))
    if as_json:
        say_json({"orders": rows})
        return
    for row in rows:
        held = f"  HELD: {row['held']}" if row["held"] else ""
        say(
            f"{row['number']}  {row['state']:<12} {row['partner']}, {row['programme']}, {row['season']}{held}"
        )
    if not rows:
        note("No order is in these states.")


def orders_show(number: NumberArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an order: lines, reports of planting, reviews, and what was sent."""
    order = run(_shown(number, database))
    if as_json:
        say_json(order)
        return
    say(f"{order['number']}  {order['state']}{'  HELD: ' + order['held'] if order['held'] else ''}")
    say(f"  {order['partner']}, {order['programme']}, {order['season']}, answer by {order['expires_at']}")
    for line in order["lines"]:
        counts = ", ".join(f"{line[name]} {name}" for name in ("ordered", "accepted", "reported", "verified"))
        say(f"  {line['species']} at {line['site']}: {counts}")
    for batch in order["batches"]:
        found = f"  [{', '.join(batch['findings'])}]" if batch["findings"] else ""
        days = f"{batch['planted_from_on']} to {batch['planted_to_on']}"
        say(
            f"  report {batch['report_no']}: {batch['reported']} trees, {days}, {len(batch['evidence'])} files{found}"
        )
        if batch["latitude_e6"] is not None:
            say(f"    at {batch['latitude_e6'] / 1e6:.6f}, {batch['longitude_e6'] / 1e6:.6f} (WGS 84)")
        if batch["planters"] is not None or batch["notes"]:
            say(f"    {batch['planters'] or '?'} planters  {batch['notes']}")
    for review in order["reviews"]:
        say(f"  {review['verdict']} by {review['reviewer']} at {review['at']}  {review['note']}")
    for delivery in order["deliveries"]:
        say(f"  {delivery['kind']}: {delivery['state']}  {delivery['answer']}")


def orders_sheet(
    number: NumberArgument,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; a name in this folder if left out.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="order, or the report to fill in: planting or survival.")
    ] = "order",
    language: Annotated[str, typer.Option(help="zh or en; the partner's own if left out.")] = "",
    form: Annotated[str, typer.Option(help="xlsx or csv; the partner's own if left out.")] = "",
    database: DatabaseOption = None,
) -> None:
    """Write an order's sheet as its partner gets it, to send it by hand."""
    name, content = run(_sheet(number, kind, language, form, database))
    path = out or Path(name)
    with failures():
        path.write_bytes(content)
    say(str(path))


def orders_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A filled-in XLSX or CSV.")],
    partner: Annotated[str, typer.Option(help="Whose file it is, as in SAXAUL_PARTNER_FILES.")],
    photo: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A photo that it names; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the file with what is wrong; beside it if left out.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a partner's file, on the same path as one that comes by mail. You vouch for its sender."""
    taken, told = run(_imported(file, partner, photo or [], database))
    path: Path | None = None
    if taken.returned is not None:
        path = out or file.with_name(f"{file.stem}.marked{Path(taken.returned.name).suffix}")
        with failures():
            path.write_bytes(taken.returned.content)
    if as_json:
        say_json(_taken_json(taken, path))
    else:
        say(told)
        if path is not None:
            note(f"What is wrong stands beside the rows of {path}")
    if not taken.is_clean:
        raise typer.Exit(Exit.PROBLEMS)


def orders_review(
    number: NumberArgument,
    by: ByOption,
    verdict: Annotated[str, typer.Option(help="verified, needs_info, or back (to planting).")] = "verified",
    said: Annotated[
        str, typer.Option("--note", help="What was found, or what the partner is asked for.")
    ] = "",
    verified: Annotated[
        list[str] | None,
        typer.Option(
            help="REPORT=TREES for a report; name every report or none (then all count as reported)."
        ),
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a review of planted trees found. Its partner is told."""
    reply = run(_reviewed(number, by, verdict, said, verified or [], database))
    if as_json:
        say_json(reply)
        return
    trees = f", {reply['verified']} trees verified" if "verified" in reply else ""
    note(f"Order {number} is {reply['state']}{trees}.")


async def _listed(
    states: list[str] | None, after: str | None, limit: int, database: str | None
) -> list[dict[str, Any]]:
    from engine.reading import reading
    from partners.api import order_shown
    from partners.core.model import ENDED_STATES, OPEN_STATES, WATCHED_STATES
    from partners.store import queries

    known = (*OPEN_STATES, *WATCHED_STATES, *ENDED_STATES)
    for state in states or ():
        if state not in known:
            raise Failure(f"there is no state {state!r}; there are {', '.join(known)}", Exit.USAGE)
    first = _order(after) if after else 0
    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        rows = await queries.orders_in(view, states or OPEN_STATES, first, limit)
    return [order_shown(row) for row in rows]


async def _shown(number: str, database: str | None) -> dict[str, Any]:
    from engine.reading import reading
    from partners.api import order_shown
    from partners.store import queries

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        facts = await queries.order_facts(view, _order(number))
    if facts is None:
        raise Failure(f"there is no order {number}; `saxaul orders list` shows the open ones")
    return order_shown(facts)


async def _sheet(number: str, kind: str, language: str, form: str, database: str | None) -> tuple[str, bytes]:
    from engine.reading import reading
    from partners.adapters.files.sheets import order_file, planting_file, survival_file
    from partners.intake import order_facts
    from partners.port import order_sheet
    from partners.store import queries

    changes: dict[str, str] = {}
    for name, given, known in (("language", language, ("zh", "en")), ("form", form, ("xlsx", "csv"))):
        if given and given not in known:
            raise Failure(f"--{name} is one of {', '.join(known)}", Exit.USAGE)
        changes |= {name: given} if given else {}
    if kind not in ("order", "planting", "survival"):
        raise Failure("--kind is order, planting or survival", Exit.USAGE)
    settings, order = settings_with(database), _order(number)
    async with reading(settings.database_url) as db:
        async with db.snapshot() as view:
            row = await queries.order_facts(view, order)
            facts = await order_facts(view, row["partner"], order) if row is not None else None
        if row is None or facts is None:
            raise Failure(f"there is no order {number}; `saxaul orders list` shows the open ones")
        partner = _partner(settings, row["partner"]).model_copy(update=changes)
        names = await _names(settings, db)
    if kind == "survival":
        file = survival_file(partner, facts)
    elif kind == "planting":
        file = planting_file(partner, [facts], names)
    else:
        asked = next(one["payload"] for one in row["deliveries"] if one["kind"] == "submit")
        file = order_file(partner, order_sheet(asked), names)
    return file.name, file.content


async def _imported(
    file: Path, partner: str, photos: list[Path], database: str | None
) -> "tuple[Taken, str]":
    import hashlib
    import time

    from engine.main import writing_engine
    from engine.reading import reading
    from partners.adapters.files.letters import reply_text
    from partners.adapters.files.names import names_of
    from partners.evidence.desk import Through, evidence_desk
    from partners.evidence.mailed import photo_keeper
    from partners.intake import Came, Intake, TakeLater
    from partners.sheets.limits import FILE_BYTES_MAX

    settings = settings_with(database)
    whose = _partner(settings, partner)
    with file.open("rb") as opened:
        content = opened.read(FILE_BYTES_MAX + 1)
    pictures = {hashlib.sha256(data).hexdigest(): data for data in (one.read_bytes() for one in photos)}
    hashes = {one.name.casefold(): hashlib.sha256(one.read_bytes()).hexdigest() for one in photos}

    async def picture(sha256: str) -> bytes | None:
        return pictures.get(sha256)

    way = f"import\n{file.name}\n{hashlib.sha256(content).hexdigest()}"
    async with writing_engine(settings) as submit_all, reading(settings.database_url) as db:
        rules = await _rules(settings, db)
        names = names_of(rules)
        through, now_ms = Through(submit_all), lambda: time.time_ns() // 1_000_000
        desk = evidence_desk(settings, through, db, lambda: rules, {})
        keep = photo_keeper(desk, settings.evidence_bytes_max)
        intake = Intake(submit_all, db, lambda: names, now_ms, keep)
        try:
            taken = await intake.take(
                Came(whose, file.name, content, way, hashes, is_vouched=True, picture=picture)
            )
        except TakeLater as problem:
            raise Failure("the engine is busy or its database is away; run this again") from problem
    return taken, reply_text(whose.language, taken.lines)


async def _reviewed(
    number: str, by: str, verdict: str, said: str, verified: list[str], database: str | None
) -> dict[str, Any]:
    import msgspec

    from engine.main import writing_engine
    from partners.core.commands import ReviewOrder

    if not by.strip() or len(by) > 100 or len(said) > NOTE_CHARACTERS_MAX:
        raise Failure(f"--by has 1 to 100 characters, --note at most {NOTE_CHARACTERS_MAX}", Exit.USAGE)
    trees: dict[str, int] = {}
    for one in verified:
        report_no, equals, count = one.rpartition("=")
        if not equals or not (count.isascii() and count.isdigit()) or len(count) > 9:
            raise Failure(f"--verified is REPORT=TREES, such as 1=120, not {one!r}", Exit.USAGE)
        trees[report_no] = int(count)
    command = ReviewOrder(None, f"operator:{by.strip()}", _order(number), verdict, said, trees)
    async with writing_engine(settings_with(database)) as submit_all:
        [outcome] = await submit_all([command])
    if outcome.error is not None:
        raise Failure(f"{outcome.error} `saxaul orders show {number}` shows how it stands.")
    reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return reply


def _order(number: str) -> int:
    from engine.core.errors import Rejected
    from engine.core.numbers import parse_order_number

    try:
        return parse_order_number(number)
    except Rejected as refusal:
        raise Failure(
            f"{number!r} is no order number: {refusal.fields.get('reason')}", Exit.USAGE
        ) from refusal


def _partner(settings: "Settings", partner: str) -> "FilesPartner":
    from partners.adapters.files.config import ConfigError, read_config

    if settings.partner_files is None:
        raise Failure("name the partners' file in SAXAUL_PARTNER_FILES (docs/partners.md)", Exit.USAGE)
    try:
        config = read_config(settings.partner_files)
    except ConfigError as problem:
        raise Failure(str(problem), Exit.USAGE) from problem
    if partner not in config.partners:
        known = ", ".join(config.partners) or "none"
        raise Failure(f"{settings.partner_files} has no partner {partner!r}; it has {known}", Exit.USAGE)
    return config.partners[partner]


async def _names(settings: "Settings", db: Any) -> Any:
    """What species and places are called by the rulebook in force."""
    from partners.adapters.files.names import names_of

    return names_of(await _rules(settings, db))


async def _rules(settings: "Settings", db: Any) -> Any:
    import time

    from engine.publishing import rules_in_force

    return await rules_in_force(db, settings.game_rules, time.time_ns() // 1_000_000)


def _taken_json(taken: "Taken", path: Path | None) -> dict[str, Any]:
    return {
        "recorded_rows": taken.recorded_rows,
        "refused": None if taken.refusal is None else {"code": taken.refusal.code, **taken.refusal.fields},
        "problems": [
            {"row": one.row, "column": one.column, "code": one.code, "fields": dict(one.fields)}
            for one in taken.problems
        ],
        "notes": [{"row": one.row, "column": one.column, "code": one.code} for one in taken.notes],
        "marked_file": None if path is None else str(path),
    }
