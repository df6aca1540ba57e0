"""From a reported activity to a growing ball and an entry of the carbon record, and back again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from engine.core import exclusion
from engine.core.caps import Granted, booked_periods, capped_periods, periods_of, periods_of_act
from engine.core.commands import ReportActivity, ReverseActivity
from engine.core.context import Context, ripening_offset_s
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import (
    ActivityAccepted,
    ActivityReversed,
    ActivityRevised,
    Decision,
    RevisionRecorded,
)
from engine.core.exclusion import Entry
from engine.core.growing import bounds, new_ball
from engine.core.plans import Ready, ready_for
from engine.core.quantify import Assessment, assessed, counted_at
from engine.core.rules import Behaviour, Evidence, RuleBook
from engine.core.sent import ACCOUNT, account_key
from engine.core.state import Activity, GameState, Source, Touch, User
from engine.core.units import HOUR_MS, SECOND_MS, local_day, local_instant
from engine.core.weighing import (
    Weighing,
    entry_of,
    note_weighed,
    touches_of_known,
    touches_of_report,
)

# --- reporting ------------------------------------------------------------------------------------


def report_touches(command: ReportActivity, state: GameState) -> Iterator[Touch]:
    name = (command.source, command.activity)
    subject = (command.source, command.subject)
    yield Touch("sources", command.source)
    yield Touch("activities", name)
    yield Touch("links", subject)
    if name in state.activities and (known := state.activities.get(name)) is not None:
        yield from _known_touches(known, state)
        if command.revision is not None:
            yield Touch("revisions", (known.id, command.revision))
    if subject in state.links and (link := state.links.get(subject)) is not None:
        yield Touch("users", link.user_id)
        if link.user_id in state.users and (user := state.users.get(link.user_id)) is not None:
            yield from user_touches(command, state, user)


def user_touches(command: ReportActivity, state: GameState, user: User) -> Iterator[Touch]:
    """The caps of a report's user, and the acts that it may be compared with."""
    days = possible_days(command, user)
    account = account_key(command.attributes.get(ACCOUNT))
    for day in days:
        for period in periods_of(day.isoformat(), account):
            yield Touch("caps", (user.id, command.behaviour, period))
    yield from touches_of_report(state, user, days, command.at, command.attributes)


def _known_touches(known: Activity, state: GameState) -> Iterator[Touch]:
    yield Touch("users", known.user_id)
    yield Touch("balls", known.id)
    for period in periods_of(known.on, known.trace.get(ACCOUNT)):
        yield Touch("caps", (known.user_id, known.behaviour, period))
    yield from touches_of_known(state, known)


def possible_days(command: ReportActivity, user: User) -> set[date]:
    """The days that the report names, of its instant in either zone where a change is waiting for its midnight."""
    days = set() if command.on is None else {command.on}
    if command.at is not None:
        days |= {local_day(command.at, zone) for zone in (user.zone, user.next_zone or user.zone)}
    return days


def report(state: GameState, command: ReportActivity, context: Context) -> Decision:
    """Accept, recognise as a duplicate, record as a late revision, or refuse."""
    source = state.sources.get(command.source)
    if source is None:
        raise Rejected("unknown_source", source=command.source)
    if command.behaviour not in source.behaviours:
        raise Rejected("source_not_allowed", behaviour=command.behaviour)
    user = _linked_user(state, command)
    known = state.activities.get((command.source, command.activity))
    if known is None:
        return accept(state, command, user, source, context)[0]
    if known.user_id != user.id or known.behaviour != command.behaviour:
        raise Rejected("activity_conflict")
    if command.content == known.content:
        return Decision([], _answer(command.activity, "duplicate", known))
    if known.revision is None or command.revision is None:
        raise Rejected("activity_conflict")
    told = state.revisions.get((known.id, command.revision))
    if told is not None:
        if told.content == command.content:
            return Decision([], _answer(command.activity, "duplicate", known))
        raise Rejected("activity_conflict")
    rules = context.rules_made_by(known.trace, user.id)
    return _revise(state, _read(command, user, source, context, rules), known)


def _linked_user(state: GameState, command: ReportActivity) -> User:
    link = state.links.get((command.source, command.subject))
    if link is None or link.withdrawn_at is not None or command.behaviour not in link.behaviours:
        raise Rejected("not_linked")
    return active_user(state, link.user_id)


def _answer(activity_id: str, status: str, known: Activity, reason: str | None = None) -> dict[str, object]:
    """The reply to one activity as it is known."""
    if known.status == "reversed":
        reason = "activity_reversed"
    elif known.status == "excluded":
        reason = "excluded"
    return _worth_told(activity_id, status, known.id, known.energy_g, known.avoided_mg, reason)


def _worth_told(
    activity_id: str, status: str, act: int, energy_g: int, avoided_mg: int, reason: str | None
) -> dict[str, object]:
    """The reply to one activity: what it is worth now, and its ball if it has grams."""
    reply: dict[str, object] = {
        "id": activity_id,
        "status": status,
        "energy_g": energy_g,
        "avoided_mg": avoided_mg,
    }
    if energy_g > 0:
        reply["ball"] = str(act)
    if reason is not None:
        reply["reason"] = reason
    return reply


@dataclass(slots=True)
class _Reading:
    """A report with what counts for it: whose it is, in which zone, what is ready for its local day, its evidence."""

    command: ReportActivity
    user: User
    zone: str
    ready: Ready
    evidence: Evidence
    context: Context
    rules: RuleBook

    def assess(self) -> Assessment:
        """What the act is worth, before caps of the day and month."""
        command, kind = self.command, self.evidence.kind
        return assessed(self.rules, self.ready, command.quantity, command.unit, command.attributes, kind)

    def entry(
        self, act: int, worth: Assessment, accepted_at: int, ripens_at: int, is_late: bool
    ) -> Entry | None:
        """How the act is compared with others; None where its rule lets it stand for itself."""
        command, ready, behaviour = self.command, self.ready, self.ready.behaviour
        if behaviour.excludes == exclusion.NOTHING:
            return None
        at = None if behaviour.running_total else command.at
        begins, ends = exclusion.span_of(at, command.attributes, ready.game.overlap_window_s)
        return (
            Entry(  # by place: calls with names take three times as long, and every report makes these rows
                act,
                command.source,
                command.activity,
                command.behaviour,
                behaviour.family,
                behaviour.excludes,
                ready.day,
                begins,
                ends,
                self.evidence.grade,
                worth.energy_g,
                worth.avoided_mg,
                ripens_at,
                accepted_at,
                is_late,
                True,  # counts
            )
        )

    @property
    def is_late(self) -> bool:
        """Whether the report comes too late for the race for balls."""
        today = local_day(self.context.now, self.zone)
        return (today - self.ready.on).days > self.ready.in_force.ball.late_limit_d


def accept(
    state: GameState, command: ReportActivity, user: User, source: Source, context: Context
) -> tuple[Decision, Activity]:
    """A report that is new, as it enters the carbon record. Raises Rejected."""
    reading = _read(command, user, source, context, context.rules_of(user.id))
    ready, rule = reading.ready, reading.ready.in_force
    worth, ripens_at, activity_id = reading.assess(), _ripens_at(reading), context.new_id()
    is_late = reading.is_late
    entry = reading.entry(activity_id, worth, context.now, ripens_at, is_late)
    weighing = Weighing(state, user, context, entry)
    weighing.check_room(ready.game.day_acts_max)
    blocker, losers = weighing.blocker, weighing.losers()
    if blocker is None:
        periods = capped_periods(rule.caps, ready.day, worth.trace.get(ACCOUNT))
        granted = weighing.grant(rule, command.behaviour, periods, activity_id, worth.energy_g)
        status = "recorded" if is_late else "accepted"
    else:
        granted, status = Granted(0, (), worth.energy_g, "excluded"), "excluded"
    worth.trace["granted"] = granted.trace()
    activity = Activity(  # by place, as above
        activity_id,
        command.source,
        command.activity,
        user.id,
        command.behaviour,
        ready.day,
        command.at,
        str(command.quantity),
        command.unit,
        (command.revision or 0) if ready.behaviour.running_total else None,
        command.content,
        status,
        granted.energy_g,
        worth.avoided_mg if blocker is None else 0,
        context.now,
        None,  # reversed_at
        reading.evidence.kind,
        reading.evidence.grade,
        entry.family if entry else None,
        worth.trace,
    )
    if blocker is not None:
        note_weighed(activity, context.now, blocker.id)
    elif losers:
        activity.trace["excludes"] = [str(one.id) for one in losers]
    ball = new_ball(activity, ready.behaviour, rule.ball, ripens_at) if granted.energy_g else None
    if entry is not None and blocker is not None:
        entry = entry._replace(counts=False)
    excluded_by = (blocker.source, blocker.activity) if blocker else None
    accepted = ActivityAccepted(
        activity, ball, granted.periods, is_late and blocker is None, entry, excluded_by
    )
    reason = "late" if accepted.is_late else granted.reason
    events: list[object] = [*losers, accepted, *weighing.gainers()]
    reply = _worth_told(
        command.activity, "accepted", activity_id, granted.energy_g, activity.avoided_mg, reason
    )
    return Decision(events, reply), activity


def _read(command: ReportActivity, user: User, source: Source, context: Context, rules: RuleBook) -> _Reading:
    """What these rules have in force for the report on the act's local day. Raises Rejected."""
    behaviour = rules.behaviours.get(command.behaviour)
    if behaviour is None:
        raise Rejected("unknown_behaviour", behaviour=command.behaviour)
    zone = user.zone_at(context.now)
    if command.at is not None and not behaviour.running_total:
        on = local_day(command.at, zone)
        ahead_ms = command.at - context.now
        if ahead_ms > 0 and ahead_ms > rules.game_on(on).future_tolerance_s * SECOND_MS:
            raise Rejected("in_future")
    elif command.on is not None:
        on = command.on
        if on > local_day(context.now, zone):
            raise Rejected("in_future")
    else:
        raise Rejected("day_missing" if behaviour.running_total else "instant_missing")
    ready = ready_for(rules, command.behaviour, on, user.province)
    return _Reading(command, user, zone, ready, _evidence(behaviour, source, command), context, rules)


def _evidence(behaviour: Behaviour, source: Source, command: ReportActivity) -> Evidence:
    """What the act is shown by: the kind that is claimed, else the first that the source may claim. Raises Rejected."""
    claimed, allowed = command.evidence, source.evidence
    for one in behaviour.evidence:
        if (claimed is None or claimed == one.kind) and (not allowed or one.kind in allowed):
            return one
    raise Rejected(
        "wrong_evidence",
        behaviour=behaviour.id,
        evidence=claimed and claimed[:64],
        known=[one.kind for one in behaviour.evidence if not allowed or one.kind in allowed],
    )


def _ripens_at(reading: _Reading) -> int:
    """When the ball ripens by rule; a report that comes late ripens on acceptance."""
    command, ready, now = reading.command, reading.ready, reading.context.now
    policy = ready.in_force.ball
    if policy.ripens == "morning":
        offset_s = ripening_offset_s(reading.user.id, policy.morning_window_min * 60)
        due_at = local_instant(ready.next_on, policy.morning_from_min * 60 + offset_s, reading.zone)
    else:
        act_at = command.at
        if act_at is None:
            act_at = local_instant(ready.next_on, 0, reading.zone)
        base_at = counted_at(ready.in_force, act_at, command.attributes)
        if base_at != act_at and base_at > now + ready.game.future_tolerance_s * SECOND_MS:
            raise Rejected("in_future", attribute=policy.counts_from)
        due_at = base_at + policy.ripen_delay_h * HOUR_MS
    return max(due_at, now)


# --- revisions of a running total -----------------------------------------------------------------


def _revise(state: GameState, reading: _Reading, known: Activity) -> Decision:
    command, context = reading.command, reading.context
    revision = command.revision or 0
    if reading.ready.day != known.on:
        raise Rejected("activity_conflict")
    worth = reading.assess()
    late = _too_late(state, reading, known)
    is_live = known.status in ("accepted", "excluded")
    if late is not None or not is_live or revision < (known.revision or 0):
        recorded = RevisionRecorded(
            known.id, revision, str(command.quantity), command.content, context.now, True
        )
        return Decision([recorded], _answer(command.activity, "accepted", known, late or "superseded"))
    before = entry_of(state, known)
    entry = None
    if before is not None:
        entry = reading.entry(known.id, worth, known.accepted_at, _ripens_at(reading), reading.is_late)
    weighing = Weighing(state, reading.user, context, entry)
    losers = weighing.losers()
    event, granted = _revision(state, reading, known, weighing, entry, worth)
    avoided_mg = known.avoided_mg + event.avoided_delta_mg
    events: list[object] = [*losers, event, *weighing.gainers()]
    return Decision(
        events,
        _worth_told(command.activity, "accepted", known.id, granted.energy_g, avoided_mg, granted.reason),
    )


def _too_late(state: GameState, reading: _Reading, known: Activity) -> str | None:
    """Why a revision counts no more: its ball has ripened, or would have if it had had grams."""
    ball = state.balls.get(known.id)
    ripens_at = ball.ripens_at if ball is not None else _ripens_at(reading)
    return "after_ripening" if ripens_at <= reading.context.now else None


def _revision(
    state: GameState,
    reading: _Reading,
    known: Activity,
    weighing: Weighing,
    entry: Entry | None,
    worth: Assessment,
) -> tuple[ActivityRevised, Granted]:
    """The fact that the total has changed, and what the act was granted."""
    command, rule, blocker = reading.command, reading.ready.in_force, weighing.blocker
    old_ball = state.balls.get(known.id)
    gone_g = known.energy_g - (
        old_ball.remaining_g if old_ball else 0
    )  # collected before another act excluded it
    periods = periods_of_act(known, rule.caps)
    if blocker is None:
        weighing.room.release(command.behaviour, periods, known.id, known.energy_g)
        granted = weighing.grant(rule, command.behaviour, periods, known.id, worth.energy_g, gone_g)
    else:
        weighing.give_up(known, gone_g)
        granted = Granted(gone_g, periods, worth.energy_g, "excluded")
    worth.trace["granted"] = granted.trace()
    avoided_mg = worth.avoided_mg if blocker is None else 0
    ball = None
    if granted.energy_g > 0 and old_ball is None:
        revised = replace(known, energy_g=granted.energy_g, avoided_mg=avoided_mg)
        ball = new_ball(revised, reading.ready.behaviour, rule.ball, _ripens_at(reading))
    floor_g, share_min_g, share_max_g = bounds(granted.energy_g, rule.ball)
    event = ActivityRevised(
        source=command.source,
        activity=command.activity,
        id=known.id,
        user=reading.user.id,
        revision=command.revision or 0,
        quantity=str(command.quantity),
        content=command.content,
        energy_delta_g=granted.energy_g - known.energy_g,
        avoided_delta_mg=avoided_mg - known.avoided_mg,
        ball=ball,
        floor_g=floor_g,
        share_min_g=share_min_g,
        share_max_g=share_max_g,
        cap_periods=periods,
        trace=worth.trace,
        at=reading.context.now,
        status="accepted" if blocker is None else "excluded",
        evidence=reading.evidence.kind,
        grade=reading.evidence.grade,
        entry=entry if entry is None or blocker is None else entry._replace(counts=False),
        excluded_by=(blocker.source, blocker.activity) if blocker else None,
        excluded_by_id=blocker.id if blocker else None,
    )
    return event, granted


# --- reversal -------------------------------------------------------------------------------------


def reverse_touches(command: ReverseActivity, state: GameState) -> Iterator[Touch]:
    name = (command.source, command.activity)
    yield Touch("activities", name)
    if name in state.activities and (known := state.activities.get(name)) is not None:
        yield from _known_touches(known, state)


def reverse(state: GameState, command: ReverseActivity, context: Context) -> Decision:
    """Uncollected grams and all avoided emissions go back; collected grams become the actor's debt."""
    known = state.activities.get((command.source, command.activity))
    if known is None:
        raise Rejected("unknown_activity")
    if known.status == "reversed":
        return Decision([], _answer(command.activity, "duplicate", known))
    ball = state.balls.get(known.id)
    left_g = ball.remaining_g if ball else 0
    taken_g = sum(taker[1] for taker in ball.takers) if ball else 0
    event = ActivityReversed(
        source=command.source,
        activity=command.activity,
        id=known.id,
        user=known.user_id,
        from_ball_g=left_g,
        from_expired_g=(ball.full_g - left_g - taken_g) if ball else 0,
        owed_g=taken_g,
        avoided_mg=known.avoided_mg,
        cap_periods=booked_periods(known.on, known.trace),
        at=context.now,
    )
    weighing = Weighing(state, state.users[known.user_id], context, entry_of(state, known), is_gone=True)
    weighing.room.release(known.behaviour, event.cap_periods, known.id, known.energy_g)
    reply: dict[str, object] = {
        "id": command.activity,
        "status": "reversed",
        "energy_g": 0,
        "avoided_mg": 0,
        "owed_g": taken_g,
    }
    return Decision([event, *weighing.losers(), *weighing.gainers()], reply)
