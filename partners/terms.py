"""From rulebook and registry to what the core decides by: what a programme offers, by whom, how long its trees wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from engine.core.rules import Programme, RuleBook
from engine.core.units import DAY_MS, local_day
from partners.core.model import PartnerTerms, Terms

DEFAULT_WAIT_D = 30

TermsOf = Callable[[RuleBook, int], Mapping[str, Terms]]


def terms_reader(partners: Mapping[str, PartnerTerms]) -> TermsOf:
    """A function of rulebook and instant to the terms of all programmes; worked out once a day and
    rulebook."""
    known: dict[tuple[str, date], Mapping[str, Terms]] = {}

    def read(rules: RuleBook, now: int) -> Mapping[str, Terms]:
        place = (rules.hash, local_day(now, "UTC"))
        if place not in known:
            known.clear()
            known[place] = {
                programme.id: _terms(programme, partners, place[1]) for programme in rules.programmes.values()
            }
        return known[place]

    return read


def _terms(programme: Programme, partners: Mapping[str, PartnerTerms], today: date) -> Terms:
    back_d = programme.energy_back_d(today)
    return Terms(
        programme=programme.id,
        with_partner=partners.get(programme.partner) or PartnerTerms(programme.partner),
        species=programme.species,
        region=programme.region,
        granularity=programme.granularity,
        unit_price_minor=programme.unit_price_minor(today) or 0,
        currency=programme.currency,
        maximum_wait_ms=(programme.wait_max_d(today) or DEFAULT_WAIT_D) * DAY_MS,
        energy_back_ms=None if back_d is None else back_d * DAY_MS,
    )
