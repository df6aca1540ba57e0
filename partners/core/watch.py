"""The watch over verified trees: counts are planned, what fell below its band is replanted, the rest ends well.

All of it is computed from rows and the instant when the order is followed up; early or repeated calls change nothing.
"""

from __future__ import annotations

from datetime import date

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import DAY_MS, SECOND_MS, local_instant
from partners.core import after_events as a
from partners.core import events as e
from partners.core.after_commands import OrderReplacement
from partners.core.after_rows import Replacement, SurvivalAudit
from partners.core.audits import planned
from partners.core.claims import moved_claims
from partners.core.context import Context
from partners.core.drafts import new_order, submission
from partners.core.guards import after_of, agreement_of, order_terms, stop_of
from partners.core.model import (
    WATCHED_STATES,
    Batch,
    OrderLine,
    PartnerState,
    PlantingOrder,
    Season,
    line_id,
)
from partners.core.orders import the_order
from partners.core.records.agreed import terms_of

STANDING_STATES = (*WATCHED_STATES, "completed")
FAILED_STATES = ("rejected", "expired", "cancelled", "closed_short")
LOOK_AGAIN_MS = DAY_MS
UNPAID = "replacement_unpaid"
"""What is missing has to be paid for by somebody else than the partner, and nothing is set aside for it."""


def follow_up(state: PartnerState, order: PlantingOrder, context: Context) -> Decision:
    """What is due for an order of which trees are verified."""
    if order.state == "verified":
        return _open_watch(state, order, context)
    events, failed = _settle_replacements(state, order, context.now)
    settled = {event.child: event.state for event in events if isinstance(event, a.ReplacementEnded)}
    made = _missing_orders(state, order, context) if order.state == "replanting" else []
    events += made
    if order.state == "monitoring" and _is_whole(state, order, settled):
        return Decision([*events, *_complete(state, order, context.now)], {"state": "completed"})
    if order.state == "replanting" and not made and not _wants(state, order, settled):
        moved = e.OrderMoved(order.id, "monitoring", "replaced", context.now + LOOK_AGAIN_MS, context.now)
        return Decision([*events, moved], {"state": "monitoring"})
    is_unpaid = order.state == "replanting" and not _is_owed(state, order)
    is_late = failed or is_unpaid or bool(_overdue(state, order, context.now))
    note = "replacement_failed" if failed else (UNPAID if is_unpaid else ("audit_overdue" if is_late else ""))
    escalated_at = order.escalated_at or (context.now if is_late else None)
    due_at = _next_look(state, order, context.now)
    events.append(e.OrderFollowedUp(order.id, order.reminders, escalated_at, due_at, note, context.now))
    return Decision(events, {"state": order.state})


def order_replacement(state: PartnerState, command: OrderReplacement, context: Context) -> Decision:
    """Ask once more for what an audit found missing, where the order for it came to nothing.

    Raises `unknown_order`, `order_held`, `not_watched`, `unknown_audit`, `replacement_open`, `partner_blocked`,
    `not_ready` (the partner does not replace at its own cost), `season_missing`.
    """
    order = the_order(state, command.order)
    if order.held:
        raise Rejected("order_held", order=order.id, reason=order.held)
    if order.state != "replanting":
        raise Rejected("not_watched", order=order.id, state=order.state)
    audit = next((one for one in _below(state, order) if one.id == command.audit), None)
    if audit is None:
        raise Rejected("unknown_audit", audit=command.audit)
    if any(one.state != "failed" for one in _for_audit(state, order, audit)):
        raise Rejected("replacement_open", audit=audit.id)
    stop = stop_of(state, order, context)
    if stop is not None:
        raise Rejected("partner_blocked", partner=order.partner, reason=stop[0])
    if not _is_owed(state, order):
        raise Rejected("not_ready", order=order.id, guard=UNPAID)
    events = _replacement(state, order, audit, context)
    if not events:
        raise Rejected("season_missing", programme=order.programme)
    return Decision(events, {"state": order.state})


# --- the watch opens ------------------------------------------------------------------------------


def _open_watch(state: PartnerState, order: PlantingOrder, context: Context) -> Decision:
    """Counts are planned for every verified batch; without a plan for them there is no watch."""
    if order.kind == "test":  # nobody's trees: there is nothing to watch over
        ended = e.OrderMoved(order.id, "completed", "test_order", None, context.now)
        return Decision([ended], {"state": "completed"})
    terms, rainfall = after_of(state, order, context), context.rainfall
    audits = [
        planned(order, batch, stage, terms, rainfall(state.order_lines[batch.line_id].programme))
        for batch in _verified(state, order)
        for stage in terms.stages
    ]
    now = context.now
    if not audits:
        later = now + 30 * DAY_MS
        followed = e.OrderFollowedUp(
            order.id, order.reminders, order.escalated_at, later, "no_audit_plan", now
        )
        return Decision([followed], {"state": order.state})
    due_at = min(_last_instant(audit.due_on) for audit in audits)
    return Decision(
        [a.AuditsPlanned(audits), e.OrderMoved(order.id, "monitoring", "audits_planned", due_at, now)],
        {"state": "monitoring"},
    )


# --- replacement ----------------------------------------------------------------------------------


def _settle_replacements(state: PartnerState, order: PlantingOrder, now: int) -> tuple[list[object], bool]:
    """Child orders that were verified, or came to nothing, since the last look."""
    events: list[object] = []
    failed = False
    for row in _children(state, order):
        child = state.partner_orders[row.id]
        if row.state == "open" and child.state in STANDING_STATES:
            events.append(a.ReplacementEnded(row.id, "done", now))
            events += _moved_trees(state, order, row, now)
        elif row.state != "failed" and child.state in FAILED_STATES:
            events.append(a.ReplacementEnded(row.id, "failed", now))
            failed = True
    return events, failed


def _missing_orders(state: PartnerState, order: PlantingOrder, context: Context) -> list[object]:
    """One child order for each audit below its band that has had none yet."""
    events: list[object] = []
    for audit in _below(state, order):
        if not _for_audit(state, order, audit):
            events += _replacement(state, order, audit, context)
    return events


def _replacement(
    state: PartnerState, order: PlantingOrder, audit: SurvivalAudit, context: Context
) -> list[object]:
    """The child order, at no price and without a quota: the partner makes good what it planted. None while its
    partner may not be asked, no season takes orders, or somebody else would have to pay for it."""
    season = _season(state, order, context)
    if season is None or not _is_owed(state, order) or stop_of(state, order, context) is not None:
        return []
    batch, agreed = state.batches[audit.batch_id], order_terms(state, order, context)
    missing = max(1, batch.verified - batch.verified * audit.alive // audit.n)
    number, old, now = context.new_id(), state.order_lines[batch.line_id], context.now
    line = OrderLine(
        id=line_id(number),
        order_id=number,
        species=old.species,
        site=old.site,
        granularity=old.granularity,
        unit_price_minor=0,
        currency=old.currency,
        tolerance_pct=agreed.tolerance_pct,
        ordered=missing,
        accepted=0,
        reported=0,
        verified=0,
        programme=old.programme,
    )
    child = new_order(number, order.partner, order.programme, season, order.agreement, now, now)
    child.kind, child.lines = "replacement", [line.id]
    return [
        *submission(state, child, [line], context, replaces=order.id),
        a.ReplacementOrdered(Replacement(number, order.id, batch.id, audit.id, missing, "open", now)),
    ]


def _is_owed(state: PartnerState, order: PlantingOrder) -> bool:
    """Whether the partner replaces at its own cost. Orders older than agreements are held to that."""
    agreement = agreement_of(state, order)
    return agreement is None or terms_of(agreement).replacement_pays == "partner"


def _season(state: PartnerState, order: PlantingOrder, context: Context) -> Season | None:
    """The next season that takes orders, by the order's agreement; of an older order by the one in force."""
    agreement = agreement_of(state, order)
    if agreement is None:
        partner = state.partner_records.get(order.partner)
        agreement = state.agreements.get(partner.agreement) if partner and partner.agreement else None
    return next(iter(terms_of(agreement).seasons_from(context.today())), None) if agreement else None


def _moved_trees(state: PartnerState, order: PlantingOrder, row: Replacement, now: int) -> list[object]:
    """Trees that are told apart and were found dead keep their numbers and stand in the child's batches now."""
    dead = [
        unit for unit in state.audits[row.audit_id].dead if state.tree_units[unit].batch_id == row.batch_id
    ]
    events: list[object] = []
    for line in state.partner_orders[row.id].lines:
        for name in state.order_lines[line].batches:
            standing = state.standings[name]
            room = standing.verified * standing.own_share_pct // 100 - standing.claimed
            units, dead = tuple(dead[:room]), dead[room:]
            if units:
                events += moved_claims(order.id, row.batch_id, row.id, name, units, "replaced", now)
    return events


# --- how it ends ----------------------------------------------------------------------------------


def _is_whole(state: PartnerState, order: PlantingOrder, settled: dict[int, str]) -> bool:
    """Every count that was planned found its band, or what it missed stands anew and has been watched to its end."""
    audits = state.audits.where("order_id", order.id)
    return bool(audits) and all(
        one.verdict in ("in_band", "inconclusive")
        or (one.verdict == "below_band" and _is_made_good(state, order, one, settled, ("completed",)))
        for one in audits
    )


def _wants(state: PartnerState, order: PlantingOrder, settled: dict[int, str]) -> bool:
    """Whether something found missing does not stand anew yet."""
    return any(
        not _is_made_good(state, order, audit, settled, STANDING_STATES) for audit in _below(state, order)
    )


def _is_made_good(
    state: PartnerState,
    order: PlantingOrder,
    audit: SurvivalAudit,
    settled: dict[int, str],
    states: tuple[str, ...],
) -> bool:
    return any(
        settled.get(row.id, row.state) == "done" and state.partner_orders[row.id].state in states
        for row in _for_audit(state, order, audit)
    )


def _complete(state: PartnerState, order: PlantingOrder, now: int) -> list[object]:
    events: list[object] = [e.OrderMoved(order.id, "completed", "all counts in band", None, now)]
    units = tuple(
        unit
        for line in order.lines
        for unit in state.order_lines[line].units
        if state.tree_units[unit].state == "verified"
    )
    if units:
        events.append(e.UnitsMoved(units, "established", now, order.season, order.id))
    return events


# --- looking around -------------------------------------------------------------------------------


def _verified(state: PartnerState, order: PlantingOrder) -> list[Batch]:
    names = [name for line in order.lines for name in state.order_lines[line].batches]
    return [batch for batch in (state.batches[name] for name in names) if batch.verified]


def _below(state: PartnerState, order: PlantingOrder) -> list[SurvivalAudit]:
    found = [one for one in state.audits.where("order_id", order.id) if one.verdict == "below_band"]
    return sorted(found, key=lambda audit: audit.id)


def _children(state: PartnerState, order: PlantingOrder) -> list[Replacement]:
    return sorted(state.replacements.where("parent_id", order.id), key=lambda row: row.id)


def _for_audit(state: PartnerState, order: PlantingOrder, audit: SurvivalAudit) -> list[Replacement]:
    return [row for row in _children(state, order) if row.audit_id == audit.id]


def _overdue(state: PartnerState, order: PlantingOrder, now: int) -> list[SurvivalAudit]:
    return [
        audit
        for audit in state.audits.where("order_id", order.id)
        if audit.state == "planned" and _last_instant(audit.due_on) < now
    ]


def _next_look(state: PartnerState, order: PlantingOrder, now: int) -> int:
    """The end of the next window; sooner while others' orders decide about this one."""
    if order.state == "replanting" or any(row.state != "failed" for row in _children(state, order)):
        return now + LOOK_AGAIN_MS
    ends = [
        _last_instant(audit.due_on)
        for audit in state.audits.where("order_id", order.id)
        if audit.state == "planned"
    ]
    return min((end for end in ends if end > now), default=now + 30 * LOOK_AGAIN_MS)


def _last_instant(on: str) -> int:
    return local_instant(date.fromisoformat(on), 0, "UTC") + DAY_MS - SECOND_MS
