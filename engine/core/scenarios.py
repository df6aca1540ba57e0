"""Avoided emissions as a plan: scenarios multiplied out to a rate for one reported unit, once.

Knows nothing of energy; the factors are looked up in `factors`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.dimensions import dimension
from engine.core.factors import match_of
from engine.core.formulas import Constant, FactorUse, NoAmount, OneOf, Scenarios, StepTable, Term, sole_table
from engine.core.rules import BehaviourInForce, RuleBook
from engine.core.sent import Sent
from engine.core.values import Value, chosen, sole

NOWHERE = Fraction(0)
NOTHING = NOWHERE.as_integer_ratio()


@dataclass(frozen=True, slots=True)
class Place:
    """Whose figures are wanted: on a day on which they count, for an act of a year, in a region."""

    on: date
    year: int
    region: str | None


@dataclass(frozen=True, slots=True)
class AvoidedPlan:
    """milligrams = fixed + floor(extent × rate + each number of `own` × its rate), at least 0; or a step's.

    The extent is the quantity, the number called `attribute` where it is known, or each of the legs called so.
    """

    fixed: int
    rate: tuple[int, int]  # a fraction, as above and below are by themselves in every act's arithmetic
    attribute: str | None
    rate_of_attribute: tuple[int, int]
    steps_from: tuple[Fraction, ...]
    steps_mg: tuple[int, ...]
    of_legs: Mapping[str, tuple[Fraction, dict[str, Any]]] | None
    own: tuple[tuple[str, Fraction], ...]
    trace: dict[str, Any]

    def milligrams(self, quantity: Decimal, sent: Sent) -> int:
        """Whole milligrams of CO2e."""
        if self.steps_from:
            number = quantity if self.attribute is None else sent.numbers[self.attribute]
            reached = bisect_right(self.steps_from, Fraction(number))
            return self.steps_mg[reached - 1] if reached else 0
        if self.of_legs is not None and self.attribute is not None:
            legs = sent.legs[self.attribute]
            total = sum((Fraction(length) * self.of_legs[mode][0] for mode, length in legs), NOWHERE)
            return max(0, total.__floor__())
        number, rate = quantity, self.rate
        if self.attribute is not None and (told := sent.numbers.get(self.attribute)) is not None:
            number, rate = told, self.rate_of_attribute
        above, below = number.as_integer_ratio()
        if self.own:
            total = Fraction(above * rate[0], below * rate[1])
            total += sum((Fraction(sent.numbers[name]) * own for name, own in self.own), NOWHERE)
            return max(0, total.__floor__())
        milligrams = above * rate[0] // (below * rate[1])
        return self.fixed + milligrams if milligrams > 0 else self.fixed

    def trace_of(self, sent: Sent) -> dict[str, Any]:
        """The trace of one activity: of legs, only the lines of modes that it has."""
        if self.of_legs is None or self.attribute is None:
            return self.trace
        modes = sorted({mode for mode, _ in sent.legs[self.attribute]})
        return {**self.trace, "modes": {mode: self.of_legs[mode][1] for mode in modes}}


def avoided_plan(
    rules: RuleBook, unit: str, in_force: BehaviourInForce, picks: Mapping[str, str], place: Place
) -> AvoidedPlan:
    """The plan for the avoided emissions of a behaviour that is reported in `unit`."""
    formula = in_force.avoided
    if isinstance(formula, Scenarios) and formula.per_leg:
        return _legs_plan(rules, in_force, formula, picks, place)
    formula = chosen(formula, picks)
    if isinstance(formula, NoAmount):
        return _plan({"method": formula.method, "reason": formula.reason})
    uncertainty = _uncertainty(in_force, picks)
    if isinstance(formula, Constant):
        grams = sole(formula.grams)
        trace = {"method": formula.method, "grams": grams.trace(), **uncertainty}
        return _plan(trace, fixed=(grams.amount * 1000).__floor__())
    if isinstance(formula, StepTable):
        return _steps_plan(formula, uncertainty)
    trace = _extent_trace(in_force, formula)
    per_base_unit, lines = _both_sides(rules, in_force, formula, place)
    own = _own_rates(rules, in_force, formula, place)
    trace |= {**lines, **uncertainty}
    rate = per_base_unit * dimension(unit).scale * _measure(formula.per_unit)
    rate_of_attribute = NOTHING
    if formula.attribute is not None:
        of_one = per_base_unit * dimension(_unit_of(in_force, formula.attribute)).scale
        rate_of_attribute = of_one.as_integer_ratio()
    rate_of_all = rate.as_integer_ratio()
    return AvoidedPlan(0, rate_of_all, formula.attribute, rate_of_attribute, (), (), None, own, trace)


def _plan(
    trace: dict[str, Any],
    fixed: int = 0,
    attribute: str | None = None,
    of_legs: Mapping[str, tuple[Fraction, dict[str, Any]]] | None = None,
) -> AvoidedPlan:
    return AvoidedPlan(fixed, NOTHING, attribute, NOTHING, (), (), of_legs, (), trace)


def _steps_plan(formula: StepTable, uncertainty: dict[str, str]) -> AvoidedPlan:
    table = sole_table(formula)
    of = {} if formula.of is None else {"of": formula.of}
    trace = {"method": formula.method, **table.trace(), **of, **uncertainty}
    starts = tuple(step.from_quantity for step in table.steps)
    milligrams = tuple((step.grams * 1000).__floor__() for step in table.steps)
    return AvoidedPlan(0, NOTHING, formula.of, NOTHING, starts, milligrams, None, (), trace)


def _legs_plan(
    rules: RuleBook, in_force: BehaviourInForce, formula: Scenarios, picks: Mapping[str, str], place: Place
) -> AvoidedPlan:
    """A rate for each mode: the lines of a leg are those that its mode picks."""
    assert formula.attribute is not None  # the loader has made sure
    attribute = in_force.attributes[formula.attribute]
    of_legs: dict[str, tuple[Fraction, dict[str, Any]]] = {}
    for mode in sorted(attribute.choices):
        mine = chosen(formula, {**picks, attribute.name: mode})
        rate, lines = _both_sides(rules, in_force, mine, place)
        of_legs[mode] = (rate * dimension(attribute.unit).scale, lines)
    shared = chosen(formula, {**picks, attribute.name: min(attribute.choices)})
    trace = {**_extent_trace(in_force, shared), **_uncertainty(in_force, picks)}
    return _plan(trace, attribute=attribute.name, of_legs=of_legs)


def _both_sides(
    rules: RuleBook, in_force: BehaviourInForce, formula: Scenarios, place: Place
) -> tuple[Fraction, dict[str, list[dict[str, Any]]]]:
    """Milligrams for one base unit of the extent, and the lines of both scenarios."""
    baseline, baseline_lines = _side(rules, in_force, formula.baseline, place)
    project, project_lines = _side(rules, in_force, formula.project, place)
    rate = (baseline - project) * _of_all(formula)
    return rate, {"baseline": baseline_lines, "project": project_lines}


def _of_all(formula: Scenarios) -> Fraction:
    """What all lines are multiplied by: the share of acts that count, and years."""
    share = sole(formula.share).amount if formula.share else Fraction(1)
    return share * (sole(formula.years).amount if formula.years else 1)


def _own_rates(
    rules: RuleBook, in_force: BehaviourInForce, formula: Scenarios, place: Place
) -> tuple[tuple[str, Fraction], ...]:
    """For each line that counts a number of its own: the number's name, and milligrams for one of it."""
    rates: list[tuple[str, Fraction]] = []
    for terms, sign in ((formula.baseline, 1), (formula.project, -1)):
        for term in terms:
            if term.of is not None:
                rate, _ = _line(rules, in_force, term, place)
                scale = dimension(_unit_of(in_force, term.of)).scale
                rates.append((term.of, sign * rate * scale * _of_all(formula)))
    return tuple(rates)


def _uncertainty(in_force: BehaviourInForce, picks: Mapping[str, str]) -> dict[str, str]:
    value: Value | None = chosen(in_force.uncertainty, picks)
    return {} if value is None else {"uncertainty_pct": value.text}


def _extent_trace(in_force: BehaviourInForce, formula: Scenarios) -> dict[str, Any]:
    trace: dict[str, Any] = {"method": formula.method, "functional_unit": formula.functional_unit}
    if formula.attribute is not None:
        trace["attribute"] = {"name": formula.attribute, "unit": _unit_of(in_force, formula.attribute)}
    for name in ("per_unit", "share", "years"):
        value: OneOf | None = getattr(formula, name)
        if value is not None:
            trace[name] = sole(value).trace()
    return trace


def _unit_of(in_force: BehaviourInForce, name: str) -> str:
    """The unit of a number attribute or a measure."""
    for measure in in_force.measures:
        if measure.name == name:
            return measure.unit
    return in_force.attributes[name].unit


def _measure(value: OneOf | None) -> Fraction:
    return Fraction(1) if value is None else sole(value).amount * dimension(sole(value).unit).scale


# --- lines ------------------------------------------------------------------------------------------


def _side(
    rules: RuleBook, in_force: BehaviourInForce, terms: tuple[Term, ...], place: Place
) -> tuple[Fraction, list[dict[str, Any]]]:
    """One scenario: milligrams for one base unit of the extent, and its lines for the trace."""
    total = Fraction(0)
    lines: list[dict[str, Any]] = []
    for term in terms:
        rate, line = _line(rules, in_force, term, place)
        total += rate if term.of is None else 0
        lines.append(line)
    return total, lines


def _line(
    rules: RuleBook, in_force: BehaviourInForce, term: Term, place: Place
) -> tuple[Fraction, dict[str, Any]]:
    rate, line = NOWHERE, dict[str, Any]()
    if term.mode is not None:
        line["mode"] = term.mode
    if term.of is not None:
        line["of"] = {"name": term.of, "unit": _unit_of(in_force, term.of)}
    if term.factor is not None:
        assert isinstance(term.factor, FactorUse)
        rate, found = _factor(rules, term.factor.id, place)
        line |= found
        if term.factor.picked is not None:
            line["picked"] = list(term.factor.picked)
        rate *= _measure(term.amount)
    for name, value in (("amount", term.amount), ("share", term.share)):
        if value is not None:
            line[name] = sole(value).trace()
    return rate * (sole(term.share).amount if term.share else 1), line


def _factor(rules: RuleBook, factor_id: str, place: Place) -> tuple[Fraction, dict[str, Any]]:
    """A factor in milligrams for one base unit, and its line for the trace."""
    factor = rules.factors[factor_id]
    line: dict[str, Any] = {"factor": factor_id}
    if not factor.parts:
        figure = factor.find(place.on, place.region, place.year)
        assert figure is not None, f"{factor_id} has no figure on {place.on}"  # the loader has made sure
        line |= {
            "region": figure.region,
            "year": figure.year,
            "match": match_of(figure.region, place.region),
            "years_off": figure.year - place.year,
            **figure.value.trace(),
        }
        return figure.value.amount * dimension(factor.unit).scale, line
    total = Fraction(0)
    line |= {"unit": factor.unit, "made_of": []}
    for part in factor.parts:
        amount = part.amount.on(place.on)
        assert amount is not None, f"{factor_id} has no amount of {part.factor}"  # the loader has made sure
        rate, inner = _factor(rules, part.factor, place)
        total += rate * _measure(amount)
        line["made_of"].append({**inner, "amount": amount.trace()})
    return total, line
