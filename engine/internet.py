"""Sends requests to addresses that somebody gave us, and reaches nothing but the public internet.

The name is looked up once, every answer must be a public address, and the connection goes to an address that was looked
at, with the name for its certificate: a name that changes its mind in between gains nothing. No redirects, no proxy of
the environment, no compression (a small reply could unfold without end).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import httpx

PORTS = frozenset({443, 8443})
_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]


class Unreachable(Exception):
    """The address may not be connected to, or is nobody's; the text is a short word for it and names no address.

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


class PublicInternet:
    """Sends requests. `allows_loopback`: to this machine too, also by http, for tests and what runs beside.

    `trust`: whose certificates are believed; those that the system believes where it is left out.
    """

    def __init__(
        self,
        timeout: httpx.Timeout,
        allows_loopback: bool = False,
        look_up: LookUp = look_up,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allows_loopback, self._look_up = allows_loopback, look_up
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            verify=trust or True,
            # connections are known by their address: one that is kept would be used for another name's certificate
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def reply(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        parameters: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The reply while the block runs, its body not read yet. Raises Unreachable, httpx.HTTPError."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        address = await self._checked(parts, host)
        netloc = f"[{address}]" if address.version == 6 else str(address)
        if parts.port is not None:
            netloc += f":{parts.port}"
        target = httpx.URL(parts._replace(netloc=netloc).geturl()).copy_merge_params(parameters or {})
        told = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        request = self._client.build_request(method, target, headers=told, content=content)
        request.extensions = {**request.extensions, "sni_hostname": host}
        reply = await self._client.send(request, stream=True)
        try:
            yield reply
        finally:
            await reply.aclose()

    async def _checked(self, parts: SplitResult, host: str) -> Address:
        """An address of the host that may be connected to. Raises Unreachable."""
        try:
            found = await self._look_up(host, parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, UnicodeError) as problem:
            raise Unreachable("unknown host") from problem
        addresses = [ipaddress.ip_address(one.partition("%")[0]) for one in found]
        if not addresses:
            raise Unreachable("unknown host")
        if self._allows_loopback and all(one.is_loopback for one in addresses):
            return addresses[0]
        if parts.scheme != "https":
            raise Unreachable("not https", is_final=True)
        if (parts.port or 443) not in PORTS:
            raise Unreachable("not port 443 or 8443", is_final=True)
        if not all(is_public(one) for one in addresses):
            raise Unreachable("not a public address", is_final=True)
        return addresses[0]
