"""Plans: what is constant for a behaviour, a day, a province and what was chosen, worked out once.

A plan turns what was reported into grams of energy, milligrams of CO2e and points by a few integer operations,
and holds the part of the trace that is the same for every act. Plans are kept in the rulebook's memo.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.errors import Rejected
from engine.core.formulas import (
    AVOIDED_G,
    Constant,
    EnergyFormula,
    NoAmount,
    Points,
    PointsFormula,
    Ratio,
    StepTable,
    sole_table,
)
from engine.core.rules import Behaviour, BehaviourInForce, GameSettings, RuleBook
from engine.core.scenarios import AvoidedPlan, Place, avoided_plan
from engine.core.sent import Sent
from engine.core.values import chosen, sole

TRACE_VERSION = 2  # 1: without evidence, choices, measures and points
MEMO_MAX = 100_000  # beyond this all is forgotten and worked out anew, so that memory stays bounded


@dataclass(slots=True)
class Assessment:
    """What one activity is worth before the caps of its day, month and year.

    energy_g: grams of energy after the cap for one activity; avoided_mg: milligrams CO2e; trace: JSON-able,
    for `describe`. Parts of the trace are shared between assessments: read it, don't change it. points and
    money_minor: what a scheme's own points come to, None where the behaviour has none.
    """

    energy_g: int
    avoided_mg: int
    trace: dict[str, Any]
    points: int | None = None
    money_minor: int | None = None


@dataclass(frozen=True, slots=True)
class AmountPlan:
    """fixed + floor(number × above / below), or a step's, within `least` and `most`; `fixed` where no number counts.

    The number is the quantity, or the one called `of`; where it is zero, `least` does not count.
    """

    counts: bool
    fixed: int
    above: int
    below: int
    of: str | None
    steps_from: tuple[Fraction, ...]
    steps: tuple[int, ...]
    least: int | None
    most: int | None
    trace: dict[str, Any]

    def amount(self, quantity: Decimal, numbers: Mapping[str, Decimal | Fraction]) -> int:
        """Whole grams or points."""
        if not self.counts:
            return self.fixed
        above, below = (quantity if self.of is None else numbers[self.of]).as_integer_ratio()
        amount = self.fixed + above * self.above // (below * self.below)
        if self.steps_from:
            reached = bisect_right(self.steps_from, Fraction(above, below))
            amount = self.steps[reached - 1] if reached else 0
        if self.least is not None and above and amount < self.least:
            amount = self.least
        return amount if self.most is None or amount < self.most else self.most


@dataclass(frozen=True, slots=True)
class PointsPlan:
    """A scheme's points and what they pay."""

    formula: AmountPlan
    minor_per_point: Fraction | None
    trace: dict[str, Any]

    def worth(self, quantity: Decimal, sent: Sent, avoided_mg: int) -> tuple[int, int | None]:
        """Whole points, and minor units of money where points pay."""
        counts_avoided = self.formula.of == AVOIDED_G
        numbers = {**sent.numbers, AVOIDED_G: Fraction(avoided_mg, 1000)} if counts_avoided else sent.numbers
        points = self.formula.amount(quantity, numbers)
        return points, None if self.minor_per_point is None else (points * self.minor_per_point).__floor__()

    def trace_of(self, points: int, money_minor: int | None) -> dict[str, Any]:
        """The trace with the results."""
        money = {} if money_minor is None else {"money_minor": money_minor}
        return {**self.trace, "total": points, **money}


@dataclass(frozen=True, slots=True)
class Plan:
    """All formulas of a behaviour, ready for what is reported."""

    energy: AmountPlan
    avoided: AvoidedPlan
    points: PointsPlan | None


@dataclass(frozen=True, slots=True)
class Ready:
    """What counts for a behaviour on one day in a province: the rule, the plan, and the head of each trace.

    `day` is the day as text; `plan` is None where something is picked by what is sent; `evidence` holds each kind
    with its grade, the first also under None. `ones`: what a single act without attributes is worth, by evidence.
    """

    behaviour: Behaviour
    in_force: BehaviourInForce
    game: GameSettings
    on: date
    next_on: date
    day: str
    region: str | None
    evidence: Mapping[str | None, Mapping[str, str]]
    head: Mapping[str, Any]
    plan: Plan | None
    ones: dict[str | None, Assessment] = field(default_factory=dict)

    def plan_for(self, rules: RuleBook, picks: tuple[str, ...]) -> Plan:
        """The plan for what was chosen, in the order of the rule's `picks`."""
        key = (self.behaviour.id, self.in_force.since, self.region, self.on.year, picks)
        plan = rules.memo.get(key)
        if plan is None:
            by_name = dict(zip(self.in_force.picks, picks, strict=True))
            plan = _plan(rules, self, by_name)
            _keep(rules, key, plan)
        assert isinstance(plan, Plan)
        return plan


def ready_for(rules: RuleBook, behaviour: str, on: date, province: str | None) -> Ready:
    """What counts for a behaviour on a day in a province. Raises Rejected: unknown_behaviour, not_in_force."""
    key = (behaviour, on, province)
    ready = rules.memo.get(key)
    if ready is None:
        ready = _ready(rules, behaviour, on, province)
        _keep(rules, key, ready)
    assert isinstance(ready, Ready)
    return ready


def _ready(rules: RuleBook, behaviour: str, on: date, province: str | None) -> Ready:
    rule = rules.behaviours.get(behaviour)
    if rule is None:
        raise Rejected("unknown_behaviour", behaviour=behaviour[:64])
    in_force = rule.on(on)
    if in_force is None:
        raise Rejected("not_in_force", behaviour=behaviour, on=on.isoformat())
    kinds: dict[str | None, Mapping[str, str]] = {None: rule.evidence[0].trace()}
    for row in rule.evidence:
        kinds.setdefault(row.kind, row.trace())
    day = on.isoformat()
    head = {
        "v": TRACE_VERSION,
        "rules": rules.hash,
        "behaviour": behaviour,
        "on": day,
        "unit": rule.unit,
        "province": province,
    }
    region = rules.region_of(province)
    game, next_on = rules.game_on(on), on + timedelta(days=1)
    ready = Ready(rule, in_force, game, on, next_on, day, region, kinds, head, None)
    return ready if in_force.picks else replace(ready, plan=ready.plan_for(rules, ()))


def _keep(rules: RuleBook, key: object, made: object) -> None:
    if len(rules.memo) >= MEMO_MAX:
        rules.memo.clear()
    rules.memo[key] = made


def _plan(rules: RuleBook, ready: Ready, picks: Mapping[str, str]) -> Plan:
    in_force = ready.in_force
    energy = _amount_plan(chosen(in_force.energy, picks), "grams", in_force)
    place = Place(in_force.since, ready.on.year, ready.region)
    avoided = avoided_plan(rules, ready.behaviour.unit, in_force, picks, place)
    return Plan(energy, avoided, _points_plan(chosen(in_force.points, picks), in_force))


def _amount_plan(formula: EnergyFormula | PointsFormula, word: str, in_force: BehaviourInForce) -> AmountPlan:
    """The plan for grams of energy (which the cap of one activity cuts) or for points."""
    trace = _amount_trace(formula, word)
    cap = in_force.caps.event_g if word == "grams" else None
    if cap is not None:
        trace["event_cap"] = in_force.cap_values["event_g"].trace()
    if isinstance(formula, Constant):
        fixed = sole(formula.grams).amount.__floor__()
        return AmountPlan(
            False, fixed if cap is None else min(fixed, cap), 0, 1, None, (), (), None, None, trace
        )
    if isinstance(formula, Ratio):
        above, below = sole(formula.grams_per_unit).amount.as_integer_ratio()
        bounds = [
            None if bound is None else sole(bound).amount.__floor__()
            for bound in (formula.least, formula.most)
        ]
        mosts = [most for most in (bounds[1], cap) if most is not None]
        most = min(mosts, default=None)
        return AmountPlan(True, 0, above, below, formula.of, (), (), bounds[0], most, trace)
    if isinstance(formula, StepTable):
        table = sole_table(formula)
        starts = tuple(step.from_quantity for step in table.steps)
        steps = tuple(step.grams.__floor__() for step in table.steps)
        return AmountPlan(True, 0, 0, 1, formula.of, starts, steps, None, cap, trace)
    return AmountPlan(False, 0, 0, 1, None, (), (), None, None, trace)


def _amount_trace(formula: EnergyFormula | PointsFormula, word: str) -> dict[str, Any]:
    trace: dict[str, Any] = {"method": formula.method}
    if isinstance(formula, Constant):
        trace[word] = sole(formula.grams).trace()
    elif isinstance(formula, Ratio):
        trace[f"{word}_per_unit"] = sole(formula.grams_per_unit).trace()
        for name, bound in (("least", formula.least), ("most", formula.most)):
            if bound is not None:
                trace[name] = sole(bound).trace()
    elif isinstance(formula, StepTable):
        trace |= sole_table(formula).trace()
    elif isinstance(formula, NoAmount):
        trace["reason"] = formula.reason
    if isinstance(formula, Ratio | StepTable) and formula.of is not None:
        trace["of"] = formula.of
    return trace


def _points_plan(points: Points | None, in_force: BehaviourInForce) -> PointsPlan | None:
    if points is None:
        return None
    trace: dict[str, Any] = {"names": dict(points.names)}
    formula = _amount_plan(points.formula, "points", in_force)
    trace |= formula.trace
    pays = None if points.minor_per_point is None else sole(points.minor_per_point)
    if pays is not None:
        trace |= {"currency": points.currency, "minor_per_point": pays.trace()}
    return PointsPlan(formula, None if pays is None else pays.amount, trace)
