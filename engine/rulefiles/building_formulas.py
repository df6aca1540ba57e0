"""From the formulas of a checked file to those in force on a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from engine.core.formulas import (
    AVOIDED_G,
    Attribute,
    AvoidedFormula,
    Constant,
    EnergyFormula,
    FactorUse,
    Measure,
    NoAmount,
    Points,
    PointsFormula,
    Ratio,
    Scenarios,
    Step,
    Steps,
    StepTable,
    Term,
)
from engine.core.values import Picked, Value, picked_by
from engine.rulefiles import models as m
from engine.rulefiles.dating import on, one_of, picked, sure

PER_CENT = "%"


def energy_on(formula: m.EnergyFormula, unit: str, day: date) -> EnergyFormula:
    """The energy formula with the values of a day."""
    if isinstance(formula, m.ConstantFormula):
        return Constant(formula.method, sure(one_of(formula.grams, "g", day)))
    if isinstance(formula, m.RatioFormula):
        per_unit = sure(one_of(formula.grams_per_unit, f"g/{formula.of or unit}", day))
        least, most = one_of(formula.least_g, "g", day), one_of(formula.most_g, "g", day)
        return Ratio(formula.method, per_unit, formula.of, least, most)
    if isinstance(formula, m.StepTableFormula):
        return _steps_on(formula, day)
    return NoAmount(formula.method, formula.reason)


def avoided_on(formula: m.AvoidedFormula, day: date) -> AvoidedFormula:
    """The formula of avoided emissions with the values of a day."""
    if isinstance(formula, m.NoneFormula):
        return NoAmount(formula.method, formula.reason)
    if isinstance(formula, m.ConstantAvoidedFormula):
        return Constant(formula.method, sure(one_of(formula.grams, "gCO2e", day)))
    if isinstance(formula, m.StepAvoidedFormula):
        return _steps_on(formula, day)
    if isinstance(formula, m.ModeMixFormula):
        baseline = tuple(_mode(formula, name, row, day) for name, row in formula.modes.items())
    else:
        baseline = tuple(_term(row, day) for row in _baseline_rows(formula))
    return Scenarios(
        method=formula.method,
        functional_unit=formula.extent.unit,
        per_unit=_measured(formula.extent.per_unit, day),
        attribute=formula.extent.attribute,
        share=one_of(formula.share, "1", day),
        baseline=baseline,
        project=tuple(_term(row, day) for row in project_rows(formula)),
        years=one_of(formula.years, "year", day) if isinstance(formula, m.StockFormula) else None,
    )


def points_on(rules: m.PointsRules, unit: str, day: date) -> Points:
    """The points of a scheme with the values of a day."""
    money = rules.money
    return Points(
        names={"zh": rules.names.zh, "en": rules.names.en},
        formula=_points_formula(rules.formula, unit, day),
        currency=money.currency if money else None,
        minor_per_point=one_of(money.minor_per_point, f"minor units of {money.currency}", day)
        if money
        else None,
    )


def _points_formula(formula: Any, unit: str, day: date) -> PointsFormula:
    if isinstance(formula, m.ConstantPoints):
        return Constant(formula.method, sure(one_of(formula.points, "points", day)))
    if isinstance(formula, m.RatioPoints):
        counted = "g" if formula.of == AVOIDED_G else unit if formula.of is None else formula.of
        per_unit = sure(one_of(formula.points_per_unit, f"points/{counted}", day))
        least, most = one_of(formula.least_points, "points", day), one_of(formula.most_points, "points", day)
        return Ratio(formula.method, per_unit, formula.of, least, most)
    return _steps_on(formula, day)


def measures_on(file: m.BehaviourFile, day: date) -> tuple[Measure, ...]:
    """The numbers that are worked out of what is reported."""
    return tuple(
        Measure(
            name,
            row.of,
            row.gives,
            measure_unit(file, row),
            on(row.least_pct, PER_CENT, day),
            on(row.norm, norm_unit(file, row), day),
            row.norm_times,
        )
        for name, row in file.measures.items()
    )


def measure_unit(file: m.BehaviourFile, row: m.MeasureRules) -> str:
    """The unit of a measure."""
    return file.quantity.unit if row.gives == "amount" else PER_CENT


def norm_unit(file: m.BehaviourFile, row: m.MeasureRules) -> str:
    """The unit of a measure's norm: the quantity's, for one of what it is multiplied by."""
    times = file.attributes.get(row.norm_times) if row.norm_times else None
    unit = times.unit if times is not None else None
    return f"{file.quantity.unit}/{unit}" if unit and unit != "1" else file.quantity.unit


def picks_of(file: m.BehaviourFile, formulas: tuple[Any, ...]) -> tuple[str, ...]:
    """The names by which something is picked once for an activity (legs pick for each leg)."""
    legs = {name for name, rules in file.attributes.items() if rules.kind == "legs"}
    return tuple(sorted({name for formula in formulas for name in picked_by(formula)} - legs))


def attribute(name: str, rules: m.AttributeRules, day: date) -> Attribute:
    """A further field, with its bounds of a day."""
    unit = rules.unit or "1"
    low, high = on(rules.min, unit, day), on(rules.max, unit, day)
    return Attribute(
        name=name,
        kind=rules.kind,
        unit=unit,
        required=rules.required,
        low=Decimal(0 if low is None else low.text),  # a negative extent would turn a loss into a credit
        high=None if high is None else Decimal(high.text),
        decimals=rules.decimals,
        choices=frozenset(rules.choices or ()),
        default=rules.default,
        most=rules.most,
    )


# --- lines of scenarios -----------------------------------------------------------------------------


def _baseline_rows(formula: m.ScenarioFormula) -> list[m.TermRow]:
    """The baseline's lines; a factor times a quantity is a baseline alone."""
    if isinstance(formula, m.ModeMixFormula):
        return []
    return [formula.factor] if isinstance(formula, m.FactorFormula) else formula.baseline


def project_rows(formula: m.ScenarioFormula) -> list[m.TermRow]:
    """The project's lines."""
    return [] if isinstance(formula, m.FactorFormula) else formula.project


def rows_of(formula: m.AvoidedFormula) -> Iterator[tuple[tuple[str | int, ...], m.TermRow | m.ModeRow]]:
    """Every line of both scenarios with its path in the formula."""
    if not isinstance(formula, m.Formula):
        return
    assert not isinstance(formula, m.NoneFormula | m.ConstantAvoidedFormula | m.StepAvoidedFormula)
    if isinstance(formula, m.FactorFormula):
        yield ("factor",), formula.factor
        return
    if isinstance(formula, m.ModeMixFormula):
        yield from ((("modes", name), row) for name, row in formula.modes.items())
    else:
        yield from ((("baseline", index), row) for index, row in enumerate(formula.baseline))
    yield from ((("project", index), row) for index, row in enumerate(project_rows(formula)))


def factors_named(formula: m.AvoidedFormula) -> set[str]:
    """The factors that a formula names, whatever is picked."""
    return {name for _, row in rows_of(formula) for name in factor_ids(row)}


def factor_ids(row: m.TermRow | m.ModeRow) -> list[str]:
    """The factors that a line may take."""
    if row.factor is None:
        return []
    return list(row.factor.of.values()) if isinstance(row.factor, m.Picked) else [row.factor]


def _term(row: m.TermRow, day: date) -> Term:
    return Term(_factor(row), _measured(row.amount, day), one_of(row.share, "1", day), of=row.of)


def _mode(formula: m.ModeMixFormula, name: str, row: m.ModeRow, day: date) -> Term:
    if isinstance(formula.mix, m.Picked):
        share: Any = picked(formula.mix, lambda mix: _share(mix, name, day))
    else:
        share = _share(formula.mix, name, day)
    return Term(_factor(row), _measured(row.amount, day), share, name)


def _share(mix: dict[date, m.MixInForce], name: str, day: date) -> Value:
    since = max(since for since in mix if since <= day)
    row = mix[since]
    exact = row.shares.get(name)
    amount, text = (exact.amount, exact.text) if exact is not None else (0, "0")
    references = tuple(row.references)
    return Value(Fraction(amount), text, "1", since, row.confidence, references, row.because or "")


def _factor(row: m.TermRow | m.ModeRow) -> FactorUse | Picked[FactorUse] | None:
    if row.factor is None:
        return None
    return picked(row.factor, FactorUse) if isinstance(row.factor, m.Picked) else FactorUse(row.factor)


def _measured(amount: m.Measured | None, day: date) -> Value | Picked[Value] | None:
    return one_of(amount.values, amount.unit, day) if amount else None


def _steps_on(formula: Any, day: date) -> StepTable:
    tables = formula.tables
    table = (
        picked(tables, lambda one: _table(one, day)) if isinstance(tables, m.Picked) else _table(tables, day)
    )
    return StepTable(formula.method, table, formula.of)


def _table(tables: dict[date, Any], day: date) -> Steps:
    since = max(since for since in tables if since <= day)
    table = tables[since]
    steps = tuple(Step(row.from_quantity.amount, _gives(row).amount) for row in table.steps)
    return Steps(steps, since, table.confidence, tuple(table.references))


def _gives(row: m.StepRow | m.PointStep) -> Any:
    """What a step gives: grams or points."""
    return row.grams if isinstance(row, m.StepRow) else row.points
