"""What became of funders' money: commitments, spending, trees by state, and what a tree that stands has cost."""

from typing import Annotated, Any

import typer

from engine.cli.shared import DatabaseOption, Exit, Failure, JsonOption, run, say, say_json, settings_with
from engine.cli.tables import table


def report(
    funder: Annotated[
        str | None, typer.Argument(help="One funder; all if not named.", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what became of each funder's money, by programme and currency. Runs beside a server too.

    Set aside: for trees that were redeemed. With partners: held money not counted. The cost of a living tree goes by
    the last counts of survival; until a first count it is not known.
    """
    told = run(_report(funder, database))
    if as_json:
        say_json({"funders": told})
        return
    if not told:
        say(
            "no funder has committed anything yet; see POST /v1/programmes/{programme}/commitments in docs/http.md"
        )
        return
    for line in table([_HEAD, *map(_row, told)], right=tuple(range(3, len(_HEAD)))):
        say(line)


_HEAD = (
    "funder",
    "programme",
    "currency",
    "committed",
    "held",
    "with partners",
    "paid",
    "owed back",
    "lost",
    "trees",
    "verified",
    "alive",
    "per verified",
    "per living",
)


async def _report(funder: str | None, database: str | None) -> list[dict[str, Any]]:
    from engine.reading import reading
    from partners.store import funders

    settings = settings_with(database)
    async with reading(settings.database_url) as db, db.snapshot() as view:
        found = await funders.report(view, funder)
    if funder is not None and not found:
        raise Failure(f"there is no funder {funder!r}", Exit.USAGE)
    return found


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    money = (
        "committed_minor",
        "held_minor",
        "with_partners_minor",
        "paid_minor",
        "owed_back_minor",
        "lost_minor",
    )
    costs = ("cost_per_verified_minor", "cost_per_living_minor")
    return (
        one["funder"],
        one["programme"],
        one["currency"],
        *(_money(one[name]) for name in money),
        f"{sum(one['trees'].values()):,}",
        f"{one['verified']:,}",
        "not known" if one["alive"] is None else f"{one['alive']:,}",
        *("–" if one[name] is None else _money(one[name]) for name in costs),
    )


def _money(minor: int) -> str:
    """Minor units as they are booked; how many make a unit depends on the currency."""
    return f"{minor:,}"
