"""A small finished game on a real database, with one of everything that `check` and `explain` speak of."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from engine.clock import Clock
from engine.core.commands import (
    AddSource,
    AnswerFriend,
    BookExpiry,
    CollectEnergy,
    FundProgramme,
    GrantStock,
    LinkSource,
    OpenAccount,
    RedeemOffer,
    RequestFriend,
    ReverseActivity,
)
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, local_day
from engine.demo.people import new_key
from engine.main import Engine, open_engine
from engine.reported import Reported, command_of
from engine.settings import Settings
from partners.jobs import form_orders
from partners.onboarding.simulated import onboard_simulator
from partners.registry import SIMULATOR_PARTNER

DAYS = 66
SOURCE = "band"
PROGRAMME = "saxaul-alxa"


@dataclass(slots=True)
class World:
    """Who is who: `walker` has redeemed trees, `friend` took from the walker's balls, `debtor` owes."""

    url: str
    walker: int = 0
    friend: int = 0
    debtor: int = 0
    shared_ball: int = 0
    expired_ball: int = 0
    reversed_ball: int = 0
    counting_ball: int = 0
    excluded_ball: int = 0


async def build(url: str) -> World:
    """Two months of three people: walking, collecting, a reversal, an expiry, three trees in two orders."""
    world = World(url)
    dice = random.Random(7)
    clock = Clock()
    async with open_engine(Settings(database_url=url, demo=True), clock) as engine:
        start = clock.now_ms() - DAYS * DAY_MS
        clock.shift_ms = -DAYS * DAY_MS
        await _people(engine, world, dice, start)
        for day in range(DAYS - 2):
            clock.shift_ms = (day - DAYS) * DAY_MS
            await _day(engine, world, start + day * DAY_MS, dice, day)
        clock.shift_ms = -2 * DAY_MS
        await onboard_simulator(engine.db, engine.writer, engine.rules, SIMULATOR_PARTNER, is_hasty=True)
        for _ in range(2):
            await do(engine, RedeemOffer(key(engine, dice), world.walker, PROGRAMME))
            await form_orders(engine.writer, engine.db)
        await _ends(engine, world, dice)
    return world


async def _people(engine: Engine, world: World, dice: random.Random, start: int) -> None:
    await do(engine, AddSource(None, SOURCE, "Band", "whsec_c2VjcmV0", ("walking", "bus")))
    world.walker, world.friend, world.debtor = [
        int((await do(engine, OpenAccount(None, name, name.title(), "UTC")))["user"])
        for name in ("walker", "friend", "debtor")
    ]
    for user in (world.walker, world.friend, world.debtor):
        await do(engine, LinkSource(None, user, SOURCE, f"s{user}", ("walking", "bus")))
    for other in (world.friend, world.debtor):
        await do(engine, RequestFriend(key(engine, dice), world.walker, other))
        await do(engine, AnswerFriend(key(engine, dice), other, world.walker))
    await do(engine, FundProgramme(None, PROGRAMME, "Fund", "CNY", 738, 738 * 20))
    await do(engine, GrantStock(None, PROGRAMME, 12))


async def _day(engine: Engine, world: World, now: int, dice: random.Random, day: int) -> None:
    """Yesterday's balls are collected, today's steps and two rides reported."""
    sql = "SELECT id FROM balls WHERE owner = ? AND ripens_at < ? AND expires_at > ? AND remaining_g > 0"
    async with engine.db.snapshot() as view:
        ripe = tuple(ball for (ball,) in await view.fetch(sql, world.walker, now - 2 * MINUTE_MS, now))
    if ripe and day % 5 == 0:
        await do(engine, CollectEnergy(key(engine, dice), world.friend, world.walker, ripe))
        world.shared_ball = ripe[0]
    if ripe:
        await do(engine, CollectEnergy(key(engine, dice), world.walker, world.walker, ripe))
    on = local_day(now, "UTC") - timedelta(days=1)
    wire = Reported(f"w{day}", f"s{world.walker}", "walking", Decimal(20_000), "step", on=on, revision=1)
    await do(engine, command_of(SOURCE, wire))
    for ride in range(4):
        wire = Reported(
            f"b{day}-{ride}",
            f"s{world.walker}",
            "bus",
            Decimal(1),
            "ride",
            at=text(now - (ride + 1) * HOUR_MS),
        )
        await do(engine, command_of(SOURCE, wire))


async def _twins(engine: Engine, world: World, now: int) -> None:
    """The steps of one day by two devices: the lesser first, collected from by a friend before the greater come."""
    await do(engine, AddSource(None, "watch", "Watch", "whsec_c2VjcmV0", ("walking",)))
    await do(engine, LinkSource(None, world.debtor, "watch", f"s{world.debtor}", ("walking",)))
    on = local_day(now, "UTC") - timedelta(days=3)
    for source, steps in ((SOURCE, 9_000), ("watch", 12_000)):
        wire = Reported("twin", f"s{world.debtor}", "walking", Decimal(steps), "step", on=on, revision=1)
        ball = int((await do(engine, command_of(source, wire)))["ball"])
        if source == SOURCE:
            world.excluded_ball = ball
            engine.clock.shift_ms += 5 * MINUTE_MS
            take = CollectEnergy(
                new_key(random.Random(3), engine.clock.now_ms()), world.walker, world.debtor, (ball,)
            )
            await do(engine, take)
        else:
            world.counting_ball = ball


async def _ends(engine: Engine, world: World, dice: random.Random) -> None:
    """One ball expires, one is reversed after it was collected."""
    engine.clock.shift_ms = -2 * DAY_MS
    now = engine.clock.now_ms()
    late = Reported("gone", f"s{world.debtor}", "bus", Decimal(1), "ride", at=text(now - 40 * DAY_MS))
    world.expired_ball = int((await do(engine, command_of(SOURCE, late)))["ball"])
    taken = Reported("taken", f"s{world.debtor}", "bus", Decimal(1), "ride", at=text(now - 2 * DAY_MS))
    world.reversed_ball = int((await do(engine, command_of(SOURCE, taken)))["ball"])
    await _twins(engine, world, now)
    engine.clock.shift_ms += 5 * MINUTE_MS
    for user in (world.friend, world.walker, world.debtor):
        if user != world.friend:
            await do(engine, CollectEnergy(key(engine, dice), user, world.debtor, (world.reversed_ball,)))
    await do(engine, ReverseActivity(SOURCE, "taken", "double"))
    engine.clock.shift_ms = 0
    sql = "SELECT id, owner FROM balls WHERE expires_at <= ? AND remaining_g > 0"
    async with engine.db.snapshot() as view:
        balls = await view.fetch(sql, engine.clock.now_ms())
    await do(engine, BookExpiry(tuple((ball, owner) for ball, owner in balls)))


async def do(engine: Engine, command: Any) -> dict[str, Any]:
    outcome = await engine.writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    return msgspec.json.decode(outcome.data or b"{}")


def key(engine: Engine, dice: random.Random) -> str:
    return new_key(dice, engine.clock.now_ms())


def text(at: int) -> str:
    from engine.core.units import rfc3339

    return rfc3339(at)
