"""The recurring job of evidence: takes in what a crash or an outage left, judges anew, forgets what is over."""

from __future__ import annotations

import asyncio
import logging

from engine.core.errors import Rejected
from partners.core.evidence_commands import AssessBatch
from partners.evidence.desk import EvidenceDesk
from partners.evidence.intake import LATER, finish
from partners.store import evidence_queries

SETTLED_AFTER_MS = 60_000  # younger ones are in the hands of the request that brought their last bytes

log = logging.getLogger(__name__)


async def settle_evidence(desk: EvidenceDesk) -> int:
    """How many uploads were taken in or ended, and batches judged anew."""
    count = 0
    for upload in await asyncio.to_thread(desk.uploads.complete):
        try:
            age_ms = desk.now_ms() - int(desk.uploads.path(upload).stat().st_mtime * 1000)
            if age_ms >= SETTLED_AFTER_MS:
                await finish(desk, upload)
                count += 1
        except FileNotFoundError:
            continue  # settled meanwhile
        except Rejected as refusal:
            if refusal.code not in LATER:
                count += 1
            log.warning("upload %s is not taken in: %s", upload.id, refusal.code)
    async with desk.reading() as reader:
        batches = await evidence_queries.batches_to_assess(reader, desk.now_ms())
    for order, batch in batches:
        await desk.submit(AssessBatch(None, order, batch))
    return count + len(batches) + await asyncio.to_thread(desk.uploads.end_expired, desk.now_ms())
