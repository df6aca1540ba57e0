"""Wishes about records. Each says how things are to be; a wish for what is so already changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from partners.core.records.agreed import AgreementTerms


@dataclass(slots=True)
class RecordPartner:
    """Register a partner (it has then applied), or correct what is known of it."""

    key: str | None
    operator: str
    partner: str
    name_zh: str
    name_en: str
    country: str
    kind: str
    tier: int
    currency: str
    languages: tuple[str, ...]


@dataclass(slots=True)
class MovePartner:
    """Change a partner's status: vetting, active, suspended or left, with the reason."""

    key: str | None
    operator: str
    partner: str
    status: str
    reason: str = ""


@dataclass(slots=True)
class RecordDocument:
    """Add a vetting document, also as a renewal of one of its kind. `sha256` is of the file, empty if none is kept."""

    key: str | None
    operator: str
    partner: str
    kind: str
    number: str
    issuer: str
    expires_on: str
    sha256: str = ""


@dataclass(slots=True)
class ContactWish:
    """Whom to ask at a partner, in the role's order of escalation."""

    role: str
    name: str
    address: str


@dataclass(slots=True)
class SetContacts:
    """State all contacts of a partner anew; the order of a role's contacts is that of escalation."""

    key: str | None
    operator: str
    partner: str
    contacts: tuple[ContactWish, ...]


@dataclass(slots=True)
class RecordAgreement:
    """Write down a version of what is agreed. A version that is active is never changed: record the next one."""

    key: str | None
    operator: str
    partner: str
    version: int
    starts_on: str
    ends_on: str
    terms: AgreementTerms


@dataclass(slots=True)
class MoveAgreement:
    """Put a version in force (the one before it is superseded), or end it."""

    key: str | None
    operator: str
    partner: str
    version: int
    status: str


@dataclass(slots=True)
class RecordSite:
    """Register a site or correct it. A geometry that differs from the newest one is kept as the next version.

    `shown_m`: how exactly the public may know where it is, one of `SHOWN_M_CHOICES`; None: as before, or the usual.
    """

    key: str | None
    operator: str
    site: str
    partner: str
    name_zh: str
    name_en: str
    country: str
    region: str
    geometry: str
    area_m2: int
    datum: str
    county: str = ""
    township: str = ""
    compartment: str = ""
    ecosystem: str = ""
    land_right: dict[str, str] = field(default_factory=dict)
    shown_m: int | None = None


@dataclass(slots=True)
class MoveSite:
    """Change a site's status: in_review, approved or retired, with the reason."""

    key: str | None
    operator: str
    site: str
    status: str
    reason: str = ""


@dataclass(slots=True)
class RecordSiteChecks:
    """What the geometry checks found of a version of a site."""

    key: str | None
    site: str
    version: int
    checks: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class RecordSpeciesOffer:
    """Say that a partner raises and plants a species, or (`offered` false) no longer."""

    key: str | None
    operator: str
    partner: str
    species: str
    gbif_key: int
    checklist: str
    typed_name: str
    native: bool
    kind: str
    offered: bool = True


@dataclass(slots=True)
class SetQuota:
    """Set how many trees of a species a site takes in a season of the agreement in force."""

    key: str | None
    operator: str
    site: str
    species: str
    season: str
    capacity: int


RecordCommand = (
    RecordPartner
    | MovePartner
    | RecordDocument
    | SetContacts
    | RecordAgreement
    | MoveAgreement
    | RecordSite
    | MoveSite
    | RecordSiteChecks
    | RecordSpeciesOffer
    | SetQuota
)
