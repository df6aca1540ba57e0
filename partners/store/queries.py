"""What jobs, pages and the relay ask of the partners' tables; each with a bound, each from one read
snapshot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from engine.store.database import Reader
from partners.core.guards import STANDING_HOLDS
from partners.core.model import OPEN_STATES, WATCHED_STATES, Batch, Delivery, OrderLine, PlantingOrder, Review

DELIVERIES_MAX = 100
ORDERS_MAX = 500
QUOTAS_MAX = 200
DRAFTS_MAX = 100
UNITS_MAX = 1_000


async def routes(reader: Reader) -> list[str]:
    """The programmes that tree units are routed to: one step in the index each, however many units there
    are."""
    found: list[str] = []
    last = ""
    while True:
        [(route,)] = await reader.fetch("SELECT min(route) FROM tree_units WHERE route > ?", last)
        if route is None:
            return found
        found.append(route)
        last = route


async def units_after(
    reader: Reader, route: str, now: int, limit: int, after: tuple[int, int], only_fresh: bool = False
) -> list[tuple[int, int]]:
    """The next (tree, since when it waits) of a programme after one (since, tree), first come first.

    `only_fresh` leaves out those that are known to have no place.
    """
    fresh = " AND unplaced_at IS NULL" if only_fresh else ""
    rows = await reader.fetch(
        "SELECT id, waits_from_at FROM tree_units WHERE route = ? AND state = 'pledged'"
        f" AND waits_from_at <= ? AND (waits_from_at, id) > (?, ?){fresh} ORDER BY waits_from_at, id LIMIT ?",
        route,
        now,
        *after,
        limit,
    )
    return [(number, since_at) for number, since_at in rows]


async def has_room(reader: Reader, route: str, now: int) -> bool:
    """Whether any quota of the programme's species may take a tree: else nobody who has no place need be asked."""
    rows = await reader.fetch(
        "SELECT 1 FROM quotas q WHERE q.order_by_at >= ? AND q.held + q.ordered < q.capacity AND q.species ="
        " (SELECT species FROM trees WHERE id ="
        " (SELECT id FROM tree_units WHERE route = ? AND state = 'pledged' LIMIT 1)) LIMIT 1",
        now,
        route,
    )
    return bool(rows)


@dataclass(frozen=True, slots=True)
class Places:
    """What an allocation chooses among: quotas of a species whose season is not over, and open drafts."""

    quotas: tuple[str, ...]
    drafts: tuple[int, ...]


async def places_for(reader: Reader, unit: int, now: int) -> Places:
    """The places for a tree's species, as far as they may take orders, and the drafts that there are."""
    quotas = await reader.fetch(
        "SELECT q.id FROM quotas q JOIN trees t ON t.species = q.species"
        " WHERE t.id = ? AND q.order_by_at >= ? ORDER BY q.order_by_at, q.id LIMIT ?",
        unit,
        now,
        QUOTAS_MAX,
    )
    drafts = await reader.fetch(
        "SELECT id FROM partner_orders WHERE state = 'draft' AND held = '' ORDER BY id LIMIT ?", DRAFTS_MAX
    )
    return Places(tuple(name for (name,) in quotas), tuple(number for (number,) in drafts))


async def units_to_give_up(reader: Reader, now: int) -> list[int]:
    """Trees that have waited for a place as long as they may, longest first."""
    rows = await reader.fetch(
        "SELECT id FROM tree_units WHERE back_at IS NOT NULL AND back_at <= ? ORDER BY back_at, id LIMIT ?",
        now,
        UNITS_MAX,
    )
    return [number for (number,) in rows]


async def orders_to_recheck(reader: Reader, now: int) -> list[int]:
    """Orders that have not ended whose partner's standing has changed: not held though it is blocked, or held for
    that though it is not any more."""
    rows = await reader.fetch(
        "SELECT o.id FROM partner_orders o JOIN partner_records p ON p.id = o.partner"
        " WHERE o.state IN ? AND ((o.held = '' AND (p.status <> 'active' OR p.documents_until_at <= ?))"
        " OR (o.held IN ? AND p.status = 'active'"
        " AND (p.documents_until_at IS NULL OR p.documents_until_at > ?))) ORDER BY o.id LIMIT ?",
        [*OPEN_STATES, *WATCHED_STATES],
        now,
        list(STANDING_HOLDS),
        now,
        ORDERS_MAX,
    )
    return [number for (number,) in rows]


async def orders_due(reader: Reader, now: int) -> list[int]:
    """Open orders with something to follow up by now, most overdue first."""
    rows = await reader.fetch(
        "SELECT id FROM partner_orders WHERE due_at <= ? AND held = '' ORDER BY due_at, id LIMIT ?",
        now,
        ORDERS_MAX,
    )
    return [number for (number,) in rows]


async def deliveries_due(reader: Reader, now: int, destinations: Sequence[str]) -> list[tuple[str, str]]:
    """(id, destination) of what may be claimed by now, longest due first."""
    return [
        (name, destination)
        for name, destination in await reader.fetch(
            "SELECT id, destination FROM deliveries WHERE next_at <= ? AND destination IN ?"
            " ORDER BY next_at, id LIMIT ?",
            now,
            list(destinations),
            DELIVERIES_MAX,
        )
    ]


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch as the public may know it."""

    id: str
    planted_from_on: str
    planted_to_on: str
    reported: int
    verified: int
    evidence: int


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What is known of a tree and of the order and batch that it belongs to; nothing about a person."""

    unit: int
    programme: str
    route: str
    state: str
    season: str
    note: str
    fact_at: int
    partner: str | None
    order: int | None
    order_state: str | None
    season_opens_at: int | None
    season_closes_at: int | None
    accepted: int | None
    line_verified: int | None
    granularity: str | None
    site: str | None
    unplaced_at: int | None
    back_at: int | None
    site_names: dict[str, str] | None
    batch: BatchFacts | None
    funder: str = ""


async def tree_facts(reader: Reader, unit: int) -> TreeFacts | None:
    """All that the public page of a tree tells, or None if there is no such tree."""
    rows = await reader.fetch(
        "SELECT u.id, u.programme, u.route, u.state, u.season, u.note, u.fact_at, o.partner, o.id, o.state,"
        " o.season_opens_at, o.season_closes_at, l.accepted, l.verified, l.granularity, l.site,"
        " u.unplaced_at, u.back_at, s.name_zh, s.name_en,"
        " b.id, b.planted_from_on, b.planted_to_on, b.reported, b.verified, b.evidence,"
        " c.funder"
        " FROM tree_units u LEFT JOIN partner_orders o ON o.id = u.order_id"
        " LEFT JOIN order_lines l ON l.id = u.line_id LEFT JOIN sites s ON s.id = l.site"
        " LEFT JOIN batches b ON b.id = u.batch_id LEFT JOIN trees g ON g.id = u.id"
        " LEFT JOIN commitments c ON c.id = g.commitment_id"
        " WHERE u.id = ?",
        unit,
    )
    if not rows:
        return None
    row = rows[0]
    batch = None if row[20] is None else BatchFacts(*row[20:25], evidence=len(json.loads(row[25])))
    names = None if row[18] is None else {"zh": row[18] or row[19], "en": row[19] or row[18]}
    return TreeFacts(*row[:18], site_names=names, batch=batch, funder=row[26] or "")


async def order_facts(reader: Reader, order: int) -> dict[str, Any] | None:
    """An order with its lines, batches, reviews and deliveries, for operators."""
    [order_rows, lines, reviews, deliveries] = [
        await _rows(reader, table, column, order)
        for table, column in (
            ("partner_orders", "id"),
            ("order_lines", "order_id"),
            ("reviews", "order_id"),
            ("deliveries", "order_id"),
        )
    ]
    if not order_rows:
        return None
    batches = [batch for line in lines for batch in await _rows(reader, "batches", "line_id", line["id"])]
    return {
        **order_rows[0],
        "lines": lines,
        "batches": batches,
        "reviews": reviews,
        "deliveries": deliveries,
    }


async def orders_in(reader: Reader, states: Sequence[str], after: int, limit: int) -> list[dict[str, Any]]:
    """Orders in these states, by id, after the id `after`."""
    columns = _COLUMNS["partner_orders"]
    rows = await reader.fetch(
        f"SELECT {', '.join(columns)} FROM partner_orders WHERE state IN ? AND id > ? ORDER BY id LIMIT ?",
        list(states),
        after,
        limit,
    )
    return [_as_dict("partner_orders", columns, row) for row in rows]


async def unit_counts(reader: Reader) -> dict[str, int]:
    """Trees by state, for metrics and checks."""
    rows = await reader.fetch("SELECT state, count(*) FROM tree_units GROUP BY state")
    return {state: int(count) for state, count in rows}


_COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(field.name for field in fields(row) if field.name not in ("lines", "units", "batches"))
    for table, row in (
        ("partner_orders", PlantingOrder),
        ("order_lines", OrderLine),
        ("batches", Batch),
        ("reviews", Review),
        ("deliveries", Delivery),
    )
}
_JSON = {
    ("partner_orders", "difference"),
    ("batches", "evidence"),
    ("batches", "findings"),
    ("deliveries", "payload"),
}


async def _rows(reader: Reader, table: str, column: str, value: int | str) -> list[dict[str, Any]]:
    columns = _COLUMNS[table]
    quoted = ", ".join(f'"{name}"' for name in columns)
    rows = await reader.fetch(f"SELECT {quoted} FROM {table} WHERE {column} = ? ORDER BY id", value)
    return [_as_dict(table, columns, row) for row in rows]


def _as_dict(table: str, columns: Sequence[str], row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        name: json.loads(value) if (table, name) in _JSON else value
        for name, value in zip(columns, row, strict=True)
    }
