"""Starts the real `saxaul serve` as its own process, as an operator would: settings by environment only.

Knows the command, the settings' names and the addresses; nothing of the game.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import httpx
import jwt

from loadtest.keys import rising_keys
from tests.support.process import Child, free_port

COMMAND = Path(sys.executable).with_name("saxaul")
READY_TIMEOUT_S = 60


def environment(**settings: object) -> dict[str, str]:
    """The process environment with these Saxaul settings and no others (names without the SAXAUL_ prefix)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAXAUL_")}
    return clean | {
        f"SAXAUL_{name.upper()}": str(value) for name, value in settings.items() if value is not None
    }


class Server:
    """One `saxaul serve`. It may be killed and started again; port, database and secrets stay the same."""

    def __init__(self, folder: Path, *, command: Path = COMMAND, **settings: object) -> None:
        self.folder = folder
        self._command = command
        self.port = free_port()
        self.token_secret = secrets.token_hex(32)
        self.server_key = secrets.token_hex(32)
        self.operator_key = secrets.token_hex(32)
        self.settings: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "database_url": f"sqlite:///{folder / 'saxaul.db'}",
            "token_secret": self.token_secret,
            "server_key": self.server_key,
            "operator_key": self.operator_key,
        } | settings
        self._child: Child | None = None

    @property
    def database_url(self) -> str:
        """The database that it serves."""
        return str(self.settings["database_url"])

    @property
    def url(self) -> str:
        """Base address of HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Address of the WebSocket endpoint."""
        return self.socket_url_at(self.port)

    def socket_url_at(self, port: int) -> str:
        """The same endpoint through another port, for instance a proxy's."""
        return f"ws://127.0.0.1:{port}/connection/websocket"

    async def start(self, timeout_s: float = READY_TIMEOUT_S) -> Server:
        """Start it (again) and wait until /readyz says ready; raises StartFailed with the log."""
        self._child = Child(
            [str(self._command), "serve"],
            self.folder / "server.log",
            env=environment(**self.settings),
            cwd=self.folder,
        )
        deadline = time.monotonic() + timeout_s
        while not await asyncio.to_thread(self.ready):
            if not self._child.running or time.monotonic() > deadline:
                raise self._child.failure("saxaul serve", timeout_s)
            await asyncio.sleep(0.05)
        return self

    def ready(self) -> bool:
        """What /readyz says now; False also when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    @property
    def running(self) -> bool:
        """Whether the process is up."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self._child, "not started"
        return self._child.pid

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._child, "not started"
        self._child.kill_group()

    def terminate(self) -> None:
        """SIGTERM: a graceful drain begins. See `ended`."""
        assert self._child, "not started"
        self._child.send(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: the process freezes with its sockets open."""
        assert self._child, "not started"
        self._child.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._child, "not started"
        self._child.send(signal.SIGCONT)

    async def ended(self, timeout_s: float = 30) -> int:
        """Wait for the process to end by itself; returns its exit status."""
        assert self._child, "not started"
        async with asyncio.timeout(timeout_s):
            while self._child.running:
                await asyncio.sleep(0.02)
        status = self._child.returncode
        assert status is not None
        return status

    async def end(self, timeout_s: float = 30) -> int:
        """SIGTERM and wait for the drain; returns the exit status."""
        self.terminate()
        return await self.ended(timeout_s)

    async def stop(self) -> None:
        """Drain, then make sure that nothing is left."""
        if self._child:
            child = self._child
            await asyncio.to_thread(child.stop)

    @property
    def log(self) -> str:
        """All that every run of it has written."""
        return self._child.log_text() if self._child else ""

    def token(self, user: int | str, expires_in_s: float = 3600, **claims: Any) -> str:
        """A connection token for a user, signed as the consumer app's backend would."""
        now = int(time.time())
        times = {"iat": now, "exp": int(now + expires_in_s)}
        body = {"sub": str(user), "aud": self.settings.get("token_audience", "saxaul")} | times | claims
        return jwt.encode(body, self.token_secret, algorithm="HS256")

    async def call(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, key: str | None = None
    ) -> httpx.Response:
        """One HTTP request: `bearer` a key or token, `key` the Idempotency-Key (a POST gets a new one)."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if key or method == "POST":
            headers["Idempotency-Key"] = key or new_key()
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            return await client.request(method, path, json=body, headers=headers)

    async def open_user(self, name: str = "Mei", zone: str = "Asia/Shanghai") -> str:
        """Open an account as the app's backend does; returns the user's id."""
        body = {"display_name": name, "zone": zone}
        reply = await self.call("POST", "/v1/users", body, bearer=self.server_key)
        assert reply.status_code == 201, reply.text
        return reply.json()["user"]

    async def cli(self, *arguments: str, stdin: str | None = None, timeout_s: float = 60) -> CliResult:
        """Run another `saxaul` command with this server's settings, beside it if it is running."""
        return await run_cli(*arguments, cwd=self.folder, stdin=stdin, timeout_s=timeout_s, **self.settings)


def new_key() -> str:
    """A UUIDv7, as a client makes and keeps one for each command."""
    return next(rising_keys())


class CliResult:
    """What a finished command left: exit status, standard output, standard error."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    def check(self) -> CliResult:
        """Itself, or an AssertionError that shows all when the status is not 0."""
        assert self.status == 0, f"status {self.status}\n{self.out}\n{self.err}"
        return self


async def run_cli(
    *arguments: str, cwd: Path, stdin: str | None = None, timeout_s: float = 60, **settings: object
) -> CliResult:
    """Run `saxaul …` in a folder with these settings and wait for its end."""
    process = await asyncio.create_subprocess_exec(
        str(COMMAND),
        *arguments,
        cwd=cwd,
        env=environment(**settings),
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(
            process.communicate(stdin.encode() if stdin is not None else None), timeout_s
        )
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return CliResult(process.returncode, out.decode(), err.decode())
