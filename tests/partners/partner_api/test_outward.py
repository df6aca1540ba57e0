"""A webhook reaches the public internet and nothing else; a hostile receiver costs little and learns nothing."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.core.errors import Rejected
from partners.webhooks.outward import Outward, check_url
from tests.partners.partner_api.receiver import Names, Receiver, receiving

URL = "https://elm.example/hook"


@pytest.mark.parametrize(
    "url",
    [
        "http://elm.example/",
        "https://elm.example:22/",
        "https://elm.example:99999/",
        "https://u:p@elm.example/",
        "https://elm.example/#a",
        "https://elm.example\\@127.0.0.1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://2130706433/",
        "https://localhost/",
        "https://intranet/",
        "https:///x",
        "ftp://elm.example/",
        "//elm.example/",
        "javascript:alert(1)",
        "https://elm.example/\r\nHost: x",
        "https://榆树.example/",
        "https://[x/",
        "https://elm.example/" + "a" * 500,
    ],
)
def test_addresses_that_are_not_taken(url: str) -> None:
    with pytest.raises(Rejected) as refused:
        check_url(url, allows_loopback=False)
    assert (refused.value.code, refused.value.fields["field"]) == ("bad_webhook", "url")


@pytest.mark.parametrize("url", [URL, "https://elm.example:8443/a?b=c", "https://[2606:4700:4700::1111]/x"])
def test_addresses_that_are_taken(url: str) -> None:
    assert check_url(url, allows_loopback=False) == url


def test_loopback_is_for_development() -> None:
    for url in ("http://127.0.0.1:9000/x", "http://localhost:9000/x", "https://[::1]:9000/"):
        assert check_url(url, allows_loopback=True) == url
    with pytest.raises(Rejected):
        check_url("http://10.0.0.1:9000/x", allows_loopback=True)


INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip


async def test_a_name_that_leads_inside_is_refused() -> None:
    for address in INSIDE:
        for answers in ([address], ["93.184.216.34", address]):
            outward = Outward(look_up=Names(answers))
            sent = await outward.send(URL, {}, b"{}")
            assert (sent.status, sent.problem, sent.outcome) == (None, "not a public address", "failed"), (
                address
            )
            await outward.close()


async def test_a_name_that_changes_its_mind_is_looked_up_once() -> None:
    async with receiving() as at:
        names = Names(["127.0.0.1"], ["10.0.0.1"])
        outward = Outward(allows_loopback=True, look_up=names)
        sent = await outward.send(f"http://elm.example:{at.port}/hook", {}, b"{}")
        assert (sent.outcome, names.asked, at.got[0].headers["host"]) == (
            "delivered",
            1,
            f"elm.example:{at.port}",
        )
        again = await outward.send(f"http://elm.example:{at.port}/hook", {}, b"{}")
        assert (again.outcome, len(at.got)) == ("failed", 1)
        await outward.close()


async def test_loopback_only_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with receiving() as at:
        closed, open_ = Outward(), Outward(allows_loopback=True)
        assert (await closed.send(at.url, {}, b"{}")).outcome == "failed"
        assert at.got == []
        assert (await open_.send(at.url, {}, b"{}")).outcome == "delivered"  # by no proxy
        await closed.close()
        await open_.close()


async def send_to(at: Receiver, total_s: float = 5.0) -> tuple[int | None, str, str]:
    outward = Outward(allows_loopback=True, total_s=total_s)
    try:
        sent = await outward.send(at.url, {}, b"{}")
    finally:
        await outward.close()
    return sent.status, sent.outcome, sent.problem


async def test_what_answers_mean() -> None:
    async with receiving() as at:
        for status in (200, 201, 204, 299):
            at.statuses = [status]
            assert (await send_to(at))[1] == "delivered"
        at.more = f"Location: http://127.0.0.1:{at.port}/elsewhere\r\n"
        for status in (301, 302, 303, 307, 308):
            at.statuses = [status]
            assert await send_to(at) == (status, "failed", "a redirect, which is not followed")
        assert len(at.got) == 9
        for status, outcome in ((400, "failed"), (410, "gone"), (429, "failed"), (500, "failed")):
            at.statuses = [status]
            assert await send_to(at) == (status, outcome, f"status {status}")


async def test_hostile_receivers_are_cut_off() -> None:
    async def endless(out: asyncio.StreamWriter) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            out.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await out.drain()

    async def dripping(out: asyncio.StreamWriter) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
        while True:
            out.write(b"x")
            await out.drain()
            await asyncio.sleep(0.02)

    async def unfolding(out: asyncio.StreamWriter) -> None:
        out.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello")
        await out.drain()

    async def nonsense(out: asyncio.StreamWriter) -> None:
        out.write(b"SSH-2.0-OpenSSH_9\r\n" + b"\xff" * 1000)
        await out.drain()

    async def nothing(out: asyncio.StreamWriter) -> None:
        out.close()

    async with receiving() as at:
        for raw, expected in (
            (endless, (200, "delivered", "")),
            (dripping, (None, "failed", "too slow")),
            (unfolding, (200, "delivered", "")),
            (nonsense, (None, "failed", "no connection (RemoteProtocolError)")),
            (nothing, (None, "failed", "no connection (RemoteProtocolError)")),
        ):
            at.raw = raw
            assert await send_to(at, 0.3) == expected, raw.__name__
        at.hang = True
        assert await send_to(at, 0.2) == (None, "failed", "too slow")


async def test_the_certificate_is_that_of_the_name(tmp_path: Path) -> None:
    ours = certificate(tmp_path, "elm.example")
    theirs = ssl.create_default_context(cafile=str(ours))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(ours)
    async with receiving(serving) as at:
        outward = Outward(allows_loopback=True, look_up=Names(["127.0.0.1"]), trust=theirs)
        assert (await outward.send(f"https://elm.example:{at.port}/", {}, b"{}")).outcome == "delivered"
        # a second name at the same address gets no connection that was made for the first
        other = await outward.send(f"https://oak.example:{at.port}/", {}, b"{}")
        assert (other.status, len(at.got)) == (None, 1)
        await outward.close()


def certificate(folder: Path, host: str) -> Path:
    """A certificate for the host with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "host.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
