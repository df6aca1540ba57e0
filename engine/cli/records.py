"""Commands for what is agreed with partners, where they plant and how many; and for what waits for a place."""

from collections.abc import Callable
from typing import Annotated

import typer

from engine.cli.record_tools import (
    ByOption,
    PartnerArgument,
    PartnerOption,
    SiteArgument,
    day_of,
    instant_of,
    moved,
    read,
    submit,
    tell,
    who,
)
from engine.cli.shared import DatabaseOption, Failure, JsonOption, failures, note, run, say, say_json
from engine.cli.tables import table

agreements = typer.Typer(help="Look after agreements with partners.", no_args_is_help=True)
sites = typer.Typer(help="Look after sites.", no_args_is_help=True)
quotas = typer.Typer(help="Look after how many trees sites take.", no_args_is_help=True)


# --- agreements, sites, quotas ----------------------------------------------------------------------


@agreements.command("list")
def agreements_list(
    partner: PartnerOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List versions of agreements."""
    rows = run(read(database, lambda q, view: q.agreements(view, partner)))
    if as_json:
        say_json(rows)
        return
    head = ("agreement", "status", "from", "to", "minimum", "prices", "answer within")
    told = [
        (
            row["id"],
            row["status"],
            row["starts_on"],
            row["ends_on"],
            f"{row['terms']['minimum_trees']:,}",
            str(len(row["terms"]["prices"])),
            f"{row['terms']['timers']['expire_d']} d",
        )
        for row in rows
    ]
    tell(head, told, "No agreement is recorded.")


@agreements.command("show")
def agreements_show(
    agreement: Annotated[str, typer.Argument(help="partner/version, as saxaul agreements list shows it.")],
    database: DatabaseOption = None,
) -> None:
    """Show all terms of a version, as JSON."""
    rows = run(read(database, lambda q, view: q.agreements(view, agreement.partition("/")[0])))
    found = next((row for row in rows if row["id"] == agreement), None)
    with failures():
        if found is None:
            raise Failure(f"there is no agreement {agreement}; see saxaul agreements list")
    say_json(found)


@agreements.command("activate")
def agreements_activate(
    partner: PartnerArgument,
    version: Annotated[int, typer.Argument(help="The version.", min=1)],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a version in force; the one before it is superseded and keeps counting for its orders."""
    from partners.core.records.commands import MoveAgreement

    command = MoveAgreement(None, who(by), partner, version, "active")
    moved(run(submit(command, database)), f"Agreement {partner}/{version} is in force.", as_json)


@agreements.command("end")
def agreements_end(
    partner: PartnerArgument,
    version: Annotated[int, typer.Argument(help="The version.", min=1)],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a version: no new order is made under it."""
    from partners.core.records.commands import MoveAgreement

    command = MoveAgreement(None, who(by), partner, version, "ended")
    moved(run(submit(command, database)), f"Agreement {partner}/{version} has ended.", as_json)


@sites.command("list")
def sites_list(
    partner: PartnerOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List sites."""
    rows = run(read(database, lambda q, view: q.sites(view, partner)))
    if as_json:
        say_json(rows)
        return
    head = ("site", "partner", "name", "region", "status", "geometry")
    told = [
        (
            row["id"],
            row["partner"],
            row["name_zh"] or row["name_en"],
            row["region"],
            row["status"],
            str(row["version"]),
        )
        for row in rows
    ]
    tell(head, told, "No site is recorded.")


@sites.command("show")
def sites_show(site: SiteArgument, database: DatabaseOption = None) -> None:
    """Show a site's newest geometry and what the checks found, as JSON."""
    found = run(read(database, lambda q, view: q.geometry(view, site)))
    with failures():
        if found is None:
            raise Failure(f"there is no site {site}; see saxaul sites list")
    say_json(found)


def _move_site(status: str, doc: str) -> Callable[..., None]:
    """A command that moves a site to a status."""

    def move(
        site: SiteArgument,
        why: Annotated[str, typer.Option("--why", help="Why, in a sentence.")] = "",
        by: ByOption = None,
        database: DatabaseOption = None,
        as_json: JsonOption = False,
    ) -> None:
        from partners.core.records.commands import MoveSite

        reply = run(submit(MoveSite(None, who(by), site, status, why), database))
        moved(reply, f"{site} is {status}.", as_json)

    move.__doc__ = doc
    return move


sites.command("review")(_move_site("in_review", "Begin to look at a site."))
sites.command("approve")(_move_site("approved", "Let trees be placed on a site."))
sites.command("retire")(_move_site("retired", "Place no more trees on a site, for good."))


@quotas.command("list")
def quotas_list(
    partner: PartnerOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List how many trees sites take: capacity, held, ordered, planted, free."""
    rows = run(read(database, lambda q, view: q.quotas(view, partner)))
    if as_json:
        say_json(rows)
        return
    head = ("quota", "partner", "order by", "capacity", "held", "ordered", "planted", "free")
    told = [
        (
            row["id"],
            row["partner"],
            day_of(row["order_by_at"]),
            *(f"{row[name]:,}" for name in ("capacity", "held", "ordered", "planted")),
            f"{row['capacity'] - row['held'] - row['ordered']:,}",
        )
        for row in rows
    ]
    tell(head, told, "No quota is recorded.", right=(3, 4, 5, 6, 7))


@quotas.command("set")
def quotas_set(
    site: SiteArgument,
    species: Annotated[str, typer.Argument(help="The species' id in the rulebook.")],
    season: Annotated[str, typer.Argument(help="Year and window of the agreement, 2027-spring.")],
    capacity: Annotated[int, typer.Argument(help="Trees.", min=0)],
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set how many trees of a species a site takes in a season; never less than is held and ordered."""
    from partners.core.records.commands import SetQuota

    reply = run(submit(SetQuota(None, who(by), site, species, season, capacity), database))
    moved(reply, f"{reply['quota']}: {reply['free']:,} free.", as_json)


# --- what waits -------------------------------------------------------------------------------------


def waiting(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Tell which trees wait for an order or a place: how many, since when, and why."""
    rows = run(read(database, lambda q, view: q.waiting(view)))
    if as_json:
        say_json(rows)
        return
    head = ("programme", "trees", "state", "why", "since", "energy back from")
    told = [
        (
            row["programme"],
            f"{row['trees']:,}",
            row["state"],
            row["why"],
            day_of(row["since_at"]),
            day_of(row["energy_back_at"]),
        )
        for row in rows
    ]
    tell(head, told, "No tree waits.", right=(1,))


def why(
    programme: Annotated[str | None, typer.Argument(help="A programme; all if not named.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many, newest first.")] = 5,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell why trees were placed as they were: the places in rank with their figures, and why one was passed over."""
    rows = run(read(database, lambda q, view: q.allocations(view, programme, limit)))
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(
            f"{instant_of(row['at'])}  {row['programme']}: {row['placed']:,} of {row['trees']:,} trees placed"
        )
        head = ("quota", "named", "season", "tier", "kept", "price", "free", "trees", "why not")
        told = [
            (
                one["quota"],
                "yes" if one["named"] else "no",
                one["season"],
                str(one["tier"]),
                one["kept"],
                str(one["price_minor"]),
                f"{one['free']:,}",
                f"{one['trees']:,}",
                one["why_not"] or "-",
            )
            for one in row["decision"]["candidates"]
        ]
        for line in table([head, *told], right=(3, 5, 6, 7)) if told else ():
            say(line)
        for reason, trees in row["decision"]["unplaced"].items():
            say(f"  no place for {trees:,}: {reason}")
    if not rows:
        note("Nothing was placed yet.")
