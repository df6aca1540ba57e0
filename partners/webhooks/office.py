"""Our own side of the partner API, as the adapter of partners who call it needs it."""

from __future__ import annotations

from typing import Any

from engine.store.database import Database, DatabaseAway
from engine.writer import Writer
from partners.adapters.rest.pulled import Told
from partners.core.api_commands import AnnounceEvent
from partners.store.api_queries import knows_order


class PartnerOffice:
    """Is made before there is a writer, because adapters are; until `open` it is away."""

    def __init__(self) -> None:
        self._writer: Writer | None = None
        self._db: Database | None = None

    def open(self, writer: Writer, db: Database) -> None:
        """From now on it can be asked."""
        self._writer, self._db = writer, db

    async def announce(self, partner: str, kind: str, order: int, event: str, data: dict[str, Any]) -> Told:
        """Queue an event for the partner's endpoints, once for `event`."""
        if self._writer is None:
            return "away"
        outcome = await self._writer.submit(AnnounceEvent(None, partner, kind, order, event, data))
        if outcome.error is None:
            return "queued"
        if outcome.error.code == "unknown_order":
            return "absent"
        return "away" if outcome.error.code == "overloaded" else "unknown"

    async def knows(self, partner: str, order: int) -> bool | None:
        """Whether the partner finds the order in the API; None: the database is away."""
        if self._db is None:
            return None
        try:
            async with self._db.snapshot() as reader:
                return await knows_order(reader, partner, order)
        except DatabaseAway:
            return None
