"""Whether a behaviour's file hangs together: folder, days, units, factors, attributes, ball and examples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from engine.core.errors import CODES
from engine.core.rules import CATEGORIES
from engine.core.sent import ACCOUNT
from engine.rulefiles import building as rulebuild
from engine.rulefiles import models as m
from engine.rulefiles.checks import (
    ENDABLE,
    Finding,
    Findings,
    check_unit,
    series_in,
)
from engine.rulefiles.formula_checks import check_formulas, tables_in
from engine.rulefiles.reading import TreePath

NUMBERED = ("number", "numbers", "legs")  # kinds that hold numbers

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
    yield from _check_caps(file)
    yield from check_formulas(file, factors, known)
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
    for path, tables in tables_in(file):
        if min(tables) > first:
            yield Finding(
                path, f"nothing before {min(tables)}", f"a table from {first}", "add one or begin later"
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
        if name in ("evidence", "grade") or name in file.measures:
            yield Finding(path, repr(name), "a name that nothing else has", "rename the attribute")
        if rules.kind in NUMBERED:
            if rules.unit is None:
                yield Finding(path, "a number without unit", "its unit", "add unit: … (1 for a mere number)")
            else:
                yield from check_unit((*path, "unit"), rules.unit)
            yield from _check_bounds(path, rules.min, rules.max)
        elif rules.unit or rules.min or rules.max:
            article = "an" if rules.kind[0] in "aeiou" else "a"
            found = f"{article} {rules.kind} with a unit or bounds"
            yield Finding(path, found, "none of them", "remove unit, min and max")
        yield from _check_choices(path, rules)
        if not 1 <= rules.most <= m.ITEMS_MAX:
            found, expected = str(rules.most), f"a whole number from 1 to {m.ITEMS_MAX}"
            yield Finding((*path, "most"), found, expected, "write how many there may be")
        if (rules.kind == "account") != (name == ACCOUNT):
            found = f"{name!r} of kind {rules.kind}"
            fix = f"call it {ACCOUNT}, with kind: account"
            yield Finding(path, found, f"the kind account and the name {ACCOUNT} together", fix)


def _check_choices(path: TreePath, rules: m.AttributeRules) -> Findings:
    if (rules.choices is not None) != (rules.kind in ("choice", "legs")):
        found = f"a {rules.kind} " + ("with choices" if rules.choices else "without choices")
        yield Finding(path, found, "choices for a choice or legs, and nothing else", "add or remove choices")
    if rules.default is not None and (
        rules.kind != "choice" or rules.required or rules.default not in (rules.choices or {})
    ):
        expected = "one of the choices of a choice attribute that is not required"
        yield Finding((*path, "default"), repr(rules.default), expected, "correct or remove it")


def _check_caps(file: m.BehaviourFile) -> Findings:
    if file.caps.month_count_per_account is not None and ACCOUNT not in file.attributes:
        path = ("caps", "month_count_per_account")
        fix = f"add attributes: {ACCOUNT}: {{kind: account, required: true, …}}"
        yield Finding(path, "a cap by account without one", f"an attribute {ACCOUNT}", fix)


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


def _check_examples(file: m.BehaviourFile) -> Findings:
    for index, example in enumerate(file.examples):
        results = [example.energy_g, example.avoided_mg]
        told = example.points is not None or example.money_minor is not None
        if told and file.points is None:
            found = "points of a behaviour without points"
            yield Finding(
                ("examples", index), found, "energy_g and avoided_mg", "remove points and money_minor"
            )
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
