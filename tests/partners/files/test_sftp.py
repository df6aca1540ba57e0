"""A partner's folder on an SFTP server that is not the right one, refuses, is gone, or lies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from engine.core.units import HOUR_MS
from partners.adapters.files.config import ConfigError, SftpServer, read_config
from partners.adapters.files.folder import ORDERS, is_ready
from partners.adapters.files.sftp import SftpFolder
from tests.partners.files.office import open_office
from tests.partners.files.setting import PARTNER, partner_files
from tests.partners.files.sftphost import SftpHost, sftp_host
from tests.partners.files.staff import filled


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[SftpHost]:
    (tmp_path / "shared" / "inbox").mkdir(parents=True)
    async with sftp_host(tmp_path, tmp_path / "shared") as opened:
        yield opened


def server_of(host: SftpHost, **changes: str) -> SftpServer:
    config = read_config(partner_files(host.place, None, sftp=host.section(**changes)))
    found = config.partners[PARTNER].sftp
    assert found is not None
    return found


async def written(server: SftpServer) -> None:
    async with SftpFolder(server).opened() as folder:
        await folder.write(ORDERS, "a.txt", b"text")


async def test_a_password_does_as_well_as_a_key(host: SftpHost) -> None:
    await written(server_of(host, key_file="", password_file='"folder-password"', path='"."'))
    assert (host.shared / "orders" / "a.txt").read_bytes() == b"text"


async def test_written_again_a_file_is_replaced_and_nothing_unfinished_lies_about(host: SftpHost) -> None:
    for _ in range(2):
        await written(server_of(host))
    assert [path.name for path in (host.shared / "orders").iterdir()] == ["a.txt"]


@pytest.mark.parametrize("wrong", ["host key", "client key", "password", "port"])
async def test_nothing_is_told_to_the_wrong_server_or_by_the_wrong_user(host: SftpHost, wrong: str) -> None:
    changes = {}
    if wrong == "host key":
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        (host.place / "known-hosts").write_text(f"[127.0.0.1]:{host.port} {other}")
    elif wrong == "client key":
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(host.place / "client-key")
    elif wrong == "password":
        (host.place / "folder-password").write_text("another")
        changes = {"key_file": "", "password_file": '"folder-password"'}
    else:
        host.stop()
    server = server_of(host, **changes)
    with pytest.raises(OSError, match=r"HostKeyNotVerifiable|PermissionDenied|Connect call failed") as raised:
        await written(server)
    assert "another" not in str(raised.value) and not (host.shared / "orders").exists()


async def test_an_order_waits_for_a_server_that_is_gone(host: SftpHost) -> None:
    """Refused connections are sure failures: it is laid down once the server is back."""
    path = partner_files(host.place, None, sftp=host.section(), language='"en"')
    async with open_office(path, f"sqlite:///{host.place}/game.db") as office:
        host.stop()
        order = await office.order()
        assert await office.bench.rows("SELECT state FROM deliveries WHERE order_id = ?", order) == [
            ("waiting",)
        ]
        assert await office.folders.run() == 0
        async with sftp_host(host.place, host.shared, host.port):
            office.bench.clock.shift_ms += HOUR_MS
            await office.relayed()
            assert (await office.facts(order)).state == "submitted"
            assert len(list((host.shared / "orders").glob("*.xlsx"))) == 1


async def test_a_server_that_goes_in_the_middle_loses_no_file(host: SftpHost) -> None:
    path = partner_files(host.place, None, sftp=host.section(), language='"en"')
    async with open_office(path, f"sqlite:///{host.place}/game.db") as office:
        order = await office.order()
        [sheet] = (host.shared / "orders").glob("*.xlsx")
        answer = host.shared / "inbox" / "answer.xlsx"
        answer.write_bytes(filled(sheet.read_bytes(), {"accepted": 12}))
        await office.folders.run()
        [(_, folder)] = office.folders.folders
        async with folder.opened() as opened:
            host.stop()
            with pytest.raises(OSError, match=r"ConnectionLost|SFTPConnectionLost|reset by peer"):
                await opened.waiting()
        assert answer.exists() and (await office.facts(order)).state == "submitted"
        async with sftp_host(host.place, host.shared, host.port):
            assert [await office.folders.run() for _ in range(2)].count(1) == 1
            assert (await office.facts(order)).accepted == 12


@pytest.mark.parametrize(
    "name", ["../a.csv", "a/b.csv", "..\\a.csv", "a\0.csv", ".a.csv", "~$a.xlsx", "a.csv.part"]
)
def test_a_name_is_only_a_name(name: str) -> None:
    assert not is_ready(name) and is_ready("种植 report (2).csv")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"known_hosts": ""}, "known_hosts"),
        ({"known_hosts": '"nowhere"'}, "secret file"),
        ({"password_file": '"folder-password"'}, "either key_file or password_file"),
        ({"key_file": ""}, "either key_file or password_file"),
        ({"port": "70000"}, "port"),
        ({"wings": "2"}, "wings"),
    ],
)
async def test_a_bad_section_is_told_with_its_place(
    host: SftpHost, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        server_of(host, **changes)
    assert "BEGIN OPENSSH" not in str(raised.value)


async def test_a_folder_lies_here_or_there(host: SftpHost) -> None:
    with pytest.raises(ConfigError, match="not both"):
        read_config(partner_files(host.place, None, folder='"here"', sftp=host.section()))
