"""From rulebook and registry to the terms that the core decides by: seasons as instants, batching, timers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from engine.core.rules import Programme, RuleBook, SeasonWindow
from engine.core.units import DAY_MS, local_day, local_instant
from partners.core.model import PartnerTerms, Season, Terms

SEASONS_AHEAD = 3
DEFAULT_MIN_TREES = 20
DEFAULT_WAIT_D = 30


@dataclass(frozen=True, slots=True)
class Hurry:
    """For demonstrations only: no partner waits for a fuller order than this, nor a tree longer than this."""

    minimum_trees: int = 1
    maximum_wait_ms: int = 0


TermsOf = Callable[[RuleBook, int], Mapping[str, Terms]]


def terms_reader(partners: Mapping[str, PartnerTerms], hurry: Hurry | None = None) -> TermsOf:
    """A function of rulebook and instant to the terms of all programmes; worked out once a day and
    rulebook."""
    known: dict[tuple[str, date], Mapping[str, Terms]] = {}

    def read(rules: RuleBook, now: int) -> Mapping[str, Terms]:
        place = (rules.hash, local_day(now, "UTC"))
        if place not in known:
            known.clear()
            known[place] = {
                programme.id: _hurried(_terms(programme, partners, place[1]), hurry)
                for programme in rules.programmes.values()
            }
        return known[place]

    return read


def _hurried(terms: Terms, hurry: Hurry | None) -> Terms:
    if hurry is None:
        return terms
    return replace(terms, minimum_trees=hurry.minimum_trees, maximum_wait_ms=hurry.maximum_wait_ms)


def _terms(programme: Programme, partners: Mapping[str, PartnerTerms], today: date) -> Terms:
    back_d = programme.energy_back_d(today)
    return Terms(
        programme=programme.id,
        with_partner=partners.get(programme.partner) or PartnerTerms(programme.partner),
        species=programme.species,
        region=programme.region,
        site=programme.id,  # a programme has one site so far
        granularity=programme.granularity,
        unit_price_minor=programme.unit_price_minor(today) or 0,
        currency=programme.currency,
        minimum_trees=programme.order_min_trees(today) or DEFAULT_MIN_TREES,
        maximum_wait_ms=(programme.wait_max_d(today) or DEFAULT_WAIT_D) * DAY_MS,
        seasons=_seasons(programme, today),
        energy_back_ms=None if back_d is None else back_d * DAY_MS,
    )


def _seasons(programme: Programme, today: date) -> tuple[Season, ...]:
    found: list[Season] = []
    on = today
    for _ in range(SEASONS_AHEAD):
        window = programme.next_season(on)
        found.append(_season(window))
        on = window.order_by_on + timedelta(days=1)
    return tuple(found)


def _season(window: SeasonWindow) -> Season:
    return Season(
        id=f"{window.year}-{window.id}",
        opens_at=_begin(window.opens_on),
        closes_at=_end(window.closes_on),
        order_by_at=_end(window.order_by_on),
    )


def _begin(on: date) -> int:
    return local_instant(on, 0, "UTC")


def _end(on: date) -> int:
    return _begin(on + timedelta(days=1)) - 1
