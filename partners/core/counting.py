"""Counters of quotas and of partners' performance, kept by the facts that they count; used by evolve alone."""

from __future__ import annotations

from collections.abc import Sequence

from partners.core.model import OrderLine, PartnerState, PlantingOrder


def stand(state: PartnerState, order: PlantingOrder, lines: Sequence[OrderLine], is_out: bool) -> None:
    """Order and lines as they are from now on; their quotas hold places for a draft, or have them ordered."""
    known = state.partner_orders.get(order.id) if order.id in state.partner_orders else None
    for line in lines:
        before = state.order_lines.get(line.id) if line.id in state.order_lines else None
        was = len(before.units) if before is not None else 0
        if line.quota:
            quota = state.quotas.edit(line.quota)
            quota.held += -was if is_out else len(line.units) - was
            quota.ordered += len(line.units) if is_out else 0
        if before is None:
            state.order_lines.add(line.id, line)
        else:
            state.order_lines.put(line.id, line)
        if is_out and order.kind == "standard":
            count_performance(state, line, partner=order.partner, asked=len(line.units))
    if known is None:
        state.partner_orders.add(order.id, order)
    else:
        state.partner_orders.put(order.id, order)


def count_planted(state: PartnerState, line_name: str, trees: int) -> None:
    """So many trees of the line are in the ground now."""
    line = state.order_lines[line_name]
    if line.quota:
        state.quotas.edit(line.quota).planted += trees
    count_performance(state, line, planted=trees)


def count_released(state: PartnerState, line: OrderLine, trees: int, planted: int, is_declined: bool) -> None:
    """So many trees have left the line; their places are free again. In a draft, the line has become smaller."""
    is_draft = not state.partner_orders[line.order_id].payload_hash and line.quota != ""
    if is_draft:
        line.ordered = len(line.units)
    if not line.quota:
        return
    quota = state.quotas.edit(line.quota)
    quota.planted -= planted
    if is_draft:
        quota.held -= trees
        return
    quota.ordered -= trees
    count_performance(state, line, given_back=trees if is_declined else 0)


def count_moved(state: PartnerState, line: OrderLine, trees: int) -> None:
    """So many trees in the ground have come to the line, or left it: they take a place in its quota, or none."""
    if line.quota:
        quota = state.quotas.edit(line.quota)
        quota.ordered += trees
        quota.planted += trees


def count_performance(
    state: PartnerState,
    line: OrderLine,
    partner: str = "",
    asked: int = 0,
    accepted: int = 0,
    given_back: int = 0,
    planted: int = 0,
    verified: int = 0,
) -> None:
    """What became of a partner's trees. A line that stands for no quota (a test, or an old one) counts for nothing."""
    if not line.quota:
        return
    name = partner or state.partner_orders[line.order_id].partner
    if state.performances.get(name) is None:
        return
    row = state.performances.edit(name)
    row.asked += asked
    row.accepted += accepted
    row.given_back += given_back
    row.planted += planted
    row.verified += verified
