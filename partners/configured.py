"""Which partners the settings name: the simulator, those who work by files, and those with developers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engine.settings import Settings, SettingsError
from partners.adapters.files.config import ConfigError, FilesConfig, read_config
from partners.adapters.files.names import Names
from partners.adapters.rest.config import RestConfigError, RestPartner, read_rest_config
from partners.adapters.rest.pulled import Office
from partners.registry import (
    PartnerSettings,
    Registry,
    RegistryError,
    build_registry,
    file_partners,
    rest_partners,
    simulator_settings,
)


def registry_of(
    settings: Settings,
    names: Callable[[], Names],
    office: Office | None = None,
    of_portal: Sequence[PartnerSettings] = (),
) -> Registry:
    """The partners that can be reached, to be closed; without an office not those who only call.

    Raises SettingsError.
    """
    of_files = file_partners(file_config(settings), names)
    of_rest = rest_partners(_rest_config(settings), office)
    of_simulator = simulator_settings(settings.partner_simulator_url, settings.partner_simulator_key)
    try:
        return build_registry([*of_simulator, *of_files, *of_rest, *of_portal])
    except RegistryError as problem:
        raise SettingsError(str(problem)) from problem


def file_config(settings: Settings) -> FilesConfig:
    """The partners who work by files. Raises SettingsError."""
    if settings.partner_files is None:
        return FilesConfig()
    try:
        return read_config(settings.partner_files)
    except ConfigError as problem:
        raise SettingsError(f"SAXAUL_PARTNER_FILES: {problem}") from problem


def _rest_config(settings: Settings) -> list[RestPartner]:
    if settings.partner_rest is None:
        return []
    try:
        return read_rest_config(settings.partner_rest)
    except RestConfigError as problem:
        raise SettingsError(f"SAXAUL_PARTNER_REST: {problem}") from problem
