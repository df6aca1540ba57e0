"""Commands for those who look at what users have shown with photos."""

from typing import Annotated, Any

import typer

from engine.cli.shared import DatabaseOption, Failure, JsonOption, note, run, say, say_json, settings_with

ActivityArgument = Annotated[int, typer.Argument(min=1, help="The activity, as `review list` names it.")]
ByOption = Annotated[str, typer.Option(help="Who looked at it.")]
NoteOption = Annotated[str, typer.Option(help="Why, in a few words.")]
NOTE_CHARACTERS_MAX = 200


def review_list(
    state: Annotated[str, typer.Option(help="waiting, accepted, refused or erased.")] = "waiting",
    after: Annotated[int, typer.Option(min=0, help="Begin after this activity.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List acts that users have shown and that somebody is to look at, with where their photos lie."""
    rows = run(_reviews(state, after, limit, database))
    if as_json:
        say_json({"reviews": rows})
        return
    for row in rows:
        say(
            f"{row['activity']}  {row['behaviour']}, {row['quantity']} {row['unit']} on {row['on']},"
            f" {row['energy_g']} g  [{row['reason']}]  {row['photo_file'] or 'no photo'}"
        )
    if not rows:
        note(f"No review is {state}.")


def review_accept(
    activity: ActivityArgument,
    by: ByOption,
    said: Annotated[str, typer.Option("--note", help="What was seen, in a few words.")] = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that the photo shows the act."""
    _decide(activity, True, by, said, database, as_json)


def review_refuse(
    activity: ActivityArgument,
    by: ByOption,
    said: Annotated[str, typer.Option("--note", help="Why, in a few words.")] = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that the photo does not show the act: it is reversed, and what was collected becomes a debt."""
    _decide(activity, False, by, said, database, as_json)


def _decide(activity: int, accept: bool, by: str, said: str, database: str | None, as_json: bool) -> None:
    reply = run(_submit(activity, accept, by, said, database))
    if as_json:
        say_json(reply)
        return
    owed = f"; {reply['owed_g']} g were collected and are owed now" if reply.get("owed_g") else ""
    note(f"Activity {reply['activity']} is {reply['state']}{owed}.")


async def _reviews(state: str, after: int, limit: int, database: str | None) -> list[dict[str, Any]]:
    from engine.photos import PhotoFolder
    from engine.reading import reading
    from engine.store import queries

    settings = settings_with(database)
    folder = PhotoFolder(settings.photo_folder)
    async with reading(settings.database_url) as db, db.snapshot() as view:
        rows = await queries.reviews(view, state, after, limit)
        files = await queries.photo_files(view, [int(row["activity"]) for row in rows])
    for row in rows:
        user, file = files.get(int(row["activity"]), (None, None))
        row["photo_file"] = str(folder.path(user, file)) if user is not None and file is not None else None
    return rows


async def _submit(activity: int, accept: bool, by: str, said: str, database: str | None) -> dict[str, Any]:
    import msgspec

    from engine.core.commands import ReviewActivity
    from engine.main import writing_engine

    if not by.strip() or len(by) > NOTE_CHARACTERS_MAX or len(said) > NOTE_CHARACTERS_MAX:
        raise Failure(f"--by and --note have at most {NOTE_CHARACTERS_MAX} characters, --by at least one")
    async with writing_engine(settings_with(database)) as submit_all:
        [outcome] = await submit_all([ReviewActivity(None, activity, accept, by.strip(), said)])
    if outcome.error is not None:
        raise Failure(f"{outcome.error} `saxaul review list` shows what waits.")
    return msgspec.json.decode(outcome.data or b"{}")
