"""Takes outbox rows out of the database to where they belong: claims them for a term, calls, records what
came of it.

Knows no destination: `main` hands over the outbox and a table of functions. Every change is a command
through the writer; a relay that dies leaves a lease that ends by itself, and the outbox's own rules say
what is done then.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from engine.store.database import Database, DatabaseAway, Reader
from engine.writer import Writer

POLL_S = 1.0
ATTEMPT_S = 30.0
LEASE_MARGIN_S = 30.0
PER_DESTINATION_MAX = 4
STOP_S = 5.0
TEXT_CHARACTERS_MAX = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this relay has until its lease ends; `details` is all that the outbox said of it."""

    id: str
    destination: str
    relay: str
    details: Mapping[str, Any]


Deliver = Callable[[Claimed], Awaitable[Sequence[Any]]]
"""Makes one attempt and returns the commands that record what came of it."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """An outbox: `due` finds (id, destination) that may be claimed by now; `claim` is the command that
    claims, its reply `{"claimed": [{"id", "destination", …}]}`; `lost` records an attempt that broke off."""

    due: Callable[[Reader, int, Sequence[str]], Awaitable[list[tuple[str, str]]]]
    claim: Callable[[str, int, Sequence[str]], Any]
    lost: Callable[[Claimed, str], Any]


class Relay:
    """Delivers what is due, a few at a time for each destination, so that a slow one holds up no other."""

    def __init__(
        self,
        writer: Writer,
        db: Database,
        outbox: Outbox,
        destinations: Mapping[str, Deliver],
        name: str,
        poll_s: float = POLL_S,
        attempt_s: float = ATTEMPT_S,
    ) -> None:
        self._writer = writer
        self._db = db
        self._outbox = outbox
        self._destinations = destinations
        self._name = name
        self._poll_s = poll_s
        self._attempt_s = attempt_s
        self._busy: dict[str, int] = dict.fromkeys(destinations, 0)
        self._attempts: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._is_stopping = False

    def start(self) -> None:
        """Begin to look for what is due."""
        if self._destinations:
            self._loop = asyncio.create_task(self._run(), name="relay")

    def wake(self) -> None:
        """Look now rather than at the next poll."""
        self._wake.set()

    async def stop(self) -> None:
        """Claim nothing more; give what is claimed a few seconds, then leave it to its leases."""
        self._is_stopping = True
        self._wake.set()
        if self._loop is not None:  # not cut off: what it is claiming would wait for the end of its lease
            await _within(STOP_S, {self._loop})
        await _within(STOP_S, self._attempts)

    async def turn(self) -> int:
        """Claim what is due and free, begin to deliver it; returns how many were claimed."""
        wanted = await self._due()
        if not wanted:
            return 0
        lease_ms = int((self._attempt_s + LEASE_MARGIN_S) * 1000)
        outcome = await self._writer.submit(self._outbox.claim(self._name, lease_ms, wanted))
        if outcome.error is not None:
            log.warning("nothing claimed: %s", outcome.error)
            return 0
        claimed = json.loads(outcome.data or b"{}").get("claimed", [])
        for details in claimed:
            delivery = Claimed(details["id"], details["destination"], self._name, details)
            self._busy[delivery.destination] += 1
            attempt = asyncio.create_task(self._attempt(delivery), name=f"deliver {delivery.id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        return len(claimed)

    async def idle(self) -> None:
        """Wait until no attempt is under way."""
        while self._attempts:
            await asyncio.wait(self._attempts)

    async def _run(self) -> None:
        while not self._is_stopping:
            try:
                claimed = await self.turn()
            except DatabaseAway as problem:
                log.warning("database away: %s", problem)
                claimed = 0
            except Exception:
                log.exception("the relay goes on after a fault")
                claimed = 0
            if not claimed and not self._is_stopping:
                await self._pause()

    async def _pause(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._poll_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _due(self) -> list[str]:
        """What is due, as far as its destinations have room."""
        room = {name: PER_DESTINATION_MAX - busy for name, busy in self._busy.items()}
        free = [name for name, left in room.items() if left > 0]
        if not free:
            return []
        async with self._db.snapshot() as reader:
            due = await self._outbox.due(reader, self._writer.clock.now_ms(), free)
        wanted: list[str] = []
        for name, destination in due:
            if room[destination] > 0:
                room[destination] -= 1
                wanted.append(name)
        return wanted

    async def _attempt(self, delivery: Claimed) -> None:
        try:
            commands = await self._try(delivery)
            for outcome in await self._writer.submit_all(commands):
                if outcome.error is not None:
                    log.warning("delivery %s is not settled: %s", delivery.id, outcome.error)
        finally:
            self._busy[delivery.destination] -= 1
            self._wake.set()

    async def _try(self, delivery: Claimed) -> Sequence[Any]:
        deliver = self._destinations[delivery.destination]
        try:
            async with asyncio.timeout(self._attempt_s):
                return await deliver(delivery)
        except TimeoutError:
            return [self._outbox.lost(delivery, f"no answer within {self._attempt_s:g} s")]
        except Exception as problem:
            log.exception("delivery %s broke off", delivery.id)
            return [self._outbox.lost(delivery, repr(problem)[:TEXT_CHARACTERS_MAX])]


async def _within(seconds: float, tasks: Set[asyncio.Task[None]]) -> None:
    """Wait for the tasks; those that take longer are cancelled."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
