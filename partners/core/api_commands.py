"""Wishes about the partner API's keys and webhooks, imperative. Secrets and dice are made outside of the core."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class MakeKey:
    """An operator gives a partner a key. `id` and `digest` are the key's; the key itself is nowhere."""

    key: str | None
    operator: str
    partner: str
    id: str
    digest: str
    scopes: tuple[str, ...]
    is_test: bool
    note: str = ""
    expires_at: int | None = None


@dataclass(slots=True)
class RotateKey:
    """A new key takes over the partner and scopes of an old one, which counts on until `old_until_at`."""

    key: str | None
    operator: str
    old: str
    id: str
    digest: str
    old_until_at: int
    expires_at: int | None = None


@dataclass(slots=True)
class RevokeKey:
    """A key counts no more, from now on."""

    key: str | None
    operator: str
    id: str


@dataclass(slots=True)
class NoteKeyUse:
    """A key was used, as far as is known to a minute or so."""

    key: str | None
    id: str
    at: int


@dataclass(slots=True)
class MakeWebhook:
    """A partner, or an operator for it, wants to be told of events at an address."""

    key: str | None
    by: str
    partner: str
    id: str
    url: str
    types: tuple[str, ...]
    is_test: bool
    secret: str

    @property
    def wish(self) -> tuple[Any, ...]:
        """What an idempotency key is bound to: all that the caller said, and not the id and secret made for it."""
        return (self.partner, self.url, self.types, self.is_test)


@dataclass(slots=True)
class RotateWebhook:
    """A new secret; the old one signs too for `overlap_ms`."""

    key: str | None
    by: str
    partner: str
    id: str
    secret: str
    overlap_ms: int

    @property
    def wish(self) -> tuple[Any, ...]:
        """What an idempotency key is bound to."""
        return (self.partner, self.id, self.overlap_ms)


@dataclass(slots=True)
class MoveWebhook:
    """An endpoint is to be active, disabled or removed."""

    key: str | None
    by: str
    partner: str
    id: str
    status: str


@dataclass(slots=True)
class AnnounceEvent:
    """Something happened that a partner may want to hear of. `event` names it: told again, it changes nothing.

    `only`: an endpoint that alone is told, for pings.
    """

    key: str | None
    partner: str
    type: str
    order: int | None
    event: str
    data: dict[str, Any] = field(default_factory=dict)
    only: str = ""


@dataclass(slots=True)
class AnnounceSettled:
    """A bill was paid or rejected."""

    key: str | None
    invoice: str


@dataclass(slots=True)
class SettleMessage:
    """What came of a try to deliver. `attempt` counts from 1 and must be the next one.

    `outcome`: delivered, failed (again later), or gone (the receiver wants no more). `jitter_permille`: by how much the
    wait is longer than the schedule says.
    """

    key: str | None
    message: str
    endpoint: str
    attempt: int
    outcome: str
    status: int | None
    ms: int
    problem: str = ""
    retry_after_ms: int | None = None
    jitter_permille: int = 0


@dataclass(slots=True)
class ReplayMessage:
    """Deliver a message anew."""

    key: str | None
    by: str
    partner: str
    message: str


@dataclass(slots=True)
class ForgetMessages:
    """Messages whose time is over go, with their attempts."""

    key: str | None
    messages: tuple[str, ...]
