"""What must hold before an order goes out, and what stops one that is out. Each guard answers a reason or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from partners.core.after_terms import AfterTerms
from partners.core.context import Context
from partners.core.funding import NOT_COVERED, is_covered
from partners.core.model import OrderLine, PartnerState, PartnerTerms, PlantingOrder
from partners.core.records.agreed import is_in_force, terms_of, with_agreement
from partners.core.records.rows import Agreement
from partners.core.records.vetting import blocked

STANDING_HOLDS = (
    "partner_applied",
    "partner_vetting",
    "partner_suspended",
    "partner_left",
    "document_expired",
)


def is_standing_hold(reason: str) -> bool:
    """Whether an order is held because of how its partner stands, so that it goes on by itself."""
    return reason in STANDING_HOLDS


def agreement_of(state: PartnerState, order: PlantingOrder) -> Agreement | None:
    """The version under which the order was made; None for orders older than agreements."""
    return state.agreements[order.agreement] if order.agreement else None


def order_terms(state: PartnerState, order: PlantingOrder, context: Context) -> PartnerTerms:
    """Timers and figures for this order: those of its agreement, and what the partner's adapter can do."""
    return with_agreement(context.partner_terms(order.partner), agreement_of(state, order))


def after_of(state: PartnerState, order: PlantingOrder, context: Context) -> AfterTerms:
    """What holds for the order once its trees are reported planted, by its agreement."""
    return order_terms(state, order, context).after


def stop_of(state: PartnerState, order: PlantingOrder, context: Context) -> tuple[str, int] | None:
    """Why the order's partner may not be asked now, and since when; its timers and payments stand still."""
    return blocked(state.partner_records.get(order.partner), context.now)


def may_reach(kind: str, is_live: bool, has_sandbox: bool = False) -> bool:
    """Whether an order of this kind may go to a partner: a test never reaches one whose trees are real, unless its
    adapter keeps tests apart."""
    return kind != "test" or not is_live or has_sandbox


def budget_problem(
    state: PartnerState, order: PlantingOrder, lines: Sequence[OrderLine], context: Context
) -> str | None:
    """Why there is no money for the order, or None: what was set aside for each of its trees pays its price."""
    for line in lines:
        price, currency = line.unit_price_minor, line.currency
        if not all(is_covered(unit, price, currency, order.partner, context) for unit in line.units):
            return NOT_COVERED
    return None


def submit_problem(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    context: Context,
    below_minimum: bool = False,
) -> str | None:
    """Why a draft may not go out now, or None: places held, partner and agreement in force, minimum, budget."""
    trees = sum(len(line.units) for line in lines)
    agreement = agreement_of(state, order)
    stop = stop_of(state, order, context)
    if stop is not None:
        return stop[0]
    if agreement is None or not is_in_force(agreement, context.now):
        return "agreement_over"
    if context.now >= order.expires_at:
        return "hold_expired"
    if trees == 0 or (trees < terms_of(agreement).minimum_trees and not below_minimum):
        return "below_minimum"
    return budget_problem(state, order, lines, context)
