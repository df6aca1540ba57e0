"""A photo as bytes: kinds, heads, hostile files; what is kept of it and what never is."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from engine.core.errors import Rejected
from engine.core.units import HOUR_MS
from partners.core.datum import metres_between, to_gcj02
from partners.evidence.photos import VARIANTS, Stated, is_photo, read_photo
from tests.partners.evidence.plot import PLANTED_AT
from tests.partners.evidence.scenes import photo, scene

PIXELS_MAX = 2_000_000
SITE = (105.7, 38.8)


def read(data: bytes, **stated: str):  # type: ignore[no-untyped-def]
    return read_photo(data, "elm", PIXELS_MAX, Stated(**stated))


def refusal(data: bytes) -> str:
    with pytest.raises(Rejected) as found:
        read(data)
    return found.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_head_goes_into_columns_and_out_of_the_copies(kind: str) -> None:
    head = {
        "at": PLANTED_AT,
        "gps": SITE,
        "gps_at": PLANTED_AT,
        "serial": "SECRET-1",
        "camera": ("SECRETCAM", "9"),
    }
    found = read(photo(1, kind, **head), name="地块.jpg")
    row = found.row
    assert (row.taken_at, row.zone_known, row.gps_at) == (PLANTED_AT, True, PLANTED_AT)
    assert row.point_e6 == (105_700_000, 38_800_000) and row.accuracy_m == 8 and row.datum == "wgs84"
    assert (row.camera, row.name) == ("SECRETCAM 9", "地块.jpg")
    assert len(row.device) == 32 and "SECRET" not in row.device
    for copy in (found.public, found.thumb):
        assert b"SECRET" not in copy and b"Exif" not in copy
        image = Image.open(BytesIO(copy))
        assert image.format == "JPEG" and not image.getexif()


def test_a_phones_heic() -> None:
    data = (Path(__file__).parent / "phone.heic").read_bytes()
    found = read(data)
    assert is_photo(data[:32]) and found.row.media == "image/heic"
    assert (found.row.width, found.row.height) == (64, 48)
    assert found.row.taken_at == PLANTED_AT and found.row.point_e6 == (105_700_000, 38_800_000)
    assert Image.open(BytesIO(found.public)).size == (64, 48)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_copies_stand_upright(orientation: int) -> None:
    found = read(photo(1, at=PLANTED_AT, orientation=orientation))
    size = Image.open(BytesIO(found.public)).size
    assert size == ((480, 360) if orientation in (1, 3) else (360, 480))


def test_a_camera_without_a_zone_and_one_with_a_wrong_one() -> None:
    unzoned = read(photo(1, at=PLANTED_AT, offset=None)).row
    assert (unzoned.taken_at, unzoned.zone_known) == (PLANTED_AT + 8 * HOUR_MS, False)
    zoned = read(photo(1, at=PLANTED_AT, offset="+05:00")).row
    assert (zoned.taken_at, zoned.zone_known) == (PLANTED_AT, True)


def test_the_stated_datum_counts_and_what_was_written_is_kept() -> None:
    shown = to_gcj02(SITE)
    row = read(photo(1, gps=shown, datum=None), datum="gcj02").row
    assert (
        row.point_e6 is not None and metres_between((row.point_e6[0] / 1e6, row.point_e6[1] / 1e6), SITE) < 1
    )
    assert row.raw_longitude_e6 == round(shown[0] * 1e6) and row.datum == "gcj02"
    assert read(photo(1, gps=shown, datum="GCJ-02")).row.datum == "gcj02"
    assert read(photo(1, gps=(0.0, 0.0))).row.point_e6 is None


def test_a_large_photo_of_a_phone_is_unpacked_no_further_than_needed() -> None:
    data = photo(Image.new("RGB", (8000, 6000), (90, 140, 90)))
    found = read_photo(data, "elm", 64_000_000)
    assert (found.row.width, found.row.height) == (8000, 6000)
    assert max(Image.open(BytesIO(found.public)).size) <= 2048


def test_a_picture_that_is_also_something_else_keeps_only_its_pixels() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("index.html", "<script>evil()</script>")
    found = read(photo(2) + archive.getvalue())
    assert b"evil" not in found.public and b"PK\x03\x04" not in found.public
    assert found.row.media == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "photo_invalid"),
        (b"GIF89a" + b"\0" * 99, "photo_invalid"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo_invalid"),
        (photo(1)[:3000], "photo_invalid"),
        (photo(1, "PNG")[:3000], "photo_invalid"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 200, "photo_invalid"),
        (photo(Image.new("L", (30_000, 30_000)), "PNG"), "photo_too_large"),
    ],
    ids=range(7),
)
def test_hostile_files(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_hostile_heads() -> None:
    found = read(
        photo(1, at=PLANTED_AT, camera=("A" * 5000, "B\x00\x1b[31m"), software="x" * 9000, serial="\u202e")
    )
    assert len(found.row.camera) <= 130 and "\x1b" not in found.row.camera
    assert len(found.row.software) <= 120


def test_variants_are_those_of_the_turned_picture() -> None:
    found = read(photo(3, quality=95)).variants
    for name, how in VARIANTS.items():
        turned = scene(3) if how is None else scene(3).transpose(how)
        mine = read(photo(turned, quality=95)).variants["same"]
        apart = (int(mine.fine, 16) ^ int(found[name].fine, 16)).bit_count()
        assert apart <= 40, name
