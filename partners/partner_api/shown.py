"""How orders, money and webhooks look from outside: our ids become public numbers, instants become text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.core.numbers import order_number
from engine.core.units import rfc3339
from partners.core.api_rows import WebhookAttempt, WebhookEndpoint, WebhookMessage

_LINE_FIELDS = (
    *("species", "site", "unit_price_minor", "currency"),
    *("ordered", "accepted", "reported", "verified", "tolerance_pct"),
)
_ORDER_FIELDS = ("kind", "state", "held", "season", "reason", "cancel_asked_by")


def order_given(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An order of a page."""
    return {
        "number": order_number(row["id"]),
        **{name: row[name] for name in _ORDER_FIELDS},
        "season_opens_at": rfc3339(row["season_opens_at"]),
        "season_closes_at": rfc3339(row["season_closes_at"]),
        "answer_by_at": rfc3339(row["expires_at"]),
        "submitted_at": rfc3339(row["submitted_at"]),
        "changed_at": rfc3339(row["fact_at"]),
        "below_minimum": bool(row["below_minimum"]),
        "reference": row["external_ref"],
        "lines": [
            {"line_no": place, **{name: line[name] for name in _LINE_FIELDS}}
            for place, line in enumerate(lines, 1)
        ],
    }


def order_whole(facts: Mapping[str, Any], missed: str) -> dict[str, Any]:
    """An order with its plantings. No reviewer and no finding is named."""
    ids = [line["id"] for line in facts["lines"]]
    plantings = [
        {
            "report_no": batch["report_no"],
            "line_no": ids.index(batch["line_id"]) + 1,
            "trees": batch["reported"],
            "verified": batch["verified"],
            "planted_from_on": batch["planted_from_on"],
            "planted_to_on": batch["planted_to_on"],
            "site": batch["site"],
            "photos": len(batch["evidence"]),
            "reported_at": rfc3339(batch["reported_at"]),
        }
        for batch in facts["batches"]
    ]
    needs_info = missed if facts["state"] == "needs_info" else ""
    return order_given(facts, facts["lines"]) | {"plantings": plantings, "needs_info": needs_info}


def milestone_given(row: Mapping[str, Any], bills: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A part of a price that has become payable."""
    names = ("milestone", "currency", "amount_minor", "invoiced_minor")
    mine = [bill for bill in bills if bill["milestone"] == row["id"]]
    return {
        "order": order_number(row["order_id"]),
        **{name: row[name] for name in names},
        "reached_at": rfc3339(row["reached_at"]),
        "invoices": [_invoice_given(bill) for bill in mine],
    }


def _invoice_given(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("invoice_no", "net_minor", "tax_minor", "currency", "due_on", "state")
    settled_at = rfc3339(row["settled_at"]) if row["settled_at"] is not None else None
    told = {name: row[name] for name in names}
    return told | {"received_at": rfc3339(row["received_at"]), "settled_at": settled_at}


def webhook_given(row: WebhookEndpoint, now: int, with_secret: bool = False) -> dict[str, Any]:
    """An endpoint."""
    overlaps = row.old_until_at is not None and now < row.old_until_at
    told = {
        "id": row.id,
        "url": row.url,
        "types": row.types,
        "mode": "test" if row.is_test else "live",
        "status": row.status,
        "why": row.why,
        "status_at": rfc3339(row.status_at),
        "old_secret_until_at": rfc3339(row.old_until_at)
        if overlaps and row.old_until_at is not None
        else None,
        "made_at": rfc3339(row.made_at),
    }
    return told | {"secret": row.secret} if with_secret else told


def message_given(row: WebhookMessage) -> dict[str, Any]:
    """A message."""
    return {
        "id": row.id,
        "type": row.type,
        "order": order_number(row.order_id) if row.order_id is not None else None,
        "sequence": row.sequence,
        "state": row.state,
        "attempts": row.attempts,
        "next_at": rfc3339(row.next_at) if row.next_at is not None else None,
        "made_at": rfc3339(row.made_at),
    }


def message_whole(row: WebhookMessage, tries: Sequence[WebhookAttempt]) -> dict[str, Any]:
    """A message with each try."""
    told = [
        {"at": rfc3339(one.at), "status": one.status, "ms": one.ms, "problem": one.problem} for one in tries
    ]
    return message_given(row) | {"tries": told}
