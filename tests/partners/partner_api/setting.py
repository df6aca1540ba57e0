"""A bench with the partner API in front of it, and a partner's developer who calls it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engine.api.app import make_app
from engine.core.numbers import order_number
from engine.settings import Settings
from partners.api import Desk, partners_router
from partners.core.api_commands import MakeKey
from partners.core.api_rows import SCOPES
from partners.partner_api.keys import NewKey, new_key
from partners.partner_api.rates import Rates
from partners.partner_api.router import partner_router
from partners.registry import SIMULATOR_PARTNER
from tests.partners.bench import RULES, Bench, open_bench
from tests.partners.edge import OPERATOR_KEY, TOKEN_SECRET, parts_of

PHOTO = "ab" * 32


@dataclass
class Developer:
    """Somebody at a partner with a key."""

    http: httpx.AsyncClient
    key: NewKey

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"/v1/partner{path}", params=query, headers=self._headers())

    async def post(self, path: str, body: Any, key: str = "", **more: str) -> httpx.Response:
        headers = self._headers() | {"idempotency-key": key or secrets.token_hex(16)} | more
        return await self.http.post(f"/v1/partner{path}", json=body, headers=headers)

    async def send(self, method: str, path: str, body: Any = None, **more: str) -> httpx.Response:
        headers = self._headers() | more
        return await self.http.request(method, f"/v1/partner{path}", json=body, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key.text}"}


@dataclass
class Office:
    """The engine's side."""

    bench: Bench
    http: httpx.AsyncClient

    async def developer(
        self,
        *scopes: str,
        partner: str = SIMULATOR_PARTNER,
        is_test: bool = False,
        expires_at: int | None = None,
    ) -> Developer:
        """A partner's developer with a new key."""
        made = new_key(is_test)
        command = MakeKey(
            None, "li", partner, made.id, made.digest, scopes or SCOPES, is_test, expires_at=expires_at
        )
        await self.bench.do(command)
        return Developer(self.http, made)

    async def order(self, trees: int = 3) -> str:
        """An order that the partner has to answer."""
        known = {number for (number,) in await self.bench.rows("SELECT id FROM partner_orders")}
        units = {unit for (unit,) in await self.bench.rows("SELECT id FROM tree_units")}
        await self.bench.trees(trees)
        fresh = sorted({unit for (unit,) in await self.bench.rows("SELECT id FROM tree_units")} - units)
        await self.bench.form(*fresh)
        [new] = {number for (number,) in await self.bench.rows("SELECT id FROM partner_orders")} - known
        return order_number(new)


@asynccontextmanager
async def office(
    url: str, folder: Path, rates: Rates | None = None, allows_loopback: bool = False, **options: Any
) -> AsyncIterator[Office]:
    """Engine and API on a database. `options`: those of the bench."""
    async with open_bench(url, **options) as bench:
        settings = Settings(  # type: ignore[call-arg]
            _env_file=None,
            operator_key=OPERATOR_KEY,
            token_secret=TOKEN_SECRET,
            photos=folder / "photos",
            evidence=folder / "evidence",
        )
        desk = Desk(bench.writer, bench.db, bench.registry, lambda: RULES)
        routers = [partners_router(desk), partner_router(desk, rates or Rates(0, 1), allows_loopback)]
        app = make_app(parts_of(bench, settings, routers=routers))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine", trust_env=False) as http:
            yield Office(bench, http)
