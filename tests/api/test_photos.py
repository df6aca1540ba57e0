"""Photos over HTTP: what is taken, what is refused, what is kept of it, and what people who look at it can do."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from PIL import ExifTags, Image

from engine.api.tokens import sign_demo_token
from engine.core.commands import SubmitActivity
from engine.core.units import HOUR_MS, rfc3339
from engine.pictures import unlike
from tests.api.conftest import TOKEN_SECRET, Api, open_api
from tests.core.world import rules_with_grades
from tests.support.server import new_key


@pytest_asyncio.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The app with a rulebook by which rides may be shown, and a small folder of photos."""
    limits = {"photo_bytes_max": 400_000, "photo_pixels_max": 1_000_000, "day_photos_max": 6}
    async with AsyncExitStack() as stack:
        yield await open_api(stack, database_url, rules_with_grades, photos=tmp_path / "photos", **limits)


def picture(seed: int = 1, kind: str = "JPEG", size: tuple[int, int] = (320, 240), **options: Any) -> bytes:
    """A picture of some coloured fields, other ones for another seed."""
    dice = random.Random(seed)
    fields = Image.frombytes("RGB", (10, 8), bytes(dice.randrange(256) for _ in range(240)))
    out = BytesIO()
    fields.resize(size, Image.Resampling.BICUBIC).save(out, kind, **options)
    return out.getvalue()


def with_exif(data: bytes, **told: str) -> bytes:
    """The picture as a camera makes it: with time, place and its own name."""
    image = Image.open(BytesIO(data))
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "SECRETCAM"
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = told.get("at", "2026:11:20 19:30:00")
    if "offset" in told:
        details[ExifTags.Base.OffsetTimeOriginal] = told["offset"]
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (38.0, 30.0, 36.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "W", (105.0, 6.0, 0.0)
    out = BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


async def upload(api: Api, user: str, data: bytes, kind: str = "image/jpeg") -> httpx.Response:
    headers = {"Authorization": f"Bearer {sign_demo_token(TOKEN_SECRET, int(user))}", "Content-Type": kind}
    return await api.http.post("/v1/photos", content=data, headers=headers)


async def shown(api: Api, user: str, photo: str, **more: Any) -> dict[str, Any]:
    """An act shown by the photo, by command as the socket makes it."""
    import json
    from decimal import Decimal

    at = more.pop("at", api.parts.clock.now_ms() - HOUR_MS)
    command = SubmitActivity(new_key(), int(user), "bus", Decimal(1), "ride", photo, at=at, **more)
    outcome = await api.parts.writer.submit(command)
    if outcome.error is not None:
        return {"error": outcome.error.code}
    return json.loads(outcome.data or b"")


async def rows(api: Api, columns: str) -> list[tuple[Any, ...]]:
    async with api.parts.db.snapshot() as view:
        return await view.fetch(f"SELECT {columns} FROM photos ORDER BY kept_at, sha256")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_is_kept_by_its_hash_and_nothing_of_it_but_pixels(api: Api, kind: str) -> None:
    user = await api.open_account()
    data = picture(1, kind)
    told = await upload(api, user, data, f"image/{kind.lower()}")
    assert told.status_code == 201, told.text
    assert told.json() == {"photo": hashlib.sha256(data).hexdigest(), "width": 320, "height": 240}
    again = await upload(api, user, data, f"image/{kind.lower()}")
    assert again.json() == told.json()
    [(file,)] = await rows(api, "file")
    path = api.parts.photos.path(int(user), file)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.iterdir()] == [path.name]


async def test_time_and_place_go_into_columns_and_out_of_the_file(api: Api) -> None:
    user = await api.open_account()
    data = with_exif(picture(1))
    assert b"SECRETCAM" in data
    assert (await upload(api, user, data)).status_code == 201
    [(file, taken_at, latitude, longitude)] = await rows(api, "file, taken_at, latitude_e6, longitude_e6")
    assert rfc3339(taken_at) == "2026-11-20T11:30:00.000Z", "the camera told no zone: the user's"
    assert (latitude, longitude) == (38_510_000, -105_100_000)
    kept = api.parts.photos.path(int(user), file).read_bytes()
    assert b"SECRETCAM" not in kept and not Image.open(BytesIO(kept)).getexif()
    other = with_exif(picture(2), offset="-05:00", at="2026:11:20 06:30:00")
    assert (await upload(api, user, other)).status_code == 201
    assert rfc3339((await rows(api, "taken_at"))[1][0]) == "2026-11-20T11:30:00.000Z"


@pytest.mark.parametrize(
    "at", ["0000:00:00 00:00:00", "yesterday", "9999:12:31 23:59:59", "1970:01:01 00:00:00"]
)
async def test_a_camera_that_talks_nonsense_is_not_believed(api: Api, at: str) -> None:
    user = await api.open_account()
    assert (await upload(api, user, with_exif(picture(1), at=at))).status_code == 201
    [(taken_at,)] = await rows(api, "taken_at")
    assert taken_at is None or taken_at > 10**12


def a_bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 2.5 thousand million pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 9))
        + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    out = BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()


async def test_a_phones_jpeg_with_further_pictures_in_it_is_its_first(api: Api) -> None:
    user = await api.open_account()
    first, depth = (Image.open(BytesIO(picture(seed))) for seed in (1, 2))
    out = BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[depth])
    assert (await upload(api, user, out.getvalue())).status_code == 201
    [(looks,)] = await rows(api, "looks")
    await upload(api, user, picture(1))
    assert unlike(looks, (await rows(api, "looks"))[1][0]) <= 3


def a_gif() -> bytes:
    out = BytesIO()
    Image.new("RGB", (20, 20)).save(out, "GIF")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"", "image/jpeg", 422, "photo_invalid"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", 422, "photo_invalid"),
        (b"\xff\xd8\xff" + b"\0" * 500, "image/jpeg", 422, "photo_invalid"),
        (picture(1)[:900], "image/jpeg", 422, "photo_invalid"),
        (a_gif(), "image/png", 422, "photo_invalid"),
        (animated(), "image/webp", 422, "photo_invalid"),
        (a_bomb(), "image/png", 413, "photo_too_large"),
        (picture(1, size=(1001, 1000)), "image/jpeg", 413, "photo_too_large"),
        (b"\0" * 400_001, "image/jpeg", 413, "body_too_large"),
        (picture(1), "application/json", 415, "unsupported_media_type"),
        (picture(1), "image/gif", 415, "unsupported_media_type"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_what_is_no_photo_is_refused_and_leaves_nothing(
    api: Api, data: bytes, kind: str, status: int, code: str
) -> None:
    user = await api.open_account()
    told = await upload(api, user, data, kind)
    assert (told.status_code, told.json()["code"]) == (status, code)
    assert await rows(api, "sha256") == []
    assert api.parts.photos.users() == []


async def test_only_users_upload_and_only_operators_look(api: Api) -> None:
    user = await api.open_account()
    bare = await api.http.post("/v1/photos", content=picture(1), headers={"Content-Type": "image/jpeg"})
    assert bare.status_code == 401
    assert (await api.user(user, "GET", "/v1/reviews")).status_code == 401
    assert (await api.server("GET", "/v1/reviews")).status_code == 403
    assert (await api.server("GET", "/v1/reviews/1/photo")).status_code == 403


async def test_uploads_of_a_day_are_limited(api: Api) -> None:
    user = await api.open_account()
    for seed in range(6):
        assert (await upload(api, user, picture(seed))).status_code == 201
    told = await upload(api, user, picture(7))
    assert (told.status_code, told.json()["code"]) == (429, "too_many_photos")
    assert told.headers["Retry-After"]
    assert (await upload(api, await api.open_account("Bo"), picture(7))).status_code == 201


async def test_the_same_bytes_of_somebody_else_are_refused_and_not_kept(api: Api) -> None:
    one, two = await api.open_account(), await api.open_account("Bo")
    await upload(api, one, picture(1))
    told = await upload(api, two, picture(1))
    assert (told.status_code, told.json()["code"]) == (409, "photo_reused")
    assert list((api.parts.photos.root / two).iterdir()) == []


@pytest.mark.parametrize("change", ["smaller", "worse", "other format"])
async def test_a_copy_of_somebody_elses_photo_is_looked_at(api: Api, change: str) -> None:
    one, two, three = [await api.open_account(name) for name in ("Lin", "Bo", "Ana")]
    original = picture(1)
    first = (await upload(api, one, original)).json()["photo"]
    out = BytesIO()
    image = Image.open(BytesIO(original))
    if change == "smaller":
        image.resize((160, 120)).save(out, "JPEG")
    else:
        image.save(out, *(("JPEG",) if change == "worse" else ("PNG",)), quality=30)
    copy = await upload(api, two, out.getvalue(), "image/png" if change == "other format" else "image/jpeg")
    assert copy.status_code == 201
    reply = await shown(api, two, copy.json()["photo"])
    assert reply["energy_g"] == 80
    another = await upload(api, three, picture(2))
    await shown(api, three, another.json()["photo"])
    told = (await api.operator("GET", "/v1/reviews")).json()
    mine = [row for row in told if row["reason"] == "alike"]
    assert [(row["user"], row["alike"], row["activity"]) for row in mine] == [
        (two, [first], reply["activity"])
    ]


async def test_a_review_shows_the_photo_and_a_refused_act_is_reversed(api: Api) -> None:
    user = await api.open_account()
    photo = (await upload(api, user, with_exif(picture(1)))).json()["photo"]
    reply = await shown(api, user, photo)
    [waiting] = (await api.operator("GET", "/v1/reviews")).json()
    assert (waiting["reason"], waiting["taken_at"]) == ("other_day", "2026-11-20T11:30:00.000Z")
    path = f"/v1/reviews/{reply['activity']}"
    seen = await api.operator("GET", f"{path}/photo")
    assert seen.headers["Content-Type"] == "image/jpeg"
    assert b"SECRETCAM" not in seen.content and Image.open(BytesIO(seen.content)).size == (320, 240)
    key, verdict = new_key(), {"accept": False, "by": "Ana", "note": "last year's"}
    told = await api.operator("POST", path, verdict, key)
    assert told.json() == {"activity": reply["activity"], "state": "refused", "owed_g": 0}
    assert (await api.operator("POST", path, verdict, key)).headers["Idempotency-Replayed"] == "true"
    again = await api.operator("POST", path, verdict | {"accept": True})
    assert (again.status_code, again.json()["code"]) == (409, "review_decided")
    assert (await api.operator("GET", "/v1/reviews")).json() == []
    [done] = (await api.operator("GET", "/v1/reviews?state=refused")).json()
    assert (done["energy_g"], done["decided_by"], done["note"]) == (0, "Ana", "last year's")
    account = (await api.server("GET", f"/v1/users/{user}")).json()
    assert (account["avoided_mg"], account["debt_g"]) == (0, 0)
    missing = await api.operator("POST", "/v1/reviews/4711", verdict)
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_review")
    bad = await api.operator("POST", path, {"accept": "no", "by": "Ana"})
    assert bad.status_code == 422


async def test_erasure_removes_the_photos(api: Api) -> None:
    user = await api.open_account()
    photo = (await upload(api, user, with_exif(picture(1)))).json()["photo"]
    reply = await shown(api, user, photo)
    assert api.parts.photos.users() == [int(user)]
    assert (await api.server("DELETE", f"/v1/users/{user}")).status_code == 200
    assert api.parts.photos.users() == []
    assert await rows(api, "user_id, file, taken_at, latitude_e6") == [(None, None, None, None)]
    assert (await api.operator("GET", "/v1/reviews")).json() == []
    gone = await api.operator("GET", f"/v1/reviews/{reply['activity']}/photo")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_photo")


async def test_files_that_a_crash_left_after_an_erasure_go_at_the_next_start(api: Api) -> None:
    from engine.photos import PhotoFolder, erase_left_over

    user, other = await api.open_account(), await api.open_account("Bo")
    for one, seed in ((user, 1), (other, 2)):
        await upload(api, one, picture(seed))
    kept = dict(path_and_bytes(api.parts.photos, int(user)))
    await api.server("DELETE", f"/v1/users/{user}")
    for path, data in kept.items():
        path.parent.mkdir()
        path.write_bytes(data)
    assert isinstance(api.parts.photos, PhotoFolder)
    assert await erase_left_over(api.parts.db, api.parts.photos) == 1
    assert api.parts.photos.users() == [int(other)]


def path_and_bytes(folder: Any, user: int) -> list[tuple[Path, bytes]]:
    return [(path, path.read_bytes()) for path in (folder.root / str(user)).iterdir()]
