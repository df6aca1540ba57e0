"""A real writer on a real database with game and partners, and a simulated NGO in its own process."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from engine.clock import Clock
from engine.core import commands as game
from engine.core.rules import RuleBook
from engine.core.units import local_day
from engine.domain import GAME, Domain
from engine.in_force import FixedRules
from engine.publication import Item
from engine.relay import Relay
from engine.rulebook import load_rulebook
from engine.store.database import Database
from engine.store.opening import open_database
from engine.writer import Outcome, Writer
from partners import jobs
from partners.core.commands import FormOrder
from partners.domain import partners_domain
from partners.onboarding.simulated import onboard_simulator
from partners.outbox import destinations, partners_outbox
from partners.registry import SIMULATOR_PARTNER, PartnerSettings, Registry, build_registry
from partners.store import queries
from tests.support.databases import migrated

KEY = "whsec_" + "c2F4YXVsLXNpbXVsYXRvci1rZXktMzItYnl0ZXMhIQ=="
PROGRAMME = "saxaul-alxa"
STARTS_WITHIN_S = 20.0
RULES: RuleBook = load_rulebook()


@dataclass
class Audience:
    """Keeps what clients would be told."""

    items: list[Item] = field(default_factory=list)

    def publish(self, items: Sequence[Item]) -> None:
        self.items += items

    def flush(self) -> None:
        pass


@dataclass
class Bench:
    db: Database
    writer: Writer
    clock: Clock
    audience: Audience
    registry: Registry

    async def do(self, command: Any) -> dict[str, Any]:
        """The reply of a command that must be accepted."""
        outcome: Outcome = await self.writer.submit(command)
        if outcome.error is not None:
            raise outcome.error
        reply: dict[str, Any] = json.loads(outcome.data or b"{}")
        return reply

    async def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        async with self.db.snapshot() as view:
            return await view.fetch(sql, *params)

    async def trees(self, count: int, programme: str = PROGRAMME) -> list[str]:
        """So many trees, redeemed by a user who has the energy; their public numbers."""
        user = int((await self.do(game.OpenAccount(None, None, "Lin", "Asia/Shanghai")))["user"])
        price_g = RULES.programmes[programme].energy_g(_today(self.clock))
        assert price_g is not None
        await self._give_energy(user, price_g * count)
        await self.do(game.FundProgramme(None, programme, "fund", "CNY", 1000, 1000 * count))
        await self.do(game.GrantStock(None, programme, count))
        stem = f"{user:012d}"
        redeem = [
            game.RedeemOffer(f"018f0000-{number:04x}-7000-8000-{stem}", user, programme)
            for number in range(count)
        ]
        outcomes = await self.writer.submit_all(redeem)
        assert [outcome.error for outcome in outcomes] == [None] * count
        return [json.loads(outcome.data or b"")["tree"] for outcome in outcomes]

    async def form(self, *units: int, programme: str = PROGRAMME) -> dict[str, Any]:
        """The job's command for these trees; its reply."""
        async with self.db.snapshot() as view:
            places = await queries.places_for(view, units[0], self.clock.now_ms())
        return await self.do(FormOrder(None, programme, units, places.quotas, places.drafts))

    async def _give_energy(self, user: int, grams: int) -> None:
        """Energy that no act earned: set in the database, as these tests are not about energy."""
        async with self.db.write() as tx:
            await tx.execute("UPDATE users SET wallet_g = ? WHERE id = ?", grams, user)
        self.writer._cache = None

    def relay(self, **options: Any) -> Relay:
        options = {"poll_s": 0.05, "name": "relay-1"} | options
        return Relay(self.writer, self.db, partners_outbox(), destinations(self.registry.adapters), **options)

    async def run_until(self, done: Callable[[], Any], within_s: float = 15.0, hurry: bool = False) -> None:
        """Jobs and relay work until `done` (async) is true; in a hurry, no time is spent waiting for what is next."""
        relay = self.relay()
        relay.start()
        try:
            ends_at = time.monotonic() + within_s
            while not await done():
                assert time.monotonic() < ends_at, await self.rows(
                    "SELECT o.state, o.held, o.difference, d.id, d.state, d.answer FROM partner_orders o"
                    " LEFT JOIN deliveries d ON d.order_id = o.id"
                )
                await jobs.form_orders(self.writer, self.db)
                await jobs.follow_up(self.writer, self.db)
                await asyncio.sleep(0.05)
                if hurry and not relay._attempts:
                    await self._to_what_is_next()
        finally:
            await relay.stop()

    async def _to_what_is_next(self) -> None:
        sql = "SELECT min({0}) FROM {1} WHERE {0} IS NOT NULL"
        found = await self.rows(sql.format("next_at", "deliveries"))
        if found == [(None,)]:
            found = await self.rows(sql.format("due_at", "partner_orders") + " AND held = ''")
        times = [at for (at,) in found if at is not None]
        if times:
            self.clock.shift_ms += max(0, min(times) - self.clock.now_ms())

    async def states(self) -> list[str]:
        return [state for (state,) in await self.rows("SELECT state FROM partner_orders ORDER BY id")]


@asynccontextmanager
async def open_bench(
    url: str,
    partners: Sequence[PartnerSettings] = (),
    rules: RuleBook = RULES,
    has_records: bool = True,
    spreads_ids: bool = True,
    more: Sequence[Domain] = (),
) -> AsyncIterator[Bench]:
    """Game and partners on the database, its partners have records and take single trees."""
    await migrated(url)
    db = await open_database(url)
    if spreads_ids:  # so that no two tests share an order number at one NGO
        await db.reserve_ids(secrets.randbelow(2**40))
    registry = build_registry(partners)
    clock, audience = Clock(), Audience()
    domain = partners_domain(registry.terms.values())
    writer = Writer(db, (GAME, domain, *more), FixedRules(lambda: rules), audience, clock)
    writer.start()
    if has_records:
        for name in dict.fromkeys((SIMULATOR_PARTNER, *(settings.partner for settings in partners))):
            await onboard_simulator(db, writer, rules, name, is_hasty=True)
    try:
        yield Bench(db, writer, clock, audience, registry)
    finally:
        await writer.stop()
        await registry.close()
        await db.close()


@dataclass
class Ngo:
    """A running simulator."""

    address: str
    process: subprocess.Popen[bytes] | None

    def settings(self, **changes: Any) -> PartnerSettings:
        changes = {"poll_s": 1, **changes}
        return PartnerSettings(SIMULATOR_PARTNER, "simulator", self.address, (KEY,), changes, timeout_s=0.5)

    def faults(self, **wishes: Any) -> None:
        self._call("PUT", "/control/faults", wishes)

    def calls(self, what: str = "") -> list[str]:
        return [call for call in self._call("GET", "/control/calls") if call.startswith(what)]

    def orders(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "/control/orders")
        return found

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=self.address, headers=headers, trust_env=False) as client:
            response = client.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()


@contextmanager
def simulated_ngo(folder: Path, *options: str, port: int | None = None, speed: float = 40.0) -> Iterator[Ngo]:
    """The real simulator process; an order takes 0.2 s at speed 40."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "partners.simulator", "--port", str(port), "--key", KEY]
    command += ["--database", str(folder / "ngo.db"), "--speed", str(speed), *options]
    process = subprocess.Popen(command)
    try:
        _wait_for(address, process)
        yield Ngo(address, process)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    ends_at = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < ends_at:
        assert process.poll() is None, "the simulator ended"
        try:
            if httpx.get(f"{address}/healthz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the simulator does not answer")


def _today(clock: Clock) -> date:
    return local_day(clock.now_ms(), "UTC")
