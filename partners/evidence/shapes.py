"""GeoJSON and KML into plain shapes, within limits; every part of a multi-part shape is kept. No I/O."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any
from xml.parsers import expat

from engine.core.errors import Rejected
from partners.evidence.geometry import POLYGONS_MAX, VERTICES_MAX, Ring, Shape

BYTES_MAX = 2 * 1024 * 1024
DEPTH_MAX = 32
MEDIA_TYPES = (
    "application/geo+json",
    "application/json",
    "application/vnd.google-earth.kml+xml",
)


def read_shape(data: bytes) -> Shape:
    """The polygons in a file, its kind told by its content. Raises Rejected(outline_invalid)."""
    if len(data) > BYTES_MAX:
        raise _wrong("too_many_bytes", bytes_max=BYTES_MAX)
    start = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    shape = _kml(data) if start.startswith(b"<") else _geojson(data)
    if not shape:
        raise _wrong("empty", expected="a Polygon or MultiPolygon")
    return shape


def _wrong(reason: str, **fields: object) -> Rejected:
    return Rejected("outline_invalid", reason=reason, **fields)


# --- GeoJSON --------------------------------------------------------------------------------------


def _geojson(data: bytes) -> Shape:
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise _wrong("not_readable", expected="GeoJSON or KML") from problem
    shape: Shape = []
    _collect(tree, shape, 0)
    return shape


def _collect(node: Any, shape: Shape, depth: int) -> None:
    if not isinstance(node, dict) or depth > DEPTH_MAX:
        raise _wrong("not_readable", expected="GeoJSON objects")
    crs = node.get("crs")
    if crs is not None and "CRS84" not in str(crs) and "4326" not in str(crs):
        raise _wrong(
            "other_crs", expected="longitude and latitude in degrees; state the datum beside the file"
        )
    match node.get("type"):
        case "FeatureCollection":
            for feature in _list(node, "features"):
                _collect(feature, shape, depth + 1)
        case "Feature":
            _collect(node.get("geometry"), shape, depth + 1)
        case "GeometryCollection":
            for geometry in _list(node, "geometries"):
                _collect(geometry, shape, depth + 1)
        case "Polygon":
            _polygon(_list(node, "coordinates"), shape)
        case "MultiPolygon":
            for polygon in _list(node, "coordinates"):
                _polygon(polygon, shape)
        case other:
            raise _wrong("not_a_polygon", found=str(other)[:40], expected="Polygon or MultiPolygon")


def _list(node: dict[str, Any], name: str) -> list[Any]:
    found = node.get(name)
    if not isinstance(found, list):
        raise _wrong("not_readable", expected=f"{name} as a list")
    return found


def _polygon(rings: Any, shape: Shape) -> None:
    if not isinstance(rings, list) or not rings:
        raise _wrong("not_readable", expected="a polygon as a list of rings")
    shape.append([_ring(ring) for ring in rings])
    _check_size(shape)


def _ring(ring: Any) -> Ring:
    if not isinstance(ring, list) or len(ring) > VERTICES_MAX + 1:
        raise _wrong("too_many_vertices", vertices_max=VERTICES_MAX)
    found: Ring = []
    for position in ring:
        if not isinstance(position, list) or not 2 <= len(position) <= 4:
            raise _wrong("not_readable", expected="positions of longitude and latitude")
        x, y = position[0], position[1]
        if not (type(x) in (int, float) and type(y) in (int, float) and isfinite(x) and isfinite(y)):
            raise _wrong("not_readable", expected="longitude and latitude as numbers")
        found.append((float(x), float(y)))
    if not found:
        raise _wrong("empty", expected="a ring of points")
    return found


def _check_size(shape: Shape) -> None:
    if len(shape) > POLYGONS_MAX:
        raise _wrong("too_many_polygons", polygons_max=POLYGONS_MAX)


# --- KML ------------------------------------------------------------------------------------------


class _Kml:
    """What expat calls while it reads. A document type is refused: nothing in KML needs one."""

    def __init__(self) -> None:
        self.shape: Shape = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._outer: Ring | None = None
        self._holes: list[Ring] = []

    def doctype(self, *_: object) -> None:
        raise _wrong("document_type", expected="KML without DOCTYPE and entities")

    def begin(self, name: str, _: object) -> None:
        self._path.append(name.rpartition(":")[2])
        if len(self._path) > DEPTH_MAX:
            raise _wrong("too_deep", depth_max=DEPTH_MAX)
        if self._path[-1] == "Polygon":
            self._outer, self._holes = None, []
        self._text = []

    def text(self, part: str) -> None:
        if self._path and self._path[-1] == "coordinates":
            self._text.append(part)

    def end(self, name: str) -> None:
        match self._path[-3:]:
            case ["outerBoundaryIs", "LinearRing", "coordinates"]:
                self._outer = _kml_ring("".join(self._text))
            case ["innerBoundaryIs", "LinearRing", "coordinates"]:
                self._holes.append(_kml_ring("".join(self._text)))
            case [*_, "Polygon"]:
                if self._outer is None:
                    raise _wrong("empty", expected="a polygon with an outer boundary")
                self.shape.append([self._outer, *self._holes])
                _check_size(self.shape)
        self._path.pop()


def _kml(data: bytes) -> Shape:
    reading = _Kml()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reading.doctype
    parser.EntityDeclHandler = reading.doctype
    parser.StartElementHandler = reading.begin
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as problem:
        raise _wrong("not_readable", expected="well-formed KML", problem=str(problem)[:100]) from problem
    return reading.shape


def _kml_ring(text: str) -> Ring:
    """`longitude,latitude[,altitude]` with white space between points."""
    words = text.split()
    if len(words) > VERTICES_MAX + 1:
        raise _wrong("too_many_vertices", vertices_max=VERTICES_MAX)
    found: Ring = []
    for word in words:
        parts = word.split(",")
        try:
            x, y = float(parts[0]), float(parts[1])
        except (ValueError, IndexError) as problem:
            raise _wrong("not_readable", expected="longitude,latitude", found=word[:40]) from problem
        if not (isfinite(x) and isfinite(y)):
            raise _wrong("not_readable", expected="longitude and latitude as numbers")
        found.append((x, y))
    if not found:
        raise _wrong("empty", expected="a ring of points")
    return found
