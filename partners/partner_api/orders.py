"""Routes of the partner API about orders and money: a partner's own, and of those the ones of its key's mode."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from engine.core.errors import Rejected
from engine.core.numbers import parse_order_number
from partners.api import Desk, NumberPath, reading, submit
from partners.core.model import ENDED_STATES, OPEN_STATES, WATCHED_STATES, PartnerReport
from partners.partner_api import bodies as b
from partners.partner_api import saying
from partners.partner_api.keys import Caller, Gate
from partners.partner_api.route import (
    POSTING,
    CursorQuery,
    LimitQuery,
    OnceKey,
    after_of,
    cursor_of,
    refusing,
    replayed,
)
from partners.partner_api.shown import milestone_given, order_given, order_whole
from partners.store import api_queries, queries

STATES = tuple(state for state in (*OPEN_STATES, *WATCHED_STATES, *ENDED_STATES) if state != "draft")
StatesQuery = Annotated[
    list[str] | None, Query(max_length=len(STATES), description=f"Of {', '.join(STATES)}; all if left out.")
]
SeasonQuery = Annotated[str, Query(max_length=80, description="Of one season, 2027-spring.")]
_ORDER = ("bad_number", "unknown_order")
_CHANGING = (*_ORDER, *POSTING, "order_held", "order_ended", "partner_blocked")

Judge = Callable[[dict[str, Any], int], PartnerReport]


def add_orders(router: APIRouter, desk: Desk, gate: Gate) -> None:
    """All routes about orders and money."""
    _add_reading(router, desk, gate)
    _add_answers(router, desk, gate)
    _add_reports(router, desk, gate)
    _add_money(router, desk, gate)


def _add_reading(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("orders:read"))]

    @router.get("", summary="Whom this key speaks for", response_model=b.CallerGiven)
    async def myself(by: Annotated[Caller, Depends(gate.scope(""))]) -> dict[str, Any]:
        """The partner, the key's mode, scopes and end."""
        return by.shown()

    @router.get(
        "/orders",
        summary="Page through orders",
        response_model=b.OrdersGiven,
        responses=refusing("bad_request"),
    )
    async def orders(
        by: caller,  # type: ignore[valid-type]
        state: StatesQuery = None,
        season: SeasonQuery = "",
        limit: LimitQuery = 50,
        cursor: CursorQuery = "",
    ) -> dict[str, Any]:
        """Your orders, oldest first. An order never leaves its place, so a page is never shifted by what changes."""
        unknown = sorted(set(state or ()) - set(STATES))
        if unknown:
            raise Rejected("bad_request", field="state", expected=", ".join(STATES))
        asked = [sorted(set(state or ())), season]
        after = after_of(cursor, asked, 0)
        async with reading(desk) as reader:
            rows = await api_queries.orders_page(
                reader, by.partner, by.is_test, state or STATES, season, after, limit + 1
            )
            lines = await api_queries.lines_of(reader, [row["id"] for row in rows[:limit]])
        page = rows[:limit]
        return {
            "orders": [order_given(row, lines.get(row["id"], ())) for row in page],
            "next_cursor": cursor_of(page[-1]["id"], asked) if len(rows) > limit else None,
        }

    @router.get(
        "/orders/{number}", summary="Read an order", response_model=b.OrderWhole, responses=refusing(*_ORDER)
    )
    async def order(number: NumberPath, by: caller) -> dict[str, Any]:  # type: ignore[valid-type]
        """An order with lines, plantings and what a reviewer misses."""
        facts, missed = await _facts(desk, by, number)
        return order_whole(facts, missed)


def _add_answers(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("orders:answer"))]

    @router.post(
        "/orders/{number}/answer",
        summary="Accept an order, a part of it, or decline",
        response_model=b.OrderWhole,
        responses=refusing(*_CHANGING),
    )
    async def answer(
        number: NumberPath,
        body: b.AnswerBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """The answer to an order. What you do not take on is placed with somebody else."""
        route = ["answer", number]
        return await _say(
            desk, by, number, key, route, body, lambda facts, now: saying.answered(facts, body, now)
        )

    @router.post(
        "/orders/{number}/cancellation",
        summary="Ask to end an order, or agree to",
        response_model=b.OrderWhole,
        responses=refusing(*_CHANGING),
    )
    async def cancellation(
        number: NumberPath,
        body: b.CancellationBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """An accepted order ends when both sides agree; one that is not answered yet ends at once."""
        return await _say(
            desk,
            by,
            number,
            key,
            ["cancellation", number],
            body,
            lambda facts, now: saying.cancelled(facts, body.reason, body.by, now),
        )


def _add_reports(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("reports:write"))]

    @router.post(
        "/orders/{number}/plantings",
        summary="Report plantings",
        response_model=b.OrderWhole,
        responses=refusing(*_CHANGING, "batch_known", "already_reported", "not_accepted"),
    )
    async def plantings(
        number: NumberPath,
        body: b.PlantingsBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """Trees that were planted, with their photos."""
        route = ["plantings", number]
        return await _say(
            desk, by, number, key, route, body, lambda facts, now: saying.planted(facts, body, now)
        )

    @router.post(
        "/orders/{number}/done",
        summary="Declare that all is planted",
        response_model=b.OrderWhole,
        responses=refusing(*_CHANGING, "not_planted", "not_accepted"),
    )
    async def done(
        number: NumberPath,
        body: b.DoneBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """Nothing more will be planted of this order; what is missing is placed with somebody else."""
        route = ["done", number]
        return await _say(
            desk, by, number, key, route, body, lambda facts, now: saying.done(facts, body.by, now)
        )

    @router.post(
        "/orders/{number}/information",
        summary="Answer what a reviewer misses",
        response_model=b.OrderWhole,
        responses=refusing(*_CHANGING, "unknown_batch", "not_planted"),
    )
    async def information(
        number: NumberPath,
        body: b.InformationBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """More photos of what was reported; the order goes back to review."""
        route = ["information", number]
        return await _say(
            desk, by, number, key, route, body, lambda facts, now: saying.informed(facts, body, now)
        )


def _add_money(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("money:read"))]

    @router.get(
        "/money",
        summary="What has become payable",
        response_model=b.MoneyGiven,
        responses=refusing("bad_request"),
    )
    async def money(
        by: caller,  # type: ignore[valid-type]
        limit: LimitQuery = 50,
        cursor: CursorQuery = "",
    ) -> dict[str, Any]:
        """Milestones of your orders, with your bills for them. A test order is worth nothing."""
        after = after_of(cursor, "money", "")
        if by.is_test:
            return {"milestones": [], "next_cursor": None}
        async with reading(desk) as reader:
            rows = await api_queries.milestones(reader, by.partner, after, limit + 1)
            page = rows[:limit]
            bills = await api_queries.invoices(reader, by.partner, [row["order_id"] for row in page])
        return {
            "milestones": [milestone_given(row, bills) for row in page],
            "next_cursor": cursor_of(page[-1]["id"], "money") if len(rows) > limit else None,
        }


async def own_facts(desk: Desk, by: Caller, number: str) -> dict[str, Any]:
    """An order of the caller's, of the key's mode. Raises Rejected(bad_number | unknown_order)."""
    async with reading(desk) as reader:
        return await _own(reader, by, number)


async def _own(reader: Any, by: Caller, number: str) -> dict[str, Any]:
    facts = await queries.order_facts(reader, parse_order_number(number))
    if (
        facts is None
        or facts["partner"] != by.partner
        or facts["state"] == "draft"
        or (facts["kind"] == "test") != by.is_test
    ):
        raise Rejected("unknown_order")
    return facts


async def _facts(desk: Desk, by: Caller, number: str) -> tuple[dict[str, Any], str]:
    async with reading(desk) as reader:
        facts = await _own(reader, by, number)
        return facts, await api_queries.missed_info(reader, facts["id"])


async def _say(
    desk: Desk, by: Caller, number: str, key: str, route: list[str], body: b.Body, judge: Judge
) -> Response:
    """Judge what is said by how the order stands, tell the core, and answer with the order as it is then.

    What was said with this key before is not judged again.
    """
    words = body.model_dump(mode="json")
    async with reading(desk) as reader:
        facts = await _own(reader, by, number)
        message, digest = saying.named(key, route, words)
        known = await api_queries.seen(reader, by.partner, message)
    if known is not None and known != digest:
        raise Rejected("key_reused")
    if known is None:
        report = judge(facts, desk.writer.clock.now_ms())
        await _tell(desk, saying.command(by.partner, message, digest, report))
    after, missed = await _facts(desk, by, number)
    return replayed(order_whole(after, missed), is_replayed=known is not None)


async def _tell(desk: Desk, command: Any) -> None:
    try:
        await submit(desk, command)
    except Rejected as refusal:
        if refusal.code == "message_reused":  # another request with the same key was quicker
            raise Rejected("key_reused") from refusal
        raise
