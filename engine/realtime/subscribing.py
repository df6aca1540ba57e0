"""Making one subscription: permission, position, recovery.

The order is what makes it whole: register in the hub, which holds live pushes back; read the position; reply;
only then let the pushes go, from where the reply ended.
"""

from collections.abc import Callable

from engine.realtime import protocol
from engine.realtime.channels import Channel, parse_channel
from engine.realtime.hub import Entry, Listener, Subscription
from engine.realtime.parts import Realtime
from engine.realtime.protocol import ProtocolError

After = Callable[[], None]


class _Refused(Exception):
    def __init__(self, error: ProtocolError) -> None:
        super().__init__(error.message)
        self.error = error


async def subscribe(
    rt: Realtime, listener: Listener, user: int, command_id: int, request: protocol.Subscribe
) -> tuple[bytes, After | None]:
    """The reply, and what to call once it is queued. Whatever goes wrong, no half subscription stays."""
    channel = parse_channel(request.channel)
    if channel is None:
        return protocol.error_reply(command_id, protocol.UNKNOWN_CHANNEL), None
    if rt.hub.subscribed(listener, user) >= rt.limits.channels_max:
        return protocol.error_reply(command_id, protocol.LIMIT_EXCEEDED), None
    subscription = rt.hub.hold(listener, user, request.channel)
    if subscription is None:
        return protocol.error_reply(command_id, protocol.ALREADY_SUBSCRIBED), None
    try:
        return await _granted(rt, subscription, channel, command_id, request)
    except _Refused as refusal:
        rt.hub.leave(listener, user, request.channel)
        return protocol.error_reply(command_id, refusal.error), None
    except BaseException:
        rt.hub.leave(listener, user, request.channel)
        raise


async def _granted(
    rt: Realtime, subscription: Subscription, channel: Channel, command_id: int, request: protocol.Subscribe
) -> tuple[bytes, After]:
    hub = rt.hub
    top = await rt.reads.position(channel, subscription.user)
    if top is None:
        raise _Refused(protocol.PERMISSION_DENIED)
    missed = await _missed(rt, request, top) if request.recover else None
    if subscription.revoked:
        raise _Refused(protocol.PERMISSION_DENIED)
    if missed is not None:
        reply = protocol.subscribe_reply(command_id, hub.epoch, request.offset, True, missed)
        return reply, lambda: hub.release(subscription, request.offset + len(missed), top)
    if request.recover and request.flag & protocol.REJECT_UNRECOVERED:
        raise _Refused(protocol.UNRECOVERABLE_POSITION)
    reply = protocol.subscribe_reply(command_id, hub.epoch, top, False if request.recover else None)
    return reply, lambda: hub.release(subscription, top, top)


async def _missed(rt: Realtime, request: protocol.Subscribe, top: int) -> list[bytes] | None:
    """What the client missed since its position, as the reply carries it; None: it has to load a snapshot."""
    hub = rt.hub
    entries = hub.recovery(request.channel, request.offset, top) if request.epoch == hub.epoch else None
    if entries is not None and any(data is None for _, _, data in entries):
        entries = await _with_data(rt, request.channel, entries)
    if entries is None:
        hub.counters.recoveries_refused += 1
        return None
    hub.counters.recoveries += 1
    return [protocol.publication(offset, data) for offset, _, data in entries if data is not None]


async def _with_data(rt: Realtime, channel: str, entries: list[Entry]) -> list[Entry] | None:
    """Fetch what other nodes published while nobody here listened."""
    wanted = [journal_id for _, journal_id, data in entries if data is None]
    found = await rt.reads.publications(channel, wanted)
    whole = [(o, j, found.get(o) if data is None else data) for o, j, data in entries]
    size = sum(len(data) for _, _, data in whole if data is not None)
    if any(data is None for _, _, data in whole) or size > rt.limits.recovery_bytes_max:
        return None
    return whole
