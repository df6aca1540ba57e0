"""The beginning of a shutdown: this process says that it is not ready and takes no new sockets, but still serves."""

import asyncio

import structlog

from engine.api.parts import Parts

EMPTY_WITHIN_S = 5.0
STEP_S = 0.02

log = structlog.get_logger(__name__)


async def begin_to_drain(parts: Parts) -> None:
    """Fail readiness, refuse upgrades, give load balancers time to notice, and let the writer catch up.

    After this the listener may be closed and the connections in slices; commands that still come are carried out.
    """
    parts.is_draining = True
    if parts.front is not None:
        parts.front.is_draining = True
    log.info("draining", connections=len(parts.front.sockets) if parts.front else 0)
    await asyncio.sleep(parts.settings.drain_notice_s)
    try:
        async with asyncio.timeout(EMPTY_WITHIN_S):
            while parts.writer.queued:  # noqa: ASYNC110 - the queue's length has no event
                await asyncio.sleep(STEP_S)
    except TimeoutError:
        log.warning("drain_writer_busy", queued=parts.writer.queued)
