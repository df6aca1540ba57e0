"""A running server pulls by itself; a feed over TLS is asked for by its name at the address that was looked at."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.pull.fetch import Fetcher, FetchFailed
from tests.conftest import StartServer
from tests.pull.conftest import Upstream, page, ride

FILE = """\
source: city
address: {url}
every_s: 5
requests_per_min: 600
page: {{records: data.items, next: data.next}}
fields:
  id: trip
  subject: card.id
  behaviour: {{value: metro}}
  quantity: {{value: 1}}
  unit: {{value: ride}}
  at: left_at
"""


async def test_a_running_server_pulls_and_reports(
    start_server: StartServer, upstream: Upstream, folder: Path
) -> None:
    (folder / "city.yaml").write_text(FILE.format(url=upstream.url))
    upstream.pages({"": page(ride(1), ride(2, subject="stranger"), next="b"), "b": page()})
    server = await start_server(pull_folder=folder, pull_loopback="true")
    (await server.cli("source", "add", "city", "--behaviour", "metro")).check()
    async with asyncio.timeout(40):
        while not any(request.cursor == "b" for request in upstream.requests):
            await asyncio.sleep(0.2)
    async with asyncio.timeout(20):
        while True:
            [told] = (await server.cli("sources", "report", "--json")).check().json
            if told["rejected"] >= 2:
                break
            await asyncio.sleep(0.5)
    assert told["rejected_by_code"] == {"not_linked": 2} and told["unlinked_subjects_about"] == 2
    assert told["pull"]["failures"] == 0 and told["pull"]["records"] >= 2
    assert server.running


async def test_counts_are_written_at_shutdown(start_server: StartServer, tmp_path: Path) -> None:
    rides = tmp_path / "rides.csv"
    rides.write_text("id,subject,behaviour,at,quantity,unit\nr,s,metro,2026-11-20T08:00:00Z,1,ride\n")
    server = await start_server()
    (await server.cli("source", "add", "city", "--behaviour", "metro")).check()
    assert (await server.cli("ingest", str(rides), "--format", "csv", "--source", "city")).status == 1
    [told] = (await server.cli("sources", "report", "--json")).check().json
    assert told["rejected_by_code"] == {"not_linked": 1}


# --- TLS --------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> Path:
    """A certificate of its own making for a name, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("name", ["feed.example", "other.example"])
async def test_the_certificate_must_be_of_the_name(upstream: Upstream, tmp_path: Path, name: str) -> None:
    """The connection goes to 127.0.0.1; the certificate is checked against the name in the file."""
    pem = certificate(tmp_path, name)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pem)
    upstream.pages({"": page(ride(1))})
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=theirs)
    port = server.sockets[0].getsockname()[1]

    async def look_up(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    fetcher = Fetcher(allows_loopback=True, look_up=look_up, trust=ssl.create_default_context(cafile=pem))
    url = f"https://feed.example:{port}/feed"
    if name == "feed.example":
        assert json.loads(await fetcher.page(url, {}, None))["data"]["items"]
        assert upstream.requests[0].headers["host"] == f"feed.example:{port}"
    else:
        with pytest.raises(FetchFailed, match="no connection"):
            await fetcher.page(url, {}, None)
        assert not upstream.requests
    await fetcher.close()
    server.close()
