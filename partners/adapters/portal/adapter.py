"""Lays orders and notices into a partner's list in the portal. Knows the list by one call, and no database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from engine.core.errors import Rejected
from partners.core.portal.commands import ListOrder, PostNotice
from partners.port import About, Answer, Capabilities, Inbound, OrderSheet

TIMEOUT_S = 10.0
SURELY_NOT = ("overloaded",)
"""Refusals before anything was tried."""

PERHAPS = ("unavailable", "internal")


class PortalAway(Exception):
    """The portal is not open in this process: nothing was done."""


class PortalList:
    """The lists of all partners of the portal, as adapters reach them: opened once the engine's writer runs.

    `partners`: whose lists there are. `submit` carries a command out and gives its reply or raises Rejected; `has`
    tells whether a partner's order lies in its list.
    """

    def __init__(self, partners: frozenset[str]) -> None:
        self.partners = partners
        self._submit: Callable[[Any], Awaitable[Mapping[str, Any]]] | None = None
        self._has: Callable[[str, int], Awaitable[bool]] | None = None

    def open(
        self,
        submit: Callable[[Any], Awaitable[Mapping[str, Any]]],
        has: Callable[[str, int], Awaitable[bool]],
    ) -> None:
        """From now on things can be laid down."""
        self._submit, self._has = submit, has

    async def submit(self, command: ListOrder | PostNotice) -> Mapping[str, Any]:
        """Lay something down. Raises Rejected, PortalAway."""
        if command.partner not in self.partners:
            raise Rejected("unknown_partner", partner=command.partner)
        if self._submit is None:
            raise PortalAway
        return await self._submit(command)

    async def has(self, partner: str, order: int) -> bool:
        """Whether the order lies in the partner's list. Raises Rejected, PortalAway."""
        if self._has is None:
            raise PortalAway
        return await self._has(partner, order)


class PortalAdapter:
    """One partner of the portal."""

    def __init__(
        self, partner: str, lists: PortalList, capabilities: Capabilities, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._partner = partner
        self._lists = lists
        self._capabilities = capabilities
        self._timeout_s = timeout_s

    @property
    def capabilities(self) -> Capabilities:
        """What this partner can do."""
        return self._capabilities

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Lay the order into the list. `done` means that it lies there for good, not that anybody has read it."""
        told = asdict(sheet) | {"lines": [asdict(line) for line in sheet.lines]}
        return await self._lay(ListOrder(self._partner, sheet.order, told), "in the list")

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """Tell that an order is withdrawn. `done` means told, not agreed."""
        notice = PostNotice(self._partner, f"{order}/{key}", order, "cancelled", reason)
        return await self._lay(notice, "told in the list")

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Tell what is due, what is missing, or that all is well."""
        text, trees = about.text if about.kind == "needs_info" else "", about.trees
        notice = PostNotice(self._partner, f"{order}/{key}", order, about.kind, text, trees)
        return await self._lay(notice, "told in the list")

    async def fetch_status(self, order: int) -> Answer:
        """Whether the order lies in the list. How it stands is known here already, so it can't be asked."""
        try:
            async with asyncio.timeout(self._timeout_s):
                is_there = await self._lists.has(self._partner, order)
        except (PortalAway, Rejected, TimeoutError) as problem:
            return Answer("failed", _named(problem))
        return Answer("done", "in the list") if is_there else Answer("absent", "not in the list")

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Refuses: staff answer on pages, logged in, so whatever is pushed in the partner's name is not its."""
        raise Rejected("bad_signature", reason="answers_come_by_portal")

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _lay(self, command: ListOrder | PostNotice, done: str) -> Answer:
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._lists.submit(command)
        except PortalAway:
            return Answer("failed", "the portal is not open here")
        except TimeoutError:
            return Answer("unknown", "no answer in time")
        except Rejected as refusal:
            kind = (
                "failed"
                if refusal.code in SURELY_NOT
                else "unknown"
                if refusal.code in PERHAPS
                else "refused"
            )
            return Answer(kind, str(refusal))
        if reply.get("order") != command.order:
            return Answer("unknown", "an answer that names no order")
        return Answer("done", done)


def _named(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
