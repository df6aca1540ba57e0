"""Runs the demo: partner simulator, village, server, villagers and view; ends them in the other order."""

import asyncio
import ctypes
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from engine import logs
from engine.api.tokens import sign_demo_token
from engine.demo.life import Life
from engine.demo.people import NAMES, VISITOR, Villager
from engine.demo.seed import settle
from engine.demo.view import View
from engine.main import Engine, open_engine, serving
from engine.settings import DEMO_TOKEN_SECRET, Settings, SettingsError
from engine.store.database import sqlite_path

PORTS_TRIED = 50
SIMULATOR_SPEED = 0.5  # an order is planted within 16 s
SIMULATOR_START_S = 15.0
STOP_S = 5.0
TOKEN_TTL_S = 7 * 86_400.0
HOST = "127.0.0.1"
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True, slots=True)
class Village:
    """How the demo is wanted. `port` None: the first free one from `first_port`; `for_s`: end after that."""

    database_url: str
    port: int | None = None
    first_port: int = 8000
    seed: int = 1
    live: bool = True
    for_s: float | None = None


async def run_demo(village: Village) -> None:
    """Run until Ctrl-C, SIGTERM or `for_s`. Raises SettingsError where no port is free."""
    console = Console(highlight=False, soft_wrap=True)
    base = _base_path(village.database_url)
    port = free_port(village.port, village.first_port)
    key = "whsec_" + b64encode(secrets.token_bytes(24)).decode()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(_simulator(base, port, key))
        settings = _settings(village, port, address, key)
        _log_to(base.with_suffix(".log"))
        villagers = await _settled(settings, village.seed, console)
        served = await stack.enter_async_context(serving(settings))
        await _introduce(console, served.engine, villagers[0], base)
        is_live = village.live and console.is_terminal
        life = Life(served.engine, villagers, village.seed)
        view = View(
            served.engine,
            f"on {HOST}:{port} · Ctrl-C ends it · the token and what to try stand above: scroll up",
        )
        await _until_ended(village.for_s, life.run(), view.run(console, is_live))
        console.print("\nDraining; the village sleeps now.")


def _settings(village: Village, port: int, simulator: str, key: str) -> Settings:
    return Settings(  # type: ignore[call-arg]  # the rest comes from the environment
        host=HOST,
        port=port,
        database_url=village.database_url,
        demo=True,
        redis_url=None,
        partner_simulator_url=simulator,
        partner_simulator_key=key,
        orders_s=2.0,
        token_secret=DEMO_TOKEN_SECRET,
        token_key_set=None,
    )


def _base_path(url: str) -> Path:
    """Where the demo's other files lie: beside its database."""
    return Path(sqlite_path(url)) if url.startswith("sqlite") else Path("saxaul-demo.db")


def _log_to(path: Path) -> None:
    """Logs go to a file, so that they don't run through the picture."""
    logs.configure("INFO", as_json=True)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(path.open("a", encoding="utf-8"))


async def _settled(settings: Settings, seed: int, console: Console) -> list[Villager]:
    columns = (TextColumn("Six weeks of village life"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("seeding")
        async with open_engine(settings) as engine:
            return await settle(
                engine, seed, lambda done, total: bar.update(task, completed=100 * done / total)
            )


async def _until_ended(for_s: float | None, *works: Coroutine[Any, Any, None]) -> None:
    """Let the works run until a signal comes or the time is over; a work that fails ends all with its error."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, ended.set)
    tasks = [asyncio.create_task(work) for work in works]
    waiting = asyncio.create_task(ended.wait())
    done, _ = await asyncio.wait([waiting, *tasks], timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, *tasks):
        task.cancel()
    await asyncio.gather(waiting, *tasks, return_exceptions=True)
    for task in done:
        if task is not waiting:
            task.result()


# --- ports and the partner --------------------------------------------------------------------------


def free_port(wanted: int | None, first: int = 0) -> int:
    """The port that was asked for, else the first free one from `first`. Raises SettingsError."""
    for port in [wanted] if wanted is not None else range(first, first + PORTS_TRIED):
        with closing(socket.socket()) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                listener.bind((HOST, port))
                return listener.getsockname()[1]
    taken = (
        f"port {wanted} is taken"
        if wanted is not None
        else f"ports {first} to {first + PORTS_TRIED - 1} are taken"
    )
    raise SettingsError(f"{taken}; name another with --port")


@asynccontextmanager
async def _simulator(base: Path, port: int, key: str) -> AsyncIterator[str]:
    """The simulated NGO in its own process, with its own port and database; yields its address."""
    its_port = free_port(0)
    callback = f"http://{HOST}:{port}/v1/partners/simulator-ngo/messages"
    log = base.with_suffix(".ngo.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "partners.simulator", "--port", str(its_port), "--key", key),
        *("--database", str(base.with_suffix(".ngo.db")), "--callback", callback),
        *("--speed", str(SIMULATOR_SPEED)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=os.name == "posix",
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # one prctl call, before any thread
    )
    log.close()
    try:
        await _wait_for(its_port, process)
        yield f"http://{HOST}:{its_port}"
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _die_with_parent() -> None:
    """Have the kernel end this process when the demo dies, however it dies."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


async def _wait_for(port: int, process: asyncio.subprocess.Process) -> None:
    """Until the simulator answers. Raises SettingsError where it ends instead."""
    deadline = asyncio.get_running_loop().time() + SIMULATOR_START_S
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            _, sender = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            sender.close()
            return
    raise SettingsError("the partner simulator did not start; its log (….ngo.log) says why")


# --- what to try ------------------------------------------------------------------------------------


async def _introduce(console: Console, engine: Engine, visitor: Villager, base: Path) -> None:
    """Addresses, a token, and the next things to try, each as it can be pasted."""
    settings = engine.settings
    token = sign_demo_token(
        settings.token_secret, visitor.user, audience=settings.token_audience, ttl_s=TOKEN_TTL_S
    )
    http = f"http://{settings.host}:{settings.port}"
    socket_url = f"ws://{settings.host}:{settings.port}/connection/websocket"
    database, place = where(settings.database_url)
    ball, tree = await _examples(engine, visitor)
    saxaul, python = _command("saxaul"), _command("python")
    text = f"""
A village of {visitor.name} and {len(NAMES) - 1} others lives in {place}.

  HTTP        {http}/v1/… (described in {http}/openapi.json)
  WebSocket   {socket_url}
  you are     user {visitor.user}, {visitor.name}
  token       {token}
  logs        {base.with_suffix(".log")}

Try next, in another terminal in this folder. Look at your forest; ask why a ball has its grams; audit everything:

export TOKEN=$({saxaul} token {VISITOR}{database})
curl -s -H "Authorization: Bearer $TOKEN" {http}/v1/forests/{visitor.user}
{saxaul} explain ball {ball}{database}
{saxaul} check{database}

Collect, redeem a tree and see it planted, with the official SDK for Python; or JavaScript (Node 22 or newer):

{python} -m pip install centrifuge-python
{python} docs/samples/connect.py {socket_url} $TOKEN
npm install --no-save --prefix docs/samples centrifuge
node docs/samples/connect.mjs {socket_url} $TOKEN

The public page of a tree, for a browser: {http}/v1/trees/{tree}
"""
    console.print(text, markup=False)


def where(url: str) -> tuple[str, str]:
    """The option that names the database, and what may be shown of it: a password never is."""
    if url.startswith("sqlite"):
        return f" --database {url}", url
    return (
        ' --database "$SAXAUL_DATABASE_URL"',
        f"{url.rpartition('@')[2]} (put its address into SAXAUL_DATABASE_URL)",
    )


async def _examples(engine: Engine, visitor: Villager) -> tuple[int, str]:
    """A ball of the visitor and the number of a tree: the newest, so that what is told of them is fresh."""
    async with engine.db.snapshot() as view:
        [(ball,)] = await view.fetch("SELECT max(id) FROM balls WHERE owner = ?", visitor.user)
        [(number,)] = await view.fetch("SELECT max(number) FROM trees")
    return ball, number


def _command(name: str) -> str:
    """How a command of this installation is called from this folder: by name alone only if that finds it."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if found is not None and Path(found) == own:
        return name
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)
