"""Webhooks: which endpoint is told of what, when a delivery is tried again, and when we stop trying.

The schedule is that of the Standard Webhooks specification. Nothing is told out of a transaction that was rolled back,
and nothing that was committed is forgotten: a disabled endpoint's messages wait.
"""

from __future__ import annotations

import hashlib
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.numbers import order_number
from engine.core.units import DAY_MS, SECOND_MS, rfc3339
from partners.core import api_commands as c
from partners.core import api_events as e
from partners.core.api_rows import EVENT_TYPES, WebhookAttempt, WebhookEndpoint, WebhookMessage
from partners.core.context import Context

WEBHOOKS_MAX = 5
KEPT_MS = 30 * DAY_MS
RETRY_MS = tuple(s * SECOND_MS for s in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
ATTEMPTS_MAX = len(RETRY_MS) + 1
PROBLEM_CHARACTERS_MAX = 200


def make_webhook(state: Any, command: c.MakeWebhook, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_webhook`, `too_many_webhooks`."""
    if state.partner_records.get(command.partner) is None:
        raise Rejected("unknown_partner", partner=command.partner)
    unknown = set(command.types) - set(EVENT_TYPES)
    if unknown:
        raise Rejected("bad_webhook", field="types", expected=", ".join(EVENT_TYPES))
    rows = [row for row in _of(state, command.partner) if row.is_test == command.is_test]
    if len(rows) >= WEBHOOKS_MAX:
        raise Rejected("too_many_webhooks", webhooks_max=WEBHOOKS_MAX)
    row = WebhookEndpoint(
        id=command.id,
        partner=command.partner,
        url=command.url,
        is_test=command.is_test,
        status="active",
        why="",
        status_at=context.now,
        secret=command.secret,
        old_secret=None,
        old_until_at=None,
        sequence=0,
        made_by=command.by,
        made_at=context.now,
        types=list(dict.fromkeys(command.types)),
    )
    return Decision([e.WebhookMade(row)], {"id": row.id})


def rotate_webhook(state: Any, command: c.RotateWebhook, context: Context) -> Decision:
    """Raises `unknown_webhook`."""
    row = _known(state, command.partner, command.id)
    until_at = context.now + max(command.overlap_ms, 0)
    reply = {"id": row.id, "old_until_at": until_at}
    return Decision([e.WebhookRotated(row.id, command.secret, until_at)], reply)


def move_webhook(state: Any, command: c.MoveWebhook, context: Context) -> Decision:
    """Raises `unknown_webhook`, `bad_webhook`."""
    row = _known(state, command.partner, command.id)
    if command.status not in ("active", "disabled", "removed"):
        raise Rejected("bad_webhook", field="status", expected="active, disabled or removed")
    if row.status == command.status:
        return Decision([], {"id": row.id, "status": row.status})
    moved = e.WebhookMoved(row.id, command.status, f"by {command.by}", context.now)
    return Decision([moved], {"id": row.id, "status": command.status})


def announce_event(state: Any, command: c.AnnounceEvent, context: Context) -> Decision:
    """A message for each endpoint of the partner that wants to hear of it. A test order is told to endpoints for tests
    alone, any other never to them.

    Raises `unknown_order`, `bad_webhook` (no such type), `unknown_webhook` (the one that is named).
    """
    if command.type not in EVENT_TYPES:
        raise Rejected("bad_webhook", field="type", expected=", ".join(EVENT_TYPES))
    if command.only:
        told = [_known(state, command.partner, command.only)]
    else:
        order = state.partner_orders.get(command.order) if command.order is not None else None
        if order is None or (command.partner and order.partner != command.partner):
            raise Rejected("unknown_order", order=command.order)
        is_test = order.kind == "test"
        told = [
            row for row in _of(state, order.partner) if row.is_test == is_test and _wants(row, command.type)
        ]
    fresh = [
        _message(row, command, context)
        for row in told
        if state.webhook_messages.get(message_id(row.id, command.event)) is None
    ]
    return Decision([e.MessageQueued(row) for row in fresh], {"messages": [row.id for row in fresh]})


def announce_settled(state: Any, command: c.AnnounceSettled, context: Context) -> Decision:
    """A paid or rejected bill is told of like every other event."""
    bill = state.invoices[command.invoice]
    data = {
        "order": order_number(bill.order_id),
        "invoice_no": bill.invoice_no,
        "milestone": bill.milestone.rpartition("/")[2],
        "currency": bill.currency,
        "net_minor": bill.net_minor,
        "tax_minor": bill.tax_minor,
    }
    named = f"{bill.state}:{bill.id}"
    told = c.AnnounceEvent(None, "", f"payment.{bill.state}", bill.order_id, named, data)
    return announce_event(state, told, context)


def settle_message(state: Any, command: c.SettleMessage, context: Context) -> Decision:
    """Book a try. After the last one the message is dead and its endpoint disabled; a receiver that is gone is disabled
    at once.

    Raises `unknown_message`, `lease_lost` (somebody else has settled this try).
    """
    row = state.webhook_messages.get(command.message)
    if row is None:
        raise Rejected("unknown_message", message=command.message)
    if row.state != "waiting" or row.attempts + 1 != command.attempt:
        raise Rejected("lease_lost", message=row.id)
    problem = command.problem[:PROBLEM_CHARACTERS_MAX]
    attempt = WebhookAttempt(
        f"{row.id}:{context.new_id()}", row.id, context.now, command.ms, command.status, problem
    )
    if command.outcome == "delivered":
        return _settled(row, "done", None, attempt, context)
    if command.outcome == "failed" and command.attempt < ATTEMPTS_MAX:
        return _settled(row, "waiting", context.now + wait_ms(command), attempt, context)
    if command.outcome not in ("failed", "gone"):
        raise Rejected("bad_request", outcome=command.outcome)
    decision = _settled(row, "dead", None, attempt, context)
    endpoint = state.webhook_endpoints.get(row.endpoint)
    if endpoint is None or endpoint.status != "active":
        return decision
    why = "gone" if command.outcome == "gone" else "undeliverable"
    moved = e.WebhookMoved(endpoint.id, "disabled", why, context.now)
    return Decision([*decision.events, moved], decision.reply)


def wait_ms(command: c.SettleMessage) -> int:
    """How long to wait after a failed try: as the schedule or the receiver says, whichever is longer, and a little."""
    planned = RETRY_MS[command.attempt - 1]
    asked = min(command.retry_after_ms or 0, DAY_MS)
    longest = max(planned, asked)
    return longest + longest * command.jitter_permille // 1000


def replay_message(state: Any, command: c.ReplayMessage, context: Context) -> Decision:
    """Raises `unknown_message`, `webhook_disabled`, `message_old`."""
    row = state.webhook_messages.get(command.message)
    if row is None or row.partner != command.partner:
        raise Rejected("unknown_message", message=command.message)
    endpoint = _known(state, row.partner, row.endpoint)
    if endpoint.status != "active":
        raise Rejected("webhook_disabled", id=endpoint.id, why=endpoint.why)
    if context.now - row.made_at > KEPT_MS:
        raise Rejected("message_old", kept_d=KEPT_MS // DAY_MS)
    if row.state == "waiting" and row.attempts == 0:
        return Decision([], {"id": row.id, "state": row.state})
    again = e.MessageSettled(row.id, "waiting", 0, context.now, None)
    return Decision([again], {"id": row.id, "state": "waiting"})


def forget_messages(state: Any, command: c.ForgetMessages, context: Context) -> Decision:
    """What may still be replayed stays."""
    old = [
        name
        for name in dict.fromkeys(command.messages)
        if (row := state.webhook_messages.get(name)) is not None and context.now - row.made_at > KEPT_MS
    ]
    if not old:
        return Decision([], {"forgotten": 0})
    attempts = [row.id for name in old for row in state.webhook_attempts.where("message", name)]
    return Decision([e.MessagesForgotten(old, attempts)], {"forgotten": len(old)})


def message_id(endpoint: str, event: str) -> str:
    """The message that tells an endpoint of an event: the same whenever it is asked for."""
    return "msg_" + hashlib.sha256(f"{endpoint} {event}".encode()).hexdigest()[:32]


def _message(row: WebhookEndpoint, command: c.AnnounceEvent, context: Context) -> WebhookMessage:
    return WebhookMessage(
        id=message_id(row.id, command.event),
        endpoint=row.id,
        partner=row.partner,
        type=command.type,
        order_id=command.order,
        sequence=row.sequence + 1,
        state="waiting",
        attempts=0,
        next_at=context.now,
        made_at=context.now,
        settled_at=None,
        data=command.data,
    )


def body_of(message: WebhookMessage) -> dict[str, Any]:
    """What is sent: the type, when it happened, its place among the endpoint's messages, and the facts."""
    return {
        "type": message.type,
        "timestamp": rfc3339(message.made_at),
        "sequence": message.sequence,
        "data": message.data,
    }


def _settled(
    row: WebhookMessage, state: str, next_at: int | None, attempt: WebhookAttempt, context: Context
) -> Decision:
    settled_at = None if state == "waiting" else context.now
    settled = e.MessageSettled(row.id, state, row.attempts + 1, next_at, settled_at, attempt)
    return Decision([settled], {"state": state})


def _of(state: Any, partner: str) -> list[WebhookEndpoint]:
    rows = (row for row in state.webhook_endpoints.where("partner", partner) if row.status != "removed")
    return sorted(rows, key=lambda row: row.id)


def _wants(row: WebhookEndpoint, kind: str) -> bool:
    return not row.types or kind in row.types


def _known(state: Any, partner: str, name: str) -> WebhookEndpoint:
    row = state.webhook_endpoints.get(name)
    if row is None or row.partner != partner or row.status == "removed":
        raise Rejected("unknown_webhook", id=name)
    known: WebhookEndpoint = row
    return known
