"""Rows of the portal: staff and their sessions, what lies in a partner's list, and forms that were sent.

A member of staff is an id that its partner knows; no name, address or number of a person stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.core.state import Shelf, ShelfKind, State
from partners.core.after_rows import AuditEvent

STAFF_STATES = ("invited", "active", "removed")
SESSIONS_MAX = 10
"""Sessions that one member of staff may have at a time; a further one ends the oldest."""


@dataclass(slots=True)
class Staff:
    """A member of a partner's staff; `id` is `partner/name`.

    `password` is the text that the hashing library made, empty before the first one was set. `invitation` is the
    SHA-256 of the one link that sets a password, empty where none is open; it holds until `invited_until_at`.
    """

    id: str
    partner: str
    state: str
    language: str
    password: str
    invitation: str
    invited_until_at: int | None
    changed_at: int


@dataclass(slots=True)
class Session:
    """One browser that is logged in; `id` is the SHA-256 of what its cookie carries."""

    id: str
    staff: str
    begun_at: int
    until_at: int


@dataclass(slots=True)
class ListedOrder:
    """An order as it lies in the list of its partner: what was asked, by the fields of the order sheet."""

    id: int
    partner: str
    listed_at: int
    sheet: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Notice:
    """What we have told a partner about an order. `id` is the key under which it was sent.

    `kind`: cancelled, answer_due, needs_info or verified; `trees` only with verified.
    """

    id: str
    partner: str
    order_id: int
    kind: str
    text: str
    trees: int
    noted_at: int


@dataclass(slots=True)
class SentForm:
    """A form that was taken: `id` is `partner/name/form`, `digest` of what it said, `answer` what its sender was told.

    `said` keeps what no other row has: a point, the planters, a remark.
    """

    id: str
    staff: str
    kind: str
    order_id: int | None
    digest: str
    sent_at: int
    answer: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)


PORTAL_SHELVES = (
    ShelfKind("portal_staff", Staff, ("id",), locks=12),
    ShelfKind("portal_orders", ListedOrder, ("id",), locks=13),
    ShelfKind("portal_sessions", Session, ("id",)),
    ShelfKind("portal_notices", Notice, ("id",)),
    ShelfKind("portal_forms", SentForm, ("id",)),
)


class PortalState(State):
    """The shelves by name, for the type checker."""

    portal_staff: Shelf[str, Staff]
    portal_orders: Shelf[int, ListedOrder]
    portal_sessions: Shelf[str, Session]
    portal_notices: Shelf[str, Notice]
    portal_forms: Shelf[str, SentForm]
    audit_events: Shelf[str, AuditEvent]


def staff_id(partner: str, name: str) -> str:
    """The id of a member of staff: names count within a partner."""
    return f"{partner}/{name}"
