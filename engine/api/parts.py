"""What the HTTP edge is handed by main: the parts of a running engine. Makes none of them itself."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.types import ASGIApp, Scope

from engine.api.tokens import TokenVerifier
from engine.clock import Clock
from engine.core.rules import RuleBook
from engine.counting import ReportCounts
from engine.in_force import RulesInForce
from engine.photos import PhotoFolder
from engine.publishing import Publisher
from engine.realtime.hub import Hub
from engine.realtime.parts import Counters
from engine.realtime.snapshot import Snapshots
from engine.realtime.socket import Front
from engine.settings import Settings
from engine.store.database import Database
from engine.tally import HttpTally, JobTally
from engine.workbench.studies import Studies
from engine.writer import Writer

Explain = Callable[[int], Awaitable[dict[str, Any] | None]]


@dataclass(slots=True)
class Parts:
    """The running engine as the HTTP edge sees it.

    `publisher` publishes rulebooks; `in_force` knows which edition counts (None: one rulebook for ever).
    `studies` are simulations and reports that run apart.
    `at_once` may answer a request before any route is looked for (a page that is kept);
    `explain` tells of one ball (None: there is none such); `routers` are those of other domains (partners), `files`
    what paths of theirs take in place of JSON: beginning, largest body, media types;
    `front` and `counters` belong to the socket side and are only read. `is_draining` makes readiness fail.
    """

    settings: Settings
    db: Database
    rules: Callable[[], RuleBook]
    clock: Clock
    hub: Hub
    writer: Writer
    reads: Snapshots
    tokens: TokenVerifier
    explain: Explain
    publisher: Publisher
    photos: PhotoFolder
    in_force: RulesInForce | None = None
    front: Front | None = None
    counters: Counters | None = None
    routers: Sequence[APIRouter] = ()
    files: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    at_once: Callable[[Scope], ASGIApp | None] | None = None
    http: HttpTally = field(default_factory=HttpTally)
    jobs: JobTally = field(default_factory=JobTally)
    counts: ReportCounts = field(default_factory=ReportCounts)
    studies: Studies = field(default_factory=Studies)
    is_draining: bool = False
