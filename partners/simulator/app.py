"""The simulated NGO's HTTP: orders in, status out, and a control panel for faults."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from partners.signing import verify
from partners.simulator.book import Book, Order
from partners.simulator.plan import Faults, Pace, Step, more_proof, plan_order, status_at
from partners.simulator.teller import Teller

BODY_BYTES_MAX = 64 * 1024
HANG_S = 3600.0
NEEDED = {
    "reference": str,
    "species": str,
    "site": str,
    "trees": int,
    "unit_price_minor": int,
    "currency": str,
}


@dataclass(slots=True)
class Config:
    """How this NGO runs. `callback`: where its messages go; None: it can only be asked."""

    database: str
    key: str
    callback: str | None = None
    pace: Pace = field(default_factory=Pace)
    idempotent: bool = True
    signed: bool = False
    """Requests must be signed (docs/partner-server.json); the key itself opens the control panel alone."""


class Refused(Exception):
    """An answer that ends a request early."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def now_ms() -> int:
    """The NGO's own clock."""
    return time.time_ns() // 1_000_000


class Desk:
    """The NGO's desk: takes orders by the faults of the day."""

    def __init__(self, config: Config, book: Book) -> None:
        self.config = config
        self.book = book

    async def take(self, request: dict[str, Any], key: str) -> JSONResponse:
        """An order arrives, with whatever goes wrong today."""
        faults = self.book.faults()
        await asyncio.sleep(faults.slow_s)
        if faults.errors:
            self.book.set_faults(replace(faults, errors=faults.errors - 1))
            raise Refused(500, "the server fell over")
        if faults.hidden_errors:
            self.book.set_faults(replace(faults, hidden_errors=faults.hidden_errors - 1))
            return JSONResponse({"error": "quota exceeded"})
        if faults.timeout:
            return await self._hang(request, key, faults)
        return self._answer(*self._taken(request, key, faults), faults)

    def cancel(self, order: Order, reason: str) -> JSONResponse:
        """The customer withdraws; possible until planting was reported."""
        if order.cancelled:
            return JSONResponse(order.steps[-1].status)
        now = now_ms()
        current = status_at(order.steps, now)
        if current["plantings"]:
            raise Refused(409, "planting has begun")
        said = [step for step in order.steps if step.at <= now]
        ended = Step(now, {**current, "status": "cancelled", "reason": reason or "withdrawn"})
        self.book.cancel(order.id, reason, [*said, ended])
        return JSONResponse(ended.status)

    def _taken(self, request: dict[str, Any], key: str, faults: Faults) -> tuple[Order, bool]:
        known = self.book.by_key(key) if self.config.idempotent and key else None
        if known is not None:
            return known, False
        now = now_ms()
        name = f"NGO-{self.book.next_order()}"
        steps = plan_order(request, name, now, self.config.pace, faults)
        return self.book.add(key, now, request, steps), True

    async def _hang(self, request: dict[str, Any], key: str, faults: Faults) -> JSONResponse:
        left = faults.timeouts - 1
        self.book.set_faults(
            replace(faults, timeouts=max(left, 1), timeout=faults.timeout if left > 0 else "")
        )
        if faults.timeout == "after":
            self._taken(request, key, faults)
        await asyncio.sleep(HANG_S)
        raise Refused(504, "too late")

    def _answer(self, order: Order, is_new: bool, faults: Faults) -> JSONResponse:
        status = dict(status_at(order.steps, now_ms()))
        if faults.wrong == "reference":
            status["reference"] = order_number(1)
        if faults.wrong == "garbage":
            return JSONResponse(["not", "an", "order"], 201)
        return JSONResponse(status, 201 if is_new else 200)


def build_app(config: Config) -> FastAPI:
    """The NGO as an ASGI app."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        book = Book(config.database)
        app.state.desk = Desk(config, book)
        teller = Teller(book, config.callback, config.key, now_ms) if config.callback else None
        task = asyncio.create_task(teller.run()) if teller else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            book.close()

    app = FastAPI(title="Simulated NGO", lifespan=life, docs_url=None, redoc_url=None)
    app.add_exception_handler(Refused, _refused)
    _add_orders(app, config)
    _add_control(app, config)
    return app


def _add_orders(app: FastAPI, config: Config) -> None:
    signed_in = [Depends(_signature_check(config.key) if config.signed else _key_check(config.key))]

    @app.post("/orders", dependencies=signed_in)
    async def order(request: Request) -> Response:
        desk: Desk = app.state.desk
        body = _checked(await _body(request))
        desk.book.note_call(now_ms(), f"submit {body['reference']}")
        return await desk.take(body, request.headers.get("idempotency-key", ""))

    @app.get("/orders/{reference}", dependencies=signed_in)
    async def status(reference: str) -> Response:
        desk: Desk = app.state.desk
        desk.book.note_call(now_ms(), f"read {reference}")
        await asyncio.sleep(desk.book.faults().slow_s)
        return JSONResponse(status_at(_known(desk, reference).steps, now_ms()))

    @app.post("/orders/{reference}/cancel", dependencies=signed_in)
    async def cancel(reference: str, request: Request) -> Response:
        desk: Desk = app.state.desk
        desk.book.note_call(now_ms(), f"cancel {reference}")
        return desk.cancel(_known(desk, reference), str((await _body(request)).get("reason", ""))[:200])

    @app.post("/orders/{reference}/messages", dependencies=signed_in)
    async def message(reference: str, request: Request) -> Response:
        desk: Desk = app.state.desk
        found = _known(desk, reference)
        desk.book.note_call(now_ms(), f"remind {reference}")
        desk.book.add_note(reference, str((await _body(request)).get("about", ""))[:500])
        more = more_proof(found.steps, now_ms())
        if more is not None:
            desk.book.set_steps(found.id, [*found.steps, more])
        return JSONResponse(status_at(found.steps, now_ms()))


def _add_control(app: FastAPI, config: Config) -> None:
    signed_in = [Depends(_key_check(config.key))]

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok", "kind": "simulated NGO"}

    @app.get("/control/faults", dependencies=signed_in)
    async def faults() -> dict[str, Any]:
        return app.state.desk.book.faults().as_dict()

    @app.put("/control/faults", dependencies=signed_in)
    async def set_faults(request: Request) -> dict[str, Any]:
        try:
            asked = Faults().changed(await _body(request))
        except ValueError as problem:
            raise Refused(422, str(problem)) from None
        app.state.desk.book.set_faults(asked)
        return asked.as_dict()

    @app.get("/control/calls", dependencies=signed_in)
    async def calls() -> list[str]:
        return app.state.desk.book.calls()

    @app.get("/control/orders", dependencies=signed_in)
    async def orders() -> list[dict[str, Any]]:
        desk: Desk = app.state.desk
        now = now_ms()
        return [
            {
                "id": one.name,
                "reference": one.reference,
                "request": one.request,
                "status": status_at(one.steps, now),
                "notes": desk.book.notes(one.reference),
                "told": one.told,
            }
            for one in desk.book.all()
        ]


def _key_check(key: str) -> Any:
    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), key.encode()):
            raise Refused(401, "wrong key")

    return check


def _signature_check(key: str) -> Any:
    async def check(request: Request) -> None:
        try:
            message = verify([key], request.headers, await request.body(), now_ms())
        except Rejected as refusal:
            raise Refused(401, f"bad signature: {refusal.fields.get('reason')}") from None
        if not message.startswith(f"{request.method}:{request.url.path}:"):
            raise Refused(401, "signed for another place")

    return check


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    if len(content) > BODY_BYTES_MAX:
        raise Refused(413, f"over {BODY_BYTES_MAX} bytes")
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "not JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, "not an object")
    return body


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    for name, kind in NEEDED.items():
        if type(body.get(name)) is not kind:
            raise Refused(422, f"{name} is missing or no {kind.__name__}")
    if body["trees"] < 1:
        raise Refused(422, "trees is at least 1")
    return body


def _known(desk: Desk, reference: str) -> Order:
    found = desk.book.by_reference(reference)
    if found is None:
        raise Refused(404, "no such order")
    return found


async def _refused(request: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Refused)
    return JSONResponse({"error": problem.error}, problem.status)
