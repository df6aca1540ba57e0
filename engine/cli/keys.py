"""Commands about secrets: tokens for demo users, and the sources that may report."""

import secrets
from base64 import b64encode
from typing import Annotated, Any

import typer

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

HOUR_MS = 3_600_000
SECRET_BYTES = 24
CONTACT_CHARACTERS_MAX = 200


def token(
    user: Annotated[str, typer.Argument(help="The user's id, or the reference or name of a demo account.")],
    ttl_s: Annotated[float, typer.Option(help="Seconds until it expires.")] = 86_400.0,
    sign_anyway: Annotated[
        bool, typer.Option("--sign-anyway", help="Sign with a secret that is not the demo's.")
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a token with which a demo user connects.

    In earnest the app's own backend signs tokens, so this refuses to use any secret but the demo's.
    """
    signed, user_id = run(_token(user, ttl_s, sign_anyway, database))
    if as_json:
        say_json({"user": str(user_id), "token": signed})
    else:
        say(signed)


async def _token(user: str, ttl_s: float, sign_anyway: bool, database: str | None) -> tuple[str, int]:
    from engine.api.tokens import sign_demo_token
    from engine.reading import reading
    from engine.settings import DEMO_TOKEN_SECRET

    settings = settings_with(database)
    if settings.token_key_set:
        raise Failure(
            "tokens are checked with the app's public keys here; only the app can sign them", Exit.USAGE
        )
    if settings.token_secret != DEMO_TOKEN_SECRET and not sign_anyway:
        raise Failure(
            "SAXAUL_TOKEN_SECRET is the app's own: let the app sign tokens, or say --sign-anyway", Exit.USAGE
        )
    if ttl_s <= 0:
        raise Failure("--ttl-s must be above 0", Exit.USAGE)
    async with reading(settings.database_url) as db:
        user_id = await _find_user(db, user)
    if user_id is None:
        raise Failure(f"{shown_url(settings)} has no account with the reference or name {user!r}")
    return sign_demo_token(
        settings.token_secret, user_id, audience=settings.token_audience, ttl_s=ttl_s
    ), user_id


async def _find_user(db: Any, text: str) -> int | None:
    """The account meant: by id (also one that is not there yet), reference or display name."""
    from engine.core.units import ID_MAX

    async with db.snapshot() as view:
        if text.isascii() and text.isdecimal() and 0 < int(text) <= ID_MAX:
            rows = await view.fetch("SELECT state FROM users WHERE id = ?", int(text))
            if not rows:
                note(f"note: there is no account {text} yet")
            elif rows[0][0] != "active":
                note(f"note: account {text} is {rows[0][0]}")
            return int(text)
        for sql in (
            "SELECT user_id FROM user_references WHERE reference = ?",
            "SELECT user_id FROM identities WHERE display_name = ? ORDER BY user_id LIMIT 1",
        ):
            if rows := await view.fetch(sql, text):
                return int(rows[0][0])
    return None


# --- sources ----------------------------------------------------------------------------------------


def source_add(
    source: Annotated[str, typer.Argument(help="Its id, a short name such as metro-beijing.")],
    behaviour: Annotated[
        list[str], typer.Option(help="A behaviour that it may report; say it again for more.")
    ],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    evidence: Annotated[
        list[str] | None, typer.Option(help="A kind of evidence that it may claim (default: any).")
    ] = None,
    category: Annotated[list[str] | None, typer.Option(help="A category that it reports of.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="What it sends beside quantity and time, such as distance_km.")
    ] = None,
    refresh_h: Annotated[
        int | None, typer.Option(min=1, max=8784, help="How often it reports, hours.")
    ] = None,
    contact: Annotated[str | None, typer.Option(help="Whom to ask when it stops.")] = None,
    reduction_owner: Annotated[
        str, typer.Option(help="Who owns the reductions that it reports: user, operator or none.")
    ] = "none",
    may_be_sold: Annotated[
        bool, typer.Option("--may-be-sold/--not-sold", help="Whether their owner may sell them.")
    ] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register who may report activities, and print the secret that signs its requests (shown once).

    Requests follow the Standard Webhooks scheme; see docs/ingest.md.
    """
    from engine.core.commands import AddSource, SourceAbout

    if not _is_slug(source):
        run(_refuse(f"{source!r} is no id: small letters, digits, `-`, `_` and `.`, at most 64 characters"))
    secret = _new_secret()
    about = SourceAbout(
        categories=tuple(dict.fromkeys(category or ())),
        fields=tuple(dict.fromkeys(field or ())),
        refresh_h=refresh_h,
        contact=contact[:CONTACT_CHARACTERS_MAX] if contact else None,
        reduction_owner=reduction_owner,
        may_be_sold=may_be_sold,
    )
    kinds = tuple(dict.fromkeys(evidence or ()))
    behaviours = tuple(dict.fromkeys(behaviour))
    command = AddSource(None, source, name or source, secret, behaviours, kinds, about)
    run(_submit(command, database))
    if as_json:
        say_json({"source": source, "secret": secret, "behaviours": list(command.behaviours)})
        return
    note(f"Source {source} may report {', '.join(command.behaviours)}. Its secret, shown only now:")
    say(secret)


def source_rotate(
    source: Annotated[str, typer.Argument(help="The source's id.")],
    keep_old_h: Annotated[float, typer.Option(help="Hours for which the old secret is accepted too.")] = 24.0,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a source a new secret and print it (shown once); the old one works for a while longer."""
    from engine.clock import Clock
    from engine.core.commands import RotateSource
    from engine.core.units import rfc3339

    if not 0 <= keep_old_h <= 24 * 366:
        run(_refuse("--keep-old-h must lie between 0 and 8784"))
    secret = _new_secret()
    until = Clock().now_ms() + int(keep_old_h * HOUR_MS)
    run(_submit(RotateSource(None, source, secret, until), database))
    if as_json:
        say_json({"source": source, "secret": secret, "old_until_at": rfc3339(until)})
        return
    note(f"The old secret of {source} works until {rfc3339(until)}. The new one, shown only now:")
    say(secret)


def source_list(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List who may report activities, without secrets."""
    rows = run(_sources(database))
    if as_json:
        say_json({"sources": rows})
        return
    for row in rows:
        say(f"{row['source']:<24} {row['name']}: {', '.join(row['behaviours'])}")
    if not rows:
        note("No source is registered yet: saxaul source add ID --behaviour …")


def source_show(
    source: Annotated[str, typer.Argument(help="The source's id.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a source may report and what it states of itself."""
    row = run(_source(source, database))
    if as_json:
        say_json(row)
        return
    for field, value in row.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        say(f"{field:<16} {'-' if shown in (None, '') else shown}")


async def _sources(database: str | None) -> list[dict[str, Any]]:
    from engine.reading import reading
    from engine.store import queries

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        return await queries.sources(view)


async def _source(source: str, database: str | None) -> dict[str, Any]:
    for row in await _sources(database):
        if row["source"] == source:
            return row
    raise Failure(_advice("unknown_source", {"source": source}, "There is no such source."))


async def _submit(command: Any, database: str | None) -> None:
    from engine.main import writing_engine

    settings = settings_with(database)
    async with writing_engine(settings) as submit_all:
        [outcome] = await submit_all([command])
    if outcome.error is not None:
        raise Failure(_advice(outcome.error.code, outcome.error.fields, str(outcome.error)))


def _advice(code: str, fields: dict[str, Any], text: str) -> str:
    if code == "source_exists":
        return f"{text} To change its secret: saxaul source rotate {fields.get('source')}"
    if code == "unknown_source":
        return f"{text} To register it: saxaul source add {fields.get('source')} --behaviour …"
    if code == "unknown_behaviour":
        return f"{text} `saxaul rules check` reads the rulebook that names them."
    return text


async def _refuse(text: str) -> None:
    raise Failure(text, Exit.USAGE)


def _is_slug(text: str) -> bool:
    import re

    return re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", text) is not None


def _new_secret() -> str:
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
