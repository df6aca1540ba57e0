"""Commands about the keys with which partners call the partner API. A key is shown when it is made, and never again."""

from typing import Annotated, Any

import typer

from engine.cli.record_tools import ByOption, PartnerArgument, instant_of, submit, tell, who
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

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
NOTE_CHARACTERS_MAX = 200

keys = typer.Typer(help="Give partners keys for the partner API, and take them back.", no_args_is_help=True)
KeyArgument = Annotated[str, typer.Argument(help="The key's id, such as sxp_live_0a1b2c3d4e.")]
ExpiresOption = Annotated[
    int | None,
    typer.Option("--expires-d", min=1, max=3660, help="Days until it ends; without end if not said."),
]


@keys.command("make")
def make(
    partner: PartnerArgument,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may do (default: everything); say it again for more.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="For test orders, and for nothing else.")] = False,
    expires_d: ExpiresOption = None,
    why: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it (shown once). See docs/partner-api.md."""
    from partners.core.api_commands import MakeKey
    from partners.core.api_rows import SCOPES
    from partners.partner_api.keys import new_key

    with failures():
        unknown = sorted(set(scope or ()) - set(SCOPES))
        if unknown:
            raise Failure(f"there is no scope {unknown[0]}; there are {', '.join(SCOPES)}", Exit.USAGE)
        if len(why) > NOTE_CHARACTERS_MAX:
            raise Failure(f"--note has at most {NOTE_CHARACTERS_MAX} characters", Exit.USAGE)
    made = new_key(test)
    scopes = tuple(scope or SCOPES)
    command = MakeKey(None, who(by), partner, made.id, made.digest, scopes, test, why, _end(expires_d))
    run(submit(command, database))
    if as_json:
        say_json({"partner": partner, "id": made.id, "key": made.text, "scopes": list(scopes)})
        return
    note(f"{partner} may call with this key, shown only now:")
    say(made.text)


@keys.command("rotate")
def rotate(
    key: KeyArgument,
    keep_old_h: Annotated[
        float, typer.Option(min=0, max=8784, help="Hours for which the old key counts too.")
    ] = 72.0,
    expires_d: ExpiresOption = None,
    by: ByOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key with the scopes of an old one and print it (shown once); the old one counts for a while longer."""
    from engine.clock import Clock
    from partners.core.api_commands import RotateKey
    from partners.partner_api.keys import new_key

    made = new_key(key.startswith("sxp_test_"))
    until_at = Clock().now_ms() + int(keep_old_h * HOUR_MS)
    reply = run(
        submit(RotateKey(None, who(by), key, made.id, made.digest, until_at, _end(expires_d)), database)
    )
    until = instant_of(reply["old_until_at"])
    if as_json:
        told = {
            "partner": reply["partner"],
            "id": made.id,
            "key": made.text,
            "old": key,
            "old_until_at": until,
        }
        say_json(told)
        return
    note(f"{key} counts until {until}. The new key, shown only now:")
    say(made.text)


@keys.command("revoke")
def revoke(
    key: KeyArgument, by: ByOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Let a key count no more, at once."""
    from partners.core.api_commands import RevokeKey

    reply = run(submit(RevokeKey(None, who(by), key), database))
    if as_json:
        say_json(reply)
    else:
        note(f"{key} of {reply['partner']} counts no more.")


@keys.command("list")
def keys_list(
    partner: Annotated[str | None, typer.Argument(help="Of one partner only.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List keys: whose, for what, until when, and when they were used last. Never the keys themselves."""
    rows = run(_listed(partner, database))
    if as_json:
        say_json(rows)
        return
    head = ("key", "partner", "scopes", "state", "used", "note")
    told = [
        (
            row["id"],
            row["partner"],
            " ".join(row["scopes"]),
            row["state"],
            row["last_used_at"] or "never",
            row["note"],
        )
        for row in rows
    ]
    tell(head, told, "No partner has a key: saxaul partners keys make PARTNER")


async def _listed(partner: str | None, database: str | None) -> list[dict[str, Any]]:
    from engine.clock import Clock
    from engine.reading import reading
    from partners.store.api_queries import partner_keys

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        rows = await partner_keys(view, partner)
    now = Clock().now_ms()
    return [_told(row, now) for row in rows]


def _told(row: Any, now: int) -> dict[str, Any]:
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is None:
        state = "counts"
    else:
        state = f"{'until' if now < row.expires_at else 'ended'} {instant_of(row.expires_at)[:10]}"
    used = instant_of(row.last_used_at) if row.last_used_at is not None else None
    about = {"id": row.id, "partner": row.partner, "is_test": bool(row.is_test), "scopes": row.scopes}
    made = {"made_by": row.made_by, "made_at": instant_of(row.made_at)}
    return about | {"state": state, "last_used_at": used, "note": row.note} | made


def _end(expires_d: int | None) -> int | None:
    from engine.clock import Clock

    return None if expires_d is None else Clock().now_ms() + expires_d * DAY_MS
