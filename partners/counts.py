"""How the counts of living trees stand, as far as partners' files can concern them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from engine.store.database import Database
from partners.adapters.files.surveying import BatchCounts, DoneCount, PlannedCount
from partners.core.after_rows import SurvivalAudit
from partners.store.stands import rows_of


async def counts_of(db: Database, orders: Iterable[int]) -> dict[tuple[int, str], BatchCounts]:
    """By order and report number. Raises DatabaseAway."""
    found: dict[tuple[int, str], BatchCounts] = {}
    async with db.snapshot() as reader:
        for order in orders:
            for audit in await rows_of(reader, "audits", SurvivalAudit, "order_id", order):
                batch = (order, audit.batch_id.partition("/")[2])
                found[batch] = _with(found.get(batch, BatchCounts()), audit)
    return found


def _with(counts: BatchCounts, audit: SurvivalAudit) -> BatchCounts:
    if audit.state == "planned":
        planned = PlannedCount(audit.id, audit.opens_on, audit.due_on)
        return replace(counts, planned=(*counts.planned, planned))
    plots = tuple((name, planted, alive) for name, planted, alive in audit.plots)
    return replace(counts, done=(*counts.done, DoneCount(audit.visited_on, audit.method, plots)))
