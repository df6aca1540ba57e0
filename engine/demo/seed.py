"""Makes the village by commands only: accounts, friendships, six weeks of acts and collecting, programmes with stock.

History is made under a shifted clock that only moves forward, so that every ball is as old as it says.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from engine.core.commands import (
    AddSource,
    AnswerFriend,
    CollectEnergy,
    FundProgramme,
    GrantStock,
    LinkSource,
    OpenAccount,
    RedeemOffer,
    RequestFriend,
)
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, local_day
from engine.demo.acts import DAILY, RARE, SOURCE, balls_of_all_ages, day_of_acts, ripening_soon
from engine.demo.people import (
    NAMES,
    PROVINCES,
    REFERENCE,
    VISITOR,
    ZONE,
    Villager,
    diligence_of,
    new_key,
)
from engine.main import Engine
from engine.writer import Outcome

HISTORY_D = 42
QUIET_D = 4  # the last days, of which balls of all ages are left lying
STOCK_TREES = 60
FUNDED_TREES = 100
FIRST_TREES = 6
COLLECT_BALLS_MAX = 50

Progress = Callable[[int, int], None]


async def settle(engine: Engine, seed: int, progress: Progress = lambda done, total: None) -> list[Villager]:
    """The people of the village: those who live in the database, else newly made with all their history."""
    dice = random.Random(seed)
    found = await _residents(engine)
    if found:
        await _freshen(engine, found, dice)
        return found
    now = engine.clock.now_ms()
    villagers = await _found(engine, now - (HISTORY_D + 1) * DAY_MS, dice)
    await _fund(engine, now)
    for day in range(HISTORY_D, QUIET_D - 1, -1):
        await _live_a_day(engine, villagers, now - day * DAY_MS, dice)
        progress(HISTORY_D - day + 1, HISTORY_D)
    await _first_trees(engine, villagers, dice)
    await _reports(engine, balls_of_all_ages(villagers, now, engine.rules, dice))
    engine.clock.shift_ms = 0
    progress(HISTORY_D, HISTORY_D)
    return villagers


async def _residents(engine: Engine) -> list[Villager]:
    sql = (
        "SELECT i.user_id, i.display_name, i.reference FROM identities i JOIN users u ON u.id = i.user_id"
        " WHERE u.state = 'active' AND i.reference LIKE ? ORDER BY i.user_id"
    )
    async with engine.db.snapshot() as view:
        rows = await view.fetch(sql, f"{REFERENCE}%")
    rows.sort(key=lambda row: row[2] != VISITOR)
    return [Villager(user, name, diligence_of(place)) for place, (user, name, _) in enumerate(rows)]


async def _freshen(engine: Engine, villagers: Sequence[Villager], dice: random.Random) -> None:
    """Something to see at once in a village that was left alone."""
    now = engine.clock.now_ms()
    await _submit(engine, [ripening_soon(villager, now, engine.rules, dice) for villager in villagers])


# --- accounts and friends ---------------------------------------------------------------------------


async def _found(engine: Engine, at: int, dice: random.Random) -> list[Villager]:
    """Open accounts, give the village's source their consent, make friends."""
    _be_at(engine, at)
    behaviours = tuple(one for one in ("walking", *DAILY, *RARE) if one in engine.rules.behaviours)
    secret = "whsec_" + "c2F4YXVsLWRlbW8tdmlsbGFnZS1zb3VyY2U="
    await _submit(engine, [AddSource(None, SOURCE, "The village", secret, behaviours)])
    opened = await _submit(
        engine,
        [
            OpenAccount(
                None, VISITOR if not place else f"{REFERENCE}{place}", name, ZONE, dice.choice(PROVINCES)
            )
            for place, name in enumerate(NAMES)
        ],
    )
    villagers = [
        Villager(int(_reply(outcome)["user"]), name, diligence_of(place))
        for place, (name, outcome) in enumerate(zip(NAMES, opened, strict=True))
    ]
    await _submit(engine, [LinkSource(None, one.user, SOURCE, one.subject, behaviours) for one in villagers])
    pairs = _friendships(len(villagers), dice)
    asked = [(villagers[one].user, villagers[other].user) for one, other in pairs]
    await _submit(engine, [RequestFriend(new_key(dice, at), one, other) for one, other in asked])
    await _submit(engine, [AnswerFriend(new_key(dice, at), other, one) for one, other in asked])
    return villagers


def _friendships(count: int, dice: random.Random) -> list[tuple[int, int]]:
    """Neighbours, some across the village, and the visitor with many."""
    pairs = {(place, place + 1) for place in range(1, count - 1)}
    pairs |= {(0, place) for place in range(1, 13)}
    while len(pairs) < 4 * count:
        one, other = sorted(dice.sample(range(1, count), 2))
        pairs.add((one, other))
    return sorted(pairs)


async def _fund(engine: Engine, now: int) -> None:
    """Funding and stock for all programmes of the rulebook."""
    today = local_day(now, "UTC")
    for programme in engine.rules.programmes.values():
        price = programme.unit_price_minor(today)
        if price is None:
            continue
        amount = price * FUNDED_TREES
        fund = FundProgramme(None, programme.id, "Demo Foundation", programme.currency, price, amount)
        await _submit(engine, [fund, GrantStock(None, programme.id, STOCK_TREES)])


# --- history ----------------------------------------------------------------------------------------


async def _live_a_day(
    engine: Engine, villagers: Sequence[Villager], evening: int, dice: random.Random
) -> None:
    """Collect what is ripe, of one's own and of friends, then report what was done today."""
    _be_at(engine, evening)
    ripe = await _ripe_balls(engine, evening)
    commands: list[Any] = []
    for villager in villagers:
        if dice.random() < 0.3 + 0.6 * villager.diligence:
            commands += _collects(villager.user, villager.user, ripe[villager.user], evening, dice)
        for friend in dice.sample(villagers, 2):
            if dice.random() < villager.diligence:
                commands += _collects(villager.user, friend.user, ripe[friend.user][:5], evening, dice)
    dice.shuffle(commands)
    for villager in villagers:
        commands += day_of_acts(villager, evening, engine.rules, dice)
    await _submit(engine, commands)


async def _ripe_balls(engine: Engine, now: int) -> defaultdict[int, list[int]]:
    sql = (
        "SELECT owner, id FROM balls WHERE expires_at > ? AND ripens_at <= ? AND remaining_g > 0 ORDER BY id"
    )
    found: defaultdict[int, list[int]] = defaultdict(list)
    async with engine.db.snapshot() as view:
        for owner, ball in await view.fetch(sql, now, now - 2 * MINUTE_MS):
            found[owner].append(ball)
    return found


def _collects(
    user: int, owner: int, balls: Sequence[int], now: int, dice: random.Random
) -> Iterable[CollectEnergy]:
    for start in range(0, len(balls), COLLECT_BALLS_MAX):
        yield CollectEnergy(new_key(dice, now), user, owner, tuple(balls[start : start + COLLECT_BALLS_MAX]))


async def _first_trees(engine: Engine, villagers: Sequence[Villager], dice: random.Random) -> None:
    """The busiest have redeemed a tree or two; the visitor keeps the energy for a first one of their own."""
    now = engine.clock.now_ms()
    offers = sorted(engine.rules.programmes)
    buyers = [villagers[place % len(villagers)] for place in range(1, FIRST_TREES + 1)]
    wishes = [RedeemOffer(new_key(dice, now), one.user, dice.choice(offers)) for one in buyers]
    await _submit(engine, wishes)


async def _reports(engine: Engine, planned: Sequence[tuple[int, Any]]) -> None:
    """Report each act at its instant, an hour's worth at a time."""
    group: list[Any] = []
    group_at = 0
    for at, command in planned:
        if group and at - group_at > HOUR_MS:
            await _submit(engine, group)
            group = []
        if not group:
            group_at = at
        _be_at(engine, at)
        group.append(command)
    if group:
        await _submit(engine, group)


# --- commands ---------------------------------------------------------------------------------------


def _be_at(engine: Engine, at: int) -> None:
    """Shift the clock so that it is that instant now, never back and never ahead of the host's."""
    shift_ms = at - (engine.clock.now_ms() - engine.clock.shift_ms)
    if engine.clock.shift_ms:
        shift_ms = max(shift_ms, engine.clock.shift_ms)
    engine.clock.shift_ms = min(0, shift_ms)


async def _submit(engine: Engine, commands: Sequence[Any]) -> list[Outcome]:
    return await engine.writer.submit_all(commands)


def _reply(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None:
        raise outcome.error
    return msgspec.json.decode(outcome.data or b"{}")
