"""What the public registry asks of the partners' tables: no price, no contact, no name of a person, no test order.

Each has a bound, or is read page by page. What a partner was asked and has not answered yet counts as ordered.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from engine.store.database import Reader

BATCHES_SHOWN_MAX = 100
SITES_SHOWN_MAX = 500
EXPORT_ROWS = 500


@dataclass(slots=True)
class SiteFacts:
    """A site as the public may know it. `shown_m`: how exactly its place is shown, in metres; 0: its outline."""

    id: str
    partner: str
    name_zh: str
    name_en: str
    country: str
    region: str
    county: str
    township: str
    compartment: str
    ecosystem: str
    status: str
    status_at: int
    version: int
    shown_m: int
    geometry: str | None
    area_m2: int | None
    datum: str | None
    recorded_at: int | None


@dataclass(slots=True)
class Work:
    """Trees of a programme on a site in a season: asked for, agreed, reported and verified; replanted ones apart."""

    site: str
    programme: str
    species: str
    partner: str
    season: str
    ordered: int
    accepted: int
    reported: int
    verified: int
    replanted: int
    orders: int


@dataclass(slots=True)
class BatchRow:
    """A planting report with what its review has come to."""

    id: str
    order: int
    line: str
    report_no: str
    kind: str
    order_state: str
    is_held: bool
    partner: str
    programme: str
    species: str
    site: str
    season: str
    granularity: str
    planted_from_on: str
    planted_to_on: str
    reported_at: int
    accepted: int
    reported: int
    verified: int
    written_down: int
    claimed: int
    review: str
    levels: tuple[int, ...]
    evidence_files: int
    planters: int | None
    latitude_e6: int | None
    longitude_e6: int | None
    shown_m: int | None
    replaces: int | None
    reviewed_at: int | None = None


@dataclass(slots=True)
class Names:
    """Partners and sites by id, as (zh, en)."""

    partners: dict[str, tuple[str, str]] = field(default_factory=dict)
    sites: dict[str, tuple[str, str]] = field(default_factory=dict)


_SITE = (
    "s.id, s.partner, s.name_zh, s.name_en, s.country, s.region, s.county, s.township, s.compartment, s.ecosystem,"
    " s.status, s.status_at, s.version, s.shown_m, v.geometry, v.area_m2, v.datum, v.recorded_at"
)
_FROM_SITES = "FROM sites s LEFT JOIN site_versions v ON v.site = s.id AND v.version = s.version"
_IS_PUBLIC = (
    "(s.status IN ('approved', 'retired') OR EXISTS (SELECT 1 FROM order_lines l JOIN partner_orders o"
    " ON o.id = l.order_id WHERE l.site = s.id AND o.kind <> 'test' AND o.state <> 'draft'))"
)


async def site(reader: Reader, name: str) -> SiteFacts | None:
    """A site that the public may see: approved or retired, or one that orders name."""
    rows = await reader.fetch(f"SELECT {_SITE} {_FROM_SITES} WHERE s.id = ? AND {_IS_PUBLIC}", name)
    return SiteFacts(*rows[0]) if rows else None


async def sites(reader: Reader) -> AsyncIterator[list[SiteFacts]]:
    """All sites that the public may see, page by page, by id."""
    last = ""
    while True:
        rows = await reader.fetch(
            f"SELECT {_SITE} {_FROM_SITES} WHERE s.id > ? AND {_IS_PUBLIC} ORDER BY s.id LIMIT ?", last, 50
        )
        if not rows:
            return
        yield [SiteFacts(*row) for row in rows]
        last = rows[-1][0]


async def site_versions(reader: Reader, name: str) -> list[dict[str, Any]]:
    """When the site's outline was recorded anew, with its area."""
    rows = await reader.fetch(
        "SELECT version, area_m2, recorded_at FROM site_versions WHERE site = ? ORDER BY version LIMIT 100",
        name,
    )
    return [dict(zip(("version", "area_m2", "recorded_at"), row, strict=True)) for row in rows]


async def work(reader: Reader, column: str, value: str) -> list[Work]:
    """What was ordered and done by site, programme and season, of one `site` or one `programme`."""
    assert column in ("site", "programme")
    return await _work(reader, f"l.{column} = ?", value)


async def all_work(reader: Reader) -> list[Work]:
    """The same of everything."""
    return await _work(reader, "l.id <> ?", "")


async def _work(reader: Reader, where: str, *params: Any) -> list[Work]:
    replanted = "CASE WHEN o.kind = 'replacement' THEN l.verified ELSE 0 END"
    mine = "CASE WHEN o.kind = 'standard' THEN l.{} ELSE 0 END"
    sums = ", ".join(f"sum({mine.format(name)})" for name in ("ordered", "accepted", "reported", "verified"))
    rows = await reader.fetch(
        f"SELECT l.site, l.programme, l.species, o.partner, o.season, {sums}, sum({replanted}), count(DISTINCT o.id)"
        " FROM order_lines l JOIN partner_orders o ON o.id = l.order_id"
        f" WHERE {where} AND o.kind <> 'test' AND o.state NOT IN ('draft', 'rejected', 'expired', 'cancelled')"
        " GROUP BY l.site, l.programme, l.species, o.partner, o.season"
        " ORDER BY l.site, l.programme, o.season, o.partner, l.species LIMIT ?",
        *params,
        SITES_SHOWN_MAX * 10,
    )
    return [Work(*row[:5], *map(int, row[5:])) for row in rows]


_BATCH = (
    "b.id, o.id, l.id, b.report_no, o.kind, o.state, o.held <> '', o.partner, l.programme, l.species, b.site,"
    " o.season, l.granularity, b.planted_from_on, b.planted_to_on, b.reported_at, l.accepted, b.reported,"
    " COALESCE(t.verified, b.verified), COALESCE(t.written_down, 0), COALESCE(t.claimed, 0), COALESCE(t.state, ''),"
    " COALESCE(t.levels, '{}'), b.evidence, b.planters, b.latitude_e6, b.longitude_e6, s.shown_m, p.parent_id"
)
_FROM_BATCHES = (
    "FROM batches b JOIN order_lines l ON l.id = b.line_id JOIN partner_orders o ON o.id = l.order_id"
    " LEFT JOIN standings t ON t.id = b.id LEFT JOIN sites s ON s.id = l.site"
    " LEFT JOIN replacements p ON p.id = o.id WHERE o.kind <> 'test'"
)


def _batch(row: tuple[Any, ...]) -> BatchRow:
    levels = tuple(sorted(int(level) for level in json.loads(row[22])))
    head = (*row[:6], bool(row[6]), *row[7:22])
    return BatchRow(*head, levels, len(json.loads(row[23])), *row[24:])


async def batch(reader: Reader, name: str) -> BatchRow | None:
    """One batch; None: there is none, or it is a test's."""
    rows = await reader.fetch(f"SELECT {_BATCH} {_FROM_BATCHES} AND b.id = ?", name)
    if not rows:
        return None
    found = _batch(rows[0])
    [(at,)] = await reader.fetch("SELECT max(at) FROM batch_reviews WHERE batch_id = ?", name)
    found.reviewed_at = at
    return found


async def newest_batches(reader: Reader, column: str, value: str) -> list[BatchRow]:
    """The newest batches of one `site` or `programme`."""
    assert column in ("site", "programme")
    rows = await reader.fetch(
        f"SELECT {_BATCH} {_FROM_BATCHES} AND l.{column} = ? ORDER BY b.reported_at DESC, b.id LIMIT ?",
        value,
        BATCHES_SHOWN_MAX,
    )
    return [_batch(row) for row in rows]


async def batches(reader: Reader) -> AsyncIterator[list[BatchRow]]:
    """All batches, page by page, by id."""
    last = ""
    while True:
        rows = await reader.fetch(
            f"SELECT {_BATCH} {_FROM_BATCHES} AND b.id > ? ORDER BY b.id LIMIT ?", last, EXPORT_ROWS
        )
        if not rows:
            return
        yield [_batch(row) for row in rows]
        last = rows[-1][0]


_LINE = (
    "o.id", "l.id", "o.kind", "o.partner", "l.programme", "l.species", "l.site", "o.season", "o.state",
    "o.held <> ''", "o.submitted_at", "o.fact_at", "l.ordered", "l.accepted", "l.reported", "l.verified", "p.parent_id",
)  # fmt: skip
LINE_NAMES = (
    "order", "line", "kind", "partner", "programme", "species", "site", "season", "state",
    "on_hold", "submitted_at", "fact_at", "ordered", "accepted", "reported", "verified", "replaces",
)  # fmt: skip


async def lines(reader: Reader) -> AsyncIterator[list[dict[str, Any]]]:
    """Lines of all orders that have gone out, page by page, by order and line."""
    order, line = 0, ""
    while True:
        rows = await reader.fetch(
            f"SELECT {', '.join(_LINE)} FROM partner_orders o JOIN order_lines l ON l.order_id = o.id"
            " LEFT JOIN replacements p ON p.id = o.id"
            " WHERE (o.id, l.id) > (?, ?) AND o.kind <> 'test' AND o.state <> 'draft' ORDER BY o.id, l.id LIMIT ?",
            order,
            line,
            EXPORT_ROWS,
        )
        if not rows:
            return
        yield [dict(zip(LINE_NAMES, row, strict=True)) for row in rows]
        order, line = rows[-1][0], rows[-1][1]


_AUDIT = (
    "id", "order_id", "batch_id", "stage", "figure", "attempt", "opens_on", "due_on", "band_bp", "must_meet", "state",
    "verdict", "why", "visited_on", "method", "surveyor", "is_conflicted", "n", "alive", "rate_bp", "low_bp", "high_bp",
    "plots",
)  # fmt: skip


async def audits(reader: Reader) -> AsyncIterator[list[dict[str, Any]]]:
    """All counts of living trees, planned and made, page by page, by id."""
    last = ""
    columns = ", ".join(f"a.{name}" for name in _AUDIT)
    while True:
        rows = await reader.fetch(
            f"SELECT {columns}, o.partner FROM audits a JOIN partner_orders o ON o.id = a.order_id"
            " WHERE a.id > ? AND o.kind <> 'test' ORDER BY a.id LIMIT ?",
            last,
            EXPORT_ROWS,
        )
        if not rows:
            return
        yield [dict(zip((*_AUDIT, "partner"), row, strict=True)) for row in rows]
        last = rows[-1][0]


async def names(reader: Reader) -> Names:
    """What partners and sites are called."""
    found = Names()
    for table, into in (("partner_records", found.partners), ("sites", found.sites)):
        for name, zh, en in await reader.fetch(f"SELECT id, name_zh, name_en FROM {table}"):
            into[name] = (zh or en or name, en or zh or name)
    return found


async def write_downs(reader: Reader, programme: str) -> list[dict[str, Any]]:
    """What was written down of a programme, with the public note."""
    rows = await reader.fetch(
        "SELECT id, trees, note, at FROM write_downs WHERE programme = ? ORDER BY at DESC, id LIMIT ?",
        programme,
        BATCHES_SHOWN_MAX,
    )
    return [dict(zip(("batch", "trees", "note", "at"), row, strict=True)) for row in rows]


async def disturbances(reader: Reader, name: str) -> list[dict[str, Any]]:
    """What befell orders on a site: kind, area and day; what somebody noted stays with the operators."""
    rows = await reader.fetch(
        "SELECT DISTINCT d.id, d.kind, d.area_m2, d.happened_on FROM disturbances d"
        " JOIN order_lines l ON l.order_id = d.order_id JOIN partner_orders o ON o.id = d.order_id"
        " WHERE l.site = ? AND o.kind <> 'test' ORDER BY d.happened_on DESC, d.id LIMIT ?",
        name,
        BATCHES_SHOWN_MAX,
    )
    return [dict(zip(("kind", "area_m2", "happened_on"), row[1:], strict=True)) for row in rows]


async def programmes_with_trees(reader: Reader) -> list[str]:
    """Programmes that any tree was ever redeemed in: one step in the index each."""
    found: list[str] = []
    last = ""
    while True:
        [(name,)] = await reader.fetch("SELECT min(route) FROM tree_units WHERE route > ?", last)
        if name is None:
            return found
        found.append(name)
        last = name
