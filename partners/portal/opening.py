"""The portal as the settings want it: whose staff use it, and its pages, where it is served."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from engine.core.rules import RuleBook
from engine.settings import Settings, SettingsError
from engine.store.database import Database
from engine.writer import Writer
from partners.adapters.portal.adapter import PortalList
from partners.adapters.portal.config import PortalConfigError, PortalPartner, read_portal_config
from partners.evidence.desk import EvidenceDesk
from partners.portal.desk import PortalDesk
from partners.portal.routes import portal_router
from partners.portal.secrets import Seals
from partners.registry import PartnerSettings, portal_partners


def portal_partners_of(settings: Settings) -> dict[str, PortalPartner]:
    """The partners who work in the portal. Raises SettingsError."""
    if settings.partner_portal is None:
        return {}
    try:
        return read_portal_config(settings.partner_portal, settings.server_key)
    except PortalConfigError as problem:
        raise SettingsError(f"SAXAUL_PARTNER_PORTAL: {problem}") from problem


def portal_lists(settings: Settings) -> tuple[list[PartnerSettings], PortalList]:
    """The portal's partners as the registry takes them, and the lists that reach them. Raises SettingsError."""
    partners = portal_partners_of(settings)
    lists = PortalList(frozenset(partners))
    return portal_partners(partners, lists), lists


def portal_routers(
    settings: Settings, writer: Writer, db: Database, rules: Callable[[], RuleBook], evidence: EvidenceDesk
) -> tuple[APIRouter, ...]:
    """The pages; none where the portal is switched off. Raises SettingsError."""
    if not settings.portal:
        return ()
    desk = PortalDesk(
        writer=writer,
        db=db,
        rules=rules,
        partners=portal_partners_of(settings),
        evidence=evidence,
        seals=Seals.of(settings.server_key),
        session_s=settings.portal_session_s,
        is_secure=(settings.portal_url or "").startswith("https://"),
    )
    return (portal_router(desk),)
