"""Standard Webhooks signatures (v1, HMAC-SHA256) over the exact bytes of a message. Pure: now is handed in.

The signed text is `id.timestamp.body`; several signatures and several secrets allow a secret to be rotated.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from engine.core.errors import Rejected

TOLERANCE_S = 300
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
MESSAGE_ID_CHARACTERS_MAX = 200


def secret_bytes(secret: str) -> bytes:
    """The bytes of a `whsec_…` secret. Raises ValueError where it is no such secret."""
    try:
        raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as problem:
        raise ValueError("a webhook secret is base64 with the prefix whsec_") from problem
    if not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise ValueError(f"a webhook secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return raw


def sign(secret: str, message: str, now_ms: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed message."""
    timestamp = now_ms // 1000
    signature = _signature(secret_bytes(secret), message, timestamp, body)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_ms: int) -> str:
    """The message id of a message that one of the secrets signed within five minutes of now.

    Raises `Rejected("bad_signature")` with `reason`: headers_missing, bad_timestamp, too_old, too_new or
    mismatch.
    """
    message = headers.get("webhook-id", "")
    given = headers.get("webhook-signature", "")
    if not given or not 0 < len(message) <= MESSAGE_ID_CHARACTERS_MAX or not message.isascii():
        raise Rejected("bad_signature", reason="headers_missing")
    timestamp = _timestamp(headers.get("webhook-timestamp", ""), now_ms)
    expected = [_signature(secret_bytes(secret), message, timestamp, body).encode() for secret in secrets]
    for item in given.split(" ")[:10]:
        version, _, signature = item.partition(",")
        offered = signature.encode("utf-8", "surrogateescape")
        if version == "v1" and any(hmac.compare_digest(offered, one) for one in expected):
            return message
    raise Rejected("bad_signature", reason="mismatch")


def _timestamp(text: str, now_ms: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Rejected("bad_signature", reason="bad_timestamp")
    timestamp = int(text)
    if timestamp < now_ms // 1000 - TOLERANCE_S:
        raise Rejected("bad_signature", reason="too_old")
    if timestamp > now_ms // 1000 + TOLERANCE_S:
        raise Rejected("bad_signature", reason="too_new")
    return timestamp


def _signature(secret: bytes, message: str, timestamp: int, body: bytes) -> str:
    signed = f"{message}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
