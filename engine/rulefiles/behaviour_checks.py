"""Whether a behaviour's file hangs together: folder, days, units, factors, attributes, ball and examples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise

from engine.core.dimensions import CARBON, Dimension, dimension
from engine.core.errors import CODES
from engine.core.rules import CATEGORIES
from engine.rulefiles import building as rulebuild
from engine.rulefiles import models as m
from engine.rulefiles.checks import (
    ENDABLE,
    Finding,
    Findings,
    check_unit,
    quiet_dimension,
    series_in,
    unknown_factor,
)
from engine.rulefiles.reading import TreePath

# --- behaviours -------------------------------------------------------------------------------------


def check_behaviour(
    file: m.BehaviourFile, folder: str, factors: Mapping[str, m.FactorFile], known: set[str]
) -> Findings:
    """A behaviour hangs together: folder, days, units, factors, ball and attributes."""
    if file.category not in CATEGORIES:
        yield Finding(
            ("category",), repr(file.category), f"one of {', '.join(CATEGORIES)}", "choose one of the five"
        )
    if file.category != folder:
        yield Finding(
            ("category",),
            repr(file.category),
            f"the folder's name, {folder!r}",
            "move the file or change the category",
        )
    if file.in_force.until and file.in_force.until <= file.in_force.from_:
        yield Finding(
            ("in_force", "until"), str(file.in_force.until), "a day after from", "correct one of the days"
        )
    yield from check_unit(("quantity", "unit"), file.quantity.unit)
    yield from _check_cover(file)
    yield from _check_bounds(("quantity",), file.quantity.min, file.quantity.max)
    yield from _check_attributes(file)
    yield from _check_ball(file)
    if isinstance(file.energy, m.StepTableFormula):
        yield from _check_steps(file)
    if isinstance(file.avoided, m.FactorFormula | m.DifferenceFormula):
        yield from _check_scenarios(file, file.avoided, factors, known)
    yield from _check_examples(file)


def check_family(file: m.BehaviourFile, behaviours: Mapping[str, m.BehaviourFile]) -> Findings:
    """Acts that are compared by month and acts that are not lie in other rows: a family has the ones or the others."""
    if file.excludes != "month":
        return
    for name, other in sorted(behaviours.items()):
        if other.family is not None and other.family == file.family and other.excludes != "month":
            yield Finding(
                ("excludes",),
                f"month, where {name} of the same family does not say so",
                "month in all behaviours of a family, or in none",
                f"write excludes: month in {name}, too",
            )


def _check_cover(file: m.BehaviourFile) -> Findings:
    """Values that a formula needs are in force from the behaviour's first day on; caps may come later."""
    first = file.in_force.from_
    for path, key, series in series_in(file):
        if key not in ENDABLE and path[0] != "ball" and min(series) > first:
            yield Finding(
                path,
                f"nothing before {min(series)}",
                f"a value from {first}, the behaviour's first day",
                f"add one for {first} or begin later",
            )
    tables = file.energy.tables if isinstance(file.energy, m.StepTableFormula) else {first: None}
    if min(tables) > first:
        yield Finding(
            ("energy", "tables"),
            f"nothing before {min(tables)}",
            f"a table from {first}",
            "add one or begin later",
        )


def _check_bounds(path: TreePath, low: m.Series | None, high: m.Series | None) -> Findings:
    days: set[date] = {*(low or {}), *(high or {})}
    for day in sorted(days):
        least, most = rulebuild.on(low, "1", day), rulebuild.on(high, "1", day)
        if least and most and least.amount > most.amount:
            yield Finding(
                (*path, "min"),
                f"a least of {least.text} above the most of {most.text} on {day}",
                "min at most max",
                "swap or correct them",
            )


def _check_attributes(file: m.BehaviourFile) -> Findings:
    for name, rules in file.attributes.items():
        path = ("attributes", name)
        if rules.kind == "instant" and (rules.unit or rules.min or rules.max):
            yield Finding(
                path, "an instant with a unit or bounds", "none of them", "remove unit, min and max"
            )
        if rules.kind == "number":
            if rules.unit is None:
                yield Finding(path, "a number without unit", "its unit", "add unit: … (1 for a mere number)")
            else:
                yield from check_unit((*path, "unit"), rules.unit)
            yield from _check_bounds(path, rules.min, rules.max)


def _check_ball(file: m.BehaviourFile) -> Findings:
    counts_from = file.ball.counts_from
    named = file.attributes.get(counts_from)
    if counts_from != "at" and (named is None or named.kind != "instant" or not named.required):
        yield Finding(
            ("ball", "counts_from"),
            repr(counts_from),
            "at, or a required attribute of kind instant",
            "add it to attributes, or write at",
        )
    if file.ball.ripens == "morning" and counts_from != "at":
        yield Finding(
            ("ball", "counts_from"),
            repr(counts_from),
            "at, as the morning batch counts local days",
            "leave it out",
        )
    if file.running_total and file.ball.ripens != "morning":
        yield Finding(
            ("ball", "ripens"),
            repr(file.ball.ripens),
            "morning: a total of a day has no instant",
            "write ripens: morning",
        )


def _check_steps(file: m.BehaviourFile) -> Findings:
    assert isinstance(file.energy, m.StepTableFormula)
    for day, table in file.energy.tables.items():
        rows = [(row.from_quantity.amount, row.grams.amount) for row in table.steps]
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(rows))
        if not rising or any(start < 0 or grams < 0 for start, grams in rows):
            where = ("energy", "tables", day.isoformat(), "steps")
            yield Finding(
                where, "steps out of order", "rising quantities with grams that never fall", "sort the steps"
            )


def _check_scenarios(
    file: m.BehaviourFile,
    formula: m.FactorFormula | m.DifferenceFormula,
    factors: Mapping[str, m.FactorFile],
    known: set[str],
) -> Findings:
    extent = yield from check_unit(("avoided", "extent", "unit"), formula.extent.unit)
    yield from _check_extent(file, formula, extent)
    baseline, project = rulebuild.sides(formula)
    single = isinstance(formula, m.FactorFormula)
    rows: list[tuple[TreePath, m.TermRow]] = [
        (("avoided", "factor") if single else ("avoided", "baseline", i), row)
        for i, row in enumerate(baseline)
    ]
    rows += [(("avoided", "project", i), row) for i, row in enumerate(project)]
    for path, row in rows:
        if row.factor not in known:
            yield unknown_factor((*path, "factor"), row.factor, known)
            continue
        amount = (
            (yield from check_unit((*path, "amount", "unit"), row.amount.unit))
            if row.amount
            else dimension("1")
        )
        yield from _check_balance(path, row, amount, extent, factors)


def _check_balance(
    path: TreePath,
    row: m.TermRow,
    amount: Dimension | None,
    extent: Dimension | None,
    factors: Mapping[str, m.FactorFile],
) -> Findings:
    factor = factors.get(row.factor)
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
    per_unit = formula.extent.per_unit
    reported = quiet_dimension(file.quantity.unit)
    ratio = (
        (yield from check_unit((*path, "per_unit", "unit"), per_unit.unit)) if per_unit else dimension("1")
    )
    if extent and reported and ratio and not reported.times(ratio).same_kind(extent):
        found = file.quantity.unit + (f" × {per_unit.unit}" if per_unit else "")
        yield Finding(
            path, found, f"units that give {formula.extent.unit}", "correct per_unit, or the functional unit"
        )
    name = formula.extent.attribute
    if name is None:
        return
    rules = file.attributes.get(name)
    unit = quiet_dimension(rules.unit) if rules else None
    if rules is None or rules.kind != "number" or (unit and extent and not unit.same_kind(extent)):
        yield Finding(
            (*path, "attribute"),
            repr(name),
            f"a number attribute in {formula.extent.unit}",
            "add it to attributes, or correct its unit",
        )


def _check_examples(file: m.BehaviourFile) -> Findings:
    for index, example in enumerate(file.examples):
        results = [example.energy_g, example.avoided_mg]
        if example.refused is not None and example.refused not in CODES:
            yield Finding(
                ("examples", index, "refused"),
                repr(example.refused),
                "a refusal code",
                "see the list of codes in docs",
            )
        if (example.refused is not None) != all(result is None for result in results) or results.count(
            None
        ) == 1:
            yield Finding(
                ("examples", index),
                "an unclear result",
                "energy_g and avoided_mg, or refused",
                "write both results or the code",
            )


def check_own_shares(file: m.BehaviourFile, game: m.GameFile) -> Findings:
    """A behaviour's own bounds of a friend's draw fit together with what comes from the game."""
    for day in sorted({file.in_force.from_, *rulebuild.days_in(file.ball), *rulebuild.days_in(game)}):
        low, high = (
            rulebuild.on(getattr(file.ball, key), "1", day) or rulebuild.on(getattr(game, key), "1", day)
            for key in ("share_min_pct", "share_max_pct")
        )
        if low and high and low.amount > high.amount:
            yield Finding(
                ("ball",),
                f"share_min_pct {low.text} above share_max_pct {high.text} on {day}",
                "min at most max",
                "set both in the behaviour",
            )
            return
