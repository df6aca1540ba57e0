"""Rows of the records: partners, agreements, sites, species offers, quotas, and where each partner's people are.

An address of a person stands in one row (`contacts`) and travels there as `Private`, which prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.core.state import ShelfKind

PARTNER_KINDS = ("ngo", "foundation", "bureau", "provider", "simulated")
PARTNER_STATES = ("applied", "vetting", "active", "suspended", "left")
DOCUMENT_KINDS = ("registration", "tax", "land_use", "insurance", "nursery", "child_protection", "other")
CONTACT_ROLES = ("orders", "reports", "money", "emergency")
SITE_STATES = ("draft", "in_review", "approved", "retired")
DATUMS = ("WGS84", "CGCS2000", "GCJ02", "BD09")
PLANT_KINDS = ("tree", "shrub", "mangrove", "grass")
TIERS = (1, 2, 3)
SHOWN_M_CHOICES = (0, 100, 1_000, 10_000)
SHOWN_M = (
    1_000  # where a record does not say: what grows there may be rare, and the land may be somebody's home
)


class Private:
    """A value that reaches one row and nothing else: printed, logged or encoded it is an ellipsis."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "…"


@dataclass(slots=True)
class Partner:
    """Who plants. `tier` (1 to 3) says how well it was looked at; `agreement` is the id of the one in force.

    `documents` are vetting documents ({kind, number, issuer, expires_on, sha256}); the latest of each kind counts.
    `documents_until_at` is when the first kind has run out; None where there is none.
    """

    id: str
    name_zh: str
    name_en: str
    country: str
    kind: str
    status: str
    reason: str
    status_at: int
    tier: int
    currency: str
    agreement: str
    documents_until_at: int | None
    languages: list[str] = field(default_factory=list)
    documents: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Contact:
    """A person at a partner, by role and in the order in which they are asked. The only place with an address."""

    partner: str
    role: str
    place: int
    name: str
    address: str


@dataclass(slots=True)
class Agreement:
    """A version of what was agreed. `terms` never change once it is active; see `agreed.AgreementTerms`."""

    id: str
    partner: str
    version: int
    status: str  # draft | active | superseded | ended
    starts_on: str
    ends_on: str
    status_at: int
    terms: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """A place of a partner. `version` is that of its newest geometry; `land_right` says by what right it plants.

    `shown_m`: how exactly the public may know its place, as the side of a square in metres; 0: its outline.
    """

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
    reason: str
    status_at: int
    version: int
    land_right: dict[str, str] = field(default_factory=dict)
    shown_m: int = SHOWN_M


@dataclass(slots=True)
class SiteVersion:
    """One geometry of a site: GeoJSON text of a MultiPolygon as it was given, in `datum`.

    `checks` is what the geometry checks found; empty until they have run.
    """

    id: str
    site: str
    version: int
    geometry: str
    area_m2: int
    datum: str
    recorded_at: int
    checks: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class SpeciesOffer:
    """A species that a partner raises and plants: `species` is the rulebook's, the rest what botanists need.

    `gbif_key` 0: not matched with the checklist yet.
    """

    id: str
    partner: str
    species: str
    gbif_key: int
    checklist: str
    typed_name: str
    native: bool
    kind: str
    status: str  # offered | withdrawn


@dataclass(slots=True)
class Quota:
    """How many trees of a species a site takes in a season.

    `held` lie in drafts, `ordered` in orders that have gone out, `planted` are those of them in the ground. What
    is free is `capacity` - `held` - `ordered`. The season's instants are those of the agreement when it was set.
    """

    id: str
    partner: str
    site: str
    offer: str
    species: str
    region: str
    season: str
    opens_at: int
    closes_at: int
    order_by_at: int
    capacity: int
    held: int
    ordered: int
    planted: int


@dataclass(slots=True)
class Performance:
    """What became of the trees that a partner was asked for: asked, accepted, given back, planted, verified."""

    partner: str
    asked: int
    accepted: int
    given_back: int
    planted: int
    verified: int


@dataclass(slots=True)
class Allocation:
    """Why trees were placed as they were: candidates in rank with their figures, and who was passed over why."""

    id: int
    programme: str
    at: int
    trees: int
    placed: int
    decision: dict[str, Any] = field(default_factory=dict)


RECORD_SHELVES = (
    ShelfKind("partner_records", Partner, ("id",)),
    ShelfKind("quotas", Quota, ("id",), locks=6),
    ShelfKind("performances", Performance, ("partner",), locks=7),
    ShelfKind("contacts", Contact, ("partner", "role", "place")),
    ShelfKind("agreements", Agreement, ("id",)),
    ShelfKind("sites", Site, ("id",)),
    ShelfKind("site_versions", SiteVersion, ("id",)),
    ShelfKind("species_offers", SpeciesOffer, ("id",)),
    ShelfKind("allocations", Allocation, ("id",)),
)


def agreement_id(partner: str, version: int) -> str:
    """The id of a version of the agreement with a partner."""
    return f"{partner}/{version}"


def site_version_id(site: str, version: int) -> str:
    """The id of a geometry of a site."""
    return f"{site}/{version}"


def offer_id(partner: str, species: str) -> str:
    """The id of a partner's offer of a species."""
    return f"{partner}/{species}"


def quota_id(site: str, species: str, season: str) -> str:
    """The id of a quota."""
    return f"{site}/{species}/{season}"
