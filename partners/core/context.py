"""What a decision is given beside command and state: the instant, terms and new ids. No clock and no
dice here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from partners.core.after_terms import AfterTerms, Funding
from partners.core.model import PartnerTerms, PlantingOrder, Terms


@dataclass(slots=True)
class Context:
    """`terms` by programme, `partners` by partner id; `new_id` gives an id that no order has had.

    `funding_of` tells what paid for a redeemed tree, where that is known.
    """

    now: int
    new_id: Callable[[], int]
    terms: Mapping[str, Terms] = field(default_factory=dict)
    partners: Mapping[str, PartnerTerms] = field(default_factory=dict)
    funding_of: Callable[[int], Funding | None] = lambda unit: None
    standard: AfterTerms = field(default_factory=AfterTerms)

    def partner_terms(self, partner: str) -> PartnerTerms:
        """What holds with the partner; the defaults for one that is not configured any more."""
        return self.partners.get(partner) or PartnerTerms(partner, after=self.standard)

    def after(self, order: PlantingOrder) -> AfterTerms:
        """What holds for the order once its trees are reported planted."""
        return self.partner_terms(order.partner).after

    def rainfall(self, order: PlantingOrder) -> str:
        """The rainfall class of where it is planted; empty where that is not known."""
        terms = self.terms.get(order.programme)
        return terms.rainfall if terms is not None else ""

    def places_like(self, programme: str) -> list[Terms]:
        """The programme and then, by id, all that plant the same species in the same region for the same
        price."""
        own = self.terms.get(programme)
        if own is None:
            return []
        return [own] + [
            other
            for _, other in sorted(self.terms.items())
            if other.programme != own.programme
            and (other.species, other.region, other.unit_price_minor, other.currency)
            == (own.species, own.region, own.unit_price_minor, own.currency)
        ]
