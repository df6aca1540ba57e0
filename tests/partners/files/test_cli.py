"""`saxaul orders …`: what an operator does by hand when mail is not enough."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from engine.core.numbers import order_number
from partners.core.commands import RecordReport
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from tests.partners.files.office import open_office
from tests.partners.files.setting import PARTNER, partner_files
from tests.partners.files.staff import cells, filled, jpeg
from tests.support.server import CliResult, run_cli


@dataclass
class Desk:
    folder: Path
    database: str
    partners: Path
    number: str

    async def run(self, *arguments: str) -> CliResult:
        settings = {"database_url": self.database, "partner_files": self.partners}
        return await run_cli("orders", *arguments, cwd=self.folder, **settings)

    async def shown(self) -> Any:
        return (await self.run("show", self.number, "--json")).check().json


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An order that lies in a shared folder; no engine runs."""
    database = f"sqlite:///{tmp_path}/game.db"
    path = partner_files(tmp_path, None, folder=f'"{tmp_path}/shared"')
    async with open_office(path, database) as office:
        order = await office.order()
    yield Desk(tmp_path, database, path, order_number(order))


async def test_an_order_played_by_hand(desk: Desk, tmp_path: Path) -> None:
    listed = (await desk.run("list", "--json")).check().json["orders"]
    assert [(one["number"], one["state"]) for one in listed] == [(desk.number, "submitted")]
    (await desk.run("sheet", desk.number, "--out", "order.xlsx")).check()
    sheet = (tmp_path / "order.xlsx").read_bytes()
    (tmp_path / "answer.xlsx").write_bytes(filled(sheet, {"accepted": 12, "reason": "few seedlings"}))
    taken = (await desk.run("import", "answer.xlsx", "--partner", PARTNER)).check()
    assert "已登记接受 12 株" in taken.out

    named = (await desk.run("sheet", desk.number, "--kind", "planting", "--language", "en")).check()
    report = (tmp_path / named.out.strip()).read_bytes()
    today = datetime.now(UTC).date()
    row = {"date_from": today, "date_to": today, "planted": 5, "photos": "a.jpg"}
    (tmp_path / "report.xlsx").write_bytes(filled(report, row, row | {"planted": 99, "all_planted": "yes"}))
    (tmp_path / "a.jpg").write_bytes(jpeg("cli"))
    some = await desk.run("import", "report.xlsx", "--partner", PARTNER, "--photo", "a.jpg", "--json")
    assert some.status == 1
    assert some.json["recorded_rows"] == 1
    assert [(one["row"], one["column"], one["code"]) for one in some.json["problems"]] == [
        (4, "planted", "over_accepted")
    ]
    marked = Path(tmp_path / some.json["marked_file"]).read_bytes()
    assert "12" in cells(marked)[1]["problems"]
    assert (await desk.shown())["state"] == "in_planting"

    (tmp_path / "mended.xlsx").write_bytes(filled(marked, {"planted": 7}, first=4))
    (await desk.run("import", "mended.xlsx", "--partner", PARTNER, "--photo", "a.jpg")).check()
    assert (await desk.shown())["state"] == "planted"
    refused = await desk.run("review", desk.number, "--by", "li")
    assert refused.status == 1
    assert "evidence" in refused.err  # one photo spoke for both batches
    back = (
        await desk.run("review", desk.number, "--by", "li", "--verdict", "needs_info", "--note", "照片")
    ).check()
    assert "needs_info" in back.err
    shown = (await desk.run("show", desk.number)).check().out
    assert "needs_info by operator:li" in shown
    assert "report 1: 5 trees" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "PO-000042-A"), "no order number"),
        (("show", "PO-000042-Z"), "there is no order"),
        (("list", "--state", "asleep"), "there is no state"),
        (("sheet", "PO-000042-Z", "--kind", "cake"), "--kind"),
        (("sheet", "PO-000042-Z", "--form", "pdf"), "--form"),
        (("import", "partners.toml", "--partner", "nobody"), "no partner 'nobody'"),
        (("review", "PO-000042-Z", "--by", "li", "--verified", "1:5"), "REPORT=TREES"),
        (("review", "PO-000042-Z", "--by", "li"), "unknown_order"),
    ],
)
async def test_wrong_use_is_told_with_the_fix(desk: Desk, arguments: tuple[str, ...], told: str) -> None:
    result = await desk.run(*arguments)
    assert result.status in (1, 2)
    assert told in result.err
    assert "Traceback" not in result.err


async def test_a_file_that_is_no_table(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04")
    result = await desk.run("import", "x.xlsx", "--partner", PARTNER, "--json")
    assert (result.status, result.json["refused"]) == (1, {"code": "broken"})


async def test_partners_files_are_checked(desk: Desk, tmp_path: Path) -> None:
    for text, told in (
        ("[partners.x]\n", "key_file"),
        ('[partners.x]\nkey_file = "key"\n', "an address (to) or a folder"),
        ('[partners.x]\nkey_file = "key"\nto = ["a@b.c"]\nsenders = ["a@b.c"]\n', "[mail] section"),
        ('[partners.x]\nkey_file = "no"\nfolder = "f"\n', "secret file"),
        ('[partners.x]\nkey_file = "key"\nfolder = "f"\nwings = 2\n', "wings"),
        ('[partners.x]\nkey_file = "key"\nfolder = "f"\nto = ["not an address"]\n', "a mail address"),
        ("[mail\n", "partners.toml"),
        (
            '[mail]\naddress = "a@b.c"\n[mail.smtp]\nhost = "far.example"\nport = 25\nsecurity = "none"\n',
            "this machine",
        ),
    ):
        desk.partners.write_text(text)
        result = await desk.run("import", "partners.toml", "--partner", "x")
        assert result.status == 2
        assert told in result.err, (text, result.err)
        assert json.dumps(text) not in result.err


def test_a_report_crosses_the_admin_socket_whole() -> None:
    batch = BatchShown("1", 5, "2026-03-05", "2026-03-06", "alxa", (EvidenceShown("aa", "photo", "a.jpg"),))
    report = PartnerReport(42, "in_planting", 1, accepted=12, species="saxaul", batches=(batch,))
    command = RecordReport(None, PARTNER, "file_1", "digest", report)
    assert msgspec.json.decode(msgspec.json.encode(command), type=RecordReport) == command
