"""The portal as settings want it: its file, what is refused off loopback, and switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.settings import Settings, SettingsError
from partners.adapters.portal.config import PortalConfigError, read_portal_config
from partners.port import About
from partners.portal.opening import portal_lists, portal_partners_of, portal_routers
from partners.portal.secrets import Seals, is_password
from partners.registry import RegistryError, build_registry
from tests.partners.portal.yard import portal_file

KEY = "k" * 40


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


def test_each_partner_has_a_key_of_its_own_that_the_server_key_makes(tmp_path: Path) -> None:
    path = portal_file(tmp_path, "elm", "oak", is_live="false")
    partners = read_portal_config(path, KEY)
    keys = {one.keys for one in partners.values()}
    assert len(keys) == 2 and keys != {one.keys for one in read_portal_config(path, KEY + "x").values()}
    assert KEY not in repr(partners) and "whsec_" not in repr(partners)
    of_portal, _ = portal_lists(settings(partner_portal=path, server_key=KEY))
    registry = build_registry(of_portal)
    assert not registry.is_live("elm") and registry.terms["elm"].files_required
    with pytest.raises(RegistryError, match="named twice"):
        build_registry([*of_portal, *of_portal])


@pytest.mark.parametrize(
    "text",
    [
        "[partners.",
        "[partners.elm]\nkeys = ['x']",
        "[partners.elm]\ncolour = 1",
        "[partners.'../x']",
        "[x]",
        "\xff",
    ],
)
def test_a_file_that_can_not_be_used_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "portal.toml"
    path.write_text(text, "latin-1")
    with pytest.raises(PortalConfigError, match=r"portal\.toml"):
        read_portal_config(path, KEY)
    with pytest.raises(SettingsError, match="SAXAUL_PARTNER_PORTAL"):
        portal_partners_of(settings(partner_portal=path))


def test_passwords_do_not_travel_in_the_clear(tmp_path: Path) -> None:
    path = portal_file(tmp_path, "elm")
    open_to_all = {name: KEY + name for name in ("token_secret", "server_key", "operator_key")}
    open_to_all |= {"host": "0.0.0.0", "partner_portal": path}
    with pytest.raises(SettingsError, match="SAXAUL_PORTAL_URL"):
        settings(**open_to_all).check()
    settings(**open_to_all, portal_url="https://trees.example").check()
    settings(**open_to_all, portal=False).check()
    with pytest.raises(SettingsError, match="SAXAUL_PORTAL_URL"):
        settings(portal_url="trees.example").check()
    assert portal_routers(settings(portal=False), None, None, None, None) == ()  # type: ignore[arg-type]


async def test_a_list_that_is_not_open_took_nothing(tmp_path: Path) -> None:
    of_portal, _ = portal_lists(settings(partner_portal=portal_file(tmp_path, "elm")))
    adapter = build_registry(of_portal).adapters["elm"]
    assert (await adapter.remind(1, About("answer_due"), "k")).outcome == "failed"
    assert (await adapter.fetch_status(1)).outcome == "failed"


def test_seals_hold() -> None:
    seals, others = Seals.of(KEY), Seals.of(KEY + "x")
    cookie = seals.cookie("token")
    assert seals.opened(cookie) == "token"
    for forged in (
        "",
        "token",
        "token.",
        cookie[:-1],
        f"x{cookie}",
        "t" * 10_000,
        "é.é",
        others.cookie("token"),
    ):
        assert seals.opened(forged) is None
    first, second = seals.form_token("browser"), seals.form_token("browser")
    assert first != second and all(seals.is_form_token("browser", one) for one in (first, second))
    assert not seals.is_form_token("another", first) and not seals.is_form_token("", seals.form_token(""))
    assert not is_password("", "nobody has this password") and not is_password("$argon2id$broken", "x")
