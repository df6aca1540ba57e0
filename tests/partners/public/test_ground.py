"""Where a site may be shown: its outline exactly, or squares that give away no more however often one asks."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, shape

from partners.core.datum import metres_between, to_gcj02
from partners.public.ground import ground_of, point_shown
from partners.public.map import site_map

HOLE = [[103.104, 38.604], [103.106, 38.604], [103.106, 38.606], [103.104, 38.606], [103.104, 38.604]]
RING = [[103.1, 38.6], [103.11, 38.6], [103.11, 38.61], [103.1, 38.61], [103.1, 38.6]]
SITE = json.dumps({"type": "MultiPolygon", "coordinates": [[RING, HOLE]]})
SIDES_M = (100, 1_000, 10_000)


def drawn(geometry: dict[str, object]) -> MultiPolygon:
    made = shape(geometry)
    assert isinstance(made, MultiPolygon) and made.is_valid
    return made


def test_an_outline_is_kept_whole_with_its_holes() -> None:
    ground = ground_of(SITE, "WGS84", 0)
    assert ground is not None
    assert drawn(ground.geometry).equals(shape(json.loads(SITE)))
    assert drawn(ground.geometry).geoms[0].exterior.is_ccw  # RFC 7946


def test_other_datums_are_shown_in_wgs84() -> None:
    moved = [[list(to_gcj02((x, y))) for x, y in ring] for ring in (RING, HOLE)]
    ground = ground_of(json.dumps({"type": "MultiPolygon", "coordinates": [moved]}), "GCJ02", 0)
    assert ground is not None
    assert len(ground.polygons[0]) == 2
    assert shape(ground.geometry).symmetric_difference(shape(json.loads(SITE))).area < 1e-7


@pytest.mark.parametrize("shown_m", [*SIDES_M, None])
def test_a_square_holds_the_site_and_nothing_of_its_shape(shown_m: int | None) -> None:
    ground = ground_of(SITE, "WGS84", shown_m)
    assert ground is not None and ground.shown_m == (1_000 if shown_m is None else shown_m)
    [[ring]] = ground.polygons
    assert len(ring) == 5
    assert drawn(ground.geometry).buffer(1e-6).contains(shape(json.loads(SITE)))
    moved = json.dumps({"type": "MultiPolygon", "coordinates": [[[[x + 1e-7, y + 1e-7] for x, y in RING]]]})
    other = ground_of(moved, "WGS84", shown_m)
    assert other is not None and other.polygons == ground.polygons  # a grid: no averaging finds the middle


@given(
    st.floats(-179, 179),
    st.floats(-80, 80),
    st.sampled_from(SIDES_M),
    st.floats(-1e-9, 1e-9),
    st.floats(-1e-9, 1e-9),
)
def test_a_point_is_shown_as_the_middle_of_its_square(
    longitude: float, latitude: float, side_m: int, east: float, north: float
) -> None:
    point = round(longitude * 1e6), round(latitude * 1e6)
    found = point_shown(*point, side_m)
    assert found is not None
    assert metres_between((found[0], found[1]), (point[0] / 1e6, point[1] / 1e6)) <= 0.75 * side_m + 1
    again = point_shown(round(found[0] * 1e6), round(found[1] * 1e6), side_m)
    assert again == pytest.approx(found, abs=2e-6)


def test_an_exact_point_is_itself_and_none_is_none() -> None:
    assert point_shown(103_123456, 38_654321, 0) == [103.123456, 38.654321]
    assert point_shown(None, 38_000000, 0) is None
    shown = point_shown(103_123456, 38_654321, None)
    assert shown is not None and shown != [103.123456, 38.654321]


@pytest.mark.parametrize(
    "geometry",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        '{"type":"MultiPolygon","coordinates":[]}',
        '{"type":"MultiPolygon","coordinates":[[]]}',
        '{"type":"MultiPolygon","coordinates":[[[]]]}',
        '{"type":"MultiPolygon","coordinates":[[[[1,2],[3]]]]}',
        '{"type":"MultiPolygon","coordinates":[[[["a","b"],["c","d"],["e","f"],["a","b"]]]]}',
        '{"type":"MultiPolygon","coordinates":[[[[1e400,2],[3,4],[5,6],[1e400,2]]]]}',
        '{"type":"MultiPolygon","coordinates":[[[[1000,2],[3,4],[5,6],[1000,2]]]]}',
        '{"type":"MultiPolygon","coordinates":' + "[" * 5000 + "]" * 5000 + "}",
        '{"type":"Moon"}',
    ],
)
@pytest.mark.parametrize("shown_m", [0, 1_000])
def test_what_cannot_be_drawn_is_not_drawn(geometry: str | None, shown_m: int) -> None:
    assert ground_of(geometry, "WGS84", shown_m) is None


def test_an_outline_of_very_many_points_is_thinned() -> None:
    from math import cos, sin

    ring = [[103 + cos(n / 5_000) / 50 + (n % 7) * 1e-5, 38 + sin(n / 5_000) / 50] for n in range(31_000)]
    ground = ground_of(json.dumps({"type": "MultiPolygon", "coordinates": [[[*ring, ring[0]]]]}), "BD09", 0)
    assert ground is not None
    assert 3 < len(ground.polygons[0][0]) <= 4_000


@pytest.mark.parametrize("shown_m", [0, 1_000])
def test_the_map_is_plain_svg_that_says_what_it_shows(shown_m: int) -> None:
    ground = ground_of(SITE, "WGS84", shown_m)
    assert ground is not None
    text = site_map(ground, [[103.105, 38.605]], "民勤<script>", "Minqin & more").decode()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not {"style", "script", "image", "a", "foreignObject"} & {
        one.tag.rpartition("}")[2] for one in root.iter()
    }
    assert not [
        name for one in root.iter() for name in one.attrib if name == "style" or name.startswith("on")
    ]
    assert ("square" in text) is (shown_m > 0)
    [dot] = [one for one in root.iter() if one.tag.endswith("circle")]
    assert Point(float(dot.attrib["cx"]), float(dot.attrib["cy"])).within(Point(240, 160).buffer(200))
