"""Where and how much: sites with versions of their geometry, species offers, and quotas."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core.context import Context
from partners.core.records import commands as c
from partners.core.records import events as e
from partners.core.records.agreed import terms_of
from partners.core.records.rows import (
    DATUMS,
    PLANT_KINDS,
    SHOWN_M,
    SHOWN_M_CHOICES,
    Partner,
    Quota,
    Site,
    SiteVersion,
    SpeciesOffer,
    offer_id,
    quota_id,
    site_version_id,
)
from partners.core.records.vetting import put

GEOMETRY_BYTES_MAX = 1024 * 1024
CAPACITY_TREES_MAX = 100_000_000
MOVES = {
    "draft": ("in_review", "retired"),
    "in_review": ("approved", "draft", "retired"),
    "approved": ("retired", "in_review"),
    "retired": (),
}


def record_site(state: Any, command: c.RecordSite, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_record`, `site_taken` (another partner's)."""
    _partner(state, command.partner)
    _check_geometry(command)
    known: Site | None = state.sites.get(command.site)
    if known is not None and known.partner != command.partner:
        raise Rejected("site_taken", site=command.site)
    told: dict[str, Any] = {
        name: getattr(command, name)
        for name in (
            "partner",
            "name_zh",
            "name_en",
            "country",
            "region",
            "county",
            "township",
            "compartment",
            "ecosystem",
        )
    }
    told["land_right"] = dict(command.land_right)
    told["shown_m"] = _shown_m(command, known)
    before = state.site_versions.get(site_version_id(command.site, known.version)) if known else None
    given = (command.geometry, command.area_m2, command.datum)
    is_new = before is None or (before.geometry, before.area_m2, before.datum) != given
    version = (known.version if known else 0) + is_new
    if known is None:
        row = Site(id=command.site, status="draft", reason="", status_at=context.now, version=version, **told)
    else:
        row = replace(known, version=version, **told)
        if is_new and known.status == "approved":  # what was approved is not what is there now
            row = replace(row, status="in_review", reason="its geometry changed", status_at=context.now)
    drawn = None
    if is_new:
        name = site_version_id(command.site, version)
        drawn = SiteVersion(name, command.site, version, *given, context.now)
    reply: dict[str, object] = {"site": row.id, "status": row.status, "version": version}
    return Decision([] if row == known else [e.SiteRecorded(row, drawn, command.operator)], reply)


def move_site(state: Any, command: c.MoveSite, context: Context) -> Decision:
    """Raises `unknown_site`, `bad_move`, `bad_record` (approved without a document for the land)."""
    site: Site | None = state.sites.get(command.site)
    if site is None:
        raise Rejected("unknown_site", site=command.site)
    reply: dict[str, object] = {"site": site.id, "status": command.status}
    if command.status == site.status:
        return Decision([], reply)
    if command.status not in MOVES[site.status]:
        moves = list(MOVES[site.status])
        raise Rejected("bad_move", found=command.status, was=site.status, moves=moves)
    if command.status == "approved" and not site.land_right.get("number"):
        raise Rejected("bad_record", field="land_right", expected="kind, holder and number of the document")
    moved = replace(site, status=command.status, reason=command.reason, status_at=context.now)
    return Decision([e.SiteRecorded(moved, None, command.operator)], reply)


def record_checks(state: Any, command: c.RecordSiteChecks, context: Context) -> Decision:
    """Raises `unknown_site`."""
    version = state.site_versions.get(site_version_id(command.site, command.version))
    if version is None:
        raise Rejected("unknown_site", site=command.site, version=command.version)
    checked = replace(version, checks=dict(command.checks))
    return Decision([] if checked == version else [e.SiteChecked(checked)], {"site": command.site})


def record_offer(state: Any, command: c.RecordSpeciesOffer, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_record`."""
    _partner(state, command.partner)
    if command.kind not in PLANT_KINDS:
        raise Rejected("bad_record", field="kind", expected=", ".join(PLANT_KINDS))
    if command.gbif_key < 0 or not command.typed_name.strip():
        raise Rejected(
            "bad_record",
            field="gbif_key",
            expected="a GBIF taxon key (0: not matched yet) and the name as typed",
        )
    name = offer_id(command.partner, command.species)
    row = SpeciesOffer(
        id=name,
        partner=command.partner,
        species=command.species,
        gbif_key=command.gbif_key,
        checklist=command.checklist,
        typed_name=command.typed_name,
        native=command.native,
        kind=command.kind,
        status="offered" if command.offered else "withdrawn",
    )
    known = state.species_offers.get(name)
    reply: dict[str, object] = {"offer": name, "status": row.status}
    return Decision([] if row == known else [e.SpeciesOffered(row, command.operator)], reply)


def set_quota(state: Any, command: c.SetQuota, context: Context) -> Decision:
    """Raises `unknown_site`, `unknown_offer`, `no_agreement`, `unknown_season`, `bad_record`, `quota_in_use`."""
    site: Site | None = state.sites.get(command.site)
    if site is None:
        raise Rejected("unknown_site", site=command.site)
    offer = state.species_offers.get(offer_id(site.partner, command.species))
    if offer is None:
        raise Rejected("unknown_offer", offer=offer_id(site.partner, command.species))
    partner = _partner(state, site.partner)
    agreement = state.agreements.get(partner.agreement) if partner.agreement else None
    if agreement is None:
        raise Rejected("no_agreement", partner=partner.id)
    terms = terms_of(agreement)
    season = terms.season(command.season)
    if season is None:
        raise Rejected("unknown_season", season=command.season, windows=[one.id for one in terms.seasons])
    if not 0 <= command.capacity <= CAPACITY_TREES_MAX:
        raise Rejected("bad_record", field="capacity", expected=f"0 to {CAPACITY_TREES_MAX:,} trees")
    name = quota_id(command.site, command.species, command.season)
    known: Quota | None = state.quotas.get(name)
    used = (known.held + known.ordered) if known else 0
    if command.capacity < used:
        raise Rejected("quota_in_use", quota=name, used=used, capacity=command.capacity)
    row = Quota(
        id=name,
        partner=site.partner,
        site=site.id,
        offer=offer.id,
        species=command.species,
        region=site.region,
        season=command.season,
        opens_at=season.opens_at,
        closes_at=season.closes_at,
        order_by_at=season.order_by_at,
        capacity=command.capacity,
        held=known.held if known else 0,
        ordered=known.ordered if known else 0,
        planted=known.planted if known else 0,
    )
    reply: dict[str, object] = {"quota": name, "free": row.capacity - used}
    return Decision([] if row == known else [e.QuotaSet(row, command.operator)], reply)


# --- evolve ---------------------------------------------------------------------------------------


def site_recorded(state: Any, event: e.SiteRecorded) -> None:
    """Keep the site, and its new geometry."""
    put(state.sites, event.site.id, event.site)
    if event.version is not None:
        put(state.site_versions, event.version.id, event.version)


def site_checked(state: Any, event: e.SiteChecked) -> None:
    """Keep what the checks found."""
    put(state.site_versions, event.version.id, event.version)


def species_offered(state: Any, event: e.SpeciesOffered) -> None:
    """Keep the offer."""
    put(state.species_offers, event.offer.id, event.offer)


def quota_set(state: Any, event: e.QuotaSet) -> None:
    """Keep the quota."""
    put(state.quotas, event.quota.id, event.quota)


# --- what the rules share -------------------------------------------------------------------------


def _partner(state: Any, name: str) -> Partner:
    partner: Partner | None = state.partner_records.get(name)
    if partner is None:
        raise Rejected("unknown_partner", partner=name)
    return partner


def _shown_m(command: c.RecordSite, known: Site | None) -> int:
    if command.shown_m is None:
        return known.shown_m if known is not None else SHOWN_M
    if command.shown_m not in SHOWN_M_CHOICES:
        raise Rejected("bad_record", field="shown_m", expected=", ".join(map(str, SHOWN_M_CHOICES)))
    return command.shown_m


def _check_geometry(command: c.RecordSite) -> None:
    """Only what can be stored is looked at here; whether the polygon makes sense is for the geometry checks."""
    if command.datum not in DATUMS:
        raise Rejected("bad_record", field="datum", expected=", ".join(DATUMS))
    if command.area_m2 < 1:
        raise Rejected("bad_record", field="area_m2", expected="square metres, at least 1")
    if len(command.geometry.encode()) > GEOMETRY_BYTES_MAX:
        raise Rejected("bad_record", field="geometry", expected=f"at most {GEOMETRY_BYTES_MAX:,} bytes")
    try:
        shape = json.loads(command.geometry)
    except (ValueError, RecursionError):
        shape = None
    if not isinstance(shape, dict) or shape.get("type") != "MultiPolygon" or not shape.get("coordinates"):
        raise Rejected("bad_record", field="geometry", expected="the GeoJSON text of a MultiPolygon")
