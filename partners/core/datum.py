"""Coordinates and their datum: WGS 84, CGCS2000, GCJ-02, BD-09. Pure; degrees in floats, as all of geometry is.

GCJ-02 shifts positions in China by some 100 to 700 m by a fixed function of the position, known from its published
re-creations (the `eviltransform` project and its ports); BD-09 is Baidu's published shift upon GCJ-02. Neither has an
inverse in closed form: it is found by iteration. CGCS2000 and WGS 84 agree to a few centimetres and are taken as one.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, hypot, pi, radians, sin, sqrt

DATUMS = ("wgs84", "cgcs2000", "gcj02", "bd09")
Point = tuple[float, float]  # longitude, latitude in degrees

_KRASOVSKY_A = 6378245.0  # semi-major axis in metres of the ellipsoid that GCJ-02 works on
_KRASOVSKY_EE = 0.00669342162296594323
_BD_TURNS = pi * 3000.0 / 180.0
_STEPS_MAX = 30
_CLOSE_DEG = 1e-9  # a tenth of a millimetre
_EARTH_M = 6371008.8


def in_china(point: Point) -> bool:
    """Whether the point is in the box inside which GCJ-02 shifts at all."""
    longitude, latitude = point
    return 72.004 <= longitude <= 137.8347 and 0.8293 <= latitude <= 55.8271


def to_gcj02(point: Point) -> Point:
    """A WGS 84 position as GCJ-02 shows it; outside China the same."""
    if not in_china(point):
        return point
    longitude, latitude = point
    east, north = _waves(longitude - 105.0, latitude - 35.0)
    phi = radians(latitude)
    squeeze = 1 - _KRASOVSKY_EE * sin(phi) ** 2
    north = north * 180 / (_KRASOVSKY_A * (1 - _KRASOVSKY_EE) / (squeeze * sqrt(squeeze)) * pi)
    east = east * 180 / (_KRASOVSKY_A / sqrt(squeeze) * cos(phi) * pi)
    return longitude + east, latitude + north


def _waves(x: float, y: float) -> Point:
    """The shift in metres east and north, `x` and `y` in degrees from 105 E, 35 N."""
    root = sqrt(abs(x))
    common = (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common
    north += (20 * sin(y * pi) + 40 * sin(y / 3 * pi)) * 2 / 3
    north += (160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common
    east += (20 * sin(x * pi) + 40 * sin(x / 3 * pi)) * 2 / 3
    east += (150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3
    return east, north


def from_gcj02(point: Point) -> Point:
    """The WGS 84 position that GCJ-02 shows as this one."""
    return _inverse(to_gcj02, point)


def to_bd09(point: Point) -> Point:
    """A WGS 84 position as BD-09 shows it."""
    x, y = to_gcj02(point)
    far = hypot(x, y) + 0.00002 * sin(y * _BD_TURNS)
    angle = atan2(y, x) + 0.000003 * cos(x * _BD_TURNS)
    return far * cos(angle) + 0.0065, far * sin(angle) + 0.006


def from_bd09(point: Point) -> Point:
    """The WGS 84 position that BD-09 shows as this one."""
    return _inverse(to_bd09, point)


def _inverse(forward: Callable[[Point], Point], shown: Point) -> Point:
    """The position that `forward` takes to `shown`: the shift changes so slowly that taking it off again closes in."""
    guess = shown
    for _ in range(_STEPS_MAX):
        there = forward(guess)
        off = shown[0] - there[0], shown[1] - there[1]
        guess = guess[0] + off[0], guess[1] + off[1]
        if max(abs(off[0]), abs(off[1])) < _CLOSE_DEG:
            break
    return guess


_TO_WGS84: dict[str, Callable[[Point], Point]] = {
    "wgs84": lambda point: point,
    "cgcs2000": lambda point: point,
    "gcj02": from_gcj02,
    "bd09": from_bd09,
}
_FROM_WGS84: dict[str, Callable[[Point], Point]] = {
    "wgs84": lambda point: point,
    "cgcs2000": lambda point: point,
    "gcj02": to_gcj02,
    "bd09": to_bd09,
}


def to_wgs84(point: Point, datum: str) -> Point:
    """The position in WGS 84. Raises KeyError for a datum that is none of `DATUMS`."""
    return _TO_WGS84[datum](point)


def from_wgs84(point: Point, datum: str) -> Point:
    """The WGS 84 position as the datum shows it. Raises KeyError."""
    return _FROM_WGS84[datum](point)


def datum_named(text: str) -> str | None:
    """The datum that a camera, a map or a person calls so; None for none that is known."""
    plain = "".join(letter for letter in text.lower() if letter.isalnum())
    for datum, names in _NAMES.items():
        if plain in names:
            return datum
    return None


_NAMES = {
    "wgs84": {"wgs84", "wgs1984", "epsg4326", "4326", "gps", "crs84"},
    "cgcs2000": {"cgcs2000", "epsg4490", "4490", "国家2000", "2000国家大地坐标系"},
    "gcj02": {"gcj02", "gcj", "mars", "火星坐标", "火星坐标系", "高德", "amap", "tencent", "腾讯"},
    "bd09": {"bd09", "bd09ll", "baidu", "百度", "百度坐标系"},
}


def metres_between(one: Point, other: Point) -> float:
    """The distance of two positions on a ball of the Earth's mean radius; within half a per cent."""
    phi, psi = radians(one[1]), radians(other[1])
    half = sin((psi - phi) / 2) ** 2 + cos(phi) * cos(psi) * sin(radians(other[0] - one[0]) / 2) ** 2
    return 2 * _EARTH_M * atan2(sqrt(half), sqrt(max(0.0, 1 - half)))
