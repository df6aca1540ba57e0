"""From waiting trees to planting orders, and back to waiting when a partner gives them up.

Deterministic: first come, first placed; equal instants by number. What is not waiting any more is left
out, so that a repeated command changes nothing. What can't be placed stays pledged, with a note that its
user can read.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import DAY_MS
from partners.core import events as e
from partners.core.commands import FormOrder, PledgeUnit
from partners.core.context import Context
from partners.core.deliveries import queue
from partners.core.funding import is_covered
from partners.core.model import (
    ORDER_TREES_MAX,
    OrderLine,
    PartnerState,
    PlantingOrder,
    Season,
    Terms,
    TreeUnit,
    line_id,
)

LAST_CALL_MS = DAY_MS
"""A day before the last day for orders nothing waits for company any longer."""


def pledge_unit(state: PartnerState, command: PledgeUnit, context: Context) -> Decision:
    """Take a redeemed tree in."""
    if state.tree_units.get(command.unit) is not None:
        return Decision([])
    return Decision([e.UnitPledged(command.unit, command.programme, context.now)])


def form_order(state: PartnerState, command: FormOrder, context: Context) -> Decision:
    """One order of at most `ORDER_TREES_MAX` trees, a roll to the next season, or nothing yet.

    Trees whose funding does not pay this price wait. Raises `unknown_programme`, `season_missing` (no season is
    open for orders).
    """
    terms = context.terms.get(command.programme)
    if terms is None:
        raise Rejected("unknown_programme", programme=command.programme)
    season = terms.season_for_orders(context.now)
    if season is None:
        raise Rejected("season_missing", programme=command.programme)
    waiting = [
        unit
        for unit in _waiting(state, command.units, terms, season, context.now)
        if is_covered(unit.id, terms.unit_price_minor, terms.currency, terms.partner, context)
    ]
    if not waiting:
        return Decision([], {"formed": None, "waiting": 0})
    if len(waiting) >= terms.minimum_trees:
        return _submit(waiting[:ORDER_TREES_MAX], terms, season, context, below_minimum=False)
    if not _waited_enough(waiting[0], terms, season, context.now):
        return Decision([], {"formed": None, "waiting": len(waiting)})
    if terms.with_partner.asks_below_minimum:
        return _submit(waiting, terms, season, context, below_minimum=True)
    rolled = give_back(
        [unit.id for unit in waiting], state, terms.partner, season.id, None, "rolled", context
    )
    return Decision(list(rolled), {"formed": None, "rolled": len(waiting)})


def give_back(
    units: Iterable[int],
    state: PartnerState,
    partner: str,
    season: str,
    order: int | None,
    why: str,
    context: Context,
    declined: bool = True,
) -> list[e.UnitsReleased]:
    """Let trees wait again. Where the partner declined them, the same species and region is tried
    elsewhere; if there is no such place, they wait for the season after this one."""
    groups: dict[tuple[str, int, str, str], list[int]] = {}
    mark = f"{partner}/{season}" if declined else ""
    for number in units:
        unit = state.tree_units[number]
        groups.setdefault(_next_place(unit, [*unit.declined, mark], why, context), []).append(number)
    return [
        e.UnitsReleased(tuple(numbers), order, route, waits_from_at, where, mark, note, context.now)
        for (route, waits_from_at, where, note), numbers in groups.items()
    ]


def _waiting(
    state: PartnerState, numbers: tuple[int, ...], terms: Terms, season: Season, now: int
) -> list[TreeUnit]:
    mark = f"{terms.partner}/{season.id}"
    found = (state.tree_units.get(number) for number in dict.fromkeys(numbers))
    waiting = [
        unit
        for unit in found
        if unit is not None
        and unit.state == "pledged"
        and unit.route == terms.programme
        and unit.waits_from_at <= now
        and mark not in unit.declined
    ]
    return sorted(waiting, key=lambda unit: (unit.waits_from_at, unit.id))


def _waited_enough(oldest: TreeUnit, terms: Terms, season: Season, now: int) -> bool:
    waited_ms = now - oldest.waits_from_at
    return waited_ms >= terms.maximum_wait_ms or now >= season.order_by_at - LAST_CALL_MS


def _submit(
    units: list[TreeUnit], terms: Terms, season: Season, context: Context, below_minimum: bool
) -> Decision:
    now, number, agreed = context.now, context.new_id(), terms.with_partner
    line = OrderLine(
        id=line_id(number),
        order_id=number,
        species=terms.species,
        site=terms.site,
        granularity=terms.granularity,
        unit_price_minor=terms.unit_price_minor,
        currency=terms.currency,
        tolerance_pct=agreed.tolerance_pct,
        ordered=len(units),
        accepted=0,
        reported=0,
        verified=0,
        units=[unit.id for unit in units],
    )
    order = PlantingOrder(
        id=number,
        partner=terms.partner,
        programme=terms.programme,
        season=season.id,
        season_opens_at=season.opens_at,
        season_closes_at=season.closes_at,
        state="submitted",
        held="",
        below_minimum=below_minimum,
        external_ref="",
        reason="",
        submitted_at=now,
        expires_at=now + agreed.expire_ms,
        reminders=0,
        escalated_at=None,
        due_at=now + min(agreed.poll_ms, agreed.expire_ms),
        held_at=None,
        fact_at=now,
        said_at=0,
        lines=[line.id],
    )
    note = "asked_below_minimum" if below_minimum else ""
    events: list[object] = [
        e.OrderSubmitted(order, [line]),
        e.UnitsMoved(tuple(line.units), "ordered", now, season.id, number, note=note),
        e.DeliveryQueued(queue("submit", order, agreed.resendable, now, sheet(order, line))),
    ]
    return Decision(events, {"formed": number, "trees": len(units)})


def sheet(order: PlantingOrder, line: OrderLine) -> dict[str, object]:
    """What the partner is asked: no user, no unit, only counts."""
    return {
        "order": order.id,
        "programme": order.programme,
        "season": order.season,
        "season_opens_at": order.season_opens_at,
        "season_closes_at": order.season_closes_at,
        "answer_by_at": order.expires_at,
        "below_minimum": order.below_minimum,
        "species": line.species,
        "site": line.site,
        "quantity": line.ordered,
        "unit_price_minor": line.unit_price_minor,
        "currency": line.currency,
    }


def _next_place(unit: TreeUnit, declined: list[str], why: str, context: Context) -> tuple[str, int, str, str]:
    """(programme, waits from, season, note) of where a released tree waits."""
    for terms in context.places_like(unit.programme):
        season = terms.season_for_orders(context.now)
        if season is not None and f"{terms.partner}/{season.id}" not in declined:
            how = "waits_again" if terms.programme == unit.programme else "rerouted"
            return terms.programme, context.now, season.id, f"{how}:{why}"
    own = context.terms.get(unit.programme)
    season = own.season_for_orders(context.now) if own is not None else None
    if own is None or season is None:
        return unit.programme, context.now, "", f"waits_for_place:{why}"
    later = next((s for s in own.seasons if s.order_by_at > season.order_by_at), None)
    return unit.programme, season.order_by_at + 1, later.id if later else "", f"waits_for_next_season:{why}"
