"""A TCP proxy on 127.0.0.1 that makes the network bad in the ways networks are: silence, loss, delay, resets.

Knows nothing of WebSocket or of the game: it sees two byte streams per connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal

_CHUNK_BYTES = 65536
After = Literal["dead", "deliver", "resume"]


@dataclass(slots=True, eq=False)
class _Link:
    """One proxied connection: its two sockets' writers and what is being done to it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    dead: bool = False
    passed: int = 0
    cut_at: int | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class TcpProxy:
    """Forwards 127.0.0.1:`port` to `host`:`upstream_port`.

    `delay_s` is added to every chunk in each direction; `bytes_per_s` limits what flows to clients. Both may
    be changed at any time.
    """

    def __init__(self, upstream_port: int, host: str = "127.0.0.1") -> None:
        self.host, self.upstream_port = host, upstream_port
        self.port = 0
        self.delay_s = 0.0
        self.bytes_per_s: int | None = None
        self.accepted = 0
        self._clear = asyncio.Event()
        self._clear.set()
        self._swallowing = False
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None

    async def start(self) -> TcpProxy:
        """Listen (again, on the same port after `refuse`)."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aenter__(self) -> TcpProxy:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connections(self) -> int:
        """Connections that are open on the clients' side."""
        return len(self._links)

    async def close(self) -> None:
        """End everything."""
        await self.refuse()
        links = list(self._links)
        self.reset()
        await asyncio.gather(*(task for link in links for task in link.tasks), return_exceptions=True)

    async def refuse(self) -> None:
        """Stop listening: new connections are refused; open ones go on. `start` takes it back."""
        if self._listener:
            self._listener.close()
            self._listener = None

    # What a network does

    def swallow(self) -> None:
        """From now on every byte in both directions vanishes; nobody is told, new connections hang."""
        self._swallowing = True

    def hold(self) -> None:
        """Nothing passes from now on and nothing is lost: `restore` delivers it, as TCP does."""
        self._clear.clear()

    def restore(self, after: After = "dead") -> None:
        """End `swallow` or `hold`.

        `dead`: connections that lived through a swallow stay black holes for ever (a forgotten NAT entry),
        new ones work. `deliver`: held bytes arrive now. `resume`: they go on with a hole in their bytes.
        """
        if self._swallowing and after == "dead":
            for link in self._links:
                link.dead = True
        self._swallowing = False
        self._clear.set()

    async def blackout(self, seconds: float, after: After = "dead") -> None:
        """Nothing passes for this long: swallowed, or held when `after` is `deliver`."""
        (self.hold if after == "deliver" else self.swallow)()
        await asyncio.sleep(seconds)
        self.restore(after)

    def cut_after(self, more_bytes: int) -> None:
        """Reset each open connection after so many more bytes to its client: mid-frame."""
        for link in self._links:
            link.cut_at = link.passed + more_bytes

    def reset(self) -> None:
        """RST on every open connection, both sides."""
        for link in list(self._links):
            self._end(link, abort=True)

    def finish(self) -> None:
        """FIN on every open connection, both sides."""
        for link in list(self._links):
            self._end(link, abort=False)

    # How it is done

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = _Link(writer)
        self._links.add(link)
        link.tasks.append(asyncio.create_task(self._serve(link, reader)))

    async def _serve(self, link: _Link, reader: asyncio.StreamReader) -> None:
        try:
            if self._swallowing:  # born in the blackout: the handshake never gets through
                link.dead = True
                await _drain_away(reader)
                return
            await self._clear.wait()
            upstream, link.server = await asyncio.open_connection(self.host, self.upstream_port)
            up = asyncio.create_task(self._pump(link, reader, link.server, to_client=False))
            down = asyncio.create_task(self._pump(link, upstream, link.client, to_client=True))
            link.tasks += [up, down]
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            await self._clear.wait()  # an end travels no faster than the bytes before it
            if link.dead or self._swallowing:  # one side gave up; the other must not be told
                await asyncio.wait([up, down])
        except OSError:
            pass
        finally:
            self._end(link, abort=False)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, to_client: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if not self._clear.is_set():
                    await self._clear.wait()
                if link.dead or self._swallowing:
                    continue
                if to_client and not await self._pass_to_client(link, data):
                    return
                writer.write(data)
                await writer.drain()

    async def _pass_to_client(self, link: _Link, data: bytes) -> bool:
        if self.bytes_per_s:
            await asyncio.sleep(len(data) / self.bytes_per_s)
        if link.cut_at is not None and link.passed + len(data) >= link.cut_at:
            link.client.write(data[: link.cut_at - link.passed])
            await link.client.drain()
            await asyncio.sleep(0.05)  # let the rest of the frame arrive before the reset discards it
            self._end(link, abort=True)
            return False
        link.passed += len(data)
        return True

    def _end(self, link: _Link, *, abort: bool) -> None:
        self._links.discard(link)
        current = asyncio.current_task()
        for task in link.tasks:
            if task is not current:
                task.cancel()
        for writer in (link.client, link.server):
            if writer is None:
                continue
            if abort and (raw := writer.get_extra_info("socket")) is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()


async def _drain_away(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK_BYTES):
        pass
