"""Starts the engine on a prefilled database, and signs tokens for it.

It must not import the engine's server side: what is measured is another process, reached over its socket.
"""

import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jwt

from loadtest import prefill
from loadtest.jobs.plans import Server, Session
from loadtest.population import Population
from loadtest.postgres import Postgres
from loadtest.processes import Process, answers, free_port

TOKEN_LIFE_S = 24 * 3600
AUDIENCE = "saxaul"
STORES = ("sqlite", "postgresql", "null")


@dataclass(slots=True)
class Engine:
    """A running engine: `name` is its store's."""

    name: str
    process: Process
    port: int
    token_secret: str
    database_pids: list[int] = field(default_factory=list)
    _tokens: dict[int, str] = field(default_factory=dict)

    def server(self) -> Server:
        """Where a driver connects, and whose CPU time counts."""
        pids = {"server": [self.process.pid]}
        if self.database_pids:
            pids["database"] = self.database_pids
        return Server("127.0.0.1", self.port, "/connection/websocket", "centrifuge", pids)

    def session(
        self, user: int, channels: list[str], presses: list[tuple[int, int]] | None = None
    ) -> Session:
        """A socket of this user."""
        token = self._tokens.get(user)
        if token is None:
            claims = {"sub": str(user), "aud": AUDIENCE, "exp": int(time.time()) + TOKEN_LIFE_S}
            token = self._tokens[user] = jwt.encode(claims, self.token_secret, algorithm="HS256")
        return Session(token, channels, presses or [])

    def stop(self) -> None:
        """Let it drain and end."""
        self.process.stop()


@dataclass(slots=True)
class Stable:
    """Where prefilled databases are kept and engines are started from; one PostgreSQL serves all that need it."""

    cache: Path
    folder: Path
    population: Population
    tick: prefill.Tick
    profile: tuple[str, Path] | None = None  # how, and where the findings go
    _postgres: Postgres | None = None

    def start(
        self,
        store: str,
        prepare: Callable[[str], None] | None = None,
        settings: Mapping[str, str] | None = None,
        at: tuple[str, list[int]] | None = None,
    ) -> Engine:
        """An engine on a fresh copy of the prefilled database; `null` stores nothing (of the SQLite copy).

        `prepare` may change the copy (it gets the url) before the engine opens it; `settings` add to the
        environment; `at` is another database instead, with its server's process ids.
        """
        url, pids = at or self.database(store)
        if prepare is not None:
            prepare(url)
        port, secret = free_port(), secrets.token_hex(32)
        environment = {
            "SAXAUL_DATABASE_URL": url,
            "SAXAUL_HOST": "127.0.0.1",
            "SAXAUL_PORT": str(port),
            "SAXAUL_TOKEN_SECRET": secret,
            "SAXAUL_SERVER_KEY": secrets.token_hex(32),
            # the driver is a whole town behind one address
            "SAXAUL_COMMANDS_PER_S": "0",
            "SAXAUL_CONNECTIONS_PER_USER_MAX": "64",
            "SAXAUL_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **(settings or {}),
        }
        command = [sys.executable, "-m", "loadtest.serving", "unstored" if store == "null" else "stored"]
        if self.profile is not None:
            command += [self.profile[0], str(self.profile[1])]
        process = Process(command, self.folder / f"engine-{store}.log", environment, cwd=self.folder)
        process.wait_until(lambda: answers(port))
        return Engine(store, process, port, secret, pids)

    def fill(self, store: str) -> None:
        """Only see to it that the prefilled database is there."""
        self.database(store)

    def database(self, store: str) -> tuple[str, list[int]]:
        """The url of a fresh copy of the prefilled database, and the database server's process ids."""
        if store == "postgresql":
            server = self.postgres()
            return prefill.postgres_copy(server, self.population, "bench_run", self.tick), [server.pid]
        path = self.folder / f"{store}.db"
        prefill.sqlite_copy(self.cache, self.population, path, self.tick)
        return f"sqlite:///{path}", []

    def empty(self, store: str) -> tuple[str, list[int]]:
        """The url of a database without tables, and the database server's process ids."""
        if store == "postgresql":
            server = self.postgres()
            server.drop("bench_run")
            server.execute('CREATE DATABASE "bench_run"')
            return server.url("bench_run"), [server.pid]
        path = self.folder / f"{store}-empty.db"
        for leftover in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            leftover.unlink(missing_ok=True)
        return f"sqlite:///{path}", []

    def postgres(self) -> Postgres:
        """The PostgreSQL of this run, started when it is first needed."""
        if self._postgres is None:
            folder = self.cache / "postgres"
            folder.mkdir(parents=True, exist_ok=True)
            self._postgres = Postgres(folder)
            self._postgres.start()
        return self._postgres

    def close(self) -> None:
        """Stop PostgreSQL if it runs."""
        if self._postgres is not None:
            if "bench_run" in self._postgres.databases():
                self._postgres.drop("bench_run")
            self._postgres.stop()
            self._postgres = None
