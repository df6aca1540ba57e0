"""The job that delivers webhooks: takes what is due, tries a few at a time for each endpoint, books what came of it.

One process at a time runs it (decision 0009). One that dies in between leaves its messages waiting, so they are sent
again: at least once, with the same id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable
from typing import Any

from engine.store.database import Database
from engine.writer import Writer
from partners.core.api_commands import ForgetMessages, SettleMessage
from partners.core.api_rows import WebhookEndpoint, WebhookMessage
from partners.core.webhooks import KEPT_MS, body_of
from partners.signing import sign
from partners.store import api_queries
from partners.webhooks.outward import Outward, Sent

PER_ENDPOINT_MAX = 4
TOGETHER_MAX = 64
PAGE_MAX = 200
FORGOTTEN_MAX = 500
JITTER_PERMILLE = 200
STOP_S = 5.0

log = logging.getLogger(__name__)


class Dispatch:
    """Delivers what is due. `dice` gives the jitter of a wait, below so many thousandths."""

    def __init__(
        self,
        writer: Writer,
        db: Database,
        outward: Outward,
        dice: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._writer, self._db, self._outward, self._dice = writer, db, outward, dice
        self._tries: dict[str, asyncio.Task[None]] = {}
        self._busy: dict[str, int] = {}

    async def turn(self) -> int:
        """Begin to deliver what is due and has room; returns how many. Does not wait for slow receivers."""
        now = self._writer.clock.now_ms()
        async with self._db.snapshot() as reader:
            due = await api_queries.messages_due(reader, now, PAGE_MAX)
        begun = 0
        for message, endpoint in due:
            is_full = self._busy.get(endpoint.id, 0) >= PER_ENDPOINT_MAX or len(self._tries) >= TOGETHER_MAX
            if message.id in self._tries or is_full:
                continue
            self._busy[endpoint.id] = self._busy.get(endpoint.id, 0) + 1
            self._tries[message.id] = asyncio.create_task(
                self._try(message, endpoint), name=f"webhook {message.id}"
            )
            begun += 1
        return begun

    async def forget(self) -> int:
        """Let messages go that are older than they are kept for; returns how many."""
        before = self._writer.clock.now_ms() - KEPT_MS
        async with self._db.snapshot() as reader:
            old = await api_queries.messages_over(reader, before, FORGOTTEN_MAX)
        if old:
            await self._writer.submit(ForgetMessages(None, tuple(old)))
        return len(old)

    async def idle(self) -> None:
        """Wait until no try is under way."""
        while self._tries:
            await asyncio.wait(list(self._tries.values()))

    async def stop(self) -> None:
        """Give what is under way a few seconds, then leave it: it is still waiting, so it is sent again."""
        tries = list(self._tries.values())
        if tries:
            _, late = await asyncio.wait(tries, timeout=STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._outward.close()

    async def _try(self, message: WebhookMessage, endpoint: WebhookEndpoint) -> None:
        try:
            now = self._writer.clock.now_ms()
            body = json.dumps(body_of(message), ensure_ascii=False, separators=(",", ":")).encode()
            sent = await self._outward.send(endpoint.url, signed(endpoint, message.id, now, body), body)
            outcome = await self._writer.submit(self._settled(message, sent))
            if outcome.error is not None:
                log.warning("webhook %s is not settled: %s", message.id, outcome.error)
        except Exception:
            log.exception("webhook %s broke off", message.id)
        finally:
            self._tries.pop(message.id, None)
            self._busy[endpoint.id] -= 1
            if not self._busy[endpoint.id]:
                del self._busy[endpoint.id]

    def _settled(self, message: WebhookMessage, sent: Sent) -> SettleMessage:
        return SettleMessage(
            key=None,
            message=message.id,
            endpoint=message.endpoint,
            attempt=message.attempts + 1,
            outcome=sent.outcome,
            status=sent.status,
            ms=sent.ms,
            problem=sent.problem,
            retry_after_ms=None if sent.retry_after_s is None else sent.retry_after_s * 1000,
            jitter_permille=self._dice(JITTER_PERMILLE),
        )


def signed(endpoint: WebhookEndpoint, message: str, now: int, body: bytes) -> dict[str, str]:
    """The headers of a message: signed with the secret and, during a rotation, with the old one too."""
    headers = sign(endpoint.secret, message, now, body)
    if endpoint.old_secret and endpoint.old_until_at is not None and now < endpoint.old_until_at:
        old: dict[str, Any] = sign(endpoint.old_secret, message, now, body)
        headers["webhook-signature"] += f" {old['webhook-signature']}"
    return headers
