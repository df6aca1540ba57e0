"""Metrics for Prometheus, read from the plain counts of the engine's parts when somebody asks.

Nothing on the hot path knows this module. Labels are kinds (command, outcome, route template), never ids or names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from engine.core.canary import EVERYBODY
from engine.core.errors import Rejected
from engine.tally import Spread


class Counted(Protocol):
    """The parts whose counts are read (`engine.api.parts.Parts`)."""

    rules: Callable[[], Any]
    in_force: Any
    clock: Any
    hub: Any
    writer: Any
    front: Any
    counters: Any
    http: Any
    jobs: Any


class EngineCollector(Collector):
    """Reads the parts at each scrape."""

    def __init__(self, parts: Counted) -> None:
        self._parts = parts

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: registering must not read the parts."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All metrics of the engine."""
        yield from self._writer()
        yield from self._hub()
        yield from self._sockets()
        yield from self._edges()
        yield from self._rules()

    def _rules(self) -> Iterator[Metric]:
        """The rulebook in force by its hash, its edition, and the share of users that a canary has."""
        in_force, clock = self._parts.in_force, self._parts.clock
        try:
            found = in_force.read_at(clock.now_ms()) if in_force is not None else None
            rules = found.rules.hash if found is not None else str(self._parts.rules().hash)
        except Rejected:  # it can't be read here; the counters of refusals say the rest
            found, rules = None, "unreadable"
        yield InfoMetricFamily(
            "saxaul", "The engine and its rulebook", {"version": _version(), "rules": rules}
        )
        if in_force is None:
            return
        canary = found.canary if found is not None else None
        yield _gauge(
            "saxaul_edition", "The edition of the rulebook in force for all", found.edition if found else 0
        )
        yield _gauge("saxaul_editions", "Editions that were approved so far", in_force.count)
        yield _gauge(
            "saxaul_canary_edition", "The canary's edition, 0 for none", canary.edition if canary else 0
        )
        share = canary.share / EVERYBODY if canary else 0.0
        yield _gauge("saxaul_canary_share", "The part of users that the canary has, 0 to 1", share)
        unreadable = len(in_force.unreadable)
        yield _gauge("saxaul_rulebooks_unreadable", "Rulebooks that this process could not read", unreadable)

    def _writer(self) -> Iterator[Metric]:
        writer = self._parts.writer
        tally = writer.tally
        yield _counter("saxaul_commands", "Commands by outcome", ("command", "outcome"), tally.outcomes)
        yield _histogram("saxaul_group_commands", "Commands a group", tally.group_commands)
        yield _histogram("saxaul_group_seconds", "From load to commit of a group", tally.group_s)
        yield _gauge("saxaul_writer_queue_commands", "Commands that wait for a group", writer.queued)
        yield _count(
            "saxaul_group_conflicts", "Groups decided again because of another process", tally.conflicts
        )

    def _hub(self) -> Iterator[Metric]:
        hub = self._parts.hub
        counters = hub.counters
        yield _count("saxaul_publications", "Publications on all channels", counters.published)
        yield _count("saxaul_deliveries", "Publications handed to connections", counters.delivered)
        yield _count("saxaul_publication_repeats", "Publications that came twice", counters.repeats)
        yield _count("saxaul_publication_gaps", "Gaps found in a channel", counters.gaps)
        recoveries = {
            ("recovered",): counters.recoveries,
            ("refused",): counters.recoveries_refused,
        }
        yield _counter("saxaul_recoveries", "Subscribes with a position", ("outcome",), recoveries)
        yield _gauge("saxaul_history_bytes", "Memory of publications kept for recovery", hub.history_bytes)
        yield _gauge(
            "saxaul_lagging_channels", "Channels that wait for a missing publication", len(hub.lagging)
        )

    def _sockets(self) -> Iterator[Metric]:
        front, counters = self._parts.front, self._parts.counters
        if front is not None:
            yield _gauge("saxaul_connections", "Open sockets", len(front.sockets))
            refused = {(str(int(status)),): count for status, count in front.refused.items()}
            yield _counter("saxaul_upgrades_refused", "Refused upgrades", ("status",), refused)
        if counters is not None:
            yield _gauge("saxaul_connected", "Connections that are signed in", counters.connected)
            yield _count("saxaul_socket_commands", "Commands over sockets", counters.commands)
            yield _count("saxaul_rate_limited", "Commands over the rate limit", counters.rate_limited)
            closed = {(str(int(code)),): count for code, count in counters.closed.items()}
            yield _counter("saxaul_closes", "Connections closed by us", ("code",), closed)
            faults = {(str(fault),): count for fault, count in counters.faults.items()}
            yield _counter("saxaul_frame_faults", "Broken frames", ("fault",), faults)

    def _edges(self) -> Iterator[Metric]:
        http, jobs = self._parts.http, self._parts.jobs
        requests = {(method, route, str(status)): n for (method, route, status), n in http.requests.items()}
        yield _counter("saxaul_http_requests", "HTTP requests", ("method", "route", "status"), requests)
        yield _histogram("saxaul_http_seconds", "Time to answer HTTP requests", http.seconds)
        yield _counter("saxaul_job_runs", "Runs of scheduled jobs", ("job", "outcome"), jobs.runs)
        done = {(name,): count for name, count in jobs.done.items()}
        yield _counter("saxaul_job_items", "What scheduled jobs came to", ("item",), done)


def make_registry(parts: Counted) -> CollectorRegistry:
    """A registry of our own, so that two engines in one process (tests) do not share counts."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(EngineCollector(parts))
    return registry


def _version() -> str:
    try:
        return version("saxaul")
    except PackageNotFoundError:
        return "unknown"


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _count(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value=value)


def _counter(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for key, value in list(values.items()):
        family.add_metric([str(part) for part in key], value)
    return family


def _histogram(name: str, about: str, spread: Spread) -> Metric:
    return HistogramMetricFamily(name, about, buckets=spread.cumulated(), sum_value=spread.total)
