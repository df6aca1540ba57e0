"""The JSON subset of the Centrifuge client protocol v2 that we speak: decode frames, encode replies and
pushes.

No I/O, no state, nothing of the game: an rpc's data stays raw here. Clients in the wild decide the details,
so what the official SDKs rely on is said at the place where it is done.
"""

from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec

COMMANDS_PER_FRAME_MAX = 512
COMMAND_ID_MAX = 2**32 - 1
OFFSET_MAX = 2**53 - 1
TOKEN_CHARS_MAX = 8192
CHANNEL_CHARS_MAX = 64
REJECT_UNRECOVERED = (
    2  # bit of `flag` in a subscribe: an impossible position is error 112, not `recovered: false`
)
PING = b"{}"

Offset = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
Token = Annotated[str, msgspec.Meta(max_length=TOKEN_CHARS_MAX)]
ChannelName = Annotated[str, msgspec.Meta(min_length=1, max_length=CHANNEL_CHARS_MAX)]


# --- what clients send ----------------------------------------------------------------------------


class Connect(msgspec.Struct):
    """Who is there. The SDKs also send `name`, `version`, `data`: unknown fields are ignored everywhere."""

    token: Token = ""


class Refresh(msgspec.Struct):
    """A newer token for the same user."""

    token: Token = ""


class Subscribe(msgspec.Struct):
    """Listen to a channel; with `recover`, from the position that the client has."""

    channel: ChannelName
    recover: bool = False
    epoch: Annotated[str, msgspec.Meta(max_length=64)] = ""
    offset: Offset = 0
    flag: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0


class Unsubscribe(msgspec.Struct):
    """Stop listening."""

    channel: ChannelName


class Rpc(msgspec.Struct):
    """A method of the game with its data, still undecoded."""

    method: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Command(msgspec.Struct):
    """One line of a frame; the field that is set says its kind. Neither id nor kind: a pong."""

    id: Annotated[int, msgspec.Meta(ge=0, le=COMMAND_ID_MAX)] = 0
    rpc: Rpc | None = None
    subscribe: Subscribe | None = None
    unsubscribe: Unsubscribe | None = None
    connect: Connect | None = None
    refresh: Refresh | None = None

    def is_pong(self) -> bool:
        """Whether the line carries nothing."""
        return not (self.id or self.rpc or self.subscribe or self.unsubscribe or self.connect or self.refresh)


_decode = msgspec.json.Decoder(Command).decode


class Fault(StrEnum):
    """What was wrong with a frame; also the label under which it is counted."""

    EMPTY = "empty"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    WRONG_SHAPE = "wrong_shape"
    TOO_MANY = "too_many_commands"
    NO_ID = "no_id"
    CONNECT_FIRST = "connect_first"
    CONNECT_TWICE = "connect_twice"
    BINARY = "binary"


class BadFrame(Exception):
    """A frame that no well-behaved client sends. `detail` is for the log of the client's author, never of
    ours.
    """

    def __init__(self, fault: Fault, detail: str = "") -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.detail = detail


def decode_frame(frame: bytes) -> list[Command]:
    """The commands of one text frame, one a line. Raises BadFrame; then none of them counts."""
    if b"\n" not in frame:
        return [_decode_line(frame)]
    lines = [line for line in frame.split(b"\n") if line]
    if len(lines) > COMMANDS_PER_FRAME_MAX:
        raise BadFrame(Fault.TOO_MANY, f"at most {COMMANDS_PER_FRAME_MAX} commands a frame")
    if not lines:
        raise BadFrame(Fault.EMPTY)
    return [_decode_line(line) for line in lines]


def _decode_line(line: bytes) -> Command:
    try:
        return _decode(line)
    except msgspec.ValidationError as error:
        raise BadFrame(Fault.WRONG_SHAPE, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _why_not_json(line, str(error)) from None
    except UnicodeDecodeError as error:
        raise BadFrame(Fault.NOT_UTF8, str(error)) from None


def _why_not_json(line: bytes, detail: str) -> BadFrame:
    if not line.strip():
        return BadFrame(Fault.EMPTY)
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return BadFrame(Fault.NOT_UTF8, str(error))
    return BadFrame(Fault.NOT_JSON, detail)


# --- what we answer -------------------------------------------------------------------------------


class ProtocolError(NamedTuple):
    """An `error` of a reply. Without `temporary` the SDKs give up for good (an expired token excepted)."""

    code: int
    message: str
    temporary: bool = False

    def encoded(self) -> bytes:
        """The JSON of the error; always with code and message, the SDKs read both unasked."""
        return msgspec.json.encode(
            self._asdict() if self.temporary else {"code": self.code, "message": self.message}
        )


INTERNAL = ProtocolError(100, "internal server error", temporary=True)
UNAUTHORIZED = ProtocolError(101, "unauthorized")
UNKNOWN_CHANNEL = ProtocolError(102, "unknown channel")
PERMISSION_DENIED = ProtocolError(103, "permission denied")
METHOD_NOT_FOUND = ProtocolError(104, "method not found")
ALREADY_SUBSCRIBED = ProtocolError(105, "already subscribed")
LIMIT_EXCEEDED = ProtocolError(106, "limit exceeded")
BAD_REQUEST = ProtocolError(107, "bad request")
TOKEN_EXPIRED = ProtocolError(109, "token expired", temporary=True)
TOO_MANY_REQUESTS = ProtocolError(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = ProtocolError(112, "unrecoverable position")
OVERLOADED = ProtocolError(400, "overloaded", temporary=True)
UNAVAILABLE = ProtocolError(401, "database away", temporary=True)

ERRORS: tuple[ProtocolError, ...] = (
    INTERNAL,
    UNAUTHORIZED,
    UNKNOWN_CHANNEL,
    PERMISSION_DENIED,
    METHOD_NOT_FOUND,
    ALREADY_SUBSCRIBED,
    LIMIT_EXCEEDED,
    BAD_REQUEST,
    TOKEN_EXPIRED,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
    OVERLOADED,
    UNAVAILABLE,
)


class Close(NamedTuple):
    """How a connection ends. 3000-3499, 4000-4499: the SDKs come back; 3500-3999, 4500-4999: they stop."""

    code: int
    reason: str


NORMAL = Close(3000, "closed")
SHUTDOWN = Close(3001, "shutdown")
EXPIRED = Close(3005, "connection expired")
SLOW = Close(3008, "slow")
INSUFFICIENT_STATE = Close(3010, "insufficient state")
NO_PONG = Close(3012, "no pong")
TOO_MANY_COMMANDS = Close(3013, "too many commands")
STATE_INVALIDATED = Close(3014, "state invalidated")
INVALID_TOKEN = Close(3500, "invalid token")
BAD_FRAME = Close(3501, "bad request")
STALE = Close(3502, "stale")
CONNECTION_LIMIT = Close(3504, "connection limit")
NOT_ALLOWED = Close(3507, "permission denied")
NOT_UTF8 = Close(1007, "not UTF-8")
NOT_TEXT = Close(1003, "text frames only")
TOO_BIG = Close(1009, "frame too big")

CLOSES: tuple[Close, ...] = (
    NORMAL,
    SHUTDOWN,
    EXPIRED,
    SLOW,
    INSUFFICIENT_STATE,
    NO_PONG,
    TOO_MANY_COMMANDS,
    STATE_INVALIDATED,
    INVALID_TOKEN,
    BAD_FRAME,
    STALE,
    CONNECTION_LIMIT,
    NOT_ALLOWED,
    NOT_UTF8,
    NOT_TEXT,
    TOO_BIG,
)


def close_for(fault: Fault) -> Close:
    """How a connection ends that sent such a frame."""
    if fault is Fault.NOT_UTF8:
        return NOT_UTF8
    if fault is Fault.BINARY:
        return NOT_TEXT
    return BAD_FRAME


class Unsubscribed(NamedTuple):
    """Why the server ended a subscription. Below 2500 the SDKs do not subscribe again by themselves."""

    code: int
    reason: str


PERMISSION_LOST = Unsubscribed(2001, "permission lost")

_ERROR_TAILS = {error: b',"error":' + error.encoded() + b"}" for error in ERRORS}


def error_reply(command_id: int, error: ProtocolError, detail: str = "") -> bytes:
    """The reply that refuses a command; `detail` extends the message."""
    if detail:
        tail = b',"error":' + error._replace(message=f"{error.message}: {detail[:200]}").encoded() + b"}"
    else:
        tail = _ERROR_TAILS[error]
    return b'{"id":%d' % command_id + tail


def rpc_reply(command_id: int, data: bytes) -> bytes:
    """The reply to an rpc; `data` is its JSON."""
    return b'{"id":%d,"rpc":{"data":%b}}' % (command_id, data)


def connect_reply(
    command_id: int, client: str, version: str, ping_s: int, ttl_s: int | None, data: bytes
) -> bytes:
    """The reply to connect. `ttl_s`: when the SDK is to refresh its token, None for a token without end."""
    result: dict[str, object] = {"client": client, "version": version}
    if ttl_s is not None:
        result |= {"expires": True, "ttl": ttl_s}
    result |= {"ping": ping_s, "pong": True, "data": msgspec.Raw(data)}
    return b'{"id":%d,"connect":%b}' % (command_id, msgspec.json.encode(result))


def refresh_reply(command_id: int, client: str, version: str, ttl_s: int | None) -> bytes:
    """The reply to refresh."""
    result: dict[str, object] = {"client": client, "version": version}
    if ttl_s is not None:
        result |= {"expires": True, "ttl": ttl_s}
    return b'{"id":%d,"refresh":%b}' % (command_id, msgspec.json.encode(result))


def unsubscribe_reply(command_id: int) -> bytes:
    """The reply to unsubscribe; the result key is there though it is empty, SDKs need it."""
    return b'{"id":%d,"unsubscribe":{}}' % command_id


def publication(offset: int, data: bytes) -> bytes:
    """A publication as it stands in a subscribe reply; without offset (0) the client's position stays."""
    return b'{"data":%b,"offset":%d}' % (data, offset) if offset else b'{"data":%b}' % data


def subscribe_reply(
    command_id: int,
    epoch: str,
    offset: int,
    recovered: bool | None = None,
    publications: list[bytes] | None = None,
) -> bytes:
    """The reply to subscribe. `recovered` is None where the client did not ask to recover.

    Where it recovered, `offset` is the one that the client asked from: each publication after it moves its
    position.
    """
    position = b'{"id":%d,"subscribe":{"recoverable":true,"positioned":true,"epoch":"%b","offset":%d' % (
        command_id,
        epoch.encode(),
        offset,
    )
    if recovered is None:
        return position + b"}}"
    if not recovered:
        return position + b',"was_recovering":true,"recovered":false}}'
    return position + b',"was_recovering":true,"recovered":true,"publications":[%b]}}' % b",".join(
        publications or []
    )


def publication_push(channel: bytes, offset: int, data: bytes) -> bytes:
    """A publication to those who listen; `channel` needs no escaping (see channels.py)."""
    if offset:
        return b'{"push":{"channel":"%b","pub":{"data":%b,"offset":%d}}}' % (channel, data, offset)
    return b'{"push":{"channel":"%b","pub":{"data":%b}}}' % (channel, data)


def unsubscribe_push(channel: bytes, why: Unsubscribed) -> bytes:
    """Tells a client that the server ended its subscription."""
    return b'{"push":{"channel":"%b","unsubscribe":{"code":%d,"reason":"%b"}}}' % (
        channel,
        why.code,
        why.reason.encode(),
    )
