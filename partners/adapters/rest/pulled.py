"""A partner that calls our partner API and hears our webhooks: what it is asked goes into the webhooks' outbox.

`done` means that the order stands in the API and its event is queued (which happened already when the order was
submitted, for endpoints that were there). Delivery has a life of its own: an endpoint that is away does not hold an
order up, because reminders, escalation and expiry do not depend on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from engine.core.errors import Rejected
from partners.adapters.rest import mapping
from partners.adapters.simulator.mapping import report_of
from partners.port import About, Answer, Capabilities, Inbound, OrderSheet
from partners.signing import verify

Told = Literal["queued", "absent", "away", "unknown"]


class Office(Protocol):
    """Our own side of the partner API, as far as this adapter needs it."""

    async def announce(self, partner: str, kind: str, order: int, event: str, data: dict[str, Any]) -> Told:
        """Queue an event for the partner's endpoints, once for `event`. away: surely not done; absent: the partner has
        no such order; unknown: it may have been done."""
        ...

    async def knows(self, partner: str, order: int) -> bool | None:
        """Whether the partner finds the order in the API; None: that can't be said now."""
        ...


class PulledAdapter:
    """Such a partner. `keys`: of messages that it signs, the one in use first; none: it sends none."""

    def __init__(self, partner: str, office: Office, keys: Sequence[str], capabilities: Capabilities) -> None:
        self._partner, self._office, self._keys, self._capabilities = (
            partner,
            office,
            list(keys),
            capabilities,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this partner can do."""
        return self._capabilities

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Tell of a new order. Whoever sees it sees it in the API, too."""
        return await self._tell("order.submitted", sheet.order, key, mapping.submitted(sheet))

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """Tell that an order is withdrawn. `done` means told, not agreed."""
        return await self._tell("order.cancelled", order, key, mapping.cancelled(order, reason))

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Tell what is due, what is missing, or how a review ended."""
        kind, told = mapping.reminded(order, about)
        return await self._tell(kind, order, key, told)

    async def fetch_status(self, order: int) -> Answer:
        """Whether the order stands in the API. How it stands the partner says itself."""
        known = await self._office.knows(self._partner, order)
        if known is None:
            return Answer("failed", "the database is away")
        return (
            Answer("done", "it stands in the partner API")
            if known
            else Answer("absent", "not in the partner API")
        )

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Check and understand a message: signed, five minutes, any of the keys."""
        if not self._keys:
            raise Rejected("bad_signature", reason="calls_the_partner_api")
        return inbound(self._keys, headers, body, now_ms)

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _tell(self, kind: str, order: int, key: str, told: dict[str, Any]) -> Answer:
        what = await self._office.announce(self._partner, kind, order, mapping.event_of(kind, key), told)
        if what == "queued":
            return Answer("done", "in the partner API, its webhooks queued")
        if what == "absent":
            is_new = kind == "order.submitted"
            return Answer("refused" if is_new else "absent", "the partner has no such order")
        return Answer("failed" if what == "away" else "unknown", f"the outbox is {what}")


def inbound(keys: Sequence[str], headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
    """A partner's signed message. Raises Rejected: `bad_signature`, `bad_request`, `bad_number`."""
    message = verify(keys, headers, body, now_ms)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected("bad_request", expected="JSON") from None
    data = content.get("data") if isinstance(content, dict) else None
    return Inbound(message, hashlib.sha256(body).hexdigest(), report_of(data))
