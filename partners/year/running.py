"""The year, day by day: trees are redeemed, the engine's own jobs run, partners and our people do what is theirs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from engine.core import commands as game
from engine.core.units import DAY_MS, HOUR_MS, SECOND_MS, local_day, local_instant
from engine.relay import Claimed
from partners import jobs
from partners.core import commands as c
from partners.outbox import deliver_to, partners_outbox
from partners.sealing import seal_audit
from partners.year import cashier, staff
from partners.year.books import Books, audit_books
from partners.year.dice import dice
from partners.year.scenario import Scenario
from partners.year.tally import Month
from partners.year.world import World, day_of, is_refusal, open_world, quotas, trees_of

YEAR_D = 365
MORNING_MS = 8 * HOUR_MS
LEASE_MS = 60 * SECOND_MS
RELAY_ROUNDS_MAX = 200
CHOICES = ("wait", "energy_back")
CHOOSING_PCT = 5

Progress = Callable[[str, int, int], None]
"""(what, done, of)."""


@dataclass(slots=True)
class YearFigures:
    """What came of a run. `ends` counts trees by state, `orders` orders by state at the end."""

    trees: int
    partners: int
    seed: int
    days: int
    months: dict[str, Month]
    ends: dict[str, int]
    orders: dict[str, int]
    refused: dict[str, int]
    books: Books
    seconds: float
    commands: int
    took_s: dict[str, float] = field(default_factory=dict)


async def run_year(
    scenario: Scenario,
    url: str,
    trees: int,
    seed: int,
    months: int = 12,
    stride_d: int = 1,
    progress: Progress = lambda what, done, of: None,
) -> YearFigures:
    """Play the scenario on an empty database and audit what is left. Raises YearProblem, DatabaseAway.

    `stride_d`: everybody works only every so many days, for a short run.
    """
    begun = perf_counter()
    days = YEAR_D * months // 12
    took: Counter[str] = Counter()
    progress("accounts and records", 0, 1)
    async with open_world(scenario, url, trees, seed) as world:
        plan = _redemptions(world)
        for number in range(0, days, stride_d):
            passed = range(number, min(days, number + stride_d))
            redeemed = [wish for _ in passed for wish in next(plan, [])]
            await _day(world, passed, redeemed, took)
            progress("days", passed.stop, days)
        await seal_audit(world.writer, world.db)
        books = await audit_books(world, progress)
        states = await world.rows("SELECT state, count(*) FROM tree_units GROUP BY state")
        orders = await world.rows("SELECT state, count(*) FROM partner_orders GROUP BY state")
        return YearFigures(
            trees=trees,
            partners=len(scenario.planters),
            seed=seed,
            days=days,
            months=dict(sorted(world.tally.months.items())),
            ends={state: int(count) for state, count in sorted(states)},
            orders={state: int(count) for state, count in sorted(orders)},
            refused=dict(sorted(world.refused.items())),
            books=books,
            seconds=perf_counter() - begun,
            commands=world.writer.commands,
            took_s=dict(took.most_common()),
        )


async def _day(world: World, passed: range, redeemed: list[Any], took: Counter[str]) -> None:
    """The last of the days that passed, always in the same order: what one step commits the next one finds."""
    start_at = local_instant(day_of(world.scenario, passed[-1]), 0, "UTC")
    days = frozenset(day_of(world.scenario, number).isoformat()[5:] for number in passed)
    world.clock.at = start_at + MORNING_MS
    steps: tuple[tuple[str, Any], ...] = (
        ("redeem", lambda: world.all(redeemed)),
        ("choose", lambda: _choose(world)),
        ("befall", lambda: staff.befall(world, days)),
        ("allocate", lambda: jobs.form_orders(world.writer, world.db, 1_000_000)),
        ("deliver", lambda: _deliver(world)),
        ("hear", lambda: _hear(world)),
        ("review", lambda: staff.review(world)),
        ("unhold", lambda: staff.unhold(world)),
        ("count", lambda: staff.count_trees(world)),
        ("close", lambda: staff.close_short(world)),
        ("follow up", lambda: _follow_up(world)),
        ("deliver", lambda: _deliver(world)),
        ("bill", lambda: cashier.bill(world)),
        ("pay", lambda: cashier.pay(world)),
        ("repay", lambda: cashier.repay(world)),
        ("energy back", lambda: jobs.give_energy_back(world.writer, world.db)),
        ("seal", lambda: seal_audit(world.writer, world.db)),
        ("quotas", lambda: _next_quotas(world, days)),
    )
    for place, (name, step) in enumerate(steps):
        world.clock.at = start_at + MORNING_MS + place * 60 * SECOND_MS
        begun = perf_counter()
        await step()
        took[name] += perf_counter() - begun


# --- users ------------------------------------------------------------------------------------------------


def _redemptions(world: World) -> Iterator[list[Any]]:
    """What users redeem on each day of the first year: evenly over the days, programmes by their shares."""
    wanted = trees_of(world.scenario, world.trees)
    offers = [offer for offer, trees in wanted.items() for _ in range(trees)]
    dice(world.seed, "offers").shuffle(offers)
    for day in range(YEAR_D):
        first, last = world.trees * day // YEAR_D, world.trees * (day + 1) // YEAR_D
        yield [
            game.RedeemOffer(
                f"{day:08x}-{place - first:04x}-7000-8000-000000000000",
                world.users[place % len(world.users)],
                offers[place],
            )
            for place in range(first, last)
        ]


async def _choose(world: World) -> None:
    """Some users whose tree has no place decide for it."""
    rows = await world.rows(
        "SELECT id, user_id FROM trees WHERE waits_since_at IS NOT NULL AND waits_since_at >= ? ORDER BY id",
        world.clock.at - DAY_MS,
    )
    wishes = []
    for tree, user in rows:
        draws = dice(world.seed, "choose", tree)
        if draws.randrange(100) < CHOOSING_PCT:
            key = f"{world.clock.at // DAY_MS:08x}-{tree % 65_536:04x}-7000-9000-{tree:012d}"
            wishes.append(game.ChooseForTree(key, user, tree, draws.choice(CHOICES)))
    await world.all(wishes)


# --- the outbox and the inbox --------------------------------------------------------------------------------


async def _deliver(world: World) -> None:
    """The relay's work on the virtual clock: claim what is due, make the attempt, record what came of it."""
    outbox, names = partners_outbox(), list(world.desks)
    for _ in range(RELAY_ROUNDS_MAX):
        async with world.db.snapshot() as view:
            due = await outbox.due(view, world.clock.at, names)
        if not due:
            return
        reply = await world.do(outbox.claim("year", LEASE_MS, [name for name, _ in due]))
        commands: list[Any] = []
        for details in reply["claimed"]:
            desk = world.desks[details["destination"]]
            claimed = Claimed(details["id"], details["destination"], "year", details)
            commands += await deliver_to(desk)(claimed)
        await world.all(commands)


async def _hear(world: World) -> None:
    """What partners push. What is refused because the order is held is sent again tomorrow."""
    for name, desk in world.desks.items():
        if desk.planter.polled_d:
            continue
        told = list(desk.news())
        messages = [c.RecordReport(None, name, message, message, report) for message, report in told]
        for (_, report), outcome in zip(told, await world.all(messages), strict=True):
            if not is_refusal(outcome, "order_held"):
                desk.heard(report.order)


async def _follow_up(world: World) -> None:
    """The job, until nothing is due any more."""
    for _ in range(RELAY_ROUNDS_MAX):
        if await jobs.follow_up(world.writer, world.db) < 500:
            return


async def _next_quotas(world: World, days: frozenset[str]) -> None:
    """Once a year partners say what they can plant in the next one."""
    if world.scenario.next_places_on not in days:
        return
    year = local_day(world.clock.at, "UTC").year + 1
    for planter in world.scenario.planters:
        for place in world.scenario.places:
            if place.id in planter.programmes:
                await world.all(list(quotas(world.scenario, planter, place, world.rules, world.trees, year)))


def months_json(figures: YearFigures) -> list[dict[str, Any]]:
    """The table as plain data."""
    return [
        {
            "month": name,
            "trees": dict(sorted(month.trees.items())),
            "orders": dict(sorted(month.orders.items())),
            "money_minor": {
                currency: dict(sorted(sums.items())) for currency, sums in sorted(month.money.items())
            },
        }
        for name, month in figures.months.items()
    ]


def as_json(figures: YearFigures) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "trees": figures.trees,
        "partners": figures.partners,
        "seed": figures.seed,
        "days": figures.days,
        "months": months_json(figures),
        "trees_by_state": figures.ends,
        "orders_by_state": figures.orders,
        "refused": figures.refused,
        "audit": json.loads(json.dumps(figures.books.told())),
        "findings": figures.books.findings,
        "seconds": round(figures.seconds, 1),
        "commands": figures.commands,
        "seconds_by_step": {name: round(seconds, 1) for name, seconds in figures.took_s.items()},
    }
