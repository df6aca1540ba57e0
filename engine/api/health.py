"""Whether this process lives, whether it can do its work, and what it has done."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from pydantic import BaseModel

from engine.api.parts import Parts
from engine.api.problems import EDGE_CODES, problem_of, refusals, sentence
from engine.core.errors import CODES, Rejected
from engine.core.jobs import ProveWrite
from engine.realtime.hub import Hub
from engine.realtime.protocol import Close

PROVED_S = 1.0  # a proof counts this long, so that asking often costs nothing
WRITE_WITHIN_S = 3.0
DELIVERY_WITHIN_S = 1.0
PROBE_CHANNEL = "probe"  # no client can name it: theirs are user:<id> and forest:<id>
PROBE_USER = 0

log = structlog.get_logger(__name__)


class Alive(BaseModel):
    """The loop turns."""

    status: str = "ok"


class Ready(BaseModel):
    """What was proved, each within the last second or so; and the rulebook in force with its edition."""

    status: str = "ready"
    write: str = "ok"
    delivery: str = "ok"
    rulebook: str = ""
    edition: int = 0


class Probe:
    """A listener of the hub that waits for what it is pushed."""

    def __init__(self, hub: Hub) -> None:
        self.is_dirty = False
        self.got = asyncio.Event()
        self._hub = hub

    def push(self, line: bytes) -> None:
        """One line for the next frame."""
        self._hub.touch(self)

    def flush(self) -> None:
        """The frame would be written now."""
        self.is_dirty = False
        self.got.set()

    def end(self, close: Close) -> None:
        """The connection is to be closed."""

    async def delivered(self) -> None:
        """Subscribe, publish to ourselves, and wait until it has come through. Raises TimeoutError."""
        subscription = self._hub.hold(self, PROBE_USER, PROBE_CHANNEL)
        if subscription is not None:
            self._hub.release(subscription, 0, 0)
        try:
            self._hub.announce(PROBE_CHANNEL, b"{}")
        finally:
            self._hub.leave(self, PROBE_USER, PROBE_CHANNEL)
            self._hub.gone(self, PROBE_USER)
        async with asyncio.timeout(DELIVERY_WITHIN_S):
            await self.got.wait()


class Readiness:
    """Proves write and delivery, one proof at a time, each good for a second."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._proved_at = float("-inf")
        self._failing: str | None = None
        self._lock = asyncio.Lock()

    async def failing(self) -> str | None:
        """None when ready; else what does not work: draining, write, delivery."""
        if self._parts.is_draining:
            return "draining"
        async with self._lock:
            if time.monotonic() - self._proved_at > PROVED_S:
                before, self._failing = self._failing, await self._prove()
                self._proved_at = time.monotonic()
                if self._failing != before:
                    log.warning("readiness_changed", failing=self._failing)
        return self._failing

    async def _prove(self) -> str | None:
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                outcome = await self._parts.writer.submit(ProveWrite())
        except TimeoutError:
            return "write"
        if outcome.error is not None:
            return "write"
        try:
            await Probe(self._parts.hub).delivered()
        except TimeoutError:
            return "delivery"
        return None


def make_router(parts: Parts, registry: CollectorRegistry) -> APIRouter:
    """Routes for whoever watches this process; they tell nothing of any person."""
    router = APIRouter(tags=["operations"])
    readiness = Readiness(parts)

    @router.get("/healthz")
    async def healthz() -> Alive:
        """The process answers. Restart it when it does not."""
        return Alive()

    @router.get("/readyz", response_model=Ready, responses=refusals("unavailable"))
    async def readyz() -> Response:
        """A write was committed and a push came through within the last second. Send no traffic otherwise."""
        failing = await readiness.failing()
        if failing is not None:
            return problem_of("unavailable", {"failing": failing})
        edition = parts.in_force.read_at(parts.clock.now_ms()).edition if parts.in_force else 0
        ready = Ready(rulebook=parts.rules().hash, edition=edition)
        return Response(ready.model_dump_json(), media_type="application/json")

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @router.get("/problems/{code}", tags=["operations"], responses=refusals("not_found"))
    async def problem(code: str) -> Mapping[str, str]:
        """What a problem's code means."""
        if code not in CODES and code not in EDGE_CODES:
            raise Rejected("not_found")
        return {"code": code, "title": sentence(code)}

    return router
