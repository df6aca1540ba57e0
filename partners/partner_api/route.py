"""What all routes of the partner API share: rate headers on every answer, the idempotency key, pages by cursor."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from engine.api.problems import refusals, response_of
from engine.core.errors import Rejected
from partners.partner_api.rates import Rates

PAGE_MAX = 100
CURSOR_CHARACTERS_MAX = 300
POSTING = ("key_reused", "bad_request")
_COMMON = ("unauthorised", "token_expired", "scope_missing", "rate_limited", "invalid")

LimitQuery = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Rows of a page.")]
CursorQuery = Annotated[
    str, Query(max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of the page before, as it is.")
]


def refusing(*codes: str) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: what every route here refuses for, and this one."""
    return refusals(*_COMMON, *codes)


def rated_route(rates: Rates) -> type[APIRoute]:
    """A route that tells the caller's rate with every answer, refusals included."""

    class RatedRoute(APIRoute):
        """One route."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            original = super().get_route_handler()

            async def answered(request: Request) -> Response:
                try:
                    response = await original(request)
                except (Rejected, RequestValidationError) as problem:
                    response = await response_of(request, problem)
                taken = getattr(request.state, "rate", None)
                if taken is not None:
                    response.headers.update(rates.headers(taken))
                return response

            return answered

    return RatedRoute


def _key(
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            pattern=r'^"?[A-Za-z0-9._:-]{16,128}"?$',
            description="Made and kept by the client, a UUID say, and reused on every retry: what it stands for is done"
            " once. Kept for ever.",
        ),
    ],
) -> str:
    return key.strip('"')


OnceKey = Annotated[str, Depends(_key)]


def journal_key(partner: str, key: str) -> str:
    """The key of a command: no partner's is another's."""
    return f"partner:{partner}:{key}"


def replayed(content: Any, is_replayed: bool, status: int = 200) -> Response:
    """An answer that says whether it was given before."""
    return JSONResponse(content, status, {"Idempotency-Replayed": "true"} if is_replayed else None)


def cursor_of(after: int | str, asked: Any) -> str:
    """Where a page ended, bound to what was asked. Opaque to callers."""
    return base64.urlsafe_b64encode(json.dumps([after, asked]).encode()).decode().rstrip("=")


def after_of(cursor: str, asked: Any, start: Any) -> Any:
    """Behind what the next page begins. Raises Rejected(bad_request) for a cursor of another question."""
    if not cursor:
        return start
    try:
        after, told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        after, told = None, None
    if type(after) is not type(start) or told != json.loads(json.dumps(asked)):
        raise Rejected("bad_request", field="cursor", expected="next_cursor of a page with the same filters")
    if isinstance(after, int) and not 0 <= after < 2**63:
        raise Rejected("bad_request", field="cursor", expected="next_cursor of a page")
    return after
