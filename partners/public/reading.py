"""What public routes share: a read view in turn, where a tree is to stand, what a client accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.store.database import Reader
from partners.desk import Desk, reading
from partners.pages import Place
from partners.store.queries import TreeFacts


@asynccontextmanager
async def asking(desk: Desk) -> AsyncIterator[Reader]:
    """A read view for a public page: these wait for each other, so that they never take all connections."""
    async with desk.kept.turn, reading(desk) as reader:
        yield reader


def place_of(desk: Desk, facts: TreeFacts) -> Place | None:
    """Where a tree is to stand, by the rulebook in force; None: its programme is not in it any more."""
    rules = desk.rules()
    programme = rules.programmes.get(facts.route) or rules.programmes.get(facts.programme)
    partner = facts.partner or (programme.partner if programme else "")
    return Place(programme, rules, desk.registry.is_live(partner)) if programme else None


def wants_html(accept: str) -> bool:
    """A browser names text/html before JSON; whoever names neither gets JSON."""
    html, as_json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (as_json < 0 or html < as_json)
