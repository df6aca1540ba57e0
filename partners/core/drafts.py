"""Drafts: trees gathered for a partner and season until the minimum is reached; their quotas hold places for them.

A draft goes out when it is large enough, or when its trees have waited as long as they may; else its places
are free again when the hold is over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.commands import SubmitOrder
from partners.core.context import Context
from partners.core.deliveries import queue
from partners.core.guards import may_reach, order_terms, submit_problem
from partners.core.model import (
    ORDER_TREES_MAX,
    OrderLine,
    PartnerState,
    PlantingOrder,
    Terms,
    TreeUnit,
    line_id,
)
from partners.core.placing import LAST_CALL_MS, Place
from partners.core.records.agreed import with_agreement


@dataclass(slots=True)
class Draft:
    """A draft in the making: the order and its lines as they will be, and which trees are new to each line."""

    order: PlantingOrder
    lines: list[OrderLine]
    fresh: dict[str, list[int]]

    @property
    def trees(self) -> int:
        """Trees in all lines."""
        return sum(line.ordered for line in self.lines)

    def line_for(self, place: Place, terms: Terms, lines_max: int) -> OrderLine | None:
        """The line that takes a programme's trees for this place, made where there may be one more; None where
        not."""
        asked = (place.quota.id, terms.programme, place.price_minor)
        for line in self.lines:
            if (line.quota, line.programme, line.unit_price_minor) == asked:
                return line
        if len(self.lines) >= lines_max:
            return None
        line = OrderLine(
            id=line_id(self.order.id, len(self.lines) + 1),
            order_id=self.order.id,
            species=place.quota.species,
            site=place.quota.site,
            granularity=terms.granularity,
            unit_price_minor=place.price_minor,
            currency=place.currency,
            tolerance_pct=0,
            ordered=0,
            accepted=0,
            reported=0,
            verified=0,
            quota=place.quota.id,
            programme=terms.programme,
        )
        self.lines.append(line)
        self.order.lines.append(line.id)
        return line

    def add(self, line: OrderLine, units: Sequence[TreeUnit]) -> None:
        """Put trees into a line."""
        line.units += [unit.id for unit in units]
        line.ordered = len(line.units)
        self.fresh.setdefault(line.id, []).extend(unit.id for unit in units)


def fill(
    state: PartnerState,
    drafts: Sequence[int],
    placed: Sequence[tuple[Place, list[TreeUnit]]],
    terms: Terms,
    context: Context,
) -> list[Draft]:
    """The drafts that take these trees, all of one partner and season: those there are first, then new ones."""
    first = placed[0][0]
    lines_max = context.partner_terms(first.quota.partner).lines_max
    open_: list[Draft] = [_reopened(state, name) for name in drafts if _fits(state, name, first, context.now)]
    for place, units in placed:
        left = list(units)
        while left:
            draft, line = _taker(open_, place, terms, lines_max)
            if draft is None or line is None:
                open_.append(_fresh(state, place, terms, context))
                continue
            room = ORDER_TREES_MAX - draft.trees
            draft.add(line, left[:room])
            left = left[room:]
    return [draft for draft in open_ if draft.fresh]


def settled(state: PartnerState, draft: Draft, context: Context) -> tuple[list[object], bool]:
    """The events of a draft that has grown, and whether it goes out at once."""
    order = draft.order
    terms = order_terms(state, order, context)
    draft.lines = [replace(line, tolerance_pct=terms.tolerance_pct) for line in draft.lines]
    order.due_at = min(order.expires_at, _waits_until(state, draft.lines, order, context))
    problem = submit_problem(state, order, draft.lines, context)
    waited = order.due_at <= context.now
    if problem == "below_minimum" and waited and terms.asks_below_minimum:
        return submission(state, order, draft.lines, context, below_minimum=True), True
    if problem is None:
        return submission(state, order, draft.lines, context), True
    events: list[object] = [e.OrderDrafted(order, draft.lines)]
    events += [
        _moved(state, draft.fresh[line.id], "allocated", order, line, "", context)
        for line in draft.lines
        if line.id in draft.fresh
    ]
    return events, False


def submission(
    state: PartnerState,
    order: PlantingOrder,
    lines: Sequence[OrderLine],
    context: Context,
    below_minimum: bool = False,
    replaces: int | None = None,
) -> list[object]:
    """The events of an order that goes out: it is frozen, its partner is asked, its timers run.

    `replaces`: the order whose lost trees it makes good. Raises `test_order_live`.
    """
    now, terms = context.now, order_terms(state, order, context)
    if not may_reach(order.kind, terms.is_live, terms.has_sandbox):
        raise Rejected("test_order_live", partner=order.partner)
    out = replace(
        order,
        state="submitted",
        below_minimum=below_minimum,
        submitted_at=now,
        expires_at=now + terms.expire_ms,
        due_at=now + min(terms.poll_ms, terms.expire_ms),
        fact_at=now,
    )
    asked = sheet(out, lines, replaces)
    out.payload_hash = digest(asked)
    note = "asked_below_minimum" if below_minimum else ""
    events: list[object] = [e.OrderSubmitted(out, list(lines))]
    events += [_moved(state, line.units, "ordered", out, line, note, context) for line in lines if line.units]
    events.append(e.DeliveryQueued(queue("submit", out, terms.resendable, now, asked)))
    return events


def follow_draft(
    state: PartnerState, order: PlantingOrder, context: Context, give_back: Any
) -> tuple[list[object], str]:
    """What is due for a draft: out with it, on with it, or its places are free again; and the state it then has."""
    lines = [state.order_lines[name] for name in order.lines]
    terms = order_terms(state, order, context)
    problem = submit_problem(state, order, lines, context)
    if problem is None:
        return submission(state, order, lines, context), "submitted"
    until_at = _waits_until(state, lines, order, context)
    declined = False
    if problem == "below_minimum":
        if context.now < until_at:
            due_at = min(until_at, order.expires_at)
            return [e.OrderFollowedUp(order.id, 0, None, due_at, "", context.now)], "draft"
        if terms.asks_below_minimum:
            problem = submit_problem(state, order, lines, context, below_minimum=True)
            if problem is None:
                return submission(state, order, lines, context, below_minimum=True), "submitted"
        else:
            problem, declined = "rolled", True
    units = [number for line in lines for number in line.units]
    events: list[object] = [e.OrderMoved(order.id, "cancelled", problem or "", None, context.now)]
    events += give_back(
        units, state, order.partner, order.season, order.id, problem or "", context, declined=declined
    )
    return events, "cancelled"


def submit_order(state: PartnerState, command: SubmitOrder, context: Context) -> Decision:
    """An operator sends a draft out.

    Raises `unknown_order`, `not_draft`, `order_held`, `not_ready` (naming the guard).
    """
    order = state.partner_orders.get(command.order)
    if order is None:
        raise Rejected("unknown_order", order=command.order)
    if order.state != "draft":
        raise Rejected("not_draft", order=order.id, state=order.state)
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    lines = [state.order_lines[name] for name in order.lines]
    asks = order_terms(state, order, context).asks_below_minimum
    problem = submit_problem(state, order, lines, context)
    is_small = problem == "below_minimum" and asks
    if is_small:
        problem = submit_problem(state, order, lines, context, below_minimum=True)
    if problem is not None:
        raise Rejected("not_ready", order=order.id, guard=problem)
    events = submission(state, order, lines, context, below_minimum=is_small)
    return Decision(events, {"state": "submitted", "order": order.id})


def sheet(order: PlantingOrder, lines: Sequence[OrderLine], replaces: int | None = None) -> dict[str, Any]:
    """What the partner is asked: no user, no unit, only counts. The first line also stands on its own, for
    partners that take one line."""
    first = lines[0]
    of_another = {} if replaces is None else {"replaces": replaces}
    return {
        **of_another,
        "order": order.id,
        "programme": order.programme,
        "season": order.season,
        "season_opens_at": order.season_opens_at,
        "season_closes_at": order.season_closes_at,
        "answer_by_at": order.expires_at,
        "below_minimum": order.below_minimum,
        "species": first.species,
        "site": first.site,
        "quantity": first.ordered,
        "unit_price_minor": first.unit_price_minor,
        "currency": first.currency,
        "kind": order.kind,
        "agreement": order.agreement,
        "lines": [
            {
                "line_no": place,
                "species": line.species,
                "site": line.site,
                "quantity": line.ordered,
                "unit_price_minor": line.unit_price_minor,
                "currency": line.currency,
            }
            for place, line in enumerate(lines, 1)
        ],
    }


def digest(asked: dict[str, Any]) -> str:
    """SHA-256 of what the partner is asked, in one spelling: equal sheets have equal digests."""
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- making -----------------------------------------------------------------------------------------


def _fits(state: PartnerState, number: int, place: Place, now: int) -> bool:
    order = state.partner_orders.get(number)
    return (
        order is not None
        and order.state == "draft"
        and not order.held
        and now < order.expires_at
        and (order.partner, order.season, order.agreement)
        == (place.quota.partner, place.quota.season, place.agreement)
    )


def _reopened(state: PartnerState, number: int) -> Draft:
    """A draft as it stands, in rows of its own: only facts change what is on the shelves."""
    order = state.partner_orders[number]
    lines = [state.order_lines[name] for name in order.lines]
    return Draft(
        replace(order, lines=list(order.lines)),
        [replace(line, units=list(line.units), batches=list(line.batches)) for line in lines],
        {},
    )


def _fresh(state: PartnerState, place: Place, terms: Terms, context: Context) -> Draft:
    partner, agreement = place.quota.partner, place.agreement
    holds = with_agreement(context.partner_terms(partner), state.agreements[agreement])
    until_at = context.now + holds.hold_ms
    order = new_order(
        context.new_id(), partner, terms.programme, place.quota, agreement, context.now, until_at
    )
    return Draft(order, [], {})


def _taker(
    drafts: Sequence[Draft], place: Place, terms: Terms, lines_max: int
) -> tuple[Draft | None, OrderLine | None]:
    for draft in drafts:
        if draft.trees < ORDER_TREES_MAX:
            line = draft.line_for(place, terms, lines_max)
            if line is not None:
                return draft, line
    return None, None


def new_order(
    number: int, partner: str, programme: str, season: Any, agreement: str, now: int, hold_until_at: int
) -> PlantingOrder:
    """A draft without lines. `season`: a season, or a quota, which knows its season's instants."""
    return PlantingOrder(
        id=number,
        partner=partner,
        programme=programme,
        season=getattr(season, "season", None) or season.id,
        season_opens_at=season.opens_at,
        season_closes_at=season.closes_at,
        state="draft",
        held="",
        below_minimum=False,
        external_ref="",
        reason="",
        submitted_at=now,
        expires_at=hold_until_at,
        reminders=0,
        escalated_at=None,
        due_at=hold_until_at,
        held_at=None,
        fact_at=now,
        said_at=0,
        agreement=agreement,
    )


def _waits_until(
    state: PartnerState, lines: Sequence[OrderLine], order: PlantingOrder, context: Context
) -> int:
    """When the first of its trees has waited as long as it may, at the latest the last call of its season."""
    closes_at = min(
        (state.quotas[line.quota].order_by_at for line in lines if line.quota), default=order.season_opens_at
    )
    until_at = closes_at - LAST_CALL_MS
    for line in lines:
        for number in line.units:
            unit = state.tree_units[number]
            terms = context.terms.get(unit.route)
            if terms is not None:
                until_at = min(until_at, unit.waits_from_at + terms.maximum_wait_ms)
    return until_at


def _moved(
    state: PartnerState,
    units: Sequence[int],
    to: str,
    order: PlantingOrder,
    line: OrderLine,
    note: str,
    context: Context,
) -> e.UnitsMoved:
    if not note and any(state.tree_units[number].declined for number in units):
        note = "rerouted"
    return e.UnitsMoved(tuple(units), to, context.now, order.season, order.id, note=note, line=line.id)
