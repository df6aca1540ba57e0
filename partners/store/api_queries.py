"""What the partner API, its webhooks and their commands ask of the tables; each with a bound."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from engine.store.database import Reader
from partners.core.api_rows import PartnerKey, WebhookAttempt, WebhookEndpoint, WebhookMessage
from partners.core.model import PlantingOrder

KEYS_MAX = 500
ENDPOINTS_MAX = 500
ATTEMPTS_MAX = 100
SITES_MAX = 100

_JSON = {"scopes", "types", "data"}
_LINE_COLUMNS = (
    *("id", "order_id", "species", "site", "unit_price_minor", "currency", "tolerance_pct"),
    *("ordered", "accepted", "reported", "verified"),
)
_MILESTONE_COLUMNS = (
    "id",
    "order_id",
    "milestone",
    "currency",
    "amount_minor",
    "invoiced_minor",
    "reached_at",
)
_INVOICE_COLUMNS = (
    *("invoice_no", "order_id", "milestone", "currency", "net_minor", "tax_minor"),
    *("due_on", "state", "received_at", "settled_at"),
)
_ORDER_COLUMNS = tuple(one.name for one in fields(PlantingOrder) if one.name != "difference")


def _columns(row: type, before: str = "") -> str:
    return ", ".join(f"{before}{one.name}" for one in fields(row))


def _row(kind: type, values: Sequence[Any]) -> Any:
    named = zip((one.name for one in fields(kind)), values, strict=True)
    return kind(**{name: json.loads(value) if name in _JSON else value for name, value in named})


async def partner_key(reader: Reader, name: str) -> PartnerKey | None:
    """A key by its id."""
    rows = await reader.fetch(f"SELECT {_columns(PartnerKey)} FROM partner_keys WHERE id = ?", name)
    return _row(PartnerKey, rows[0]) if rows else None


async def partner_keys(reader: Reader, partner: str | None) -> list[PartnerKey]:
    """The keys of a partner, or of all, by partner and age."""
    where, values = ("WHERE partner = ?", [partner]) if partner else ("", [])
    sql = f"SELECT {_columns(PartnerKey)} FROM partner_keys {where} ORDER BY partner, made_at, id LIMIT ?"
    return [_row(PartnerKey, row) for row in await reader.fetch(sql, *values, KEYS_MAX)]


async def orders_page(
    reader: Reader, partner: str, is_test: bool, states: Sequence[str], season: str, after: int, limit: int
) -> list[dict[str, Any]]:
    """A partner's own orders by id behind `after`: test orders, or all others."""
    kinds, names = ["test"] if is_test else ["standard", "replacement"], _ORDER_COLUMNS
    of_season, values = (" AND season = ?", [season]) if season else ("", [])
    rows = await reader.fetch(
        f"SELECT {', '.join(names)} FROM partner_orders WHERE partner = ? AND id > ? AND kind IN ? AND state IN ?"
        f"{of_season} ORDER BY id LIMIT ?",
        partner,
        after,
        kinds,
        list(states),
        *values,
        limit,
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


async def lines_of(reader: Reader, orders: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The lines of these orders, in order."""
    names = _LINE_COLUMNS
    found: dict[int, list[dict[str, Any]]] = {}
    if orders:
        sql = f"SELECT {', '.join(names)} FROM order_lines WHERE order_id IN ? ORDER BY order_id, id"
        for row in await reader.fetch(sql, list(orders)):
            line = dict(zip(names, row, strict=True))
            found.setdefault(line["order_id"], []).append(line)
    for lines in found.values():
        lines.sort(key=lambda line: int(line["id"].rpartition("-")[2]))
    return found


async def seen(reader: Reader, partner: str, message: str) -> str | None:
    """The digest of a message that was taken in, if it was."""
    rows = await reader.fetch("SELECT digest FROM inbox WHERE partner = ? AND message = ?", partner, message)
    return str(rows[0][0]) if rows else None


async def missed_info(reader: Reader, order: int) -> str:
    """What the last reviewer of an order missed."""
    rows = await reader.fetch(
        "SELECT note FROM reviews WHERE order_id = ? AND verdict = 'needs_info' ORDER BY at DESC, id DESC LIMIT 1",
        order,
    )
    return str(rows[0][0]) if rows else ""


async def open_test_orders(reader: Reader, partner: str, states: Sequence[str], limit: int) -> int:
    """How many open test orders a partner has, counted up to a limit."""
    rows = await reader.fetch(
        "SELECT id FROM partner_orders WHERE partner = ? AND kind = 'test' AND state IN ? LIMIT ?",
        partner,
        list(states),
        limit,
    )
    return len(rows)


async def priced(reader: Reader, partner: str) -> list[tuple[str, str]]:
    """(species, site) that the partner's agreement in force has a price for."""
    rows = await reader.fetch(
        "SELECT a.terms FROM partner_records p JOIN agreements a ON a.id = p.agreement WHERE p.id = ?",
        partner,
    )
    if not rows:
        return []
    sites = await reader.fetch(
        "SELECT id FROM sites WHERE partner = ? AND status = 'approved' ORDER BY id LIMIT ?",
        partner,
        SITES_MAX,
    )
    return [
        (one["species"], site)
        for one in json.loads(rows[0][0])["prices"]
        for (site,) in (
            [(one["site"],)] if one["site"] else sites
        )  # a general price holds on each of its sites
    ]


async def is_bound(reader: Reader, key: str) -> bool:
    """Whether a command with this key was carried out."""
    return bool(await reader.fetch("SELECT 1 FROM journal WHERE key = ?", key))


async def milestones(reader: Reader, partner: str, after: str, limit: int) -> list[dict[str, Any]]:
    """What of a partner's orders has become payable, by id behind `after`."""
    names = _MILESTONE_COLUMNS
    rows = await reader.fetch(
        f"SELECT {', '.join(f'm.{name}' for name in names)} FROM milestones m"
        " JOIN partner_orders o ON o.id = m.order_id WHERE o.partner = ? AND m.id > ? ORDER BY m.id LIMIT ?",
        partner,
        after,
        limit,
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


async def invoices(reader: Reader, partner: str, orders: Sequence[int]) -> list[dict[str, Any]]:
    """The partner's bills for these orders."""
    names = _INVOICE_COLUMNS
    if not orders:
        return []
    rows = await reader.fetch(
        f"SELECT {', '.join(names)} FROM invoices WHERE partner = ? AND order_id IN ? ORDER BY received_at, id",
        partner,
        list(orders),
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


# --- webhooks -------------------------------------------------------------------------------------


async def endpoints(
    reader: Reader, partner: str | None = None, is_test: bool | None = None
) -> list[WebhookEndpoint]:
    """Endpoints that are not removed, of a partner or of all."""
    where, values = ["status <> 'removed'"], []
    for column, value in (("partner", partner), ("is_test", is_test)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    sql = (
        f"SELECT {_columns(WebhookEndpoint)} FROM webhook_endpoints WHERE {' AND '.join(where)}"
        " ORDER BY partner, id LIMIT ?"
    )
    return [_row(WebhookEndpoint, row) for row in await reader.fetch(sql, *values, ENDPOINTS_MAX)]


async def endpoint(reader: Reader, name: str) -> WebhookEndpoint | None:
    """An endpoint by its id, unless it was removed."""
    sql = f"SELECT {_columns(WebhookEndpoint)} FROM webhook_endpoints WHERE id = ? AND status <> 'removed'"
    rows = await reader.fetch(sql, name)
    return _row(WebhookEndpoint, rows[0]) if rows else None


async def message(reader: Reader, name: str) -> WebhookMessage | None:
    """A message by its id."""
    rows = await reader.fetch(f"SELECT {_columns(WebhookMessage)} FROM webhook_messages WHERE id = ?", name)
    return _row(WebhookMessage, rows[0]) if rows else None


async def messages(
    reader: Reader, name: str, before: int, states: Sequence[str], limit: int
) -> list[WebhookMessage]:
    """An endpoint's messages, newest first, from before a sequence on."""
    sql = (
        f"SELECT {_columns(WebhookMessage)} FROM webhook_messages WHERE endpoint = ? AND sequence < ?"
        " AND state IN ? ORDER BY sequence DESC LIMIT ?"
    )
    return [_row(WebhookMessage, row) for row in await reader.fetch(sql, name, before, list(states), limit)]


async def attempts(reader: Reader, name: str) -> list[WebhookAttempt]:
    """The tries of a message, oldest first."""
    sql = f"SELECT {_columns(WebhookAttempt)} FROM webhook_attempts WHERE message = ? ORDER BY at, id LIMIT ?"
    return [_row(WebhookAttempt, row) for row in await reader.fetch(sql, name, ATTEMPTS_MAX)]


async def messages_due(reader: Reader, now: int, limit: int) -> list[tuple[WebhookMessage, WebhookEndpoint]]:
    """What is due at active endpoints, longest due first."""
    sql = (
        f"SELECT {_columns(WebhookMessage, 'm.')}, {_columns(WebhookEndpoint, 'e.')} FROM webhook_messages m"
        " JOIN webhook_endpoints e ON e.id = m.endpoint WHERE m.next_at <= ? AND e.status = 'active'"
        " ORDER BY m.next_at, m.id LIMIT ?"
    )
    width = len(fields(WebhookMessage))
    return [
        (_row(WebhookMessage, row[:width]), _row(WebhookEndpoint, row[width:]))
        for row in await reader.fetch(sql, now, limit)
    ]


async def messages_over(reader: Reader, before: int, limit: int) -> list[str]:
    """Messages older than they are kept for."""
    sql = "SELECT id FROM webhook_messages WHERE made_at < ? ORDER BY made_at, id LIMIT ?"
    return [name for (name,) in await reader.fetch(sql, before, limit)]


async def knows_order(reader: Reader, partner: str, order: int) -> bool:
    """Whether the partner finds the order in the partner API."""
    sql = "SELECT 1 FROM partner_orders WHERE id = ? AND partner = ? AND state <> 'draft'"
    return bool(await reader.fetch(sql, order, partner))
