"""What must be loaded of an order, its lines, trees and batches, whatever is decided about it."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.state import Touch
from partners.core import deliveries
from partners.core.model import OrderLine, PartnerState, PlantingOrder


def order_touches(state: PartnerState, number: int) -> Iterable[Touch]:
    """An order with all that hangs on it; more is named once its rows are loaded."""
    yield Touch("partner_orders", number)
    yield from (Touch("deliveries", deliveries.delivery_id(kind, number)) for kind in deliveries.KINDS)
    order = state.partner_orders.get(number) if number in state.partner_orders else None
    if order is not None:
        yield Touch("partner_records", order.partner)
    if order is not None and order.agreement:
        yield Touch("agreements", order.agreement)
    for name in lines_of(state, number):
        yield Touch("order_lines", name)
        line = loaded_line(state, name)
        if line is not None:
            if line.quota and order is not None:  # together, locked in the same order as by an allocation
                yield Touch("quotas", line.quota)
                yield Touch("performances", order.partner)
            yield from (Touch("tree_units", unit) for unit in line.units)
            yield from (Touch("batches", batch) for batch in line.batches)


def partner_touches(state: PartnerState, name: str) -> Iterable[Touch]:
    """What says whether a partner may be asked, and how it has fared."""
    yield Touch("partner_records", name)
    yield Touch("performances", name)
    partner = state.partner_records.get(name) if name in state.partner_records else None
    if partner is not None and partner.agreement:
        yield Touch("agreements", partner.agreement)


def batches_of(state: PartnerState, number: int) -> list[str]:
    """The batches of an order, as far as its rows are loaded."""
    lines = (loaded_line(state, name) for name in lines_of(state, number))
    return [batch for line in lines if line is not None for batch in line.batches]


def lines_of(state: PartnerState, number: int) -> list[str]:
    """The lines of an order, if it is loaded."""
    order: PlantingOrder | None = None
    if number in state.partner_orders:
        order = state.partner_orders.get(number)
    return order.lines if order is not None else []


def loaded_line(state: PartnerState, name: str) -> OrderLine | None:
    """A line, if it is loaded."""
    return state.order_lines.get(name) if name in state.order_lines else None
