"""What the events of activities make of the rows: the carbon record, balls, caps, and which acts count."""

from engine.core.caps import take_caps, use_caps
from engine.core.events import (
    ActivityAccepted,
    ActivityExcluded,
    ActivityRestored,
    ActivityReversed,
    ActivityRevised,
    RevisionRecorded,
)
from engine.core.showing import note_shown
from engine.core.shown import OWN_SOURCE
from engine.core.state import GameState, Revision
from engine.core.weighing import (
    add_entry,
    drop_entry,
    entry_of,
    mark_counting,
    note_excludes,
    note_weighed,
    put_entry,
)


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
    take_caps(state, act, event.cap_periods)
    if event.entry is not None:
        add_entry(state, act.user_id, event.entry)
    if event.excluded_by is not None:
        note_excludes(state, event.excluded_by, act.id)
    if act.source == OWN_SOURCE:
        note_shown(state, event)


def revised(state: GameState, event: ActivityRevised) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    act.revision, act.quantity, act.content = event.revision, event.quantity, event.content
    act.evidence, act.grade = event.evidence, event.grade
    act.energy_g += event.energy_delta_g
    act.avoided_mg += event.avoided_delta_mg
    act.trace = event.trace | {name: act.trace[name] for name in ("weighed", "excludes") if name in act.trace}
    if act.status != event.status:
        act.status = event.status
        note_weighed(act, event.at, event.excluded_by_id)
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
    use_caps(state, act, event.cap_periods, event.energy_delta_g)
    if event.entry is not None:
        put_entry(state, act.user_id, event.entry)
    if event.excluded_by is not None:
        note_excludes(state, event.excluded_by, act.id)


def excluded(state: GameState, event: ActivityExcluded) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    act.status = "excluded"
    act.energy_g -= event.from_ball_g
    act.avoided_mg -= event.avoided_mg
    note_weighed(act, event.at, event.by_id)
    state.users.edit(event.user).avoided_mg -= event.avoided_mg
    if state.balls.get(event.id) is not None:
        ball = state.balls.rewrite(event.id)
        ball.avoided_mg = act.avoided_mg
        if event.from_ball_g:  # what is left of its full grams was taken, so nothing is kept from friends
            ball.full_g -= event.from_ball_g
            ball.remaining_g, ball.floor_g = ball.remaining_g - event.from_ball_g, 0
    use_caps(state, act, event.cap_periods, -event.from_ball_g)
    mark_counting(state, event.user, event.period, event.id, False)
    if event.by in state.activities and state.activities.get(event.by) is not None:
        note_excludes(state, event.by, event.id)


def restored(state: GameState, event: ActivityRestored) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    if act.status == "excluded":
        entry = entry_of(state, act)
        act.status = "recorded" if entry is not None and entry.is_late else "accepted"
    act.energy_g += event.energy_g
    act.avoided_mg += event.avoided_mg
    act.trace = {**act.trace, "granted": event.granted}
    note_weighed(act, event.at, None)
    state.users.edit(event.user).avoided_mg += event.avoided_mg
    if event.ball is not None and state.balls.get(event.id) is None:
        state.balls.add(event.id, event.ball)
    elif event.ball is not None:
        state.balls.put(event.id, event.ball)
    use_caps(state, act, event.cap_periods, event.energy_g)
    mark_counting(state, event.user, event.period, event.id, True)


def recorded(state: GameState, event: RevisionRecorded) -> None:
    revision = Revision(event.id, event.revision, event.quantity, event.content, False, event.at)
    state.revisions.add((event.id, event.revision), revision)


def reversed_(state: GameState, event: ActivityReversed) -> None:
    act = state.activities.rewrite((event.source, event.activity))
    freed_g = act.energy_g
    act.status, act.reversed_at = "reversed", event.at
    drop_entry(state, act)
    user = state.users.edit(event.user)
    user.avoided_mg -= event.avoided_mg
    user.debt_g += event.owed_g
    if event.from_ball_g or state.balls.get(event.id) is not None:
        state.balls.edit(event.id).remaining_g -= event.from_ball_g
    act.energy_g = act.avoided_mg = 0
    use_caps(state, act, event.cap_periods, -freed_g)
