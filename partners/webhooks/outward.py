"""Sends one signed message to an address that a partner gave us: `engine.internet` with limits on time and size.

Of the answer only the status and `Retry-After` count.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from engine.core.errors import Rejected
from engine.internet import PORTS, Address, LookUp, PublicInternet, Unreachable, is_public, look_up

CONNECT_S = 5.0
TOTAL_S = 20.0
ANSWER_BYTES_MAX = 64 * 1024
URL_CHARACTERS_MAX = 500
AGENT = "Saxaul-Webhooks/1"
_VISIBLE = range(0x21, 0x7F)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a try: the HTTP status, or None and why there is none."""

    status: int | None
    ms: int
    problem: str = ""
    retry_after_s: int | None = None

    @property
    def outcome(self) -> str:
        """delivered, gone (410: it wants no more) or failed."""
        if self.status is not None and 200 <= self.status < 300 and not self.problem:
            return "delivered"
        return "gone" if self.status == 410 else "failed"


def check_url(url: str, allows_loopback: bool) -> str:
    """The address as it is kept. Raises Rejected(bad_webhook) for what could never be delivered to."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise _bad("a web address, https://…") from None
    if len(url) > URL_CHARACTERS_MAX or any(ord(one) not in _VISIBLE for one in url) or not host:
        raise _bad(f"a web address of at most {URL_CHARACTERS_MAX} visible ASCII characters")
    if "@" in parts.netloc or parts.fragment or "\\" in url:
        raise _bad("no user, no password, no fragment")
    is_loopback = host == "localhost" or _is_loopback(host)
    if allows_loopback and is_loopback and parts.scheme in ("http", "https"):
        return url
    if parts.scheme != "https":
        raise _bad("https://")
    if (port or 443) not in PORTS:
        raise _bad(f"port {' or '.join(map(str, sorted(PORTS)))}")
    literal = _literal(host)
    is_public_host = is_public(literal) if literal is not None else "." in host.strip(".")
    if is_loopback or not is_public_host:
        raise _bad("a host of the public internet")
    return url


def _bad(expected: str) -> Rejected:
    return Rejected("bad_webhook", field="url", expected=expected)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    literal = _literal(host)
    return literal is not None and literal.is_loopback


class Outward:
    """Sends messages. `allows_loopback`: to this machine too, also by http, for development. `trust`: whose
    certificates are believed; those that the system believes where it is left out."""

    def __init__(
        self,
        allows_loopback: bool = False,
        look_up: LookUp = look_up,
        total_s: float = TOTAL_S,
        trust: ssl.SSLContext | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total_s, self._now_s = total_s, now_s
        timeout = httpx.Timeout(total_s, connect=min(CONNECT_S, total_s))
        self._internet = PublicInternet(timeout, allows_loopback, look_up, trust)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._internet.close()

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Sent:
        """One try. Never raises for what the other side does."""
        began = self._now_s()

        def sent(status: int | None, problem: str = "", retry_after_s: int | None = None) -> Sent:
            return Sent(status, int((self._now_s() - began) * 1000), problem, retry_after_s)

        try:
            async with asyncio.timeout(self._total_s):
                status, problem, retry_after_s = await self._send(url, headers, body)
            return sent(status, problem, retry_after_s)
        except (TimeoutError, httpx.TimeoutException):
            return sent(None, "too slow")
        except Unreachable as refusal:
            return sent(None, str(refusal))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
            return sent(None, f"no connection ({type(problem).__name__})")

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str, int | None]:
        told = {**headers, "Content-Type": "application/json", "User-Agent": AGENT}
        async with self._internet.reply("POST", url, told, content=body) as reply:
            problem = await _read(reply)
            return reply.status_code, problem, _retry_after(reply.headers.get("retry-after", ""))


async def _read(reply: httpx.Response) -> str:
    """Read the answer away as far as it may go, and say what is wrong with it."""
    if 300 <= reply.status_code < 400:
        return "a redirect, which is not followed"
    read = 0
    async for chunk in reply.aiter_raw():
        read += len(chunk)
        if read > ANSWER_BYTES_MAX:
            return (
                "" if reply.is_success else f"status {reply.status_code}"
            )  # it has what it needs; the rest is noise
    return "" if reply.is_success else f"status {reply.status_code}"


def _retry_after(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
