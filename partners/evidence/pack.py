"""An order's evidence for an auditor as one ZIP file: same facts, same bytes, and made while it is read.

`manifest.json` comes last and names the SHA-256 of every file in the archive and of every original, so that who holds
the originals can prove which were judged. Nothing in it is about a person; devices are opaque hashes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from engine.core.units import rfc3339
from engine.store.database import Reader
from partners.core.evidence_rows import place_of
from partners.core.reasons import told
from partners.evidence.folder import EvidenceFolder
from partners.evidence.geometry import SCALE, hectares, mu
from partners.store import evidence_queries, queries

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: no file has a time of its own
_CHUNK_BYTES = 256 * 1024
_PRIVATE = {"id", "device", "band_a", "band_b", "band_c", "band_d"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a pack: documents by name, and the photos' copies."""

    order: str
    documents: dict[str, Any]
    photos: list[dict[str, Any]]


async def contents_of(reader: Reader, order: int) -> Contents:
    """All that is known of an order's evidence. Raises Rejected(unknown_order)."""
    facts = await queries.order_facts(reader, order)
    if facts is None:
        raise Rejected("unknown_order")
    assessments = await evidence_queries.assessments_of(reader, order)
    names = sorted({name for batch in facts["batches"] for name in batch["evidence"]})
    photos = await evidence_queries.photos_named(reader, names)
    places = sorted({place_of(facts["partner"], line["site"], facts["season"]) for line in facts["lines"]})
    outlines = await evidence_queries.outlines_of(reader, places)
    known = {photo["sha256"] for photo in photos}
    documents: dict[str, Any] = {
        "order.json": _shown({name: value for name, value in facts.items() if name not in ("id", *_PARTS)}),
        "lines.json": [_shown(line) for line in facts["lines"]],
        "batches.json": [_shown(batch) for batch in facts["batches"]],
        "reviews.json": [_shown(review) for review in facts["reviews"]],
        "findings.json": [_assessment(one) for one in assessments],
        "photos.json": [_photo(photo) for photo in photos],
        "not_uploaded.json": [name for name in names if name not in known],
    }
    for outline in outlines:
        name = outline["id"].replace("/", "_")
        documents[f"outlines/{name}.geojson"] = outline_geojson(outline)
    return Contents(order_number(order), documents, photos)


_PARTS = ("lines", "batches", "reviews", "deliveries")


def _assessment(row: dict[str, Any]) -> dict[str, Any]:
    return {**_shown(row), "reasons": told(row["reasons"])}


def _photo(row: dict[str, Any]) -> dict[str, Any]:
    shown = _shown(row)
    shown["device"] = row["device"][:12]
    if row["taken_at"] is not None and not row["zone_known"]:
        shown["taken_at"] = shown["taken_at"].rstrip("Z")  # local time of an unknown zone
    return shown


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
        for name, value in row.items()
        if name not in _PRIVATE
    }


def outline_geojson(row: dict[str, Any]) -> dict[str, Any]:
    """A stored outline as a GeoJSON feature, area in all three units."""
    polygons = [
        [[[x / SCALE, y / SCALE] for x, y in [*ring, ring[0]]] for ring in rings] for rings in row["polygons"]
    ]
    area_m2 = row["area_m2"]
    properties = {
        name: row[name]
        for name in ("place", "partner", "site", "season", "version", "is_current", "overlaps", "notes")
    }
    return {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        "properties": {
            **properties,
            "datum": "wgs84",
            "datum_of_sender": row["datum"],
            "area_m2": area_m2,
            "area_ha": f"{float(hectares(area_m2)):.4f}",
            "area_mu": f"{float(mu(area_m2)):.3f}",
            "recorded_at": rfc3339(row["recorded_at"]),
        },
    }


# --- the archive ----------------------------------------------------------------------------------


class _Stream:
    """What zipfile writes to: holds only what was not handed on yet. It can't be sought, so sizes follow the data."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Nothing to do: what is held is taken."""

    def take(self) -> bytes:
        """What came since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken


def pack(contents: Contents, public: Callable[[str], Path]) -> Iterator[bytes]:
    """The archive piece by piece; `public` gives the path of a photo's stripped copy by the original's hash."""
    stream = _Stream()
    files: list[dict[str, Any]] = []
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name in sorted(contents.documents):
            data = _json(contents.documents[name])
            files.append(_entry(name, data))
            yield from _written(archive, stream, name, [data])
        for photo in contents.photos:
            path = public(photo["sha256"])
            name = f"photos/{photo['sha256']}.jpg"
            if not path.is_file():
                files.append({"name": name, "missing": True, "original_sha256": photo["sha256"]})
                continue
            digest = hashlib.sha256()
            yield from _written(archive, stream, name, _pieces(path, digest))
            files.append(
                {
                    "name": name,
                    "bytes": path.stat().st_size,
                    "sha256": digest.hexdigest(),
                    "original_sha256": photo["sha256"],
                    "original_bytes": photo["bytes"],
                    "as_kept": digest.hexdigest() == photo["public_sha256"],
                }
            )
        manifest = {"format": "saxaul-evidence-1", "order": contents.order, "files": files}
        yield from _written(archive, stream, "manifest.json", [_json(manifest)])
    yield stream.take()


def _written(
    archive: zipfile.ZipFile, stream: _Stream, name: str, pieces: Iterator[bytes] | list[bytes]
) -> Iterator[bytes]:
    about = zipfile.ZipInfo(name, _EPOCH)
    about.external_attr = 0o644 << 16
    about.create_system = 3
    with archive.open(about, "w") as file:
        for piece in pieces:
            file.write(piece)
            yield stream.take()
    yield stream.take()


def _pieces(path: Path, digest: Any) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
            yield piece


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


async def streamed(contents: Contents, folder: EvidenceFolder) -> AsyncIterator[bytes]:
    """The archive without ever holding it whole, read from disk beside the loop."""
    pieces = pack(contents, folder.public)
    while True:
        piece = await asyncio.to_thread(next, pieces, None)
        if piece is None:
            return
        if piece:
            yield piece
