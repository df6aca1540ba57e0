"""Plans: what is constant for a behaviour, a stretch of time and a region, worked out once.

A plan turns a quantity into grams of energy and milligrams of CO2e by a few integer operations, and holds the
part of the trace that is the same for every act. Plans are kept in the rulebook's memo.
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
from engine.core.rules import (
    Behaviour,
    BehaviourInForce,
    Constant,
    EnergyFormula,
    NoAmount,
    Ratio,
    RuleBook,
    Scenarios,
    StepTable,
    Term,
    Value,
)


@dataclass(frozen=True, slots=True)
class EnergyPlan:
    """grams = fixed + floor(quantity × above / below), or a step's, at most `cap`."""

    fixed: int
    above: int
    below: int
    steps_from: tuple[Fraction, ...]
    steps_g: tuple[int, ...]
    cap: int | None
    trace: dict[str, Any]

    def grams(self, quantity: Fraction) -> int:
        above, below = quantity.as_integer_ratio()
        grams = self.fixed + above * self.above // (below * self.below)
        if self.steps_from:
            reached = bisect_right(self.steps_from, quantity)
            grams = self.steps_g[reached - 1] if reached else 0
        return grams if self.cap is None else min(grams, self.cap)


@dataclass(frozen=True, slots=True)
class AvoidedPlan:
    """milligrams = fixed + floor(extent × rate), at least 0; the extent is the quantity or an attribute."""

    fixed: int
    rate: Fraction
    rate_of_attribute: Fraction
    attribute: str | None
    trace: dict[str, Any]

    def milligrams(self, quantity: Fraction, sent: Mapping[str, Decimal]) -> int:
        if self.attribute is not None and self.attribute in sent:
            extent, rate = Fraction(sent[self.attribute]), self.rate_of_attribute
        else:
            extent, rate = quantity, self.rate
        above = extent.numerator * rate.numerator
        return self.fixed + max(0, above // (extent.denominator * rate.denominator))


@dataclass(frozen=True, slots=True)
class Plan:
    """Both formulas of a behaviour, ready for quantities."""

    energy: EnergyPlan
    avoided: AvoidedPlan


def plan_for(rules: RuleBook, rule: Behaviour, in_force: BehaviourInForce, province: str | None) -> Plan:
    """The plan for a behaviour on the days of `in_force` in a province."""
    region = rules.region_of(province)
    key = (rule.id, in_force.since, region)
    plan = rules.memo.get(key)
    if plan is None:
        plan = Plan(_energy_plan(in_force), _avoided_plan(rules, rule, in_force, region))
        rules.memo[key] = plan
    assert isinstance(plan, Plan)
    return plan


def _energy_plan(in_force: BehaviourInForce) -> EnergyPlan:
    formula = in_force.energy
    cap = in_force.caps.event_g
    trace = _energy_trace(formula)
    if cap is not None:
        trace["event_cap"] = in_force.cap_values["event_g"].trace()
    if isinstance(formula, Constant):
        return EnergyPlan(formula.grams.amount.__floor__(), 0, 1, (), (), cap, trace)
    if isinstance(formula, Ratio):
        above, below = formula.grams_per_unit.amount.as_integer_ratio()
        return EnergyPlan(0, above, below, (), (), cap, trace)
    if isinstance(formula, StepTable):
        starts = tuple(step.from_quantity for step in formula.steps)
        return EnergyPlan(
            0, 0, 1, starts, tuple(step.grams.__floor__() for step in formula.steps), cap, trace
        )
    return EnergyPlan(0, 0, 1, (), (), cap, trace)


def _energy_trace(formula: EnergyFormula) -> dict[str, Any]:
    if isinstance(formula, Constant):
        return {"method": formula.method, "grams": formula.grams.trace()}
    if isinstance(formula, Ratio):
        return {"method": formula.method, "grams_per_unit": formula.grams_per_unit.trace()}
    if isinstance(formula, StepTable):
        steps = [[str(step.from_quantity), str(step.grams)] for step in formula.steps]
        about = {
            "from": formula.since.isoformat(),
            "confidence": formula.confidence,
            "references": list(formula.references),
        }
        return {"method": formula.method, "steps": steps, **about}
    return {"method": formula.method, "reason": formula.reason}


def _avoided_plan(
    rules: RuleBook, rule: Behaviour, in_force: BehaviourInForce, region: str | None
) -> AvoidedPlan:
    formula = in_force.avoided
    if isinstance(formula, NoAmount):
        return AvoidedPlan(
            0, Fraction(0), Fraction(0), None, {"method": formula.method, "reason": formula.reason}
        )
    if isinstance(formula, Constant):
        fixed = (formula.grams.amount * 1000).__floor__()
        trace = {"method": formula.method, "grams": formula.grams.trace(), **_uncertainty(in_force)}
        return AvoidedPlan(fixed, Fraction(0), Fraction(0), None, trace)
    trace = _extent_trace(in_force, formula)
    baseline, trace["baseline"] = _side(rules, formula.baseline, in_force.since, region)
    project, trace["project"] = _side(rules, formula.project, in_force.since, region)
    per_base_unit = (baseline - project) * (formula.share.amount if formula.share else 1)
    trace |= _uncertainty(in_force)
    rate = per_base_unit * dimension(rule.unit).scale * _measure(formula.per_unit)
    rate_of_attribute = Fraction(0)
    if formula.attribute is not None:
        rate_of_attribute = per_base_unit * dimension(in_force.attributes[formula.attribute].unit).scale
    return AvoidedPlan(0, rate, rate_of_attribute, formula.attribute, trace)


def _uncertainty(in_force: BehaviourInForce) -> dict[str, str]:
    return {} if in_force.uncertainty is None else {"uncertainty_pct": in_force.uncertainty.text}


def _extent_trace(in_force: BehaviourInForce, formula: Scenarios) -> dict[str, Any]:
    trace: dict[str, Any] = {"method": formula.method, "functional_unit": formula.functional_unit}
    if formula.per_unit is not None:
        trace["per_unit"] = formula.per_unit.trace()
    if formula.attribute is not None:
        trace["attribute"] = {"name": formula.attribute, "unit": in_force.attributes[formula.attribute].unit}
    if formula.share is not None:
        trace["share"] = formula.share.trace()
    return trace


def _measure(value: Value | None) -> Fraction:
    return Fraction(1) if value is None else value.amount * dimension(value.unit).scale


def _side(
    rules: RuleBook, terms: tuple[Term, ...], on: date, region: str | None
) -> tuple[Fraction, list[dict[str, Any]]]:
    """One scenario: milligrams for one base unit of the extent, and its lines for the trace."""
    total = Fraction(0)
    lines: list[dict[str, Any]] = []
    for term in terms:
        rate, line = _factor(rules, term.factor, on, region)
        if term.amount is not None:
            rate *= _measure(term.amount)
            line["amount"] = term.amount.trace()
        total += rate
        lines.append(line)
    return total, lines


def _factor(rules: RuleBook, factor_id: str, on: date, region: str | None) -> tuple[Fraction, dict[str, Any]]:
    """A factor in milligrams for one base unit, and its line for the trace."""
    factor = rules.factors[factor_id]
    line: dict[str, Any] = {"factor": factor_id}
    if not factor.parts:
        figure = factor.find(on, region)
        assert figure is not None, f"{factor_id} has no figure on {on}"  # the loader has made sure
        line |= {
            "region": figure.region,
            "year": figure.year,
            "match": _match(figure.region, region),
            **figure.value.trace(),
        }
        return figure.value.amount * dimension(factor.unit).scale, line
    total = Fraction(0)
    line |= {"unit": factor.unit, "made_of": []}
    for part in factor.parts:
        amount = part.amount.on(on)
        assert amount is not None, (
            f"{factor_id} has no amount of {part.factor} on {on}"
        )  # the loader has made sure
        rate, inner = _factor(rules, part.factor, on, region)
        total += rate * _measure(amount)
        line["made_of"].append({**inner, "amount": amount.trace()})
    return total, line


def _match(found: str, region: str | None) -> str:
    if found != region and not (region or "").startswith(f"{found}-"):
        return "fallback"
    return "province" if "-" in found else "country"
