"""What partners are told by webhook. Pure; an order has its public number, an instant is text, a price minor units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.numbers import order_number
from engine.core.units import rfc3339
from partners.port import About, LineSheet, OrderSheet, about_of, order_sheet

TYPES = {"answer_due": "order.reminder", "needs_info": "review.needs_info", "verified": "review.verified"}


def submitted(sheet: OrderSheet) -> dict[str, Any]:
    """What `order.submitted` says: all that the partner is asked."""
    first = LineSheet(1, sheet.species, sheet.site, sheet.quantity, sheet.unit_price_minor, sheet.currency)
    replaces = {"replaces": order_number(sheet.replaces)} if sheet.replaces is not None else {}
    return {
        "order": order_number(sheet.order),
        "kind": sheet.kind,
        "season": sheet.season,
        "season_opens_at": rfc3339(sheet.season_opens_at),
        "season_closes_at": rfc3339(sheet.season_closes_at),
        "answer_by_at": rfc3339(sheet.answer_by_at),
        "below_minimum": sheet.below_minimum,
        "lines": [
            {
                "line_no": line.line_no,
                "species": line.species,
                "site": line.site,
                "ordered": line.quantity,
                "unit_price_minor": line.unit_price_minor,
                "currency": line.currency,
            }
            for line in sheet.lines or (first,)
        ],
        **replaces,
    }


def cancelled(order: int, reason: str) -> dict[str, Any]:
    """What `order.cancelled` says. An order that was accepted ends only if the partner agrees."""
    return {"order": order_number(order), "reason": reason}


def reminded(order: int, about: About) -> tuple[str, dict[str, Any]]:
    """The type and content of a message about an order."""
    told: dict[str, Any] = {"order": order_number(order), "about": str(about)}
    if about.kind == "needs_info":
        told |= {"needs_info": about.text}
    elif about.kind == "verified":
        told |= {"verified": about.trees}
    return TYPES[about.kind], told


def of_delivery(kind: str, order: int, payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The event of an outbox row, as it is told to endpoints when the row is queued; None: nothing is told of it."""
    if kind == "submit":
        return "order.submitted", submitted(order_sheet(payload))
    if kind == "cancel":
        return "order.cancelled", cancelled(order, str(payload.get("reason", "")))
    return reminded(order, about_of(payload)) if kind == "remind" else None


def event_of(kind: str, key: str) -> str:
    """The name of an event: the same from the row that is queued and from the adapter that delivers it."""
    return f"{kind} {key}"
