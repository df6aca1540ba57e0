"""What must be loaded for the commands about orders once trees are reported planted, and about money."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.core.state import By, Touch
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.after_evolve import CHAIN, claim_id
from partners.core.invoices import invoice_id
from partners.core.model import PartnerState
from partners.core.touching import batches_of, order_touches


def after_touches(command: Any, state: PartnerState) -> Iterable[Touch]:
    """The rows that such a command reads or changes; see `decide.touches`."""
    match command:
        case c.ReviewOrder() | ac.ReviewBatch() | c.HoldOrder():
            yield from _reviewed(state, command.order)
        case c.FollowUpOrder() | ac.RecordAudit() | ac.OrderReplacement():
            yield from _reviewed(state, command.order)
            yield from _watched(state, command.order)
        case c.ResumeOrder() | c.RecheckOrder() | ac.OpenDispute() | ac.ReportDisturbance():
            yield from _reviewed(state, command.order)
            yield Touch("disputes", By("order_id", command.order))
        case ac.AnswerDispute() | ac.DecideDispute():
            yield from _dispute(state, command.dispute)
        case ac.ProposeClosing() | ac.ApproveClosing():
            yield from _closing(state, command)
        case ac.SealAudit():
            yield Touch("chain_heads", CHAIN)
            yield from (Touch("audit_events", name) for name in command.events)
        case _:
            yield from _money(state, command)


def _reviewed(state: PartnerState, order: int) -> Iterable[Touch]:
    yield from order_touches(state, order)
    yield from (Touch("standings", batch) for batch in batches_of(state, order))


def _watched(state: PartnerState, order: int) -> Iterable[Touch]:
    """The counts of an order, and the orders that make good what they found missing."""
    yield Touch("audits", By("order_id", order))
    yield from _agreement_in_force(state, order)
    yield Touch("replacements", By("parent_id", order))
    for row in state.replacements.where("parent_id", order):
        yield from _reviewed(state, row.id)
        audit = state.audits.get(row.audit_id) if row.audit_id in state.audits else None
        for unit in audit.dead if audit is not None else ():
            yield Touch("tree_units", unit)
            yield Touch("claims", claim_id(unit, row.batch_id))


def _agreement_in_force(state: PartnerState, number: int) -> Iterable[Touch]:
    """By it orders older than agreements know their partner's seasons."""
    order = state.partner_orders.get(number) if number in state.partner_orders else None
    name = order.partner if order is not None else ""
    partner = state.partner_records.get(name) if name in state.partner_records else None
    if partner is not None and partner.agreement:
        yield Touch("agreements", partner.agreement)


def _dispute(state: PartnerState, number: int) -> Iterable[Touch]:
    yield Touch("disputes", number)
    dispute = state.disputes.get(number) if number in state.disputes else None
    if dispute is not None:
        yield from _reviewed(state, dispute.order_id)
        yield Touch("disputes", By("order_id", dispute.order_id))


def _closing(state: PartnerState, command: ac.ProposeClosing | ac.ApproveClosing) -> Iterable[Touch]:
    yield from _reviewed(state, command.order)
    yield Touch("closings", command.order)
    row = state.closings.get(command.order) if command.order in state.closings else None
    plan = command if isinstance(command, ac.ProposeClosing) else row
    if plan is None:
        return
    for name in (*plan.lost, *plan.moves.values()):
        yield Touch("batches", name)
        yield Touch("standings", name)
        standing = state.standings.get(name) if name in state.standings else None
        if standing is not None and standing.order_id != command.order:
            yield from order_touches(state, standing.order_id)
    for name in plan.lost:
        batch = state.batches.get(name) if name in state.batches else None
        for unit in batch.units if batch is not None else ():
            yield Touch("claims", claim_id(unit, name))


def _money(state: PartnerState, command: Any) -> Iterable[Touch]:
    yield from order_touches(state, command.order)
    yield Touch("order_funds", By("order_id", command.order))
    match command:
        case ac.ReturnBudget():
            yield from (Touch("tree_units", unit) for unit in command.units)
        case ac.ReachMilestone():
            yield Touch("milestones", By("order_id", command.order))
        case ac.RecordInvoice():
            yield Touch("milestones", By("order_id", command.order))
            if command.order in state.partner_orders:
                order = state.partner_orders.get(command.order)
                if order is not None:
                    yield Touch("invoices", invoice_id(order.partner, command.invoice_no))
        case ac.SettleInvoice():
            yield Touch("milestones", By("order_id", command.order))
            yield Touch("invoices", command.invoice)
            yield Touch("disputes", By("order_id", command.order))
