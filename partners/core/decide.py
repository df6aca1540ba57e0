"""One command to its decision, and what must be loaded for it. Each rule is in the module named after
its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.core.events import Decision
from engine.core.state import Touch
from partners.core import after_commands as ac
from partners.core import (
    allocate,
    api_table,
    audits,
    closing,
    deliveries,
    disputes,
    drafts,
    evidence,
    invoices,
    levels,
    money,
    orders,
    reports,
    review,
    trials,
    watch,
)
from partners.core import commands as c
from partners.core import evidence_commands as ec
from partners.core.after_events import Noted
from partners.core.after_touches import after_touches
from partners.core.audit_log import noted, seal_audit
from partners.core.context import Context
from partners.core.model import WATCHED_STATES, PartnerReport, PartnerState, batch_id
from partners.core.records import table as records
from partners.core.touching import order_touches, partner_touches


def decide(state: PartnerState, command: Any, context: Context) -> Decision:
    """The events and the reply of a command, or `Rejected`; what the audit log keeps of it is among the events."""
    decision = _DECIDERS[type(command)](state, command, context)
    lines = noted(state, command, decision.events, context)
    return Decision([*decision.events, Noted(lines)], decision.reply) if lines else decision


def touches(command: Any, state: PartnerState) -> Iterable[Touch]:
    """The rows that a command reads or changes, as far as they can be named with what is loaded already.

    Asked again after each load until it names nothing new: an order names its lines, a line its units.
    """
    if type(command) in records.DECIDERS:
        return records.touches(command, state)
    if type(command) in api_table.DECIDERS:
        return api_table.touches(command, state)
    if isinstance(command, _OF_EVIDENCE):
        return evidence.touches(command, state)
    return _touches(command, state)


def _touches(command: Any, state: PartnerState) -> Iterable[Touch]:
    match command:
        case c.PledgeUnit() | c.KeepUnit() | c.WithdrawUnit():
            yield Touch("tree_units", command.unit)
        case c.GiveUpUnits():
            yield from (Touch("tree_units", number) for number in command.units)
        case c.FormOrder():
            yield from _allocation(command, state)
        case c.OrderTest():
            yield from partner_touches(state, command.partner)
        case c.RecordReport():
            yield Touch("inbox", (command.partner, command.message))
            yield from order_touches(state, command.report.order)
            yield from _report(command.report, state)
        case c.ClaimDeliveries():
            yield from (Touch("deliveries", name) for name in command.deliveries)
        case c.SettleDelivery() | c.ResolveDelivery():
            yield from _delivery(state, command.delivery)
            if isinstance(command, c.SettleDelivery) and command.report is not None:
                yield from _report(command.report, state)
        case c.CancelOrder() | c.SubmitOrder():
            yield from order_touches(state, command.order)
        case ec.AssessBatch() | ec.DismissReason():
            yield from order_touches(state, command.order)
            yield from evidence.touches(command, state)
        case _:
            yield from after_touches(command, state)


_OF_EVIDENCE = (ec.KeepEvidence, ec.NoteLikeness, ec.RecordOutline)


def _allocation(command: c.FormOrder, state: PartnerState) -> Iterable[Touch]:
    """The trees, the places that there are for them, and the drafts that may take them."""
    yield from (Touch("tree_units", number) for number in command.units)
    for name in command.quotas:
        yield Touch("quotas", name)
        quota = state.quotas.get(name) if name in state.quotas else None
        if quota is not None:
            yield from partner_touches(state, quota.partner)
            yield Touch("sites", quota.site)
            yield Touch("species_offers", quota.offer)
    for number in command.drafts:
        yield from order_touches(state, number)


def _delivery(state: PartnerState, name: str) -> Iterable[Touch]:
    yield Touch("deliveries", name)
    row = state.deliveries.get(name) if name in state.deliveries else None
    if row is not None:
        yield from order_touches(state, row.order_id)


def _report(report: PartnerReport, state: PartnerState) -> Iterable[Touch]:
    files: dict[str, list[str]] = {}
    for shown in report.batches:
        yield Touch("batches", batch_id(report.order, shown.report_no))
        yield from (Touch("evidence", item.sha256) for item in shown.evidence)
        files[batch_id(report.order, shown.report_no)] = [item.sha256 for item in shown.evidence]
    yield from evidence.batch_touches(state, report.order, files)


def _settle(state: PartnerState, command: c.SettleDelivery, context: Context) -> Decision:
    return deliveries.settle_delivery(state, command, context, reports.report_events)


def _follow_up(state: PartnerState, command: c.FollowUpOrder, context: Context) -> Decision:
    """Before trees are verified the partner is followed up, after it the trees are."""
    order = orders.the_order(state, command.order)
    if order.state not in WATCHED_STATES:
        return orders.follow_up(state, command, context)
    if order.due_at is None or order.held or context.now < order.due_at:
        return Decision([], {"state": order.state})
    return orders.stopped(state, order, context) or watch.follow_up(state, order, context)


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
    c.FollowUpOrder: _follow_up,
    c.CancelOrder: orders.cancel_order,
    c.HoldOrder: orders.hold_order,
    c.ResumeOrder: orders.resume_order,
    c.ReviewOrder: review.review_order,
    c.ClaimDeliveries: deliveries.claim_deliveries,
    c.SettleDelivery: _settle,
    c.ResolveDelivery: deliveries.resolve_delivery,
    ac.ReviewBatch: levels.review_batch,
    ac.RecordAudit: audits.record_audit,
    ac.OrderReplacement: watch.order_replacement,
    ac.ProposeClosing: closing.propose_closing,
    ac.ApproveClosing: closing.approve_closing,
    ac.OpenDispute: disputes.open_dispute,
    ac.AnswerDispute: disputes.answer_dispute,
    ac.DecideDispute: disputes.decide_dispute,
    ac.ReportDisturbance: disputes.report_disturbance,
    ac.HoldBudget: money.hold_budget,
    ac.CommitBudget: money.commit_budget,
    ac.ReturnBudget: money.return_budget,
    ac.WriteOffBudget: money.write_off_budget,
    ac.ReachMilestone: money.reach_milestone,
    ac.RecordInvoice: invoices.record_invoice,
    ac.SettleInvoice: invoices.settle_invoice,
    ac.RecordRepayment: money.record_repayment,
    ac.SealAudit: seal_audit,
    ec.KeepEvidence: evidence.keep_evidence,
    ec.NoteLikeness: evidence.note_likeness,
    ec.RecordOutline: evidence.record_outline,
    ec.AssessBatch: evidence.assess_batch,
    ec.DismissReason: evidence.dismiss_reason,
    **records.DECIDERS,
    **api_table.DECIDERS,
}
COMMANDS = tuple(_DECIDERS)
