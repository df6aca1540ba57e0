"""The rulebook that ships: its numbers by an independent reckoning, its promises, and real steps."""

from __future__ import annotations

import csv
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import pytest

from engine.core.errors import Rejected
from engine.core.quantify import assess, booked_alone_g, counted_at
from engine.core.rules import BehaviourInForce, RuleBook
from engine.rulebook import check_rulebook, shipped_rules

ON = date(2026, 11, 22)
# typed from the published tables, in kg CO2e, not read from the rule files
CAR, BUS, METRO = Decimal("0.16725"), Decimal("0.10385"), Decimal("0.0278")
CAR_BJ, METRO_BJ = Decimal("5.98") / 22, Decimal("1.35") / 22
PAPER, WOOD, PP, FILM = (
    Decimal("1.3450779"),
    Decimal("0.26950416"),
    Decimal("2.57757172"),
    Decimal("2.91650513"),
)
CLOTHES = Decimal("0.49678228") + Decimal("0.04") * Decimal("22.31") - Decimal("0.15225")
DONE = {"completed_at": "2026-11-22T04:30:00Z"}
WEIGHED = {"weighed_at": "2026-11-22T04:30:00Z"}


def mg(kilograms: Decimal) -> int:
    """Kilograms as whole milligrams, rounded down."""
    return int((kilograms * 1_000_000).to_integral_value(ROUND_FLOOR))


# behaviour, quantity, unit, attributes, province, energy in g, avoided in kg
RECKONED = [
    ("walking", "12345", "step", {}, None, 202, Decimal("12.345") * Decimal("0.719") * Decimal("0.14") * CAR),
    ("walking", "7", "step", {}, "CN-BJ", 0, Decimal("0.007") * Decimal("0.719") * Decimal("0.14") * CAR_BJ),
    ("bus", "1", "ride", {}, None, 80, 6 * (CAR - BUS) / 4),
    ("bus", "1", "ride", {"distance_km": "11.375"}, "CN-SH", 80, Decimal("11.375") * (CAR - BUS) / 4),
    ("bus", "1", "ride", {"distance_km": 4}, "CN-BJ", 80, 4 * (CAR_BJ - CAR_BJ / 4) / 4),
    ("metro", "1", "ride", {}, None, 52, 10 * (CAR - METRO) / 4),
    ("metro", "1", "ride", {"distance_km": 7.5}, "CN-BJ", 52, Decimal("7.5") * (CAR_BJ - METRO_BJ) / 4),
    ("bike-sharing", "2.345", "km", {}, None, 117, Decimal("2.345") * Decimal("0.05")),
    ("bike-sharing", "30", "km", {}, "CN-GS", 159, 30 * Decimal("0.05")),
    ("utility-bill-online", "1", "payment", {}, None, 262, 5 * CAR / 10),
    ("e-invoice", "1", "invoice", {}, None, 5, Decimal("0.0024864") * PAPER),
    ("delivery-without-cutlery", "1", "order", DONE, None, 16, (5 * WOOD + 5 * PP + 3 * PAPER + FILM) / 1000),
    ("clothes-recycling", "3.217", "kg", WEIGHED, None, 790, Decimal("3.217") * CLOTHES),
]  # fmt: skip


@pytest.mark.parametrize("row", RECKONED, ids=lambda row: f"{row[0]} {row[1]} {row[4]}")
def test_each_behaviour_against_an_independent_reckoning(
    shipped: RuleBook, row: tuple[str, str, str, dict[str, object], str | None, int, Decimal]
) -> None:
    behaviour, quantity, unit, attributes, province, energy_g, kilograms = row
    result = assess(shipped, behaviour, Decimal(quantity), unit, ON, attributes, province)
    assert (result.energy_g, result.avoided_mg) == (energy_g, mg(kilograms))


def test_the_first_eight_are_reckoned_above(shipped: RuleBook) -> None:
    assert {row[0] for row in RECKONED} == set(CAPS)
    assert set(CAPS) <= set(shipped.behaviours)


def in_force(rules: RuleBook, behaviour: str) -> BehaviourInForce:
    """What counts for the behaviour now."""
    found = rules.behaviours[behaviour].on(ON)
    assert found is not None
    return found


CAPS = {
    "walking": {"day_g": 296},
    "bus": {"day_count": 5},
    "metro": {"day_count": 5},
    "bike-sharing": {"event_g": 159, "day_count": 5},
    "utility-bill-online": {"month_count": 10},
    "e-invoice": {"day_count": 5},
    "delivery-without-cutlery": {"day_count": 3},
    "clothes-recycling": {"month_count": 1},
}
RIPENING = {
    "walking": ("morning", "at"),
    "e-invoice": ("morning", "at"),
    "delivery-without-cutlery": ("after", "completed_at"),
    "clothes-recycling": ("after", "weighed_at"),
}


def test_caps_ripening_and_what_others_see(shipped: RuleBook) -> None:
    for behaviour in CAPS:
        rule, now = shipped.behaviours[behaviour], in_force(shipped, behaviour)
        caps = {
            name: getattr(now.caps, name)
            for name in ("event_g", "day_g", "month_g", "day_count", "month_count")
        }
        assert {name: cap for name, cap in caps.items() if cap is not None} == CAPS[behaviour]
        assert (now.ball.ripens, now.ball.counts_from) == RIPENING.get(behaviour, ("after", "at"))
        assert (now.ball.ripen_delay_h, now.ball.life_h, now.ball.floor_pct) == (24, 72, 50)
        assert (now.ball.head_start_s, now.ball.late_limit_d) == (60, 30)
        assert (now.ball.morning_from_min, now.ball.morning_window_min) == (7 * 60, 30)
        assert 0 < now.ball.share_min_pct <= now.ball.share_max_pct <= now.ball.floor_pct
        assert rule.running_total == (behaviour == "walking")
        hidden = behaviour in ("utility-bill-online", "e-invoice")  # finance and tax
        assert rule.others_see == ("grams" if hidden else "category")


def test_species_and_programmes(shipped: RuleBook) -> None:
    prices = {name: species.energy_g(ON) for name, species in shipped.species.items()}
    known = {"saxaul": 17_900, "caragana": 16_930, "tamarix": 22_400, "salix-psammophila": 19_680}
    assert known.items() <= prices.items()
    assert (prices["scots-pine"], prices["euphrates-poplar"]) == (146_210, 215_680)
    assert len(prices) >= 10
    documented = {
        name
        for name, species in shipped.species.items()
        if all(value is not None and value.confidence == "documented" for value in species.energy.items)
    }
    assert documented == {"saxaul", "caragana", "tamarix"}
    assert shipped.species["saxaul"].names["zh"] == "梭梭"
    assert documented <= {programme.species for programme in shipped.programmes.values()} <= set(prices)
    for programme in shipped.programmes.values():
        assert programme.energy_g(ON) == prices[programme.species]
        assert (programme.unit_price_minor(ON) or 0) > 0
        assert (programme.order_min_trees(ON) or 0) > 0
        assert (programme.wait_max_d(ON) or 0) > 0
        assert programme.next_season(ON).opens_on > ON
    assert {programme.granularity for programme in shipped.programmes.values()} == {"individual", "pooled"}


def test_the_report_of_the_shipped_rulebook() -> None:
    report = check_rulebook()
    assert report.ok, report.problems
    assert report.warnings == ()
    assert report.hash is not None
    assert len(report.hash) == 64
    assert report.behaviours == 34
    assert report.factors >= 30
    assert report.examples >= 130
    assert all(report.values[confidence] > 0 for confidence in ("documented", "derived", "assumed"))


def test_no_rule_names_a_place_of_our_own_machines() -> None:
    for file in shipped_rules().rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        assert "/work" not in text
        assert "shared/" not in text


def test_walking_is_exact_at_each_step_around_a_gram(shipped: RuleBook) -> None:
    for grams in (1, 2, 100, 295, 296, 297):
        first = -(-grams * 18040 // 296)  # the fewest steps that are worth so many grams
        assert [_walk(shipped, steps) for steps in (first - 1, first)] == [grams - 1, grams]
    assert booked_alone_g(in_force(shipped, "walking"), _walk(shipped, 100_000)) == 296


def _walk(rules: RuleBook, steps: int) -> int:
    return assess(rules, "walking", Decimal(steps), "step", ON, {}, None).energy_g


def test_real_steps_of_thirty_three_people(shipped: RuleBook, shared_folder: Path) -> None:
    file = shared_folder / "data/real/fitbit_dailyActivity_merged_2016-04-12_05-12.csv"
    if not file.is_file():
        pytest.skip("the step file is not there")
    rule = shipped.behaviours["walking"]
    balls: list[int] = []
    with file.open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            on = datetime.strptime(row["ActivityDate"] + " +0000", "%m/%d/%Y %z").date()
            result = assess(shipped, "walking", Decimal(row["TotalSteps"]), "step", on, {}, None)
            now = rule.on(on)
            assert now is not None
            balls.append(booked_alone_g(now, result.energy_g))
    assert len(balls) == 940
    assert (sum(balls), sum(1 for grams in balls if grams)) == (115_681, 854)


REFUSED: list[tuple[str, str, str, dict[str, object], str]] = [
    ("flying", "1", "km", {}, "unknown_behaviour"),
    ("walking", "1", "km", {}, "wrong_unit"),
    ("walking", "-1", "step", {}, "quantity_out_of_range"),
    ("walking", "400000", "step", {}, "quantity_out_of_range"),
    ("walking", "0.5", "step", {}, "quantity_out_of_range"),
    ("walking", "NaN", "step", {}, "quantity_out_of_range"),
    ("walking", "sNaN", "step", {}, "quantity_out_of_range"),
    ("walking", "Infinity", "step", {}, "quantity_out_of_range"),
    ("walking", "-Infinity", "step", {}, "quantity_out_of_range"),
    ("walking", "1E+999999", "step", {}, "quantity_out_of_range"),
    ("bike-sharing", "1E-999999", "km", {}, "quantity_out_of_range"),
    ("bike-sharing", "1.0001", "km", {}, "quantity_out_of_range"),
    ("bus", "2", "ride", {}, "quantity_out_of_range"),
    ("bus", "1", "ride", {"distance_km": "far"}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": "NaN"}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": -3}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": 1e300}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": float("nan")}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": True}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": ["3"]}, "bad_attribute"),
    ("bus", "1", "ride", {"distance_km": "9" * 1000}, "bad_attribute"),
    ("bus", "1", "ride", {"name": "Ms Wu"}, "bad_attribute"),
    ("clothes-recycling", "2", "kg", {}, "missing_attribute"),
    ("clothes-recycling", "2", "kg", {"weighed_at": None}, "missing_attribute"),
    ("clothes-recycling", "2", "kg", {"weighed_at": "2026-11-22 04:30"}, "bad_attribute"),
    ("clothes-recycling", "2", "kg", {"weighed_at": True}, "bad_attribute"),
    ("clothes-recycling", "2", "kg", {"weighed_at": 1_700_000_000_000}, "bad_attribute"),
    (
        "clothes-recycling",
        "2",
        "kg",
        {"weighed_at": "2026-11-22T09:15:00Z" + " " * 999},
        "bad_attribute",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row[0]} {row[1][:12]} {str(row[3])[:30]}")
def test_what_makes_no_sense_is_refused(
    shipped: RuleBook, row: tuple[str, str, str, dict[str, object], str]
) -> None:
    behaviour, quantity, unit, attributes, code = row
    with pytest.raises(Rejected) as refused:
        assess(shipped, behaviour, Decimal(quantity), unit, ON, attributes, None)
    assert refused.value.code == code
    assert len(str(refused.value)) < 500, "a refusal must not carry back what was sent without bound"


def test_a_whole_number_may_be_written_with_zeros(shipped: RuleBook) -> None:
    plain = assess(shipped, "walking", Decimal(1000), "step", ON, {}, None)
    for written in ("1000.000", "1E+3", "0001000"):
        assert assess(shipped, "walking", Decimal(written), "step", ON, {}, None).trace == plain.trace


def test_ripening_counts_from_the_instant_that_the_rule_names(shipped: RuleBook) -> None:
    at = 1_700_000_000_000
    attributes: dict[str, object] = {"completed_at": "2023-11-15T06:43:20+08:00"}
    assert counted_at(in_force(shipped, "bus"), at, {}) == at
    assert counted_at(in_force(shipped, "delivery-without-cutlery"), at, attributes) == at + 30 * 60_000
    with pytest.raises(Rejected, match="missing_attribute"):
        counted_at(in_force(shipped, "delivery-without-cutlery"), at, {})
