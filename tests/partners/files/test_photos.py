"""Photos that come with partners' files are evidence as uploads are: read, kept, compared and judged."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from partners.core.commands import ReviewOrder
from partners.intake import Came
from tests.partners.evidence.attempts import good_photo
from tests.partners.evidence.scenes import photo, scene
from tests.partners.files.office import Office, open_office, planted
from tests.partners.files.setting import PARTNER, partner_files
from tests.partners.files.staff import filled
from tests.partners.files.test_folder import drop


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared" / "inbox").mkdir(parents=True)
    return tmp_path / "shared"


@pytest_asyncio.fixture
async def office(shared: Path, tmp_path: Path) -> AsyncIterator[Office]:
    path = partner_files(tmp_path, None, folder=f'"{shared}"', language='"en"', judges_photos="true")
    async with open_office(path, f"sqlite:///{tmp_path}/game.db") as opened:
        yield opened


async def report(office: Office, shared: Path, **photos: bytes) -> int:
    """An order of twelve trees, reported by a file in the folder that names these photos."""
    order = await office.order()
    [sheet] = (shared / "orders").glob("*.xlsx")
    drop(shared, "answer.xlsx", filled(sheet.read_bytes(), {"accepted": 12}))
    await office.folders.run()
    [made] = (shared / "done").glob("*planting-report.xlsx")
    for name, data in photos.items():
        drop(shared, f"{name}.jpg", data)
    names = ", ".join(f"{name}.jpg" for name in photos)
    place = {"lat": 38.8, "lon": 105.7, "planters": 4, "notes": "after rain", "photos": names}
    drop(shared, "report.xlsx", filled(made.read_bytes(), planted(12, all_planted="yes", **place)))
    await office.folders.run()
    return order


async def test_a_photo_in_the_folder_is_read_kept_and_judged(
    office: Office, shared: Path, tmp_path: Path
) -> None:
    data = good_photo(3)
    order = await report(office, shared, tree=data)
    sha256 = hashlib.sha256(data).hexdigest()
    row = "SELECT partner, name, latitude_e6 IS NOT NULL, taken_at IS NOT NULL, device <> '' FROM evidence_photos"
    [(partner, name, has_place, has_time, _)] = await office.bench.rows(row)
    assert (partner, name, bool(has_place), bool(has_time)) == (PARTNER, "tree.jpg", True, True)
    original = tmp_path / "evidence" / "originals" / sha256[:2] / sha256
    assert original.read_bytes() == data
    assert original.stat().st_nlink == 1  # a copy: what lies in the folder is the partner's to change
    assert stat.S_IMODE(os.stat(original).st_mode) & 0o077 == 0
    assert list((tmp_path / "evidence" / "incoming").iterdir()) == []
    [(verdict, reasons)] = await office.bench.rows("SELECT verdict, reasons FROM assessments")
    assert verdict in ("passed", "needs_info", "refused") and json.loads(reasons)
    [(findings, planters, latitude, notes)] = await office.bench.rows(
        "SELECT findings, planters, latitude_e6, notes FROM batches"
    )
    assert "evidence_not_uploaded" not in json.loads(findings)
    assert (planters, latitude, notes) == (4, 38_800_000, "after rain")
    assert (await office.facts(order)).state == "planted"


async def test_the_same_scene_twice_is_seen_whatever_its_bytes(office: Office, shared: Path) -> None:
    image = scene(5)
    await report(office, shared, one=good_photo(1, image=image), two=photo(image, quality=55))
    rows = await office.bench.rows("SELECT alike FROM evidence_photos ORDER BY kept_at")
    assert sorted(len(json.loads(alike)) for (alike,) in rows) == [0, 1]


async def test_a_photo_that_cannot_be_read_is_told_and_proves_nothing(office: Office, shared: Path) -> None:
    broken = good_photo(1)[:400]
    order = await report(office, shared, bad=broken)
    assert await office.bench.rows("SELECT count(*) FROM evidence_photos") == [(0,)]
    [(findings,)] = await office.bench.rows("SELECT findings FROM batches")
    assert "evidence_not_uploaded" in json.loads(findings)
    told = "".join(path.read_text() for path in (shared / "errors").glob("report.xlsx*.txt"))
    told += "".join(path.read_text() for path in (shared / "done").glob("report.xlsx*.txt"))
    assert told
    outcome = await office.bench.writer.submit(ReviewOrder(None, "operator:li", order, "verified"))
    assert outcome.error is not None


async def test_what_is_known_is_not_read_again_and_photos_of_wrong_rows_are_not_kept(
    office: Office, shared: Path
) -> None:
    order = await office.order()
    [sheet] = (shared / "orders").glob("*.xlsx")
    drop(shared, "answer.xlsx", filled(sheet.read_bytes(), {"accepted": 12}))
    await office.folders.run()
    [made] = (shared / "done").glob("*planting-report.xlsx")
    data, asked = good_photo(4), []
    sha256 = hashlib.sha256(data).hexdigest()

    async def picture(wanted: str) -> bytes:
        asked.append(wanted)
        return data

    partner = office.config.partners[PARTNER]
    for name, trees in (("wrong.xlsx", 99), ("right.xlsx", 12), ("again.xlsx", 12)):
        content = filled(made.read_bytes(), planted(trees, photos="a.jpg"))
        came = Came(partner, name, content, name, {"a.jpg": sha256}, is_vouched=True, picture=picture)
        await office.intake.take(came)
        kept = await office.bench.rows("SELECT count(*) FROM evidence_photos")
        assert kept == [(0,)] if trees == 99 else [(1,)]
    assert asked == [sha256] * 2
    assert (await office.facts(order)).reported == 12
