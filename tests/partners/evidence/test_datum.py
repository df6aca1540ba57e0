"""Coordinates and their datum: published examples, round trips, names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.core.datum import (
    DATUMS,
    datum_named,
    from_bd09,
    from_gcj02,
    from_wgs84,
    in_china,
    metres_between,
    to_bd09,
    to_gcj02,
    to_wgs84,
)

a_point = st.tuples(st.floats(73.6, 135.0), st.floats(3.9, 53.5))


def test_published_examples() -> None:
    """Those of the widely used coordtransform libraries, for 116.404 E, 39.915 N."""
    assert to_gcj02((116.404, 39.915)) == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-9)
    near = metres_between(from_gcj02((116.404, 39.915)), (116.39775550083061, 39.91359571849836))
    assert near < 2, "their inverse takes one step, ours goes on"
    shown = to_bd09(from_gcj02((116.404, 39.915)))
    assert shown == pytest.approx((116.41036949371029, 39.92133699351021), abs=1e-7)


@settings(max_examples=300, deadline=None)
@given(a_point, st.sampled_from(DATUMS))
def test_there_and_back_is_within_a_decimetre(point: tuple[float, float], datum: str) -> None:
    assert metres_between(point, to_wgs84(from_wgs84(point, datum), datum)) < 0.1
    assert metres_between(point, from_wgs84(to_wgs84(point, datum), datum)) < 0.1


@settings(max_examples=200, deadline=None)
@given(a_point)
def test_shifts_are_those_that_maps_of_china_have(point: tuple[float, float]) -> None:
    assert 20 < metres_between(point, to_gcj02(point)) < 1200
    assert 300 < metres_between(to_gcj02(point), to_bd09(point)) < 2000


@given(st.tuples(st.floats(-180, 71.9), st.floats(-90, 90)))
def test_nothing_is_shifted_elsewhere(point: tuple[float, float]) -> None:
    assert not in_china(point)
    assert to_gcj02(point) == point == from_gcj02(point)


def test_bd09_is_no_gcj02() -> None:
    point = (105.7, 38.8)
    assert metres_between(from_bd09(to_gcj02(point)), point) > 300


@pytest.mark.parametrize(
    ("text", "datum"),
    [
        ("WGS-84", "wgs84"),
        ("WGS 84", "wgs84"),
        ("EPSG:4490", "cgcs2000"),
        ("GCJ-02", "gcj02"),
        ("高德", "gcj02"),
        ("bd09ll", "bd09"),
        ("", None),
        ("TOKYO", None),
    ],
)
def test_names_of_datums(text: str, datum: str | None) -> None:
    assert datum_named(text) == datum
