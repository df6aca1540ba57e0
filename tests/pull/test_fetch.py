"""An address in a file reaches the public internet and nothing else, however it is written or resolved."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from engine.internet import is_public
from engine.pull.fetch import Fetcher, FetchFailed
from tests.pull.conftest import Upstream, page

INSIDE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::1",
    "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_what_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


class Names:
    """A resolver that answers one after the other, as one that rebinds would."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.mark.parametrize("address", [*INSIDE, "fe80::1%eth0"])
async def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    fetcher = Fetcher(look_up=Names([address]))
    with pytest.raises(FetchFailed, match="not a public address") as refused:
        await fetcher.page("https://feed.example/v1", {}, None)
    assert refused.value.is_final
    await fetcher.close()


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    fetcher = Fetcher(look_up=Names(["93.184.216.34", "10.0.0.1"]))
    with pytest.raises(FetchFailed, match="not a public address"):
        await fetcher.page("https://feed.example/v1", {}, None)
    await fetcher.close()


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f000001", "2130706433", "017700000001", "0", "localhost", "[::1]"]
)
async def test_ways_to_write_this_machine(host: str) -> None:
    """With the system's own resolver."""
    fetcher = Fetcher()
    with pytest.raises(FetchFailed, match=r"not a public address|unknown host"):
        await fetcher.page(f"https://{host}/", {}, None)
    await fetcher.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://feed.example/", "not https"),
        ("https://feed.example:22/", "not port"),
        ("https://feed.example:80/", "not port"),
    ],
)
async def test_only_https_on_its_ports(url: str, says: str) -> None:
    fetcher = Fetcher(look_up=Names(["93.184.216.34"]))
    with pytest.raises(FetchFailed, match=says):
        await fetcher.page(url, {}, None)
    await fetcher.close()


async def test_a_name_that_changes_its_mind_is_looked_up_once(upstream: Upstream) -> None:
    """The connection goes to the address that was looked at; loopback is allowed here so that there is a server."""
    upstream.pages({"": page()})
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    fetcher = Fetcher(allows_loopback=True, look_up=names)
    await fetcher.page(f"http://feed.example:{upstream.port}/feed?x=1", {"cursor": ""}, None)
    assert names.asked == 1
    assert upstream.requests[0].headers["host"] == f"feed.example:{upstream.port}"
    with pytest.raises(FetchFailed, match="not https"):
        await fetcher.page(f"http://feed.example:{upstream.port}/feed", {}, None)
    await fetcher.close()


async def test_loopback_only_where_it_is_allowed(upstream: Upstream) -> None:
    upstream.pages({"": page()})
    fetcher = Fetcher()
    with pytest.raises(FetchFailed):
        await fetcher.page(upstream.url, {}, None)
    assert not upstream.requests
    await fetcher.close()


async def test_a_proxy_of_the_environment_is_not_used(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.pages({"": page()})
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    fetcher = Fetcher(allows_loopback=True)
    async with asyncio.timeout(5):
        assert await fetcher.page(upstream.url, {}, None)
    await fetcher.close()
