"""How far a position is from an outline, in metres. Pure and small; what needs a geometry library is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, radians

from partners.core.datum import Point

METRES_PER_DEGREE = 111_195.08  # of a great circle on a ball of the Earth's mean radius
Ring = Sequence[Sequence[int]]


def metres_outside(point: Point, polygons: Sequence[Sequence[Ring]]) -> float:
    """0 inside, else the metres to the nearest edge (within a per cent over some 50 km). Rings are in 1e-7 degrees."""
    squeeze = cos(radians(point[1]))
    nearest = float("inf")
    for rings in polygons:
        flat = [
            [
                ((x / 1e7 - point[0]) * squeeze * METRES_PER_DEGREE, (y / 1e7 - point[1]) * METRES_PER_DEGREE)
                for x, y in ring
            ]
            for ring in rings
        ]
        if _covers(flat[0]) and not any(_covers(hole) for hole in flat[1:]):
            return 0.0
        nearest = min(nearest, *(_nearest(ring) for ring in flat))
    return nearest


def _covers(ring: Sequence[Point]) -> bool:
    """Whether the ring goes round the origin: how often a ray to the east crosses it."""
    inside = False
    for (x, y), (next_x, next_y) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y > 0) != (next_y > 0) and x + (next_x - x) * -y / (next_y - y) > 0:
            inside = not inside
    return inside


def _nearest(ring: Sequence[Point]) -> float:
    return min(_to_edge(one, other) for one, other in zip(ring, [*ring[1:], ring[0]], strict=True))


def _to_edge(one: Point, other: Point) -> float:
    """From the origin to the edge between two points."""
    dx, dy = other[0] - one[0], other[1] - one[1]
    long2 = dx * dx + dy * dy
    t = 0.0 if long2 == 0 else max(0.0, min(1.0, -(one[0] * dx + one[1] * dy) / long2))
    return hypot(one[0] + t * dx, one[1] + t * dy)
