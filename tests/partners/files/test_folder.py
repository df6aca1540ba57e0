"""A shared folder, here or on a real SFTP server: orders out, answers in, and what else is put there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from partners.adapters.files.folder import DropFolder
from partners.sheets.limits import FILE_BYTES_MAX
from tests.partners.files.office import Office, open_office, planted
from tests.partners.files.setting import partner_files
from tests.partners.files.sftphost import sftp_host
from tests.partners.files.staff import cells, filled, jpeg


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared" / "inbox").mkdir(parents=True)
    return tmp_path / "shared"


@pytest_asyncio.fixture(params=["here", "sftp"])
async def office(shared: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Office]:
    url = f"sqlite:///{tmp_path}/game.db"
    if request.param == "here":
        path = partner_files(tmp_path, None, folder=f'"{shared}"', language='"en"')
        async with open_office(path, url) as opened:
            yield opened
        return
    async with sftp_host(tmp_path, shared) as host:
        path = partner_files(tmp_path, None, sftp=host.section(), language='"en"')
        async with open_office(path, url) as opened:
            yield opened


async def visited(office: Office) -> int:
    """How many files were put away by two visits: on another machine a file is at rest when it looks the same twice."""
    return await office.folders.run() + await office.folders.run()


def drop(shared: Path, name: str, content: bytes) -> None:
    """A file that was written a while ago."""
    path = shared / "inbox" / name
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def names(shared: Path, room: str) -> list[str]:
    return sorted(path.name for path in (shared / room).glob("*")) if (shared / room).exists() else []


async def test_an_order_by_folder_from_sheet_to_planting(office: Office, shared: Path) -> None:
    order = await office.order()
    [sheet] = (shared / "orders").glob("*.xlsx")
    [letter] = (shared / "orders").glob("*.txt")
    assert "please plant 20 trees" in letter.read_text()
    drop(shared, "our answer.xlsx", filled(sheet.read_bytes(), {"accepted": 12}))
    assert await visited(office) == 1
    assert (await office.facts(order)).state == "accepted"
    assert names(shared, "inbox") == []
    [report] = (shared / "done").glob("*planting-report.xlsx")
    wrong = filled(report.read_bytes(), planted(5), planted("many", all_planted="yes"))
    drop(shared, "a.jpg", jpeg("folder"))
    drop(shared, "report.xlsx", wrong)
    await visited(office)
    known = await office.facts(order)
    assert (known.state, known.reported, known.batches["1"].evidence) == ("in_planting", 5, 1)
    assert "report.xlsx" in names(shared, "errors")
    marked = (shared / "errors" / "marked-report.xlsx").read_bytes()
    assert "is no whole number" in cells(marked)[1]["problems"]
    drop(shared, "report.xlsx", filled(marked, {"planted": 7}, first=4))
    await visited(office)
    known = await office.facts(order)
    assert (known.state, known.reported) == ("planted", 12)
    assert "report.xlsx" in names(shared, "done")


async def test_a_repeated_file_is_harmless(office: Office, shared: Path) -> None:
    order = await office.order()
    [sheet] = (shared / "orders").glob("*.xlsx")
    content = filled(sheet.read_bytes(), {"accepted": 12})
    for _ in range(2):
        drop(shared, "a.xlsx", content)
        await visited(office)
    assert (await office.facts(order)).accepted == 12
    assert {"a.xlsx", "a (2).xlsx"} <= set(names(shared, "done"))


async def test_links_and_unfinished_files_are_not_opened(
    office: Office, shared: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("order_no,line_no,accepted\n")
    os.utime(secret, (1_700_000_000, 1_700_000_000))
    (shared / "inbox" / "link.csv").symlink_to(secret)
    os.mkfifo(shared / "inbox" / "pipe.csv")
    (shared / "inbox" / "folder.csv").mkdir()
    for name in (".hidden.csv", "~$open.xlsx", "half.csv.part", "half.xlsx.filepart", "notes.doc"):
        drop(shared, name, b"order_no,line_no,accepted\n")
    assert await visited(office) == 0
    assert secret.exists()


async def test_a_file_that_was_just_written_may_still_be_on_its_way(shared: Path) -> None:
    (shared / "inbox" / "fresh.csv").write_text("order_no,line_no,accepted\n")
    assert await DropFolder(shared).waiting() == []


async def test_what_is_too_large_is_answered(office: Office, shared: Path) -> None:
    drop(shared, "large.csv", b"x" * (FILE_BYTES_MAX + 1))
    await visited(office)
    assert "large.csv" in names(shared, "errors")
    [letter] = (shared / "errors").glob("large.csv.*.txt")
    assert "over 4194304 bytes" in letter.read_text()


async def test_a_folder_that_is_not_there_is_no_trouble(office: Office, shared: Path) -> None:
    (shared / "inbox").rmdir()
    assert await visited(office) == 0
