"""The standard terms of what follows `planted`, read once from `standard_terms.yaml`; an agreement's own come first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.core.units import DAY_MS
from partners.core.after_terms import AfterTerms, AuditStage, Milestone
from partners.core.model import PartnerTerms

LEAP_YEAR = 2028
PERCENT_BP = 100
_DAYS = {"fix_d": "fix_ms", "dispute_decide_d": "dispute_decide_ms", "payments_hold_d": "payments_hold_ms"}
_PLAIN = (
    "own_share_pct",
    "review_workdays",
    "window_d",
    "again_d",
    "plots_min",
    "must_meet",
    "takes_conflicted",
    "dispute_answer_workdays",
    "disturbance_report_d",
)


class TermsError(Exception):
    """The standard terms can't be used; the text says what to mend."""


def with_standard(terms: PartnerTerms) -> PartnerTerms:
    """The partner's terms, with the standard ones where its agreement plans no counts and no milestones."""
    if terms.after.stages or terms.after.milestones:
        return terms
    return replace(terms, after=standard_terms())


@cache
def standard_terms() -> AfterTerms:
    """The terms of the file that ships with this package. Raises TermsError."""
    return read_terms(files("partners").joinpath("standard_terms.yaml").read_text("utf-8"))


def read_terms(text: str) -> AfterTerms:
    """Terms from YAML; each figure must name a reference that the file has. Raises TermsError."""
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError as problem:
        raise TermsError(f"the terms are not YAML: {problem}") from problem
    if not isinstance(found, dict):
        raise TermsError("the terms are a mapping of names to values")
    known = {"references", "review_levels", "stages", "season", "bands_pct", "milestones", *_DAYS, *_PLAIN}
    odd = sorted(set(found) ^ known)
    if odd:
        raise TermsError(f"{odd[0]}: missing, or not known here")
    _check_references(found)
    try:
        return _terms(found)
    except (KeyError, TypeError, ValueError) as problem:
        raise TermsError(f"the terms do not have the expected shape: {problem!r}") from problem


def _terms(found: Mapping[str, Any]) -> AfterTerms:
    plain = {name: found[name]["value"] for name in _PLAIN}
    for name in set(_PLAIN) - {"must_meet", "takes_conflicted"}:
        _whole(plain[name])
    days = {field: _whole(found[name]["value"]) * DAY_MS for name, field in _DAYS.items()}
    stages = tuple(AuditStage(**stage) for stage in found["stages"]["value"])
    milestones = tuple(Milestone(**milestone) for milestone in found["milestones"]["value"])
    season = found["season"]["value"]
    for day in season or ():
        date.fromisoformat(f"{LEAP_YEAR}-{day}")
        if day == "02-29":
            raise ValueError("a season does not begin or end on 29 February")
    for stage in stages:
        _whole(stage.autumn, 100)
        _whole(stage.months, 1200)
    if sum(_whole(milestone.pct, 100) for milestone in milestones) != 100:
        raise ValueError("milestones add up to 100 %")
    if plain["must_meet"] not in ("estimate", "lower_bound"):
        raise ValueError("must_meet is estimate or lower_bound")
    bands = {
        rainfall: {figure: _whole(band[figure], 100) * PERCENT_BP for figure in ("survival", "preservation")}
        for rainfall, band in found["bands_pct"].items()
    }
    return AfterTerms(
        review_levels=tuple(found["review_levels"]["value"]),
        stages=stages,
        season=(season[0], season[1]) if season else None,
        bands_bp=bands,
        milestones=milestones,
        **plain,
        **days,
    )


def _whole(value: object, most: int = 10_000) -> int:
    """A whole number from 1 to the most that makes sense."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"{value!r} is no whole number from 1 to {most}")
    return value


def _check_references(found: Mapping[str, Any]) -> None:
    known = set(found["references"])
    figures = {name: value for name, value in found.items() if name not in ("references", "bands_pct")}
    figures |= {f"bands_pct.{name}": band for name, band in found["bands_pct"].items()}
    for name, value in figures.items():
        named = value.get("references") if isinstance(value, dict) else None
        if not named or not set(named) <= known:
            raise TermsError(f"{name}: name a reference of this file")
