"""A served registry over a bench, called through ASGI, and what a crawler of it finds."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx

from engine.api.app import make_app
from engine.settings import Settings
from partners.api import Desk, partners_router
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from partners.core.records import commands as r
from partners.public.front import at_once
from partners.public.kept import Kept
from partners.public_api import public_router
from partners.registry import PartnerSettings
from tests.partners.bench import KEY, PROGRAMME, RULES, Bench, open_bench
from tests.partners.edge import OPERATOR_KEY, TOKEN_SECRET, parts_of
from tests.partners.test_after_checks import PARTNER

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*"}
FILES = ("sites.geojson", "batches.geojson", "orders.csv", "batches.csv", "audits.csv", "counters.csv")


class Town:
    """A bench, its desk, and a client that nobody knows."""

    def __init__(self, bench: Bench, desk: Desk, http: httpx.AsyncClient) -> None:
        self.bench, self.desk, self.http = bench, desk, http

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def read(self, path: str) -> Any:
        found = await self.http.get(path)
        assert found.status_code == 200, (path, found.text)
        return found.json()

    async def crawl(self, *starts: str) -> dict[str, str]:
        """Every page, datum and file that can be reached from the start by links, as text."""
        seen: dict[str, str] = {}
        waiting = [*starts]
        while waiting:
            path = waiting.pop()
            if path in seen or path.endswith((".css",)) or "certificate?" in path:
                continue
            for headers in ({}, BROWSER):
                found = await self.http.get(path, headers=headers)
                assert found.status_code == 200, (path, found.status_code, found.text)
                seen[path] = seen.get(path, "") + found.text
            links = re.findall(r'(?:href|src|url|map|schema|data)(?:="|":")(/v1/[^"]+)"', seen[path])
            waiting += [unescape(link) for link in links]
        return seen


@asynccontextmanager
async def town(url: str, kept_s: float = 10.0) -> AsyncIterator[Town]:
    """The public routes and the partners' over a database."""
    simulated = PartnerSettings(
        PARTNER, "simulator", "http://127.0.0.1:9", (KEY,)
    )  # nobody there: nothing is sent
    async with open_bench(url, [simulated]) as bench:
        settings = Settings(_env_file=None, operator_key=OPERATOR_KEY, token_secret=TOKEN_SECRET)  # type: ignore[call-arg]
        desk = Desk(bench.writer, bench.db, bench.registry, lambda: RULES, kept=Kept(kept_s))
        parts = parts_of(
            bench, settings, routers=[partners_router(desk), public_router(desk)], at_once=at_once(desk.kept)
        )
        transport = httpx.ASGITransport(make_app(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://trees") as http:
            yield Town(bench, desk, http)


async def planted_with(bench: Bench, count: int = 3, report_no: str = "1", **shown: Any) -> int:
    """An order of new trees that is reported planted."""
    numbers = await bench.trees(count)
    marks = ", ".join("?" * len(numbers))
    units = [
        unit
        for (unit,) in await bench.rows(
            f"SELECT id FROM trees WHERE number IN ({marks}) ORDER BY id", *numbers
        )
    ]
    order = int((await bench.form(*units))["formed"])
    await bench.do(c.ClaimDeliveries(None, "test", 60_000, (f"submit:{order}",)))
    await bench.do(c.SettleDelivery(None, f"submit:{order}", "test", "done"))
    files = (EvidenceShown(f"{order:064x}"),)
    batch = BatchShown(report_no, count, "2026-11-20", "2026-11-23", PROGRAMME, files, **shown)
    report = PartnerReport(order, "planted", 1, accepted=count, batches=(batch,), by="planter-wang")
    await bench.do(c.RecordReport(None, PARTNER, f"m{order}", "d", report))
    return order


def site_command(site: str, partner: str = PARTNER, **changes: Any) -> r.RecordSite:
    """A site in Minqin."""
    square = (
        '{"type":"MultiPolygon","coordinates":[[[[103.1,38.6],[103.11,38.6],[103.11,38.61],[103.1,38.6]]]]}'
    )
    told: dict[str, Any] = {
        "name_zh": "北沙", "name_en": "North sand", "country": "CN", "region": "CN-GS", "geometry": square,
        "area_m2": 500_000, "datum": "WGS84",
        "land_right": {"kind": "lease", "number": "L-4711-SECRET", "holder": "Farmer Ma"},
    }  # fmt: skip
    return r.RecordSite(None, "operator:li", site, partner, **(told | changes))
