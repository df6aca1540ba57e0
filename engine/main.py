"""Builds the engine from its settings: the only place where all parts meet."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from engine.admin import SubmitAll, serving_admin, through_socket
from engine.clock import Clock
from engine.core.rules import RuleBook
from engine.domain import GAME, Domain
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.rulebook import load_rulebook
from engine.settings import Settings
from engine.store.database import Database, sqlite_path
from engine.store.lock import WriterLock, admin_socket_path
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.writer import Writer


class EngineBusy(Exception):
    """Another process holds the database's write lock."""


@dataclass(slots=True)
class Engine:
    """The parts of a running engine, without any network edge."""

    settings: Settings
    db: Database
    epoch: str
    rules: RuleBook
    clock: Clock
    limits: Limits
    hub: Hub
    writer: Writer
    domains: Sequence[Domain]


def limits_of(settings: Settings) -> Limits:
    """The socket side's limits as the settings say."""
    return Limits(
        frame_bytes_max=settings.frame_bytes_max,
        send_queue_bytes_max=settings.send_queue_bytes_max,
        outstanding_max=settings.outstanding_max,
        channels_max=settings.channels_max,
        commands_per_s=settings.commands_per_s,
        commands_burst=settings.commands_burst,
        connect_within_s=settings.connect_timeout_s,
        ping_s=int(settings.ping_s),
        pong_within_s=settings.pong_s,
        connections_max=settings.connections_max,
        connections_per_user_max=settings.connections_per_user_max,
        drain_s=settings.drain_s,
        history_s=settings.history_s,
        history_bytes_max=settings.history_bytes_max,
    )


@asynccontextmanager
async def open_engine(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Engine]:
    """Migrate and open the database and start the writer. Raises EngineBusy, DatabaseAway, RulebookError."""
    async with AsyncExitStack() as stack:
        rules = load_rulebook(settings.game_rules)
        is_sqlite = settings.database_url.startswith("sqlite")
        if is_sqlite:
            lock = WriterLock.take(sqlite_path(settings.database_url))
            if lock is None:
                raise EngineBusy(f"another process serves {settings.database_url}")
            stack.callback(lock.release)
        epoch = await migrate(settings.database_url)
        db = await open_database(settings.database_url, settings.readers)
        stack.push_async_callback(db.close)
        clock = clock or Clock()
        limits = limits_of(settings)
        hub = Hub(limits, epoch)
        domains = (GAME,)
        writer = Writer(db, domains, lambda: rules, hub, clock, settings.queue_commands_max)
        writer.start()
        stack.push_async_callback(writer.stop)
        if is_sqlite:
            path = admin_socket_path(sqlite_path(settings.database_url))
            kinds = [kind for domain in domains for kind in domain.rules]
            await stack.enter_async_context(serving_admin(path, writer, kinds))
        yield Engine(settings, db, epoch, rules, clock, limits, hub, writer, domains)


@asynccontextmanager
async def writing_engine(settings: Settings) -> AsyncIterator[SubmitAll]:
    """A way to submit commands: through the engine that serves the database now, else through one of our own."""
    try:
        async with open_engine(settings) as engine:
            yield engine.writer.submit_all
    except EngineBusy:
        path = admin_socket_path(sqlite_path(settings.database_url))
        async with through_socket(path) as submit_all:
            yield submit_all
