"""Upload passes: what a partner's own program makes from its key and puts on the phones of those who take photos.

A pass names the partner and its end and carries an HMAC over both, so the key itself never travels. Pure.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence

from engine.core.errors import Rejected
from partners.signing import secret_bytes

LIFE_S_MAX = 31 * 86_400
_PURPOSE = "saxaul-evidence-pass-1"
_CHARACTERS_MAX = 300


def make_pass(secret: str, partner: str, expires_s: int) -> str:
    """A bearer token for the partner's uploads until the second `expires_s` of the Unix clock."""
    return f"{partner}~{expires_s}~{_mac(secret, partner, expires_s)}"


def read_pass(keys: Mapping[str, Sequence[str]], token: str, now_ms: int) -> str:
    """The partner that a pass speaks for. Raises Rejected(unauthorised | token_expired)."""
    partner, _, rest = token[:_CHARACTERS_MAX].partition("~")
    expires, _, given = rest.partition("~")
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise Rejected("unauthorised")
    expires_s = int(expires)
    expected = [_mac(secret, partner, expires_s).encode() for secret in keys.get(partner, ())]
    offered = given.encode("utf-8", "surrogateescape")
    matches = [hmac.compare_digest(offered, one) for one in expected]  # all of them, whichever it is
    if not any(matches):
        raise Rejected("unauthorised")
    now_s = now_ms // 1000
    if expires_s <= now_s:
        raise Rejected("token_expired")
    if expires_s > now_s + LIFE_S_MAX:
        raise Rejected("unauthorised", expected=f"a pass for at most {LIFE_S_MAX // 86_400} days")
    return partner


def _mac(secret: str, partner: str, expires_s: int) -> str:
    text = f"{_PURPOSE}\n{partner}\n{expires_s}".encode()
    return base64.urlsafe_b64encode(hmac.digest(secret_bytes(secret), text, "sha256")).decode().rstrip("=")
