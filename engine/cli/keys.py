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
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register who may report activities, and print the secret that signs its requests (shown once).

    Requests follow the Standard Webhooks scheme; see docs/ingest.md.
    """
    from engine.core.commands import AddSource

    if not _is_slug(source):
        run(_refuse(f"{source!r} is no id: small letters, digits, `-`, `_` and `.`, at most 64 characters"))
    secret = _new_secret()
    command = AddSource(None, source, name or source, secret, tuple(dict.fromkeys(behaviour)))
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
