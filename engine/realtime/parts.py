"""What a session is given and what carries it, as protocols: the seams at which tests put something smaller.

No behaviour of its own.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.realtime.channels import Channel
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.methods import METHODS, Method, Reads
from engine.realtime.protocol import Close
from engine.writer import Outcome

PROTOCOL_VERSION = 1  # `v` in the connect reply's data; grows when something is added that clients may want


class Writer(Protocol):
    """The one write path, as far as a session needs it."""

    def post(self, command: Any, done: Callable[[Outcome], None], /) -> None:
        """Queue a command; `done` is called after its commit. Raises Overloaded."""
        ...


class Bearer(Protocol):
    """Whom a token speaks for, and until when (Unix seconds; None: without end)."""

    @property
    def user(self) -> int: ...
    @property
    def expires_at_s(self) -> float | None: ...


class Verifier(Protocol):
    """Checks tokens."""

    async def verify(self, token: str) -> Bearer:
        """Raises Rejected(token_expired) or Rejected(token_invalid)."""
        ...


class SessionReads(Reads, Protocol):
    """The reads of the methods, and what a session needs to know for itself."""

    async def account_state(self, user: int) -> str | None:
        """active, suspended, closed, or None for nobody."""
        ...

    async def position(self, channel: Channel, viewer: int) -> int | None:
        """The channel's highest offset, or None where the viewer may not listen."""
        ...

    async def publications(self, channel: str, journal_ids: list[int]) -> dict[int, bytes]:
        """Offset → data of what the journal rows published on the channel."""
        ...


class Wire(Protocol):
    """What carries a session's frames."""

    def send(self, payload: bytes) -> None:
        """Write one text frame; never waits."""

    def buffered_bytes(self) -> int:
        """What was written and not yet taken by the network."""
        ...

    def close(self, close: Close) -> None:
        """End the connection; whoever does not read is cut off after a grace."""

    def pause_reading(self) -> None:
        """Take no more frames for now."""

    def resume_reading(self) -> None:
        """Take frames again."""


@dataclass(slots=True)
class Counters:
    """What happened on all connections since the start; metrics read it."""

    connected: int = 0
    commands: int = 0
    rate_limited: int = 0
    closed: Counter[int] = field(default_factory=Counter)  # by close code
    faults: Counter[str] = field(default_factory=Counter)  # by protocol.Fault


@dataclass(slots=True)
class Realtime:
    """What all sessions of a process share. `now_ms`: the engine's clock; `version`: what clients hear."""

    hub: Hub
    writer: Writer
    reads: SessionReads
    verifier: Verifier
    limits: Limits
    now_ms: Callable[[], int]
    now_text: Callable[[int], str]
    version: str = "saxaul"
    methods: Mapping[str, Method] = field(default_factory=lambda: METHODS)
    counters: Counters = field(default_factory=Counters)
