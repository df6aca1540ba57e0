"""The same commands on SQLite and on PostgreSQL end in the same rows, from records to reviews and energy back."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from engine.core import commands as game
from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from engine.store.mapping import GAME_TABLES as STORED
from partners.checks import audit
from partners.core import commands as c
from partners.core.model import PARTNER_SHELVES, BatchShown, EvidenceShown, PartnerReport
from partners.core.records import commands as r
from partners.domain import PARTNER_TABLES
from tests.partners.bench import PROGRAMME, RULES, Bench, open_bench

PARTNER = "simulator-ngo"
STEPS = 70
GAME_TABLES = ("trees", "stocks", "commitments")
OPERATIONS = (
    *("redeem", "redeem", "form", "form", "report", "report", "report", "review", "cancel"),
    *("stand", "recheck", "follow", "quota", "choose", "wait", "give_up"),
)


class Play:
    """Draws what happens from dice and rows that both stores must have alike."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.dice = bench, random.Random(seed)
        self.user = 0
        self.said: list[str] = []

    async def begin(self) -> None:
        self.user = int((await self.bench.do(game.OpenAccount(None, None, "Lin", "Asia/Shanghai")))["user"])
        await self.bench._give_energy(self.user, 10_000_000)
        await self.bench.do(game.FundProgramme(None, PROGRAMME, "fund", "CNY", 1000, 1_000_000))
        await self.bench.do(game.GrantStock(None, PROGRAMME, 500))

    async def step(self, number: int) -> None:
        what = self.dice.choice(OPERATIONS)
        try:
            told = await getattr(self, f"_{what}")(number)
        except Rejected as refusal:
            told = refusal.code
        self.said.append(f"{what}: {told}")

    async def _redeem(self, number: int) -> Any:
        for each in range(self.dice.randint(1, 5)):
            key = f"018f0000-{number:04x}-7000-8000-{each:012d}"
            await self.bench.do(game.RedeemOffer(key, self.user, PROGRAMME))
        return None

    async def _form(self, number: int) -> Any:
        units = await self._ids("SELECT id FROM tree_units WHERE state = 'pledged' ORDER BY id")
        return await self.bench.form(*units) if units else None

    async def _report(self, number: int) -> Any:
        order = await self._order("submitted", "accepted", "in_planting")
        if order is None:
            return None
        [(ordered, accepted, site)] = await self.bench.rows(
            "SELECT ordered, accepted, site FROM order_lines WHERE order_id = ?", order
        )
        state = self.dice.choice(["accepted", "planted", "planted", "rejected", "cancelled"])
        taken = accepted or self.dice.randint(1, ordered)
        proof = EvidenceShown(f"{number:064x}")
        shown = (BatchShown(str(number), taken, "2027-03-20", "2027-03-20", site, (proof,)),)
        report = PartnerReport(
            order, state, number, accepted=taken, batches=shown if state == "planted" else ()
        )
        await self._sent(order)
        return await self.bench.do(c.RecordReport(None, PARTNER, f"m{number}", "d", report))

    async def _sent(self, order: int) -> None:
        name = f"submit:{order}"
        claimed = await self.bench.do(c.ClaimDeliveries(None, "relay", 60_000, (name,)))
        if claimed["claimed"]:
            await self.bench.do(c.SettleDelivery(None, name, "relay", "done"))

    async def _review(self, number: int) -> Any:
        order = await self._order("planted")
        verdict = self.dice.choice(["verified", "verified", "needs_info", "back"])
        return order and await self.bench.do(c.ReviewOrder(None, "operator:li", order, verdict))

    async def _cancel(self, number: int) -> Any:
        order = await self._order("draft", "submitted", "accepted")
        return order and await self.bench.do(c.CancelOrder(None, "li", order, "mistake"))

    async def _stand(self, number: int) -> Any:
        status = self.dice.choice(["suspended", "active", "active"])
        return await self.bench.do(r.MovePartner(None, "li", PARTNER, status, "looked at"))

    async def _recheck(self, number: int) -> Any:
        order = await self._order("draft", "submitted", "accepted", "in_planting", "planted")
        return order and await self.bench.do(c.RecheckOrder(None, order))

    async def _follow(self, number: int) -> Any:
        order = await self._order("draft", "submitted", "accepted", "in_planting")
        return order and await self.bench.do(c.FollowUpOrder(None, order))

    async def _quota(self, number: int) -> Any:
        species = RULES.programmes[PROGRAMME].species
        season = self.dice.choice(["2027-spring", "2027-autumn"])
        capacity = self.dice.choice([0, 3, 8, 1000])
        return await self.bench.do(r.SetQuota(None, "li", PROGRAMME, species, season, capacity))

    async def _choose(self, number: int) -> Any:
        trees = await self._ids("SELECT id FROM trees WHERE waits_since_at IS NOT NULL ORDER BY id")
        if not trees:
            return None
        choice = self.dice.choice(["wait", "energy_back"])
        key = f"018f0000-{number:04x}-7000-9000-000000000000"
        return await self.bench.do(game.ChooseForTree(key, self.user, self.dice.choice(trees), choice))

    async def _wait(self, number: int) -> Any:
        self.bench.clock.shift_ms += self.dice.choice([1, 4, 15]) * DAY_MS

    async def _give_up(self, number: int) -> Any:
        units = await self._ids("SELECT id FROM tree_units WHERE back_at IS NOT NULL ORDER BY id")
        return await self.bench.do(c.GiveUpUnits(None, tuple(units)))

    async def _order(self, *states: str) -> int | None:
        found = await self._ids("SELECT id FROM partner_orders WHERE state IN ? ORDER BY id", list(states))
        return self.dice.choice(found) if found else None

    async def _ids(self, sql: str, *params: Any) -> list[int]:
        return [number for (number,) in await self.bench.rows(sql, *params)]


async def end_of(url: str, seed: int) -> tuple[list[str], dict[str, list[Any]]]:
    """What was said at each step, and all rows of game and partners but for instants and what is made of them."""
    async with open_bench(url, spreads_ids=False) as bench:
        play = Play(bench, seed)
        await play.begin()
        for number in range(STEPS):
            await play.step(number)
        rows: dict[str, list[Any]] = {}
        for name in (*GAME_TABLES, *(kind.name for kind in PARTNER_SHELVES)):
            columns = [
                column
                for column in (PARTNER_TABLES.get(name) or STORED[name]).columns
                if not column.endswith("_at")
                and column not in ("at", "payload_hash", "payload", "difference", "levels")
            ]
            if name == "reviews":  # their id is made of the instant
                columns.remove("id")
            quoted = ", ".join(f'"{column}"' for column in columns)
            found = await bench.rows(f"SELECT {quoted} FROM {name}")
            rows[name] = sorted(found, key=repr)
        async with bench.db.snapshot() as view:
            assert [finding async for finding in audit(view)] == []
        return play.said, rows


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_same_commands_end_in_the_same_rows(seed: int, tmp_path: Path, postgres_url: str) -> None:
    said, rows = await end_of(f"sqlite:///{tmp_path}/game.db", seed)
    also_said, also_rows = await end_of(postgres_url, seed)
    assert [one.partition("wallet")[0] for one in also_said] == [one.partition("wallet")[0] for one in said]
    for name, found in rows.items():
        assert also_rows[name] == found, name
    assert any("verified" in one for one in said) or any("planted" in one for one in said)
