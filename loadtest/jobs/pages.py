"""Pages asked for over keep-alive connections: as fast as they come, or at a rate that waits for nobody.

At a rate, a page's time counts from when it was due: a server that stalls is not spared those who would have asked.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import cast

from loadtest.jobs.common import codes, latency_ms, no_collector
from loadtest.jobs.plans import PagesPlan, Server
from loadtest.measure import CpuWindow

SEED = 20261126
DRAIN_S = 5.0
TURN_S = 0.001

Done = Callable[[int, bool, int], None]  # status, whether it was kept, bytes


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, one request at a time."""

    def __init__(self, lost: Callable[["Connection"], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._done: Done | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods alone

    def connection_lost(self, problem: Exception | None) -> None:
        self._lost(self)
        if self._done is not None:
            self._done(0, False, 0)

    def ask(self, request: bytes, done: Done) -> None:
        """Send a request; `done` is called with its answer."""
        assert self._transport is not None
        self._done = done
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        size = end + 4 + _length(head)
        if len(self._buffer) < size:
            return
        del self._buffer[:size]
        done, self._done = self._done, None
        if done is not None:
            done(int(head[9:12]), b"cache-status: saxaul; hit" in head, size)

    def close(self) -> None:
        """Hang up."""
        self._done = None
        if self._transport is not None:
            self._transport.close()


def _length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


@dataclass(slots=True)
class Seen:
    """What came of the requests in the window."""

    times_s: list[float] = field(default_factory=list)
    hit_times_s: list[float] = field(default_factory=list)
    miss_times_s: list[float] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    bytes: int = 0


class Town:
    """All who ask. Pages in excess of free connections wait here, and their waiting counts."""

    def __init__(self, plan: PagesPlan) -> None:
        self.plan = plan
        self.seen = Seen()
        self.is_measuring = False
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._all: list[Connection] = []
        self._requests = _requests(plan)
        self.outstanding = 0

    async def open(self) -> None:
        """Connect all."""
        for _ in range(self.plan.connections):
            connection = await connect(self.plan.server, self._lost)
            self._all.append(connection)
            self._free.append(connection)

    def _lost(self, connection: Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)

    def close(self) -> None:
        """Hang up."""
        for connection in self._all:
            connection.close()

    def due(self, at: float) -> None:
        """A page is wanted as of `at`."""
        self.outstanding += 1
        self._waiting.append((next(self._requests), at))
        self._serve()

    def _serve(self) -> None:
        while self._free and self._waiting:
            request, at = self._waiting.popleft()
            connection = self._free.popleft()
            connection.ask(request, lambda *answer, c=connection, at=at: self._answered(c, at, *answer))

    def _answered(self, connection: Connection, at: float, status: int, is_hit: bool, size: int) -> None:
        self.outstanding -= 1
        if self.is_measuring:
            seen, taken = self.seen, perf_counter() - at
            seen.times_s.append(taken)
            (seen.hit_times_s if is_hit else seen.miss_times_s).append(taken)
            seen.statuses.append(str(status))
            seen.bytes += size
        if status:
            self._free.append(connection)
        if self.plan.per_s == 0:
            self.due(perf_counter())
        else:
            self._serve()


async def connect(server: Server, lost: Callable[[Connection], None]) -> Connection:
    """A connection to the server."""
    loop = asyncio.get_running_loop()
    _, made = await loop.create_connection(lambda: Connection(lost), server.host, server.port)
    return made


def _requests(plan: PagesPlan) -> Iterator[bytes]:
    """Hot pages at random, cold ones each once and then again from the start."""
    dice = random.Random(SEED)
    hot = [_request(plan.server, path, accept) for path, accept in plan.hot]
    cold = [_request(plan.server, path, accept) for path, accept in plan.cold]
    at = 0
    while True:
        if cold and dice.random() * 100 < plan.cold_pct:
            yield cold[at % len(cold)]
            at += 1
        else:
            yield hot[int(dice.random() * len(hot))]


def _request(server: Server, path: str, accept: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: {server.host}\r\naccept: {accept}\r\n\r\n".encode()


class Operator:
    """Writes orders at a steady rate, one after the other."""

    def __init__(self, plan: PagesPlan) -> None:
        self._plan = plan
        self.statuses: list[str] = []
        self.is_over = False

    async def run(self) -> None:
        """Until it is over."""
        plan = self._plan
        if not plan.writes_per_s:
            return
        connection = await connect(plan.server, lambda _: None)
        begun, sent = perf_counter(), 0
        again, once = cycle(plan.writes), iter(plan.once)
        while not self.is_over:
            path, body = (next(once, None) if sent % 5 == 4 else None) or next(again)
            head = (
                f"POST {path} HTTP/1.1\r\nhost: {plan.server.host}\r\nauthorization: Bearer {plan.operator_key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
            )
            answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            connection.ask(head.encode(), lambda status, *_, to=answered: to.done() or to.set_result(status))
            self.statuses.append(str(await answered))
            sent += 1
            await asyncio.sleep(max(0.0, begun + sent / plan.writes_per_s - perf_counter()))
        connection.close()


async def run(plan: PagesPlan) -> dict[str, object]:
    """Rate, times, hits and misses of the window, and what was written meanwhile."""
    town, operator = Town(plan), Operator(plan)
    await town.open()
    writing = asyncio.create_task(operator.run())
    asking = asyncio.create_task(_ask(town))
    with no_collector():
        await asyncio.sleep(plan.warm_up_s)
        operator.statuses.clear()
        window, begin = CpuWindow.start(plan.server.pids), perf_counter()
        town.is_measuring = True
        await asyncio.sleep(plan.measure_s)
        town.is_measuring = False
        seconds, cpu = perf_counter() - begin, window.stop()
    asking.cancel()
    operator.is_over = True
    await asyncio.wait([writing, asking], timeout=DRAIN_S)
    town.close()
    for task in (writing, asking):
        if task.done() and not task.cancelled():
            task.result()
    seen = town.seen
    count = max(1, len(seen.times_s))
    return {
        "per_s": len(seen.times_s) / seconds,
        "hits": len(seen.hit_times_s),
        "misses": len(seen.miss_times_s),
        "all": latency_ms(seen.times_s),
        "hit": latency_ms(seen.hit_times_s),
        "miss": latency_ms(seen.miss_times_s),
        "statuses": codes(seen.statuses),
        "kib_per_s": seen.bytes / 1024 / seconds,
        "writes_per_s": len(operator.statuses) / seconds,
        "write_statuses": codes(operator.statuses),
        "cpu_us": {name: used / count * 1e6 for name, used in cpu.items() if name != "foreign"},
        "foreign_cores": cpu["foreign"] / seconds,
        "late": town.outstanding,
    }


async def _ask(town: Town) -> None:
    """Keep every connection busy, or be due at the rate."""
    per_s = town.plan.per_s
    if per_s == 0:
        for _ in range(town.plan.connections):
            town.due(perf_counter())
        return
    begun, asked = perf_counter(), 0
    while True:
        now = perf_counter()
        while begun + asked / per_s <= now:
            town.due(begun + asked / per_s)
            asked += 1
        await asyncio.sleep(TURN_S)
