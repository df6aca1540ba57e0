"""Rows of the partner API: keys with which partners call us, and where and how they are told of what happens.

A key is kept as a digest. A webhook's secret is kept as it is, because we sign with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.core.state import ShelfKind

SCOPES = ("orders:read", "orders:answer", "reports:write", "money:read", "webhooks:manage")
EVENT_TYPES = (
    "order.submitted",
    "order.cancelled",
    "order.reminder",
    "review.needs_info",
    "review.verified",
    "payment.due",
    "payment.paid",
    "payment.rejected",
    "ping",
)


@dataclass(slots=True)
class PartnerKey:
    """A key of a partner. `id` is what stands before its secret part and may be shown; `digest` is the SHA-256 of all.

    It counts until `expires_at` (None: without end) or `revoked_at`. `is_test`: it sees test orders and nothing else.
    """

    id: str
    partner: str
    digest: str
    is_test: bool
    note: str
    made_by: str
    made_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    scopes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class WebhookEndpoint:
    """An address at which a partner is told of events; `types`: of which, none named: all.

    `status`: active, disabled (what happens meanwhile waits for it) or removed, and `why`. `sequence`: of the last
    message that was made for it. Until `old_until_at` messages are signed with the old secret too.
    """

    id: str
    partner: str
    url: str
    is_test: bool
    status: str
    why: str
    status_at: int
    secret: str
    old_secret: str | None
    old_until_at: int | None
    sequence: int
    made_by: str
    made_at: int
    types: list[str] = field(default_factory=list)


@dataclass(slots=True)
class WebhookMessage:
    """One event for one endpoint: waiting → done, or dead after the last attempt. `next_at`: not before; None once
    nothing is left to do."""

    id: str
    endpoint: str
    partner: str
    type: str
    order_id: int | None
    sequence: int
    state: str
    attempts: int
    next_at: int | None
    made_at: int
    settled_at: int | None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class WebhookAttempt:
    """One try: the HTTP status (None: there was none) and how long it took. No body is kept, in neither direction."""

    id: str
    message: str
    at: int
    ms: int
    status: int | None
    problem: str


API_SHELVES = (
    ShelfKind("partner_keys", PartnerKey, ("id",), locks=12),
    ShelfKind("webhook_endpoints", WebhookEndpoint, ("id",), locks=13),
    ShelfKind("webhook_messages", WebhookMessage, ("id",), locks=14),
    ShelfKind("webhook_attempts", WebhookAttempt, ("id",)),
)
