"""Where a site is, as exactly as its record allows the public to know: its outline, or a square that holds it. Pure but
for the geometry library; all that comes out is WGS 84, longitude first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil, cos, floor, radians
from typing import Any

from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from partners.core.datum import Point, to_wgs84
from partners.core.ground import METRES_PER_DEGREE
from partners.core.records.rows import SHOWN_M

VERTICES_MAX = 4_000
TOLERANCE_DEG = 1e-5  # a metre: what a walked boundary is good for
DECIMALS = 6
POLE_DEG = 89.0

Ring = list[list[float]]


@dataclass(frozen=True, slots=True)
class Ground:
    """Polygons of rings, first point repeated at the end as GeoJSON has it. `shown_m` 0: the outline itself."""

    polygons: list[list[Ring]]
    shown_m: int

    @property
    def geometry(self) -> dict[str, Any]:
        """As GeoJSON."""
        return {"type": "MultiPolygon", "coordinates": self.polygons}

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        points = [point for rings in self.polygons for point in rings[0]]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)


def ground_of(geometry: str | None, datum: str | None, shown_m: int | None) -> Ground | None:
    """What may be shown of a recorded geometry; None where there is none that can be drawn."""
    if not geometry or not datum:
        return None
    try:
        drawn = shape(json.loads(geometry))
        if drawn.is_empty or drawn.geom_type != "MultiPolygon" or not all(map(_is_degree, drawn.bounds)):
            return None
        if shown_m == 0:
            return Ground(_outline(drawn, datum.lower()), 0)
        west, south = to_wgs84((drawn.bounds[0], drawn.bounds[1]), datum.lower())
        east, north = to_wgs84((drawn.bounds[2], drawn.bounds[3]), datum.lower())
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, ShapelyError):
        return None
    side_m = SHOWN_M if shown_m is None else shown_m
    return Ground([[_square((west, south), (east, north), side_m)]], side_m)


def point_shown(longitude_e6: int | None, latitude_e6: int | None, shown_m: int | None) -> list[float] | None:
    """A point as exactly as the public may know it: the middle of a square of the grid that the outlines lie on."""
    if longitude_e6 is None or latitude_e6 is None:
        return None
    point = longitude_e6 / 1e6, latitude_e6 / 1e6
    if shown_m == 0:
        return [round(one, DECIMALS) for one in point]
    side_m = SHOWN_M if shown_m is None else shown_m
    ring = _square(point, point, side_m)
    (west, south), _, (east, north) = ring[0], ring[1], ring[2]
    return [round((west + east) / 2, DECIMALS), round((south + north) / 2, DECIMALS)]


def _is_degree(value: float) -> bool:
    return -180 <= value <= 180


def _outline(drawn: BaseGeometry, datum: str) -> list[list[Ring]]:
    tolerance = TOLERANCE_DEG
    thin = drawn.simplify(tolerance)
    while _vertices(thin) > VERTICES_MAX:
        tolerance *= 4
        thin = drawn.simplify(tolerance)
    polygons = getattr(thin, "geoms", [thin])
    turned = [
        orient(one) for one in polygons if not one.is_empty
    ]  # outer rings to the left, as RFC 7946 has it
    return [[_ring(ring.coords, datum) for ring in (one.exterior, *one.interiors)] for one in turned]


def _vertices(drawn: BaseGeometry) -> int:
    parts = getattr(drawn, "geoms", [drawn])
    return sum(len(ring.coords) for one in parts for ring in (one.exterior, *one.interiors))


def _ring(points: Any, datum: str) -> Ring:
    return [[round(one, DECIMALS) for one in to_wgs84((point[0], point[1]), datum)] for point in points]


def _square(low: Point, high: Point, side_m: int) -> Ring:
    """The squares of a fixed grid that hold both corners: asking often tells no more than asking once."""
    step = side_m / METRES_PER_DEGREE
    south, north = floor(low[1] / step) * step, ceil(high[1] / step) * step
    north = north if north > south else south + step
    # one width for each row of squares, not for each place in it
    wide = step / cos(radians(min(POLE_DEG, abs(floor(low[1] / step)) * step)))
    west, east = floor(low[0] / wide) * wide, ceil(high[0] / wide) * wide
    east = east if east > west else west + wide
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [[round(x, DECIMALS), round(y, DECIMALS)] for x, y in corners]
