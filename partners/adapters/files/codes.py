"""Codes that can't be guessed: one per order in the sheet, and one in the Message-ID of each mail that we send. Pure.

A sender's address can be forged; who forges it does not know the code.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence

from engine.core.numbers import order_number
from partners.signing import secret_bytes

CODE_BYTES = 12
_IN_SUBJECT = re.compile(r"\b(PO-[0-9]{6,16}-[0-9A-Z])[ /]+([a-z2-7]{20})\b")
_IN_MESSAGE_ID = re.compile(r"<(submit|cancel|remind)\.([0-9]{1,16})\.([0-9]{1,16})\.([a-z2-7]{20})@")


def check_code(key: str, partner: str, order: int) -> str:
    """The code of an order: 96 bits in 20 letters and figures."""
    return _code(key, f"order:{partner}:{order}")


def is_check_code(keys: Sequence[str], partner: str, order: int, offered: str) -> bool:
    """Whether it is the order's code by one of the keys (the second and later: rotated out, still accepted)."""
    given = offered.strip().lower().encode()
    return any(hmac.compare_digest(given, check_code(key, partner, order).encode()) for key in keys)


def codes_in_subject(subject: str) -> dict[str, str]:
    """Order number → code, as our subjects carry them and answers repeat them."""
    return dict(_IN_SUBJECT.findall(subject[:1000]))


def message_id(key: str, partner: str, kind: str, order: int, serial: int, domain: str) -> str:
    """The Message-ID of a mail about an order; the same whenever the same mail is sent."""
    code = _code(key, f"{kind}:{partner}:{order}:{serial}")
    return f"<{kind}.{order}.{serial}.{code}@{domain}>"


def mail_named(keys: Sequence[str], partner: str, text: str) -> tuple[str, int] | None:
    """(kind, order) of the first Message-ID of ours in the text, or None; made-up ones are not ours."""
    for kind, order, serial, code in _IN_MESSAGE_ID.findall(text[:65_536]):
        for key in keys:
            expected = _code(key, f"{kind}:{partner}:{int(order)}:{int(serial)}")
            if hmac.compare_digest(code.encode(), expected.encode()):
                return kind, int(order)
    return None


def subject_mark(key: str, partner: str, order: int) -> str:
    """What stands in brackets in a subject."""
    return f"[{order_number(order)} {check_code(key, partner, order)}]"


def _code(key: str, text: str) -> str:
    digest = hmac.digest(secret_bytes(key), b"saxaul files:" + text.encode(), "sha256")
    return base64.b32encode(digest[:CODE_BYTES]).decode().rstrip("=").lower()
