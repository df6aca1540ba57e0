"""From checked files to the frozen rulebook: dates become stretches of time in which nothing changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import date
from decimal import Decimal

from engine.core.factors import Factor, FactorValue, Part
from engine.core.rules import (
    BallPolicy,
    Behaviour,
    BehaviourInForce,
    Caps,
    Evidence,
    GameRules,
    GameSettings,
    Programme,
    Season,
    Species,
    whole,
)
from engine.core.values import Dated, Reference, Value
from engine.rulefiles import models as m
from engine.rulefiles.building_formulas import (
    attribute,
    avoided_on,
    energy_on,
    factors_named,
    measures_on,
    picks_of,
    points_on,
)
from engine.rulefiles.dating import dated, days_in, on, one_of, sure, unit_of
from engine.rulefiles.scalars import Exact

CAPS = tuple(cap.name for cap in fields(Caps))
SETTINGS = tuple(setting.name for setting in fields(GameSettings))
DEFAULTED = {setting.name for setting in fields(GameSettings) if setting.default is not MISSING}
BALL_SETTINGS = tuple(name for name in SETTINGS if name in m.BallRules.model_fields)
MORNING = ("morning_from_min", "morning_window_min")


# --- parts of a behaviour ---------------------------------------------------------------------------


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
    unit = file.quantity.unit
    energy, avoided, points = energy_on(file.energy, unit, day), avoided_on(file.avoided, day), None
    if file.points is not None:
        points = points_on(file.points, unit, day)
    uncertainty = None
    if not isinstance(file.avoided, m.NoneFormula):
        uncertainty = one_of(file.avoided.uncertainty_pct, "per cent", day)
    return BehaviourInForce(
        since=day,
        quantity_min=Decimal(sure(on(file.quantity.min, unit, day)).text),
        quantity_max=Decimal(sure(on(file.quantity.max, unit, day)).text),
        quantity_decimals=file.quantity.decimals,
        caps=Caps(**{name: whole(value) for name, value in caps.items()}),
        cap_values={name: value for name, value in caps.items() if value is not None},
        ball=ball_on(file.ball, game.on(day), day),
        energy=energy,
        avoided=avoided,
        uncertainty=uncertainty,
        attributes={name: attribute(name, rules, day) for name, rules in file.attributes.items()},
        points=points,
        measures=measures_on(file, day),
        picks=picks_of(file, (energy, avoided, points, uncertainty)),
    )


def factors_used(file: m.BehaviourFile, factors: Mapping[str, Factor]) -> list[str]:
    """The factors that a behaviour's formula takes, with the parts of made-up ones."""
    found: list[str] = []
    waiting = sorted(factors_named(file.avoided))
    while waiting:
        name = waiting.pop()
        if name not in found and name in factors:
            found.append(name)
            waiting += [part.factor for part in factors[name].parts]
    return found


def behaviour(file: m.BehaviourFile, game: GameRules, factors: Mapping[str, Factor]) -> Behaviour:
    """A behaviour with the stretches of time in which nothing about it changes."""
    first, until = file.in_force.from_, file.in_force.until
    days = {first, *days_in(file), *game.history.days}
    for name in factors_used(file, factors):
        days.update(factors[name].days())
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
    for figure in sorted(_figures(file), key=lambda figure: figure.value.since):
        by_region.setdefault(figure.region, []).append(figure)
    return Factor(
        id=file.id,
        names=_both(file.names),
        unit=file.unit,
        boundary=file.boundary,
        fallback=tuple(file.fallback),
        by_region={region: tuple(figures) for region, figures in by_region.items()},
        parts=tuple(
            Part(part.factor, dated(part.amount.values, part.amount.unit)) for part in file.made_of or []
        ),
    )


def _figures(file: m.FactorFile) -> Iterator[FactorValue]:
    for row in file.figures or []:
        yield FactorValue(row.region, row.year, _figure(file, row, row.value), row.table)
    for table in file.tables or []:
        for region, years in table.values.items():
            for year, exact in years.items():
                yield FactorValue(region, year, _figure(file, table, exact), table.table)


def _figure(file: m.FactorFile, row: m.FactorFigure | m.FactorTable, exact: Exact) -> Value:
    references = tuple(row.references)
    return Value(
        exact.amount, exact.text, file.unit, row.from_, row.confidence, references, row.because or ""
    )


def game(file: m.GameFile) -> GameRules:
    """The game's settings by day, from the first on which all are there that have to be."""
    series = {name: dated(getattr(file, name), unit_of(name)) for name in SETTINGS}
    days = sorted({day for values in series.values() for day in values.days})
    needed = [series[name] for name in SETTINGS if name not in DEFAULTED]
    started = [day for day in days if all(values.on(day) is not None for values in needed)]
    settings = [
        GameSettings(
            **{
                name: int(value.amount)
                for name, values in series.items()
                if (value := values.on(day)) is not None
            }
        )
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
        energy_back=dated(file.energy_back_d, "d") if file.energy_back_d else None,
    )


def regions(factors: Iterable[Factor]) -> frozenset[str]:
    """Every region that has a figure of its own."""
    return frozenset(region for factor in factors for region in factor.by_region)


def _both(names: m.Names) -> dict[str, str]:
    return {"zh": names.zh, "en": names.en}
