"""What the commands about records share: reading, carrying out, and how things are told."""

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from engine.cli.shared import Exit, Failure, failures, note, say, say_json, settings_with, shown_url
from engine.cli.tables import table

ByOption = Annotated[str | None, typer.Option("--by", help="Who you are; your login name if not said.")]
WhyOption = Annotated[str, typer.Option("--why", help="Why, in a sentence.")]
PartnerArgument = Annotated[str, typer.Argument(help="The partner's id (saxaul partners list).")]
PartnerOption = Annotated[str | None, typer.Option("--partner", help="Of one partner only.")]
SiteArgument = Annotated[str, typer.Argument(help="The site's id (saxaul sites list).")]


def who(by: str | None) -> str:
    """Who carries the command out. Raises Failure."""
    with failures():
        name = (by or getpass.getuser()).strip()
        if not name or len(name) > 100:
            raise Failure("--by has 1 to 100 characters", Exit.USAGE)
    return name


def tell(
    head: tuple[str, ...], rows: list[tuple[str, ...]], nothing: str, right: tuple[int, ...] = ()
) -> None:
    """A table, or that there is nothing."""
    if not rows:
        note(nothing)
        return
    for line in table([head, *rows], right=right):
        say(line)


def moved(reply: dict[str, Any], text: str, as_json: bool) -> None:
    """What came of a command."""
    if as_json:
        say_json(reply)
    else:
        note(text)


def day_of(at: int | None) -> str:
    """The day of an instant, or a dash."""
    return "-" if at is None else instant_of(at)[:10]


def instant_of(at: int) -> str:
    """An instant as text."""
    from engine.core.units import rfc3339

    return rfc3339(at)


def quota_told(row: dict[str, Any]) -> str:
    """A quota in a line."""
    free = row["capacity"] - row["held"] - row["ordered"]
    return f"{row['capacity']:,} trees: {row['held']:,} held, {row['ordered']:,} ordered, {free:,} free"


async def read(database: str | None, look: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    """What a query of the records says."""
    from engine.reading import reading
    from partners.store import record_queries

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return await look(record_queries, view)


async def submit(command: Any, database: str | None) -> dict[str, Any]:
    """Carry a command out; its reply. Raises Failure."""
    import msgspec

    from engine.main import writing_engine

    settings = settings_with(database)
    async with writing_engine(settings) as submit_all:
        [outcome] = await submit_all([command])
    if outcome.error is not None:
        raise Failure(f"{outcome.error} ({shown_url(settings)})")
    return msgspec.json.decode(outcome.data or b"{}")
