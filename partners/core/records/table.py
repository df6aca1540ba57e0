"""The table of the records: for each command what it touches and who decides, for each event who evolves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.core.events import Decision
from engine.core.state import By, Touch
from partners.core.context import Context
from partners.core.records import commands as c
from partners.core.records import contracts, land, vetting
from partners.core.records import events as e
from partners.core.records.rows import agreement_id, offer_id, quota_id, site_version_id


def touches(command: Any, state: Any) -> Iterator[Touch]:
    """The rows that a command about records reads or changes."""
    match command:
        case c.RecordPartner() | c.MovePartner() | c.RecordDocument():
            yield from _partner(command.partner, state)
        case c.SetContacts():
            yield from _partner(command.partner, state)
            yield Touch("contacts", By("partner", command.partner))
            for contact in command.contacts:
                yield from (
                    Touch("contacts", (command.partner, contact.role, place + 1))
                    for place in range(len(command.contacts))
                )
        case c.RecordAgreement() | c.MoveAgreement():
            yield from _partner(command.partner, state)
            yield Touch("agreements", agreement_id(command.partner, command.version))
        case c.RecordSite():
            yield from _partner(command.partner, state)
            yield from _site(command.site, state, ahead=1)
        case c.MoveSite():
            yield from _site(command.site, state)
        case c.RecordSiteChecks():
            yield Touch("site_versions", site_version_id(command.site, command.version))
        case c.RecordSpeciesOffer():
            yield from _partner(command.partner, state)
            yield Touch("species_offers", offer_id(command.partner, command.species))
        case c.SetQuota():
            yield Touch("quotas", quota_id(command.site, command.species, command.season))
            yield from _site(command.site, state)
            site = state.sites.get(command.site) if command.site in state.sites else None
            if site is not None:
                yield from _partner(site.partner, state)
                yield Touch("species_offers", offer_id(site.partner, command.species))


def _partner(name: str, state: Any) -> Iterator[Touch]:
    yield Touch("partner_records", name)
    yield Touch("performances", name)
    partner = state.partner_records.get(name) if name in state.partner_records else None
    if partner is not None and partner.agreement:
        yield Touch("agreements", partner.agreement)


def _site(name: str, state: Any, ahead: int = 0) -> Iterator[Touch]:
    """The site with its newest geometry, and the next one that there may be."""
    yield Touch("sites", name)
    if name in state.sites:
        site = state.sites.get(name)
        newest = site.version if site is not None else 0
        for version in range(max(newest, 1), newest + ahead + 1):
            yield Touch("site_versions", site_version_id(name, version))


DECIDERS: Mapping[type, Callable[[Any, Any, Context], Decision]] = {
    c.RecordPartner: vetting.record_partner,
    c.MovePartner: vetting.move_partner,
    c.RecordDocument: vetting.record_document,
    c.SetContacts: vetting.set_contacts,
    c.RecordAgreement: contracts.record_agreement,
    c.MoveAgreement: contracts.move_agreement,
    c.RecordSite: land.record_site,
    c.MoveSite: land.move_site,
    c.RecordSiteChecks: land.record_checks,
    c.RecordSpeciesOffer: land.record_offer,
    c.SetQuota: land.set_quota,
}

EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {
    e.PartnerRecorded: vetting.partner_recorded,
    e.ContactsSet: vetting.contacts_set,
    e.AgreementRecorded: contracts.agreement_recorded,
    e.SiteRecorded: land.site_recorded,
    e.SiteChecked: land.site_checked,
    e.SpeciesOffered: land.species_offered,
    e.QuotaSet: land.quota_set,
}
