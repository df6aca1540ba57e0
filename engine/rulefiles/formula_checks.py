"""Whether the formulas of a behaviour hang together: what picks, units, shares, steps, measures and factors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any

from engine.core.dimensions import CARBON, Dimension, dimension
from engine.core.formulas import AVOIDED_G
from engine.core.values import EVIDENCE, GRADE
from engine.rulefiles import models as m
from engine.rulefiles.building_formulas import factor_ids, measure_unit, rows_of
from engine.rulefiles.checks import Finding, Findings, check_unit, quiet_dimension, unknown_factor, walk
from engine.rulefiles.reading import TreePath

COMBINATIONS_MAX = 10_000


def check_formulas(file: m.BehaviourFile, factors: Mapping[str, m.FactorFile], known: set[str]) -> Findings:
    """All formulas of a behaviour: energy, avoided emissions, points, and the measures that they use."""
    yield from _check_picks(file)
    yield from _check_measures(file)
    for path, formula in _counting(file):
        yield from _check_of(file, path, formula.of)
    for path, tables in tables_in(file):
        for day, table in tables.items():
            yield from _check_steps((*path, day.isoformat(), "steps"), table)
    if isinstance(file.avoided, m.Formula):
        yield from _check_scenarios(file, file.avoided, factors, known)


def tables_in(file: m.BehaviourFile) -> Iterator[tuple[TreePath, dict[date, Any]]]:
    """Every dated table of steps or shares in a behaviour's formulas."""
    for path, model in walk(file):
        for name in ("tables", "mix"):
            found = getattr(model, name, None)
            if isinstance(found, m.Picked):
                yield from (((*path, name, "of", key), inner) for key, inner in found.of.items())
            elif isinstance(found, dict):
                yield (*path, name), found


def _counting(file: m.BehaviourFile) -> Iterator[tuple[TreePath, Any]]:
    """The formulas that may count another number than the quantity."""
    points = file.points.formula if file.points else None
    for path, formula in (
        (("energy",), file.energy),
        (("avoided",), file.avoided),
        (("points", "formula"), points),
    ):
        if hasattr(formula, "of"):
            yield path, formula


# --- what picks -------------------------------------------------------------------------------------


def _check_picks(file: m.BehaviourFile) -> Findings:
    names: set[str] = set()
    for path, model in walk(file):
        if isinstance(model, m.Picked):
            names.add(model.by)
            yield from _check_pick(file, path, model)
    combinations = 1
    for name in names:
        combinations *= len(_choices(file, name) or ())
    if combinations > COMBINATIONS_MAX:
        found = f"{combinations:,} combinations of choices"
        yield Finding((), found, f"at most {COMBINATIONS_MAX:,}", "pick by fewer attributes")


def _check_pick(file: m.BehaviourFile, path: TreePath, picked: m.Picked[Any]) -> Findings:
    choices = _choices(file, picked.by)
    if choices is None or path[0] not in ("energy", "avoided", "points"):
        expected = "evidence, grade, or a choice attribute that is required or has a default"
        yield Finding((*path, "by"), repr(picked.by), expected, "add it to attributes, with its choices")
        return
    if _is_legs(file, picked.by) and not (path[0] == "avoided" and isinstance(file.avoided, m.LegsFormula)):
        expected = "legs only in a formula of avoided emissions with the method per_leg"
        yield Finding((*path, "by"), repr(picked.by), expected, "pick by a choice")
    lacking, odd = sorted(choices - set(picked.of)), sorted(set(picked.of) - choices)
    if lacking or odd:
        told = [f"without {', '.join(lacking)}"] * bool(lacking) + [f"with {', '.join(odd)}"] * bool(odd)
        expected = f"each of {', '.join(sorted(choices))}"
        yield Finding((*path, "of"), " and ".join(told), expected, "write one for each choice, and no other")


def _choices(file: m.BehaviourFile, name: str) -> set[str] | None:
    """What may be chosen under a name; None when it does not always choose."""
    if name == EVIDENCE:
        return {row.kind for row in file.evidence}
    if name == GRADE:
        return {row.grade for row in file.evidence}
    rules = file.attributes.get(name)
    if rules is None or rules.kind not in ("choice", "legs") or not (rules.required or rules.default):
        return None
    return set(rules.choices or ())


def _is_legs(file: m.BehaviourFile, name: str) -> bool:
    rules = file.attributes.get(name)
    return rules is not None and rules.kind == "legs"


# --- measures and counted numbers -------------------------------------------------------------------


def _check_measures(file: m.BehaviourFile) -> Findings:
    for name, row in file.measures.items():
        rules = file.attributes.get(row.of)
        unit = quiet_dimension(rules.unit) if rules else None
        right = rules is not None and rules.kind in ("number", "numbers") and rules.required
        if not right or (unit is not None and unit != quiet_dimension(file.quantity.unit)):
            expected = f"a required attribute of kind number or numbers, in {file.quantity.unit}"
            fix = "add it to attributes, or correct its unit"
            yield Finding(("measures", name, "of"), repr(row.of), expected, fix)
        yield from _check_norm(file, name, row)


def _check_norm(file: m.BehaviourFile, name: str, row: m.MeasureRules) -> Findings:
    """A norm stands with the method that knows one, and is multiplied by what is always there."""
    has_norm = row.method == "below_norm_else_own_mean"
    if has_norm != (row.norm is not None):
        found, expected = ("no norm", "a norm") if has_norm else ("a norm", "no norm")
        fix = "add norm, or choose method below_own_mean" if has_norm else "choose below_norm_else_own_mean"
        yield Finding(("measures", name), f"{found} with method {row.method}", expected, fix)
    if row.norm_times is None:
        return
    rules = file.attributes.get(row.norm_times)
    if row.norm is None or rules is None or rules.kind != "number" or not rules.required:
        expected = "a required number attribute, with a norm"
        fix = "add it to attributes, or leave norm_times out"
        yield Finding(("measures", name, "norm_times"), repr(row.norm_times), expected, fix)


def _check_of(file: m.BehaviourFile, path: TreePath, name: str | None) -> Findings:
    if name == AVOIDED_G and path[0] == "points":
        return
    if name is not None and _number_unit(file, name, required=True) is None:
        expected = "a measure, or a required number attribute"
        yield Finding((*path, "of"), repr(name), expected, "add it to measures or attributes")


def _number_unit(file: m.BehaviourFile, name: str, required: bool = False) -> str | None:
    """The unit of a measure or a number attribute; None when there is none such."""
    if name in file.measures:
        return measure_unit(file, file.measures[name])
    rules = file.attributes.get(name)
    if rules is None or rules.kind != "number" or (required and not rules.required):
        return None
    return rules.unit


# --- tables -----------------------------------------------------------------------------------------


def _check_steps(path: TreePath, table: Any) -> Findings:
    if isinstance(table, m.MixInForce):
        return
    gives = [row.grams if isinstance(row, m.StepRow) else row.points for row in table.steps]
    rows = [(row.from_quantity.amount, one.amount) for row, one in zip(table.steps, gives, strict=True)]
    rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(rows))
    if not rising or any(start < 0 or most < 0 for start, most in rows):
        word = "grams" if isinstance(table, m.StepsInForce) else "points"
        expected = f"rising quantities with {word} that never fall"
        yield Finding(path, "steps out of order", expected, "sort the steps")


def _check_mix(formula: m.ModeMixFormula, tables: Iterator[tuple[TreePath, dict[date, Any]]]) -> Findings:
    for path, by_day in tables:
        if path[1] != "mix":
            continue
        for day, mix in by_day.items():
            where = (*path, day.isoformat(), "shares")
            total = sum((share.amount for share in mix.shares.values()), Fraction(0))
            if total != 1 or any(share.amount < 0 for share in mix.shares.values()):
                found = f"shares that sum to {total}"
                yield Finding(
                    where, found, "shares from 0 that sum to exactly 1", "add the mode that is left"
                )
            for mode in sorted(set(mix.shares) - set(formula.modes)):
                expected = f"one of {', '.join(sorted(formula.modes))}"
                yield Finding((*where, mode), f"the unknown mode {mode!r}", expected, "add it to modes")


# --- scenarios --------------------------------------------------------------------------------------


def _check_scenarios(
    file: m.BehaviourFile, formula: Any, factors: Mapping[str, m.FactorFile], known: set[str]
) -> Findings:
    extent = yield from check_unit(("avoided", "extent", "unit"), formula.extent.unit)
    if isinstance(formula, m.LegsFormula):
        yield from _check_legs(file, formula, extent)
    else:
        yield from _check_extent(file, formula, extent)
    if isinstance(formula, m.ModeMixFormula):
        yield from _check_mix(formula, tables_in(file))
    counted = _yearly(formula, extent)
    for steps, row in rows_of(formula):
        path = ("avoided", *steps)
        unknown = [name for name in factor_ids(row) if name not in known]
        for name in unknown:
            yield unknown_factor((*path, "factor"), name, known)
        amount = dimension("1")
        if row.amount:
            amount = yield from check_unit((*path, "amount", "unit"), row.amount.unit)
        of = row.of if isinstance(row, m.TermRow) else None
        if of is not None:
            yield from _check_of(file, path, of)
        mine = counted if of is None else _yearly(formula, quiet_dimension(_number_unit(file, of)))
        for name in factor_ids(row):
            yield from _check_balance(path, row, amount, mine, factors.get(name))


def _yearly(formula: Any, counted: Dimension | None) -> Dimension | None:
    """What amounts per year are counted by: the thing and its years."""
    return counted.times(dimension("year")) if counted and isinstance(formula, m.StockFormula) else counted


def _check_balance(
    path: TreePath,
    row: m.TermRow | m.ModeRow,
    amount: Dimension | None,
    extent: Dimension | None,
    factor: m.FactorFile | None,
) -> Findings:
    unit = quiet_dimension(factor.unit) if factor else None
    if unit and amount and extent and factor and not unit.times(amount).times(extent).same_kind(CARBON):
        found = (
            f"{factor.unit}" + (f" × {row.amount.unit}" if row.amount else "") + " for the functional unit"
        )
        yield Finding(
            path,
            found,
            "units that leave CO2e alone",
            "correct the amount's unit, the functional unit or the factor",
        )


def _check_extent(file: m.BehaviourFile, formula: m.Formula, extent: Dimension | None) -> Findings:
    path = ("avoided", "extent")
    name, per_unit = formula.extent.attribute, formula.extent.per_unit
    reported = quiet_dimension(file.quantity.unit)
    ratio = (
        (yield from check_unit((*path, "per_unit", "unit"), per_unit.unit)) if per_unit else dimension("1")
    )
    always = name is not None and _number_unit(file, name, required=True) is not None
    follows = extent and reported and ratio and reported.times(ratio).same_kind(extent)
    if extent and reported and ratio and not follows and (per_unit or not always):
        found = file.quantity.unit + (f" × {per_unit.unit}" if per_unit else "")
        yield Finding(
            path, found, f"units that give {formula.extent.unit}", "correct per_unit, or the functional unit"
        )
    if name is None:
        return
    unit = _number_unit(file, name)
    there = quiet_dimension(unit)
    if unit is None or (there and extent and not there.same_kind(extent)):
        yield Finding(
            (*path, "attribute"),
            repr(name),
            f"a number attribute in {formula.extent.unit}",
            "add it to attributes, or correct its unit",
        )


def _check_legs(file: m.BehaviourFile, formula: m.LegsFormula, extent: Dimension | None) -> Findings:
    name = formula.extent.attribute
    rules = file.attributes.get(name or "")
    unit = quiet_dimension(rules.unit) if rules else None
    right = rules is not None and rules.kind == "legs" and rules.required
    right = right and not any(row.of for row in (*formula.baseline, *formula.project))
    if not right or formula.extent.per_unit or (unit and extent and not unit.same_kind(extent)):
        expected = (
            f"a required attribute of kind legs in {formula.extent.unit}, no per_unit, and no line with of"
        )
        fix = "add it to attributes, or correct its unit"
        yield Finding(("avoided", "extent"), repr(name or "no attribute"), expected, fix)
