"""Test orders: they stand for nobody's tree and try a partner's channel. No partner that plants real trees gets one."""

from __future__ import annotations

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core.commands import OrderTest
from partners.core.context import Context
from partners.core.drafts import new_order, submission
from partners.core.guards import order_terms
from partners.core.model import ORDER_TREES_MAX, OrderLine, PartnerState, line_id
from partners.core.records.agreed import is_in_force, terms_of
from partners.core.records.vetting import blocked


def order_test(state: PartnerState, command: OrderTest, context: Context) -> Decision:
    """An order that stands for nobody's tree, to try a partner's channel.

    Raises `unknown_partner`, `partner_blocked`, `no_agreement`, `no_price`, `bad_request`, `test_order_live`.
    """
    partner = state.partner_records.get(command.partner)
    if partner is None:
        raise Rejected("unknown_partner", partner=command.partner)
    stop = blocked(partner, context.now)
    if stop is not None:
        raise Rejected("partner_blocked", partner=partner.id, reason=stop[0])
    agreement = state.agreements.get(partner.agreement) if partner.agreement else None
    if agreement is None or not is_in_force(agreement, context.now):
        raise Rejected("no_agreement", partner=partner.id)
    if not 1 <= command.trees <= ORDER_TREES_MAX:
        raise Rejected("bad_request", field="trees", expected=f"1 to {ORDER_TREES_MAX}")
    terms = terms_of(agreement)
    price = terms.price_of(command.species, command.site)
    if price is None:
        raise Rejected("no_price", species=command.species, site=command.site)
    seasons = terms.seasons_from(context.today())
    if not seasons:
        raise Rejected("season_missing", partner=partner.id, agreement=agreement.id)
    number = context.new_id()
    order = new_order(number, command.partner, "", seasons[0], agreement.id, context.now, context.now + 1)
    order.kind = "test"
    order.lines = [line_id(number)]
    tolerance_pct = order_terms(state, order, context).tolerance_pct
    line = OrderLine(
        id=line_id(number),
        order_id=number,
        species=command.species,
        site=command.site,
        granularity="pooled",
        unit_price_minor=price,
        currency=terms.currency,
        tolerance_pct=tolerance_pct,
        ordered=command.trees,
        accepted=0,
        reported=0,
        verified=0,
    )
    events = submission(state, order, [line], context, below_minimum=True)
    return Decision(events, {"order": number, "state": "submitted"})
