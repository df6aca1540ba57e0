"""Checks that a request comes from a source: the Standard Webhooks scheme over the exact bytes of the body.

Signed is `id.timestamp.body` with HMAC-SHA256; while a secret is being rotated, the old one is accepted too. The
scheme's own library is not used for checking: its clock, its tolerance and its single secret can't be chosen.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.errors import Rejected
from engine.store.database import Database, DatabaseAway

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret
SIGNATURES_MAX = 8
MESSAGE_ID_CHARACTERS_MAX = 255
MESSAGES_KEPT_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Signed:
    """The three headers of a signed request. `timestamp` in seconds since the epoch."""

    message: str
    timestamp: str
    signatures: tuple[bytes, ...]

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> "Signed":
        """Raises Rejected(bad_signature) where one is missing or malformed."""
        message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        told = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
        signatures = tuple(sig for one in told if (sig := _signature(one)) is not None)
        if not 0 < len(message) <= MESSAGE_ID_CHARACTERS_MAX or not (
            timestamp.isascii() and timestamp.isdigit()
        ):
            raise Rejected("bad_signature", reason="webhook-id and webhook-timestamp are needed")
        if len(timestamp) > 12 or not signatures:
            raise Rejected("bad_signature", reason="webhook-signature must hold v1 signatures")
        return cls(message, timestamp, signatures)


def _signature(text: str) -> bytes | None:
    version, _, encoded = text.partition(",")
    if version != "v1":
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None


def key_of(secret: str) -> bytes:
    """The bytes that a source's secret (`whsec_` and base64) stands for. Raises ValueError."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")
    if not key:
        raise ValueError("an empty secret signs nothing")
    return key


def new_secret() -> str:
    """A secret for a source, 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class Messages:
    """Message ids of the last minutes with a hash of their bytes: the same id never stands for two messages."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._seen: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()

    def note(self, source: str, message: str, body: bytes, now_s: float) -> None:
        """Raises Rejected(message_reused) where the id came with other bytes before."""
        while self._seen and (
            len(self._seen) >= MESSAGES_KEPT_MAX or next(iter(self._seen.values()))[0] < now_s - self._kept_s
        ):
            self._seen.popitem(last=False)
        digest = hashlib.blake2b(body, digest_size=16).digest()
        known = self._seen.setdefault((source, message), (now_s, digest))
        if known[1] != digest:
            raise Rejected("message_reused")


async def check(
    db: Database, source: str, signed: Signed, body: bytes, now_ms: int, tolerance_s: int
) -> None:
    """Raises Rejected(bad_signature) unless the source has signed these bytes now. Unknown sources look alike."""
    if abs(int(signed.timestamp) - now_ms / 1000) > tolerance_s:
        raise Rejected(
            "bad_signature", reason="webhook-timestamp is too far from now", tolerance_s=tolerance_s
        )
    content = f"{signed.message}.{signed.timestamp}.".encode() + body
    for key in await _keys(db, source, now_ms):
        expected = hmac.digest(key, content, "sha256")
        matches = [hmac.compare_digest(expected, signature) for signature in signed.signatures]
        if any(matches):
            return
    raise Rejected("bad_signature")


async def _keys(db: Database, source: str, now_ms: int) -> list[bytes]:
    """The keys that the source may sign with now; a random one where there is no such source."""
    try:
        async with db.snapshot() as reader:
            rows = await reader.fetch(
                "SELECT secret, old_secret, old_until_at FROM sources WHERE id = ?", source
            )
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    if not rows:
        return [secrets.token_bytes(32)]
    secret, old_secret, old_until_at = rows[0]
    accepted = [secret]
    if old_secret is not None and old_until_at is not None and now_ms < old_until_at:
        accepted.append(old_secret)
    return [key_of(one) for one in accepted]
