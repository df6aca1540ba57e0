"""Results that schemes printed themselves, reproduced by rule files alone: packs/<scheme>/, packs/oracles.csv."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine.core.quantify import Assessment, assess, booked_alone_g, describe, recount
from engine.core.rules import RuleBook
from engine.core.telling import recount_points
from engine.rulebook import check_rulebook, load_rulebook
from tests.rules.pack import FILES

PACKS = Path(__file__).with_name("packs")
SCHEMES = sorted(folder.name for folder in PACKS.iterdir() if folder.is_dir())
COUNTED = ("computed", "constant")  # kinds of rows that can be reproduced


@contextmanager
def whole(scheme: str) -> Iterator[Path]:
    """The scheme's folder with the game's settings, of which it has none: it credits points and grows no balls."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / scheme
        shutil.copytree(PACKS / scheme, path)
        settings = FILES["game.yaml"].replace("2020-01-01", "2000-01-01").replace("[scheme]", "[pack-notes]")
        (path / "game.yaml").write_text(settings, encoding="utf-8")
        yield path


@lru_cache
def pack(scheme: str) -> RuleBook:
    """The rulebook of a scheme; ours, where none is named."""
    if not scheme:
        return load_rulebook()
    with whole(scheme) as folder:
        return load_rulebook(folder)


def act(
    scheme: str, on: str, behaviour: str, quantity: str, evidence: str | None = None, **attributes: object
) -> Assessment:
    """One act in a scheme; its trace is worked out again on the way."""
    rules = pack(scheme)
    unit = rules.behaviours[behaviour].unit
    day = date.fromisoformat(on)
    result = assess(rules, behaviour, Decimal(quantity), unit, day, attributes, None, evidence)
    trace = json.loads(json.dumps(result.trace))
    assert recount(trace) == (result.energy_g, result.avoided_mg)
    if result.points is not None:
        assert recount_points(trace) == (result.points, result.money_minor)
    assert not any("does not agree" in line for line in describe(trace, rules))
    return result


def grams(result: Assessment) -> str:
    """Avoided grams in digits."""
    return str(Decimal(result.avoided_mg) / 1000)


def korea(behaviour: str, quantity: str, on: str = "2009-06-29", **attributes: object) -> Assessment:
    return act("korea-carbon-point", on, behaviour, quantity, **attributes)


def _won_of_a_year() -> str:
    months = [korea("power-saving", "315", f"2009-{month:02d}-28", past="350") for month in range(1, 13)]
    return str(sum(month.money_minor or 0 for month in months))


def _tonnes_of_a_city() -> str:
    power, water = korea("city-power", "7407933"), korea("city-water", "433458")
    return str(Fraction(power.avoided_mg + water.avoided_mg, 10**9))


def _won_of_a_card() -> str:
    utilities = ("electricity", "water", "gas")
    tiers = [korea("tier-card", "7.5", "2016-06-30", utility=utility) for utility in utilities]
    return str(sum(tier.money_minor or 0 for tier in tiers))


def _hubei() -> str:
    rides = [act("hubei", "2022-02-17", f"hubei-{mode}", "1", "check-in") for mode in ("bus", "metro")]
    return " / ".join(grams(ride) for ride in rides)


def _ant() -> str:
    rule = pack("").behaviours["walking"].on(date(2019, 1, 1))
    assert rule is not None
    return str(booked_alone_g(rule, act("", "2019-01-01", "walking", "18040").energy_g))


def _coins() -> str:
    acts = {"fuzhou-registration": "1", "fuzhou-bus": "1", "fuzhou-steps": "6000", "fuzhou-bike": "1"}
    return str(sum(act("fuzhou", "2018-03-04", name, amount).points or 0 for name, amount in acts.items()))


WORKED: dict[str, Callable[[], str]] = {
    "KR-01": _won_of_a_year,
    "KR-03": _tonnes_of_a_city,
    "KR-05": _won_of_a_card,
    "CN-LZ-1": lambda: grams(act("luzhou", "2024-10-10", "luzhou-steps", "500")),
    "CN-LZ-2": lambda: grams(act("luzhou", "2024-10-10", "luzhou-bus", "1")),
    "CN-LZ-3": lambda: grams(act("luzhou", "2024-10-10", "luzhou-clean-plate", "1")),
    "CN-SX-2": lambda: grams(act("shanxi", "2022-12-01", "shanxi-charging", "1")),
    "CN-SX-3": lambda: grams(act("shanxi", "2022-12-01", "shanxi-no-cutlery", "1")),
    "CN-HB-2": _hubei,
    "CN-ANT-1": _ant,
    "CN-FZ-1": _coins,
}


def published() -> dict[str, dict[str, str]]:
    """The printed results that this project keeps, by id."""
    with (PACKS / "oracles.csv").open(encoding="utf-8", newline="") as rows:
        return {row["id"]: row for row in csv.DictReader(rows)}


def agree(found: str, row: dict[str, str], key: str) -> bool:
    """Whether a result is the printed one within its tolerance."""
    if "/" in row[key]:
        return found == row[key]
    wanted, tolerance = Fraction(row[key]), Fraction(row["tolerance_pct"]) / 100
    return abs(Fraction(found) - wanted) <= wanted * tolerance


@pytest.mark.parametrize("name", WORKED)
def test_a_printed_result_is_reproduced(name: str) -> None:
    row = published()[name]
    found = WORKED[name]()
    assert agree(found, row, "published"), f"{found}, printed: {row['published']} {row['unit']}"


def test_every_kept_row_is_worked() -> None:
    assert list(published()) == list(WORKED)
    assert {row["pack"] for row in published().values()} - {""} == set(SCHEMES)


def test_the_kept_rows_are_those_of_the_reference_file(shared_folder: Path) -> None:
    file = shared_folder / "data/published_oracles.csv"
    if not file.is_file():
        pytest.skip("the file of published results is not there")
    with file.open(encoding="utf-8", newline="") as rows:
        theirs = {row["id"]: row for row in csv.DictReader(rows) if row["kind"] in COUNTED}
    assert set(theirs) == set(WORKED)
    for name, row in theirs.items():
        assert agree(WORKED[name](), row, "published_result"), name
        assert (row["unit"], Fraction(row["tolerance_pct"])) == (
            published()[name]["unit"],
            Fraction(published()[name]["tolerance_pct"]),
        )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_pack_is_a_sound_rulebook(scheme: str) -> None:
    with whole(scheme) as folder:
        report = check_rulebook(folder)
    assert report.ok, report.problems
    assert report.warnings == ()


def test_a_better_evidence_is_worth_more_and_both_are_of_one_family() -> None:
    worth = {
        (mode, kind): act("hubei", "2022-02-17", f"hubei-{mode}", "1", kind).avoided_mg // 1000
        for mode in ("bus", "metro")
        for kind in ("check-in", "ticket-screenshot")
    }
    assert list(worth.values()) == [52, 105, 137, 274]
    assert {rule.family for rule in pack("hubei").behaviours.values()} == {"transit-ride"}


def test_points_of_luzhou_do_not_follow_from_its_grams() -> None:
    acts = [("luzhou-steps", "500"), ("luzhou-bus", "1"), ("luzhou-clean-plate", "1")]
    results = [act("luzhou", "2024-10-10", name, quantity) for name, quantity in acts]
    assert [(grams(one), one.points) for one in results] == [("8.2", 1), ("80", 10), ("144", 5)]


def test_a_tier_of_korea_doubles_at_ten_per_cent_and_begins_at_five() -> None:
    points = [
        korea("tier-card", pct, "2016-06-30", utility="gas").points for pct in ("4.999", "5", "9.999", "10")
    ]
    assert points == [0, 3000, 3000, 6000]
