"""HTTP of the partners: messages in, public tree pages, and the operator's desk. Every change is a command.

Refusals leave as `Rejected`; the one map from codes to statuses lives in the engine's edge.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number, parse_tree_number
from engine.core.rules import RuleBook
from engine.core.units import rfc3339
from engine.store.database import Database
from engine.writer import Writer
from partners.core.commands import (
    CancelOrder,
    HoldOrder,
    RecordReport,
    ResolveDelivery,
    ResumeOrder,
    ReviewOrder,
)
from partners.core.model import ENDED_STATES, OPEN_STATES
from partners.pages import Place, tree_html, tree_page
from partners.registry import Registry
from partners.store import queries

MESSAGE_BYTES_MAX = 256 * 1024
ORDERS_PER_PAGE_MAX = 100
PAGE_HEADERS = {"cache-control": "public, max-age=30", "vary": "accept"}
HTML_HEADERS = {**PAGE_HEADERS, "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}

Operator = Callable[..., Awaitable[str] | str]
"""A FastAPI dependency that gives the operator's name or refuses the request."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with. `wall_ms` is the host's clock, for the age of signatures."""

    writer: Writer
    db: Database
    registry: Registry
    rules: Callable[[], RuleBook]
    operator: Operator
    wall_ms: Callable[[], int] = field(default=lambda: time.time_ns() // 1_000_000)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReviewBody(_Body):
    """A verdict on an order: verified, needs_info or back; `verified` gives trees by the partner's
    report number."""

    verdict: str = Field(max_length=20)
    note: str = Field("", max_length=500)
    verified: dict[str, int] = Field(default_factory=dict, max_length=100)


class ReasonBody(_Body):
    """Why an order is cancelled or held."""

    reason: str = Field(min_length=1, max_length=200)


class ResolveBody(_Body):
    """Whether the partner says that a stuck delivery has arrived."""

    arrived: bool


Key = Annotated[str | None, Header(alias="idempotency-key", max_length=100)]


def partners_router(desk: Desk) -> APIRouter:
    """All routes of the partners, under /v1."""
    router = APIRouter(prefix="/v1")
    _add_public(router, desk)
    _add_inbound(router, desk)
    _add_reading(router, desk)
    _add_commands(router, desk)
    return router


def _add_public(router: APIRouter, desk: Desk) -> None:
    @router.get("/trees/{number}", tags=["trees"], response_model=None)
    async def tree(number: str, request: Request) -> Response:
        """The public facts of a tree, as JSON or, for a browser, as a page."""
        unit = parse_tree_number(number)
        async with desk.db.snapshot() as reader:
            facts = await queries.tree_facts(reader, unit)
        if facts is None:
            raise Rejected("unknown_tree", tree=number[:40])
        rules = desk.rules()
        programme = rules.programmes.get(facts.route) or rules.programmes.get(facts.programme)
        partner = facts.partner or (programme.partner if programme else "")
        place = Place(programme, rules, desk.registry.is_live(partner)) if programme else None
        page = tree_page(facts, place, desk.writer.clock.now_ms())
        if _wants_html(request.headers.get("accept", "")):
            return HTMLResponse(tree_html(page), headers=HTML_HEADERS)
        return JSONResponse(page, headers=PAGE_HEADERS)


def _add_inbound(router: APIRouter, desk: Desk) -> None:
    @router.post("/partners/{partner}/messages", tags=["partners"])
    async def message(partner: str, request: Request) -> dict[str, Any]:
        """A partner's signed message about an order; a repeat changes nothing."""
        adapter = desk.registry.adapters.get(partner)
        if adapter is None:
            raise Rejected("unknown_partner", partner=partner[:64])
        body = await _bounded_body(request)
        headers = {name.lower(): value for name, value in request.headers.items()}
        inbound = adapter.parse_inbound(headers, body, desk.wall_ms())
        command = RecordReport(None, partner, inbound.message, inbound.digest, inbound.report)
        return await _submit(desk, command)


def _add_reading(router: APIRouter, desk: Desk) -> None:
    operator = Depends(desk.operator)

    @router.get("/orders", tags=["orders"])
    async def orders(
        _: Annotated[str, operator],
        state: Annotated[list[str] | None, Query()] = None,
        after: str | None = None,
    ) -> dict[str, Any]:
        """Planting orders by number, those in the asked states or all open ones."""
        first = parse_order_number(after) if after else 0
        states = [name for name in state or OPEN_STATES if name in (*OPEN_STATES, *ENDED_STATES)]
        async with desk.db.snapshot() as reader:
            found = await queries.orders_in(reader, states, first, ORDERS_PER_PAGE_MAX)
        return {"orders": [_shown(order) for order in found], "more": len(found) == ORDERS_PER_PAGE_MAX}

    @router.get("/orders/{number}", tags=["orders"])
    async def order(number: str, _: Annotated[str, operator]) -> dict[str, Any]:
        """An order with its lines, batches, reviews and deliveries."""
        async with desk.db.snapshot() as reader:
            facts = await queries.order_facts(reader, parse_order_number(number))
        if facts is None:
            raise Rejected("unknown_order", order=number[:40])
        return _shown(facts)


def _add_commands(router: APIRouter, desk: Desk) -> None:
    operator = Depends(desk.operator)

    @router.post("/orders/{number}/review", tags=["orders"])
    async def review(
        number: str, body: ReviewBody, name: Annotated[str, operator], key: Key = None
    ) -> dict[str, Any]:
        """The operator's verdict: the only way from planted to verified."""
        order = parse_order_number(number)
        return await _submit(
            desk, ReviewOrder(key, f"operator:{name}", order, body.verdict, body.note, body.verified)
        )

    @router.post("/orders/{number}/cancel", tags=["orders"])
    async def cancel(
        number: str, body: ReasonBody, name: Annotated[str, operator], key: Key = None
    ) -> dict[str, Any]:
        """Withdraw an order of which nothing is reported."""
        return await _submit(desk, CancelOrder(key, name, parse_order_number(number), body.reason))

    @router.post("/orders/{number}/hold", tags=["orders"])
    async def hold(
        number: str, body: ReasonBody, name: Annotated[str, operator], key: Key = None
    ) -> dict[str, Any]:
        """Stop an order until a person lets it go on."""
        return await _submit(desk, HoldOrder(key, name, parse_order_number(number), body.reason))

    @router.post("/orders/{number}/resume", tags=["orders"])
    async def resume(number: str, name: Annotated[str, operator], key: Key = None) -> dict[str, Any]:
        """Let a held order go on."""
        return await _submit(desk, ResumeOrder(key, name, parse_order_number(number)))

    @router.post("/deliveries/{delivery}/resolve", tags=["orders"])
    async def resolve(
        delivery: str, body: ResolveBody, name: Annotated[str, operator], key: Key = None
    ) -> dict[str, Any]:
        """Say whether a stuck delivery has arrived; if not, it is sent anew."""
        return await _submit(desk, ResolveDelivery(key, name, delivery, body.arrived))


async def _submit(desk: Desk, command: Any) -> dict[str, Any]:
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


def _wants_html(accept: str) -> bool:
    """A browser names text/html before JSON; whoever names neither gets JSON."""
    html, as_json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (as_json < 0 or html < as_json)


def _shown(order: dict[str, Any]) -> dict[str, Any]:
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
