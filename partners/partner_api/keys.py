"""Keys of the partner API: how they are written, and who a request with one speaks for.

`sxp_live_0a1b2c3d4e_…`: a mark that scanners of leaked secrets can find, whether it is for earnest or for practice, an
id that may be shown, and 256 random bits that stand nowhere but at the partner's.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.core.errors import Rejected
from engine.core.units import rfc3339
from engine.writer import Overloaded
from partners.api import Desk, reading
from partners.core.api_commands import NoteKeyUse
from partners.core.keys import counts
from partners.partner_api.rates import Rates
from partners.store.api_queries import partner_key

USE_NOTED_EVERY_MS = 60_000
ID_CHARACTERS = len("sxp_live_0a1b2c3d4e")
_KEY = re.compile(r"sxp_(live|test)_[0-9a-f]{10}_[A-Za-z0-9_-]{43}")
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="PartnerKey",
    description="A partner's key, `sxp_live_…` or `sxp_test_…` (docs/partner-api.md).",
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: shown once, kept as a digest."""

    id: str
    text: str
    digest: str

    def __repr__(self) -> str:
        return f"NewKey({self.id}_…)"


def new_key(is_test: bool) -> NewKey:
    """A key of 256 random bits."""
    name = f"sxp_{'test' if is_test else 'live'}_{secrets.token_hex(5)}"
    text = f"{name}_{secrets.token_urlsafe(32)}"
    return NewKey(name, text, digest_of(text))


def digest_of(text: str) -> str:
    """SHA-256 of a key. It needs no salt and no slowness: nobody guesses 256 random bits."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    """A partner that calls: which key, for what, and whether it is for practice."""

    partner: str
    key: str
    scopes: tuple[str, ...]
    is_test: bool
    expires_at: int | None

    def shown(self) -> dict[str, Any]:
        """What a key may know of itself."""
        return {
            "partner": self.partner,
            "key": self.key,
            "mode": "test" if self.is_test else "live",
            "scopes": list(self.scopes),
            "expires_at": rfc3339(self.expires_at) if self.expires_at is not None else None,
        }


class Gate:
    """Lets requests with a good key in, at the key's rate. A key is looked up each time, so that one which is revoked
    counts no more at once."""

    def __init__(self, desk: Desk, rates: Rates) -> None:
        self._desk, self._rates = desk, rates
        self._noted: dict[str, int] = {}

    def scope(self, name: str) -> Callable[..., Awaitable[Caller]]:
        """A dependency: the caller, whose key has the scope. Raises Rejected."""

        async def caller(
            request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
        ) -> Caller:
            found = await self._caller(request, given)
            if name and name not in found.scopes:
                raise Rejected("scope_missing", scope=name)
            return found

        return caller

    async def _caller(self, request: Request, given: HTTPAuthorizationCredentials | None) -> Caller:
        text = given.credentials if given is not None else ""
        if _KEY.fullmatch(text) is None:
            raise Rejected("unauthorised")
        async with reading(self._desk) as reader:
            row = await partner_key(reader, text[:ID_CHARACTERS])
        now = self._desk.writer.clock.now_ms()
        if row is None or not hmac.compare_digest(digest_of(text), row.digest) or row.revoked_at is not None:
            raise Rejected("unauthorised")
        if not counts(row, now):
            raise Rejected("token_expired")
        taken = self._rates.take(row.id)
        request.state.rate = taken
        if not taken.is_granted:
            raise Rejected("rate_limited", requests_per_s=self._rates.per_s)
        self._note_use(row.id, now)
        return Caller(row.partner, row.id, tuple(row.scopes), row.is_test, row.expires_at)

    def _note_use(self, name: str, now: int) -> None:
        """Once a minute and key; nobody waits for it, and a full queue loses it."""
        if now - self._noted.get(name, 0) < USE_NOTED_EVERY_MS:
            return
        self._noted[name] = now
        try:
            self._desk.writer.post(NoteKeyUse(None, name, now), lambda outcome: None)
        except Overloaded:
            pass
