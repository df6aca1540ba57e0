"""Every setting is explained, has its unit in its name and stands in the operators' guide."""

from __future__ import annotations

import re

import pytest
from pydantic_core import PydanticUndefined

from engine.settings import Settings
from tests.house.settings_table import PAGE, page_with_table
from tests.house.source import modules

UNITS = ("_s", "_ms", "_max", "_min", "_bytes", "_g", "_pct", "_d", "_per_s", "_burst")
# numbers that count things which their own name says
COUNTS = {"port", "readers"}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_setting_has_default_help_and_unit(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.default is not PydanticUndefined or field.default_factory, "no default"
    assert field.description and field.description.endswith("."), "no help"
    if field.annotation in (int, float):
        assert name in COUNTS or name.endswith(UNITS), f"{name}: name its unit"


def test_guide_has_the_settings_as_they_are() -> None:
    page = PAGE.read_text()
    assert page == page_with_table(page), "run: python -m tests.house.settings_table"


# who reads the environment, and why
READERS = {
    "engine/settings.py": "the settings",
    "engine/failpoints.py": "crash tests only, never documented as a setting",
}


def test_environment_is_read_in_one_place() -> None:
    reading = {
        module.path
        for module in modules("engine", "partners")
        if re.search(r"os\.(environ|getenv)", module.text)
    }
    assert reading <= set(READERS)
