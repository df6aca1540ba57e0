"""Facts about records. Each carries the row as it is from now on; an address is nowhere but in `Private`."""

from __future__ import annotations

from dataclasses import dataclass

from partners.core.records.rows import Agreement, Partner, Private, Quota, Site, SiteVersion, SpeciesOffer


@dataclass(slots=True)
class PartnerRecorded:
    """A partner as it is from now on, and why it changed: recorded, moved, document, agreement."""

    partner: Partner
    what: str
    by: str


@dataclass(slots=True)
class ContactsSet:
    """A partner's contacts, all anew: (role, place, name, address)."""

    partner: str
    contacts: tuple[tuple[str, int, Private, Private], ...]
    gone: tuple[tuple[str, str, int], ...]


@dataclass(slots=True)
class AgreementRecorded:
    """A version as it is from now on."""

    agreement: Agreement
    by: str


@dataclass(slots=True)
class SiteRecorded:
    """A site as it is from now on, and its new geometry where that changed."""

    site: Site
    version: SiteVersion | None
    by: str


@dataclass(slots=True)
class SiteChecked:
    """A geometry with what the checks found."""

    version: SiteVersion


@dataclass(slots=True)
class SpeciesOffered:
    """An offer as it is from now on."""

    offer: SpeciesOffer
    by: str


@dataclass(slots=True)
class QuotaSet:
    """A quota as it is from now on."""

    quota: Quota
    by: str
