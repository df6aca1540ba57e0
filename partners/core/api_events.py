"""Facts about the partner API's keys and webhooks, past tense; and what each changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from partners.core.api_rows import PartnerKey, WebhookAttempt, WebhookEndpoint, WebhookMessage


@dataclass(slots=True)
class KeyMade:
    """A partner has a key more."""

    row: PartnerKey


@dataclass(slots=True)
class KeyEnds:
    """A key ends earlier than it would have: at once (`is_revoked`) or after an overlap."""

    id: str
    at: int
    is_revoked: bool


@dataclass(slots=True)
class KeyUsed:
    """When a key was used last."""

    id: str
    at: int


@dataclass(slots=True)
class WebhookMade:
    """A partner will be told of events at an address."""

    row: WebhookEndpoint


@dataclass(slots=True)
class WebhookRotated:
    """An endpoint has another secret."""

    id: str
    secret: str
    old_until_at: int


@dataclass(slots=True)
class WebhookMoved:
    """An endpoint is active, disabled or removed from now on."""

    id: str
    status: str
    why: str
    at: int


@dataclass(slots=True)
class MessageQueued:
    """An endpoint is to be told."""

    row: WebhookMessage


@dataclass(slots=True)
class MessageSettled:
    """Where a message stands after a try, or after somebody wanted it again (no attempt then)."""

    id: str
    state: str
    attempts: int
    next_at: int | None
    settled_at: int | None
    attempt: WebhookAttempt | None = None


@dataclass(slots=True)
class MessagesForgotten:
    """These are gone, with their attempts."""

    messages: list[str]
    attempts: list[str]


def _key_made(state: Any, event: KeyMade) -> None:
    state.partner_keys.add(event.row.id, event.row)


def _key_ends(state: Any, event: KeyEnds) -> None:
    row = state.partner_keys.edit(event.id)
    if event.is_revoked:
        row.revoked_at = event.at
    else:
        row.expires_at = event.at


def _key_used(state: Any, event: KeyUsed) -> None:
    state.partner_keys.edit(event.id).last_used_at = event.at


def _webhook_made(state: Any, event: WebhookMade) -> None:
    state.webhook_endpoints.add(event.row.id, event.row)


def _webhook_rotated(state: Any, event: WebhookRotated) -> None:
    row = state.webhook_endpoints.edit(event.id)
    row.old_secret, row.old_until_at, row.secret = row.secret, event.old_until_at, event.secret


def _webhook_moved(state: Any, event: WebhookMoved) -> None:
    row = state.webhook_endpoints.edit(event.id)
    row.status, row.why, row.status_at = event.status, event.why, event.at
    if event.status == "removed":
        row.secret, row.old_secret, row.old_until_at = "", None, None


def _message_queued(state: Any, event: MessageQueued) -> None:
    state.webhook_messages.add(event.row.id, event.row)
    state.webhook_endpoints.edit(event.row.endpoint).sequence = event.row.sequence


def _message_settled(state: Any, event: MessageSettled) -> None:
    row = state.webhook_messages.edit(event.id)
    row.state, row.attempts, row.next_at = event.state, event.attempts, event.next_at
    row.settled_at = event.settled_at
    if event.attempt is not None:
        state.webhook_attempts.add(event.attempt.id, event.attempt)


def _forgotten(state: Any, event: MessagesForgotten) -> None:
    for name in event.attempts:
        state.webhook_attempts.remove(name)
    for name in event.messages:
        state.webhook_messages.remove(name)


EVOLVE: dict[type, Callable[[Any, Any], None]] = {
    KeyMade: _key_made,
    KeyEnds: _key_ends,
    KeyUsed: _key_used,
    WebhookMade: _webhook_made,
    WebhookRotated: _webhook_rotated,
    WebhookMoved: _webhook_moved,
    MessageQueued: _message_queued,
    MessageSettled: _message_settled,
    MessagesForgotten: _forgotten,
}


# --- what the audit log keeps: who and what, no key, secret or address -----------------------------

Told = tuple[str, str, str, str, str]


def _told_key(state: Any, event: KeyMade, states: dict[int, str]) -> list[Told]:
    row = event.row
    return [(f"partner {row.partner}", "key", "", row.id, " ".join(row.scopes))]


def _told_end(state: Any, event: KeyEnds, states: dict[int, str]) -> list[Told]:
    row = state.partner_keys[event.id]
    return [(f"partner {row.partner}", "key", row.id, "revoked" if event.is_revoked else "ends", "")]


def _told_webhook(state: Any, event: WebhookMade, states: dict[int, str]) -> list[Told]:
    return [(f"partner {event.row.partner}", "webhook", "", event.row.id, " ".join(event.row.types))]


def _told_secret(state: Any, event: WebhookRotated, states: dict[int, str]) -> list[Told]:
    row = state.webhook_endpoints[event.id]
    return [(f"partner {row.partner}", "webhook", row.id, "new secret", "")]


def _told_move(state: Any, event: WebhookMoved, states: dict[int, str]) -> list[Told]:
    row = state.webhook_endpoints[event.id]
    return [(f"partner {row.partner}", "webhook", f"{row.id} {row.status}", event.status, event.why)]


API_TELLERS: dict[type, Callable[[Any, Any, dict[int, str]], list[Told]]] = {
    KeyMade: _told_key,
    KeyEnds: _told_end,
    WebhookMade: _told_webhook,
    WebhookRotated: _told_secret,
    WebhookMoved: _told_move,
}
