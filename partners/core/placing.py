"""Which places there are for a programme's trees, in what order they are tried, and why one is passed over.

The rank is a comparison, criterion by criterion, and no sum of weights: whoever reads a decision can follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from engine.core.units import DAY_MS
from partners.core.context import Context
from partners.core.model import PartnerState, Terms
from partners.core.records.agreed import is_in_force, terms_of
from partners.core.records.rows import Performance, Quota
from partners.core.records.vetting import blocked

CRITERIA = ("named", "season", "tier", "kept", "price", "id")
"""Named by the programme; the earlier season; the higher tier; the larger share of asked trees that it kept; the
lower price; the id."""

WHY_NOT = (
    "no_quota",
    "other_region",
    "no_record",
    "partner_applied",
    "partner_vetting",
    "partner_left",
    "no_agreement",
    "agreement_over",
    "partner_suspended",
    "document_expired",
    "site_not_approved",
    "offer_withdrawn",
    "no_price",
    "other_currency",
    "price_above_funding",
    "season_closed",
    "declined",
    "full",
)
"""All reasons why there is no place, the most remote one first: users are told the nearest."""

LAST_CALL_MS = DAY_MS
"""A day before the last day for orders nothing waits for company any longer."""


@dataclass(slots=True)
class Place:
    """A quota as a place for trees. `why_not`: empty where it can take some; `room`: how many it can still take."""

    quota: Quota
    agreement: str
    price_minor: int
    currency: str
    kept: Fraction
    tier: int
    named: bool
    why_not: str
    room: int

    @property
    def mark(self) -> str:
        """What a unit's `declined` names when this partner has given it back in this season."""
        return f"{self.quota.partner}/{self.quota.season}"

    @property
    def rank(self) -> tuple[Any, ...]:
        """Smaller comes first; the criteria in order."""
        quota = self.quota
        return (not self.named, quota.opens_at, -self.tier, -self.kept, self.price_minor, quota.id)

    def told(self) -> dict[str, Any]:
        """The place as a decision keeps it."""
        quota = self.quota
        return {
            "quota": quota.id,
            "partner": quota.partner,
            "named": self.named,
            "season": quota.season,
            "tier": self.tier,
            "kept": str(self.kept),
            "price_minor": self.price_minor,
            "free": self.room,
            "why_not": self.why_not,
        }


def places(state: PartnerState, names: Sequence[str], terms: Terms, context: Context) -> list[Place]:
    """The places among these quotas for a programme's species, best first; those that can't be used last."""
    found = []
    for name in dict.fromkeys(names):
        quota = state.quotas.get(name)
        if quota is not None and quota.species == terms.species:
            found.append(_place(state, quota, terms, context))
    return sorted(found, key=lambda place: (bool(place.why_not), place.rank))


def nearest(reasons: Sequence[str]) -> str:
    """Of why there is no place, what is nearest to there being one."""
    return max(reasons, key=WHY_NOT.index, default="no_quota")


def kept(performance: Performance | None) -> Fraction:
    """The share of trees that it was asked for and did not give back; 1 where it was asked for none yet."""
    if performance is None or not performance.asked:
        return Fraction(1)
    return Fraction(max(0, performance.asked - performance.given_back), performance.asked)


def _place(state: PartnerState, quota: Quota, terms: Terms, context: Context) -> Place:
    partner = state.partner_records.get(quota.partner)
    row = state.agreements.get(partner.agreement) if partner is not None and partner.agreement else None
    agreed = terms_of(row) if row is not None else None
    price = agreed.price_of(quota.species, quota.site) if agreed is not None else None
    place = Place(
        quota=quota,
        agreement=row.id if row is not None else "",
        price_minor=price or 0,
        currency=agreed.currency if agreed is not None else "",
        kept=kept(state.performances.get(quota.partner)),
        tier=partner.tier if partner is not None else 0,
        named=quota.partner == terms.partner,
        why_not="",
        room=max(0, quota.capacity - quota.held - quota.ordered),
    )
    stop = blocked(partner, context.now)
    site = state.sites.get(quota.site)
    offer = state.species_offers.get(quota.offer)
    for why, is_so in (
        ("other_region", quota.region != terms.region),
        ("no_record", partner is None),
        (stop[0] if stop else "", stop is not None),
        ("no_agreement", row is None),
        ("agreement_over", not is_in_force(row, context.now)),
        ("site_not_approved", site is None or site.status != "approved"),
        ("offer_withdrawn", offer is None or offer.status != "offered"),
        ("no_price", price is None),
        ("other_currency", place.currency != terms.currency),
        ("price_above_funding", place.price_minor > terms.unit_price_minor),
        ("season_closed", context.now > quota.order_by_at),
        ("full", place.room == 0),
    ):
        if is_so:
            place.why_not = why
            break
    return place
