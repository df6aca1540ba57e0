"""Outlines of sites: checked, explained where they can't be used, measured on the ellipsoid, compared. No I/O.

Areas come from PROJ's geodesic on WGS 84, never from degrees. A shape is refused rather than mended where mending would
guess what was meant; what is mended (a ring that was not closed, points written twice) is noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import acos, cos, degrees, hypot, radians

from pyproj import Geod
from shapely import STRtree, from_geojson
from shapely.errors import GEOSException, ShapelyError
from shapely.geometry import MultiPolygon, Polygon
from shapely.ops import unary_union
from shapely.validation import explain_validity

from engine.core.errors import Rejected
from partners.core.datum import DATUMS, Point, in_china, to_wgs84
from partners.core.ground import METRES_PER_DEGREE

MU_PER_HECTARE = 15  # 1 mu = 2000/3 m², so that 15 are a hectare
VERTICES_MAX = 10_000
POLYGONS_MAX = 500
AREA_M2_MIN = 50
AREA_M2_MAX = 1_000_000_000  # 1,000 square kilometres
SPIKE_DEGREES_MAX = 3.0
SPIKE_RATIO_MIN = 10.0
SPIKE_SIDE_M_MIN = 50.0
SCALE = 10**7  # a ten-millionth of a degree is a centimetre

Ring = list[Point]
Shape = list[list[Ring]]  # polygons, each its outer ring and its holes
Stored = list[list[list[list[int]]]]


@lru_cache(maxsize=1)
def _geod() -> Geod:
    return Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Outline:
    """A shape that can be used, in WGS 84, its area on the ellipsoid and what was noted on the way."""

    polygons: Stored
    area_m2: int
    box_e6: tuple[int, int, int, int]
    vertices: int
    notes: tuple[str, ...]

    @property
    def hectares(self) -> Fraction:
        """The area in hectares."""
        return hectares(self.area_m2)

    @property
    def mu(self) -> Fraction:
        """The area in mu."""
        return mu(self.area_m2)


def hectares(area_m2: int) -> Fraction:
    """Square metres as hectares."""
    return Fraction(area_m2, 10_000)


def mu(area_m2: int) -> Fraction:
    """Square metres as mu of 2000/3 m²."""
    return Fraction(area_m2 * 3, 2000)


def checked_outline(shape: Shape, datum: str, near: Point | None = None) -> Outline:
    """The outline of a shape as it was drawn, in the datum that its sender states.

    `near`: a place in WGS 84 that is known to be at the site, by which swapped axes are told apart.
    Raises Rejected(outline_invalid) with `reason` and, where there is one, the `place` [longitude, latitude].
    """
    if datum not in DATUMS:
        raise _wrong("unknown_datum", expected=list(DATUMS))
    notes: list[str] = []
    if not shape:
        raise _wrong("empty")
    if len(shape) > POLYGONS_MAX:
        raise _wrong("too_many_polygons", polygons=len(shape), polygons_max=POLYGONS_MAX)
    vertices = sum(len(ring) for rings in shape for ring in rings)
    if vertices > VERTICES_MAX:
        raise _wrong("too_many_vertices", vertices=vertices, vertices_max=VERTICES_MAX)
    _check_axes(shape, near)
    tidy = [[_tidy(ring, notes) for ring in rings] for rings in shape]
    moved = [[[to_wgs84(point, datum) for point in ring] for ring in rings] for rings in tidy]
    stored = [[[[round(x * SCALE), round(y * SCALE)] for x, y in ring] for ring in rings] for rings in moved]
    stored = [[_distinct(ring) for ring in rings] for rings in stored]
    polygons = as_polygons(stored)
    _check_valid(polygons)
    _check_spikes(stored)
    area_m2 = area_of(polygons)
    if area_m2 < AREA_M2_MIN:
        raise _wrong("too_small", area_m2=area_m2, area_m2_min=AREA_M2_MIN)
    if area_m2 > AREA_M2_MAX:
        raise _wrong("too_large", area_m2=area_m2, area_m2_max=AREA_M2_MAX)
    return Outline(stored, area_m2, _box(stored), vertices, tuple(dict.fromkeys(notes)))


def middle_of(geometry: str | None, datum: str | None) -> Point | None:
    """About the middle of a registered geometry, WGS 84; None where it is none."""
    try:
        drawn = from_geojson(geometry or "")
        x, y = drawn.centroid.x, drawn.centroid.y
        return to_wgs84((x, y), (datum or "").lower())
    except (ShapelyError, KeyError, ValueError, IndexError):
        return None


def as_polygons(stored: Stored) -> MultiPolygon:
    """A stored outline for the geometry library, in degrees."""
    made = [Polygon(_degrees(rings[0]), [_degrees(hole) for hole in rings[1:]]) for rings in stored if rings]
    return MultiPolygon(made)


def area_of(shape: MultiPolygon) -> int:
    """Square metres on the ellipsoid, holes left out, to the nearest one."""
    total = 0.0
    for polygon in shape.geoms:
        total += abs(_geod().polygon_area_perimeter(*polygon.exterior.coords.xy)[0])
        for hole in polygon.interiors:
            total -= abs(_geod().polygon_area_perimeter(*hole.coords.xy)[0])
    return round(total)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Ground that two outlines share: of the smaller and of the larger one, in hundredths of a per cent."""

    area_m2: int
    of_smaller: int
    of_larger: int


def overlap(one: Stored, other: Stored) -> Overlap | None:
    """What two outlines share; None for nothing, or a line or point alone."""
    mine, theirs = as_polygons(one), as_polygons(other)
    if not mine.intersects(theirs):
        return None
    try:
        shared = unary_union(_surfaces(mine.intersection(theirs)))
    except GEOSException as problem:  # both were valid, so this is the library's
        raise _wrong("cannot_be_compared", problem=str(problem)[:200]) from problem
    if shared.is_empty:
        return None
    common = area_of(MultiPolygon(_surfaces(shared)))
    areas = sorted((area_of(mine), area_of(theirs)))
    if not common or not areas[0]:
        return None
    return Overlap(common, *(min(10_000, round(common * 10_000 / area)) for area in areas))


def overlapping(mine: Stored, others: Sequence[Stored]) -> list[tuple[int, Overlap]]:
    """Which of the others share ground with mine (by their position), and how much."""
    if not others:
        return []
    tree = STRtree([as_polygons(other) for other in others])
    found = []
    for place in sorted(int(index) for index in tree.query(as_polygons(mine), predicate="intersects")):
        shared = overlap(mine, others[place])
        if shared is not None:
            found.append((place, shared))
    return found


# --- checks ---------------------------------------------------------------------------------------


def _wrong(reason: str, place: Sequence[float] | None = None, **fields: object) -> Rejected:
    where = {} if place is None else {"place": [round(place[0], 7), round(place[1], 7)]}
    return Rejected("outline_invalid", reason=reason, **where, **fields)


def _check_axes(shape: Shape, near: Point | None) -> None:
    """Longitude comes first (RFC 7946). Told apart from latitude by range, by China's box, or by a place nearby."""
    points = [point for rings in shape for ring in rings for point in ring]
    for x, y in points:
        if not (abs(x) <= 180 and abs(y) <= 180):  # also NaN
            raise _wrong("not_on_earth", place=None, found=[str(x)[:20], str(y)[:20]])
    if any(abs(y) > 90 for _, y in points):
        raise _swapped(points[0])
    if any(
        abs(x - next_x) > 180 for rings in shape for ring in rings for (x, _), (next_x, _) in pairwise(ring)
    ):
        raise _wrong("antimeridian", points[0], fix="split the outline at 180 degrees")
    x, y = points[0]
    if near is not None:
        straight, crossed = hypot(x - near[0], y - near[1]), hypot(y - near[0], x - near[1])
        if crossed < 2 < straight:
            raise _swapped(points[0])
    elif not in_china((x, y)) and in_china((y, x)):
        raise _swapped(points[0])


def _swapped(point: Point) -> Rejected:
    return _wrong("axes_swapped", point, fix="write longitude first, then latitude (RFC 7946)")


def _tidy(ring: Ring, notes: list[str]) -> Ring:
    """The ring without its last point, which repeats the first, and without points written twice."""
    points = [point for point, after in zip(ring, [*ring[1:], None], strict=True) if point != after]
    if len(points) < len(ring):
        notes.append("repeated_points_removed")
    if points and points[0] == points[-1] and len(points) > 1:
        points = points[:-1]
    else:
        notes.append("ring_closed")
    if len(points) < 3:
        raise _wrong("too_few_points", points[0] if points else None, points=len(points), points_min=3)
    return points


def _distinct(ring: list[list[int]]) -> list[list[int]]:
    """Without neighbours that are the same to a centimetre."""
    kept = [point for point, before in zip(ring, [ring[-1], *ring[:-1]], strict=True) if point != before]
    if len(kept) < 3:
        raise _wrong(
            "too_few_points", [ring[0][0] / SCALE, ring[0][1] / SCALE], points=len(kept), points_min=3
        )
    return kept


def _check_valid(shape: MultiPolygon) -> None:
    if shape.is_valid:
        return
    says = explain_validity(shape)  # as `Self-intersection[105.1 38.2]`
    reason, _, where = says.partition("[")
    place = [float(part) for part in where.rstrip("]").split()[:2]] if where else None
    raise _wrong("_".join(reason.lower().replace("-", " ").split()) or "invalid", place)


def _check_spikes(stored: Stored) -> None:
    """A corner that is a needle: out and back again. Walked boundaries have them where the phone lost its place."""
    for rings in stored:
        for ring in rings:
            for before, at, after in zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True):
                one, other, base = _metres(at, before), _metres(at, after), _metres(before, after)
                if min(one, other) < SPIKE_SIDE_M_MIN or min(one, other) < SPIKE_RATIO_MIN * base:
                    continue
                turn = (one * one + other * other - base * base) / (2 * one * other)
                if degrees(acos(max(-1.0, min(1.0, turn)))) < SPIKE_DEGREES_MAX:
                    raise _wrong("spike", [at[0] / SCALE, at[1] / SCALE], fix="remove the point")


def _metres(one: Sequence[int], other: Sequence[int]) -> float:
    squeeze = cos(radians(one[1] / SCALE))
    return METRES_PER_DEGREE * hypot((one[0] - other[0]) / SCALE * squeeze, (one[1] - other[1]) / SCALE)


def _box(stored: Stored) -> tuple[int, int, int, int]:
    """West, south, east and north in millionths of a degree, the whole shape inside."""
    xs = [x for rings in stored for x, _ in rings[0]]
    ys = [y for rings in stored for _, y in rings[0]]
    return min(xs) // 10, min(ys) // 10, -(-max(xs) // 10), -(-max(ys) // 10)


def _degrees(ring: Iterable[Sequence[int]]) -> list[Point]:
    return [(x / SCALE, y / SCALE) for x, y in ring]


def _surfaces(shape: object) -> list[Polygon]:
    """The polygons among whatever an intersection gave."""
    if isinstance(shape, Polygon):
        return [] if shape.is_empty else [shape]
    return [part for one in getattr(shape, "geoms", ()) for part in _surfaces(one)]
