"""The partners' outbox as the engine's relay takes it: what is due, how it is claimed, and how it is
delivered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.relay import Claimed, Deliver, Outbox
from engine.store.database import Reader
from partners.core.commands import ClaimDeliveries, SettleDelivery
from partners.core.guards import may_reach
from partners.port import Adapter, Answer, about_of, order_sheet
from partners.store.queries import deliveries_due


def partners_outbox() -> Outbox:
    """What the relay needs to know of the partners' outbox."""
    return Outbox(due=_due, claim=_claim, lost=_lost)


def destinations(adapters: Mapping[str, Adapter]) -> dict[str, Deliver]:
    """The relay's table: each partner and what delivers to it."""
    return {partner: deliver_to(adapter) for partner, adapter in adapters.items()}


def deliver_to(adapter: Adapter) -> Deliver:
    """A function that makes one attempt with the adapter and tells what came of it."""

    async def deliver(delivery: Claimed) -> Sequence[Any]:
        answer = await _attempt(adapter, delivery)
        report = answer.report
        if report is not None and report.order != delivery.details["order"]:
            answer = Answer("refused", f"answered about another order, {report.order}")
        return [
            SettleDelivery(
                key=None,
                delivery=delivery.id,
                relay=delivery.relay,
                outcome=answer.outcome,
                answer=answer.text,
                retry_after_ms=answer.retry_after_ms,
                report=answer.report,
            )
        ]

    return deliver


async def _attempt(adapter: Adapter, delivery: Claimed) -> Answer:
    order, payload = int(delivery.details["order"]), delivery.details["payload"]
    kind, key = str(delivery.details["kind"]), str(delivery.details["key"])
    if kind == "read" and not adapter.capabilities.poll_s:
        return Answer("done", "this partner is not polled")
    if kind == "read" or delivery.details["mode"] == "read":
        answer = await adapter.fetch_status(order)
        # Reading back tells of the order; only for `submit` and `read` is its state the answer itself.
        return answer if kind in ("submit", "read") or answer.outcome != "done" else _read_back(kind, answer)
    if kind == "submit":
        sheet = order_sheet(payload)
        can = adapter.capabilities
        if not may_reach(sheet.kind, can.is_live, can.has_sandbox):
            return Answer("refused", "a test order never goes to a partner whose trees are real")
        return await adapter.submit(sheet, key)
    if kind == "cancel":
        if not adapter.capabilities.cancels:
            return Answer("done", "this partner can't be asked to cancel")
        return await adapter.cancel(order, str(payload.get("reason", "")), key)
    if not adapter.capabilities.reads_messages:
        return Answer("done", "this partner reads no messages")
    return await adapter.remind(order, about_of(payload), key)


def _read_back(kind: str, answer: Answer) -> Answer:
    if kind == "cancel" and answer.report is not None and answer.report.state != "cancelled":
        return Answer("unknown", f"not cancelled so far, but {answer.report.state}")
    return answer


async def _due(reader: Reader, now: int, names: Sequence[str]) -> list[tuple[str, str]]:
    return await deliveries_due(reader, now, names)


def _claim(relay: str, lease_ms: int, names: Sequence[str]) -> ClaimDeliveries:
    return ClaimDeliveries(None, relay, lease_ms, tuple(names))


def _lost(delivery: Claimed, problem: str) -> SettleDelivery:
    """The attempt broke off in between, so it may have had its effect."""
    return SettleDelivery(None, delivery.id, delivery.relay, "unknown", problem)
