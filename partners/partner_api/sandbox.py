"""Routes of the partner API for practice, with test keys alone: a test order to play with, and what is to happen to it
now.

A test order stands for no tree: it goes the way of every other, and counts nowhere (`partners/core/trials.py`).
"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from engine.store.database import Reader
from engine.writer import Outcome
from partners.adapters.rest import mapping
from partners.api import Desk, NumberPath, reading
from partners.core.api_commands import AnnounceEvent
from partners.core.commands import CancelOrder, OrderTest, ReviewOrder
from partners.core.model import OPEN_STATES
from partners.partner_api import bodies as b
from partners.partner_api.keys import Caller, Gate
from partners.partner_api.orders import own_facts
from partners.partner_api.route import POSTING, OnceKey, journal_key, refusing, replayed
from partners.partner_api.shown import order_whole
from partners.port import About, order_sheet
from partners.store import api_queries

TEST_ORDERS_MAX = 20
WHO = "sandbox"
_ORDERING = ("forbidden", "too_many_test_orders", "no_agreement", "no_price", "test_order_live")
_PRACTISING = ("forbidden", "bad_number", "unknown_order", "order_ended", "order_held", "not_planted")


def add_sandbox(router: APIRouter, desk: Desk, gate: Gate) -> None:
    """All routes for practice."""
    caller = Annotated[Caller, Depends(gate.scope("orders:answer"))]

    @router.post(
        "/sandbox/orders",
        status_code=201,
        summary="Get a test order",
        response_model=b.OrderWhole,
        responses=refusing(*POSTING, *_ORDERING, "partner_blocked", "season_missing"),
    )
    async def order(body: b.SandboxBody, key: OnceKey, by: caller) -> Response:  # type: ignore[valid-type]
        """An order of nobody's trees, which comes to you as every other does."""
        _only_practice(by)
        journal = journal_key(by.partner, key)
        async with reading(desk) as reader:
            species, site = await _priced(reader, by.partner, body.species, body.site)
            count = await api_queries.open_test_orders(reader, by.partner, OPEN_STATES, TEST_ORDERS_MAX)
            was_done = await api_queries.is_bound(reader, journal)
        if count >= TEST_ORDERS_MAX and not was_done:
            raise Rejected("too_many_test_orders", orders_max=TEST_ORDERS_MAX)
        command = OrderTest(journal, f"partner:{by.partner}", by.partner, species, site, body.trees)
        outcome = await _outcome(desk, command)
        number = order_number(json.loads(outcome.data or b"{}")["order"])
        return replayed(order_whole(await own_facts(desk, by, number), ""), outcome.replayed, 201)

    @router.post(
        "/sandbox/orders/{number}/events",
        summary="Let something happen to a test order now",
        response_model=b.OrderWhole,
        responses=refusing(*POSTING, *_PRACTISING, "evidence_missing", "evidence_reused", "nothing_verified"),
    )
    async def happen(
        number: NumberPath,
        body: b.PractiseBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """What a reviewer or the calendar would do: no clock has to pass. You hear of it as you would in earnest."""
        _only_practice(by)
        facts = await own_facts(desk, by, number)
        outcome = await _happen(desk, by, facts, body, key)
        async with reading(desk) as reader:
            missed = await api_queries.missed_info(reader, facts["id"])
        return replayed(order_whole(await own_facts(desk, by, number), missed), outcome.replayed)


def _only_practice(by: Caller) -> None:
    if not by.is_test:
        raise Rejected("forbidden", expected="a key for tests, sxp_test_…")


async def _happen(desk: Desk, by: Caller, facts: dict[str, Any], body: b.PractiseBody, key: str) -> Outcome:
    """What moves the order is done as its own people would do it; what only tells is told."""
    order, note, journal = facts["id"], body.note or "for practice", journal_key(by.partner, key)
    if body.type == "order.cancelled":
        return await _outcome(desk, CancelOrder(journal, WHO, order, note, note))
    if body.type in ("review.needs_info", "review.verified"):
        verdict = body.type.partition(".")[2]
        return await _outcome(desk, ReviewOrder(journal, WHO, order, verdict, note))
    event, told = f"practice:{by.partner}:{key}", _told(facts, body.type)
    return await _outcome(desk, AnnounceEvent(journal, by.partner, body.type, order, event, told))


async def _outcome(desk: Desk, command: Any) -> Outcome:
    outcome = await desk.writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _told(facts: dict[str, Any], kind: str) -> dict[str, Any]:
    """What such an event would say of the order."""
    number, line = order_number(facts["id"]), facts["lines"][0]
    if kind == "order.submitted":
        [sent] = [row for row in facts["deliveries"] if row["kind"] == "submit"]
        return mapping.submitted(order_sheet(sent["payload"]))
    if kind == "order.reminder":
        return mapping.reminded(facts["id"], About("answer_due"))[1]
    if kind == "ping":
        return {"order": number}
    amount = line["ordered"] * line["unit_price_minor"]
    told = {"order": number, "milestone": "accepted", "currency": line["currency"]}
    if kind == "payment.due":
        return told | {"amount_minor": amount}
    return told | {"invoice_no": "PRACTICE-1", "net_minor": amount, "tax_minor": 0}


async def _priced(reader: Reader, partner: str, species: str, site: str) -> tuple[str, str]:
    """A species and a site that the partner's agreement has a price for, as asked or the first ones."""
    for one_species, one_site in await api_queries.priced(reader, partner):
        if species in ("", one_species) and site in ("", one_site):
            return one_species, one_site
    return species, site  # the core says what is missing
