"""Outlines, the operator's view and the auditor's pack over HTTP."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any

from PIL import Image

from engine.core.numbers import order_number
from engine.core.units import rfc3339
from partners import jobs
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from tests.partners.bench import PROGRAMME, RULES
from tests.partners.evidence.conftest import NGO, OAK, Station
from tests.partners.evidence.plot import geojson, square
from tests.partners.evidence.scenes import photo

PLACE = RULES.programmes[PROGRAMME]
SITE = float(PLACE.longitude), float(PLACE.latitude)


async def put(
    station: Station, data: bytes, query: str = "?datum=wgs84", site: str = PROGRAMME, **more: str
) -> Any:
    headers = station.headers(more.pop("partner", NGO)) | {
        "Content-Type": more.pop("kind", "application/geo+json")
    }
    season = more.pop("season", "2027-spring")
    return await station.http.put(
        f"/v1/evidence/outlines/{site}/{season}{query}", content=data, headers=headers
    )


async def test_an_outline_by_http(station: Station) -> None:
    made = await put(station, geojson(square(SITE, 300)))
    assert made.status_code == 200, made.text
    told = made.json()
    assert (told["polygons"], told["vertices"], told["notes"]) == (1, 5, [])
    assert abs(float(told["mu"]) - told["area_m2"] * 3 / 2000) < 0.001
    again = await put(station, geojson(square(SITE, 300)))
    assert again.json()["status"] == "known"
    points = " ".join(f"{x},{y}" for x, y in square(SITE, 310))
    ring = f"<outerBoundaryIs><LinearRing><coordinates>{points}</coordinates></LinearRing></outerBoundaryIs>"
    kml = f"<kml><Placemark><Polygon>{ring}</Polygon></Placemark></kml>".encode()
    sent = await put(station, kml, kind="application/vnd.google-earth.kml+xml")
    assert sent.json()["outline"].endswith("/2")


async def test_an_outline_on_a_bad_line_comes_by_tus(station: Station) -> None:
    stated = {"kind": "outline", "site": PROGRAMME, "season": "2027-spring", "datum": "cgcs2000"}
    coded = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in stated.items())
    data = geojson(square(SITE, 300))
    assert (await station.send(data, Upload_Metadata=coded)).status_code == 204
    assert await station.bench.rows("SELECT datum FROM site_outlines") == [("cgcs2000",)]


async def test_outlines_that_are_refused(station: Station) -> None:
    ring = geojson(square(SITE, 300))
    assert (await put(station, ring, query="")).status_code == 422
    assert (await put(station, ring, query="?datum=moon")).json()["reason"] == "unknown_datum"
    assert (await put(station, ring, partner=OAK)).json()["reason"] == "unknown_site"
    assert (await put(station, ring, season="2027-monsoon")).json()["reason"] == "unknown_season"
    assert (await put(station, ring, kind="text/plain")).status_code == 415
    assert (await put(station, b" " * 3_000_000)).status_code == 413
    assert (
        await station.http.put(f"/v1/evidence/outlines/{PROGRAMME}/2027-spring", content=ring)
    ).status_code in (401, 415)
    crossed = square(SITE, 300)
    crossed[1], crossed[2] = crossed[2], crossed[1]
    told = (await put(station, geojson(crossed))).json()
    assert (told["code"], told["reason"]) == ("outline_invalid", "self_intersection")
    assert abs(told["place"][0] - SITE[0]) < 0.01


async def planted(station: Station, data: list[bytes]) -> tuple[str, str]:
    """An order of three trees with one batch; its public number and season."""
    await station.bench.trees(3)
    assert await jobs.form_orders(station.bench.writer, station.bench.db) == 1
    [(order, season, opens_at)] = await station.bench.rows(
        "SELECT id, season, season_opens_at FROM partner_orders"
    )
    claim = c.ClaimDeliveries(None, "relay", 60_000, (f"submit:{order}",))
    await station.bench.do(claim)
    await station.bench.do(c.SettleDelivery(None, f"submit:{order}", "relay", "done"))
    station.bench.clock.shift_ms += opens_at - station.bench.clock.now_ms() + 10 * 24 * 3600 * 1000
    on = rfc3339(station.bench.clock.now_ms())[:10]
    files = tuple(EvidenceShown(hashlib.sha256(one).hexdigest()) for one in data)
    shown = BatchShown("R/1", 3, on, on, PROGRAMME, files, planters=2)
    report = PartnerReport(order, "planted", station.bench.clock.now_ms(), accepted=3, batches=(shown,))
    await station.bench.do(c.RecordReport(None, NGO, "m1", "d1", report))
    return order_number(order), season


async def test_the_auditors_pack_has_everything_and_is_always_the_same(station: Station) -> None:
    data = [photo(seed, gps=SITE, software="GIMP 2.10", serial="SECRET-9") for seed in range(3)]
    number, season = await planted(station, data)
    for one in data[:2]:
        assert (await station.send(one)).status_code == 204
    await put(station, geojson(square(SITE, 300)), season=season)
    first = await station.operator("GET", f"/v1/orders/{number}/evidence.zip")
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "application/zip"
    again = await station.operator("GET", f"/v1/orders/{number}/evidence.zip")
    assert first.content == again.content
    archive = zipfile.ZipFile(io.BytesIO(first.content))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    named = {entry["name"]: entry for entry in manifest["files"]}
    assert set(archive.namelist()) == {*named, "manifest.json"}
    for name, entry in named.items():
        content = archive.read(name)
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert b"SECRET" not in content
    photos = {entry["original_sha256"] for entry in named.values() if "original_sha256" in entry}
    assert photos == {hashlib.sha256(one).hexdigest() for one in data[:2]}
    assert json.loads(archive.read("not_uploaded.json")) == [hashlib.sha256(data[2]).hexdigest()]
    [finding] = json.loads(archive.read("findings.json"))
    assert {entry["code"] for entry in finding["reasons"]} >= {"edited", "evidence_not_uploaded"}
    [outline] = [name for name in archive.namelist() if name.startswith("outlines/")]
    assert json.loads(archive.read(outline))["properties"]["datum"] == "wgs84"
    assert (await station.operator("GET", "/v1/orders/PO-999999-X/evidence.zip")).status_code == 404


async def test_the_operator_sees_reasons_and_photos_and_can_dismiss(station: Station) -> None:
    data = [photo(1, software="GIMP 2.10")]
    number, _ = await planted(station, data)
    await station.send(data[0])
    seen = (await station.operator("GET", f"/v1/orders/{number}/evidence")).json()
    [told] = seen["batches"]
    assert told["verdict"] == "needs_info"
    edited = next(entry for entry in told["reasons"] if entry["code"] == "edited")
    assert edited["zh"] and edited["en"] and edited["about"]["software"].startswith("GIMP")
    name = hashlib.sha256(data[0]).hexdigest()
    for query, side in (("", 480), ("?size=thumb", 320)):
        shown = await station.operator("GET", f"/v1/evidence/photos/{name}{query}")
        assert Image.open(io.BytesIO(shown.content)).size[0] == side
    assert (await station.operator("GET", f"/v1/evidence/photos/{'0' * 64}")).status_code == 404
    assert (await station.http.get(f"/v1/evidence/photos/{name}")).status_code == 401
    body = {"report_no": "R/1", "code": "edited", "why": "a face was cut out"}
    gone = await station.operator("POST", f"/v1/orders/{number}/evidence/dismiss", body)
    assert gone.json()["verdict"] == "passed", gone.text
    body["report_no"] = "nothing"
    assert (await station.operator("POST", f"/v1/orders/{number}/evidence/dismiss", body)).status_code == 404
