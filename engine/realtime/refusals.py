"""The two kinds of no: the game's, which is data of a normal reply, and the engine's, which is a protocol error."""

import msgspec

from engine.core.errors import Rejected
from engine.realtime import protocol
from engine.realtime.protocol import ProtocolError

# codes that say nothing about the game: the SDKs may send the same command again
INFRASTRUCTURE: dict[str, ProtocolError] = {
    "overloaded": protocol.OVERLOADED,
    "unavailable": protocol.UNAVAILABLE,
    "internal": protocol.INTERNAL,
}


def refusal_reply(command_id: int, refusal: Rejected) -> bytes:
    """The game's no is a normal reply, its fields whole; only what may be sent again is an error."""
    error = INFRASTRUCTURE.get(refusal.code)
    if error is not None:
        return protocol.error_reply(command_id, error)
    return protocol.rpc_reply(
        command_id, msgspec.json.encode({"error": {"code": refusal.code, **refusal.fields}})
    )
