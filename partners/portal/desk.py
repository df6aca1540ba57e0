"""What the portal's pages work with, handed over by main; and who is looking at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from starlette.requests import Request

from engine.clock import Clock
from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.store.database import Database, DatabaseAway, Reader
from engine.writer import Writer
from partners.adapters.files.names import Names, names_of
from partners.adapters.portal.adapter import PortalList
from partners.adapters.portal.config import PortalPartner
from partners.evidence.desk import EvidenceDesk
from partners.intake import Intake
from partners.portal.secrets import Seals, digest
from partners.portal.throttle import Throttle
from partners.store import portal_queries

SESSION_COOKIE = "saxaul_portal"
LANGUAGE_COOKIE = "saxaul_language"
Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is looking. `browser` is the cookie's token, to which forms are bound.

    `standing`: in (logged in), over (was, until a short while ago), out.
    """

    browser: str
    standing: Literal["in", "over", "out"]
    language: Language
    staff: str = ""
    partner: PortalPartner | None = None

    @property
    def name(self) -> str:
        """The member of staff as their partner knows them."""
        return self.staff.partition("/")[2]


@dataclass(frozen=True, slots=True)
class PortalDesk:
    """`session_s`: how long a login lasts; `is_secure`: browsers reach us by https alone."""

    writer: Writer
    db: Database
    rules: Callable[[], RuleBook]
    partners: Mapping[str, PortalPartner]
    evidence: EvidenceDesk
    seals: Seals
    session_s: int
    is_secure: bool
    throttle: Throttle = field(default_factory=Throttle)
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    @property
    def clock(self) -> Clock:
        """The engine's."""
        return self.writer.clock

    @property
    def names(self) -> Names:
        """The rulebook's names of now."""
        return names_of(self.rules())

    @property
    def intake(self) -> Intake:
        """The way of everything that partners say in rows."""
        return Intake(self.writer.submit_all, self.db, lambda: self.names, self.clock.now_ms)

    async def submit(self, command: Any) -> dict[str, Any]:
        """The reply of a command. Raises Rejected."""
        return await submitted(self.writer, command)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """One view of the database. Raises Rejected(unavailable)."""
        try:
            async with self.db.snapshot() as reader:
                yield reader
        except DatabaseAway as problem:
            raise Rejected("unavailable") from problem

    async def visitor(self, request: Request) -> Visitor:
        """Who is looking, by the cookie. Raises Rejected(unavailable)."""
        token = self.seals.opened(request.cookies.get(SESSION_COOKIE, "")) or ""
        spoken = _spoken(request)
        if not token:
            return Visitor("", "out", spoken or "zh")
        async with self.reading() as reader:
            seen = await portal_queries.session_of(reader, digest(token))
        partner = self.partners.get(seen.partner) if seen is not None else None
        if seen is None or partner is None:
            return Visitor(token, "out", spoken or "zh")
        standing: Literal["in", "over"] = "in" if seen.until_at > self.clock.now_ms() else "over"
        own: Language = "en" if seen.language == "en" else "zh"
        chosen = _chosen(request)
        return Visitor(token, standing, chosen or own, seen.staff, partner)


def open_lists(lists: PortalList, writer: Writer, db: Database) -> None:
    """Let adapters reach the lists through the running writer."""

    async def submit(command: Any) -> Mapping[str, Any]:
        return await submitted(writer, command)

    async def has(partner: str, order: int) -> bool:
        try:
            async with db.snapshot() as reader:
                listed = await portal_queries.listed_order(reader, order)
        except DatabaseAway as problem:
            raise Rejected("unavailable") from problem
        return listed is not None and listed.partner == partner

    lists.open(submit, has)


async def submitted(writer: Writer, command: Any) -> dict[str, Any]:
    """The reply of a command. Raises Rejected."""
    outcome = await writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return reply


def _chosen(request: Request) -> Language | None:
    for said in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if said in ("zh", "en"):
            return "en" if said == "en" else "zh"
    return None


def _spoken(request: Request) -> Language | None:
    """What the visitor has chosen, else what their browser asks for first."""
    chosen = _chosen(request)
    if chosen is not None:
        return chosen
    for part in request.headers.get("accept-language", "")[:200].lower().split(","):
        if part.strip().startswith(("zh", "en")):
            return "en" if part.strip().startswith("en") else "zh"
    return None
