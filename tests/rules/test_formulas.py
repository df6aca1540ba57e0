"""Every method of avoided emissions, energy and points through files: what it gives, and that its trace tells it."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from engine.core.errors import Rejected
from engine.core.quantify import Assessment, describe, recount
from engine.core.rules import RuleBook
from engine.core.telling import recount_points
from tests.rules.pack import Pack
from tests.rules.shapes import SURE, act, factor, put

CLASS = """
attributes:
  engine:
    kind: choice
    required: true
    description: The engine's class.
    choices:
      small: {zh: 小, en: small}
      large: {zh: 大, en: large}
"""
LEGS = """
attributes:
  legs:
    kind: legs
    required: true
    unit: pkm
    decimals: 3
    most: 4
    description: The legs of the trip.
    min: {{0.1}}
    max: {{500}}
    choices:
      metro: {zh: 地铁, en: metro}
      ferry: {zh: 轮渡, en: ferry}
"""
PAST = """
attributes:
  past:
    kind: numbers
    required: true
    unit: kWh
    decimals: 1
    most: 3
    description: The same months of the years before.
    max: {{5000}}
measures:
  saved: {method: below_own_mean, of: past, gives: amount, least_pct: {{5}}}
  saved_pct: {method: below_own_mean, of: past, gives: per_cent}
"""


def told(rules: RuleBook, result: Assessment) -> str:
    """The result in words, after its trace has been stored, read again and worked out again."""
    trace = json.loads(json.dumps(result.trace))
    assert recount(trace) == (result.energy_g, result.avoided_mg)
    if result.points is not None:
        assert recount_points(trace) == (result.points, result.money_minor)
    words = "\n".join(describe(trace, rules))
    assert "does not agree" not in words
    return words


# --- picked by a choice or by the evidence ----------------------------------------------------------


def test_a_choice_picks_grams_factors_and_amounts(pack: Pack) -> None:
    factor(factor(pack, "petrol", "kgCO2e/km", "0.2"), "diesel", "kgCO2e/km", "0.3")
    put(
        pack,
        "stopped",
        unit="day",
        energy="""
            method: factor_times_quantity
            grams_per_unit: {by: engine, of: {small: {{500}}, large: {{2400}}}}
        """,
        avoided=f"""
            method: factor_times_quantity
            extent: {{unit: day}}
            factor:
              factor: {{by: engine, of: {{small: petrol, large: diesel}}}}
              amount: {{unit: km/day, values: {{by: engine, of: {{small: {{{{30}}}}, large: {{{{40}}}}}}}}}}
            {SURE}
        """,
        more=CLASS,
    )
    rules = pack.load()
    small, large = (act(rules, "stopped", "2", engine=engine) for engine in ("small", "large"))
    assert (small.energy_g, small.avoided_mg) == (1000, 2 * 30 * 200_000)
    assert (large.energy_g, large.avoided_mg) == (4800, 2 * 40 * 300_000)
    words = told(rules, large)
    assert "2400 g/day (documented, from 2020-01-01, for engine large [scheme])" in words
    assert "diesel 0.3 kgCO2e/km" in words
    assert "(chosen by engine large)" in words
    with pytest.raises(Rejected, match="unknown_choice"):
        act(rules, "stopped", "2", engine="huge")
    with pytest.raises(Rejected, match="missing_attribute"):
        act(rules, "stopped", "2")


def test_a_choice_that_is_not_sent_takes_its_default_and_the_trace_says_so(pack: Pack) -> None:
    more = CLASS.replace("required: true", "required: false\n    default: small")
    energy = "method: constant_per_event\ngrams: {by: engine, of: {small: {{5}}, large: {{7}}}}"
    rules = put(pack, "stopped", energy=energy, more=more).load()
    result = act(rules, "stopped")
    assert result.energy_g == 5
    assert result.trace["attributes"] == {"engine": "small"}
    assert act(rules, "stopped", engine="large").energy_g == 7


@pytest.mark.parametrize("by", ["evidence", "grade"])
def test_the_evidence_picks(pack: Pack, by: str) -> None:
    keys = ("ticket", "check-in") if by == "evidence" else ("B", "D")
    put(
        pack,
        "ride",
        unit="ride",
        energy=f"method: constant_per_event\ngrams: {{by: {by}, of: {{{keys[0]}: {{{{10}}}}, {keys[1]}: {{{{4}}}}}}}}",
        avoided=f"""
            method: constant_per_event
            grams: {{by: {by}, of: {{{keys[0]}: {{{{105}}}}, {keys[1]}: {{{{52}}}}}}}}
            {SURE}
        """,
        evidence="- {kind: ticket, grade: B, what: Screenshot}\n- {kind: check-in, grade: D, what: Own word}",
    )
    rules = pack.load()
    worth = {kind: act(rules, "ride", evidence=kind) for kind in (None, "ticket", "check-in")}
    assert [one.avoided_mg for one in worth.values()] == [105_000, 105_000, 52_000]
    assert [one.energy_g for one in worth.values()] == [10, 10, 4]
    assert worth["check-in"].trace["evidence"] == {"kind": "check-in", "grade": "D"}
    assert "Evidence: check-in, grade D." in told(rules, worth["check-in"])
    with pytest.raises(Rejected) as refused:
        act(rules, "ride", evidence="hearsay")
    assert (refused.value.code, refused.value.fields["known"]) == ("unknown_evidence", ["ticket", "check-in"])


# --- methods of avoided emissions -------------------------------------------------------------------


def test_a_mode_mix_weighs_what_is_replaced(pack: Pack) -> None:
    factor(
        factor(factor(pack, "car", "kgCO2e/km", "0.2"), "bus", "kgCO2e/pkm", "0.1"), "van", "gCO2e/km", "9"
    )
    put(
        pack,
        "bike",
        unit="km",
        avoided=f"""
            method: mode_mix
            extent: {{unit: pkm, per_unit: {{{{pkm/km 1}}}}}}
            mix:
              2020-01-01:
                confidence: documented
                references: [scheme]
                shares: {{car: 0.1, bus: 0.35, walk: 0.55}}
            modes:
              car: {{factor: car, amount: {{{{km/pkm 1}}}}}}
              bus: {{factor: bus}}
              walk: {{}}
            project:
              - {{factor: van, amount: {{{{km/pkm 1}}}}}}
            {SURE}
        """,
    )
    rules = pack.load()
    result = act(rules, "bike", "3.5")
    assert result.avoided_mg == Fraction("3.5") * (20_000 + 35_000 - 9_000)
    words = told(rules, result)
    assert "mode_mix: the modes that the act replaces" in words
    assert "baseline: walk: a share of 0.55" in words
    assert "nothing emitted within the boundary" in words


def test_a_stock_saves_for_years_that_are_credited_once(pack: Pack) -> None:
    grades = CLASS.replace("engine", "grade_of").replace("small", "one").replace("large", "five")
    put(
        pack,
        "cooler",
        unit="appliance",
        avoided=f"""
            method: annualised_stock
            extent: {{unit: appliance}}
            baseline:
              - {{factor: grid, amount: {{{{kWh/appliance/year 800}}}}}}
            project:
              - factor: grid
                amount:
                  unit: kWh/appliance/year
                  values: {{by: grade_of, of: {{one: {{{{500}}}}, five: {{{{800}}}}}}}}
            years: {{{{7.5}}}}
            {SURE}
        """,
        more=grades,
    )
    rules = pack.load()
    result = act(rules, "cooler", "1", grade_of="one")
    assert result.avoided_mg == 300 * Fraction("0.5568") * 1_000_000 * Fraction("7.5")
    assert act(rules, "cooler", "1", grade_of="five").avoided_mg == 0
    assert "credited once, for 7.5 year" in told(rules, result)


def test_legs_are_summed_each_by_its_mode(pack: Pack) -> None:
    factor(factor(pack, "car", "kgCO2e/pkm", "0.2"), "metro", "kgCO2e/pkm", "0.03")
    factor(pack, "boat", "kgCO2e/pkm", "0.25")
    put(
        pack,
        "journey",
        unit="trip",
        avoided=f"""
            method: per_leg
            extent: {{unit: pkm, attribute: legs}}
            baseline:
              - {{factor: car}}
            project:
              - {{factor: {{by: legs, of: {{metro: metro, ferry: boat}}}}}}
            share: {{{{0.5}}}}
            {SURE}
        """,
        more=LEGS,
    )
    rules = pack.load()
    result = act(rules, "journey", legs="metro:10, ferry:2.5; metro:1")
    assert result.avoided_mg == (11 * 170_000 - Fraction("2.5") * 50_000) / 2
    words = told(rules, result)
    assert "leg of 2.5 pkm by ferry: -62.5 g." in words
    assert act(rules, "journey", legs="ferry:9").avoided_mg == 0
    assert "nothing is credited" in told(rules, act(rules, "journey", legs="ferry:9"))
    for wrong in (
        "",
        "metro",
        "metro:",
        "metro:0.05",
        "plane:3",
        "metro:1e999",
        "metro:nan",
        "metro:1 " * 5,
        7,
    ):
        with pytest.raises(Rejected, match="bad_attribute"):
            act(rules, "journey", legs=wrong)


def test_time_of_use_is_legs_of_hours(pack: Pack) -> None:
    factor(factor(pack, "peak", "kgCO2e/kWh", "0.9"), "night", "kgCO2e/kWh", "0.4")
    put(
        pack,
        "charging",
        unit="charge",
        avoided=f"""
            method: per_leg
            extent: {{unit: kWh, attribute: legs}}
            baseline:
              - {{factor: peak}}
            project:
              - {{factor: {{by: legs, of: {{metro: peak, ferry: night}}}}}}
            {SURE}
        """,
        more=LEGS.replace("pkm", "kWh"),
    )
    assert act(pack.load(), "charging", legs="metro:4 ferry:6").avoided_mg == 6 * 500_000


def test_steps_also_credit_avoided_emissions(pack: Pack) -> None:
    steps = "[{from_quantity: 5, grams: 0.5}, {from_quantity: 10, grams: 2}]"
    table = f"{{confidence: documented, references: [scheme], steps: {steps}}}"
    put(pack, "tier", avoided=f"method: step_table\ntables: {{2020-01-01: {table}}}\n{SURE}")
    rules = pack.load()
    results = [act(rules, "tier", quantity) for quantity in ("4.999", "5", "9.9", "10", "1000")]
    assert [result.avoided_mg for result in results] == [0, 500, 500, 2000, 2000]
    assert "below the first step" in told(rules, results[0])
    assert "the step from 10 gives 2 gCO2e" in told(rules, results[3])


def test_a_displaced_thing_is_a_line_with_a_share(pack: Pack) -> None:
    factor(factor(pack, "new", "kgCO2e/kg", "22"), "landfill", "kgCO2e/kg", "0.5")
    put(
        pack,
        "clothes",
        unit="kg",
        avoided=f"""
            method: baseline_minus_project
            extent: {{unit: kg}}
            baseline:
              - {{factor: landfill}}
              - {{factor: new, share: {{{{0.04}}}}}}
            project: []
            {SURE}
        """,
    )
    rules = pack.load()
    result = act(rules, "clothes", "2")
    assert result.avoided_mg == 2 * (500_000 + 880_000)
    assert "a share of 0.04" in told(rules, result)


# --- a household against its own past ---------------------------------------------------------------


def test_a_household_is_measured_against_its_own_mean(pack: Pack) -> None:
    put(
        pack,
        "power",
        unit="kWh",
        energy="method: factor_times_quantity\nof: saved\ngrams_per_unit: {{10}}",
        avoided=f"""
            method: factor_times_quantity
            extent: {{unit: kWh, attribute: saved}}
            factor: {{factor: grid}}
            {SURE}
        """,
        more=PAST,
    )
    rules = pack.load()
    result = act(rules, "power", "300", past="350 342.5")
    assert result.energy_g == 462
    assert result.avoided_mg == Fraction("46.25") * Fraction("0.5568") * 1_000_000
    words = told(rules, result)
    assert "saved: 300 kWh against a mean of 346.25 (past), counted from 5 %" in words
    assert "saved was measured: 46.25 kWh" in words
    for used in ("329", "346.25", "900"):  # less than 5 % below the mean, at it, above it
        nothing = act(rules, "power", used, past="350 342.5")
        assert (nothing.energy_g, nothing.avoided_mg) == (0, 0)
        told(rules, nothing)


CITY = """
attributes:
  week: {kind: numbers, required: true, unit: kWh, decimals: 1, most: 7, description: The week before., max: {{500}}}
  persons: {kind: number, required: true, unit: person, description: Who lives there., min: {{1}}, max: {{20}}}
measures:
  saved: {method: below_norm_else_own_mean, of: week, gives: amount, norm: {{5}}, norm_times: persons}
  saved_pct: {method: below_norm_else_own_mean, of: week, gives: per_cent, norm: {{5}}, norm_times: persons}
"""


@pytest.mark.parametrize(
    ("used", "saved", "per_cent", "against"),
    [
        ("12", "3", 20, "against the norm of 15 (5 kWh/person"),  # below what three people of the city use
        ("14.9", "0.1", 0, "against the norm of 15"),
        ("15", "3", 16, "against a mean of 18 (week), not being below the norm of 15"),
        ("16.5", "1.5", 8, "against a mean of 18 (week)"),
        ("18", "0", 0, "against a mean of 18 (week)"),
        ("40", "0", 0, "against a mean of 18 (week)"),
    ],
)
def test_a_household_is_measured_against_the_city_or_else_itself(
    pack: Pack, used: str, saved: str, per_cent: int, against: str
) -> None:
    put(
        pack,
        "power",
        unit="kWh",
        decimals=1,
        energy="method: factor_times_quantity\nof: saved_pct\ngrams_per_unit: {{1}}",
        avoided=f"""
            method: factor_times_quantity
            extent: {{unit: kWh, attribute: saved}}
            factor: {{factor: grid}}
            {SURE}
        """,
        more=CITY,
    )
    rules = pack.load()
    result = act(rules, "power", used, week="17 19", persons="3")
    assert result.avoided_mg == Fraction(saved) * Fraction("0.5568") * 1_000_000
    assert result.energy_g == per_cent
    assert against in told(rules, result)


# --- energy and points ------------------------------------------------------------------------------


@pytest.mark.parametrize(("quantity", "grams"), [("0", 0), ("1", 30), ("5", 50), ("40", 100)])
def test_a_ratio_has_a_least_and_a_most(pack: Pack, quantity: str, grams: int) -> None:
    energy = "method: factor_times_quantity\ngrams_per_unit: {{10}}\nleast_g: {{30}}\nmost_g: {{100}}"
    rules = put(pack, "ride", energy=energy).load()
    result = act(rules, "ride", quantity)
    assert result.energy_g == grams
    told(rules, result)


def test_points_follow_from_the_avoided_grams_and_pay(pack: Pack) -> None:
    put(
        pack,
        "power",
        unit="kWh",
        avoided=f"method: factor_times_quantity\nextent: {{unit: kWh}}\nfactor: {{factor: grid}}\n{SURE}",
        more="""
            points:
              names: {zh: 碳积分, en: carbon points}
              formula: {method: factor_times_quantity, of: avoided_g, points_per_unit: {{1/10}}}
              money: {currency: KRW, minor_per_point: {{1.5}}}
        """,
    )
    rules = pack.load()
    result = act(rules, "power", "1.5")
    assert (result.points, result.money_minor) == (83, 124)  # 835.2 g; 83 × 1.5 = 124.5
    words = told(rules, result)
    assert "carbon points: avoided_g 835.2 × 1/10 points/g" in words
    assert "124 minor units of KRW" in words
    assert act(rules, "power", "0").points == 0


def test_one_act_may_count_several_numbers_and_reach_a_tier(pack: Pack) -> None:
    factor(factor(pack, "water", "gCO2e/m3", "332"), "driving", "gCO2e/km", "20")
    tiers = "[{from_quantity: 0, points: 1}, {from_quantity: 50000, points: 2}, {from_quantity: 100000, points: 3}]"
    put(
        pack,
        "quarter",
        unit="kWh",
        avoided=f"""
            method: baseline_minus_project
            extent: {{unit: kWh}}
            baseline:
              - {{factor: grid}}
              - {{factor: water, of: water_m3}}
              - {{factor: driving, of: driven_km, share: {{{{0.5}}}}}}
            project:
              - {{factor: driving, of: driven_km, share: {{{{0.25}}}}}}
            {SURE}
        """,
        more=f"""
            attributes:
              water_m3: {{kind: number, required: true, unit: m3, decimals: 1, description: Water saved.}}
              driven_km: {{kind: number, required: true, unit: km, decimals: 1, description: Driven on power.}}
            points:
              names: {{zh: 等级, en: tier}}
              formula:
                method: step_table
                of: avoided_g
                tables:
                  2020-01-01: {{confidence: documented, references: [scheme], steps: {tiers}}}
        """,
    )
    rules = pack.load()
    result = act(rules, "quarter", "30", water_m3=1, driven_km="4755.5")
    assert result.avoided_mg == 30 * 556_800 + 332_000 + Fraction("4755.5") * 5_000
    assert result.points == 1
    words = told(rules, result)
    assert "baseline: water_m3 1 m3 × water 332 gCO2e/m3" in words
    assert act(rules, "quarter", "90", water_m3=1, driven_km=0).points == 2
    assert act(rules, "quarter", "180", water_m3=0, driven_km=0).points == 3
    pack.edit("behaviours/reuse/quarter.yaml", "of: water_m3", "of: driven_km")
    assert any("gCO2e/m3 for the functional unit" in problem for problem in pack.problems())
