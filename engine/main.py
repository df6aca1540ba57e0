"""Builds the engine from its settings: the only place where all parts meet."""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter

from engine import logs
from engine.admin import SubmitAll, serving_admin, through_socket
from engine.api.app import make_app
from engine.api.drain import begin_to_drain
from engine.api.head import HeadLimits, http_class
from engine.api.parts import Parts
from engine.api.tokens import KeySet, TokenVerifier
from engine.clock import Clock
from engine.core.editions import LookAtEditions
from engine.core.rules import RuleBook
from engine.core.units import rfc3339
from engine.counting import ReportCounts
from engine.domain import FEEDS, GAME, JOBS, Domain
from engine.explain import explain_ball
from engine.forecast import Forecaster
from engine.in_force import RulesAway, RulesInForce, editions_domain
from engine.photos import PhotoFolder, erase_left_over
from engine.publishing import Publisher, begin
from engine.pull.fetch import Fetcher
from engine.pull.files import PullError, read_folder
from engine.pull.run import Puller
from engine.realtime.bus import LocalBus, RedisBus
from engine.realtime.finding import SHARED_AGE_S_MAX, Finder
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.parts import Realtime
from engine.realtime.snapshot import Snapshots
from engine.realtime.socket import Front, make_listener
from engine.realtime.upkeep import Audience, Bus, Upkeep
from engine.relay import Relay
from engine.rulebook import RulebookError
from engine.rulefiles.reading import Problem
from engine.schedule import Job, Schedule
from engine.settings import Settings, SettingsError, pull_secret
from engine.store.database import Database, DatabaseAway, sqlite_path
from engine.store.lock import WriterLock, admin_socket_path
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.writer import Writer
from partners.adapters.files.names import Names, names_of
from partners.api import partners_router
from partners.configured import file_config, registry_of
from partners.desk import Desk, desk_of
from partners.desk_routers import desk_files, desk_routers
from partners.domain import partners_domain
from partners.evidence.desk import EvidenceDesk, evidence_desk
from partners.evidence.jobs import settle_evidence
from partners.evidence.mailed import photo_keeper
from partners.evidence.routes import evidence_files, evidence_router
from partners.jobs import follow_up, form_orders, give_energy_back
from partners.onboarding.simulated import onboard_simulator
from partners.outbox import destinations, partners_outbox
from partners.partner_api.rates import Rates
from partners.partner_api.router import partner_router
from partners.portal.desk import open_lists
from partners.portal.opening import portal_lists, portal_routers
from partners.portal.routes import portal_files
from partners.portal_domain import PORTAL
from partners.post import post_jobs
from partners.public.front import at_once
from partners.public_api import public_router
from partners.record_api import records_router
from partners.registry import SIMULATOR_PARTNER, Registry
from partners.sealing import seal_audit
from partners.webhooks.dispatch import Dispatch
from partners.webhooks.office import PartnerOffice
from partners.webhooks.outward import Outward

SEAL_S = 60.0
FORGET_S = 3600.0

log = logging.getLogger(__name__)

Opening = Callable[[str, int], Awaitable[Database]]


class EngineBusy(Exception):
    """Another process holds the database's write lock."""


@dataclass(slots=True)
class Engine:
    """The parts of a running engine, without any network edge."""

    settings: Settings
    db: Database
    epoch: str
    in_force: RulesInForce
    clock: Clock
    hub: Hub
    bus: Bus
    writer: Writer
    domains: Sequence[Domain]
    registry: Registry

    @property
    def rules(self) -> RuleBook:
        """The rulebook that is in force for all now. Raises Rejected(unavailable)."""
        return self.in_force.read_at(self.clock.now_ms()).rules

    @property
    def publisher(self) -> Publisher:
        """Who proposes, approves and rolls back rulebooks here."""
        forecast = Forecaster(self.settings)
        return Publisher(self.db, self.writer.submit_all, self.clock.now_ms, forecast, self.in_force.keep)


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
async def open_engine(
    settings: Settings, clock: Clock | None = None, opening: Opening = open_database
) -> AsyncIterator[Engine]:
    """Migrate and open the database and start the writer. Raises EngineBusy, DatabaseAway, RulebookError."""
    async with AsyncExitStack() as stack:
        is_sqlite = settings.database_url.startswith("sqlite")
        if is_sqlite:
            lock = WriterLock.take(sqlite_path(settings.database_url))
            if lock is None:
                raise EngineBusy(f"another process serves {settings.database_url}")
            stack.callback(lock.release)
        epoch = await migrate(settings.database_url)
        db = await opening(settings.database_url, settings.readers)
        stack.push_async_callback(db.close)
        clock = clock or Clock()
        in_force = RulesInForce(db.is_shared)
        folder = await begin(db, in_force, settings.game_rules, clock.now_ms())
        if folder.warning is not None:
            log.warning("%s", folder.warning)
        hub = Hub(limits_of(settings), epoch)
        bus = (
            RedisBus(settings.redis_url, epoch) if settings.redis_url else LocalBus(is_alone=not db.is_shared)
        )
        of_portal, lists = portal_lists(settings)
        office = PartnerOffice()
        registry = registry_of(settings, _names_in_force(in_force, clock), office, of_portal)
        stack.push_async_callback(registry.close)
        domains = (
            GAME,
            JOBS,
            FEEDS,
            partners_domain(registry.terms.values()),
            PORTAL,
            editions_domain(in_force, db.is_shared),
        )
        audience = Audience(hub, bus)
        pepper = settings.server_key.encode()
        writer = Writer(db, domains, in_force, audience, clock, settings.queue_commands_max, pepper)
        writer.start()
        stack.push_async_callback(writer.stop)
        open_lists(lists, writer, db)
        office.open(writer, db)
        await _settle(writer, in_force, folder.command or LookAtEditions())
        if is_sqlite:
            path = admin_socket_path(sqlite_path(settings.database_url))
            kinds = [kind for domain in domains for kind in domain.rules]
            await stack.enter_async_context(serving_admin(path, writer, kinds))
        yield Engine(settings, db, epoch, in_force, clock, hub, bus, writer, domains, registry)


async def _settle(writer: Writer, in_force: RulesInForce, command: Any) -> None:
    """A first group, and one after it, so that this process knows what is in force before anybody asks."""
    for wish in (command, LookAtEditions()):
        outcome = await writer.submit(wish)
        if outcome.error is None:
            continue
        try:
            in_force.at(writer.clock.now_ms())
        except RulesAway as problem:
            fix = "start the version that published it, and there `saxaul rules rollback`"
            told = Problem("edition", 1, "", str(problem), "a rulebook that this version reads", fix)
            raise RulebookError([told]) from problem
        raise DatabaseAway(str(outcome.error))


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


# --- serving --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Served:
    """An engine that can be reached: where, and what its edges hold."""

    engine: Engine
    parts: Parts
    address: str


@asynccontextmanager
async def serving(
    settings: Settings, clock: Clock | None = None, opening: Opening = open_database
) -> AsyncIterator[Served]:
    """Serve sockets and HTTP while the block runs, then drain: unready, sockets closed in slices, writer emptied."""
    settings.check()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, clock, opening))
        if SIMULATOR_PARTNER in engine.registry.adapters:
            await onboard_simulator(
                engine.db, engine.writer, engine.rules, SIMULATOR_PARTNER, is_hasty=settings.demo
            )
        upkeep = Upkeep(engine.hub, engine.db, engine.bus, engine.clock.now_ms)
        await upkeep.refill()
        parts = _parts(engine)
        await erase_left_over(engine.db, parts.photos)
        stack.push_async_callback(parts.studies.close)
        listener = make_listener(settings.host, settings.port, engine.hub.limits)
        server = _Server(_uvicorn_config(settings, parts))
        await stack.enter_async_context(_running(upkeep.run()))
        await stack.enter_async_context(_running(_watch(engine)))
        stack.push_async_callback(parts.counts.flush, engine.writer.submit_all)
        await stack.enter_async_context(_running(parts.counts.run(engine.writer.submit_all)))
        relay = _relay(engine)
        relay.start()
        stack.push_async_callback(relay.stop)
        await stack.enter_async_context(_running(server.serve(sockets=[listener]), ends_by=server.end))
        dispatch = Dispatch(engine.writer, engine.db, Outward(settings.webhook_loopback))
        stack.push_async_callback(dispatch.stop)
        schedule = _schedule(
            engine, parts, dispatch, await stack.enter_async_context(_pulls(engine, parts.counts))
        )
        schedule.start()
        stack.push_async_callback(schedule.stop)
        stack.push_async_callback(begin_to_drain, parts)
        host, port = listener.getsockname()[:2]
        _calm_the_collector()
        _hand_the_lock_on()
        yield Served(engine, parts, f"{host}:{port}")


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    settings.check()
    logs.configure(settings.log_level, settings.log_json)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, ended.set)
    async with serving(settings) as served:
        log.info("serving on %s", served.address)
        await ended.wait()
        log.info("draining")


def _calm_the_collector() -> None:
    """What lives as long as the process is never looked at again; the rest, rows and publications that are kept for
    minutes, seldom: at the default thresholds a third of all CPU time went into looking at them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _hand_the_lock_on() -> None:
    """A thread of the database that needs Python's lock for a moment gets it soon: at the default of 5 ms a group's
    rows waited for the event loop longer than it took to write them."""
    sys.setswitchinterval(0.0005)


def _parts(engine: Engine) -> Parts:
    settings = engine.settings
    now_ms = engine.clock.now_ms
    reads = Snapshots(
        engine.db,
        lambda: engine.rules,
        engine.clock,
        engine.epoch,
        lambda user: engine.in_force.of(user, now_ms()),
        finder=Finder(
            engine.hub, engine.hub.limits.find_friends_max, SHARED_AGE_S_MAX if engine.db.is_shared else None
        ),
    )
    key_set = _key_set(settings.token_key_set) if settings.token_key_set else None
    tokens = TokenVerifier(
        secret=None if key_set else settings.token_secret,
        keys=key_set,
        audience=settings.token_audience,
        clock=lambda: engine.clock.now_ms() / 1000,
    )
    desk = desk_of(settings, engine.writer, engine.db, engine.registry, lambda: engine.rules)
    realtime = Realtime(
        hub=engine.hub,
        writer=engine.writer,
        reads=reads,
        verifier=tokens,
        limits=engine.hub.limits,
        now_ms=engine.clock.now_ms,
        now_text=rfc3339,
    )
    return Parts(
        settings=settings,
        db=engine.db,
        rules=lambda: engine.rules,
        clock=engine.clock,
        hub=engine.hub,
        writer=engine.writer,
        reads=reads,
        tokens=tokens,
        photos=PhotoFolder(settings.photo_folder),
        explain=lambda ball: explain_ball(engine.db, engine.rules, ball, now=engine.clock.now_ms()),
        publisher=engine.publisher,
        in_force=engine.in_force,
        front=Front(realtime, frozenset(settings.origins)),
        counters=realtime.counters,
        counts=ReportCounts(settings.server_key.encode()),
        routers=_routers(engine, desk),
        at_once=at_once(desk.kept),
        files=evidence_files(settings.evidence_bytes_max) | desk_files() | portal_files(),
    )


def _routers(engine: Engine, desk: Desk) -> tuple[APIRouter, ...]:
    """The partners' routes."""
    settings = engine.settings
    rates = Rates(settings.partner_requests_per_s, settings.partner_requests_burst)
    evidence = _evidence(engine)
    return (
        records_router(engine.writer, engine.db),
        partners_router(desk),
        public_router(desk),
        *desk_routers(desk),
        partner_router(desk, rates, settings.webhook_loopback),
        evidence_router(evidence),
        *portal_routers(settings, engine.writer, engine.db, desk.rules, evidence),
    )


def _evidence(engine: Engine) -> EvidenceDesk:
    keys = engine.registry.keys
    return evidence_desk(engine.settings, engine.writer, engine.db, lambda: engine.rules, keys)


async def _watch(engine: Engine) -> None:
    """Hear of editions that other processes make."""

    async def look() -> None:
        await engine.writer.submit(LookAtEditions())

    await engine.in_force.watch(engine.db, engine.clock.now_ms, look)


def _names_in_force(in_force: RulesInForce, clock: Clock) -> Callable[[], Names]:
    return lambda: names_of(in_force.read_at(clock.now_ms()).rules)


def _posts(engine: Engine) -> list[Job]:
    """The jobs that fetch partners' files."""
    settings, clock = engine.settings, engine.clock
    names, config = _names_in_force(engine.in_force, clock), file_config(settings)
    keep = photo_keeper(_evidence(engine), settings.evidence_bytes_max)
    submit_all, every_s = engine.writer.submit_all, settings.partner_folders_s
    return post_jobs(config, submit_all, engine.db, names, clock.now_ms, every_s, keep)


def _relay(engine: Engine) -> Relay:
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Relay(engine.writer, engine.db, partners_outbox(), destinations(engine.registry.adapters), name)


@asynccontextmanager
async def _pulls(engine: Engine, counts: ReportCounts) -> AsyncIterator[list[Job]]:
    """A job for each feed of the pull folder. Raises SettingsError for pull files that can't be used."""
    settings = engine.settings
    if settings.pull_folder is None:
        yield []
        return
    try:
        files = read_folder(settings.pull_folder)
    except PullError as problem:
        raise SettingsError(f"SAXAUL_PULL_FOLDER: {problem}") from problem
    fetcher = Fetcher(settings.pull_loopback)
    writer, now_ms = engine.writer, engine.clock.now_ms
    try:
        pullers = [
            Puller(file, fetcher, writer.submit_all, engine.db, counts, now_ms, pull_secret) for file in files
        ]
        yield [Job(f"pull:{one.file.source}", one.file.every_s, one.run) for one in pullers]
    finally:
        await fetcher.close()


def _schedule(engine: Engine, parts: Parts, dispatch: Dispatch, pulls: Sequence[Job]) -> Schedule:
    settings, writer, db = engine.settings, engine.writer, engine.db
    evidence = _evidence(engine)
    return Schedule(
        db,
        writer,
        engine.hub,
        engine.clock,
        parts.jobs,
        announce_s=settings.announce_s,
        expiry_s=settings.expiry_s,
        others=(
            Job("orders_formed", settings.orders_s, lambda: form_orders(writer, db)),
            Job("orders_followed", settings.orders_s, lambda: follow_up(writer, db)),
            Job("audit_sealed", SEAL_S, lambda: seal_audit(writer, db)),
            Job("evidence_settled", settings.orders_s, lambda: settle_evidence(evidence)),
            Job("energy_given_back", settings.orders_s, lambda: give_energy_back(writer, db)),
            Job("webhooks_sent", settings.webhooks_s, dispatch.turn),
            Job("webhooks_forgotten", FORGET_S, dispatch.forget),
            *pulls,
            *_posts(engine),
        ),
    )


def _key_set(source: str) -> KeySet:
    return KeySet(source if source.startswith(("https://", "http://")) else Path(source))


def _uvicorn_config(settings: Settings, parts: Parts) -> uvicorn.Config:
    assert parts.front is not None
    return uvicorn.Config(
        make_app(parts),
        ws=parts.front.protocol_class(),
        http=http_class(
            HeadLimits(settings.head_bytes_max, settings.head_within_s, settings.request_within_s)
        ),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_s) + 5,
    )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: `serve` decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Close listeners and connections."""
        self.should_exit = True


@asynccontextmanager
async def _running(
    work: Coroutine[Any, Any, None], ends_by: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """The work beside the block; when the block ends it is cancelled, or told to end by itself."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        if ends_by is not None:
            ends_by()
        else:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
