"""The table of the partner API's commands: for each what it touches and who decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.core.events import Decision
from engine.core.state import By, Touch
from partners.core import api_commands as c
from partners.core import keys, webhooks
from partners.core.context import Context


def touches(command: Any, state: Any) -> Iterator[Touch]:
    """The rows that such a command reads or changes."""
    match command:
        case c.MakeKey():
            yield Touch("partner_records", command.partner)
            yield Touch("partner_keys", command.id)
            yield Touch("partner_keys", By("partner", command.partner))
        case c.RotateKey():
            yield Touch("partner_keys", command.old)
        case c.RevokeKey() | c.NoteKeyUse():
            yield Touch("partner_keys", command.id)
        case c.MakeWebhook():
            yield Touch("partner_records", command.partner)
            yield Touch("webhook_endpoints", By("partner", command.partner))
        case c.RotateWebhook() | c.MoveWebhook():
            yield Touch("webhook_endpoints", command.id)
        case _:
            yield from _told(command, state)


def _told(command: Any, state: Any) -> Iterator[Touch]:
    match command:
        case c.AnnounceEvent():
            yield from _announced(state, command.order, command.event, command.only)
        case c.AnnounceSettled():
            yield Touch("invoices", command.invoice)
            bill = state.invoices.get(command.invoice) if command.invoice in state.invoices else None
            if bill is not None:
                yield from _announced(state, bill.order_id, f"{bill.state}:{bill.id}")
        case c.SettleMessage():
            yield Touch("webhook_messages", command.message)
            yield Touch("webhook_endpoints", command.endpoint)
        case c.ReplayMessage():
            yield Touch("webhook_messages", command.message)
            row = state.webhook_messages.peek(command.message)
            if row is not None:
                yield Touch("webhook_endpoints", row.endpoint)
        case c.ForgetMessages():
            yield from (Touch("webhook_messages", name) for name in command.messages)
            yield from (Touch("webhook_attempts", By("message", name)) for name in command.messages)


def _announced(state: Any, order: int | None, event: str, only: str = "") -> Iterator[Touch]:
    if only:
        yield Touch("webhook_endpoints", only)
        yield Touch("webhook_messages", webhooks.message_id(only, event))
        return
    if order is None:
        return
    yield Touch("partner_orders", order)
    row = state.partner_orders.peek(order)
    if row is None:
        return
    yield Touch("webhook_endpoints", By("partner", row.partner))
    for endpoint in state.webhook_endpoints.where("partner", row.partner):
        yield Touch("webhook_messages", webhooks.message_id(endpoint.id, event))


DECIDERS: Mapping[type, Callable[[Any, Any, Context], Decision]] = {
    c.MakeKey: keys.make_key,
    c.RotateKey: keys.rotate_key,
    c.RevokeKey: keys.revoke_key,
    c.NoteKeyUse: keys.note_use,
    c.MakeWebhook: webhooks.make_webhook,
    c.RotateWebhook: webhooks.rotate_webhook,
    c.MoveWebhook: webhooks.move_webhook,
    c.AnnounceEvent: webhooks.announce_event,
    c.AnnounceSettled: webhooks.announce_settled,
    c.SettleMessage: webhooks.settle_message,
    c.ReplayMessage: webhooks.replay_message,
    c.ForgetMessages: webhooks.forget_messages,
}
