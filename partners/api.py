"""HTTP of the partners: messages in, public tree pages, and the operator's desk. Every change is a command.

Refusals leave as `Rejected`; the one map from codes to statuses lives in the engine's edge.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, Field

from engine.api.callers import MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, plain_text
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import rfc3339
from partners.core.commands import (
    CancelOrder,
    HoldOrder,
    RecordReport,
    ResolveDelivery,
    ResumeOrder,
    ReviewOrder,
)
from partners.core.model import ENDED_STATES, OPEN_STATES, WATCHED_STATES
from partners.desk import Desk, reading
from partners.public.routes import NumberPath, add_tree
from partners.store import queries

MESSAGE_BYTES_MAX = 256 * 1024
ORDERS_PER_PAGE_MAX = 100
OPERATOR = "operator"

PartnerPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
DeliveryPath = Annotated[str, Path(pattern=r"^(submit|cancel|read|remind):[0-9]{1,16}$")]
StatesQuery = Annotated[
    list[str] | None, Query(max_length=10, description="States to show; all open ones if left out.")
]
AfterQuery = Annotated[str | None, Query(max_length=40, description="The number after which to go on.")]
Note = Annotated[str, Field(max_length=500), AfterValidator(plain_text)]
Reason = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_text)]


class ReviewBody(Body):
    """A verdict on an order: verified, needs_info or back; `verified` gives trees by report number."""

    verdict: str = Field(max_length=20)
    note: Note = ""
    verified: dict[str, int] = Field(default_factory=dict, max_length=100)


class ReasonBody(Body):
    """Why an order is cancelled or held."""

    reason: Reason


class CancelBody(ReasonBody):
    """Why an order is cancelled; `consent`: how the partner agreed, where it did so outside of its messages."""

    consent: Note = ""


class ResolveBody(Body):
    """Whether the partner says that a stuck delivery has arrived."""

    arrived: bool


def partners_router(desk: Desk) -> APIRouter:
    """All routes of the partners, under /v1."""
    router = APIRouter(prefix="/v1")
    add_tree(router, desk)
    _add_inbound(router, desk)
    operators = APIRouter(tags=["orders"], dependencies=[Depends(operator_caller)])
    _add_reading(operators, desk)
    _add_commands(operators, desk)
    router.include_router(operators)
    return router


def _add_inbound(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/partners/{partner}/messages",
        tags=["partners"],
        responses=refusals(
            "unknown_partner",
            "bad_signature",
            "bad_request",
            "bad_number",
            "message_reused",
            "order_held",
            "order_ended",
        ),
    )
    async def message(partner: PartnerPath, request: Request) -> dict[str, Any]:
        """A partner's message about an order, signed by the Standard Webhooks scheme; a repeat changes
        nothing."""
        adapter = desk.registry.adapters.get(partner)
        if adapter is None:
            raise Rejected("unknown_partner")
        body = await _bounded_body(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        inbound = adapter.parse_inbound(headers, body, desk.wall_ms())
        command = RecordReport(None, partner, inbound.message, inbound.digest, inbound.report)
        return await submit(desk, command)


def _add_reading(router: APIRouter, desk: Desk) -> None:
    @router.get("/orders", responses=refusals("bad_number"))
    async def orders(state: StatesQuery = None, after: AfterQuery = None) -> dict[str, Any]:
        """Planting orders by number, those in the asked states or all open ones."""
        first = parse_order_number(after) if after else 0
        states = [
            name for name in state or OPEN_STATES if name in (*OPEN_STATES, *WATCHED_STATES, *ENDED_STATES)
        ]
        async with reading(desk) as reader:
            found = await queries.orders_in(reader, states, first, ORDERS_PER_PAGE_MAX)
        return {"orders": [order_shown(order) for order in found], "more": len(found) == ORDERS_PER_PAGE_MAX}

    @router.get("/orders/{number}", responses=refusals("bad_number", "unknown_order"))
    async def order(number: NumberPath) -> dict[str, Any]:
        """An order with its lines, batches, reviews and deliveries."""
        async with reading(desk) as reader:
            facts = await queries.order_facts(reader, parse_order_number(number))
        if facts is None:
            raise Rejected("unknown_order")
        return order_shown(facts)


def _add_commands(router: APIRouter, desk: Desk) -> None:
    refused = refusals("bad_number", "unknown_order", "order_ended", "order_held", "key_reused")

    @router.post(
        "/orders/{number}/review",
        responses=refused
        | refusals(
            "bad_number",
            "unknown_order",
            "order_held",
            "not_planted",
            "own_review",
            "over_verified",
            "nothing_verified",
            "evidence_missing",
            "evidence_reused",
            "key_reused",
        ),
    )
    async def review(
        number: NumberPath,
        body: ReviewBody,
        key: MaybeIdempotencyKey,
        person: Annotated[str | None, Depends(operator_caller)],
    ) -> dict[str, Any]:
        """The operator's verdict on all batches that are not decided yet."""
        order, reviewer = parse_order_number(number), f"{OPERATOR}:{person}" if person else OPERATOR
        command = ReviewOrder(key, reviewer, order, body.verdict, body.note, body.verified)
        return await submit(desk, command)

    @router.post("/orders/{number}/cancel", responses=refused | refusals("order_ended", "already_reported"))
    async def cancel(number: NumberPath, body: CancelBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Withdraw an order of which nothing is reported. Once it is accepted, this asks for the partner's consent, or
        gives ours."""
        order = parse_order_number(number)
        return await submit(desk, CancelOrder(key, OPERATOR, order, body.reason, body.consent))

    @router.post("/orders/{number}/hold", responses=refused)
    async def hold(number: NumberPath, body: ReasonBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Stop an order until a person lets it go on."""
        return await submit(desk, HoldOrder(key, OPERATOR, parse_order_number(number), body.reason))

    @router.post("/orders/{number}/resume", responses=refused | refusals("partner_blocked"))
    async def resume(number: NumberPath, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Let a held order go on."""
        return await submit(desk, ResumeOrder(key, OPERATOR, parse_order_number(number)))

    @router.post(
        "/deliveries/{delivery}/resolve", responses=refusals("unknown_delivery", "not_stuck", "key_reused")
    )
    async def resolve(delivery: DeliveryPath, body: ResolveBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Say whether a stuck delivery has arrived; if not, it is sent anew."""
        return await submit(desk, ResolveDelivery(key, OPERATOR, delivery, body.arrived))


async def submit(desk: Desk, command: Any) -> dict[str, Any]:
    """The reply of a command. Raises its refusal."""
    outcome = await desk.writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return reply


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MESSAGE_BYTES_MAX:
            raise Rejected("bad_request", body_bytes_max=MESSAGE_BYTES_MAX)
    return bytes(body)


def order_shown(order: dict[str, Any]) -> dict[str, Any]:
    """An order as it goes out: its public number for its id, instants as text."""
    shown: dict[str, Any] = {
        name: rfc3339(value) if name.endswith("_at") and isinstance(value, int) else value
        for name, value in order.items()
        if name != "id"
    }
    for part in ("batches", "reviews", "deliveries"):
        if part in shown:
            shown[part] = [_with_instants(row) for row in shown[part]]
    return {"number": order_number(order["id"]), **shown}


def _with_instants(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: rfc3339(value) if (name == "at" or name.endswith("_at")) and isinstance(value, int) else value
        for name, value in row.items()
        if name not in ("order_id", "line_id", "payload")
    }
