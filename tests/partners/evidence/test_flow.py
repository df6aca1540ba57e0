"""Evidence and orders together, on both databases: what is missing, what comes late, what a person looks into."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from partners.core import commands as c
from partners.core.evidence_commands import AssessBatch, DismissReason, KeepEvidence, RecordOutline
from partners.core.records.commands import MoveSite, RecordSite
from partners.evidence.geometry import checked_outline
from partners.evidence.jobs import settle_evidence
from partners.evidence.photos import read_photo
from partners.evidence.shapes import read_shape
from tests.partners.evidence.attempts import SITE, good_photo
from tests.partners.evidence.plot import (
    ELM,
    OAK,
    PLACES,
    Plot,
    away,
    batch,
    centre,
    geojson,
    open_plot,
    refused,
    square,
)
from tests.partners.evidence.scenes import photo, scene


@pytest_asyncio.fixture
async def field(database_url: str, tmp_path: Path) -> AsyncIterator[Plot]:
    """The real parts on each database."""
    async with open_plot(database_url, tmp_path) as made:
        yield made


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def verify(order: int, by: str = "operator") -> c.ReviewOrder:
    return c.ReviewOrder(None, by, order, "verified", "", {"1": 200})


async def test_files_may_come_after_the_report_that_names_them(field: Plot) -> None:
    photos = [good_photo(seed) for seed in range(3)]
    order = await field.order()
    await field.report(order, batch("1", 200, map(sha256, photos)), state="planted")
    assert await field.findings(order) == {"evidence_not_uploaded", "outline_missing"}
    assert await refused(field.desk.submit(verify(order))) == "evidence_not_uploaded"
    await field.uploads(photos[:2])
    told = await field.assessment(order)
    assert (told["verdict"], told["missing"]) == ("needs_info", [sha256(photos[2])])
    await field.upload(photos[2])
    assert await field.findings(order) == {"outline_missing"}
    await field.outline(geojson(square(SITE, 300)))
    told = await field.assessment(order)
    assert (told["verdict"], told["score"], told["reasons"], told["outline_version"]) == ("passed", 0, [], 1)
    assert (await field.desk.submit(verify(order)))["verified"] == 200


async def test_what_a_crash_left_unjudged_is_judged_by_the_job(field: Plot) -> None:
    data = good_photo(1)
    order = await field.order()
    await field.report(order, batch("1", 200, [sha256(data)]))
    row = read_photo(data, ELM, 4_000_000).row
    await field.desk.submit(KeepEvidence(None, row))  # and the process died here
    assert "evidence_not_uploaded" in await field.findings(order)
    assert await settle_evidence(field.desk) == 1
    assert "evidence_not_uploaded" not in await field.findings(order)
    assert await settle_evidence(field.desk) == 0


async def test_two_thieves_in_the_same_instant_do_not_both_pass(field: Plot) -> None:
    image = scene(5)
    files = [good_photo(n, image=image, quality=80 + n) for n in range(2)]
    names = await asyncio.gather(field.upload(files[0], ELM), field.upload(files[1], OAK))
    mine, theirs = await field.order(), await field.order(programme=PLACES[OAK])
    await field.report(mine, batch("1", 200, names[:1]))
    await field.report(theirs, batch("1", 200, names[1:], site=PLACES[OAK]))
    found = await field.findings(mine) | await field.findings(theirs)
    assert "alike_other_partner" in found


async def test_a_person_can_let_a_reason_not_count(field: Plot) -> None:
    name = await field.upload(good_photo(1, software="GIMP 2.10"))
    order = await field.order()
    await field.report(order, batch("1", 200, [name]), state="planted")
    assert (await field.assessment(order))["verdict"] == "needs_info"
    dismiss = DismissReason(None, "ana", order, f"{order}/1", "edited", "cropped a face out")
    assert (await field.desk.submit(dismiss))["verdict"] == "passed"
    assert "edited" not in await field.findings(order)
    told = await field.assessment(order)
    assert told["dismissed"] == [["edited", "ana", "cropped a face out"]]
    assert [entry[0] for entry in told["reasons"]] == ["edited", "outline_missing"], "it is still told"
    assert (await field.desk.submit(dismiss))["verdict"] == "passed"
    again = DismissReason(None, "ana", order, f"{order}/1", "screenshot", "no")
    assert await refused(field.desk.submit(again)) == "bad_request"
    assert await refused(field.desk.submit(AssessBatch(None, order, "7/x"))) == "unknown_batch"
    assert await refused(field.desk.submit(AssessBatch(None, 10**6, "7/x"))) == "unknown_order"


async def test_an_outline_has_versions_and_the_same_again_changes_nothing(field: Plot) -> None:
    first = await field.outline(geojson(square(SITE, 300)))
    assert (first["status"], (await field.outline(geojson(square(SITE, 300))))["status"]) == (
        "recorded",
        "known",
    )
    name = await field.upload(good_photo(1, point=away(SITE, 800, 0)))
    order = await field.order()
    await field.report(order, batch("1", 200, [name]))
    assert "outside_site" in await field.findings(order)
    second = await field.outline(geojson(square(away(SITE, 400, 0), 1200)))
    assert second["outline"].endswith("/2")
    assert "outside_site" not in await field.findings(order)
    async with field.desk.reading() as reader:
        rows = await reader.fetch("SELECT version, is_current FROM site_outlines ORDER BY version")
    assert [(version, bool(current)) for version, current in rows] == [(1, False), (2, True)]


async def test_trees_of_all_orders_of_a_place_count_for_its_density(field: Plot) -> None:
    await field.outline(geojson(square(SITE, 20)))  # 400 m²: 240 trees at 6,000 a hectare
    names = await field.uploads([good_photo(seed) for seed in range(2)])
    one, two = await field.order(), await field.order()
    await field.report(one, batch("1", 200, names[:1]))
    assert "too_dense" not in await field.findings(one)
    await field.report(two, batch("1", 200, names[1:]))
    assert "too_dense" in await field.findings(two)


async def test_several_batches_of_one_report_are_judged_together(field: Plot) -> None:
    await field.outline(geojson(square(SITE, 20)))
    image = scene(9)
    names = [await field.upload(good_photo(1, image=image)), await field.upload(photo(image, quality=60))]
    order = await field.order(300)
    await field.report(
        order, batch("1", 130, names[:1]), batch("2", 150, names[1:], planters=9), accepted=300
    )
    assert {"too_dense", "alike_other_batch"} <= await field.findings(order)
    told = [await field.assessment(order, name) for name in ("1", "2")]
    assert ["too_dense" in {entry[0] for entry in one["reasons"]} for one in told] == [False, True]


async def test_sites_and_seasons_of_others_are_refused(field: Plot) -> None:
    ring = geojson(square(SITE, 300))
    assert await refused(field.outline(ring, OAK, PLACES[ELM])) == "outline_invalid"
    assert await refused(field.outline(ring, site="nowhere")) == "outline_invalid"


async def test_outlines_that_come_at_the_same_moment_see_each_other(field: Plot) -> None:
    """Each is compared before any of them is kept; all but the first are compared again."""
    rings = [geojson(square(away(SITE, 10 * n, 0), 300)) for n in range(4)]
    await field.desk.submit(site_of(ELM, "second"))
    places = [(ELM, PLACES[ELM]), (ELM, "second"), (OAK, PLACES[OAK])]
    told = await asyncio.gather(
        *(field.outline(ring, *place) for ring, place in zip(rings, places, strict=False)),
        return_exceptions=True,
    )
    assert [one["status"] for one in told if isinstance(one, dict)] == ["recorded"] * 3, told
    assert sorted(len(one["overlaps"]) for one in told if isinstance(one, dict)) == [0, 1, 2]
    async with field.desk.reading() as reader:
        assert await reader.fetch("SELECT outlines FROM outline_seasons") == [(3,)]


async def test_a_partner_with_registered_sites_has_no_others(field: Plot) -> None:
    ring = geojson(square(SITE, 300))
    assert await refused(field.outline(ring, site="north")) == "outline_invalid"
    await field.desk.submit(site_of(ELM, "north"))
    assert (await field.outline(ring, site="north"))["status"] == "recorded"
    assert await refused(field.outline(ring, OAK, "north")) == "outline_invalid"
    await field.desk.submit(MoveSite(None, "li", "north", "retired"))
    assert await refused(field.outline(ring, site="north")) == "outline_invalid"


def site_of(partner: str, site: str) -> RecordSite:
    """A registered site around the usual place."""
    geometry = json.dumps({"type": "MultiPolygon", "coordinates": [[[list(p) for p in square(SITE, 500)]]]})
    return RecordSite(None, "li", site, partner, "", site, "CN", "CN-GS", geometry, 250_000, "WGS84")


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
async def test_an_outline_in_a_datum_that_nobody_stated_is_a_question(plot: Plot, datum: str) -> None:
    """The site was drawn on a web map; its photos have satellites' places."""
    from partners.core.datum import from_wgs84

    shown = [from_wgs84(point, datum) for point in square(centre(PLACES[ELM]), 300)]
    await plot.outline(geojson(shown), datum="wgs84")
    names = await plot.uploads([good_photo(seed) for seed in range(4)])
    order = await plot.order()
    await plot.report(order, batch("1", 200, names))
    told = await plot.assessment(order)
    assert (told["verdict"], told["score"]) == ("needs_info", 0)
    [(code, weight, about)] = told["reasons"]
    assert (code, weight, about["coordinates_of"], about["are_in"]) == ("datum_mistake", 0, "site", datum)
    await plot.outline(geojson(shown), datum=datum)  # the partner answers
    assert (await plot.assessment(order))["verdict"] == "passed"


async def test_an_outline_whose_batches_a_crash_left_is_made_good_by_the_job(field: Plot) -> None:
    order = await field.order()
    await field.report(order, batch("1", 200, [await field.upload(good_photo(1))]))
    shape = checked_outline(read_shape(geojson(square(SITE, 300))), "wgs84")
    site = (ELM, PLACES[ELM], "2027-spring", "wgs84")
    await field.desk.submit(
        RecordOutline(None, *site, shape.area_m2, shape.box_e6, shape.polygons, [], [], 0)
    )
    assert "outline_missing" in await field.findings(order)  # the process died before it judged anew
    assert await settle_evidence(field.desk) == 1
    assert await field.findings(order) == set()
