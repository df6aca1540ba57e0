"""A served engine with two partners who upload, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
import uvicorn

from engine.api.app import make_app
from engine.api.parts import Parts
from engine.settings import Settings
from partners.evidence.desk import EvidenceDesk, evidence_desk
from partners.evidence.passes import make_pass
from partners.evidence.routes import evidence_files, evidence_router
from partners.registry import SIMULATOR_PARTNER, PartnerSettings
from tests.partners.bench import KEY, RULES, Bench, free_port, open_bench
from tests.partners.edge import OPERATOR_KEY, TOKEN_SECRET, parts_of
from tests.partners.evidence.plot import Plot, open_plot

NGO = SIMULATOR_PARTNER
OAK = "oak"
OAK_KEY = "whsec_" + "b2FrLWtleS1vYWsta2V5LW9hay1rZXktb2FrLWtleSE="


@dataclass
class Station:
    """The engine and a client that is whoever it is asked to be."""

    bench: Bench
    desk: EvidenceDesk
    http: httpx.AsyncClient
    address: str
    passes: dict[str, str] = field(default_factory=dict)

    def headers(self, partner: str = NGO, **more: str) -> dict[str, str]:
        bearer = {"Authorization": f"Bearer {self.passes[partner]}", "Tus-Resumable": "1.0.0"}
        return bearer | {name.replace("_", "-"): value for name, value in more.items()}

    async def create(self, length: int, partner: str = NGO, **more: str) -> httpx.Response:
        return await self.http.post(
            "/v1/evidence/uploads", headers=self.headers(partner, Upload_Length=str(length), **more)
        )

    async def patch(
        self, url: str, offset: int, data: Any, partner: str = NGO, **more: str
    ) -> httpx.Response:
        headers = self.headers(
            partner, Upload_Offset=str(offset), Content_Type="application/offset+octet-stream", **more
        )
        return await self.http.patch(url, content=data, headers=headers)

    async def send(self, data: bytes, partner: str = NGO, **more: str) -> httpx.Response:
        """A whole file in two requests."""
        made = await self.create(len(data), partner, **more)
        assert made.status_code == 201, made.text
        return await self.patch(made.headers["location"], 0, data, partner)

    async def operator(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(
            method, path, json=body, headers={"Authorization": f"Bearer {OPERATOR_KEY}"}
        )


@asynccontextmanager
async def serving_station(url: str, folder: Path, **changes: Any) -> AsyncIterator[Station]:
    """The app on a port. The partners' own servers do not exist: nothing here asks them."""
    partners = [
        PartnerSettings(NGO, "simulator", "http://127.0.0.1:9", (KEY,), {"uploads_evidence": True}),
        PartnerSettings(OAK, "simulator", "http://127.0.0.1:9", (OAK_KEY,), {"uploads_evidence": True}),
    ]
    async with open_bench(url, partners) as bench:
        values: dict[str, Any] = {
            "_env_file": None,
            "evidence": folder / "evidence",
            "operator_key": OPERATOR_KEY,
        }
        settings = Settings(**values | {"token_secret": TOKEN_SECRET} | changes)
        desk = evidence_desk(settings, bench.writer, bench.db, lambda: RULES, bench.registry.keys)
        port = free_port()
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(_parts(bench, settings, desk)), port=port, log_level="warning", lifespan="off"
            )
        )
        task = asyncio.create_task(server.serve())
        address = f"http://127.0.0.1:{port}"
        try:
            async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
                while not server.started:
                    await asyncio.sleep(0.02)
                expires_s = int(time.time()) + 3600
                passes = {NGO: make_pass(KEY, NGO, expires_s), OAK: make_pass(OAK_KEY, OAK, expires_s)}
                yield Station(bench, desk, http, address, passes)
        finally:
            server.should_exit = True
            await task


def _parts(bench: Bench, settings: Settings, desk: EvidenceDesk) -> Parts:
    files = evidence_files(settings.evidence_bytes_max)
    return parts_of(bench, settings, routers=[evidence_router(desk)], files=files)


@pytest_asyncio.fixture
async def station(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Station]:
    """On SQLite, with small limits."""
    async with serving_station(
        sqlite_url,
        tmp_path,
        evidence_bytes_max=3_000_000,
        evidence_uploads_max=3,
        evidence_pixels_max=4_000_000,
    ) as made:
        yield made


@pytest_asyncio.fixture
async def plot(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Plot]:
    """The real parts on SQLite, without a server."""
    async with open_plot(sqlite_url, tmp_path) as made:
        yield made
