"""From a reported activity to a growing ball and an entry of the carbon record, and back again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

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
from engine.core.quantify import Assessment, assess, counted_at
from engine.core.rules import BallPolicy, Behaviour, BehaviourInForce
from engine.core.state import Activity, Ball, CapUse, GameState, Revision, Touch, User
from engine.core.units import HOUR_MS, SECOND_MS, local_day, local_instant


def _periods(on: date | str) -> tuple[str, str]:
    """The day and the month whose caps an act of that day uses."""
    day = str(on)
    return day, day[:7]


# --- reporting ------------------------------------------------------------------------------------


def report_touches(command: ReportActivity, state: GameState) -> Iterator[Touch]:
    name = (command.source, command.activity)
    subject = (command.source, command.subject)
    yield Touch("sources", command.source)
    yield Touch("activities", name)
    yield Touch("links", subject)
    if name in state.activities and (known := state.activities.get(name)) is not None:
        yield from _known_touches(known)
        if command.revision is not None:
            yield Touch("revisions", (known.id, command.revision))
    if subject in state.links and (link := state.links.get(subject)) is not None:
        yield Touch("users", link.user_id)
        if link.user_id in state.users and (user := state.users.get(link.user_id)) is not None:
            for day in _possible_days(command, user):
                for period in _periods(day):
                    yield Touch("caps", (user.id, command.behaviour, period))


def _known_touches(known: Activity) -> Iterator[Touch]:
    yield Touch("users", known.user_id)
    yield Touch("balls", known.id)
    for period in _periods(known.on):
        yield Touch("caps", (known.user_id, known.behaviour, period))


def _possible_days(command: ReportActivity, user: User) -> set[date]:
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
        return _accept(state, command, user, context)
    if known.user_id != user.id or known.behaviour != command.behaviour:
        raise Rejected("activity_conflict")
    if command.content == known.content:
        return Decision([], _answer(command.activity, "duplicate", known))
    if known.revision is None or command.revision is None:
        raise Rejected("activity_conflict")
    return _revise(state, command, known, user, context)


def _linked_user(state: GameState, command: ReportActivity) -> User:
    link = state.links.get((command.source, command.subject))
    if link is None or link.withdrawn_at is not None or command.behaviour not in link.behaviours:
        raise Rejected("not_linked")
    return active_user(state, link.user_id)


def _answer(
    activity_id: str, status: str, known: Activity, reason: str | None = None, ball: bool | None = None
) -> dict[str, object]:
    """The reply to one activity: what it is worth now, and its ball if it has grams."""
    reply: dict[str, object] = {
        "id": activity_id,
        "status": status,
        "energy_g": known.energy_g,
        "avoided_mg": known.avoided_mg,
    }
    if ball if ball is not None else known.energy_g > 0:
        reply["ball"] = str(known.id)
    if known.status == "reversed":
        reason = "activity_reversed"
    if reason is not None:
        reply["reason"] = reason
    return reply


@dataclass(slots=True)
class _Reading:
    """A report with what counts for it: whose it is, its local day, and the rule in force on that day."""

    command: ReportActivity
    user: User
    behaviour: Behaviour
    rule: BehaviourInForce
    on: date
    context: Context

    def assess(self) -> Assessment:
        """What the act is worth, before caps of the day and month."""
        command = self.command
        return assess(
            self.context.rules,
            command.behaviour,
            command.quantity,
            command.unit,
            self.on,
            command.attributes,
            self.user.province,
        )


def _accept(state: GameState, command: ReportActivity, user: User, context: Context) -> Decision:
    reading = _read(command, user, context)
    behaviour, rule, on = reading.behaviour, reading.rule, reading.on
    worth = reading.assess()
    granted = _grant(state, user.id, rule, command.behaviour, on, worth.energy_g, None)
    today = local_day(context.now, user.zone_at(context.now))
    is_late = (today - on).days > rule.ball.late_limit_d
    activity_id = context.new_id()
    ripens_at = _ripens_at(reading)
    activity = Activity(
        id=activity_id,
        source=command.source,
        activity=command.activity,
        user_id=user.id,
        behaviour=command.behaviour,
        on=on.isoformat(),
        at=command.at,
        quantity=str(command.quantity),
        unit=command.unit,
        revision=(command.revision or 0) if behaviour.running_total else None,
        content=command.content,
        status="recorded" if is_late else "accepted",
        energy_g=granted.energy_g,
        avoided_mg=worth.avoided_mg,
        accepted_at=context.now,
        reversed_at=None,
        trace={**worth.trace, "granted": granted.trace()},
    )
    ball = _new_ball(activity, behaviour, rule.ball, ripens_at) if granted.energy_g else None
    accepted = ActivityAccepted(activity, ball, granted.periods, is_late)
    reason = "late" if is_late else granted.reason
    return Decision([accepted], _answer(command.activity, "accepted", activity, reason))


def _read(command: ReportActivity, user: User, context: Context) -> _Reading:
    """What is in force for the report on the act's local day. Raises Rejected."""
    behaviour = context.rules.behaviours.get(command.behaviour)
    if behaviour is None:
        raise Rejected("unknown_behaviour", behaviour=command.behaviour)
    zone = user.zone_at(context.now)
    if command.at is not None and not behaviour.running_total:
        on = local_day(command.at, zone)
        if command.at > context.now + context.rules.game_on(on).future_tolerance_s * 1000:
            raise Rejected("in_future")
    elif command.on is not None:
        on = command.on
        if on > local_day(context.now, zone):
            raise Rejected("in_future")
    else:
        raise Rejected("day_missing" if behaviour.running_total else "instant_missing")
    rule = behaviour.on(on)
    if rule is None:
        raise Rejected("not_in_force", behaviour=command.behaviour, on=on.isoformat())
    return _Reading(command, user, behaviour, rule, on, context)


def _ripens_at(reading: _Reading) -> int:
    """When the ball ripens by rule; a report that comes late ripens on acceptance."""
    command, user, context, policy = reading.command, reading.user, reading.context, reading.rule.ball
    zone = user.zone_at(context.now)
    next_day = reading.on + timedelta(days=1)
    if policy.ripens == "morning":
        offset_s = ripening_offset_s(user.id, policy.morning_window_min * 60)
        due_at = local_instant(next_day, policy.morning_from_min * 60 + offset_s, zone)
    else:
        act_at = command.at if command.at is not None else local_instant(next_day, 0, zone)
        base_at = counted_at(reading.rule, act_at, command.attributes)
        tolerance_ms = context.rules.game_on(reading.on).future_tolerance_s * SECOND_MS
        if base_at != act_at and base_at > context.now + tolerance_ms:
            raise Rejected("in_future", attribute=policy.counts_from)
        due_at = base_at + policy.ripen_delay_h * HOUR_MS
    return max(due_at, context.now)


def _new_ball(activity: Activity, behaviour: Behaviour, policy: BallPolicy, ripens_at: int) -> Ball:
    floor_g, share_min_g, share_max_g = _bounds(activity.energy_g, policy)
    return Ball(
        id=activity.id,
        owner=activity.user_id,
        behaviour=activity.behaviour,
        others_see=_shown_as(behaviour),
        full_g=activity.energy_g,
        remaining_g=activity.energy_g,
        floor_g=floor_g,
        share_min_g=share_min_g,
        share_max_g=share_max_g,
        avoided_mg=activity.avoided_mg,
        ripens_at=ripens_at,
        friends_from_at=ripens_at + policy.head_start_s * 1000,
        expires_at=ripens_at + policy.life_h * HOUR_MS,
        takers=[],
    )


def _shown_as(behaviour: Behaviour) -> str:
    """What other viewers are told about the act: its category, the behaviour itself, or only grams."""
    if behaviour.others_see == "category":
        return behaviour.category
    return behaviour.id if behaviour.others_see == "behaviour" else "grams"


def _bounds(full_g: int, policy: BallPolicy) -> tuple[int, int, int]:
    """Owner's floor (rounded up) and the bounds of a friend's share (at least one gram) of a full ball."""
    floor_g = -(-full_g * policy.floor_pct // 100)
    share_min_g = max(1, full_g * policy.share_min_pct // 100)
    return floor_g, share_min_g, max(share_min_g, full_g * policy.share_max_pct // 100)


# --- caps -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Granted:
    """What caps leave of the grams that an act is worth, which periods it uses, and why it is less."""

    energy_g: int
    periods: tuple[str, ...]
    raw_g: int
    reason: str | None = None
    used_by: tuple[int, ...] = ()

    def trace(self) -> dict[str, object]:
        about: dict[str, object] = {"raw_g": self.raw_g, "energy_g": self.energy_g}
        if self.reason is not None:
            about |= {"reason": self.reason, "used_by": [str(act) for act in self.used_by]}
        return about


def _grant(
    state: GameState,
    user: int,
    rule: BehaviourInForce,
    behaviour: str,
    on: date,
    raw_g: int,
    known: Activity | None,
) -> _Granted:
    """Gram caps cut, count caps refuse; `known` frees what an earlier revision of the same act holds."""
    caps = rule.caps
    periods = _periods(on)
    limits = (
        ("day", periods[0], caps.day_g, caps.day_count),
        ("month", periods[1], caps.month_g, caps.month_count),
    )
    energy_g, reason, used_by = raw_g, None, ()
    for name, period, limit_g, limit_count in limits:
        if limit_g is None and limit_count is None:
            continue
        use = state.caps.get((user, behaviour, period)) or CapUse(user, behaviour, period, 0, 0, [])
        own_g = known.energy_g if known is not None and known.id in use.acts else 0
        others = [act for act in use.acts if known is None or act != known.id]
        if limit_count is not None and len(others) >= limit_count and raw_g:
            return _Granted(0, (), raw_g, f"cap_{name}_count", tuple(others))
        if limit_g is not None and limit_g - (use.used_g - own_g) < energy_g:
            energy_g, reason, used_by = max(0, limit_g - (use.used_g - own_g)), f"cap_{name}_g", tuple(others)
    return _Granted(energy_g, periods if energy_g else (), raw_g, reason, used_by)


def _use_caps(state: GameState, act: Activity, periods: tuple[str, ...], energy_delta_g: int) -> None:
    """Book what an act takes from its caps; an act that falls to nothing frees its slot."""
    for period in periods:
        key = (act.user_id, act.behaviour, period)
        if state.caps.get(key) is None:
            state.caps.add(key, CapUse(act.user_id, act.behaviour, period, 0, 0, []))
        use = state.caps.rewrite(key)
        use.used_g += energy_delta_g
        if act.energy_g and act.id not in use.acts:
            use.acts.append(act.id)
        elif not act.energy_g and act.id in use.acts:
            use.acts.remove(act.id)
        use.used_count = len(use.acts)


# --- revisions of a running total -----------------------------------------------------------------


def _revise(
    state: GameState, command: ReportActivity, known: Activity, user: User, context: Context
) -> Decision:
    revision = command.revision or 0
    told = state.revisions.get((known.id, revision))
    if told is not None:
        if told.content == command.content:
            return Decision([], _answer(command.activity, "duplicate", known))
        raise Rejected("activity_conflict")
    reading = _read(command, user, context)
    if reading.on.isoformat() != known.on:
        raise Rejected("activity_conflict")
    worth = reading.assess()
    late = _too_late(state, reading, known)
    if late is not None or known.status != "accepted" or revision < (known.revision or 0):
        recorded = RevisionRecorded(
            known.id, revision, str(command.quantity), command.content, context.now, True
        )
        return Decision([recorded], _answer(command.activity, "accepted", known, late or "superseded"))
    granted = _grant(state, user.id, reading.rule, command.behaviour, reading.on, worth.energy_g, known)
    event = _revision(state, reading, known, granted, worth)
    reply = _answer(command.activity, "accepted", known, granted.reason, granted.energy_g > 0)
    reply |= {"energy_g": granted.energy_g, "avoided_mg": worth.avoided_mg}
    return Decision([event], reply)


def _too_late(state: GameState, reading: _Reading, known: Activity) -> str | None:
    """Why a revision counts no more: its ball has ripened, or would have if it had had grams."""
    ball = state.balls.get(known.id)
    ripens_at = ball.ripens_at if ball is not None else _ripens_at(reading)
    return "after_ripening" if ripens_at <= reading.context.now else None


def _revision(
    state: GameState, reading: _Reading, known: Activity, granted: _Granted, worth: Assessment
) -> ActivityRevised:
    """The fact that the total has changed."""
    command, policy = reading.command, reading.rule.ball
    ball = None
    if granted.energy_g > 0 and state.balls.get(known.id) is None:
        revised = replace(known, energy_g=granted.energy_g, avoided_mg=worth.avoided_mg)
        ball = _new_ball(revised, reading.behaviour, policy, _ripens_at(reading))
    floor_g, share_min_g, share_max_g = _bounds(granted.energy_g, policy)
    return ActivityRevised(
        source=command.source,
        activity=command.activity,
        id=known.id,
        user=reading.user.id,
        revision=command.revision or 0,
        quantity=str(command.quantity),
        content=command.content,
        energy_delta_g=granted.energy_g - known.energy_g,
        avoided_delta_mg=worth.avoided_mg - known.avoided_mg,
        ball=ball,
        floor_g=floor_g,
        share_min_g=share_min_g,
        share_max_g=share_max_g,
        cap_periods=_periods(reading.on),
        trace={**worth.trace, "granted": granted.trace()},
        at=reading.context.now,
    )


# --- reversal -------------------------------------------------------------------------------------


def reverse_touches(command: ReverseActivity, state: GameState) -> Iterator[Touch]:
    name = (command.source, command.activity)
    yield Touch("activities", name)
    if name in state.activities and (known := state.activities.get(name)) is not None:
        yield from _known_touches(known)


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
        cap_periods=_periods(known.on),
        at=context.now,
    )
    reply: dict[str, object] = {
        "id": command.activity,
        "status": "reversed",
        "energy_g": 0,
        "avoided_mg": 0,
        "owed_g": taken_g,
    }
    return Decision([event], reply)


# --- evolve ---------------------------------------------------------------------------------------


def accepted(state: GameState, event: ActivityAccepted) -> None:
    act, ball = event.activity, event.ball
    state.activities.add((act.source, act.activity), act)
    if act.revision is not None:
        revision = Revision(act.id, act.revision, act.quantity, act.content, True, act.accepted_at)
        state.revisions.add((act.id, act.revision), revision)
    if ball is not None:
        state.balls.add(ball.id, ball)
        if event.is_late:
            ball.remaining_g = 0
            ball.expires_at = ball.ripens_at
    state.users.edit(act.user_id).avoided_mg += act.avoided_mg
    _use_caps(state, act, event.cap_periods, act.energy_g)


def revised(state: GameState, event: ActivityRevised) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    act.revision, act.quantity, act.content = event.revision, event.quantity, event.content
    act.energy_g += event.energy_delta_g
    act.avoided_mg += event.avoided_delta_mg
    act.trace = event.trace
    revision = Revision(act.id, event.revision, event.quantity, event.content, True, event.at)
    state.revisions.add((act.id, event.revision), revision)
    state.users.edit(act.user_id).avoided_mg += event.avoided_delta_mg
    if event.ball is not None:
        state.balls.add(act.id, event.ball)
    elif state.balls.get(act.id) is not None:
        ball = state.balls.rewrite(act.id)
        ball.full_g += event.energy_delta_g
        ball.remaining_g += event.energy_delta_g
        ball.avoided_mg = act.avoided_mg
        ball.floor_g, ball.share_min_g, ball.share_max_g = (
            event.floor_g,
            event.share_min_g,
            event.share_max_g,
        )
    _use_caps(state, act, event.cap_periods, event.energy_delta_g)


def recorded(state: GameState, event: RevisionRecorded) -> None:
    revision = Revision(event.id, event.revision, event.quantity, event.content, False, event.at)
    state.revisions.add((event.id, event.revision), revision)


def reversed_(state: GameState, event: ActivityReversed) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    freed_g = act.energy_g
    act.status, act.reversed_at = "reversed", event.at
    user = state.users.edit(event.user)
    user.avoided_mg -= event.avoided_mg
    user.debt_g += event.owed_g
    if event.from_ball_g or state.balls.get(event.id) is not None:
        state.balls.edit(event.id).remaining_g -= event.from_ball_g
    act.energy_g = act.avoided_mg = 0
    _use_caps(state, act, event.cap_periods, -freed_g)
