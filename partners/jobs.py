"""The recurring jobs of the partners: each reads what is due and submits commands; outcomes never depend on
when, how often or where they run."""

from __future__ import annotations

import json
import logging

from engine.store.database import Database
from engine.writer import Writer
from partners.core.commands import FollowUpOrder, FormOrder, GiveUpUnits, RecheckOrder
from partners.core.model import ALLOCATED_TREES_MAX
from partners.store import queries

PAGES_PER_RUN_MAX = 50

log = logging.getLogger(__name__)


async def form_orders(writer: Writer, db: Database, pages_max: int = PAGES_PER_RUN_MAX) -> int:
    """Place waiting trees of all programmes; returns how many planting orders went out."""
    async with db.snapshot() as reader:
        routes = await queries.routes(reader)
    return sum([await _place(writer, db, route, pages_max) for route in routes])


async def follow_up(writer: Writer, db: Database) -> int:
    """Poll, remind, escalate and expire what is due, and hold or release what hangs on a partner's standing;
    returns how many orders were looked at."""
    now = writer.clock.now_ms()
    async with db.snapshot() as reader:
        changed = await queries.orders_to_recheck(reader, now)
        due = await queries.orders_due(reader, now)
    commands = [RecheckOrder(None, order) for order in changed]
    orders = [*changed, *due]
    outcomes = await writer.submit_all([*commands, *(FollowUpOrder(None, order) for order in due)])
    for order, outcome in zip(orders, outcomes, strict=True):
        if outcome.error is not None:
            log.warning("order %d is not followed up: %s", order, outcome.error)
    return len(orders)


async def give_energy_back(writer: Writer, db: Database) -> int:
    """Give up trees that have had no place for as long as they may wait; returns how many."""
    given = 0
    while True:
        async with db.snapshot() as reader:
            units = await queries.units_to_give_up(reader, writer.clock.now_ms())
        if not units:
            return given
        outcome = await writer.submit(GiveUpUnits(None, tuple(units)))
        if outcome.error is not None:
            log.warning("energy of %d trees is not given back: %s", len(units), outcome.error)
            return given
        done = int(json.loads(outcome.data or b"{}").get("withdrawn", 0))
        if not done:
            return given
        given += done


async def _place(writer: Writer, db: Database, route: str, pages_max: int) -> int:
    """Page by page, so that trees without a place keep nobody behind them from theirs; those are asked again
    only where some quota has room, so that their reason is that of the last look."""
    formed, after = 0, (-1, -1)
    async with db.snapshot() as reader:
        only_fresh = not await queries.has_room(reader, route, writer.clock.now_ms())
    for _ in range(pages_max):
        now = writer.clock.now_ms()
        async with db.snapshot() as reader:
            page = await queries.units_after(reader, route, now, ALLOCATED_TREES_MAX, after, only_fresh)
            if not page:
                break
            places = await queries.places_for(reader, page[0][0], now)
        units = tuple(number for number, _ in page)
        outcome = await writer.submit(FormOrder(None, route, units, places.quotas, places.drafts))
        if outcome.error is not None:
            log.warning("no order for %s: %s", route, outcome.error)
            break
        formed += len(json.loads(outcome.data or b"{}").get("orders", ()))
        number, since_at = page[-1]
        after = (since_at, number)
    return formed
