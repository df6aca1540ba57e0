"""What all jobs need: opening sessions in either dialect, building collect frames, reading replies and pushes."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from loadtest import wire
from loadtest.connection import FIRST_LOAD_ID, Connection, gather_few, open_connection, open_session
from loadtest.jobs.plans import Server, Session
from loadtest.keys import rising_keys
from loadtest.measure import percentile


class BallResult(msgspec.Struct):
    """One ball of a collect's answer."""

    ball: str = ""
    energy_g: int | None = None
    error: str | None = None


class Refusal(msgspec.Struct):
    """Why the game refused."""

    code: str = ""


class CollectData(msgspec.Struct):
    """The answer to a collect, or the refusal of the whole command."""

    results: list[BallResult] = []
    error: Refusal | None = None


class RpcResult(msgspec.Struct):
    """The rpc part of a reply."""

    data: CollectData = msgspec.field(default_factory=CollectData)


class ProtocolError(msgspec.Struct):
    """An error of the protocol, not of the game."""

    code: int = 0
    message: str = ""


class CollectReply(msgspec.Struct):
    """A reply as it lies on the wire."""

    id: int = 0
    rpc: RpcResult | None = None
    error: ProtocolError | None = None


class PushedBall(msgspec.Struct):
    """What a publication says of a ball, as far as a benchmark must know."""

    id: str = ""
    remaining_g: int = -1
    left_for_friends_g: int = -1


class PushedData(msgspec.Struct):
    """The data of a publication."""

    type: str = ""
    balls: list[PushedBall] = []


class Publication(msgspec.Struct):
    """A publication inside a push."""

    data: PushedData = msgspec.field(default_factory=PushedData)
    offset: int = 0


class PushBody(msgspec.Struct):
    """A push."""

    channel: str = ""
    pub: Publication | None = None


class Push(msgspec.Struct):
    """A push as it lies on the wire."""

    push: PushBody = msgspec.field(default_factory=PushBody)


decode_reply = msgspec.json.Decoder(CollectReply).decode
decode_push = msgspec.json.Decoder(Push).decode


async def open_sessions(
    server: Server, sessions: Sequence[Session], pushes: list[tuple[float, bytes]] | None
) -> list[Connection]:
    """All connections, signed in and subscribed where the server speaks Centrifuge."""

    async def one(session: Session) -> Connection:
        if server.speaks == "echo":
            return await open_connection(server.host, server.port, server.path, pushes)
        return await open_session(
            server.host, server.port, server.path, session.token, session.channels, pushes
        )

    return await gather_few([lambda session=session: one(session) for session in sessions])


def collect_frames(sessions: Sequence[Session]) -> list[list[bytes]]:
    """The frames of every session's presses, with keys that rise in the order in which they will about be sent."""
    keys = rising_keys()
    frames: list[list[bytes]] = [[] for _ in sessions]
    for turn in range(max((len(session.presses) for session in sessions), default=0)):
        for session, its_frames in zip(sessions, frames, strict=True):
            if turn < len(session.presses):
                owner, ball = session.presses[turn]
                its_frames.append(wire.frame(collect_line(FIRST_LOAD_ID + turn, next(keys), owner, ball)))
    return frames


def collect_line(number: int, key: str, owner: int, ball: int) -> bytes:
    """One collect command."""
    return (
        f'{{"id":{number},"rpc":{{"method":"ball.collect","data":'
        f'{{"key":"{key}","owner":"{owner}","balls":["{ball}"]}}}}}}'
    ).encode()


def outcome_of(line: bytes) -> tuple[str, CollectReply]:
    """`collected`, the game's code, or `protocol N`; and the decoded reply."""
    reply = decode_reply(line)
    if reply.error is not None:
        return f"protocol {reply.error.code} {reply.error.message}", reply
    data = reply.rpc.data if reply.rpc is not None else CollectData()
    if data.error is not None:
        return data.error.code, reply
    if not data.results:
        return "empty reply", reply
    return data.results[0].error or "collected", reply


def latency_ms(seconds: Iterable[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    values = list(seconds)
    return {"p50_ms": percentile(values, 50) * 1000, "p99_ms": percentile(values, 99) * 1000}


def codes(outcomes: Iterable[str]) -> dict[str, int]:
    """How often each outcome came."""
    return dict(Counter(outcomes))


@contextmanager
def no_collector() -> Iterator[None]:
    """The driver's garbage collector must not pause in the middle of a measurement."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def alive(connections: Iterable[Connection]) -> int:
    """How many connections nobody has closed."""
    return sum(connection.closed_because is None for connection in connections)


def reasons(connections: Iterable[Connection]) -> dict[str, int]:
    """Why connections are closed, counted."""
    return dict(Counter(c.closed_because for c in connections if c.closed_because is not None))


async def close_all(connections: Iterable[Connection]) -> None:
    """Say goodbye to all."""
    for connection in connections:
        connection.close()
    await asyncio.sleep(0.1)
