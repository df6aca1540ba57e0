"""Fetches one page from an address that somebody wrote into a file, and reaches nothing but the public internet.

The name is looked up once, every answer must be a public address, and the connection goes to an address that was looked
at: a name that changes its mind in between gains nothing. No redirects, no proxy of the environment, no compression
(a small reply could unfold without end), and limits on time and size.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import httpx

FIRST_BYTE_S = 10.0
TOTAL_S = 30.0
BODY_BYTES_MAX = 4 * 1024 * 1024
PORTS = frozenset({443, 8443})
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchFailed(Exception):
    """The page could not be had; the text is a short word for it, with no part of the reply.

    is_final: trying again will not help until somebody changes something.
    """

    def __init__(self, problem: str, is_final: bool = False) -> None:
        super().__init__(problem)
        self.is_final = is_final


async def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def is_public(address: Address) -> bool:
    """Whether the address belongs to the public internet, also behind what wraps IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour is not None or address.teredo is not None:
            return False
        if any(address in network for network in _NAT64):
            return False
    return address.is_global and not address.is_multicast


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
        self._allows_loopback, self._look_up, self._total_s = allows_loopback, look_up, total_s
        timeout = httpx.Timeout(FIRST_BYTE_S, read=min(FIRST_BYTE_S, total_s))
        verify: ssl.SSLContext | bool = trust or True
        # connections are known by their address: one that is kept would be used for another name's certificate
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=timeout, verify=verify, limits=limits
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()

    async def page(self, url: str, parameters: dict[str, str], bearer: str | None) -> bytes:
        """The body of a page. Raises FetchFailed."""
        try:
            async with asyncio.timeout(self._total_s):
                return await self._page(url, parameters, bearer)
        except TimeoutError as problem:
            raise FetchFailed("too slow") from problem
        except httpx.TimeoutException as problem:
            raise FetchFailed("too slow") from problem
        except httpx.HTTPError as problem:
            raise FetchFailed(f"no connection ({type(problem).__name__})") from problem

    async def _page(self, url: str, parameters: dict[str, str], bearer: str | None) -> bytes:
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = await self._checked(parts.scheme, host, parts.port)
        netloc = f"[{address}]" if address.version == 6 else str(address)
        if parts.port is not None:
            netloc += f":{parts.port}"
        target = httpx.URL(parts._replace(netloc=netloc).geturl()).copy_merge_params(parameters)
        headers = {"Host": parts.netloc, "Accept": "application/json", "Accept-Encoding": "identity"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        request = self._client.build_request("GET", target, headers=headers)
        request.extensions = {**request.extensions, "sni_hostname": host}
        reply = await self._client.send(request, stream=True)
        try:
            return await _body(reply)
        finally:
            await reply.aclose()

    async def _checked(self, scheme: str, host: str, port: int | None) -> Address:
        """An address of the host that may be connected to. Raises FetchFailed."""
        try:
            found = await self._look_up(host, port or (443 if scheme == "https" else 80))
        except OSError as problem:
            raise FetchFailed("unknown host") from problem
        addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        if not addresses:
            raise FetchFailed("unknown host")
        if self._allows_loopback and all(one.is_loopback for one in addresses):
            return addresses[0]
        if scheme != "https":
            raise FetchFailed("not https", is_final=True)
        if (port or 443) not in PORTS:
            raise FetchFailed("not port 443 or 8443", is_final=True)
        if not all(is_public(one) for one in addresses):
            raise FetchFailed("not a public address", is_final=True)
        return addresses[0]


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
