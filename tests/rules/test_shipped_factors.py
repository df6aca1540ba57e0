"""The factors that ship: all used, none dead, and each figure the one that was published."""

from __future__ import annotations

import csv
import re
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from engine.core.quantify import assess
from engine.core.rules import RuleBook
from engine.rulebook import check_rulebook, shipped_rules
from tests.rules.acts import read


def test_every_factor_is_used_by_a_behaviour(shipped: RuleBook) -> None:
    used: set[str] = set()
    for file in shipped_rules().glob("behaviours/*/*.yaml"):
        text = file.read_text(encoding="utf-8")
        used |= {name for name in shipped.factors if re.search(rf"(: |\[|\{{){name}(?=[,}}\s])", text)}
    waiting = list(used)
    while waiting:
        for part in shipped.factors[waiting.pop()].parts:
            if part.factor not in used:
                used.add(part.factor)
                waiting.append(part.factor)
    assert used == set(shipped.factors)
    assert check_rulebook().warnings == ()


def test_every_figure_can_be_taken(shipped: RuleBook) -> None:
    for factor in shipped.factors.values():
        assert bool(factor.by_region) != bool(factor.parts)
        for region, figures in factor.by_region.items():
            for figure in figures:
                user = None if region in factor.fallback else region
                taken = factor.find(max(date(figure.year, 7, 1), figure.value.since), user)
                assert taken == figure, (factor.id, region, figure.year)


def test_british_figures_are_those_of_the_tables(shipped: RuleBook, shared_folder: Path) -> None:
    tables = sorted((shared_folder / "data/factors/defra2025").glob("*.csv"))
    if not tables:
        pytest.skip("the British tables are not there")
    published: dict[str, str] = {}
    for table in tables:
        with table.open(encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                published[row["ID"]] = row["GHG Conversion Factor 2025"]
    seen = 0
    for factor in shipped.factors.values():
        for figures in factor.by_region.values():
            for figure in figures:
                if figure.value.references == ("defra-2025",):
                    named = re.search(r"row ([0-9_]+)$", figure.table)
                    assert named is not None, factor.id
                    assert figure.value.amount == Fraction(published[named[1]]), factor.id
                    seen += 1
    assert seen >= 25


PROVINCES = {
    "Beijing": "BJ", "Tianjin": "TJ", "Hebei": "HE", "Shanxi": "SX", "Inner Mongolia": "NM", "Liaoning": "LN",
    "Jilin": "JL", "Heilongjiang": "HL", "Shanghai": "SH", "Jiangsu": "JS", "Zhejiang": "ZJ", "Anhui": "AH",
    "Fujian": "FJ", "Jiangxi": "JX", "Shandong": "SD", "Henan": "HA", "Hubei": "HB", "Hunan": "HN",
    "Guangdong": "GD", "Guangxi": "GX", "Hainan": "HI", "Chongqing": "CQ", "Sichuan": "SC", "Guizhou": "GZ",
    "Yunnan": "YN", "Shaanxi": "SN", "Gansu": "GS", "Qinghai": "QH", "Ningxia": "NX", "Xinjiang": "XJ",
}  # fmt: skip


def test_the_grid_of_every_province_and_year(shipped: RuleBook, shared_folder: Path) -> None:
    file = shared_folder / "data/factors/china_grid_factors.csv"
    if not file.is_file():
        pytest.skip("the grid's table is not there")
    with file.open(encoding="utf-8") as rows:
        table = [row for row in csv.DictReader(rows) if row["level"] != "region"]
    assert len(table) == 63
    for row in table:
        region = "CN" if row["level"] == "nation" else f"CN-{PROVINCES[row['area_en']]}"
        # a month's saving of 30 kWh in July of the year, by plain arithmetic
        mg_wanted = int(30 * Decimal(row["value"]) * 1_000_000)
        worth = assess(
            shipped, "power-saving", Decimal(70), "kWh", date(int(row["year"]), 7, 1), read("100"), region
        )
        assert worth.avoided_mg == mg_wanted, (region, row["year"])
    # Tibet has no figure, and later years none yet: the nation's, and the last one
    for region, on, value in (("CN-XZ", date(2022, 7, 1), "0.5366"), ("CN-HE", date(2026, 7, 1), "0.7252")):
        worth = assess(shipped, "power-saving", Decimal(70), "kWh", on, read("100"), region)
        assert worth.avoided_mg == int(30 * Decimal(value) * 1_000_000)
