"""Commands about campaigns: a funder's own budget for trees made of the energy of certain behaviours."""

from typing import Annotated, Any

import typer

from engine.cli.record_tools import ByOption, tell, who
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
    shown_url,
)

campaigns = typer.Typer(help="Tie a funder's budget to the energy of behaviours.", no_args_is_help=True)


@campaigns.command("start")
def start(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    funder: Annotated[str, typer.Option(help="Who pays.")],
    programme: Annotated[str, typer.Option(help="Whose trees, by the programme's id.")],
    behaviour: Annotated[list[str], typer.Option(help="A behaviour by its id; may be repeated.")],
    from_on: Annotated[
        str, typer.Option("--from", help="First day on which balls may ripen, UTC: 2027-03-01.")
    ],
    until_on: Annotated[str, typer.Option("--until", help="Last such day.")],
    budget: Annotated[int, typer.Option(min=1, help="All money, in minor units.")],
    price: Annotated[int, typer.Option(min=1, help="For one tree, in minor units.")],
    currency: Annotated[str, typer.Option(help="ISO 4217, such as CNY.")] = "CNY",
    redeem_until_on: Annotated[
        str | None,
        typer.Option("--redeem-until", help="Last day to pay for trees; that of --until if left out."),
    ] = None,
    stock: Annotated[bool, typer.Option("--stock/--no-stock", help="Put its trees on offer at once.")] = True,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a campaign: its budget pays for trees of users who collected enough energy of the behaviours themselves.

    Energy counts once: what a tree was made of pays for no other. After --redeem-until the rest pays for any tree.
    """
    from engine.core.campaigns import StartCampaign

    command = StartCampaign(
        None,
        f"operator:{who(by)}",
        name,
        funder,
        programme,
        tuple(behaviour),
        from_on,
        until_on,
        redeem_until_on or until_on,
        currency,
        price,
        budget,
    )
    reply = run(_started(command, programme, stock, database))
    if as_json:
        say_json(reply)
        return
    offered = ", all on offer" if stock else ""
    note(f"Campaign {reply['campaign']} pays for {reply['covers']:,} trees{offered}.")


@campaigns.command("list")
def campaigns_list(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List campaigns: budget, what is left of it, trees and users."""
    rows = run(_report(None, database))
    if as_json:
        say_json({"campaigns": rows})
        return
    head = ("campaign", "name", "funder", "behaviours", "from", "until", "budget", "left", "trees", "users")
    told = [
        (
            row["campaign"],
            row["name"],
            row["funder"],
            ", ".join(row["behaviours"]),
            row["from_on"],
            row["until_on"],
            f"{row['committed_minor']:,} {row['currency']}",
            f"{row['not_set_aside_minor']:,}",
            f"{sum(row['trees'].values()):,}",
            f"{row['users']:,}",
        )
        for row in rows
    ]
    tell(head, told, "No campaign was started yet; see saxaul campaigns start --help.", right=(6, 7, 8, 9))


@campaigns.command("report")
def campaigns_report(
    campaign: Annotated[
        int, typer.Argument(min=1, help="The campaign's number, as saxaul campaigns list shows it.")
    ],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what became of a campaign: spending, trees by state, cost of a verified and of a living tree."""
    [row] = run(_report(campaign, database))
    if as_json:
        say_json(row)
        return
    say(f"{row['name']}, by {row['funder']}: {row['programme']}, {', '.join(row['behaviours'])}")
    period = f"{row['from_on']} to {row['until_on']}"
    say(f"  energy of balls that ripened from {period}, trees until {row['redeem_until_on']}")
    say(f"  {row['energy_g']:,} g of {row['users']:,} users became {row['trees_of_its_energy']:,} trees")
    for text, field in (
        ("budget", "committed_minor"),
        ("not set aside", "not_set_aside_minor"),
        ("held for orders", "held_minor"),
        ("with partners", "with_partners_minor"),
        ("of that paid", "paid_minor"),
        ("lost", "lost_minor"),
        ("per verified tree", "cost_per_verified_minor"),
        ("per living tree", "cost_per_living_minor"),
    ):
        amount = row[field]
        told = "not yet known" if amount is None else f"{amount:,} {row['currency']} (minor units)"
        say(f"  {text}: {told}")
    trees = ", ".join(f"{count:,} {state}" for state, count in row["trees"].items()) or "none yet"
    say(f"  trees: {trees}")


async def _started(command: Any, programme: str, stock: bool, database: str | None) -> dict[str, Any]:
    import msgspec

    from engine.core.commands import GrantStock
    from engine.main import writing_engine

    settings = settings_with(database)
    async with writing_engine(settings) as submit_all:
        [outcome] = await submit_all([command])
        if outcome.error is None and stock:
            covers = msgspec.json.decode(outcome.data or b"{}")["covers"]
            [granted] = await submit_all([GrantStock(None, programme, covers)])
            if granted.error is not None:
                raise Failure(f"the campaign is started, but its trees are not on offer: {granted.error}")
    if outcome.error is not None:
        raise Failure(f"{outcome.error} ({shown_url(settings)})")
    reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return reply


async def _report(campaign: int | None, database: str | None) -> list[dict[str, Any]]:
    from engine.reading import reading
    from partners.store import campaigns as stored

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        rows = await stored.report(view, campaign)
    if campaign is not None and not rows:
        raise Failure(f"there is no campaign {campaign}; see saxaul campaigns list", Exit.USAGE)
    return rows
