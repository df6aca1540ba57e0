"""`saxaul doctor` looks at what the engine needs on this machine, one line each; `saxaul version`."""

import asyncio
import os
import platform
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from engine.cli.shared import DatabaseOption, Exit, JsonOption, run, say, say_json, settings_with, shown_url

if TYPE_CHECKING:
    from engine.settings import Settings

PYTHON_MIN = (3, 11)
SQLITE_MIN = (3, 38, 0)
POSTGRES_MIN = 150_000
REDIS_MIN = 7
FREE_BYTES_MIN = 1 << 30
SYNC_MS_MAX = 50.0
FILES_MIN = 4096
CLOCK_APART_S_MAX = 2.0
TIMEOUT_S = 5.0

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one thing; `fix` says how to mend it."""

    what: str
    state: str
    found: str
    fix: str = ""


def doctor(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Look at what the engine needs here: Python, database, clock, port, secrets, rulebook; with fixes.

    Exit code 1: something fails. Warnings don't count.
    """
    verdicts = run(_look(database))
    if as_json:
        say_json([{"what": v.what, "state": v.state, "found": v.found, "fix": v.fix} for v in verdicts])
    else:
        for verdict in verdicts:
            say(f"{verdict.state:<5} {verdict.what:<12} {verdict.found}")
            if verdict.state != OK and verdict.fix:
                say(f"{'':<18} → {verdict.fix}")
    if any(verdict.state == FAIL for verdict in verdicts):
        raise typer.Exit(Exit.PROBLEMS)


async def _look(database: str | None) -> list[Verdict]:
    settings = settings_with(database)
    verdicts = [_python(), _clock(), _files(), _port(settings), _secrets(settings), _rules(settings)]
    verdicts += await _edition(settings)
    looks: list[Callable[[Settings], Awaitable[list[Verdict]]]] = [
        _sqlite if settings.database_url.startswith("sqlite") else _postgres
    ]
    if settings.redis_url:
        looks.append(_redis)
    for look in looks:
        verdicts += await look(settings)
    return verdicts


# --- the machine ------------------------------------------------------------------------------------


def _python() -> Verdict:
    found = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    state = OK if sys.version_info >= PYTHON_MIN else FAIL
    return Verdict("Python", state, found, "install Python 3.11 or newer")


def _clock() -> Verdict:
    """The wall clock must not lie before this code was written, nor run apart from the monotonic one."""
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.1)
    apart_s = abs((time.time() - wall) - (time.monotonic() - steady))
    found = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if time.gmtime().tm_year < 2025 or apart_s > CLOCK_APART_S_MAX:
        return Verdict(
            "clock", FAIL, found, "set the clock and keep it with NTP: days and ripening depend on it"
        )
    return Verdict("clock", OK, found)


def _files() -> Verdict:
    try:
        import resource
    except ImportError:  # not on this system
        return Verdict("open files", OK, "no limit known")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    state = OK if soft == resource.RLIM_INFINITY or soft >= FILES_MIN else WARN
    fix = f"each socket needs one: `ulimit -n {hard if hard > 0 else 65536}` before `saxaul serve`"
    return Verdict("open files", state, f"at most {soft}", fix)


def _port(settings: "Settings") -> Verdict:
    where = f"{settings.host}:{settings.port}"
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        with closing(socket.socket(family)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((settings.host, settings.port))
    except OSError as problem:
        fix = "fine if that is your running server; else choose another SAXAUL_PORT"
        return Verdict("port", WARN, f"{where} can't be taken: {problem.strerror or problem}", fix)
    return Verdict("port", OK, f"{where} is free")


def _secrets(settings: "Settings") -> Verdict:
    from engine.settings import DEMO_OPERATOR_KEY, DEMO_SERVER_KEY, DEMO_TOKEN_SECRET, SettingsError

    try:
        settings.check()
    except SettingsError as problem:
        return Verdict("secrets", FAIL, "not fit for others to reach", str(problem))
    given = (settings.token_secret, settings.server_key, settings.operator_key)
    demos = sum(
        one == demo
        for one, demo in zip(given, (DEMO_TOKEN_SECRET, DEMO_SERVER_KEY, DEMO_OPERATOR_KEY), strict=True)
    )
    if demos:
        fix = "set SAXAUL_TOKEN_SECRET, SAXAUL_SERVER_KEY and SAXAUL_OPERATOR_KEY before others can reach it"
        return Verdict("secrets", WARN, f"{demos} of 3 are the demo's (served on loopback only)", fix)
    return Verdict("secrets", OK, "all your own")


def _rules(settings: "Settings") -> Verdict:
    from engine.rulebook import RulebookError, load_rulebook

    try:
        rules = load_rulebook(settings.game_rules)
    except RulebookError as problem:
        return Verdict("rulebook", FAIL, f"{len(problem.problems)} problems", "saxaul rules check")
    return Verdict("rulebook", OK, f"{len(rules.behaviours)} behaviours, {rules.hash[:12]}")


async def _edition(settings: "Settings") -> list[Verdict]:
    """What the database has in force, where it is there, and whether the folder that was named says the same."""
    import asyncpg

    from engine.clock import Clock
    from engine.publishing import difference, in_words
    from engine.rulebook import RulebookError
    from engine.store.database import DatabaseAway, sqlite_path
    from engine.store.opening import open_database

    if settings.database_url.startswith("sqlite") and not Path(sqlite_path(settings.database_url)).exists():
        return []
    try:
        db = await open_database(settings.database_url, 1)
        try:
            told = await in_words(db, Clock().now_ms())
            warning = await difference(db, settings.game_rules, Clock().now_ms())
        finally:
            await db.close()
    except (DatabaseAway, OSError, sqlite3.Error, asyncpg.PostgresError):
        return []  # told of where the database is looked at; one without these tables has nothing in force
    except RulebookError as problem:
        fix = "saxaul rules rollback, with the version that published it"
        return [Verdict("edition", FAIL, f"{len(problem.problems)} problems: {problem.problems[0]}", fix)]
    if told is None:
        return []
    return [Verdict("edition", WARN if warning else OK, told, warning or "")]


# --- SQLite -----------------------------------------------------------------------------------------


async def _sqlite(settings: "Settings") -> list[Verdict]:
    from engine.store.database import sqlite_path

    path = Path(sqlite_path(settings.database_url))
    return [_sqlite_version(), *await asyncio.to_thread(_folder, path), *_sqlite_file(settings, path)]


def _sqlite_version() -> Verdict:
    state = OK if sqlite3.sqlite_version_info >= SQLITE_MIN else FAIL
    fix = f"the Python in use needs SQLite {'.'.join(map(str, SQLITE_MIN))} or newer"
    return Verdict("SQLite", state, sqlite3.sqlite_version, fix)


def _folder(path: Path) -> list[Verdict]:
    """Whether the database's folder can be written, has room, and how long a synced commit takes there."""
    folder = path.resolve().parent
    if not folder.is_dir():
        return [Verdict("folder", FAIL, f"{folder} does not exist", f"mkdir -p {folder}")]
    try:
        with TemporaryDirectory(dir=folder, prefix=".saxaul-doctor-") as inside:
            sync_ms = _sync_ms(Path(inside) / "sync.db")
    except OSError as problem:
        return [
            Verdict(
                "folder", FAIL, f"{folder}: {problem.strerror or problem}", "make it writable for this user"
            )
        ]
    free = shutil.disk_usage(folder).free
    room = OK if free >= FREE_BYTES_MIN else WARN
    speed = OK if sync_ms <= SYNC_MS_MAX else WARN
    return [
        Verdict("folder", room, f"{folder} is writable, {free >> 30:,} GiB free", "make room on the disk"),
        Verdict(
            "sync",
            speed,
            f"{sync_ms:.1f} ms for a synced commit",
            "slow: groups grow larger; use a local disk",
        ),
    ]


def _sync_ms(path: Path) -> float:
    """The median of a few synced commits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE t (x)")
        taken = []
        for number in range(7):
            before = time.perf_counter()
            db.execute("INSERT INTO t VALUES (?)", (number,))
            taken.append((time.perf_counter() - before) * 1000)
    return sorted(taken)[len(taken) // 2]


def _sqlite_file(settings: "Settings", path: Path) -> list[Verdict]:
    if not path.exists():
        return [Verdict("database", OK, f"{path} does not exist yet; the first command makes it")]
    if not os.access(path, os.W_OK):
        return [Verdict("database", FAIL, f"{path} can't be written", "make it writable for this user")]
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            [problem] = db.execute("PRAGMA quick_check(1)").fetchone()
            mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    except sqlite3.Error as error:
        return [
            Verdict("database", FAIL, f"{path}: {error}", "is this a SQLite file? restore it from a backup")
        ]
    if problem != "ok":
        return [Verdict("database", FAIL, f"{path}: {problem}", "restore it from a backup")]
    return [Verdict("database", OK, f"{shown_url(settings)}, {path.stat().st_size:,} bytes, journal {mode}")]


# --- PostgreSQL and Redis ---------------------------------------------------------------------------


async def _postgres(settings: "Settings") -> list[Verdict]:
    import asyncpg

    where = shown_url(settings)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            connection = await asyncpg.connect(settings.database_url)
            try:
                number = int(await connection.fetchval("SHOW server_version_num"))
                name = await connection.fetchval("SHOW server_version")
                synced = await connection.fetchval("SHOW synchronous_commit")
                server_s = await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
            finally:
                await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as problem:
        fix = "is the server up, and are user, password and name in SAXAUL_DATABASE_URL right?"
        return [Verdict("PostgreSQL", FAIL, f"{where}: {problem or type(problem).__name__}", fix)]
    apart_s = abs(server_s - time.time())
    return [
        Verdict(
            "PostgreSQL",
            OK if number >= POSTGRES_MIN else FAIL,
            f"{name} at {where}",
            "15 or newer is needed",
        ),
        Verdict(
            "sync",
            OK if synced in ("on", "remote_apply", "remote_write", "local") else FAIL,
            f"synchronous_commit {synced}",
            "set it on: an acknowledged command must survive a crash",
        ),
        Verdict(
            "its clock", OK if apart_s <= CLOCK_APART_S_MAX else WARN, f"{apart_s:.1f} s from ours", "use NTP"
        ),
    ]


async def _redis(settings: "Settings") -> list[Verdict]:
    import redis.asyncio
    from redis.exceptions import RedisError

    assert settings.redis_url is not None
    try:
        client = redis.asyncio.from_url(
            settings.redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
    except ValueError as problem:
        return [Verdict("Redis", FAIL, str(problem), "SAXAUL_REDIS_URL is redis://host:port/0")]
    try:
        found = str((await client.info("server"))["redis_version"])
    except (OSError, RedisError) as problem:
        fix = "start it, or unset SAXAUL_REDIS_URL: one process needs none"
        return [Verdict("Redis", FAIL, str(problem), fix)]
    finally:
        await client.aclose()
    state = OK if int(found.split(".")[0]) >= REDIS_MIN else WARN
    return [Verdict("Redis", state, found, "7 or newer is what the tests run on")]


# --- version ----------------------------------------------------------------------------------------


def version(as_json: JsonOption = False) -> None:
    """Print the versions of Saxaul, its rulebook, Python and SQLite."""
    from engine.rulebook import RulebookError, load_rulebook

    try:
        rules = load_rulebook(settings_with().game_rules).hash
    except RulebookError:
        rules = "unusable (saxaul rules check)"
    try:
        saxaul = version_of("saxaul")
    except PackageNotFoundError:
        saxaul = "not installed"
    facts = {
        "saxaul": saxaul,
        "rulebook": rules,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if as_json:
        say_json(facts)
        return
    for name, found in facts.items():
        say(f"{name:<9} {found}")
