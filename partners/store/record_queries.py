"""What operators ask of the records; each with a bound, each from one read snapshot. Addresses of people are told
only by `contacts`."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from engine.store.database import Reader
from partners.core.records.rows import Agreement, Allocation, Partner, Quota, Site, SpeciesOffer

ROWS_MAX = 500
ALLOCATIONS_MAX = 100

_TABLES: dict[str, type] = {
    "partner_records": Partner,
    "agreements": Agreement,
    "sites": Site,
    "species_offers": SpeciesOffer,
    "quotas": Quota,
    "allocations": Allocation,
}
_JSON = ("languages", "documents", "terms", "land_right", "decision")


async def partners(reader: Reader) -> list[dict[str, Any]]:
    """All partners, by id."""
    return await _rows(reader, "partner_records", "ORDER BY id LIMIT ?", ROWS_MAX)


async def partner(reader: Reader, name: str) -> dict[str, Any] | None:
    """A partner with its agreements, sites, offers, quotas, performance, and how many contacts there are."""
    found = await _rows(reader, "partner_records", "WHERE id = ?", name)
    if not found:
        return None
    where = "WHERE partner = ? ORDER BY id LIMIT ?"
    performance = await reader.fetch(
        "SELECT asked, accepted, given_back, planted, verified FROM performances WHERE partner = ?", name
    )
    [(people,)] = await reader.fetch("SELECT count(*) FROM contacts WHERE partner = ?", name)
    names = ("asked", "accepted", "given_back", "planted", "verified")
    return {
        **found[0],
        "performance": dict(zip(names, performance[0], strict=True)) if performance else None,
        "contacts": int(people),
        "agreements": await _rows(reader, "agreements", where, name, ROWS_MAX),
        "sites": await _rows(reader, "sites", where, name, ROWS_MAX),
        "offers": await _rows(reader, "species_offers", where, name, ROWS_MAX),
        "quotas": await _rows(reader, "quotas", where, name, ROWS_MAX),
    }


async def contacts(reader: Reader, name: str) -> list[dict[str, Any]]:
    """Whom to ask at a partner. Personal data: for operators at their terminal."""
    sql = "SELECT role, place, name, address FROM contacts WHERE partner = ? ORDER BY role, place"
    return [
        dict(zip(("role", "place", "name", "address"), row, strict=True))
        for row in await reader.fetch(sql, name)
    ]


async def agreements(reader: Reader, partner_name: str | None) -> list[dict[str, Any]]:
    """Versions of agreements, of one partner or all."""
    return await _of(reader, "agreements", partner_name)


async def sites(reader: Reader, partner_name: str | None) -> list[dict[str, Any]]:
    """Sites, of one partner or all."""
    return await _of(reader, "sites", partner_name)


async def quotas(reader: Reader, partner_name: str | None) -> list[dict[str, Any]]:
    """Quotas, of one partner or all."""
    return await _of(reader, "quotas", partner_name)


async def geometry(reader: Reader, site: str) -> dict[str, Any] | None:
    """The newest geometry of a site, with what the checks found."""
    rows = await reader.fetch(
        "SELECT v.version, v.geometry, v.area_m2, v.datum, v.recorded_at, v.checks FROM sites s"
        " JOIN site_versions v ON v.site = s.id AND v.version = s.version WHERE s.id = ?",
        site,
    )
    if not rows:
        return None
    version, text, area_m2, datum, recorded_at, checks = rows[0]
    return {
        "version": version,
        "geometry": json.loads(text),
        "area_m2": area_m2,
        "datum": datum,
        "recorded_at": recorded_at,
        "checks": json.loads(checks),
    }


async def waiting(reader: Reader) -> list[dict[str, Any]]:
    """Trees that wait, by programme, state and why: how many, since when, and when the first energy goes back."""
    rows = await reader.fetch(
        "SELECT route, state, note, unplaced_at IS NOT NULL, count(*), min(coalesce(unplaced_at, waits_from_at)),"
        " min(back_at) FROM tree_units WHERE state IN ('pledged', 'allocated')"
        " GROUP BY route, state, note, unplaced_at IS NOT NULL ORDER BY route, state, note LIMIT ?",
        ROWS_MAX,
    )
    return [
        {
            "programme": route,
            "state": state,
            "why": note or ("in_draft" if state == "allocated" else "for_order"),
            "has_place": not unplaced,
            "trees": int(count),
            "since_at": since_at,
            "energy_back_at": back_at,
        }
        for route, state, note, unplaced, count, since_at, back_at in rows
    ]


async def allocations(reader: Reader, programme: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest decisions, of a programme or all, with their reasons."""
    where = "WHERE programme = ? " if programme is not None else ""
    given = (programme,) if programme is not None else ()
    return await _rows(reader, "allocations", f"{where}ORDER BY at DESC, id DESC LIMIT ?", *given, limit)


async def _of(reader: Reader, table: str, partner_name: str | None) -> list[dict[str, Any]]:
    if partner_name is None:
        return await _rows(reader, table, "ORDER BY id LIMIT ?", ROWS_MAX)
    return await _rows(reader, table, "WHERE partner = ? ORDER BY id LIMIT ?", partner_name, ROWS_MAX)


async def _rows(reader: Reader, table: str, rest: str, *params: Any) -> list[dict[str, Any]]:
    columns = [field.name for field in fields(_TABLES[table])]
    quoted = ", ".join(f'"{name}"' for name in columns)
    rows = await reader.fetch(f"SELECT {quoted} FROM {table} {rest}", *params)
    return [
        {
            name: json.loads(value) if name in _JSON else value
            for name, value in zip(columns, row, strict=True)
        }
        for row in rows
    ]
