"""Whether a factor's file hangs together: figures or parts, units, regions to fall back to, and no circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from engine.core.dimensions import Dimension
from engine.rulefiles import models as m
from engine.rulefiles.checks import HUGE, Finding, Findings, check_unit, quiet_dimension, unknown_factor
from engine.rulefiles.reading import TreePath, path_text
from engine.rulefiles.scalars import Exact

FACTOR_DEPTH_MAX = 5


def check_factor(file: m.FactorFile, factors: Mapping[str, m.FactorFile], known: set[str]) -> Findings:
    """A factor has figures or parts, in a unit of CO2e per something, without two figures for one day."""
    unit = yield from check_unit(("unit",), file.unit)
    if unit is not None and ("CO2e", 1) not in unit.powers:
        yield Finding(
            ("unit",), file.unit, "CO2e per something, such as kgCO2e/km", "write the unit of the source"
        )
    figures = file.figures is not None or file.tables is not None
    if figures == (file.made_of is not None):
        found = "figures and made_of" if figures else "neither figures nor made_of"
        yield Finding((), found, "one of the two", "keep one")
        return
    if figures:
        yield from _check_figures(file)
    for index, part in enumerate(file.made_of or []):
        yield from _check_part(("made_of", index), part, unit, factors, known)
    yield from _check_cycle(file, factors)


def _check_figures(file: m.FactorFile) -> Findings:
    for key in ("figures", "tables"):
        if getattr(file, key) == []:
            yield Finding((key,), "an empty list", "at least one figure", "add one, or write made_of")
    seen: dict[tuple[str, int, date], TreePath] = {}
    for path, key, exact in _figures(file):
        region, year, since = key
        first = seen.setdefault(key, path)
        if first != path:
            found = f"a second figure of {region} {year} from {since} (the first is {path_text(first)})"
            fix = "give it the day from which it replaces the other"
            yield Finding(path, found, "one figure for a region, year and day", fix)
        if exact.amount < 0 or exact.amount > HUGE:
            yield Finding(path, exact.text, f"a number from 0 to {HUGE:,}", "check the value and the unit")
    regions = {region for region, _, _ in seen}
    for index, region in enumerate(file.fallback):
        if region not in regions:
            yield Finding(
                ("fallback", index),
                repr(region),
                "a region that has a figure",
                f"one of: {', '.join(sorted(regions))}",
            )
    if not file.fallback:
        yield Finding(
            ("fallback",),
            "no fallback",
            "the regions to take when the user's has none",
            "add fallback: [CN] or the like",
        )


def _figures(file: m.FactorFile) -> Iterator[tuple[TreePath, tuple[str, int, date], Exact]]:
    """Every figure of a factor: its path; its region, year and first day; and the number."""
    for index, row in enumerate(file.figures or []):
        yield ("figures", index, "value"), (row.region, row.year, row.from_), row.value
    for index, table in enumerate(file.tables or []):
        for region, years in table.values.items():
            for year, exact in years.items():
                yield ("tables", index, "values", region, str(year)), (region, year, table.from_), exact


def _check_part(
    path: TreePath,
    part: m.FactorPart,
    unit: Dimension | None,
    factors: Mapping[str, m.FactorFile],
    known: set[str],
) -> Findings:
    if part.factor not in known:
        yield unknown_factor((*path, "factor"), part.factor, known)
        return
    amount = yield from check_unit((*path, "amount", "unit"), part.amount.unit)
    other = factors.get(part.factor)
    inner = quiet_dimension(other.unit) if other else None
    if unit and amount and inner and not inner.times(amount).same_kind(unit):
        found = f"{part.amount.unit} of {part.factor}, which is in {other.unit if other else '?'}"
        yield Finding(
            (*path, "amount", "unit"), found, "a unit that leads to the factor's own", "check both units"
        )


def _check_cycle(file: m.FactorFile, factors: Mapping[str, m.FactorFile]) -> Findings:
    """No circle among factors, and no more than a few that are made of one another."""
    waiting = [(part.factor, (file.id,)) for part in file.made_of or []]
    deepest: dict[str, int] = {}
    while waiting:
        name, trail = waiting.pop()
        if name == file.id:
            found = "a circle: " + " is made of ".join((*trail, name))
            yield Finding(
                ("made_of",), found, "factors made of others that lead to figures", "take one part out"
            )
            return
        if len(trail) > FACTOR_DEPTH_MAX:
            found = "more than so many deep: " + " is made of ".join((*trail, name))
            yield Finding(
                ("made_of",), found, f"at most {FACTOR_DEPTH_MAX} levels", "name the parts themselves"
            )
            return
        if deepest.get(name, 0) < len(trail) and name in factors and name not in trail:
            deepest[name] = len(trail)
            waiting += [(part.factor, (*trail, name)) for part in factors[name].made_of or []]
