"""What the audit log keeps of each change of a record: who and what, and nothing by which a person is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from partners.core.records import events as e

Told = tuple[str, str, str, str, str]
"""(entity, what, was, became, reason)."""


def _before(shelf: Any, key: str) -> Any:
    return shelf.get(key) if key in shelf else None


def _partner(state: Any, event: e.PartnerRecorded, states: dict[int, str]) -> list[Told]:
    row, known = event.partner, _before(state.partner_records, event.partner.id)
    entity = f"partner {row.id}"
    if event.what == "moved":
        return [(entity, "status", known.status if known else "", row.status, row.reason)]
    if event.what == "agreement":
        return [(entity, "agreement", known.agreement if known else "", row.agreement, "")]
    if event.what == "document":
        return [(entity, "documents", str(len(known.documents) if known else 0), str(len(row.documents)), "")]
    return [(entity, "record", "" if known is None else "known", "recorded", "")]


def _contacts(state: Any, event: e.ContactsSet, states: dict[int, str]) -> list[Told]:
    was, became = str(len(event.gone)), str(len(event.contacts))
    return [(f"partner {event.partner}", "contacts", was, became, "")]


def _agreement(state: Any, event: e.AgreementRecorded, states: dict[int, str]) -> list[Told]:
    row, known = event.agreement, _before(state.agreements, event.agreement.id)
    span = f"{row.starts_on} to {row.ends_on}"
    return [(f"agreement {row.id}", "status", known.status if known else "", row.status, span)]


def _site(state: Any, event: e.SiteRecorded, states: dict[int, str]) -> list[Told]:
    row, known = event.site, _before(state.sites, event.site.id)
    told: list[Told] = [(f"site {row.id}", "status", known.status if known else "", row.status, row.reason)]
    if event.version is not None:
        was = str(known.version) if known else ""
        area = f"{event.version.area_m2} m2 in {event.version.datum}"
        told.append((f"site {row.id}", "geometry", was, str(event.version.version), area))
    return told


def _checked(state: Any, event: e.SiteChecked, states: dict[int, str]) -> list[Told]:
    return [(f"site {event.version.site}", "checks", "", str(event.version.version), "")]


def _offered(state: Any, event: e.SpeciesOffered, states: dict[int, str]) -> list[Told]:
    row, known = event.offer, _before(state.species_offers, event.offer.id)
    return [(f"species {row.id}", "status", known.status if known else "", row.status, row.typed_name)]


def _quota(state: Any, event: e.QuotaSet, states: dict[int, str]) -> list[Told]:
    row, known = event.quota, _before(state.quotas, event.quota.id)
    return [(f"quota {row.id}", "capacity", str(known.capacity) if known else "", str(row.capacity), "")]


RECORD_TELLERS: Mapping[type, Callable[[Any, Any, dict[int, str]], list[Told]]] = {
    e.PartnerRecorded: _partner,
    e.ContactsSet: _contacts,
    e.AgreementRecorded: _agreement,
    e.SiteRecorded: _site,
    e.SiteChecked: _checked,
    e.SpeciesOffered: _offered,
    e.QuotaSet: _quota,
}
