"""From waiting trees to planting orders, and back to waiting when a partner gives them up.

Deterministic: first come, first placed; equal instants by number; places in the order that `placing` ranks them.
What is not waiting any more is left out, so that a repeated command changes nothing. What can't be placed stays
pledged, with a note that its user can read. Every decision that changes something is kept with its reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import events as e
from partners.core.after_terms import Funding
from partners.core.commands import FormOrder, GiveUpUnits, KeepUnit, PledgeUnit, WithdrawUnit
from partners.core.context import Context
from partners.core.drafts import fill, settled
from partners.core.funding import NOT_COVERED, pays
from partners.core.model import ALLOCATED_TREES_MAX, Allocation, PartnerState, Terms, TreeUnit
from partners.core.placing import Place, nearest, places

NO_PLACE = "no_place"
CANDIDATES_TOLD_MAX = 40


def pledge_unit(state: PartnerState, command: PledgeUnit, context: Context) -> Decision:
    """Take a redeemed tree in. One that was redeemed in this very decision need not be loaded: it has no unit."""
    if state.tree_units.peek(command.unit) is not None:
        return Decision([])
    return Decision([e.UnitPledged(command.unit, command.programme, context.now)])


def form_order(state: PartnerState, command: FormOrder, context: Context) -> Decision:
    """Place waiting trees, each where what was set aside for it pays the price; `formed` is the first order that
    went out, if any did. Raises `unknown_programme`."""
    terms = context.terms.get(command.programme)
    if terms is None:
        raise Rejected("unknown_programme", programme=command.programme)
    waiting = _waiting(state, command.units, terms, context.now)[:ALLOCATED_TREES_MAX]
    if not waiting:
        return Decision([], {"formed": None, "waiting": 0})
    ranked = places(state, command.quotas, terms, context)
    shares, left = _shared(waiting, ranked, context)
    events: list[object] = []
    out: list[int] = []
    drafted = 0
    for group in _by_order(shares):
        for draft in fill(state, command.drafts, group, terms, context):
            made, is_out = settled(state, draft, context)
            events += made
            out += [draft.order.id] if is_out else []
            drafted += 0 if is_out else sum(map(len, draft.fresh.values()))
    unplaced = _unplaced(left, ranked, terms, context)
    events += unplaced
    if events:
        decision = _told(ranked, shares, left, context)
        placed = len(waiting) - len(left)
        row = Allocation(context.new_id(), command.programme, context.now, len(waiting), placed, decision)
        events.append(e.TreesAllocated(row))
    return Decision(
        events,
        {"formed": out[0] if out else None, "orders": out, "drafted": drafted, "unplaced": len(left)},
    )


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
    """Let trees wait again. Where the partner declined them, it is not asked for them again in that season; the
    next allocation tries the same species and region elsewhere."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number in units:
        unit = state.tree_units[number]
        groups.setdefault((unit.route, unit.line_id or ""), []).append(number)
    mark = f"{partner}/{season}" if declined else ""
    note = f"waits_again:{why}"
    return [
        e.UnitsReleased(tuple(numbers), order, route, context.now, "", mark, note, context.now, line)
        for (route, line), numbers in groups.items()
    ]


def keep_unit(state: PartnerState, command: KeepUnit, context: Context) -> Decision:
    """The clock of a tree without a place starts anew. Raises `unknown_tree`."""
    unit = _unit(state, command.unit)
    if unit.unplaced_at is None or unit.back_at == command.back_at:
        return Decision([])
    return Decision([e.UnitKept(unit.id, command.back_at)])


def withdraw_unit(state: PartnerState, command: WithdrawUnit, context: Context) -> Decision:
    """The game has given the energy back. Raises `unknown_tree`, `not_waiting`."""
    unit = _unit(state, command.unit)
    if unit.state == "withdrawn":
        return Decision([])
    if unit.state != "pledged":
        raise Rejected("not_waiting", state=unit.state)
    return Decision([e.UnitsWithdrawn((unit.id,), command.note, context.now)])


def give_up_units(state: PartnerState, command: GiveUpUnits, context: Context) -> Decision:
    """Withdraw what has had no place for as long as it may wait; early or repeated calls change nothing."""
    due = [
        unit.id
        for number in dict.fromkeys(command.units)
        if (unit := state.tree_units.get(number)) is not None
        and unit.state == "pledged"
        and unit.back_at is not None
        and unit.back_at <= context.now
    ]
    events: list[object] = [e.UnitsWithdrawn(tuple(due), "energy_back:no_place", context.now)] if due else []
    return Decision(events, {"withdrawn": len(due)})


# --- sharing out ------------------------------------------------------------------------------------


def _waiting(state: PartnerState, numbers: tuple[int, ...], terms: Terms, now: int) -> list[TreeUnit]:
    found = (state.tree_units.get(number) for number in dict.fromkeys(numbers))
    waiting = [
        unit
        for unit in found
        if unit is not None
        and unit.state == "pledged"
        and unit.route == terms.programme
        and unit.waits_from_at <= now
    ]
    return sorted(waiting, key=lambda unit: (unit.waits_from_at, unit.id))


def _shared(
    waiting: Sequence[TreeUnit], ranked: Sequence[Place], context: Context
) -> tuple[list[tuple[Place, list[TreeUnit]]], list[TreeUnit]]:
    """Which place gets which trees, and what is left over: each tree where its funding pays the price. A partner that
    gave a tree back is asked for it again only in another season, and only after everybody else."""
    fundings = {unit.id: context.funding_of(unit.id) for unit in waiting}
    shares: list[tuple[Place, list[TreeUnit]]] = []
    left = list(waiting)
    for is_second in (False, True):
        for place in ranked:
            if place.why_not or not left or not place.room:
                continue
            taken, others = [], []
            paid = {funding: _pays(funding, place, context) for funding in set(fundings.values())}
            for unit in left:
                is_free = len(taken) < place.room and paid[fundings[unit.id]]
                is_fit = is_free and _may_ask(unit, place, is_second)
                (taken if is_fit else others).append(unit)
            if taken:
                shares.append((place, taken))
                place.room -= len(taken)
                left = others
        if not any(unit.declined for unit in left):
            break
    return shares, left


def _pays(funding: Funding | None, place: Place, context: Context) -> bool:
    return pays(funding, place.price_minor, place.currency, place.quota.partner, context)


def _may_ask(unit: TreeUnit, place: Place, is_second: bool) -> bool:
    if not unit.declined:
        return not is_second
    if is_second:
        return place.mark not in unit.declined
    stem = f"{place.quota.partner}/"
    return not any(mark.startswith(stem) for mark in unit.declined)


def _by_order(
    shares: Sequence[tuple[Place, list[TreeUnit]]],
) -> list[list[tuple[Place, list[TreeUnit]]]]:
    """Shares that can go into one order: the same partner, season and agreement."""
    groups: dict[tuple[str, str], list[tuple[Place, list[TreeUnit]]]] = {}
    for place, units in shares:
        groups.setdefault((place.mark, place.agreement), []).append((place, units))
    return list(groups.values())


def _unplaced(
    left: Sequence[TreeUnit], ranked: Sequence[Place], terms: Terms, context: Context
) -> list[e.UnitsUnplaced]:
    """What its users are told of trees without a place; nothing where they know it already."""
    groups: dict[tuple[str, int | None], list[int]] = {}
    back_at = None if terms.energy_back_ms is None else context.now + terms.energy_back_ms
    for unit, why in _reasons(left, ranked, context):
        if unit.note != f"{NO_PLACE}:{why}" or unit.unplaced_at is None:
            until_at = back_at if unit.unplaced_at is None else unit.back_at
            groups.setdefault((why, until_at), []).append(unit.id)
    return [
        e.UnitsUnplaced(tuple(numbers), f"{NO_PLACE}:{why}", until_at, context.now)
        for (why, until_at), numbers in groups.items()
    ]


def _reasons(
    left: Sequence[TreeUnit], ranked: Sequence[Place], context: Context
) -> Iterator[tuple[TreeUnit, str]]:
    """Each tree without a place, and why; most have been declined by nobody, so each case is worked out once."""
    known: dict[tuple[Funding | None, tuple[str, ...]], str] = {}
    for unit in left:
        case = (context.funding_of(unit.id), tuple(unit.declined))
        if case not in known:
            known[case] = nearest([_why(unit, case[0], place, context) for place in ranked])
        yield unit, known[case]


def _why(unit: TreeUnit, funding: Funding | None, place: Place, context: Context) -> str:
    """Why this place is none for the tree; one that others have filled just now is full."""
    if place.why_not:
        return place.why_not
    if not _pays(funding, place, context):
        return NOT_COVERED
    return "declined" if place.mark in unit.declined else "full"


def _told(
    ranked: Sequence[Place],
    shares: Sequence[tuple[Place, list[TreeUnit]]],
    left: Sequence[TreeUnit],
    context: Context,
) -> dict[str, object]:
    taken: dict[str, int] = {}
    for place, units in shares:
        taken[place.quota.id] = taken.get(place.quota.id, 0) + len(units)
    candidates = [
        place.told() | {"trees": taken.get(place.quota.id, 0)} for place in ranked[:CANDIDATES_TOLD_MAX]
    ]
    reasons: dict[str, int] = {}
    for _, why in _reasons(left, ranked, context):
        reasons[why] = reasons.get(why, 0) + 1
    more = max(0, len(ranked) - CANDIDATES_TOLD_MAX)
    return {"candidates": candidates, "more": more, "unplaced": reasons}


def _unit(state: PartnerState, number: int) -> TreeUnit:
    unit = state.tree_units.get(number)
    if unit is None:
        raise Rejected("unknown_tree", tree=number)
    return unit
