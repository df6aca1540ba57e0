"""The forecast of what a rulebook's trees cost, by the real simulation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from engine import forecast as forecast_module
from engine.core.errors import Rejected
from engine.forecast import ACCOUNTS_MIN, Forecaster
from engine.rulebook import shipped_rules
from engine.rulefiles.packing import book_of, packed
from engine.settings import Settings
from tests.core.world import rulebook

START = date(2026, 11, 26)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer people than in earnest, so that it takes seconds."""
    monkeypatch.setattr(forecast_module, "USERS", 120)


def test_more_accounts_cost_more_and_few_are_not_forecast() -> None:
    forecast = Forecaster(Settings(forecast_d=60))
    assert forecast(rulebook(), ACCOUNTS_MIN - 1, START) == {}
    some, more = forecast(rulebook(), 10_000, START), forecast(rulebook(), 20_000, START)
    assert 0 < some["CNY"] * 1.9 < more["CNY"] < some["CNY"] * 2.1


def test_a_behaviour_that_is_no_more_costs_nothing() -> None:
    forecast = Forecaster(Settings(forecast_d=60))
    without = {name: one for name, one in rulebook().behaviours.items() if name != "walking"}
    fewer = forecast(replace(rulebook(), behaviours=without, memo={}), 10_000, START)
    assert fewer.get("CNY", 0) < forecast(rulebook(), 10_000, START)["CNY"]


def test_what_counts_from_a_later_day_is_costed(tmp_path: Path) -> None:
    """The population's own first day is long past; a value that begins next week must not be."""
    walking = "behaviours/green-travel/walking.yaml"
    text = packed(shipped_rules())[walking]
    line = "    2026-12-01: {value: 1, confidence: assumed, references: [saxaul-notes], because: A trial.}\n"
    files = packed(shipped_rules()) | {walking: text.replace("  day_g:\n", f"  day_g:\n{line}")}
    forecast = Forecaster(Settings(forecast_d=60))
    assert forecast(book_of(files), 10_000, START)["CNY"] < forecast(rulebook(), 10_000, START)["CNY"]
    assert forecast(book_of(files), 10_000, date(2026, 1, 1)) == forecast(
        rulebook(), 10_000, date(2026, 1, 1)
    )


def test_no_days_ask_no_forecast() -> None:
    assert Forecaster(Settings(forecast_d=0))(rulebook(), 10**6, START) == {}


def test_a_file_that_is_no_population_says_so(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text("users: many\n", encoding="utf-8")
    with pytest.raises(Rejected) as refusal:
        Forecaster(Settings(population=tmp_path / "people.yaml"))(rulebook(), 10**6, START)
    assert refusal.value.code == "bad_population"
    assert "people.yaml" in str(refusal.value.fields["problem"])
