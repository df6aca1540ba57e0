"""An order whose trees are verified and watched, for tests: the world with the terms of what follows `planted`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from engine.core.events import Decision
from engine.core.units import DAY_MS, local_instant
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.model import PartnerTerms, Season, Terms
from partners.standard import standard_terms
from tests.partners.world import AUTUMN, LATER, SPRING, World, agreed, batch, terms

IN_AUTUMN_ON = "2027-09-15"  # in the first autumn after planting on 10 March 2027
IN_THIRD_AUTUMN_ON = "2029-09-15"
SURVEYOR = "independent:institute/zhou"


def seasons() -> tuple[Season, ...]:
    """Three seasons of the world, and springs up to 2035 for what is replanted."""
    more = (agreed().season(f"{year}-spring") for year in range(2029, 2036))
    return (SPRING, AUTUMN, LATER, *filter(None, more))


def watched_terms(programme: str = "minqin", partner: str = "elm", **changes: Any) -> Terms:
    """A programme whose partner has the standard terms, changed as told; `place` changes the programme's own."""
    place = changes.pop("place", {})
    of_partner = PartnerTerms(partner, after=replace(standard_terms(), **changes))
    return terms(programme, partner, agreed=of_partner, seasons=seasons(), **place)


def instant_on(on: str) -> int:
    """Noon of a day."""
    return local_instant(date.fromisoformat(on), 12 * 3600, "UTC")


def verified(world: World, count: int = 4, first: int = 1) -> int:
    """An order of one batch, verified by an operator."""
    order = world.ordered(count, first=first)
    world.say(order, "planted", accepted=count, batches=(batch("1", count, f"photo-{order}"),))
    world.run(c.ReviewOrder(None, "operator:li", order, "verified"))
    return order


def monitored(world: World, count: int = 4, first: int = 1) -> int:
    """A verified order whose counts are planned."""
    order = verified(world, count, first)
    look(world, order)
    assert world.order(order).state == "monitoring"
    return order


def look(world: World, order: int) -> Decision:
    """The follow-up job, when the order is due."""
    world.now = max(world.now, world.order(order).due_at or 0)
    return world.run(c.FollowUpOrder(None, order))


def count(world: World, order: int, alive: int, on: str = IN_AUTUMN_ON, **changes: Any) -> Decision:
    """A census of the order's batch in the stage that is planned next: so many live."""
    planned = sorted(
        (row for row in world.rows["audits"].values() if row.order_id == order and row.state == "planned"),
        key=lambda row: row.due_on,
    )
    row = planned[0]
    trees = world.rows["batches"][row.batch_id].verified
    world.now = max(world.now, instant_on(on))
    usual: dict[str, Any] = {
        "key": None,
        "by": "operator:li",
        "order": order,
        "audit": row.id,
        "visited_on": on,
        "method": "census",
        "surveyor": SURVEYOR,
        "has_conflict": False,
        "plots": (ac.PlotCount("all", trees, alive),),
    }
    return world.run(ac.RecordAudit(**(usual | changes)))


def days(count: int) -> int:
    """So many days in milliseconds."""
    return count * DAY_MS
