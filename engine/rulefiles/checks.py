"""What a file's shape cannot show: whether ids meet, units balance, and numbers are plausible.

Every check yields findings with a path; `engine.rulebook` adds file and line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from pydantic import BaseModel

from engine.core.dimensions import KNOWN, Dimension, UnknownUnit, dimension
from engine.core.exclusion import WINDOW_S_MAX
from engine.rulefiles import building as rulebuild
from engine.rulefiles import models as m
from engine.rulefiles.reading import TreePath
from engine.rulefiles.scalars import Exact

HUGE = 10**12
WHOLE_G = (1, 10**9)
# key: least and most that a value may be, both included; whole numbers only
WHOLE_BOUNDS: dict[str, tuple[int, int]] = {
    "event_g": WHOLE_G,
    "day_g": WHOLE_G,
    "month_g": WHOLE_G,
    "year_g": WHOLE_G,
    "day_count": (1, 10_000),
    "month_count": (1, 100_000),
    "year_count": (1, 1_000_000),
    "month_count_per_account": (1, 100_000),
    "ripen_delay_h": (0, 8_760),
    "life_h": (1, 8_760),
    "floor_pct": (0, 100),
    "head_start_s": (0, 86_400),
    "share_min_pct": (0, 100),
    "share_max_pct": (1, 100),
    "share_less_pct": (0, 100),
    "late_limit_d": (0, 3_650),
    "morning_from_min": (0, 1_439),
    "morning_window_min": (1, 1_440),
    "future_tolerance_s": (0, 86_400),
    "friends_max": (1, 100_000),
    "collect_balls_max": (1, 1_000),
    "forest_balls_max": (1, 10_000),
    "overlap_window_s": (0, WINDOW_S_MAX),
    "day_acts_max": (1, 200),
    "shown_day_max": (0, 1000),
    "review_share_pct": (0, 100),
    "energy_g": WHOLE_G,
    "unit_price_minor": (0, 10**9),
    "order_min_trees": (1, 10**9),
    "wait_max_d": (1, 3_650),
    "energy_back_d": (1, 3_650),
}
BOUNDS: dict[str, tuple[int, int]] = {
    "share": (0, 1),
    "uncertainty_pct": (0, 1_000),
    "grams": (0, 10**9),
    "grams_per_unit": (0, 10**9),
    "least_g": (0, 10**9),
    "most_g": (0, 10**9),
    "points": (0, 10**9),
    "points_per_unit": (0, 10**9),
    "least_points": (0, 10**9),
    "most_points": (0, 10**9),
    "minor_per_point": (0, 10**9),
    "years": (0, 100),
    "least_pct": (0, 100),
    "norm": (0, HUGE),
    "min": (0, HUGE),
    "max": (0, HUGE),
    "values": (0, HUGE),
}
ENDABLE = rulebuild.CAPS  # only a cap may be ended by null


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a path of a file's tree."""

    path: TreePath
    found: str
    expected: str
    fix: str


Findings = Iterator[Finding]


# --- walking ----------------------------------------------------------------------------------------


def walk(tree: object, path: TreePath = ()) -> Iterator[tuple[TreePath, BaseModel]]:
    """Every model in a file with its path."""
    if isinstance(tree, BaseModel):
        yield path, tree
        for name, field in type(tree).model_fields.items():
            yield from walk(getattr(tree, name), (*path, field.alias or name))
    elif isinstance(tree, dict):
        for key, inner in tree.items():
            yield from walk(inner, (*path, key.isoformat() if isinstance(key, date) else key))
    elif isinstance(tree, list):
        for index, inner in enumerate(tree):
            yield from walk(inner, (*path, index))


def series_in(tree: BaseModel) -> Iterator[tuple[TreePath, str, dict[date, m.DatedValue]]]:
    """Every dated series in a file: its path, its key, its values."""
    for path, model in walk(tree):
        for name in type(model).model_fields:
            inner = getattr(model, name)
            if _is_series(inner):
                yield (*path, name), name, inner
            elif isinstance(inner, m.Picked):
                picked = ((key, one) for key, one in inner.of.items() if _is_series(one))
                yield from (((*path, name, "of", key), name, one) for key, one in picked)


def _is_series(found: object) -> bool:
    return isinstance(found, dict) and any(isinstance(value, m.DatedValue) for value in found.values())


def cited_in(tree: BaseModel) -> Iterator[m.Cited]:
    """Everything in a file that says how sure it is."""
    return (model for _, model in walk(tree) if isinstance(model, m.Cited))


# --- every file -------------------------------------------------------------------------------------


def check_citations(file: BaseModel, references: Mapping[str, m.Reference] | None) -> Findings:
    """Each number tells where it is from, and how it was made unless a source prints it."""
    for path, model in walk(file):
        if isinstance(model, m.Cited) and model.confidence != "documented" and not model.because:
            expected = "how it was worked out" if model.confidence == "derived" else "why it was chosen"
            found = f"a value that is {model.confidence} without 'because'"
            yield Finding(path, found, expected, "add because: … in a sentence")
        if isinstance(model, m.Sourced) and references is not None:
            yield from _check_sources(path, model, references)


def _check_sources(path: TreePath, model: m.Sourced, references: Mapping[str, m.Reference]) -> Findings:
    for index, name in enumerate(model.references):
        where = (*path, "references", index)
        if name not in references:
            found = f"the unknown reference {name!r}"
            yield Finding(where, found, "an id from references.yaml", "add it to references.yaml")
        elif isinstance(model, m.FactorFigure | m.FactorTable) and not references[name].licence:
            fix = f"add licence: to {name} in references.yaml"
            yield Finding(where, f"{name!r} without a licence", "a licence for the source of a factor", fix)


def check_numbers(file: BaseModel) -> Findings:
    """Each number of the rulebook is plausible, whole where it must be, and there where it is needed."""
    for path, key, series in series_in(file):
        for day, written in series.items():
            where = (*path, day.isoformat(), "value")
            if written.value is None:
                if key not in ENDABLE:
                    yield Finding(where, "null", "a number: only caps can be ended", "write the number")
                continue
            yield from _check_number(where, key, written.value)


def _check_number(where: TreePath, key: str, exact: Exact) -> Findings:
    low, high = WHOLE_BOUNDS.get(key) or BOUNDS[key]
    kind = "a whole number" if key in WHOLE_BOUNDS else "a number"
    right = low <= exact.amount <= high and (key not in WHOLE_BOUNDS or exact.amount.denominator == 1)
    if not right:
        yield Finding(
            where, exact.text, f"{kind} from {low:,} to {high:,}", f"check the value and the unit of {key}"
        )
    elif "/" in exact.text and key in ("min", "max", *WHOLE_BOUNDS):
        yield Finding(where, exact.text, "a decimal number", "write it without /")


def check_id(file: Any, stem: str) -> Findings:
    """The id is the file's name."""
    if file.id != stem:
        yield Finding(
            ("id",), repr(file.id), f"the file's name, {stem!r}", "rename the file or change the id"
        )


# --- references, units ----------------------------------------------------------------------------


def check_reference_file(file: m.ReferencesFile) -> Findings:
    """Each reference can be found by a reader."""
    for name, reference in file.references.items():
        if not (reference.link or reference.document):
            yield Finding(
                ("references", name), "no link and no document", "one of them", "add link: or document:"
            )


def unknown_factor(path: TreePath, name: str, known: Iterable[str]) -> Finding:
    """The finding for a factor that there is not."""
    return Finding(
        path,
        f"the unknown factor {name!r}",
        "the id of a file in factors/",
        f"one of: {', '.join(sorted(known))}",
    )


def check_unit(path: TreePath, unit: str) -> Iterator[Any]:
    """The dimension of a unit (as the generator's result); a finding when there is none such."""
    try:
        return dimension(unit)
    except UnknownUnit as problem:
        yield Finding(
            path,
            f"the unknown unit {str(problem)!r} in {unit!r}",
            f"units made of: {', '.join(KNOWN)}",
            "correct it, or add the unit to engine/core/dimensions.py",
        )
        return None


def quiet_dimension(unit: str | None) -> Dimension | None:
    """The dimension of a unit; None when there is none such (told elsewhere)."""
    try:
        return dimension(unit) if unit else None
    except UnknownUnit:
        return None


# --- game, programmes -------------------------------------------------------------------------------


def check_game(file: m.GameFile) -> Findings:
    """The game's settings fit together on every day."""
    for day in sorted({day for _, _, series in series_in(file) for day in series}):
        low, high = (rulebuild.on(getattr(file, key), "1", day) for key in ("share_min_pct", "share_max_pct"))
        if low and high and low.amount > high.amount:
            yield Finding(
                ("share_min_pct",),
                f"{low.text} above share_max_pct on {day}",
                "at most share_max_pct",
                "correct one of them",
            )
        start, length = (
            rulebuild.on(getattr(file, key), "1", day) for key in ("morning_from_min", "morning_window_min")
        )
        if start and length and start.amount + length.amount > Fraction(1_440):
            yield Finding(
                ("morning_window_min",),
                f"a morning that ends after midnight on {day}",
                "the end of the window within the day",
                "shorten it",
            )


def check_programme(file: m.ProgrammeFile, species: Mapping[str, Any]) -> Findings:
    """A programme plants a known species, somewhere on Earth, and has all its prices from its first day."""
    if file.species not in species:
        yield Finding(
            ("species",),
            f"the unknown species {file.species!r}",
            "the id of a file in species/",
            f"one of: {', '.join(sorted(species))}",
        )
    if file.close_on and file.close_on < file.open_on:
        yield Finding(
            ("close_on",), str(file.close_on), "a day not before open_on", "correct one of the days"
        )
    for key, most in (("latitude", 90), ("longitude", 180)):
        exact: Exact = getattr(file.site, key)
        if abs(exact.amount) > most or "/" in exact.text:
            yield Finding(("site", key), exact.text, f"decimal degrees from -{most} to {most}", "correct it")
    for path, _, series in series_in(file):
        if min(series) > file.open_on:
            yield Finding(
                path,
                f"nothing before {min(series)}",
                f"a value from {file.open_on}, when it opens",
                "add one, or open later",
            )
    names = [row.id for row in file.seasons]
    for index, name in enumerate(names):
        if names.index(name) != index:
            yield Finding(
                ("seasons", index, "id"),
                f"the season {name!r} twice",
                "each season once",
                "rename or merge them",
            )
