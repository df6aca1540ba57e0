"""Sends the simulated NGO's messages: each step of an order as a signed webhook, in order unless told to
shuffle."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

import httpx

from partners.signing import sign
from partners.simulator.book import Book, Order
from partners.simulator.plan import Faults, Step

LOOK_S = 0.1
RETRY_S = (0.5, 2.0, 10.0, 60.0)
TIMEOUT_S = 5.0
REFUSED_FOR_GOOD = frozenset((400, 401, 404, 409, 410, 422))

log = logging.getLogger(__name__)


class Teller:
    """Tells the customer what has come due, again until it is taken or refused for good."""

    def __init__(self, book: Book, callback: str, key: str, now_ms: Callable[[], int]) -> None:
        self._book = book
        self._callback = callback
        self._key = key
        self._now_ms = now_ms
        self._failures: dict[int, int] = {}
        self._not_before: dict[int, int] = {}

    async def run(self) -> None:
        """Look and tell, for ever."""
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            while True:
                faults = self._book.faults()
                for order in [] if faults.mute else self._book.untold():
                    await self._tell(client, order, faults)
                await asyncio.sleep(LOOK_S)

    async def _tell(self, client: httpx.AsyncClient, order: Order, faults: Faults) -> None:
        now = self._now_ms()
        due = [place for place, step in enumerate(order.steps) if step.at <= now and place >= order.told]
        is_last = len(order.steps) == order.told + len(due)
        if faults.shuffle and len(due) < 2 and not is_last:
            return  # waits for a second one that can overtake the first
        if not due or now < self._not_before.get(order.id, 0):
            return
        for place in reversed(due) if faults.shuffle else due:
            for _ in range(2 if faults.duplicates else 1):
                if not await self._send(client, order, place, order.steps[place]):
                    self._later(order.id, now)
                    return
        self._failures.pop(order.id, None)
        self._book.set_told(order.id, order.told + len(due))

    async def _send(self, client: httpx.AsyncClient, order: Order, place: int, step: Step) -> bool:
        """Whether the matter is settled: taken, or refused for good."""
        body = json.dumps(
            {"type": "order.status", "timestamp": step.status["at"], "data": step.status}
        ).encode()
        headers = sign(self._key, f"msg_{order.name}_{place}", self._now_ms(), body)
        try:
            response = await client.post(
                self._callback, content=body, headers={**headers, "content-type": "application/json"}
            )
        except httpx.HTTPError as problem:
            log.info("message about %s not delivered: %r", order.name, problem)
            return False
        return response.is_success or response.status_code in REFUSED_FOR_GOOD

    def _later(self, order: int, now: int) -> None:
        failures = self._failures.get(order, 0)
        self._failures[order] = failures + 1
        self._not_before[order] = now + int(RETRY_S[min(failures, len(RETRY_S) - 1)] * 1000)
