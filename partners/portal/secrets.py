"""Passwords, links, cookies and form tokens: how each is made and told from a forgery. No I/O.

What is stored is a hash; what travels is signed. A token in a page differs each time, so that compressing pages
tells nobody anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_CHARACTERS_MIN = 10
PASSWORD_CHARACTERS_MAX = 200
TOKEN_CHARACTERS_MAX = 200
_hasher = PasswordHasher()  # argon2id with the library's figures: 64 MiB, 3 passes
_NOBODY = _hasher.hash("nobody has this password")


def password_problem(password: str, staff: str) -> str | None:
    """Why it can't be a password (code), or None. Length is what counts; nothing is asked of its letters."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        return "password_short"
    if len(password) > PASSWORD_CHARACTERS_MAX:
        return "password_long"
    name = staff.rpartition("/")[2].casefold()
    if len(set(password)) < 5 or password.casefold().strip("0123456789") in ("", name, "password", "saxaul"):
        return "password_plain"
    return None


def hashed(password: str) -> str:
    """What is stored of a password. Takes a tenth of a second and 64 MiB on purpose."""
    return _hasher.hash(password)


def is_password(stored: str, password: str) -> bool:
    """Whether it is the password; takes as long where there is none, so that nobody learns which ids exist."""
    try:
        return _hasher.verify(stored or _NOBODY, password[:PASSWORD_CHARACTERS_MAX]) and stored != ""
    except (VerificationError, InvalidHashError):
        return False


def new_token() -> str:
    """A secret that can't be guessed: 256 bits, fit for a link."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Seals:
    """Signs what browsers keep for us. `secret` is made of the server's key."""

    secret: bytes

    @classmethod
    def of(cls, server_key: str) -> Seals:
        """The portal's own secret."""
        return cls(hmac.digest(server_key.encode(), b"saxaul portal seals", "sha256"))

    def cookie(self, token: str) -> str:
        """A token as a cookie carries it."""
        return f"{token}.{self._mac('cookie', token)}"

    def opened(self, cookie: str) -> str | None:
        """The token of a cookie that we have signed."""
        token, _, mac = cookie[:TOKEN_CHARACTERS_MAX].rpartition(".")
        return token if token and _same(mac, self._mac("cookie", token)) else None

    def form_token(self, browser: str) -> str:
        """What a form must bring back to show that it was ours, in this browser."""
        nonce = secrets.token_urlsafe(9)
        return f"{nonce}.{self._mac('form', browser, nonce)}"

    def is_form_token(self, browser: str, token: str) -> bool:
        """Whether a form was given out to this browser."""
        nonce, _, mac = token[:TOKEN_CHARACTERS_MAX].partition(".")
        return bool(browser and nonce) and _same(mac, self._mac("form", browser, nonce))

    def _mac(self, *parts: str) -> str:
        text = "\n".join(("saxaul-portal-1", *parts)).encode("utf-8", "surrogateescape")
        return base64.urlsafe_b64encode(hmac.digest(self.secret, text, "sha256")[:18]).decode()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
