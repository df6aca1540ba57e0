"""The two recurring jobs of the partners: each reads what is due and submits commands; outcomes never
depend on when, how often or where they run."""

from __future__ import annotations

import json
import logging

from engine.store.database import Database
from engine.writer import Writer
from partners.core.commands import FollowUpOrder, FormOrder
from partners.core.model import ORDER_TREES_MAX
from partners.store import queries

ORDERS_PER_RUN_MAX = 50

log = logging.getLogger(__name__)


async def form_orders(writer: Writer, db: Database) -> int:
    """Make planting orders out of waiting trees; returns how many orders were made."""
    async with db.snapshot() as reader:
        routes = await queries.routes(reader)
    return sum([await _form_for(writer, db, route) for route in routes])


async def follow_up(writer: Writer, db: Database) -> int:
    """Poll, remind, escalate and expire what is due; returns how many orders were looked at."""
    async with db.snapshot() as reader:
        due = await queries.orders_due(reader, writer.clock.now_ms())
    for order, outcome in zip(
        due, await writer.submit_all([FollowUpOrder(None, order) for order in due]), strict=True
    ):
        if outcome.error is not None:
            log.warning("order %d is not followed up: %s", order, outcome.error)
    return len(due)


async def _form_for(writer: Writer, db: Database, route: str) -> int:
    formed = 0
    while formed < ORDERS_PER_RUN_MAX:
        async with db.snapshot() as reader:
            units = await queries.units_waiting(reader, route, writer.clock.now_ms(), ORDER_TREES_MAX)
        if not units:
            break
        outcome = await writer.submit(FormOrder(None, route, tuple(units)))
        if outcome.error is not None:
            log.warning("no order for %s: %s", route, outcome.error)
            break
        if not json.loads(outcome.data or b"{}").get("formed"):
            break
        formed += 1
    return formed
