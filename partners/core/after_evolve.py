"""Facts of what follows `planted` become rows. It decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from partners.core import after_events as e
from partners.core.after_rows import Claim
from partners.core.counting import count_moved, count_performance
from partners.core.model import PartnerState

CHAIN = 1
"""The id of the one chain head."""


def claim_id(unit: int, batch: str) -> str:
    """The id of a tree's claim on a batch."""
    return f"{unit}@{batch}"


def _put(shelf: Any, row: Any) -> None:
    """A row that may be new or known."""
    if row.id not in shelf or shelf.get(row.id) is None:
        shelf.add(row.id, row)
    else:
        shelf.put(row.id, row)


def _batch_reviewed(state: PartnerState, event: e.BatchReviewed) -> None:
    state.batch_reviews.add(event.review.id, event.review)
    _put(state.standings, event.standing)


def _batch_verified(state: PartnerState, event: e.BatchVerified) -> None:
    state.batches.edit(event.batch).verified = event.trees
    line = state.order_lines.edit(event.line)
    line.verified += event.trees
    count_performance(state, line, verified=event.trees)


def _fixes_deferred(state: PartnerState, event: e.FixesDeferred) -> None:
    for batch in event.batches:
        standing = state.standings.edit(batch)
        assert standing.fix_by_at is not None
        standing.fix_by_at += event.moved_ms


def _claims_made(state: PartnerState, event: e.ClaimsMade) -> None:
    for unit in event.units:
        name = claim_id(unit, event.batch)
        state.claims.add(name, Claim(name, unit, event.batch, event.order, "active", event.at, None))
    state.standings.edit(event.batch).claimed += len(event.units)


def _claims_ended(state: PartnerState, event: e.ClaimsEnded) -> None:
    for unit in event.units:
        claim = state.claims.edit(claim_id(unit, event.batch))
        claim.status, claim.to_at = event.status, event.at
    state.standings.edit(event.batch).claimed -= len(event.units)


def _units_replaced(state: PartnerState, event: e.UnitsReplaced) -> None:
    gone = set(event.units)
    _leave(state, event.batch, gone)
    batch = state.batches.edit(event.to_batch)
    batch.units = [*batch.units, *event.units]
    line = state.order_lines.edit(batch.line_id)
    line.units = [*line.units, *event.units]
    count_moved(state, line, len(event.units))
    season = state.partner_orders[event.to_order].season
    for number in event.units:
        unit = state.tree_units.edit(number)
        unit.order_id, unit.batch_id, unit.season = event.to_order, event.to_batch, season
        unit.line_id = line.id
        unit.note, unit.fact_at = event.note, event.at


def _leave(state: PartnerState, name: str, gone: set[int]) -> None:
    batch = state.batches.edit(name)
    batch.units = [unit for unit in batch.units if unit not in gone]
    line = state.order_lines.edit(batch.line_id)
    line.units = [unit for unit in line.units if unit not in gone]
    count_moved(state, line, -len(gone))


def _audits_planned(state: PartnerState, event: e.AuditsPlanned) -> None:
    for audit in event.audits:
        state.audits.add(audit.id, audit)


def _audit_done(state: PartnerState, event: e.AuditDone) -> None:
    state.audits.put(event.audit.id, event.audit)


def _nothing(state: PartnerState, event: Any) -> None:
    """A fact that others react to and no row of ours keeps."""


def _replacement_ordered(state: PartnerState, event: e.ReplacementOrdered) -> None:
    state.replacements.add(event.replacement.id, event.replacement)


def _replacement_ended(state: PartnerState, event: e.ReplacementEnded) -> None:
    state.replacements.edit(event.child).state = event.state


def _closing_proposed(state: PartnerState, event: e.ClosingProposed) -> None:
    _put(state.closings, event.closing)


def _closing_approved(state: PartnerState, event: e.ClosingApproved) -> None:
    closing = state.closings.edit(event.order)
    closing.state, closing.approved_by, closing.approved_at = "approved", event.by, event.at


def _trees_written_down(state: PartnerState, event: e.TreesWrittenDown) -> None:
    write_down = event.write_down
    state.write_downs.add(write_down.id, write_down)
    state.standings.edit(write_down.id).written_down += write_down.trees


def _dispute_moved(state: PartnerState, event: e.DisputeMoved) -> None:
    _put(state.disputes, event.dispute)


def _disturbance_reported(state: PartnerState, event: e.DisturbanceReported) -> None:
    state.disturbances.add(event.disturbance.id, event.disturbance)


def _money_moved(state: PartnerState, event: e.MoneyMoved) -> None:
    _put(state.order_funds, event.fund)
    for entry in event.entries:
        state.budget_entries.add(entry.id, entry)


def _milestone_reached(state: PartnerState, event: e.MilestoneReached) -> None:
    state.milestones.add(event.due.id, event.due)


def _invoice_recorded(state: PartnerState, event: e.InvoiceRecorded) -> None:
    invoice = event.invoice
    state.invoices.add(invoice.id, invoice)
    state.milestones.edit(invoice.milestone).invoiced_minor += invoice.net_minor + invoice.tax_minor


def _invoice_settled(state: PartnerState, event: e.InvoiceSettled) -> None:
    invoice = state.invoices.edit(event.invoice)
    invoice.state, invoice.settled_by, invoice.settled_at = event.state, event.by, event.at
    if event.state == "rejected":
        state.milestones.edit(invoice.milestone).invoiced_minor -= invoice.net_minor + invoice.tax_minor


def _noted(state: PartnerState, event: e.Noted) -> None:
    for line in event.lines:
        state.audit_events.add(line.id, line)


def _audit_sealed(state: PartnerState, event: e.AuditSealed) -> None:
    for name, place, previous, own in event.links:
        row = state.audit_events.edit(name)
        row.place, row.previous, row.hash = place, previous, own
    _, place, _, own = event.links[-1]
    head = state.chain_heads[CHAIN]
    state.chain_heads.put(CHAIN, replace(head, place=place, hash=own))


AFTER_EVOLVE: dict[type, Callable[[PartnerState, Any], None]] = {
    e.BatchReviewed: _batch_reviewed,
    e.BatchVerified: _batch_verified,
    e.FixesDeferred: _fixes_deferred,
    e.ClaimsMade: _claims_made,
    e.ClaimsEnded: _claims_ended,
    e.UnitsReplaced: _units_replaced,
    e.AuditsPlanned: _audits_planned,
    e.AuditDone: _audit_done,
    e.StagePassed: _nothing,
    e.ReplacementOrdered: _replacement_ordered,
    e.ReplacementEnded: _replacement_ended,
    e.ClosingProposed: _closing_proposed,
    e.ClosingApproved: _closing_approved,
    e.TreesWrittenDown: _trees_written_down,
    e.DisputeMoved: _dispute_moved,
    e.DisturbanceReported: _disturbance_reported,
    e.MoneyMoved: _money_moved,
    e.MilestoneReached: _milestone_reached,
    e.InvoiceRecorded: _invoice_recorded,
    e.InvoiceSettled: _invoice_settled,
    e.Noted: _noted,
    e.AuditSealed: _audit_sealed,
}
