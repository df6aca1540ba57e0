"""Who a client is: checks the tokens that the app signs (HMAC secret or JWKS), and signs demo tokens.

Every edge refuses the same tokens for the same reasons. Knows no accounts: whether the user exists is not
asked here.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import structlog

from engine.core.errors import Rejected
from engine.core.units import ID_MAX

log = structlog.get_logger(__name__)

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
KEY_SET_ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
SECRET_BYTES_MIN = 32
LEEWAY_S = 5.0  # how far the app's clock may be ahead of ours (nbf, iat)
TOKEN_CHARS_MAX = 8192
KEY_SET_BYTES_MAX = 256 * 1024
KEY_SET_FRESH_S = 3600.0
KEY_SET_RETRY_S = 10.0  # unknown key ids fetch the set again, at most this often
KEY_SET_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token speaks for, and until when (Unix seconds; None: without end)."""

    user: int
    expires_at_s: float | None


class TokenVerifier:
    """Checks signature, audience, times and subject of a token.

    Exactly one of `secret` (HMAC) and `keys` (a key set, see `KeySet`) is given. `audience` must be named by
    every token, so that a token for another service opens nothing here. Raises ValueError for a short secret.
    """

    def __init__(
        self,
        *,
        secret: str | None = None,
        keys: "KeySet | None" = None,
        audience: str | None = "saxaul",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if bool(secret) == bool(keys):
            raise ValueError("give either the secret or the key set that tokens are signed with")
        if secret is not None and len(secret.encode()) < SECRET_BYTES_MIN:
            raise ValueError(f"the token secret has under {SECRET_BYTES_MIN} bytes")
        self._secret = secret
        self._keys = keys
        self._audience = audience
        self._clock = clock

    async def verify(self, token: str) -> Bearer:
        """Raises Rejected: token_expired (get a new one), token_invalid (forged, foreign or broken), or
        unavailable where the key set can't be fetched.
        """
        if self._keys is None:
            return self._judge(token, self._secret, HMAC_ALGORITHMS)
        key = await self._keys.key_of(_key_id(token))
        return self._judge(token, key, KEY_SET_ALGORITHMS)

    def _judge(self, token: str, key: Any, algorithms: tuple[str, ...]) -> Bearer:
        if not token or len(token) > TOKEN_CHARS_MAX:
            raise Rejected("token_invalid")
        has_audience = self._audience is not None
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(algorithms),
                audience=self._audience,
                options={
                    "require": ["sub", "aud"] if has_audience else ["sub"],
                    "verify_aud": has_audience,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Rejected("token_invalid") from None
        return self._bearer(claims)

    def _bearer(self, claims: dict[str, Any]) -> Bearer:
        """Times are judged here, by our clock; PyJWT would use its own."""
        now = self._clock()
        expires, not_before = _instant(claims, "exp"), _instant(claims, "nbf")
        user = _user(claims.get("sub"))
        if user is None or (not_before is not None and not_before > now + LEEWAY_S):
            raise Rejected("token_invalid")
        if expires is not None and expires <= now:
            raise Rejected("token_expired")
        return Bearer(user, expires)


class KeySet:
    """The app's public keys (RFC 7517) by key id; `source` is a file or an https address, read again for
    unknown keys.
    """

    def __init__(self, source: Path | str) -> None:
        self._source = source
        self._keys: dict[str | None, Any] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key_of(self, key_id: str | None) -> Any:
        """The key of that id; without an id, the only key there is. Raises Rejected(token_invalid |
        unavailable).
        """
        if key_id not in self._keys or time.monotonic() - self._fetched_at > KEY_SET_FRESH_S:
            await self._fetch_again()
        if key_id in self._keys:
            return self._keys[key_id]
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        raise Rejected("token_invalid" if self._keys else "unavailable")

    async def _fetch_again(self) -> None:
        """At most one request at a time and one a few seconds; old keys serve on while the issuer is away."""
        async with self._lock:
            if time.monotonic() - self._tried_at < KEY_SET_RETRY_S:
                return
            self._tried_at = time.monotonic()
            try:
                self._keys = parse_key_set(await self._get())
                self._fetched_at = time.monotonic()
            except (httpx.HTTPError, OSError, ValueError) as problem:
                log.warning("key_set_unavailable", problem=type(problem).__name__)

    async def _get(self) -> bytes:
        if isinstance(self._source, Path):
            return await asyncio.to_thread(self._source.read_bytes)
        async with (
            httpx.AsyncClient(timeout=KEY_SET_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("GET", self._source) as response,
        ):
            response.raise_for_status()
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > KEY_SET_BYTES_MAX:
                    raise ValueError("key set too large")
            return body


def parse_key_set(body: bytes) -> dict[str | None, Any]:
    """Signature keys by id; keys of kinds that we do not know are left out. Raises ValueError where none is
    usable.
    """
    try:
        listed = json.loads(body)["keys"]
        rows = [row for row in listed if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError) as problem:
        raise ValueError("not a JSON Web Key Set") from problem
    keys: dict[str | None, Any] = {}
    for row in rows:
        if row.get("use", "sig") != "sig" or row.get("kty") == "oct":
            continue  # a symmetric key in a public set would let anybody sign
        try:
            keys[row.get("kid")] = jwt.PyJWK.from_dict(row)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
    if not keys:
        raise ValueError("no usable key in the set")
    return keys


def sign_demo_token(
    secret: str,
    user: int,
    *,
    audience: str | None = "saxaul",
    ttl_s: float | None = 3600.0,
    now_s: float | None = None,
) -> str:
    """A token as an app would sign it; `saxaul token` and tests use it. `ttl_s` None: it never expires."""
    now = time.time() if now_s is None else now_s
    claims: dict[str, Any] = {"sub": str(user), "iat": int(now)}
    if audience is not None:
        claims["aud"] = audience
    if ttl_s is not None:
        claims["exp"] = int(now + ttl_s)
    return jwt.encode(claims, secret, algorithm="HS256")


def _key_id(token: str) -> str | None:
    if len(token) > TOKEN_CHARS_MAX:
        raise Rejected("token_invalid")
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Rejected("token_invalid") from None
    return key_id if isinstance(key_id, str) else None


def _instant(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        raise Rejected("token_invalid")
    return float(value)


def _user(subject: object) -> int | None:
    """The user id that `sub` names as a decimal string."""
    if not isinstance(subject, str) or not 0 < len(subject) <= 16:
        return None
    if not (subject.isascii() and subject.isdigit()) or subject[0] == "0":
        return None
    user = int(subject)
    return user if user <= ID_MAX else None
