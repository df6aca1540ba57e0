"""A trace in words: complete, cited, worked out from the trace alone, and honest when the two differ."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from engine.core.dimensions import CARBON, UnknownUnit, dimension
from engine.core.quantify import Assessment, assess, describe, recount
from engine.core.rules import RuleBook
from engine.core.telling import digits

ON = date(2026, 11, 22)


def bus_ride(rules: RuleBook) -> Assessment:
    """A ride of known length in Beijing."""
    return assess(rules, "bus", Decimal(1), "ride", ON, {"distance_km": 10}, "CN-BJ")


def test_the_words_of_a_ride(shipped: RuleBook) -> None:
    told = "\n".join(describe(bus_ride(shipped).trace, shipped))
    for words in (
        "Bus, 1 ride on 2026-11-22 in CN-BJ (distance_km 10), by the rulebook now in force",
        "80 g (documented, from 2016-01-01 [guide-freep]) for the activity",
        "distance_km was reported: 10 pkm",
        "baseline: 1 km/pkm (assumed, from 2016-01-01 [saxaul-notes]) × car 598/2200 kgCO2e/km",
        "of CN-BJ 2019, not of 2026: 7 years earlier = 271.818181… g for each pkm",
        "project: bus 598/8800 kgCO2e/pkm",
        "baseline minus project: 203.863636… g for each pkm",
        "a share of 0.25 (assumed",
        "509,659.090909… mg, rounded down: result 509,659 mg CO2e, give or take 40 %",
        "[guide-freep] List of Ant Forest energy by behaviour (user guide). freep.cn, undated. http",
    ):
        assert words in told


def test_the_place_of_a_factor_is_told(shipped: RuleBook) -> None:
    def told(province: str | None) -> str:
        trace = assess(shipped, "bike-sharing", Decimal(2), "km", ON, {}, province).trace
        return "\n".join(describe(trace, shipped))

    assert "of CN 2022, the country's: none for CN-GS, not of 2026" in told("CN-GS")
    assert "of CN 2022, the stated fallback: none for FR-75, not of 2026" in told("FR-75")
    assert "of CN 2022, the stated fallback: none for an unknown province" in told(None)
    assert "of CN 2022, not of 2026" in told("CN")


def test_every_reference_of_every_behaviour_is_told_once(shipped: RuleBook) -> None:
    acts = {
        "walking": "500",
        "bus": "1",
        "metro": "1",
        "bike-sharing": "8",
        "utility-bill-online": "1",
        "e-invoice": "1",
    }
    for behaviour, quantity in acts.items():
        trace = assess(
            shipped, behaviour, Decimal(quantity), shipped.behaviours[behaviour].unit, ON, {}, None
        ).trace
        cited = set(_references(trace))
        lines = [line for line in describe(trace, shipped) if line.startswith("[")]
        assert sorted(line.split("]")[0][1:] for line in lines) == sorted(cited)
        assert cited <= set(shipped.references)


def _references(tree: object) -> list[str]:
    if isinstance(tree, dict):
        own = list(tree.get("references", []))
        return own + [name for inner in tree.values() for name in _references(inner)]
    if isinstance(tree, list):
        return [name for inner in tree for name in _references(inner)]
    return []


def test_an_old_trace_is_told_under_a_rulebook_that_forgot_it(shipped: RuleBook) -> None:
    trace = json.loads(json.dumps(bus_ride(shipped).trace))
    empty = replace(shipped, hash="0" * 64, behaviours={}, factors={}, references={}, memo={})
    told = describe(trace, empty)
    assert told[0].startswith("bus, 1 ride on 2026-11-22")
    assert "an earlier rulebook" in told[0]
    now = describe(trace, shipped)
    assert [line for line in told[1:] if not line.startswith("[")] == [
        line for line in now[1:] if not line.startswith("[")
    ]
    assert "[guide-freep] a reference of an earlier rulebook." in told


def test_a_trace_of_before_evidence_and_years_is_still_told(shipped: RuleBook) -> None:
    trace = json.loads(json.dumps(bus_ride(shipped).trace)) | {"v": 1}
    del trace["evidence"]
    for line in (*trace["avoided"]["baseline"], *trace["avoided"]["project"]):
        del line["years_off"]
    assert recount(trace) == (80, 509_659)
    told = "\n".join(describe(trace, shipped))
    assert "Evidence" not in told
    assert "of CN-BJ 2019, not of 2026: 7 years earlier" in told
    assert "does not agree" not in told


@pytest.mark.parametrize("change", [("energy", "g"), ("avoided", "mg")])
def test_a_result_that_does_not_follow_from_its_trace_is_told(
    shipped: RuleBook, change: tuple[str, str]
) -> None:
    trace = copy.deepcopy(bus_ride(shipped).trace)
    assert not any("does not agree" in line for line in describe(trace, shipped))
    trace[change[0]][change[1]] += 1
    assert "This does not agree with the result that the trace states." in describe(trace, shipped)


def test_a_trace_is_small_and_plain_json(shipped: RuleBook) -> None:
    for trace in (
        bus_ride(shipped).trace,
        assess(shipped, "walking", Decimal(9), "step", ON, {}, None).trace,
    ):
        text = json.dumps(trace, ensure_ascii=False)
        assert json.loads(text) == trace
        assert len(text.encode()) < 2_000
        assert trace["rules"] == shipped.hash


def test_one_assessment_does_not_leak_into_the_next(shipped: RuleBook) -> None:
    first = assess(shipped, "walking", Decimal(10_000), "step", ON, {}, None).trace
    kept = copy.deepcopy(first)
    assess(shipped, "walking", Decimal(1), "step", ON, {}, None)
    assert first == kept
    assert first["energy"]["g"] == 164


def test_digits_are_cut_and_say_so() -> None:
    numbers = {
        "1/3": "0.333333…",
        "-1/2": "-0.5",
        "12345678": "12,345,678",
        "2/1000000": "0.000002",
        "1/10000000": "0…",
    }
    assert {number: digits(Fraction(number)) for number in numbers} == numbers


# --- units ------------------------------------------------------------------------------------------


def test_units_multiply_and_scale_exactly() -> None:
    milligrams = dimension("kgCO2e/t").times(dimension("g/order")).times(dimension("order"))
    assert milligrams.same_kind(CARBON)
    assert milligrams.scale == 1  # 1 kg for a tonne is 1 mg for a gram
    assert dimension("kgCO2e/km").times(dimension("m/step")).times(dimension("step")).scale == 1000
    assert dimension("m3").scale == 1
    assert dimension("1").powers == ()


@pytest.mark.parametrize(
    ("one", "other"), [("km", "pkm"), ("ride", "trip"), ("g", "gCO2e"), ("kgCO2e/km", "kgCO2e/pkm")]
)
def test_what_is_not_the_same_is_never_taken_for_it(one: str, other: str) -> None:
    assert not dimension(one).same_kind(dimension(other))


@pytest.mark.parametrize("unit", ["", "parsec", "km/", "/km", "km/1", "kg CO2e", "KM", "1/1"])
def test_unknown_units(unit: str) -> None:
    with pytest.raises(UnknownUnit):
        dimension(unit)
