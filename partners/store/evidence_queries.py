"""What routes, jobs and packs ask of the tables of evidence; each with a bound."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from engine.core.units import DAY_MS
from engine.store.database import Reader, quoted
from partners.core.evidence_rows import Assessment, EvidencePhoto, SiteOutline

BATCHES_MAX = 500
OUTLINES_MAX = 2_000
LOOKED_BACK_MS = 2 * DAY_MS  # outlines older than this have had their batches judged
_JSON = {"alike", "elsewhere", "polygons", "overlaps", "notes", "reasons", "missing", "dismissed"}


async def batch_naming(reader: Reader, sha256: str) -> tuple[int, str] | None:
    """(order, batch) of the batch that names the file, where there is one that is judged."""
    rows = await reader.fetch(
        "SELECT a.order_id, a.batch_id FROM evidence e JOIN assessments a ON a.batch_id = e.batch_id"
        " WHERE e.sha256 = ?",
        sha256,
    )
    return (rows[0][0], rows[0][1]) if rows else None


async def batches_at(reader: Reader, place: str) -> list[tuple[int, str]]:
    """(order, batch) of what was judged by another version of the place's outline than the one in use."""
    rows = await reader.fetch(
        "SELECT a.order_id, a.batch_id FROM assessments a JOIN planted_places p ON p.place = a.place"
        " WHERE a.place = ? AND a.outline_version <> p.version ORDER BY a.batch_id LIMIT ?",
        place,
        BATCHES_MAX,
    )
    return [(order, batch) for order, batch in rows]


async def batches_to_assess(reader: Reader, now: int) -> list[tuple[int, str]]:
    """(order, batch) of what was judged before a file that it waits for came, or before its outline was changed.

    Both are judged at once where nothing goes wrong; this finds what a crash has left.
    """
    arrived = await reader.fetch(
        "SELECT a.order_id, a.batch_id FROM assessments a JOIN evidence e ON e.batch_id = a.batch_id"
        " JOIN evidence_photos p ON p.sha256 = e.sha256"
        " WHERE a.is_waiting = ? AND p.kept_at >= a.assessed_at ORDER BY a.batch_id LIMIT ?",
        True,
        BATCHES_MAX,
    )
    older = await reader.fetch(
        "SELECT a.order_id, a.batch_id FROM site_outlines o JOIN assessments a ON a.place = o.place"
        " WHERE o.is_current = ? AND o.recorded_at > ? AND a.outline_version < o.version"
        " ORDER BY a.batch_id LIMIT ?",
        True,
        now - LOOKED_BACK_MS,
        BATCHES_MAX,
    )
    return list(dict.fromkeys((order, batch) for order, batch in [*arrived, *older]))


async def outlines_in(
    reader: Reader, season: str, box_e6: tuple[int, int, int, int], but: str
) -> list[tuple[str, str, Any]]:
    """(place, partner, polygons) of the season's outlines in use whose boxes meet this one, but for one place."""
    west, south, east, north = box_e6
    rows = await reader.fetch(
        "SELECT place, partner, polygons FROM site_outlines WHERE season = ? AND is_current = ?"
        " AND west_e6 <= ? AND east_e6 >= ? AND south_e6 <= ? AND north_e6 >= ? AND place <> ?"
        " ORDER BY place LIMIT ?",
        season,
        True,
        east,
        west,
        north,
        south,
        but,
        OUTLINES_MAX,
    )
    return [(place, partner, json.loads(polygons)) for place, partner, polygons in rows]


async def outlines_seen(reader: Reader, season: str) -> int:
    """How many outlines the season has seen."""
    rows = await reader.fetch("SELECT outlines FROM outline_seasons WHERE season = ?", season)
    return int(rows[0][0]) if rows else 0


async def sites_of(reader: Reader, partner: str) -> dict[str, tuple[str, str | None, str | None]]:
    """The partner's registered sites: status, newest geometry and its datum, by id."""
    rows = await reader.fetch(
        "SELECT s.id, s.status, v.geometry, v.datum FROM sites s"
        " LEFT JOIN site_versions v ON v.site = s.id AND v.version = s.version WHERE s.partner = ? LIMIT ?",
        partner,
        OUTLINES_MAX,
    )
    return {name: (status, geometry, datum) for name, status, geometry, datum in rows}


async def windows_of(reader: Reader, partner: str) -> set[str]:
    """The planting windows of the partner's agreement in force; none where there is no agreement."""
    rows = await reader.fetch(
        "SELECT a.terms FROM partner_records p JOIN agreements a ON a.id = p.agreement WHERE p.id = ?",
        partner,
    )
    return {window["id"] for window in json.loads(rows[0][0])["seasons"]} if rows else set()


async def assessments_of(reader: Reader, order: int) -> list[dict[str, Any]]:
    """What the evidence of each batch of an order comes to."""
    return await _rows(reader, "assessments", Assessment, "order_id = ?", "batch_id", order)


async def photos_named(reader: Reader, names: list[str]) -> list[dict[str, Any]]:
    """What is known of these files, by their hashes."""
    if not names:
        return []
    return await _rows(reader, "evidence_photos", EvidencePhoto, "sha256 IN ?", "sha256", names)


async def outlines_of(reader: Reader, places: list[str]) -> list[dict[str, Any]]:
    """Every version of these places' outlines."""
    if not places:
        return []
    return await _rows(reader, "site_outlines", SiteOutline, "place IN ?", "place, version", places)


async def owner_of(reader: Reader, sha256: str) -> str | None:
    """The partner that uploaded the file."""
    rows = await reader.fetch("SELECT partner FROM evidence_photos WHERE sha256 = ?", sha256)
    return rows[0][0] if rows else None


async def _rows(
    reader: Reader, table: str, row: type, where: str, order: str, *params: Any
) -> list[dict[str, Any]]:
    columns = [field.name for field in fields(row)]
    sql = f"SELECT {quoted(columns)} FROM {table} WHERE {where} ORDER BY {order}"
    return [
        {
            name: json.loads(value) if name in _JSON else value
            for name, value in zip(columns, values, strict=True)
        }
        for values in await reader.fetch(sql, *params)
    ]
