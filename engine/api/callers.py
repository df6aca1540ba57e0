"""Who calls: the app's server, an operator, or a user with a token. Keys are compared in constant time.

An unknown key is `unauthorised` (401); a known one in the wrong place is `forbidden` (403).
"""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.api.parts import Parts
from engine.core.errors import Rejected

_server = HTTPBearer(
    auto_error=False, scheme_name="ServerKey", description="The app server's key (SAXAUL_SERVER_KEY)."
)
_operator = HTTPBearer(
    auto_error=False, scheme_name="OperatorKey", description="The operator's key (SAXAUL_OPERATOR_KEY)."
)
_user = HTTPBearer(
    auto_error=False, scheme_name="UserToken", description="A user's token, signed by the app (JWT)."
)

UUID7 = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
_KEY = "UUIDv7 made and kept by the client, reused on every retry: the same key is carried out once."

Credentials = HTTPAuthorizationCredentials | None


def parts_of(request: Request) -> Parts:
    """The running engine."""
    return request.app.state.parts


Engine = Annotated[Parts, Depends(parts_of)]


def _is(given: str, key: str) -> bool:
    return hmac.compare_digest(given.encode(), key.encode())


def _refuse(parts: Parts, given: Credentials) -> Rejected:
    """Why these credentials do not do: unknown, or of somebody else."""
    if given is not None:
        known = (parts.settings.server_key, *_operator_keys(parts))
        if any(_is(given.credentials, key) for key in known):
            return Rejected("forbidden")
    return Rejected("unauthorised")


def server_caller(parts: Engine, given: Annotated[Credentials, Security(_server)]) -> None:
    """Only the app's server. Raises Rejected(unauthorised | forbidden)."""
    if given is None or not _is(given.credentials, parts.settings.server_key):
        raise _refuse(parts, given)


def _operator_keys(parts: Parts) -> tuple[str, ...]:
    return (parts.settings.operator_key, *parts.settings.operators.values())


def operator_caller(parts: Engine, given: Annotated[Credentials, Security(_operator)]) -> str | None:
    """Only an operator; their name, where the key is their own. Raises Rejected(unauthorised | forbidden)."""
    if given is not None and _is(given.credentials, parts.settings.operator_key):
        return None
    for name, key in parts.settings.operators.items():
        if given is not None and _is(given.credentials, key):
            return name
    raise _refuse(parts, given)


async def user_caller(parts: Engine, given: Annotated[Credentials, Security(_user)]) -> int:
    """The user whom the token speaks for, with an active account. Raises Rejected."""
    if given is None:
        raise Rejected("unauthorised")
    bearer = await parts.tokens.verify(given.credentials)
    state = await parts.reads.account_state(bearer.user)
    if state is None:
        raise Rejected("unknown_user")
    if state != "active":
        raise Rejected(f"account_{state}")
    return bearer.user


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks; `user` is None for the app's server and for operators, who may see any account."""

    user: int | None


async def any_caller(
    parts: Engine,
    given: Annotated[Credentials, Security(_user)],
    server: Annotated[Credentials, Security(_server)],
    operator: Annotated[Credentials, Security(_operator)],
) -> Caller:
    """The app's server, an operator, or a user. Raises Rejected."""
    keys = (parts.settings.server_key, *_operator_keys(parts))
    if given is not None and any(_is(given.credentials, key) for key in keys):
        return Caller(None)
    return Caller(await user_caller(parts, given))


User = Annotated[int, Depends(user_caller)]
AnyCaller = Annotated[Caller, Depends(any_caller)]


def _folded(key: Annotated[str, Header(alias="Idempotency-Key", pattern=UUID7, description=_KEY)]) -> str:
    return key.lower()


def _folded_or_none(
    key: Annotated[str | None, Header(alias="Idempotency-Key", pattern=UUID7, description=_KEY)] = None,
) -> str | None:
    return key.lower() if key else None


IdempotencyKey = Annotated[str, Depends(_folded)]
MaybeIdempotencyKey = Annotated[str | None, Depends(_folded_or_none)]
