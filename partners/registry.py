"""Which partner is reached by which adapter: reads manifests, builds adapters, gives the terms they imply."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from engine.core.units import DAY_MS, SECOND_MS
from partners.adapters.files.adapter import FilesAdapter
from partners.adapters.files.config import FilesConfig, FilesPartner, MailAccount
from partners.adapters.files.names import Names
from partners.adapters.portal.adapter import PortalAdapter, PortalList
from partners.adapters.portal.config import PortalPartner
from partners.adapters.rest.config import RestPartner
from partners.adapters.rest.pulled import Office, PulledAdapter
from partners.adapters.rest.server import ServerAdapter
from partners.adapters.simulator.adapter import SimulatorAdapter
from partners.core.model import PartnerTerms
from partners.evidence.rules import shipped_rules
from partners.port import Adapter, Capabilities
from partners.signing import secret_bytes

SIMULATOR_PARTNER = "simulator-ngo"

Build = Callable[[str, Sequence[str], Capabilities, float], Adapter]
ADAPTERS: Mapping[str, Build] = {"simulator": SimulatorAdapter}


class RegistryError(Exception):
    """A partner that can't be reached as configured; the text says what to mend."""


@dataclass(frozen=True, slots=True)
class PartnerSettings:
    """How a partner is reached. `keys`: the one in use first, then those that still sign during a
    rotation."""

    partner: str
    adapter: str
    address: str
    keys: tuple[str, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Capabilities that differ from the adapter's manifest."""
    timeout_s: float = 10.0
    make: Callable[[Capabilities], Adapter] | None = None
    """Builds the adapter of a partner that an address and keys do not describe."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The partners of this process: their adapters, terms and keys by partner id."""

    adapters: Mapping[str, Adapter]
    terms: Mapping[str, PartnerTerms]
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def is_live(self, partner: str) -> bool:
        """Whether the partner plants real trees; unknown partners do not count as such."""
        adapter = self.adapters.get(partner)
        return adapter is not None and adapter.capabilities.is_live

    async def close(self) -> None:
        """Let go of all connections."""
        for adapter in self.adapters.values():
            await adapter.close()


def manifest(adapter: str, changes: Mapping[str, Any] | None = None) -> Capabilities:
    """What an adapter's partner can do, by its manifest. Raises RegistryError."""
    try:
        text = files(f"partners.adapters.{adapter}").joinpath("manifest.toml").read_text("utf-8")
        stated: dict[str, Any] = tomllib.loads(text) | dict(changes or {})
        return Capabilities(**stated)
    except (ModuleNotFoundError, FileNotFoundError, TypeError, tomllib.TOMLDecodeError) as problem:
        raise RegistryError(f"adapter {adapter}: {problem}") from problem


def build_registry(partners: Sequence[PartnerSettings]) -> Registry:
    """Adapters and terms of the partners. Raises RegistryError for unknown adapters and unusable keys."""
    adapters: dict[str, Adapter] = {}
    terms: dict[str, PartnerTerms] = {}
    for settings in partners:
        build = ADAPTERS.get(settings.adapter)
        if build is None and settings.make is None:
            raise RegistryError(f"partner {settings.partner}: no adapter {settings.adapter}")
        if settings.partner in adapters:
            raise RegistryError(f"partner {settings.partner}: named twice; let it work in one way only")
        try:
            [secret_bytes(key) for key in settings.keys]
        except ValueError as problem:
            raise RegistryError(f"partner {settings.partner}: {problem}") from problem
        can = manifest(settings.adapter, settings.changes)
        if settings.make is not None:
            adapters[settings.partner] = settings.make(can)
        elif build is not None:
            adapters[settings.partner] = build(settings.address, settings.keys, can, settings.timeout_s)
        terms[settings.partner] = PartnerTerms(
            settings.partner,
            asks_below_minimum=can.asks_below_minimum,
            poll_ms=can.poll_s * SECOND_MS or DAY_MS,  # a partner that is not polled is still followed up
            resendable=can.idempotency == "native",
            evidence=shipped_rules() if can.uploads_evidence else None,
            files_required=can.uploads_evidence,
            is_live=can.is_live,
            has_sandbox=can.has_sandbox,
            lines_max=can.lines_max,
        )
    return Registry(adapters, terms, {one.partner: one.keys for one in partners})


def simulator_settings(address: str | None, key: str | None) -> list[PartnerSettings]:
    """The simulated NGO as a partner, where an address is configured."""
    if not address:
        return []
    if not key:
        raise RegistryError("a partner simulator needs SAXAUL_PARTNER_SIMULATOR_KEY")
    return [PartnerSettings(SIMULATOR_PARTNER, "simulator", address, (key,))]


def file_partners(config: FilesConfig, names: Callable[[], Names]) -> list[PartnerSettings]:
    """The partners who work by mail or shared folder. Raises RegistryError for one without a key."""
    found = []
    for partner in config.partners.values():
        if not partner.keys:
            raise RegistryError(f"partner {partner.id}: its key_file is empty")
        found.append(
            PartnerSettings(
                partner.id,
                "files",
                partner.address,
                partner.keys,
                {"is_live": partner.is_live, "uploads_evidence": partner.judges_photos},
                make=_files_adapter(partner, config.mail, names),
            )
        )
    return found


def portal_partners(partners: Mapping[str, PortalPartner], lists: PortalList) -> list[PartnerSettings]:
    """The partners whose staff work in the portal."""
    return [
        PartnerSettings(
            one.id,
            "portal",
            "/portal",
            one.keys,
            {"is_live": one.is_live},
            make=_portal_adapter(one.id, lists),
        )
        for one in partners.values()
    ]


def _portal_adapter(partner: str, lists: PortalList) -> Callable[[Capabilities], Adapter]:
    return lambda can: PortalAdapter(partner, lists, can)


def rest_partners(partners: Sequence[RestPartner], office: Office | None) -> list[PartnerSettings]:
    """The partners with developers: those with a server, and with an office those who call our partner API."""
    return [
        PartnerSettings(
            one.id,
            "rest",
            one.address,
            one.keys,
            one.changes,
            one.timeout_s,
            make=_rest_adapter(one, office),
        )
        for one in partners
        if one.address or office is not None
    ]


def _rest_adapter(partner: RestPartner, office: Office | None) -> Callable[[Capabilities], Adapter]:
    if partner.address or office is None:
        return lambda can: ServerAdapter(partner.address, partner.keys, can, partner.timeout_s)
    return lambda can: PulledAdapter(partner.id, office, partner.keys, can)


def _files_adapter(
    partner: FilesPartner, account: MailAccount | None, names: Callable[[], Names]
) -> Callable[[Capabilities], Adapter]:
    return lambda can: FilesAdapter(partner, account, can, names)
