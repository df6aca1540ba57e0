"""Commands that put rulebooks in force: publish, approve, canary, roll back; and who did what when."""

import getpass
from collections.abc import Awaitable, Callable, Iterator, Mapping
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
    shown_url,
    step_progress,
)

if TYPE_CHECKING:
    from engine.core.errors import Rejected
    from engine.deciding import Outcome
    from engine.publishing import Publisher

ByOption = Annotated[
    str | None, typer.Option("--by", help="Who you are, kept for ever; your login name if not said.")
]
WhyOption = Annotated[str, typer.Option("--why", help="Why, in a sentence; kept for ever.")]
EditedOption = Annotated[
    str | None,
    typer.Option(help="Publish although values that were in force are edited, for this reason (kept)."),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(help="Publish although trees may cost more than is funded, for this reason (kept)."),
]
EditionArgument = Annotated[int, typer.Argument(help="The edition's number (saxaul rules history).", min=1)]

MOMENTS_MS = 10_000

Work = Callable[["Publisher"], Awaitable["Outcome"]]


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder of the rulebook.")],
    why: WhyOption,
    by: ByOption = None,
    share: Annotated[
        float, typer.Option(help="Per cent of users; less than 100 makes it a canary.", min=0.01, max=100)
    ] = 100.0,
    from_at: Annotated[
        str | None,
        typer.Option(
            "--from", help="Instant from which it counts, as 2026-12-01T00:00:00Z; at once if not said."
        ),
    ] = None,
    although_edited: EditedOption = None,
    although_over_budget: BudgetOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a rulebook and propose it, for all users or a share of them, also beside a running server.

    It counts once a second person approves it: saxaul rules approve.
    """
    with failures():
        wanted_at, hundredths = _instant(from_at), _hundredths(share)
        if not folder.is_dir():
            raise Failure(f"there is no folder {folder}", Exit.USAGE)
    overrides = _overrides(although_edited, although_over_budget)

    async def work(publisher: "Publisher") -> "Outcome":
        from engine.rulebook import load_rulebook
        from engine.rulefiles.packing import packed

        load_rulebook(folder)  # also tells of files that have no place in a rulebook
        return await publisher.propose(None, packed(folder), _who(by), why, hundredths, wanted_at, overrides)

    facts = run(_submit(work, database))
    if _told(facts, as_json):
        whom = "all users" if hundredths == 10_000 else f"{share:g} % of users"
        note(f"Edition {facts['edition']} waits for a second person, for {whom}:")
        note(f"  saxaul rules approve {facts['edition']} --by THEIR-NAME")


def approve(
    edition: EditionArgument,
    by: ByOption = None,
    although_edited: EditedOption = None,
    although_over_budget: BudgetOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a proposed edition in force, as a second person; on all nodes, without a restart."""
    overrides = _overrides(although_edited, although_over_budget)
    facts = run(_submit(lambda publisher: publisher.approve(None, edition, _who(by), overrides), database))
    if _told(facts, as_json):
        note(f"Edition {edition} counts from {facts['from_at']}. To undo it: saxaul rules rollback --why …")


def rollback(
    why: WhyOption,
    by: ByOption = None,
    to: Annotated[int | None, typer.Option(help="An earlier edition; else the one before.", min=1)] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Undo what was published last: end the canary, or put the rulebook before in force again, from now.

    One person is enough. Balls keep what they were made with.
    """
    facts = run(_submit(lambda publisher: publisher.roll_back(None, _who(by), why, to), database))
    if not _told(facts, as_json):
        return
    if "same_as" in facts:
        note(f"The rulebook of edition {facts['same_as']} counts again from {facts['from_at']}.")
    else:
        note(f"The canary, edition {facts['edition']}, ends at {facts['until_at']}.")


def withdraw(
    edition: EditionArgument,
    why: WhyOption,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back a proposal, or an edition whose instant has not come."""
    facts = run(_submit(lambda publisher: publisher.withdraw(None, edition, _who(by), why), database))
    if _told(facts, as_json):
        note(f"Edition {edition} is {facts['state']}.")


def canary_promote(
    why: WhyOption,
    by: ByOption = None,
    although_edited: EditedOption = None,
    although_over_budget: BudgetOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the rulebook of the running canary in force for all, as a second person."""
    overrides = _overrides(although_edited, although_over_budget)

    async def work(publisher: "Publisher") -> "Outcome":
        number = await publisher.running_canary()
        return await publisher.promote(None, number, _who(by), why, overrides)

    facts = run(_submit(work, database))
    if _told(facts, as_json):
        note(f"It counts for all as edition {facts['edition']} from {facts['from_at']}.")


def canary_withdraw(
    why: WhyOption,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """End the running canary: its users are back with everybody's rulebook, and keep the balls they have."""

    async def work(publisher: "Publisher") -> "Outcome":
        return await publisher.withdraw(None, await publisher.running_canary(), _who(by), why)

    facts = run(_submit(work, database))
    if _told(facts, as_json):
        note(f"The canary, edition {facts['edition']}, ends at {facts['until_at']}.")


def history(
    limit: Annotated[
        int, typer.Option(help="At most so many editions, newest first.", min=1, max=1_000)
    ] = 50,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List all editions: who put which rulebook in force when, for whom, and why."""
    editions = run(_history(limit, database))
    if as_json:
        say_json(editions)
        return
    for facts in editions:
        _tell(facts)
    if not editions:
        say("No rulebook was ever in force in this database.")


def show(
    edition: Annotated[
        int | None, typer.Argument(help="An edition's number; the one in force if not named.", min=1)
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Write its files into this new folder, to work on them.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an edition; without a number what is in force, the canary, and what waits for approval."""
    facts, texts = run(_show(edition, files, database))
    if as_json:
        say_json(facts)
    elif edition is not None:
        _tell(facts)
    else:
        for what, one in (("in force", facts["in_force"]), ("canary", facts["canary"])):
            say(f"{what}:" if one else f"{what}: none")
            if one:
                _tell(one)
        say(f"waiting: {len(facts['waiting'])}")
        for one in facts["waiting"]:
            _tell(one)
    if files is not None:
        note(f"{texts} files are in {files}")


# --- carrying out -----------------------------------------------------------------------------------


async def _submit(work: Work, database: str | None) -> dict[str, Any]:
    """Through the engine that serves the database now, else through one of our own."""
    import msgspec

    from engine.clock import Clock
    from engine.core.errors import Rejected
    from engine.forecast import Forecaster
    from engine.main import writing_engine
    from engine.publishing import Publisher
    from engine.reading import reading

    settings = settings_with(database)
    async with writing_engine(settings) as submit_all, reading(settings.database_url) as db:
        with step_progress() as progress:
            forecast = Forecaster(
                settings,
                lambda done, total: progress("Forecasting what its trees cost, user-days", done, total),
            )
            try:
                outcome = await work(Publisher(db, submit_all, Clock().now_ms, forecast))
            except Rejected as refusal:
                raise Failure(_refusal(refusal)) from refusal
    if outcome.error is not None:
        raise Failure(_refusal(outcome.error))
    return msgspec.json.decode(outcome.data or b"{}")


async def _history(limit: int, database: str | None) -> list[dict[str, Any]]:
    from engine.clock import Clock
    from engine.publishing import history as told
    from engine.reading import reading

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return await told(view, Clock().now_ms(), limit)


async def _show(number: int | None, folder: Path | None, database: str | None) -> tuple[dict[str, Any], int]:
    from engine.clock import Clock
    from engine.core.editions import edition_facts
    from engine.core.errors import Rejected
    from engine.in_force import stored_files
    from engine.publishing import current, edition_of
    from engine.reading import reading

    settings, now = settings_with(database), Clock().now_ms()
    async with reading(settings.database_url) as db, db.snapshot() as view:
        try:
            facts: dict[str, Any] = (
                await current(view, now)
                if number is None
                else edition_facts(await edition_of(view, number), now)
            )
        except Rejected as refusal:
            raise Failure(f"{_refusal(refusal)} ({shown_url(settings)})") from refusal
        wanted = facts["in_force"] if number is None else facts
        texts = await stored_files(view, wanted["rulebook"]) if wanted and folder else None
    if folder is None:
        return facts, 0
    if texts is None:
        raise Failure("there is no rulebook to write: nothing was ever in force here")
    return facts, _write(folder, texts)


def _write(folder: Path, texts: Mapping[str, str]) -> int:
    """Into a folder of their own, never over files that are there."""
    from engine.rulefiles.packing import PATH

    if folder.exists():
        raise Failure(f"{folder} is there already; name a new folder", Exit.USAGE)
    for name, text in texts.items():
        if not PATH.fullmatch(name):  # a damaged database must not lead out of the folder
            raise Failure(f"{name!r} is no path of a rule file; run `saxaul check`")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return len(texts)


# --- words ------------------------------------------------------------------------------------------


def _told(facts: dict[str, Any], as_json: bool) -> bool:
    """Print the edition; whether words should follow."""
    if as_json:
        say_json(facts)
        return False
    _tell(facts)
    return True


def _tell(facts: Mapping[str, Any]) -> None:
    whom = "all users" if facts["share_pct"] == 100 else f"canary, {facts['share_pct']:g} % of users"
    say(f"edition {facts['edition']}  {_state(facts)}  {whom}  {facts['rulebook'][:12]}  ({facts['origin']})")
    since = facts.get("from_at")
    if since is not None:
        since = "the beginning" if since.startswith("1970") else since
        say(f"  from {since}" + (f" until {facts['until_at']}" if "until_at" in facts else ""))
    elif "wanted_at" in facts:
        say(f"  wanted from {facts['wanted_at']}")
    for line in _people(facts):
        say(f"  {line}")
    for one in facts["overrides"]:
        say(f"  although {one['refusal']}, by {one['by']}: {one['reason']}")


def _state(facts: Mapping[str, Any]) -> str:
    """The state; what begins within moments, so that all nodes begin at once, counts as published."""
    from engine.clock import Clock
    from engine.core.units import rfc3339

    is_near = facts["state"] == "planned" and facts["from_at"] <= rfc3339(Clock().now_ms() + MOMENTS_MS)
    return "published" if is_near else facts["state"]


def _people(facts: Mapping[str, Any]) -> Iterator[str]:
    """Who did what when and why; of a promotion and a rollback the reason is theirs who did it."""
    proposed, approved = f"{facts['proposed_by']} {facts['proposed_at']}", facts.get("approved_by")
    if facts["origin"] == "folder":
        yield f"from the folder of the rules, {facts['proposed_at']}"
    elif facts["origin"] == "rollback":
        yield f"rolled back by {proposed}: {facts['why']}"
    elif facts["origin"] == "promotion":
        yield f"proposed by {facts['proposed_by']} as a canary"
        yield f"promoted by {approved} {facts['approved_at']}: {facts['why']}"
    else:
        yield f"proposed by {proposed}: {facts['why']}"
        if approved:
            yield f"approved by {approved} {facts['approved_at']}"
    if "ended_by" in facts:
        yield f"ended by {facts['ended_by']}: {facts['ended_why']}"


def _refusal(refusal: "Rejected") -> str:
    """A refusal with all that it tells, a line each, and the way out."""
    from engine.core.errors import CODES

    fields = refusal.fields
    lines = [f"{refusal.code}: {CODES.get(refusal.code, '')}"]
    if refusal.code == "rulebook_broken":
        lines += [_problem(one) for one in fields["problems"]]
        lines.append("Mend the files, then try `saxaul rules check`.")
    elif refusal.code == "edited_in_place":
        lines += [f"  {one}" for one in fields["edited"]]
        lines.append(f"{fields['count']} in all. If it must be: --although-edited 'the reason'")
    elif refusal.code == "over_budget":
        for currency, one in fields["lacking"].items():
            cost, funded = (_money(one[name], currency) for name in ("cost_minor", "funded_minor"))
            lines.append(f"  expected {cost}, funded {funded}")
        lines.append("Fund the programmes first. If it must be: --although-over-budget 'the reason'")
    else:
        lines += [f"  {name}: {value}" for name, value in fields.items()]
    return "\n".join(lines)


def _money(minor: int, currency: str) -> str:
    """An amount in whole units of its currency."""
    from engine.simulate.figures import MINOR_DIGITS

    digits = MINOR_DIGITS.get(currency, 2)
    return f"{minor / 10**digits:,.{digits}f} {currency}"


def _problem(one: Mapping[str, Any]) -> str:
    where = f"{one['file']}:{one['line']}" + (f":{one['path']}" if one["path"] else "")
    return f"  {where}: {one['found']}; expected {one['expected']}. Fix: {one['fix']}"


def _who(by: str | None) -> str:
    """Who acts: as said, else as logged in."""
    if by is not None and by.strip():
        return by.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError) as problem:
        raise Failure("say who you are: --by NAME", Exit.USAGE) from problem


def _hundredths(share: float) -> int:
    hundredths = round(share * 100)
    if abs(share * 100 - hundredths) > 1e-6:
        raise Failure("--share has at most two decimals, such as 5 or 0.25", Exit.USAGE)
    return hundredths


def _instant(text: str | None) -> int | None:
    from engine.core.units import instant

    if text is None:
        return None
    try:
        return instant(text)
    except ValueError as problem:
        raise Failure(f"--from {text!r} is no instant such as 2026-12-01T00:00:00Z", Exit.USAGE) from problem


def _overrides(although_edited: str | None, although_over_budget: str | None) -> dict[str, str]:
    given = {"edited_in_place": although_edited, "over_budget": although_over_budget}
    return {code: reason for code, reason in given.items() if reason}
