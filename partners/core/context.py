"""What a decision is given beside command and state: the instant, terms and new ids. No clock and no
dice here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from engine.core.units import local_day
from partners.core.after_terms import AfterTerms, Funding
from partners.core.model import PartnerTerms, Terms


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

    def rainfall(self, programme: str) -> str:
        """The rainfall class of where its trees are planted; empty where that is not known."""
        terms = self.terms.get(programme)
        return terms.rainfall if terms is not None else ""

    def today(self) -> date:
        """The day of agreements and seasons, in UTC."""
        return local_day(self.now, "UTC")
