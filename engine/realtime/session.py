"""One connection from its first frame to its last, whatever carries it.

Commands are executed and answered in the order in which they came: writes are handed to the writer at once,
so that many of one connection share a group; a read waits until the writes before it are answered, and a
write for the reads before it. What a client gets is queued here and written by the hub's flush, one frame a
turn. Knows the protocol and the game's methods; must not know sockets, SQL or what a command does.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import structlog

from engine.core.errors import Rejected
from engine.realtime import protocol
from engine.realtime.methods import BadParams, Method, Read, Unready, Write, decode_params
from engine.realtime.parts import PROTOCOL_VERSION, Realtime, Wire
from engine.realtime.protocol import BadFrame, Close, Command, Fault, ProtocolError
from engine.realtime.refusals import INFRASTRUCTURE, refusal_reply
from engine.realtime.subscribing import subscribe
from engine.writer import Outcome, Overloaded

log = structlog.get_logger(__name__)

SUBSCRIBE_COST = 0.25  # of a command's token: after a reconnect the SDKs subscribe to everything at once
FRAME_COST = 0.05  # of a frame that is no command: pongs, control frames, fragments; SDKs send few
DEBT_BURSTS_MAX = 4  # refused commands, in bursts, after which a client that goes on sending is closed


class _Slot:
    """A command that is not answered yet, and what it takes: the writer, or awaiting `work`."""

    __slots__ = ("after", "command", "command_id", "reply", "session", "work")

    def __init__(self, session: "Session", command_id: int) -> None:
        self.session = session
        self.command_id = command_id
        self.command: object = None
        self.work: Work | None = None
        self.reply: bytes | None = None
        self.after: Callable[[], None] | None = None  # runs when the reply is queued

    def done(self, outcome: Outcome) -> None:
        """The writer's callback."""
        if self.reply is not None:
            return
        error = outcome.error
        if error is None:
            self.reply = b'{"id":%d,"rpc":{"data":%b}}' % (self.command_id, outcome.data or b"{}")
        else:
            self.reply = refusal_reply(self.command_id, error)
        self.session._writing -= 1
        self.session._settle()


Work = Callable[
    [_Slot], Awaitable[bytes | None]
]  # answers with the whole reply; None: the connection is over


class Session:
    """States: new (nothing said), connected (`user` is known), over."""

    __slots__ = (
        "_alone",
        "_expiry",
        "_is_congested",
        "_is_connecting",
        "_is_reading",
        "_is_slow",
        "_loop",
        "_out",
        "_out_bytes",
        "_rt",
        "_slots",
        "_stuck",
        "_task",
        "_timer",
        "_tokens",
        "_tokens_at",
        "_waiting",
        "_was_heard",
        "_wire",
        "_writing",
        "client_id",
        "is_dirty",
        "is_over",
        "user",
    )

    def __init__(self, realtime: Realtime, wire: Wire) -> None:
        self._rt = realtime
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self.user: int | None = None
        self.client_id = ""
        self.is_dirty = False
        self.is_over = False
        self._is_connecting = False
        self._slots: deque[_Slot] = deque()  # every unanswered command, in order
        self._waiting: deque[_Slot] = deque()  # those of them that have not begun
        self._writing = 0  # how many are with the writer
        self._alone = False  # something runs that nothing else may run beside
        self._task: asyncio.Task[None] | None = None
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._is_slow = False
        self._is_congested = False
        self._is_reading = True
        self._was_heard = True
        self._tokens = float(realtime.limits.commands_burst)
        self._tokens_at = self._loop.time()
        self._timer = self._loop.call_later(realtime.limits.connect_within_s, self.end, protocol.STALE)
        self._expiry: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    # --- what comes in ----------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """A complete text message."""
        self._was_heard = True
        try:
            for command in protocol.decode_frame(frame):
                if self.is_over:
                    return
                self._take(command)
        except BadFrame as bad:
            self.violated(bad.fault)

    def violated(self, fault: Fault) -> None:
        """The client sent what no client of the protocol sends: count it and close."""
        if not self.is_over:
            self._rt.counters.faults[fault] += 1
            self.end(protocol.close_for(fault))

    def toll(self) -> None:
        """Charge for a frame or line that is no command. Each costs us more than its sender, so whoever sends
        nothing else in a flood is closed as for too many commands.
        """
        if self._rt.limits.commands_per_s and not self.is_over:
            self._may_go_on(FRAME_COST)

    def _take(self, command: Command) -> None:
        rpc = command.rpc
        if command.id == 0:
            if not command.is_pong():
                raise BadFrame(Fault.NO_ID)
            self.toll()
            return
        if self.user is None and not self._is_connecting and command.connect is None:
            raise BadFrame(Fault.CONNECT_FIRST)
        self._rt.counters.commands += 1
        cost = 1.0 if command.subscribe is None else SUBSCRIBE_COST
        if self._rt.limits.commands_per_s and not self._may_go_on(cost):
            self._refuse(command.id, protocol.TOO_MANY_REQUESTS)
        elif rpc is not None:
            self._take_rpc(command.id, rpc)
        else:
            self._take_other(command)
        if len(self._slots) >= self._rt.limits.outstanding_max and self._is_reading:
            self._is_reading = False
            self._wire.pause_reading()

    def _take_rpc(self, command_id: int, rpc: protocol.Rpc) -> None:
        method = self._rt.methods.get(rpc.method)
        user = self.user
        if method is None:
            self._refuse(command_id, protocol.METHOD_NOT_FOUND)
        elif user is None:  # sent together with connect: who asks is known only after that is answered
            self._later(command_id, lambda slot: self._after_connect(slot, method, rpc))
        else:
            try:
                params = decode_params(method, rpc.data)
                if isinstance(method, Write):
                    command = method.command(user, params)
                    if isinstance(command, Unready):
                        self._later(command_id, lambda slot: self._make_ready(slot, command))
                    else:
                        self._write(command_id, command)
                else:
                    self._later(command_id, lambda slot: self._read(slot, method, user, params))
            except BadParams as problem:
                self._refuse(command_id, protocol.BAD_REQUEST, str(problem))

    def _take_other(self, command: Command) -> None:
        number = command.id
        if (connect := command.connect) is not None:
            if self._is_connecting or self.user is not None:
                raise BadFrame(Fault.CONNECT_TWICE)
            self._is_connecting = True
            self._later(number, lambda slot: self._connect(slot, connect))
        elif (wish := command.subscribe) is not None:
            self._later(number, lambda slot: self._subscribe(slot, wish))
        elif (unsubscribe := command.unsubscribe) is not None:
            self._later(number, lambda slot: self._unsubscribe(slot, unsubscribe))
        elif (refresh := command.refresh) is not None:
            self._later(number, lambda slot: self._refresh(slot, refresh))
        else:
            self._refuse(number, protocol.METHOD_NOT_FOUND)

    def _may_go_on(self, cost: float) -> bool:
        """Take from the token bucket. Whoever goes on though refused runs it into debt, and is closed."""
        limits, now = self._rt.limits, self._loop.time()
        refilled = self._tokens + (now - self._tokens_at) * limits.commands_per_s
        self._tokens = min(limits.commands_burst, refilled) - cost
        self._tokens_at = now
        if self._tokens >= 0:
            return True
        self._rt.counters.rate_limited += 1
        if self._tokens < -DEBT_BURSTS_MAX * limits.commands_burst:
            self.end(protocol.TOO_MANY_COMMANDS)
        return False

    # --- order ------------------------------------------------------------------------------------

    def _refuse(self, command_id: int, error: ProtocolError, detail: str = "") -> None:
        slot = _Slot(self, command_id)
        slot.reply = protocol.error_reply(command_id, error, detail)
        self._slots.append(slot)
        if len(self._slots) == 1:
            self._settle()

    def _write(self, command_id: int, command: object) -> None:
        slot = _Slot(self, command_id)
        self._slots.append(slot)
        if self._alone or self._waiting or self._is_congested:
            slot.command = command
            self._waiting.append(slot)
        else:
            self._post(slot, command)

    def _later(self, command_id: int, work: Work) -> None:
        slot = _Slot(self, command_id)
        slot.work = work
        self._slots.append(slot)
        self._waiting.append(slot)
        self._begin()

    def _begin(self) -> None:
        """Start what may start: writes together, anything else alone, and nothing for a client that does not
        read.
        """
        waiting = self._waiting
        while waiting and not self._alone and not self._is_congested:
            slot = waiting[0]
            if slot.work is None:
                waiting.popleft()
                self._post(slot, slot.command)
            elif self._writing:
                return
            else:
                waiting.popleft()
                self._alone = True
                self._task = self._loop.create_task(self._run(slot, slot.work))

    def _post(self, slot: _Slot, command: object) -> None:
        self._writing += 1
        try:
            self._rt.writer.post(command, slot.done)
        except Overloaded:
            self._writing -= 1
            slot.reply = protocol.error_reply(slot.command_id, protocol.OVERLOADED)
            self._settle()

    async def _run(self, slot: _Slot, work: Work) -> None:
        number = slot.command_id
        try:
            async with asyncio.timeout(self._rt.limits.read_within_s):
                slot.reply = await work(slot)
        except Rejected as refusal:
            slot.reply = refusal_reply(number, refusal)
        except BadParams as problem:
            slot.reply = protocol.error_reply(number, protocol.BAD_REQUEST, str(problem))
        except Overloaded:
            slot.reply = protocol.error_reply(number, protocol.OVERLOADED)
        except TimeoutError:
            slot.reply = protocol.error_reply(number, protocol.UNAVAILABLE)
        except Exception:
            log.exception("read_failed")
            slot.reply = protocol.error_reply(number, protocol.INTERNAL)
        self._alone = False
        self._task = None
        if slot.command is not None and slot.reply is None and not self.is_over:
            self._post(slot, slot.command)
        self._settle()

    def _settle(self) -> None:
        """Queue the replies that are due, in order, and start what waited for them."""
        if self.is_over:
            return
        slots = self._slots
        while slots and (reply := slots[0].reply) is not None:
            slot = slots.popleft()
            self.push(reply)
            if slot.after is not None:
                slot.after()
        if self._waiting:
            self._begin()
        if (
            not self._is_reading
            and not self._is_congested
            and len(slots) <= self._rt.limits.outstanding_max // 2
        ):
            self._is_reading = True
            self._wire.resume_reading()

    # --- what goes out ----------------------------------------------------------------------------

    def push(self, line: bytes) -> None:
        """Queue one line for the next frame. What grows too long is dropped whole, and the flush closes."""
        self._out.append(line)
        self._out_bytes += len(line) + 1
        if self._out_bytes > self._rt.limits.send_queue_bytes_max:
            self._is_slow = True
            self._out.clear()
        if not self.is_dirty:
            self._rt.hub.touch(self)

    def flush(self) -> None:
        """Write what is queued as one frame, unless too much lies unread before it."""
        self.is_dirty = False
        if self.is_over:
            return
        if (
            self._is_slow
            or self._wire.buffered_bytes() + self._out_bytes > self._rt.limits.send_queue_bytes_max
        ):
            self._out.clear()
            self.end(protocol.SLOW)
        else:
            self._send_queued()

    def _send_queued(self) -> None:
        out = self._out
        if out:
            self._out = []
            self._out_bytes = 0
            self._wire.send(out[0] if len(out) == 1 else b"\n".join(out))

    def congested(self, is_congested: bool) -> None:
        """The client does not keep up (or does again): nothing new is begun, pushes still come."""
        self._is_congested = is_congested
        if self.is_over:
            return
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        if not is_congested:
            self._settle()
            return
        self._stuck = self._loop.call_later(self._rt.limits.catch_up_within_s, self.end, protocol.SLOW)
        if self._is_reading:
            self._is_reading = False
            self._wire.pause_reading()

    # --- life and end -----------------------------------------------------------------------------

    def _ping(self) -> None:
        self._was_heard = False
        self.push(protocol.PING)
        self._timer = self._loop.call_later(self._rt.limits.pong_within_s, self._expect_pong)

    def _expect_pong(self) -> None:
        if not self._was_heard and self._is_reading:
            self.end(protocol.NO_PONG)
            return
        limits = self._rt.limits
        pause = limits.ping_s * random.uniform(0.8, 1.0)  # only downwards: the SDKs were told `ping_s`
        self._timer = self._loop.call_later(max(pause - limits.pong_within_s, 0.05), self._ping)

    def end(self, close: Close) -> None:
        """Close from our side; what is queued goes out before."""
        if self.is_over:
            return
        self._send_queued()
        self._rt.counters.closed[close.code] += 1
        self._over()
        self._wire.close(close)

    def lost(self) -> None:
        """The other side is gone."""
        if not self.is_over:
            self._rt.counters.closed[1006] += 1
            self._over()

    def _over(self) -> None:
        self.is_over = True
        for timer in (self._timer, self._expiry, self._stuck):
            if timer is not None:
                timer.cancel()
        if self._task is not None and self._task is not _current_task():
            self._task.cancel()
        if self.user is not None:
            self._rt.hub.gone(self, self.user)
            self._rt.counters.connected -= 1
        self._slots.clear()
        self._waiting.clear()
        self._out.clear()

    # --- commands of the protocol -----------------------------------------------------------------

    async def _read(self, slot: _Slot, method: Read, user: int, params: Any) -> bytes:
        return protocol.rpc_reply(slot.command_id, await method.read(self._rt.reads, user, params))

    async def _make_ready(self, slot: _Slot, command: object) -> None:
        """The command that is posted when this is done, so that its reply shares a frame with what it publishes."""
        slot.command = await command.command(self._rt.reads) if isinstance(command, Unready) else command

    async def _after_connect(self, slot: _Slot, method: Method, rpc: protocol.Rpc) -> bytes | None:
        user = self.user
        if user is None:
            return protocol.error_reply(slot.command_id, protocol.UNAUTHORIZED)
        params = decode_params(method, rpc.data)
        if isinstance(method, Read):
            return await self._read(slot, method, user, params)
        return await self._make_ready(slot, method.command(user, params))

    async def _connect(self, slot: _Slot, request: protocol.Connect) -> bytes | None:
        self._is_connecting = True
        try:
            bearer = await self._rt.verifier.verify(request.token)
        except Rejected as refusal:
            return self._token_refused(slot, refusal)
        finally:
            self._is_connecting = False
        if await self._rt.reads.account_state(bearer.user) != "active":
            return self.end(protocol.NOT_ALLOWED)
        limits = self._rt.limits
        self.user = bearer.user
        self._rt.counters.connected += 1
        if self._rt.hub.join(self, bearer.user) > limits.connections_per_user_max:
            return self.end(protocol.CONNECTION_LIMIT)
        self.client_id = str(uuid4())
        self._timer.cancel()
        self._timer = self._loop.call_later(limits.ping_s * random.uniform(0.8, 1.0), self._ping)
        ttl_s = self._expire_at(bearer.expires_at_s)
        data = b'{"v":%d,"now":"%b"}' % (PROTOCOL_VERSION, self._rt.now_text(self._rt.now_ms()).encode())
        return protocol.connect_reply(
            slot.command_id, self.client_id, self._rt.version, limits.ping_s, ttl_s, data
        )

    def _token_refused(self, slot: _Slot, refusal: Rejected) -> bytes | None:
        """An expired token is never terminal; one that could not be checked is not judged; any other ends it
        all.
        """
        if refusal.code == "token_expired":
            return protocol.error_reply(slot.command_id, protocol.TOKEN_EXPIRED)
        if refusal.code in INFRASTRUCTURE:
            return protocol.error_reply(slot.command_id, INFRASTRUCTURE[refusal.code])
        return self.end(protocol.INVALID_TOKEN)

    def _expire_at(self, expires_at_s: float | None) -> int | None:
        """Close when the token is over and was not refreshed; seconds until the SDK is to refresh it."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if expires_at_s is None:
            return None
        left_s = max(expires_at_s - self._rt.now_ms() / 1000, 0.0)
        self._expiry = self._loop.call_later(
            left_s + self._rt.limits.expiry_grace_s, self.end, protocol.EXPIRED
        )
        return max(int(left_s), 1)

    async def _refresh(self, slot: _Slot, request: protocol.Refresh) -> bytes | None:
        if self.user is None:
            return protocol.error_reply(slot.command_id, protocol.UNAUTHORIZED)
        try:
            bearer = await self._rt.verifier.verify(request.token)
        except Rejected as refusal:
            return self._token_refused(slot, refusal)
        if bearer.user != self.user:
            return self.end(protocol.INVALID_TOKEN)
        if await self._rt.reads.account_state(bearer.user) != "active":
            return self.end(protocol.NOT_ALLOWED)
        ttl_s = self._expire_at(bearer.expires_at_s)
        return protocol.refresh_reply(slot.command_id, self.client_id, self._rt.version, ttl_s)

    async def _subscribe(self, slot: _Slot, request: protocol.Subscribe) -> bytes:
        if self.user is None:
            return protocol.error_reply(slot.command_id, protocol.UNAUTHORIZED)
        reply, slot.after = await subscribe(self._rt, self, self.user, slot.command_id, request)
        return reply

    async def _unsubscribe(self, slot: _Slot, request: protocol.Unsubscribe) -> bytes:
        if self.user is not None:
            self._rt.hub.leave(self, self.user, request.channel)
        return protocol.unsubscribe_reply(slot.command_id)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
