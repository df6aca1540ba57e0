"""Whether what was set aside for a redeemed tree pays the price of planting it."""

from __future__ import annotations

from partners.core.after_terms import Funding, Rate
from partners.core.context import Context

NOT_COVERED = "price_above_funding"
"""Why a tree can't be planted where what was set aside for it does not pay the price."""


def is_covered(unit: int, unit_price_minor: int, currency: str, partner: str, context: Context) -> bool:
    """Whether the tree's commitment set aside its price, at a known rate where the currencies differ."""
    return pays(context.funding_of(unit), unit_price_minor, currency, partner, context)


def pays(
    funding: Funding | None, unit_price_minor: int, currency: str, partner: str, context: Context
) -> bool:
    """Whether this much pays the price; what is not known pays nothing."""
    if funding is None:
        return False
    if funding.currency == currency:
        return unit_price_minor <= funding.set_aside_minor
    rate = context.partner_terms(partner).after.rate(funding.currency, currency)
    return rate is not None and cost_minor(unit_price_minor, rate) <= funding.set_aside_minor


def cost_minor(price_minor: int, rate: Rate) -> int:
    """What a price costs in the fund's currency, rounded up."""
    return (price_minor / rate.value).__ceil__()
