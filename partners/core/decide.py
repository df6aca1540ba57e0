"""One command to its decision, and what must be loaded for it. Each rule is in the module named after
its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.core.events import Decision
from engine.core.state import Touch
from partners.core import allocate, deliveries, drafts, orders, reports, review, trials
from partners.core import commands as c
from partners.core.context import Context
from partners.core.model import PartnerReport, PartnerState, batch_id
from partners.core.records import table as records


def decide(state: PartnerState, command: Any, context: Context) -> Decision:
    """The events and the reply of a command, or `Rejected`."""
    return _DECIDERS[type(command)](state, command, context)


def touches(command: Any, state: PartnerState) -> Iterable[Touch]:
    """The rows that a command reads or changes, as far as they can be named with what is loaded already.

    Asked again after each load until it names nothing new: an order names its lines, a line its units.
    """
    match command:
        case c.PledgeUnit() | c.KeepUnit() | c.WithdrawUnit():
            yield Touch("tree_units", command.unit)
        case c.GiveUpUnits():
            yield from (Touch("tree_units", number) for number in command.units)
        case c.FormOrder():
            yield from _allocation(command, state)
        case c.OrderTest():
            yield from _partner(state, command.partner)
        case c.RecordReport():
            yield Touch("inbox", (command.partner, command.message))
            yield from _order(state, command.report.order)
            yield from _report(command.report)
        case c.ClaimDeliveries():
            yield from (Touch("deliveries", name) for name in command.deliveries)
        case c.SettleDelivery() | c.ResolveDelivery():
            yield from _delivery(state, command.delivery)
            if isinstance(command, c.SettleDelivery) and command.report is not None:
                yield from _report(command.report)
        case c.FollowUpOrder() | c.CancelOrder() | c.HoldOrder() | c.ResumeOrder() | c.ReviewOrder():
            yield from _order(state, command.order)
        case c.SubmitOrder() | c.RecheckOrder():
            yield from _order(state, command.order)
        case _:
            yield from records.touches(command, state)


def _allocation(command: c.FormOrder, state: PartnerState) -> Iterable[Touch]:
    """The trees, the places that there are for them, and the drafts that may take them."""
    yield from (Touch("tree_units", number) for number in command.units)
    for name in command.quotas:
        yield Touch("quotas", name)
        quota = state.quotas.get(name) if name in state.quotas else None
        if quota is not None:
            yield from _partner(state, quota.partner)
            yield Touch("sites", quota.site)
            yield Touch("species_offers", quota.offer)
    for number in command.drafts:
        yield from _order(state, number)


def _partner(state: PartnerState, name: str) -> Iterable[Touch]:
    """What says whether a partner may be asked, and how it has fared."""
    yield Touch("partner_records", name)
    yield Touch("performances", name)
    partner = state.partner_records.get(name) if name in state.partner_records else None
    if partner is not None and partner.agreement:
        yield Touch("agreements", partner.agreement)


def _delivery(state: PartnerState, name: str) -> Iterable[Touch]:
    yield Touch("deliveries", name)
    row = state.deliveries.get(name) if name in state.deliveries else None
    if row is not None:
        yield from _order(state, row.order_id)


def _order(state: PartnerState, number: int) -> Iterable[Touch]:
    yield Touch("partner_orders", number)
    yield from (Touch("deliveries", deliveries.delivery_id(kind, number)) for kind in deliveries.KINDS)
    order = state.partner_orders.get(number) if number in state.partner_orders else None
    if order is None:
        return
    yield Touch("partner_records", order.partner)
    if order.agreement:
        yield Touch("agreements", order.agreement)
    for name in order.lines:
        yield Touch("order_lines", name)
        line = state.order_lines.get(name) if name in state.order_lines else None
        if line is not None:
            if line.quota:  # together, so that they are locked in the same order as by an allocation
                yield Touch("quotas", line.quota)
                yield Touch("performances", order.partner)
            yield from (Touch("tree_units", unit) for unit in line.units)
            yield from (Touch("batches", batch) for batch in line.batches)


def _report(report: PartnerReport) -> Iterable[Touch]:
    for shown in report.batches:
        yield Touch("batches", batch_id(report.order, shown.report_no))
        yield from (Touch("evidence", item.sha256) for item in shown.evidence)


def _settle(state: PartnerState, command: c.SettleDelivery, context: Context) -> Decision:
    return deliveries.settle_delivery(state, command, context, reports.report_events)


_DECIDERS: dict[type, Callable[[PartnerState, Any, Context], Decision]] = {
    c.PledgeUnit: allocate.pledge_unit,
    c.FormOrder: allocate.form_order,
    c.SubmitOrder: drafts.submit_order,
    c.OrderTest: trials.order_test,
    c.RecheckOrder: orders.recheck_order,
    c.KeepUnit: allocate.keep_unit,
    c.WithdrawUnit: allocate.withdraw_unit,
    c.GiveUpUnits: allocate.give_up_units,
    c.RecordReport: orders.record_report,
    c.FollowUpOrder: orders.follow_up,
    c.CancelOrder: orders.cancel_order,
    c.HoldOrder: orders.hold_order,
    c.ResumeOrder: orders.resume_order,
    c.ReviewOrder: review.review_order,
    c.ClaimDeliveries: deliveries.claim_deliveries,
    c.SettleDelivery: _settle,
    c.ResolveDelivery: deliveries.resolve_delivery,
    **records.DECIDERS,
}
COMMANDS = tuple(_DECIDERS)
