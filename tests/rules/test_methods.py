"""The methods: exact against fractions, never negative, monotone; printed constants through the format."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.formulas import NoAmount, Ratio
from engine.core.quantify import assess, plain, recount
from engine.core.rules import Behaviour, BehaviourInForce, RuleBook
from engine.core.values import Dated, Value
from tests.rules.pack import SAVING, Pack

ON = date(2026, 11, 22)
FROM = date(2016, 1, 1)
QUANTITIES = st.decimals(min_value=0, max_value=10_000, allow_nan=False, places=3)
RATIOS = st.fractions(min_value=0, max_value=1000, max_denominator=100_000)


def with_ratio(shipped: RuleBook, ratio: Fraction, cap: int | None = None) -> RuleBook:
    """The shipped rulebook with a behaviour `any`: so many grams for a kilometre, at most `cap`."""
    bike = shipped.behaviours["bike-sharing"]
    now = bike.on(ON)
    assert now is not None
    text = f"{ratio.numerator}/{ratio.denominator}"
    value = Value(ratio, text, "g/km", FROM, "documented", ("scheme",), "")
    values = (
        {}
        if cap is None
        else {"event_g": Value(Fraction(cap), str(cap), "g", FROM, "documented", ("scheme",), "")}
    )
    rule: BehaviourInForce = replace(
        now,
        quantity_min=Decimal(0),
        quantity_max=Decimal(10_000),
        energy=Ratio("factor_times_quantity", value),
        caps=replace(now.caps, event_g=cap),
        cap_values=values,
    )
    behaviour: Behaviour = replace(bike, id="any", history=Dated((FROM,), (rule,)))
    return replace(shipped, behaviours={"any": behaviour}, memo={})


def grams(rules: RuleBook, quantity: Decimal) -> int:
    """The energy of so many kilometres."""
    return assess(rules, "any", quantity, "km", ON, {}, None).energy_g


@given(ratio=RATIOS, quantity=QUANTITIES)
def test_a_ratio_is_exact_and_rounds_down_once(shipped: RuleBook, ratio: Fraction, quantity: Decimal) -> None:
    exact = Fraction(quantity) * ratio
    found = grams(with_ratio(shipped, ratio), quantity)
    assert found <= exact < found + 1
    assert found >= 0


@given(ratio=RATIOS, one=QUANTITIES, other=QUANTITIES)
def test_more_is_never_worth_less(shipped: RuleBook, ratio: Fraction, one: Decimal, other: Decimal) -> None:
    rules = with_ratio(shipped, ratio)
    low, high = sorted((one, other))
    assert grams(rules, low) <= grams(rules, high)


@given(ratio=RATIOS, quantity=QUANTITIES, cap=st.integers(min_value=1, max_value=1000))
def test_a_cap_of_one_activity_cuts_and_does_nothing_else(
    shipped: RuleBook, ratio: Fraction, quantity: Decimal, cap: int
) -> None:
    free, capped = with_ratio(shipped, ratio), with_ratio(shipped, ratio, cap)
    assert grams(capped, quantity) == min(cap, grams(free, quantity))


ACTS = st.one_of(
    st.tuples(st.just("walking"), st.just("step"), st.integers(0, 100_000).map(Decimal)),
    st.tuples(st.just("bike-sharing"), st.just("km"), st.decimals("0.1", "100", places=3)),
    st.tuples(st.sampled_from(["bus", "metro"]), st.just("ride"), st.just(Decimal(1))),
    st.tuples(st.just("clothes-recycling"), st.just("kg"), st.decimals("0.5", "100", places=3)),
    st.tuples(st.just("delivery-without-cutlery"), st.just("order"), st.just(Decimal(1))),
    st.tuples(st.just("e-invoice"), st.just("invoice"), st.just(Decimal(1))),
    st.tuples(st.just("utility-bill-online"), st.just("payment"), st.just(Decimal(1))),
)
THEN = "2026-11-22T09:15:00Z"
INSTANTS = {"clothes-recycling": {"weighed_at": THEN}, "delivery-without-cutlery": {"completed_at": THEN}}
DISTANCES = st.none() | st.decimals("0.1", "150", places=3)


@given(act=ACTS, distance=DISTANCES, province=st.sampled_from([None, "CN-BJ", "CN-GS", "CN", "GB-ENG", "??"]))
def test_every_trace_tells_what_was_booked(
    shipped: RuleBook, act: tuple[str, str, Decimal], distance: Decimal | None, province: str | None
) -> None:
    behaviour, unit, quantity = act
    attributes: dict[str, object] = dict(INSTANTS.get(behaviour, {}))
    if behaviour in ("bus", "metro") and distance is not None:
        attributes["distance_km"] = distance
    result = assess(shipped, behaviour, quantity, unit, ON, attributes, province)
    assert result.energy_g >= 0
    assert result.avoided_mg >= 0
    assert recount(result.trace) == (result.energy_g, result.avoided_mg)


@given(
    number=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9)
)
def test_plain_digits_say_the_same_number(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))


def test_a_float_of_decoded_json_is_taken_as_it_was_written(shipped: RuleBook) -> None:
    by_text = assess(shipped, "bus", Decimal(1), "ride", ON, {"distance_km": "7.2"}, None)
    by_float = assess(shipped, "bus", Decimal(1), "ride", ON, {"distance_km": 7.2}, None)
    assert by_float.trace == by_text.trace
    assert by_text.avoided_mg == 114_120  # 7.2 km × 63.4 g/km × 0.25


def test_what_a_single_act_is_worth_is_nobodys_to_change(shipped: RuleBook) -> None:
    first = assess(shipped, "bus", Decimal(1), "ride", ON, {}, "CN-BJ")
    kept = dict(first.trace)
    first.trace["granted"] = {"energy_g": 0}
    again = assess(shipped, "bus", Decimal("1.0"), "ride", ON, {}, "CN-BJ")
    assert (again.trace, again.energy_g, again.avoided_mg) == (kept, first.energy_g, first.avoided_mg)
    with pytest.raises(Rejected, match="quantity_out_of_range"):
        assess(shipped, "bus", Decimal("1.0000000000000"), "ride", ON, {}, "CN-BJ")


def test_a_project_that_emits_more_than_the_baseline_avoids_nothing(pack: Pack) -> None:
    pack.edit(
        SAVING,
        "  method: factor_times_quantity\n  extent: {unit: kWh}\n  factor: {factor: grid}",
        "  method: baseline_minus_project\n  extent: {unit: kWh}\n"
        "  baseline: [{factor: grid}]\n  project: [{factor: grid}, {factor: grid}]",
    ).edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 0")
    result = assess(pack.load(), "saving", Decimal(3), "kWh", date(2020, 1, 1), {}, None)
    assert (result.avoided_mg, recount(result.trace)) == (0, (1, 0))


def test_points_only_avoid_nothing_and_say_so(pack: Pack) -> None:
    text = (pack.folder / SAVING).read_text(encoding="utf-8")
    start, end = text.index("avoided:"), text.index("caps:")
    pack.add(SAVING, text[:start] + "avoided: {method: none, reason: A quiz avoids nothing.}\n" + text[end:])
    pack.edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 0")
    result = assess(pack.load(), "saving", Decimal(3), "kWh", date(2020, 1, 1), {}, None)
    assert result.trace["avoided"] == {"method": "none", "reason": "A quiz avoids nothing.", "mg": 0}
    now = pack.load().behaviours["saving"].on(ON)
    assert now is not None
    assert now.avoided == NoAmount("none", "A quiz avoids nothing.")
    assert now.uncertainty is None


# --- constants that schemes printed themselves, through the rule format -----------------------------

STEPS = """\
energy:
  method: step_table
  tables:
    2020-01-01:
      confidence: documented
      references: [scheme]
      steps:
        - {from_quantity: 5, grams: 8750}
        - {from_quantity: 10, grams: 17500}
"""


@pytest.mark.parametrize(
    ("kwh", "grams_told"),
    [("0", 0), ("4.999", 0), ("5", 8750), ("9.999", 8750), ("10", 17500), ("999", 17500)],
)
def test_the_korean_tier_card_of_2016(pack: Pack, kwh: str, grams_told: int) -> None:
    """5 to under 10 per cent saved: (5000 + 750 + 3000) points; from 10 per cent on twice that."""
    text = (pack.folder / SAVING).read_text(encoding="utf-8")
    start, end = text.index("energy:"), text.index("avoided:")
    text = text[:start] + STEPS + text[end:]
    pack.add(
        SAVING,
        text[: text.index("caps:")] + text[text.index("ball:") :].replace("energy_g: 1,", "energy_g: 0,"),
    )
    result = assess(pack.load(), "saving", Decimal(kwh), "kWh", ON, {}, None)
    assert result.energy_g == recount(result.trace)[0] == grams_told


def test_steps_must_rise(pack: Pack) -> None:
    text = (pack.folder / SAVING).read_text(encoding="utf-8")
    start, end = text.index("energy:"), text.index("avoided:")
    pack.add(SAVING, text[:start] + STEPS.replace("quantity: 10", "quantity: 4") + text[end:])
    problems = pack.problems()
    assert len(problems) == 1
    assert problems[0].startswith(f"{SAVING}:21:energy.tables.2020-01-01.steps: steps out of order")


@pytest.mark.parametrize(
    ("grams_each", "times", "milligrams"),
    [
        ("8.2/500", "500", 8_200),  # Luzhou: 500 steps
        ("80", "1", 80_000),  # Luzhou: a bus ride
        ("144", "1", 144_000),  # Luzhou: a clean plate
        ("460", "1", 460_000),  # Shanxi: a kilowatt-hour charged
        ("45.72", "1", 45_720),  # Shanxi: an order without cutlery
        ("137", "1", 137_000),  # Hubei: a metro ride, self check-in
    ],
)
def test_printed_constants_are_reproduced_to_the_milligram(
    pack: Pack, grams_each: str, times: str, milligrams: int
) -> None:
    above, _, below = grams_each.partition("/")
    figure = f"{Fraction(above) / 1000 / (Fraction(below) if below else 1)}"
    pack.edit(
        "factors/grid.yaml", "from: 2020-01-01\n    value: 0.5568", f"from: 2020-01-01\n    value: {figure}"
    )
    pack.edit(SAVING, "avoided_mg: 1670400", f"avoided_mg: {int(3 * Fraction(figure) * 1_000_000)}")
    result = assess(pack.load(), "saving", Decimal(times), "kWh", date(2021, 6, 1), {}, None)
    assert result.avoided_mg == milligrams
