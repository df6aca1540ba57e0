"""Keeps the village alive: every moment somebody acts, collects, or turns energy into a tree. Seeded dice."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from engine.core.commands import CollectEnergy, RedeemOffer
from engine.core.state import Ball
from engine.demo.acts import late_act, ripening_soon
from engine.demo.people import Villager, new_key
from engine.facts import ball_status
from engine.main import Engine
from engine.store import queries

PAUSE_S = (0.25, 1.1)
LOOK_BALLS_MAX = 50
VISITOR_EVERY = 12  # moments between acts of the visitor, who should always see something ripen


class Life:
    """One village's goings-on."""

    def __init__(self, engine: Engine, villagers: Sequence[Villager], seed: int) -> None:
        self._engine = engine
        self._visitor, *self._others = villagers
        self._dice = random.Random(seed)
        self._moments = 0

    async def run(self) -> None:
        """Moment after moment, for ever; a refusal (nothing left, sold out …) is part of life."""
        while True:
            await asyncio.sleep(self._dice.uniform(*PAUSE_S))
            self._moments += 1
            if self._moments % VISITOR_EVERY == 1:
                await self._visitors_moment()
            else:
                await self._moment(self._dice.choice(self._others))

    async def _visitors_moment(self) -> None:
        """Something that ripens within seconds, or that is ripe at once, by turns."""
        act = late_act if self._moments // VISITOR_EVERY % 2 else ripening_soon
        await self._submit(act(self._visitor, self._now(), self._engine.rules, self._dice))

    async def _moment(self, villager: Villager) -> None:
        chance = self._dice.random()
        if chance < 0.30:
            await self._submit(ripening_soon(villager, self._now(), self._engine.rules, self._dice))
        elif chance < 0.42:
            await self._submit(late_act(villager, self._now(), self._engine.rules, self._dice))
        elif chance < 0.66:
            await self._collect(villager, villager.user)
        elif chance < 0.94:
            await self._visit(villager)
        else:
            await self._redeem(villager)

    async def _collect(self, villager: Villager, owner: int) -> None:
        balls = await self._takeable(villager.user, owner)
        if balls:
            chosen = tuple(ball.id for ball in balls[: self._dice.randint(1, 6)])
            await self._submit(CollectEnergy(self._key(), villager.user, owner, chosen))

    async def _takeable(self, user: int, owner: int) -> list[Ball]:
        now = self._now()
        async with self._engine.db.snapshot() as view:
            balls = await queries.live_balls(view, owner, now, LOOK_BALLS_MAX)
        return [ball for ball in balls if ball_status(ball, user, now) == "ripe"]

    async def _visit(self, villager: Villager) -> None:
        async with self._engine.db.snapshot() as view:
            relations = await queries.relations(view, villager.user)
        friends = [other for other, state, _ in relations if state == "friends"]
        if friends:
            await self._collect(villager, self._dice.choice(friends))

    async def _redeem(self, villager: Villager) -> None:
        offers = sorted(self._engine.rules.programmes)
        await self._submit(RedeemOffer(self._key(), villager.user, self._dice.choice(offers)))

    async def _submit(self, command: Any) -> None:
        await self._engine.writer.submit(command)

    def _now(self) -> int:
        return self._engine.clock.now_ms()

    def _key(self) -> str:
        return new_key(self._dice, self._now())
