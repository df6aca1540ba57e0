"""Commands for the records of partners: who plants, with which papers, and how far it has come."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.partner_hooks import sandbox_order, webhooks
from engine.cli.partner_keys import keys
from engine.cli.record_tools import (
    ByOption,
    PartnerArgument,
    WhyOption,
    day_of,
    moved,
    quota_told,
    read,
    submit,
    tell,
    who,
)
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
    step_progress,
)

partners = typer.Typer(help="Look after the records of partners.", no_args_is_help=True)
partners.add_typer(keys, name="keys")
partners.add_typer(webhooks, name="webhooks")
partners.command("sandbox-order")(sandbox_order)


@partners.command()
def onboard(
    file: Annotated[Path, typer.Argument(help="The onboarding file, YAML or JSON.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only read the file and tell what is wrong.")
    ] = False,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Record a partner with agreement, sites, species and quotas from one file, also beside a running server.

    Carrying the same file out again changes nothing. See docs/onboarding-a-partner.md.
    """
    from partners.onboarding.file import OnboardingError, read_onboarding

    with failures():
        if not file.is_file():
            raise Failure(f"there is no file {file}", Exit.USAGE)
        try:
            told, document = read_onboarding(file)
        except OnboardingError as problem:
            raise Failure(f"{problem}\nMend the file and try again.") from problem
    if check:
        note(
            f"{file} can be used: partner {told.partner.id}, {len(told.sites)} sites, {len(told.quotas)} quotas."
        )
        return
    done = run(_onboard(told, document, who(by), database))
    if as_json:
        say_json({"partner": done.partner, "done": done.done, "refused": done.refused or None})
    if done.refused:
        with failures():
            before = f"{done.done} records before it are stored; mend it and carry the file out again."
            raise Failure(f"{done.refused}\n{before}")
    note(f"{done.partner}: {done.done} records are as the file says.")


@partners.command("list")
def partners_list(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List partners: status, tier, agreement in force, and until when their documents are valid."""
    rows = run(read(database, lambda q, view: q.partners(view)))
    if as_json:
        say_json(rows)
        return
    head = ("partner", "name", "status", "tier", "agreement", "documents until")
    told = [
        (
            row["id"],
            row["name_zh"] or row["name_en"],
            row["status"] + (f" ({row['reason']})" if row["reason"] else ""),
            str(row["tier"]),
            row["agreement"] or "none",
            day_of(row["documents_until_at"]),
        )
        for row in rows
    ]
    tell(head, told, "No partner is recorded: saxaul partners onboard FILE")


@partners.command("show")
def partners_show(
    partner: PartnerArgument,
    contacts: Annotated[bool, typer.Option("--contacts", help="Whom to ask there, with addresses.")] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a partner with documents, agreements, sites, offers, quotas and how it has fared."""

    async def look(queries: Any, view: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        return await queries.partner(view, partner), await queries.contacts(view, partner)

    found, people = run(read(database, look))
    with failures():
        if found is None:
            raise Failure(f"there is no partner {partner}; see saxaul partners list")
    assert found is not None
    if as_json:
        say_json(found | ({"people": people} if contacts else {}))
        return
    say(f"{found['id']}  {found['name_zh']}  {found['name_en']}")
    say(
        f"  {found['kind']} in {found['country']}, tier {found['tier']}, {found['currency']}: {found['status']}"
    )
    if found["reason"]:
        say(f"  because: {found['reason']}")
    for one in found["documents"]:
        say(f"  document: {one['kind']} {one['number']} of {one['issuer']}, valid until {one['expires_on']}")
    for one in found["agreements"]:
        say(f"  agreement {one['id']}: {one['status']}, {one['starts_on']} to {one['ends_on']}")
    for one in found["sites"]:
        say(f"  site {one['id']} ({one['region']}): {one['status']}, geometry {one['version']}")
    for one in found["offers"]:
        matched = one["gbif_key"] or "not matched"
        say(f"  species {one['species']}, {one['typed_name']} (GBIF {matched}): {one['status']}")
    for one in found["quotas"]:
        say(f"  quota {one['id']}: {quota_told(one)}")
    if found["performance"]:
        say("  trees: " + ", ".join(f"{count:,} {name}" for name, count in found["performance"].items()))
    for one in people if contacts else ():
        say(f"  {one['role']} {one['place']}: {one['name']}, {one['address']}")


def _move(status: str, doc: str, needs_why: bool = False) -> Callable[..., None]:
    """A command that moves a partner to a status."""

    def with_why(
        partner: PartnerArgument,
        why: WhyOption,
        by: ByOption = None,
        database: DatabaseOption = None,
        as_json: JsonOption = False,
    ) -> None:
        from partners.core.records.commands import MovePartner

        reply = run(submit(MovePartner(None, who(by), partner, status, why), database))
        moved(reply, f"{partner} is {status}.", as_json)

    def without(
        partner: PartnerArgument,
        by: ByOption = None,
        database: DatabaseOption = None,
        as_json: JsonOption = False,
    ) -> None:
        from partners.core.records.commands import MovePartner

        reply = run(submit(MovePartner(None, who(by), partner, status), database))
        moved(reply, f"{partner} is {status}.", as_json)

    made = with_why if needs_why else without
    made.__doc__ = doc
    return made


partners.command("vet")(_move("vetting", "Begin to look at a partner that has applied."))
partners.command("activate")(
    _move("active", "Let a vetted partner be asked, or a suspended one again: its held orders go on.")
)
partners.command("suspend")(
    _move("suspended", "Ask nothing of a partner: new orders stop, open ones are held.", needs_why=True)
)
partners.command("leave")(_move("left", "Record that a partner has left.", needs_why=True))


@partners.command()
def renew(
    partner: PartnerArgument,
    kind: Annotated[str, typer.Option(help="registration, tax, land_use, insurance, nursery …")],
    number: Annotated[str, typer.Option(help="Its number.")],
    issuer: Annotated[str, typer.Option(help="Who issued it.")],
    expires: Annotated[str, typer.Option(help="Last day on which it is valid, 2028-06-30.")],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a vetting document, also as a renewal: orders held because it had run out go on."""
    from partners.core.records.commands import RecordDocument

    command = RecordDocument(None, who(by), partner, kind, number, issuer, expires)
    moved(run(submit(command, database)), f"{kind} {number} is recorded for {partner}.", as_json)


async def _onboard(told: Any, document: Any, by: str, database: str | None) -> Any:
    from engine.main import writing_engine
    from engine.reading import reading
    from partners.onboarding.run import onboard as carry_out
    from partners.onboarding.run import standing_of

    settings = settings_with(database)
    async with writing_engine(settings) as submit_all:
        async with reading(settings.database_url) as db, db.snapshot() as view:
            standing = await standing_of(view, told)
        with step_progress() as progress:
            return await carry_out(told, document, by, standing, submit_all, progress)
