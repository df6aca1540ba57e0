"""Uploads by the tus protocol: a real client of others, lines that break, hostile requests, full disks."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from partners.evidence import tus
from partners.evidence.jobs import settle_evidence
from partners.evidence.passes import make_pass
from tests.conftest import StartProxy
from tests.partners.bench import KEY
from tests.partners.evidence.conftest import NGO, OAK, Station, serving_station
from tests.partners.evidence.scenes import photo, scene


def big_photo(seed: int = 1, size: tuple[int, int] = (1200, 900)) -> bytes:
    """Some hundred kilobytes."""
    return photo(scene(seed, size), quality=97)


async def test_the_server_tells_what_it_speaks(station: Station) -> None:
    said = await station.http.options("/v1/evidence/uploads")
    assert said.status_code == 204
    assert said.headers["tus-version"] == said.headers["tus-resumable"] == "1.0.0"
    extensions = {"creation", "creation-with-upload", "expiration", "checksum", "termination"}
    assert set(said.headers["tus-extension"].split(",")) == extensions
    assert said.headers["tus-max-size"] == "3000000"


async def test_a_photo_in_pieces(station: Station) -> None:
    data = big_photo()
    made = await station.create(len(data))
    url = made.headers["location"]
    assert made.status_code == 201 and "upload-expires" in made.headers
    third = len(data) // 3
    first = await station.patch(url, 0, data[:third])
    assert (first.status_code, first.headers["upload-offset"]) == (204, str(third))
    head = await station.http.head(url, headers=station.headers())
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == (str(third), str(len(data)))
    assert head.headers["cache-control"] == "no-store"
    last = await station.patch(url, third, data[third:])
    digest = hashlib.sha256(data).hexdigest()
    assert last.headers["saxaul-evidence"] == digest
    again = await station.http.head(url, headers=station.headers())  # the last answer may have been lost
    assert again.headers["upload-offset"] == str(len(data))
    about = (await station.http.get(url, headers=station.headers())).json()
    assert (about["state"], about["sha256"], about["has_place"]) == ("kept", digest, False)
    assert station.desk.folder.original(digest).read_bytes() == data
    assert not list(station.desk.folder.uploads.glob("*/*.part"))
    assert (
        await station.http.patch(
            url,
            content=b"",
            headers=station.headers(Upload_Offset=str(len(data)), Content_Type=tus.MEDIA_TYPE),
        )
    ).status_code == 204


async def test_creation_with_the_bytes_in_one_request(station: Station) -> None:
    data = big_photo(2)
    headers = station.headers(Upload_Length=str(len(data)), Content_Type=tus.MEDIA_TYPE)
    made = await station.http.post("/v1/evidence/uploads", content=data, headers=headers)
    assert (made.status_code, made.headers["upload-offset"]) == (201, str(len(data)))
    assert made.headers["saxaul-evidence"] == hashlib.sha256(data).hexdigest()


async def test_wrong_offsets_and_too_many_bytes_lose_nothing(station: Station) -> None:
    data = big_photo()
    url = (await station.create(len(data))).headers["location"]
    await station.patch(url, 0, data[:1000])
    wrong = await station.patch(url, 0, data)
    assert (wrong.status_code, wrong.json()["offset"]) == (409, 1000)
    assert (await station.patch(url, 1000, data)).status_code == 413
    assert (await station.patch(url, 1000, data[1000:])).status_code == 204


@pytest.mark.parametrize("kind", ["sha1", "sha256", "md5"])
async def test_a_checksum_that_does_not_hold_discards_the_piece(station: Station, kind: str) -> None:
    data = big_photo()
    url = (await station.create(len(data))).headers["location"]

    def checksum(text: bytes) -> str:
        return f"{kind} {base64.b64encode(hashlib.new(kind, text).digest()).decode()}"

    bad = await station.patch(url, 0, data[:5000], Upload_Checksum=checksum(b"other"))
    assert bad.status_code == 460
    head = await station.http.head(url, headers=station.headers())
    assert head.headers["upload-offset"] == "0"
    good = await station.patch(url, 0, data, Upload_Checksum=checksum(data))
    assert good.status_code == 204
    unknown = await station.create(10)
    said = await station.patch(unknown.headers["location"], 0, b"x", Upload_Checksum="crc32 AAAA")
    assert said.status_code == 400


async def test_termination_and_the_override_of_methods(station: Station) -> None:
    url = (await station.create(10)).headers["location"]
    ended = await station.http.post(url, headers=station.headers(X_HTTP_Method_Override="DELETE"))
    assert ended.status_code == 204
    assert (await station.http.head(url, headers=station.headers())).status_code == 404
    data = big_photo()
    url = (await station.create(len(data))).headers["location"]
    headers = station.headers(Upload_Offset="0", Content_Type=tus.MEDIA_TYPE, X_HTTP_Method_Override="PATCH")
    assert (await station.http.post(url, content=data, headers=headers)).status_code == 204


async def test_limits_of_size_number_and_version(station: Station) -> None:
    assert (await station.create(3_000_001)).status_code == 413
    for _ in range(3):
        assert (await station.create(10)).status_code == 201
    over = await station.create(10)
    assert (over.status_code, over.json()["code"]) == (429, "too_many_uploads")
    assert (await station.create(10, OAK)).status_code == 201  # another partner has its own
    old = await station.http.post(
        "/v1/evidence/uploads", headers=station.headers(Upload_Length="5") | {"Tus-Resumable": "0.2.2"}
    )
    assert old.status_code == 412
    for length in ("-1", "1e3", "", "９", "9" * 30):
        bad = {**station.headers(), "Upload-Length": length.encode()}
        assert (await station.http.post("/v1/evidence/uploads", headers=bad)).status_code == 400


async def test_metadata_is_read_strictly(station: Station) -> None:
    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    assert (await station.create(5, Upload_Metadata="filename !!")).status_code == 400
    assert (await station.create(5, Upload_Metadata=f"datum {coded('moon')}")).status_code == 400
    assert (await station.create(5, Upload_Metadata="x" * 3000)).status_code == 400
    data = photo(3)
    hostile = coded("../../evil\u202e\x00.jpg")
    named = f"filename {hostile},other"
    assert (await station.send(data, Upload_Metadata=named)).status_code == 204
    [(name,)] = await station.bench.rows("SELECT name FROM evidence_photos")
    assert "\u202e" not in name and "\x00" not in name


async def test_only_the_partner_itself_reaches_its_uploads(station: Station) -> None:
    url = (await station.create(10)).headers["location"]
    assert (await station.http.head(url, headers=station.headers(OAK))).status_code == 404
    assert (await station.patch(url, 0, b"x" * 10, OAK)).status_code == 404
    for token in ("x", "oak~1~x", "nobody~99999999999~x", f"{station.passes[NGO]}x", "~~", "é~1~2"):
        bad = {"Authorization": f"Bearer {token}".encode(), "Tus-Resumable": "1.0.0", "Upload-Length": "5"}
        assert (await station.http.post("/v1/evidence/uploads", headers=bad)).status_code == 401
    forged = station.passes[NGO].replace(NGO, OAK, 1)
    bad = {"Authorization": f"Bearer {forged}", "Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    assert (await station.http.post("/v1/evidence/uploads", headers=bad)).status_code == 401
    for expires in (1, 9_999_999_999):
        bad["Authorization"] = f"Bearer {make_pass(KEY, NGO, expires)}"
        assert (await station.http.post("/v1/evidence/uploads", headers=bad)).status_code == 401


async def test_what_is_no_photo_is_refused_whenever_it_is_asked_for(station: Station) -> None:
    data = b"<?php system('ls'); ?>" * 20
    made = await station.create(len(data))
    url = made.headers["location"]
    last = await station.patch(url, 0, data)
    assert (last.status_code, last.json()["code"]) == (422, "photo_invalid")
    assert (await station.http.head(url, headers=station.headers())).status_code == 422
    about = (await station.http.get(url, headers=station.headers())).json()
    assert (about["state"], about["code"]) == ("refused", "photo_invalid")


async def test_a_real_client_over_a_line_that_breaks(
    station: Station, start_proxy: StartProxy, tmp_path: Path
) -> None:
    """tuspy, unchanged, through a proxy that resets the connection again and again, in the middle of bodies."""
    from tusclient import client as tus_client
    from tusclient.exceptions import TusCommunicationError, TusUploadFailed

    proxy = await start_proxy(int(station.address.rpartition(":")[2]))
    proxy.delay_s = 0.01
    path = tmp_path / "site.jpg"
    data = photo(scene(4, (2000, 1500)), quality=99)
    path.write_bytes(data)
    assert len(data) > 800_000
    made = tus_client.TusClient(
        f"http://127.0.0.1:{proxy.port}/v1/evidence/uploads",
        headers={"Authorization": f"Bearer {station.passes[NGO]}"},
    )
    breaks = 0

    def upload() -> int:
        nonlocal breaks
        with path.open("rb") as file:
            uploader = made.uploader(file_stream=file, chunk_size=700_000, metadata={"filename": "site.jpg"})
            while True:
                try:
                    if uploader.url:
                        uploader.offset = uploader.get_offset()
                    uploader.upload()
                    return int(uploader.offset)
                except (TusCommunicationError, TusUploadFailed, OSError):
                    breaks += 1
                    assert breaks < 60

    async def vandal() -> None:
        dice = random.Random(5)
        for _ in range(8):
            await asyncio.sleep(dice.uniform(0.05, 0.15))
            proxy.reset()

    assert (await asyncio.gather(asyncio.to_thread(upload), vandal()))[0] == len(data)
    assert breaks >= 2
    digest = hashlib.sha256(data).hexdigest()
    assert station.desk.folder.original(digest).read_bytes() == data


async def test_a_request_on_a_dead_line_yields_to_the_next(station: Station, start_proxy: StartProxy) -> None:
    proxy = await start_proxy(int(station.address.rpartition(":")[2]))
    data = big_photo(6)
    url = (await station.create(len(data))).headers["location"]
    half = len(data) // 2
    sent = asyncio.Event()

    async def hanging() -> Any:
        yield data[:half]
        sent.set()
        await asyncio.sleep(60)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as dead:
        headers = station.headers(
            Upload_Offset="0", Content_Type=tus.MEDIA_TYPE, Content_Length=str(len(data))
        )
        stuck = asyncio.create_task(dead.patch(url, content=hanging(), headers=headers))
        await sent.wait()
        await asyncio.sleep(0.2)
        proxy.swallow()
        head = await station.http.head(url, headers=station.headers())
        assert head.headers["upload-offset"] == str(half)  # nothing that came was lost
        assert (await station.patch(url, half, data[half:])).status_code == 204
        stuck.cancel()
        with pytest.raises((asyncio.CancelledError, httpx.HTTPError)):
            await stuck


async def test_two_that_write_at_once_do_not_mix(station: Station) -> None:
    data = big_photo(7)
    url = (await station.create(len(data))).headers["location"]
    answers = await asyncio.gather(*(station.patch(url, 0, data) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {204, 409, 423}
    head = await station.http.head(url, headers=station.headers())
    offset = int(head.headers["upload-offset"])
    if offset < len(data):  # each later one ended the one before: the bytes that came first count
        assert (await station.patch(url, offset, data[offset:])).status_code == 204
    digest = hashlib.sha256(data).hexdigest()
    assert station.desk.folder.original(digest).read_bytes() == data


async def test_a_full_disk_is_said_and_loses_nothing(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = big_photo(8)
    url = (await station.create(len(data))).headers["location"]
    real, written = os.write, 0

    def write(descriptor: int, part: Any) -> int:
        nonlocal written
        if written >= 20_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real(descriptor, part[:20_000])
        written += count
        return count

    monkeypatch.setattr("partners.evidence.tus.os.write", write)
    full = await station.patch(url, 0, data)
    assert (full.status_code, full.json()["code"]) == (507, "storage_full")
    monkeypatch.undo()
    head = await station.http.head(url, headers=station.headers())
    offset = int(head.headers["upload-offset"])
    assert offset == 20_000
    assert (await station.patch(url, offset, data[offset:])).status_code == 204


async def test_no_room_no_new_upload(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partners.evidence.folder.FREE_BYTES_MIN", 1 << 60)
    refused = await station.create(10)
    assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")


async def test_a_crash_after_the_last_byte_is_made_good_by_the_job(station: Station) -> None:
    data = big_photo(9)
    upload = station.desk.uploads.create(NGO, len(data), {}, station.desk.now_ms())
    station.desk.uploads.path(upload).write_bytes(data)  # all has come; the process died before it was read
    assert await settle_evidence(station.desk) == 0  # too young: a request may have it in hand
    os.utime(station.desk.uploads.path(upload), (1, 1))
    assert await settle_evidence(station.desk) == 1
    url = f"/v1/evidence/uploads/{upload.id}"
    assert (await station.http.get(url, headers=station.headers())).json()["state"] == "kept"
    assert await settle_evidence(station.desk) == 0


async def test_what_is_never_finished_is_forgotten(station: Station) -> None:
    url = (await station.create(10)).headers["location"]
    await station.patch(url, 0, b"12345")
    station.bench.clock.shift_ms += 8 * 24 * 3600 * 1000
    assert (await station.http.head(url, headers=station.headers())).status_code == 404
    assert await settle_evidence(station.desk) == 1
    assert not list(station.desk.folder.uploads.glob("*/*"))


async def test_the_same_bytes_twice_are_kept_once(database_url: str, tmp_path: Path) -> None:
    async with serving_station(database_url, tmp_path) as station:
        data = photo(10)
        assert (await station.send(data)).status_code == 204
        assert (await station.send(data)).status_code == 204
        assert (await station.send(data, OAK)).status_code == 204
        assert await station.bench.rows("SELECT partner FROM evidence_photos") == [(NGO,)]
