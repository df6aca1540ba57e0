"""The portal's app over real parts, without a socket: two partners, an order for the first, staff of both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from engine.api.app import make_app
from engine.core.numbers import order_number
from engine.settings import Settings
from partners import jobs
from partners.core.portal.commands import InviteStaff
from partners.evidence.desk import evidence_desk
from partners.evidence.routes import evidence_files, evidence_router
from partners.portal.desk import open_lists
from partners.portal.opening import portal_lists, portal_routers
from partners.portal.routes import portal_files
from partners.portal.secrets import digest, new_token
from partners.portal_domain import PORTAL
from tests.partners.bench import PROGRAMME, RULES, Bench, open_bench
from tests.partners.edge import OPERATOR_KEY, TOKEN_SECRET, parts_of
from tests.partners.portal.yard import OTHER, PARTNER, TREES, Clerk, portal_file

THEIRS = replace(
    RULES, programmes={**RULES.programmes, PROGRAMME: replace(RULES.programmes[PROGRAMME], partner=PARTNER)}
)


@dataclass
class Office:
    """The running app, and what its operator does."""

    bench: Bench
    app: Any
    order: int = 0
    clerks: list[Clerk] = field(default_factory=list)

    @property
    def number(self) -> str:
        return order_number(self.order)

    async def invite(self, partner: str, name: str, life_ms: int = 60_000) -> str:
        """The path of a new link."""
        token = new_token()
        until_at = self.bench.clock.now_ms() + life_ms
        await self.bench.do(InviteStaff("ana", partner, name, "zh", digest(token), until_at))
        return f"/portal/invitation/{token}"

    async def clerk(self, partner: str = PARTNER, name: str = "li") -> Clerk:
        """Somebody who is logged in."""
        clerk = self.stranger()
        await clerk.set_password(await self.invite(partner, name))
        entered = await clerk.log_in(f"{partner}/{name}")
        assert entered.status_code == 200 and entered.url.path == "/portal/orders", entered.text
        return clerk

    def stranger(self) -> Clerk:
        """Somebody with a browser."""
        clerk = Clerk("http://portal.example", httpx.ASGITransport(self.app))
        self.clerks.append(clerk)
        return clerk

    async def relayed(self) -> None:
        """All that is due has been tried once."""
        relay = self.bench.relay()
        await relay.turn()
        await relay.idle()

    async def row(self, sql: str, *params: Any) -> Any:
        """The one value of a query."""
        [(value,)] = await self.bench.rows(sql, *params)
        return value


@pytest_asyncio.fixture
async def office(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """On SQLite."""
    async with open_office(sqlite_url, tmp_path) as made:
        yield made


@asynccontextmanager
async def open_office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """The app on a database, with an order that lies in its partner's list."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        evidence=tmp_path / "evidence",
        operator_key=OPERATOR_KEY,
        token_secret=TOKEN_SECRET,
        partner_portal=portal_file(tmp_path, PARTNER, OTHER),
    )
    of_portal, lists = portal_lists(settings)
    async with open_bench(url, of_portal, THEIRS, more=(PORTAL,)) as bench:
        open_lists(lists, bench.writer, bench.db)
        evidence = evidence_desk(settings, bench.writer, bench.db, lambda: THEIRS, bench.registry.keys)
        routers = portal_routers(settings, bench.writer, bench.db, lambda: THEIRS, evidence)
        files = evidence_files(settings.evidence_bytes_max) | portal_files()
        app = make_app(parts_of(bench, settings, routers=(*routers, evidence_router(evidence)), files=files))
        made = Office(bench, app)
        await bench.trees(TREES)
        await jobs.form_orders(bench.writer, bench.db)
        await made.relayed()
        [(made.order,)] = await bench.rows("SELECT id FROM portal_orders")
        yield made
        for clerk in made.clerks:
            await clerk.close()
