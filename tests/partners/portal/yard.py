"""A served engine with a partner who works in the portal, an order for it, and its staff with a password."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from engine.rulebook import load_rulebook
from partners.onboarding.simulated import onboard_simulator
from tests.laws.rules import PROGRAMME, bent_rules
from tests.partners.bench import open_bench
from tests.support.server import Server

PARTNER = "alxa-green"
OTHER = "other-ngo"
STAFF = f"{PARTNER}/li"
PASSWORD = "saxaul roots go deep"
TREES = 20
StartServer = Callable[..., Awaitable[Server]]


def portal_file(folder: Path, *partners: str, **fields: str) -> Path:
    """The file of SAXAUL_PARTNER_PORTAL with these partners."""
    lines = "\n".join(f"{name} = {value}" for name, value in fields.items())
    path = folder / "portal.toml"
    path.write_text("\n".join(f"[partners.{one}]\n{lines}" for one in partners) + "\n")
    return path


def rules_of(folder: Path, partner: str = PARTNER) -> Path:
    """A rulebook whose saxaul are planted by the partner."""
    rules = bent_rules(folder, tree_g=50, order_min_trees=TREES)
    programme = rules / "programmes" / f"{PROGRAMME}.yaml"
    text = programme.read_text("utf-8")
    assert text.count("partner: simulator-ngo") == 1
    programme.write_text(text.replace("partner: simulator-ngo", f"partner: {partner}"), "utf-8")
    return rules


@dataclass
class Yard:
    """The engine, and what its operator does."""

    server: Server
    trees: list[str]

    async def invite(self, name: str = "li", *options: str) -> str:
        """A link that sets a password."""
        made = await self.server.cli("partners", "staff", "invite", PARTNER, name, "--json", *options)
        return str(made.check().json["link"])

    async def order(self) -> str:
        """The number of the one order, once it is there."""
        found = await self.operator("GET", "/v1/orders")
        return str(found["orders"][0]["number"]) if found["orders"] else ""

    async def operator(self, method: str, path: str, body: Any = None) -> Any:
        """What the operator's HTTP answers."""
        reply = await self.server.call(method, path, body, bearer=self.server.operator_key)
        assert reply.status_code < 300, reply.text
        return reply.json()

    async def show(self, number: str) -> dict[str, Any]:
        """The order as operators see it."""
        found: dict[str, Any] = await self.operator("GET", f"/v1/orders/{number}")
        return found


async def open_yard(start_server: StartServer, folder: Path, **settings: Any) -> Yard:
    """Trees are redeemed, the partner has its records, and the engine asks it soon."""
    database, rules = f"sqlite:///{folder}/game.db", rules_of(folder)
    async with open_bench(database, has_records=False) as bench:
        trees = await bench.trees(TREES)
        await onboard_simulator(bench.db, bench.writer, load_rulebook(rules), PARTNER, is_hasty=False)
    given = {"partner_portal": portal_file(folder, PARTNER, OTHER), "orders_s": 0.3, **settings}
    return Yard(await start_server(database_url=database, game_rules=rules, **given), trees)


class Clerk:
    """A member of staff whose browser runs no script: plain requests, cookies kept, forms sent as they stand."""

    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.http = httpx.AsyncClient(
            base_url=address, transport=transport, follow_redirects=True, trust_env=False, timeout=30
        )
        self.last: httpx.Response | None = None

    async def get(self, path: str) -> httpx.Response:
        self.last = await self.http.get(path)
        return self.last

    def field(self, name: str, page: httpx.Response | None = None) -> str:
        """The value of a field of the page that was shown last."""
        text = (page or self.last).text  # type: ignore[union-attr]
        found = re.search(rf'name="{re.escape(name)}"[^>]*? value="([^"]*)"', text)
        assert found, f"no field {name}"
        return found[1]

    async def send(self, path: str, files: Any = None, **values: str) -> httpx.Response:
        """The form of the page that was shown last."""
        hidden = {"token": self.field("token")}
        if 'name="form"' in self.last.text:  # type: ignore[union-attr]
            hidden["form"] = self.field("form")
        data = {**hidden, **{name.replace("__", "."): value for name, value in values.items()}}
        self.last = await self.http.post(path, data=data, files=files)
        return self.last

    async def set_password(self, link: str, password: str = PASSWORD) -> httpx.Response:
        path = "/portal/" + link.partition("/portal/")[2]
        await self.get(path)
        return await self.send(path, password=password, again=password)

    async def log_in(self, staff: str = STAFF, password: str = PASSWORD) -> httpx.Response:
        await self.get("/portal/login")
        return await self.send("/portal/login", staff=staff, password=password, to="/portal/orders")

    async def close(self) -> None:
        await self.http.aclose()


@asynccontextmanager
async def closing_clerk(address: str) -> AsyncIterator[Clerk]:
    """Somebody whose browser is closed in the end."""
    clerk = Clerk(address)
    try:
        yield clerk
    finally:
        await clerk.close()
