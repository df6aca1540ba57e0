"""Counts what becomes of reports at the edges, in memory, and hands the counts to the writer every few seconds.

Rejected and duplicate reports store nothing, so their rates are known from here alone. The report path pays a few
dictionary operations; a process that dies loses the counts of its last seconds, and nothing else.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.admin import SubmitAll
from engine.core.commands import ReportActivity
from engine.core.errors import Rejected
from engine.core.sources import SUBJECT_BITS, CountReports, SourceDay, together
from engine.deciding import Outcome

KEPT_MAX = 10_000  # days of sources that wait to be written; more are dropped, and told
EVERY_S = 5.0
UNCOUNTED = frozenset({"unknown_source", "overloaded", "unavailable", "internal"})  # not the source's doing

log = logging.getLogger(__name__)


class _Status(msgspec.Struct):
    status: str = ""


_status = msgspec.json.Decoder(_Status).decode


class ReportCounts:
    """Counts by source and day since they were last written. `pepper` keys the sketch of subjects."""

    def __init__(self, pepper: bytes = b"") -> None:
        self._pepper = hashlib.blake2b(pepper, digest_size=32).digest()
        self._days: dict[tuple[str, str], SourceDay] = {}

    def note(self, source: str, wish: Any, outcome: Outcome, now_ms: int) -> None:
        """One report and what it came to; `wish` is its command, or the refusal that it never became one for."""
        if outcome.error is not None and outcome.error.code in UNCOUNTED:
            return
        day = self._day(source, now_ms)
        if day is None:
            return
        day.last_at = max(day.last_at, now_ms)
        if outcome.error is not None:
            self._refused(day, wish, outcome.error)
            return
        status = _status(outcome.data or b"{}").status
        if status == "reversed":
            day.reversed += 1
        elif status == "duplicate":
            day.duplicate += 1
        else:
            day.accepted += 1
            if isinstance(wish, ReportActivity) and wish.at is not None:
                day.lagged += 1
                day.lag_ms += now_ms - wish.at

    def _day(self, source: str, now_ms: int) -> SourceDay | None:
        on = datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
        day = self._days.get((source, on))
        if day is None and len(self._days) < KEPT_MAX:
            day = self._days[source, on] = SourceDay(source, on)
        return day

    def _refused(self, day: SourceDay, wish: Any, refusal: Rejected) -> None:
        day.rejected[refusal.code] = day.rejected.get(refusal.code, 0) + 1
        if refusal.code == "not_linked" and isinstance(wish, ReportActivity):
            digest = hashlib.blake2b(
                f"{day.source}|{wish.subject}".encode(), digest_size=8, key=self._pepper
            ).digest()
            bit = int.from_bytes(digest, "big") % SUBJECT_BITS
            day.unlinked = format(int(day.unlinked, 16) | (1 << bit), "x")

    def taken(self) -> list[SourceDay]:
        """All counts, which are then forgotten here."""
        days, self._days = list(self._days.values()), {}
        return days

    def back(self, days: Sequence[SourceDay]) -> None:
        """Counts that could not be written, to be written later."""
        for day in days:
            key = (day.source, day.on)
            known = self._days.get(key)
            self._days[key] = day if known is None else together(known, day)

    async def flush(self, submit_all: SubmitAll) -> None:
        """Write what was counted; what the engine does not take now is kept for the next time."""
        days = self.taken()
        if not days:
            return
        [outcome] = await submit_all([CountReports(days)])
        if outcome.error is not None:
            log.info("counts of reports wait: %s", outcome.error.code)
            self.back(days)

    async def run(self, submit_all: SubmitAll, every_s: float = EVERY_S) -> None:
        """Write every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.flush(submit_all)
