"""Commands for partners' staff in the portal: links that set a password, and who may log in."""

from typing import Annotated, Any

import typer

from engine.cli.record_tools import (
    ByOption,
    PartnerArgument,
    PartnerOption,
    instant_of,
    moved,
    submit,
    tell,
    who,
)
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
)

staff = typer.Typer(help="Let staff of partners into the portal, and out of it.", no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(help="An id for the person, as the partner knows them; no name or address is needed.")
]


@staff.command()
def invite(
    partner: PartnerArgument,
    name: NameArgument,
    language: Annotated[str | None, typer.Option(help="zh or en; the partner's own if not said.")] = None,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a link with which a member of staff sets a password, once; also for one that was forgotten.

    Hand the link over yourself: whoever opens it first has the account. Only its hash is kept.
    """
    reply = run(_invite(partner, name, language, who(by), database))
    if as_json:
        say_json(reply)
        return
    say(reply["link"])
    note(f"{reply['staff']} can set a password with it once, until {reply['until']}.")


@staff.command("list")
def staff_list(
    partner: PartnerOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List staff: who may log in, and whose link is still open."""

    async def look() -> list[dict[str, Any]]:
        from engine.reading import reading
        from partners.store import portal_queries

        async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
            return await portal_queries.staff_of(view, partner)

    rows = run(look())
    for row in rows:
        for at in ("invited_until_at", "changed_at"):
            row[at] = None if row[at] is None else instant_of(row[at])
    if as_json:
        say_json(rows)
        return
    told = [(one["id"], one["state"], one["language"], one["invited_until_at"] or "-") for one in rows]
    tell(
        ("staff", "state", "language", "link until"),
        told,
        "Nobody yet: saxaul partners staff invite PARTNER NAME",
    )


@staff.command()
def remove(
    partner: PartnerArgument,
    name: NameArgument,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a member of staff out: password, link and sessions end at once."""
    from partners.core.portal.commands import RemoveStaff

    reply = run(submit(RemoveStaff(who(by), partner, name), database))
    moved(reply, f"{reply['staff']} can't log in any more.", as_json)


async def _invite(
    partner: str, name: str, language: str | None, by: str, database: str | None
) -> dict[str, Any]:
    import time

    from partners.core.portal.commands import InviteStaff
    from partners.portal.logins import STAFF
    from partners.portal.opening import portal_partners_of
    from partners.portal.pages import PATH
    from partners.portal.secrets import digest, new_token

    settings = settings_with(database)
    known = portal_partners_of(settings)
    if partner not in known:
        raise Failure(
            f"{partner} does not work in the portal: name it in the file of SAXAUL_PARTNER_PORTAL (docs/partners.md)",
            Exit.USAGE,
        )
    if not STAFF.match(f"{partner}/{name}"):
        raise Failure("NAME has 1 to 40 of a-z, 0-9, dot, dash and underscore", Exit.USAGE)
    if language not in (None, "zh", "en"):
        raise Failure("--language is zh or en", Exit.USAGE)
    token = new_token()
    until_at = time.time_ns() // 1_000_000 + settings.portal_link_s * 1000
    command = InviteStaff(by, partner, name, language or known[partner].language, digest(token), until_at)
    reply = await submit(command, database)
    address = (settings.portal_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    return reply | {"link": f"{address}{PATH}/invitation/{token}", "until": instant_of(until_at)}
