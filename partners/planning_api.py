"""HTTP of what operators plan by: reconciliation with a partner, budget against spending, forecasts, the queue.

Everything here only reads; a statement that is sent is compared and thrown away.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request

from engine.api.callers import Engine, operator_caller
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.units import local_instant
from partners.api import Desk, PartnerPath, reading
from partners.reconcile import our_orders, with_read_back, with_statement
from partners.sheets.limits import FILE_BYTES_MAX
from partners.sheets.problems import FileRefused
from partners.store.ahead import DemandProblem, demand_of, forecast_told, look_ahead
from partners.store.budget import budget
from partners.store.queue import queue, queue_shown

MONTHS_MAX, PACE_D_MAX = 36, 730
STATEMENTS_PATH = "/v1/statements/"
MEDIA_TYPES = (
    "text/csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/octet-stream",
)

SinceQuery = Annotated[
    str | None,
    Query(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$", description="Orders that went out from this day on."),
]
LanguageQuery = Annotated[
    str, Query(pattern="^(zh|en)$", description="Of the statement, where it does not tell.")
]
RunQuery = Annotated[str | None, Query(max_length=100, description="Of several runs, the one that counts.")]
SimulationQuery = Annotated[
    str | None,
    Query(max_length=80, description="A simulation that is done; the pace of late if left out."),
]


def planning_files() -> dict[str, tuple[int, tuple[str, ...]]]:
    """What these paths take in place of JSON: where they begin, the largest body, the media types."""
    return {STATEMENTS_PATH: (FILE_BYTES_MAX, MEDIA_TYPES)}


def planning_router(desk: Desk) -> APIRouter:
    """The operators' routes for planning, under /v1."""
    router = APIRouter(prefix="/v1", tags=["orders"], dependencies=[Depends(operator_caller)])
    _add_reconciliation(router, desk)
    _add_looks(router, desk)
    return router


def _add_reconciliation(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/partners/{partner}/reconciliation",
        responses=refusals("unknown_partner", "not_polled", "bad_request", "unavailable"),
    )
    async def read_back(partner: PartnerPath, since: SinceQuery = None) -> dict[str, Any]:
        """Our orders beside what the partner says of each when it is asked now."""
        adapter = desk.registry.adapters.get(partner)
        if adapter is None:
            raise Rejected("unknown_partner", partner=partner)
        async with reading(desk) as reader:
            ours = await our_orders(reader, partner, _instant(since))
        return (await with_read_back(partner, ours, adapter)).told()

    @router.post(
        "/statements/{partner}",
        responses=refusals("unknown_partner", "bad_statement", "bad_request", "unavailable"),
    )
    async def statement(
        partner: PartnerPath, request: Request, since: SinceQuery = None, language: LanguageQuery = "zh"
    ) -> dict[str, Any]:
        """Our orders beside a statement of the partner's, an XLSX or CSV as the body. It changes nothing."""
        data = await _bounded(request)
        async with reading(desk) as reader:
            ours = await our_orders(reader, partner, _instant(since))
        try:
            return with_statement(partner, ours, data, language).told()
        except FileRefused as refusal:
            raise Rejected("bad_statement", reason=refusal.code, **refusal.fields) from refusal


def _add_looks(router: APIRouter, desk: Desk) -> None:
    @router.get("/budget", responses=refusals("unavailable"))
    async def budget_told() -> dict[str, Any]:
        """Budget against spending: by programme, by partner, and what was paid in each month."""
        async with reading(desk) as reader:
            return await budget(reader)

    @router.get("/forecast", responses=refusals("unknown_study", "bad_request", "unavailable"))
    async def forecast(
        parts: Engine,
        simulation: SimulationQuery = None,
        run: RunQuery = None,
        months: Annotated[int, Query(ge=1, le=MONTHS_MAX)] = 12,
        pace_d: Annotated[int, Query(ge=1, le=PACE_D_MAX)] = 90,
    ) -> dict[str, Any]:
        """When places and funded trees run out, by programme and season, for a simulation's trees or at the pace of
        the last days."""
        demand = None if simulation is None else _simulated(parts, simulation, run)
        async with reading(desk) as reader:
            now = desk.writer.clock.now_ms()
            return forecast_told(await look_ahead(reader, desk.rules(), now, demand, pace_d, months))

    @router.get("/queue", responses=refusals("unavailable"))
    async def queue_told() -> dict[str, Any]:
        """All that waits for a person: held, stuck, disputed, escalated, to review, to count, to pay; late first."""
        async with reading(desk) as reader:
            return {"queue": queue_shown(await queue(reader, desk.writer.clock.now_ms()))}


def _simulated(parts: Any, simulation: str, run: str | None) -> Mapping[tuple[str, str], int]:
    """The demand of a simulation that is done. Raises Rejected(unknown_study, bad_request)."""
    study = parts.studies.get("simulation", simulation)
    if study.tables is None:
        raise Rejected("bad_request", field="simulation", expected="one that is done", state=study.state)
    try:
        return demand_of(msgspec.json.decode(gzip.decompress(study.tables)), run)
    except DemandProblem as problem:
        raise Rejected("bad_request", field="run", expected=str(problem)) from problem


def _instant(since: str | None) -> int:
    if since is None:
        return 0
    try:
        return local_instant(date.fromisoformat(since), 0, "UTC")
    except ValueError:
        raise Rejected("bad_request", field="since", expected="a day, 2027-03-01") from None


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > FILE_BYTES_MAX:
            raise Rejected("bad_request", body_bytes_max=FILE_BYTES_MAX)
    return bytes(body)
