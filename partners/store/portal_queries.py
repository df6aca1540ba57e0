"""What the portal's pages ask of the database, each time for one partner; each with a bound."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from engine.store.database import Reader
from partners.core.after_rows import Invoice, MilestoneDue
from partners.core.portal.rows import ListedOrder, Notice, SentForm, Staff
from partners.store.stands import rows_of

ORDERS_MAX = 200
NOTICES_MAX = 50
FORMS_MAX = 50
STAFF_MAX = 500
MONEY_MAX = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """A session with the member of staff that it belongs to."""

    staff: str
    partner: str
    language: str
    until_at: int


async def session_of(reader: Reader, session: str) -> Seen | None:
    """Whose session it is; None where it has ended or its owner was taken out. It may be past its time."""
    rows = await reader.fetch(
        "SELECT s.id, s.partner, s.language, p.until_at FROM portal_sessions p JOIN portal_staff s ON s.id = p.staff"
        " WHERE p.id = ? AND s.state = 'active'",
        session,
    )
    return Seen(*rows[0]) if rows else None


async def staff_called(reader: Reader, name: str) -> Staff | None:
    """A member of staff by id."""
    rows = await reader.fetch(f"SELECT {_columns(Staff)} FROM portal_staff WHERE id = ?", name)
    return Staff(*rows[0]) if rows else None


async def staff_invited(reader: Reader, invitation: str) -> Staff | None:
    """Who was sent the link with this hash."""
    rows = await reader.fetch(
        f"SELECT {_columns(Staff)} FROM portal_staff WHERE invitation = ? AND state <> 'removed'", invitation
    )
    return Staff(*rows[0]) if invitation and rows else None


async def staff_of(reader: Reader, partner: str | None) -> list[dict[str, Any]]:
    """Staff of one partner or of all, without anything secret."""
    where, params = ("WHERE partner = ?", (partner,)) if partner else ("", ())
    rows = await reader.fetch(
        f"SELECT id, partner, state, language, invited_until_at, changed_at FROM portal_staff {where}"
        f" ORDER BY id LIMIT {STAFF_MAX}",
        *params,
    )
    names = ("id", "partner", "state", "language", "invited_until_at", "changed_at")
    return [dict(zip(names, row, strict=True)) for row in rows]


async def orders_of(reader: Reader, partner: str, states: list[str]) -> list[dict[str, Any]]:
    """The partner's orders in these states with the figures of their lines, newest first."""
    rows = await reader.fetch(
        "SELECT o.id, o.state, o.held, o.season, o.season_closes_at, o.expires_at, o.submitted_at, o.cancel_asked_by,"
        " min(l.species), min(l.site), sum(l.ordered), sum(l.accepted), sum(l.reported), sum(l.verified)"
        " FROM partner_orders o JOIN order_lines l ON l.order_id = o.id"
        " WHERE o.partner = ? AND o.state IN ?"
        " AND (o.state <> 'submitted' OR EXISTS (SELECT 1 FROM portal_orders p WHERE p.id = o.id))"
        " GROUP BY o.id, o.state, o.held, o.season, o.season_closes_at, o.expires_at, o.submitted_at,"
        f" o.cancel_asked_by ORDER BY o.id DESC LIMIT {ORDERS_MAX}",
        partner,
        states,
    )
    names = (
        "id", "state", "held", "season", "season_closes_at", "expires_at", "submitted_at", "cancel_asked_by",
        "species", "site", "ordered", "accepted", "reported", "verified",
    )  # fmt: skip
    return [dict(zip(names, row, strict=True)) for row in rows]


async def listed_order(reader: Reader, order: int) -> ListedOrder | None:
    """The order as it lies in a partner's list."""
    rows = await reader.fetch(f"SELECT {_columns(ListedOrder)} FROM portal_orders WHERE id = ?", order)
    return ListedOrder(*rows[0][:3], json.loads(rows[0][3])) if rows else None


async def notices_of(reader: Reader, partner: str, order: int) -> list[Notice]:
    """What the partner was told about the order, oldest first."""
    rows = await reader.fetch(
        f"SELECT {_columns(Notice)} FROM portal_notices WHERE order_id = ? AND partner = ?"
        f" ORDER BY noted_at, id LIMIT {NOTICES_MAX}",
        order,
        partner,
    )
    return [Notice(*row) for row in rows]


async def form_sent(reader: Reader, name: str) -> SentForm | None:
    """A form by its whole id."""
    rows = await reader.fetch(f"SELECT {_columns(SentForm)} FROM portal_forms WHERE id = ?", name)
    return _form(rows[0]) if rows else None


async def forms_of(reader: Reader, order: int) -> list[SentForm]:
    """Forms about an order, oldest first."""
    rows = await reader.fetch(
        f"SELECT {_columns(SentForm)} FROM portal_forms WHERE order_id = ? ORDER BY sent_at, id LIMIT {FORMS_MAX}",
        order,
    )
    return [_form(row) for row in rows]


async def money_of(reader: Reader, partner: str) -> tuple[list[MilestoneDue], list[Invoice]]:
    """What fell due to the partner, and its bills, by order."""
    orders = await reader.fetch(
        f"SELECT DISTINCT m.order_id FROM milestones m JOIN partner_orders o ON o.id = m.order_id"
        f" WHERE o.partner = ? ORDER BY m.order_id DESC LIMIT {MONEY_MAX}",
        partner,
    )
    due: list[MilestoneDue] = []
    bills: list[Invoice] = []
    for (order,) in orders:
        due += await rows_of(reader, "milestones", MilestoneDue, "order_id", order)
        bills += await rows_of(reader, "invoices", Invoice, "order_id", order)
    return due, bills


def _columns(row: type) -> str:
    return ", ".join(field.name for field in fields(row))


def _form(row: tuple[Any, ...]) -> SentForm:
    return SentForm(*row[:6], json.loads(row[6]), json.loads(row[7]))
