"""Behaviours that the documents offer beside the shipped ones can be taken in as they are."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from engine.core.rules import RuleBook
from engine.rulebook import load_rulebook, shipped_rules
from engine.workbench.checking import check
from engine.workbench.explaining import Act, explain
from engine.workbench.spread import spreads
from tests.house.source import ROOT

SAMPLE = ROOT / "docs" / "samples" / "clean-plate.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "rules"
    shutil.copytree(shipped_rules(), place)
    shutil.copy(SAMPLE, place / "behaviours" / "less-paper-and-plastic")
    return place


def test_the_clean_plate_can_be_taken_in_and_is_compared(folder: Path) -> None:
    checked = check(folder, date(2026, 11, 26))
    assert checked.ok and checked.warnings == ()
    assert checked.report.behaviours == 35
    book: RuleBook = load_rulebook(folder)
    told = explain(book, Act("clean-plate", Decimal(1), date(2026, 11, 26)))
    assert (told["energy_g"], told["avoided_mg"]) == (20, 144_000)
    assert book.behaviours["clean-plate"].evidence[0].kind == "photo"
    [plate] = spreads(checked.report.built, date(2026, 11, 26), "clean-plate")  # type: ignore[arg-type]
    assert plate.ours.refused == ""
