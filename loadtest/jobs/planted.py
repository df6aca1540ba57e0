"""Trees in orders, for pages to tell of: ordered, reported planted, verified, by the commands that partners cause."""

from typing import Any

from engine.clock import Clock
from engine.core.numbers import order_number, tree_number
from engine.core.rules import RuleBook
from engine.core.units import local_day
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.rulebook import load_rulebook
from engine.store.database import Database
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.writer import Writer
from loadtest.jobs.allocation import fill_trees
from loadtest.jobs.plans import PlantedPlan
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from partners.domain import partners_domain
from partners.onboarding.simulated import onboard_simulator
from partners.registry import SIMULATOR_PARTNER
from partners.store import queries

TREES_AN_ORDER = 50
LEFT_PCT = 10  # of all trees: they wait, so that the engine has orders to form while pages are asked for
PLANTED_PCT = 75  # of the orders
VERIFIED_PCT = 60  # of the orders


async def run(plan: PlantedPlan) -> dict[str, object]:
    """The numbers of trees and orders, and what of them is planted and still to be reviewed."""
    epoch = await migrate(plan.url)
    db = await open_database(plan.url)
    rules, clock = load_rulebook(), Clock()
    await fill_trees(db, rules, plan.trees, clock.now_ms())
    writer = Writer(
        db, (GAME, partners_domain()), FixedRules(lambda: rules), Hub(Limits(), epoch), clock, 100_000
    )
    writer.start()
    try:
        await onboard_simulator(db, writer, rules, SIMULATOR_PARTNER, is_hasty=True)
        orders = await _ordered(db, writer)
        planted = orders[: len(orders) * PLANTED_PCT // 100]
        verified = orders[: len(orders) * VERIFIED_PCT // 100]
        await _planted(db, writer, rules, planted)
        await _all(writer, [c.ReviewOrder(None, "operator:bench", number, "verified") for number in verified])
        async with db.snapshot() as view:
            trees = [number for (number,) in await view.fetch("SELECT id FROM tree_units ORDER BY id")]
        return {
            "trees": [tree_number(number) for number in trees],
            "planted": [order_number(number) for number in planted],
            "to_review": [order_number(number) for number in planted if number not in set(verified)],
            "to_hold": [order_number(number) for number in orders if number not in set(planted)],
        }
    finally:
        await writer.stop()
        await db.close()


async def _ordered(db: Database, writer: Writer) -> list[int]:
    async with db.snapshot() as view:
        waiting = await view.fetch("SELECT route, id FROM tree_units ORDER BY route, id")
    by_route: dict[str, list[int]] = {}
    for route, number in waiting:
        by_route.setdefault(route, []).append(number)
    wishes: list[Any] = []
    for route, numbers in sorted(by_route.items()):
        async with db.snapshot() as view:
            places = await queries.places_for(view, numbers[0], writer.clock.now_ms())
        taken = numbers[: len(numbers) * (100 - LEFT_PCT) // 100]
        for at in range(0, len(taken), TREES_AN_ORDER):
            units = tuple(taken[at : at + TREES_AN_ORDER])
            wishes.append(c.FormOrder(None, route, units, places.quotas, places.drafts))
    await _all(writer, wishes)
    async with db.snapshot() as view:
        return [
            number
            for (number,) in await view.fetch(
                "SELECT id FROM partner_orders WHERE state = 'submitted' ORDER BY id"
            )
        ]


async def _planted(db: Database, writer: Writer, rules: RuleBook, orders: list[int]) -> None:
    names = [f"submit:{number}" for number in orders]
    for at in range(0, len(names), 50):
        await _all(writer, [c.ClaimDeliveries(None, "bench", 600_000, tuple(names[at : at + 50]))])
    await _all(writer, [c.SettleDelivery(None, name, "bench", "done") for name in names])
    async with db.snapshot() as view:
        lines = await view.fetch("SELECT order_id, ordered, site FROM order_lines")
    asked = {number: (ordered, site) for number, ordered, site in lines}
    today = local_day(writer.clock.now_ms(), "UTC").isoformat()
    reports = []
    for number in orders:
        trees, site = asked[number]
        files = (EvidenceShown(f"{number:064x}"),)
        batch = BatchShown("1", trees, today, today, site, files)
        report = PartnerReport(number, "planted", 1, accepted=trees, batches=(batch,), by="bench")
        reports.append(c.RecordReport(None, SIMULATOR_PARTNER, f"m{number}", "d", report))
    await _all(writer, reports)


async def _all(writer: Writer, commands: list[Any]) -> None:
    for outcome in await writer.submit_all(commands):
        if outcome.error is not None:
            raise outcome.error
