"""The end of an order that can't be made good: one operator proposes, another approves, and it is written in public."""

from __future__ import annotations

from engine.core.editions import is_same_person
from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import ApproveClosing, ProposeClosing
from partners.core.after_rows import Closing, WriteDown
from partners.core.claims import moved_claims
from partners.core.context import Context
from partners.core.guards import is_standing_hold
from partners.core.model import Batch, PartnerState, PlantingOrder
from partners.core.orders import the_order

REMEDIES = ("refund", "move")
CLOSED_FROM = ("verified", "monitoring", "replanting")


def propose_closing(state: PartnerState, command: ProposeClosing, context: Context) -> Decision:
    """Put the proposal down; a newer one takes the place of one that nobody approved.

    Raises `unknown_order`, `order_held`, `not_watched`, `bad_closing`.
    """
    order = _closable(state, command.order)
    if not command.operator:
        raise Rejected("bad_closing", field="operator", expected="a name")
    closing = Closing(
        id=order.id,
        state="proposed",
        proposed_by=command.operator,
        proposed_at=context.now,
        approved_by="",
        approved_at=None,
        note=command.note,
        remedy=command.remedy,
        lost=dict(command.lost),
        moves=dict(command.moves),
    )
    _check(state, order, closing)
    return Decision([a.ClosingProposed(closing)], {"state": order.state, "closing": "proposed"})


def approve_closing(state: PartnerState, command: ApproveClosing, context: Context) -> Decision:
    """A second person agrees: write-downs, claims, and the order's end.

    Raises `unknown_order`, `order_held`, `not_watched`, `nothing_proposed`, `own_proposal`, `bad_closing`.
    """
    order = _closable(state, command.order)
    closing = state.closings.get(order.id)
    if closing is None or closing.state != "proposed":
        raise Rejected("nothing_proposed", order=order.id)
    if not command.operator or is_same_person(command.operator, closing.proposed_by):
        raise Rejected("own_proposal", operator=command.operator)
    _check(state, order, closing)
    now = context.now
    lost = sum(closing.lost.values())
    events: list[object] = [a.ClosingApproved(order.id, command.operator, lost, now)]
    for name, trees in sorted(closing.lost.items()):
        events += _written_down(state, order, closing, state.batches[name], trees, command.operator, now)
    events.append(e.OrderMoved(order.id, "closed_short", closing.note, None, now))
    return Decision(events, {"state": "closed_short", "written_down": lost})


def _closable(state: PartnerState, number: int) -> PlantingOrder:
    order = the_order(state, number)
    if order.held and not is_standing_hold(order.held):  # a partner that is gone must not keep it open
        raise Rejected("order_held", order=order.id, reason=order.held)
    if order.state not in CLOSED_FROM:
        raise Rejected("not_watched", order=order.id, state=order.state)
    return order


def _check(state: PartnerState, order: PlantingOrder, closing: Closing) -> None:
    """Trees of this order's batches, at least one in all; where claims move, there is room for them."""
    if closing.remedy not in REMEDIES or not closing.note:
        raise Rejected("bad_closing", field="remedy", expected=REMEDIES, note="a public note")
    names = {name for line in order.lines for name in state.order_lines[line].batches}
    for name, trees in closing.lost.items():
        verified = state.batches[name].verified if name in names else 0
        if not 1 <= trees <= verified:
            raise Rejected("bad_closing", field="lost", batch=name, expected=f"1 to {verified} trees")
    if not closing.lost or not set(closing.moves) <= set(closing.lost):
        raise Rejected("bad_closing", field="lost", expected="trees by batch")
    if closing.remedy == "move":
        _check_room(state, order, closing)


def _check_room(state: PartnerState, order: PlantingOrder, closing: Closing) -> None:
    wanted: dict[str, int] = {}
    wanted_by: dict[str, set[str]] = {}
    for name in closing.lost:
        target = closing.moves.get(name, "")
        units = _losing(state, state.batches[name], closing.lost[name])
        wanted[target] = wanted.get(target, 0) + len(units)
        wanted_by.setdefault(target, set()).add(_programme(state, name))
    for target, units in wanted.items():
        standing = state.standings.get(target) if target in state.standings else None
        home = state.partner_orders.get(standing.order_id) if standing is not None else None
        is_other = standing is not None and wanted_by[target] != {_programme(state, target)}
        if standing is None or home is None or is_other or target in closing.lost:
            raise Rejected("bad_closing", field="moves", batch=target, expected="a batch of the programme")
        ours = (standing.verified - standing.written_down) * standing.own_share_pct // 100
        room = ours - standing.claimed
        room = min(room, _places_left(state, target, room))
        if units > room or home.state not in ("monitoring", "completed", "verified"):
            raise Rejected("bad_closing", field="moves", batch=target, expected=f"at most {room} trees")


def _programme(state: PartnerState, batch: str) -> str:
    return state.order_lines[state.batches[batch].line_id].programme


def _places_left(state: PartnerState, batch: str, room: int) -> int:
    """How many more trees the quota of the batch's line takes; any number where it has none."""
    line = state.order_lines[state.batches[batch].line_id]
    if not line.quota:
        return room
    quota = state.quotas[line.quota]
    return quota.capacity - quota.held - quota.ordered


def _losing(state: PartnerState, batch: Batch, trees: int) -> tuple[int, ...]:
    """Whose claims end: no tree is said to be dead, those that came last have no place among what is left."""
    standing = state.standings[batch.id]
    left = (batch.verified - trees) * standing.own_share_pct // 100
    claiming = [unit for unit in batch.units if state.tree_units[unit].state in ("verified", "established")]
    return tuple(claiming[left:])


def _written_down(
    state: PartnerState,
    order: PlantingOrder,
    closing: Closing,
    batch: Batch,
    trees: int,
    approved_by: str,
    now: int,
) -> list[object]:
    units = _losing(state, batch, trees)
    write_down = WriteDown(
        id=batch.id,
        order_id=order.id,
        programme=_programme(state, batch.id),
        trees=trees,
        note=closing.note,
        proposed_by=closing.proposed_by,
        approved_by=approved_by,
        at=now,
    )
    is_refunded = closing.remedy == "refund"
    events: list[object] = [a.TreesWrittenDown(write_down, units, is_refunded)]
    if units and is_refunded:
        moved = e.UnitsMoved(units, "withdrawn", now, order.season, order.id, note="withdrawn:closed_short")
        events += [a.ClaimsEnded(units, batch.id, "released", now), moved]
    elif units:
        target = closing.moves[batch.id]
        home = state.standings[target].order_id
        events += moved_claims(order.id, batch.id, home, target, units, "moved:closed_short", now)
    return events
