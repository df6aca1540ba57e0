"""From checked files to the frozen rulebook: dates become stretches of time in which nothing changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal

from pydantic import BaseModel

from engine.core.rules import (
    Attribute,
    AvoidedFormula,
    BallPolicy,
    Behaviour,
    BehaviourInForce,
    Caps,
    Constant,
    Dated,
    EnergyFormula,
    Evidence,
    Factor,
    FactorValue,
    GameRules,
    GameSettings,
    NoAmount,
    Part,
    Programme,
    Ratio,
    Reference,
    Scenarios,
    Season,
    Species,
    Step,
    StepTable,
    Term,
    Value,
    whole,
)
from engine.rulefiles import models as m

CAPS = tuple(cap.name for cap in fields(Caps))
SETTINGS = tuple(setting.name for setting in fields(GameSettings))
BALL_SETTINGS = tuple(name for name in SETTINGS if name in m.BallRules.model_fields)
MORNING = ("morning_from_min", "morning_window_min")


# --- values -----------------------------------------------------------------------------------------


def value_of(day: date, written: m.DatedValue, unit: str) -> Value | None:
    """One dated value; None where the file ends it with null."""
    if written.value is None:
        return None
    exact = written.value
    references = tuple(written.references)
    return Value(exact.amount, exact.text, unit, day, written.confidence, references, written.because or "")


def dated(series: Mapping[date, m.DatedValue] | None, unit: str) -> Dated[Value | None]:
    """A series in order of its days."""
    days = tuple(sorted(series or {}))
    return Dated(days, tuple(value_of(day, (series or {})[day], unit) for day in days))


def on(series: Mapping[date, m.DatedValue] | None, unit: str, day: date) -> Value | None:
    """The value of a series in force on a day."""
    return dated(series, unit).on(day)


def measured(amount: m.Measured | None, day: date) -> Value | None:
    """The value of a measured amount in force on a day."""
    return on(amount.values, amount.unit, day) if amount else None


def unit_of(key: str) -> str:
    """The unit that a key's ending names: `day_g` is in g."""
    ending = key.rsplit("_", 1)[-1]
    return (
        ending if ending in ("g", "h", "s", "d", "min", "minor") else "per cent" if ending == "pct" else "1"
    )


def sure(value: Value | None) -> Value:
    """A value that the checks have found to be there."""
    assert value is not None, "a required value is missing; the checks should have found it"
    return value


# --- parts of a behaviour ---------------------------------------------------------------------------


def energy_on(formula: m.EnergyFormula, unit: str, day: date) -> EnergyFormula:
    """The energy formula with the values of a day."""
    if isinstance(formula, m.ConstantFormula):
        return Constant(formula.method, sure(on(formula.grams, "g", day)))
    if isinstance(formula, m.RatioFormula):
        return Ratio(formula.method, sure(on(formula.grams_per_unit, f"g/{unit}", day)))
    if isinstance(formula, m.StepTableFormula):
        since = max(since for since in formula.tables if since <= day)
        table = formula.tables[since]
        steps = tuple(Step(row.from_quantity.amount, row.grams.amount) for row in table.steps)
        return StepTable(formula.method, steps, since, table.confidence, tuple(table.references))
    return NoAmount(formula.method, formula.reason)


def avoided_on(formula: m.AvoidedFormula, day: date) -> AvoidedFormula:
    """The formula of avoided emissions with the values of a day."""
    if isinstance(formula, m.NoneFormula):
        return NoAmount(formula.method, formula.reason)
    if isinstance(formula, m.ConstantAvoidedFormula):
        return Constant(formula.method, sure(on(formula.grams, "gCO2e", day)))
    baseline, project = sides(formula)
    return Scenarios(
        method=formula.method,
        functional_unit=formula.extent.unit,
        per_unit=measured(formula.extent.per_unit, day),
        attribute=formula.extent.attribute,
        share=on(formula.share, "1", day),
        baseline=tuple(Term(row.factor, measured(row.amount, day)) for row in baseline),
        project=tuple(Term(row.factor, measured(row.amount, day)) for row in project),
    )


def sides(formula: m.FactorFormula | m.DifferenceFormula) -> tuple[list[m.TermRow], list[m.TermRow]]:
    """Baseline and project lines; a factor times a quantity is a baseline alone."""
    if isinstance(formula, m.FactorFormula):
        return [formula.factor], []
    return formula.baseline, formula.project


def ball_on(rules: m.BallRules, game: GameSettings, day: date) -> BallPolicy:
    """The ball policy of a day: the behaviour's own values, else the game's."""
    settings: dict[str, int] = {name: getattr(game, name) for name in MORNING}
    for name in BALL_SETTINGS:
        own = whole(on(getattr(rules, name), unit_of(name), day))
        settings[name] = getattr(game, name) if own is None else own
    return BallPolicy(ripens=rules.ripens, counts_from=rules.counts_from, **settings)


def in_force_on(file: m.BehaviourFile, game: GameRules, day: date) -> BehaviourInForce:
    """All values of a behaviour on a day."""
    caps = {name: on(getattr(file.caps, name), unit_of(name), day) for name in CAPS}
    uncertainty = (
        None if isinstance(file.avoided, m.NoneFormula) else on(file.avoided.uncertainty_pct, "per cent", day)
    )
    unit = file.quantity.unit
    return BehaviourInForce(
        since=day,
        quantity_min=Decimal(sure(on(file.quantity.min, unit, day)).text),
        quantity_max=Decimal(sure(on(file.quantity.max, unit, day)).text),
        quantity_decimals=file.quantity.decimals,
        caps=Caps(**{name: whole(value) for name, value in caps.items()}),
        cap_values={name: value for name, value in caps.items() if value is not None},
        ball=ball_on(file.ball, game.on(day), day),
        energy=energy_on(file.energy, unit, day),
        avoided=avoided_on(file.avoided, day),
        uncertainty=uncertainty,
        attributes={name: attribute(name, rules, day) for name, rules in file.attributes.items()},
    )


def attribute(name: str, rules: m.AttributeRules, day: date) -> Attribute:
    """A further field, with its bounds of a day."""
    unit = rules.unit or "1"
    low, high = on(rules.min, unit, day), on(rules.max, unit, day)
    return Attribute(name, rules.kind, unit, rules.required, low, high, rules.decimals)


def days_in(tree: object) -> Iterator[date]:
    """Every day from which something in a model comes into force."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            if isinstance(key, date):
                yield key
            yield from days_in(inner)
    elif isinstance(tree, BaseModel):
        for name in type(tree).model_fields:
            yield from days_in(getattr(tree, name))
    elif isinstance(tree, list):
        for inner in tree:
            yield from days_in(inner)


def factors_used(file: m.BehaviourFile, factors: Mapping[str, Factor]) -> list[str]:
    """The factors that a behaviour's formula takes, with the parts of made-up ones."""
    if isinstance(file.avoided, m.NoneFormula | m.ConstantAvoidedFormula):
        return []
    baseline, project = sides(file.avoided)
    found: list[str] = []
    waiting = [row.factor for row in (*baseline, *project)]
    while waiting:
        name = waiting.pop()
        if name not in found and name in factors:
            found.append(name)
            waiting += [part.factor for part in factors[name].parts]
    return found


def _factor_days(factor: Factor) -> Iterator[date]:
    for figures in factor.by_region.values():
        yield from figures.days
    for part in factor.parts:
        yield from part.amount.days


def behaviour(file: m.BehaviourFile, game: GameRules, factors: Mapping[str, Factor]) -> Behaviour:
    """A behaviour with the stretches of time in which nothing about it changes."""
    first, until = file.in_force.from_, file.in_force.until
    days = {first, *days_in(file), *game.history.days}
    for name in factors_used(file, factors):
        days.update(_factor_days(factors[name]))
    days = {day for day in days if day >= first and (until is None or day < until)}
    history: list[tuple[date, BehaviourInForce | None]] = [
        (day, in_force_on(file, game, day)) for day in sorted(days)
    ]
    if until is not None:
        history.append((until, None))
    return Behaviour(
        id=file.id,
        category=file.category,
        names=_both(file.names),
        description=_both(file.description),
        icon=file.icon,
        others_see=file.others_see,
        unit=file.quantity.unit,
        running_total=file.running_total,
        family=file.family or file.id,
        evidence=tuple(Evidence(row.kind, row.grade, row.what) for row in file.evidence),
        scenario=file.scenario.model_dump(),
        history=Dated(tuple(day for day, _ in history), tuple(rules for _, rules in history)),
        excludes=excludes_of(file),
    )


def excludes_of(file: m.BehaviourFile) -> str:
    """Which acts of its family exclude each other."""
    if file.excludes is not None:
        return file.excludes
    if file.running_total:
        return "day"
    return "nothing" if file.family is None else "overlap"


# --- the rest ---------------------------------------------------------------------------------------


def factor(file: m.FactorFile) -> Factor:
    """A factor with its figures by region in order of days, or its parts."""
    by_region: dict[str, list[FactorValue]] = {}
    for row in sorted(file.figures or [], key=lambda row: row.from_):
        value = Value(
            row.value.amount,
            row.value.text,
            file.unit,
            row.from_,
            row.confidence,
            tuple(row.references),
            row.because or "",
        )
        by_region.setdefault(row.region, []).append(FactorValue(row.region, row.year, value, row.table))
    return Factor(
        id=file.id,
        names=_both(file.names),
        unit=file.unit,
        boundary=file.boundary,
        fallback=tuple(file.fallback),
        by_region={
            region: Dated(tuple(row.value.since for row in rows), tuple(rows))
            for region, rows in by_region.items()
        },
        parts=tuple(
            Part(part.factor, dated(part.amount.values, part.amount.unit)) for part in file.made_of or []
        ),
    )


def game(file: m.GameFile) -> GameRules:
    """The game's settings by day."""
    series = {name: dated(getattr(file, name), unit_of(name)) for name in SETTINGS}
    days = sorted({day for values in series.values() for day in values.days})
    started = [day for day in days if all(values.on(day) is not None for values in series.values())]
    settings = [
        GameSettings(**{name: int(sure(values.on(day)).amount) for name, values in series.items()})
        for day in started
    ]
    return GameRules(Dated(tuple(started), tuple(settings)))


def references(file: m.ReferencesFile) -> dict[str, Reference]:
    """The references by id."""
    return {
        name: Reference(
            name, row.title, row.publisher, row.date, row.link, row.document, row.licence, row.note or ""
        )
        for name, row in file.references.items()
    }


def species(file: m.SpeciesFile) -> Species:
    """A species with its price in energy."""
    return Species(file.id, _both(file.names), file.scientific, file.kind, dated(file.energy_g, "g"))


def programme(file: m.ProgrammeFile, planted: Species) -> Programme:
    """A programme; its price in energy is its species' unless it has its own."""
    return Programme(
        id=file.id,
        names=_both(file.names),
        species=file.species,
        partner=file.partner,
        region=file.region,
        site=_both(file.site.names),
        latitude=Decimal(file.site.latitude.text),
        longitude=Decimal(file.site.longitude.text),
        open_on=file.open_on,
        close_on=file.close_on,
        seasons=tuple(
            Season(row.id, _both(row.names), row.order_by, row.opens, row.closes) for row in file.seasons
        ),
        granularity=file.granularity,
        currency=file.currency,
        energy=dated(file.energy_g, "g") if file.energy_g else planted.energy,
        unit_price=dated(file.unit_price_minor, f"minor units of {file.currency}"),
        order_min=dated(file.order_min_trees, "trees"),
        wait_max=dated(file.wait_max_d, "d"),
    )


def regions(factors: Iterable[Factor]) -> frozenset[str]:
    """Every region that has a figure of its own."""
    return frozenset(region for factor in factors for region in factor.by_region)


def _both(names: m.Names) -> dict[str, str]:
    return {"zh": names.zh, "en": names.en}
