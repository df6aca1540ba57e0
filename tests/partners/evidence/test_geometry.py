"""Outlines: what is taken, measured and compared, and what is refused with its place."""

from __future__ import annotations

import json
from fractions import Fraction
from math import cos, radians
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from partners.core.ground import metres_outside
from partners.evidence.geometry import (
    POLYGONS_MAX,
    VERTICES_MAX,
    Outline,
    checked_outline,
    hectares,
    mu,
    overlap,
    overlapping,
)
from partners.evidence.shapes import BYTES_MAX, read_shape
from tests.partners.evidence.plot import away, geojson, square

SITE = (105.7, 38.8)


def outline(data: bytes, datum: str = "wgs84", near: tuple[float, float] | None = None) -> Outline:
    return checked_outline(read_shape(data), datum, near)


def refusal(data: bytes, datum: str = "wgs84", near: tuple[float, float] | None = None) -> dict[str, Any]:
    with pytest.raises(Rejected) as found:
        outline(data, datum, near)
    assert found.value.code == "outline_invalid"
    return found.value.fields


def kml(*polygons: str, head: str = "") -> bytes:
    marks = "".join(f"<Placemark><Polygon>{polygon}</Polygon></Placemark>" for polygon in polygons)
    text = f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{marks}</Document></kml>'
    return f'<?xml version="1.0" encoding="UTF-8"?>{head}{text}'.encode()


def kml_ring(ring: list[tuple[float, float]], kind: str = "outerBoundaryIs") -> str:
    points = "\n ".join(f"{x},{y},0" for x, y in ring)
    return f"<{kind}><LinearRing><coordinates>{points}</coordinates></LinearRing></{kind}>"


def test_areas_are_those_of_the_ellipsoid_in_three_units() -> None:
    found = outline(geojson(square(SITE, 1000)))
    assert found.area_m2 == pytest.approx(1_000_000, rel=0.01)
    assert found.hectares == Fraction(found.area_m2, 10_000)
    assert found.mu == found.hectares * 15
    assert (hectares(20_000), mu(2_000)) == (2, 3)
    # a quarter degree square at two latitudes: never from degrees
    wide, narrow = (
        outline(
            geojson([(x, lat), (x + 0.25, lat), (x + 0.25, lat + 0.25), (x, lat + 0.25), (x, lat)])
        ).area_m2
        for x, lat in ((105.0, 20.0), (105.0, 50.0))
    )
    assert narrow / wide == pytest.approx(cos(radians(50.125)) / cos(radians(20.125)), rel=0.01)


def test_holes_are_left_out_and_every_part_is_kept() -> None:
    whole = outline(geojson(square(SITE, 400))).area_m2
    holed = outline(geojson(square(SITE, 400), square(SITE, 100)))
    assert holed.area_m2 == pytest.approx(whole - 10_000, rel=0.01)
    far = away(SITE, 2000, 0)
    parts = {"type": "MultiPolygon", "coordinates": [[square(SITE, 400)], [square(far, 100)]]}
    both = outline(json.dumps(parts).encode())
    assert len(both.polygons) == 2
    assert both.area_m2 == pytest.approx(whole + 10_000, rel=0.01)
    assert metres_outside(far, both.polygons) == 0
    assert metres_outside(SITE, holed.polygons) == pytest.approx(50, abs=1)


def test_collections_and_kml_are_read() -> None:
    ring = square(SITE, 300)
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    collection = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode("utf-8-sig")
    as_kml = kml(
        kml_ring(ring) + kml_ring(square(SITE, 50), "innerBoundaryIs"),
        kml_ring(square(away(SITE, 900, 0), 80)),
    )
    assert outline(collection).area_m2 == outline(geojson(ring)).area_m2
    found = outline(as_kml)
    assert [len(rings) for rings in found.polygons] == [2, 1]


def test_small_faults_are_mended_and_noted() -> None:
    ring = square(SITE, 300)
    open_ring = outline(geojson([ring[0], ring[0], *ring[1:-1]]))
    assert set(open_ring.notes) == {"ring_closed", "repeated_points_removed"}
    assert open_ring.area_m2 == outline(geojson(ring)).area_m2


def test_a_crossing_is_told_with_its_place() -> None:
    a, b, c, d, _ = square(SITE, 300)
    fields = refusal(geojson([a, c, b, d, a]))
    assert fields["reason"] == "self_intersection"
    assert fields["place"] == pytest.approx(list(SITE), abs=1e-4)


def test_axes_that_are_swapped_are_told() -> None:
    turned = [(y, x) for x, y in square(SITE, 300)]
    assert refusal(geojson(turned))["reason"] == "axes_swapped"
    kenya, swapped = (37.0, -1.0), (-1.0, 37.0)
    assert refusal(geojson(square(swapped, 300)), near=kenya)["reason"] == "axes_swapped"
    assert outline(geojson(square(kenya, 300)), near=kenya).area_m2 > 0


@pytest.mark.parametrize(
    ("ring", "reason"),
    [
        ([(179.9, 10), (-179.9, 10), (-179.9, 10.1), (179.9, 10.1), (179.9, 10)], "antimeridian"),
        ([(105, 38), (105.1, 38), (105, 38)], "too_few_points"),
        ([(105, 38), (105.00000001, 38), (105.00000001, 38.00000001), (105, 38)], "too_few_points"),
        ([(500, 38), (105.1, 38), (105.1, 38.1), (500, 38)], "not_on_earth"),
        ([(105, 38), (105.00001, 38), (105.00001, 38.00001), (105, 38.00001), (105, 38)], "too_small"),
        ([(100, 30), (110, 30), (110, 40), (100, 40), (100, 30)], "too_large"),
        (
            [
                (105, 38),
                (105.01, 38),
                (105.01, 38.005),
                (105.1, 38.0051),
                (105.01, 38.0052),
                (105.01, 38.01),
                (105, 38.01),
                (105, 38),
            ],
            "spike",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(ring: list[tuple[float, float]], reason: str) -> None:
    assert refusal(geojson(ring))["reason"] == reason


def test_holes_must_lie_inside() -> None:
    assert (
        refusal(geojson(square(SITE, 300), square(away(SITE, 3000, 0), 50)))["reason"]
        == "hole_lies_outside_shell"
    )


def test_too_much_of_everything() -> None:
    many = [(105 + n * 1e-6, 38 + (n % 2) * 1e-6) for n in range(VERTICES_MAX + 2)]
    assert refusal(geojson(many))["reason"] == "too_many_vertices"
    parts = {"type": "MultiPolygon", "coordinates": [[square(SITE, 9)]] * (POLYGONS_MAX + 1)}
    assert refusal(json.dumps(parts).encode())["reason"] == "too_many_polygons"
    assert refusal(b" " * (BYTES_MAX + 1))["reason"] == "too_many_bytes"
    deep: Any = {"type": "Polygon", "coordinates": [square(SITE, 300)]}
    for _ in range(60):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    assert refusal(json.dumps(deep).encode())["reason"] == "not_readable"
    assert refusal(geojson(square(SITE, 300)), "moon")["reason"] == "unknown_datum"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"null",
        b'{"type": "Polygon"}',
        b'{"type": "Polygon", "coordinates": [[]]}',
        b'{"type": "Polygon", "coordinates": [[["105", "38"]]]}',
        b'{"type": "Polygon", "coordinates": [[[1e999, 38], [1, 2], [3, 4]]]}',
        b'{"type": "Polygon", "coordinates": [[[NaN, 38], [1, 2], [3, 4]]]}',
        b'{"type": "Polygon", "coordinates": [[[true, 38], [1, 2], [3, 4]]]}',
        b'{"type": "Point", "coordinates": [105, 38]}',
        b'{"type": "Feature", "geometry": null}',
        b'{"type": "Polygon", "crs": "EPSG:32648", "coordinates": [[[1, 2], [3, 4], [5, 6]]]}',
        b"\xff\xfe{",
        b"<kml",
        b"<kml></kml>",
        b"<kml><Polygon></Polygon></kml>",
        kml("<outerBoundaryIs><LinearRing><coordinates>a,b c,d</coordinates></LinearRing></outerBoundaryIs>"),
        kml(
            "<outerBoundaryIs><LinearRing><coordinates>inf,1 2,3 4,5</coordinates></LinearRing></outerBoundaryIs>"
        ),
        kml(kml_ring(square(SITE, 300)), head='<!DOCTYPE kml [<!ENTITY a "aaaa">]>'),
        kml(kml_ring(square(SITE, 300)), head='<!DOCTYPE kml SYSTEM "file:///etc/passwd">'),
        b"<a>" * 100_000,
    ],
    ids=range(22),
)
def test_hostile_files(data: bytes) -> None:
    assert refusal(data)["reason"]


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_a_stated_datum_is_converted(datum: str) -> None:
    from partners.core.datum import from_wgs84

    shown = [from_wgs84(point, datum) for point in square(SITE, 300)]
    found = outline(geojson(shown), datum)
    assert metres_outside(SITE, found.polygons) == 0
    assert found.area_m2 == pytest.approx(90_000, rel=0.01)


def test_overlaps_have_shares_of_both() -> None:
    one = outline(geojson(square(SITE, 400))).polygons
    half = outline(geojson(square(away(SITE, 200, 0), 400))).polygons
    inside = outline(geojson(square(SITE, 100))).polygons
    beside = outline(geojson(square(away(SITE, 1000, 0), 400))).polygons
    shared = overlap(one, half)
    assert shared is not None and shared.of_smaller == pytest.approx(5000, abs=30)
    within = overlap(inside, one)
    assert within is not None and (within.of_smaller, within.of_larger) == (
        10_000,
        pytest.approx(625, abs=10),
    )
    assert overlap(one, beside) is None
    touching = outline(
        geojson([square(SITE, 400)[1], away(SITE, 600, -200), away(SITE, 600, 200), square(SITE, 400)[2]])
    )
    assert overlap(one, touching.polygons) is None or overlap(one, touching.polygons).of_smaller < 10  # type: ignore[union-attr]
    assert [place for place, _ in overlapping(one, [beside, half, inside])] == [1, 2]


@settings(max_examples=60, deadline=None)
@given(st.floats(-600, 600), st.floats(-600, 600), st.floats(60, 500), st.floats(60, 500))
def test_overlap_is_the_same_from_both_sides(east: float, north: float, one_m: float, other_m: float) -> None:
    one = outline(geojson(square(SITE, one_m))).polygons
    other = outline(geojson(square(away(SITE, east, north), other_m))).polygons
    there, back = overlap(one, other), overlap(other, one)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        assert abs(there.area_m2 - back.area_m2) <= 1
        assert there.of_larger <= there.of_smaller <= 10_000


@settings(max_examples=100, deadline=None)
@given(st.floats(-900, 900), st.floats(-900, 900))
def test_distance_outside_is_that_to_the_square(east: float, north: float) -> None:
    polygons = outline(geojson(square(SITE, 400))).polygons
    dx, dy = max(0.0, abs(east) - 200), max(0.0, abs(north) - 200)
    assert metres_outside(away(SITE, east, north), polygons) == pytest.approx(
        (dx * dx + dy * dy) ** 0.5, abs=6, rel=0.01
    )
