"""Fetches one page of a feed from an address that somebody wrote into a file: `engine.internet` with limits on size."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from engine.internet import LookUp, PublicInternet, Unreachable, look_up

FIRST_BYTE_S = 10.0
TOTAL_S = 30.0
BODY_BYTES_MAX = 4 * 1024 * 1024


class FetchFailed(Exception):
    """The page could not be had; the text is a short word for it, with no part of the reply.

    is_final: trying again will not help until somebody changes something.
    """

    def __init__(self, problem: str, is_final: bool = False) -> None:
        super().__init__(problem)
        self.is_final = is_final


class Fetcher:
    """Fetches pages. `allows_loopback`: http and https on this machine too, for tests and feeds that run beside.

    `trust`: whose certificates are believed; those that the system believes where it is left out.
    """

    def __init__(
        self,
        allows_loopback: bool = False,
        look_up: LookUp = look_up,
        total_s: float = TOTAL_S,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._total_s = total_s
        timeout = httpx.Timeout(FIRST_BYTE_S, read=min(FIRST_BYTE_S, total_s))
        self._internet = PublicInternet(timeout, allows_loopback, look_up, trust)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._internet.close()

    async def page(self, url: str, parameters: dict[str, str], bearer: str | None) -> bytes:
        """The body of a page. Raises FetchFailed."""
        try:
            async with asyncio.timeout(self._total_s):
                return await self._page(url, parameters, bearer)
        except TimeoutError as problem:
            raise FetchFailed("too slow") from problem
        except httpx.TimeoutException as problem:
            raise FetchFailed("too slow") from problem
        except Unreachable as problem:
            raise FetchFailed(str(problem), problem.is_final) from problem
        except httpx.HTTPError as problem:
            raise FetchFailed(f"no connection ({type(problem).__name__})") from problem

    async def _page(self, url: str, parameters: dict[str, str], bearer: str | None) -> bytes:
        headers = {"Accept": "application/json"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        async with self._internet.reply("GET", url, headers, parameters) as reply:
            return await _body(reply)


async def _body(reply: httpx.Response) -> bytes:
    if reply.is_redirect or 300 <= reply.status_code < 400:
        raise FetchFailed("a redirect, which is not followed", is_final=True)
    if reply.status_code != 200:
        raise FetchFailed(f"status {reply.status_code}", is_final=reply.status_code in (401, 403, 404, 410))
    if reply.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise FetchFailed("a compressed reply, which was not asked for")
    length = reply.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > BODY_BYTES_MAX:
        raise FetchFailed("too large")
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise FetchFailed("too large")
    return bytes(body)
