"""Acts that only the user can show: photos kept once, acts shown by them, and the people who look at some of them.

A shown act has the lowest evidence grade. Knows a photo by its hashes alone: never a file or a pixel.
"""

from collections.abc import Iterator
from dataclasses import replace

from engine.core import activities
from engine.core.commands import KeepPhoto, ReportActivity, ReverseActivity, ReviewActivity, SubmitActivity
from engine.core.context import DRAW_MAX, Context
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import ActivityAccepted, Decision, PhotoKept, ReviewDecided, ReviewOpened
from engine.core.rules import USER_SHOWN_GRADE, Behaviour
from engine.core.shown import OWN_SOURCE, Photo, Review, ShownDay
from engine.core.state import Activity, GameState, Source, Touch
from engine.core.units import local_day

# --- photos -----------------------------------------------------------------------------------------


def keep_touches(command: KeepPhoto, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("photos", command.sha256)


def keep_photo(state: GameState, command: KeepPhoto, context: Context) -> Decision:
    """Keep what was uploaded. The same bytes of anybody else, or used before, are refused (photo_reused)."""
    active_user(state, command.user)
    known = state.photos.get(command.sha256)
    if known is not None:
        if known.user_id != command.user or known.activity_id is not None:
            raise Rejected("photo_reused")
        return Decision([], _photo_reply(known))
    photo = Photo(
        sha256=command.sha256,
        user_id=command.user,
        file=command.file,
        width=command.width,
        height=command.height,
        looks=command.looks,
        band_a=command.looks[0:4],
        band_b=command.looks[4:8],
        band_c=command.looks[8:12],
        band_d=command.looks[12:16],
        alike=list(command.alike),
        taken_at=command.taken_at,
        latitude_e6=command.latitude_e6,
        longitude_e6=command.longitude_e6,
        kept_at=context.now,
        activity_id=None,
    )
    return Decision([PhotoKept(photo)], _photo_reply(photo))


def _photo_reply(photo: Photo) -> dict[str, object]:
    return {"photo": photo.sha256, "width": photo.width, "height": photo.height}


def photo_kept(state: GameState, event: PhotoKept) -> None:
    state.photos.add(event.photo.sha256, event.photo)


# --- showing ----------------------------------------------------------------------------------------


def submit_touches(command: SubmitActivity, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("photos", command.photo)
    yield Touch("activities", (OWN_SOURCE, command.key))
    if command.user in state.users and (user := state.users.get(command.user)) is not None:
        report = _as_report(command)
        yield from activities.user_touches(report, state, user)
        for day in activities.possible_days(report, user):
            yield Touch("shown_days", (user.id, day.isoformat()))


def _as_report(command: SubmitActivity) -> ReportActivity:
    return ReportActivity(
        source=OWN_SOURCE,
        activity=command.key,
        subject="",
        behaviour=command.behaviour,
        quantity=command.quantity,
        unit=command.unit,
        content=command.photo,
        at=command.at,
        on=command.on,
        attributes=command.attributes,
    )


def submit_activity(state: GameState, command: SubmitActivity, context: Context) -> Decision:
    """Accept what a user shows, by the lowest grade that the behaviour's rule allows; some of it is looked at."""
    user = active_user(state, command.user)
    photo = state.photos.get(command.photo)
    if photo is None or photo.user_id != command.user:
        raise Rejected("unknown_photo")
    if photo.activity_id is not None:
        raise Rejected("photo_reused")
    rules = context.rules_of(user.id)
    behaviour = rules.behaviours.get(command.behaviour)
    if behaviour is None:
        raise Rejected("unknown_behaviour", behaviour=command.behaviour)
    if behaviour.running_total:
        raise Rejected("not_shown", behaviour=behaviour.id)
    decision, act = activities.accept(state, _as_report(command), user, _own_source(behaviour), context)
    day = state.shown_days.get((user.id, act.on))
    shown_max = rules.game_on(local_day(context.now, user.zone_at(context.now))).shown_day_max
    if day is not None and len(day.acts) >= shown_max:
        raise Rejected("too_many_shown", shown_max=shown_max)
    decision.reply["activity"] = str(act.id)
    reason = _why_reviewed(photo, act, user.zone_at(context.now), context)
    if reason is not None:
        review = Review(
            act.id, OWN_SOURCE, act.activity, user.id, photo.sha256, reason, "waiting", context.now
        )
        decision.events.append(ReviewOpened(review))
    return decision


def _own_source(behaviour: Behaviour) -> Source:
    """The user as a source: of the kinds of evidence that the rule knows, only the user's word."""
    kinds = [one.kind for one in behaviour.evidence if one.grade == USER_SHOWN_GRADE]
    if not kinds:
        raise Rejected("not_shown", behaviour=behaviour.id)
    return Source(OWN_SOURCE, "", "", None, None, [behaviour.id], 0, evidence=kinds)


def _why_reviewed(photo: Photo, act: Activity, zone: str, context: Context) -> str | None:
    """Everything suspicious is looked at, and a share of the rest that nobody can foresee."""
    if photo.alike:
        return "alike"
    if photo.taken_at is not None and local_day(photo.taken_at, zone).isoformat() != act.on:
        return "other_day"
    share_pct = context.rules_of(act.user_id).game_on(local_day(context.now, zone)).review_share_pct
    return "sample" if context.draw(act.id, act.user_id) * 100 < share_pct * DRAW_MAX else None


def note_shown(state: GameState, event: ActivityAccepted) -> None:
    """What a shown act uses: its photo, for ever, and a place in its day."""
    act = event.activity
    photo = state.photos.rewrite(act.content)
    photo.activity_id = act.id
    key = (act.user_id, act.on)
    if state.shown_days.get(key) is None:
        state.shown_days.add(key, ShownDay(act.user_id, act.on, []))
    state.shown_days.rewrite(key).acts.append(act.id)


# --- looking at it ----------------------------------------------------------------------------------


def review_touches(command: ReviewActivity, state: GameState) -> Iterator[Touch]:
    yield Touch("shown_reviews", command.activity)
    if (
        command.activity in state.shown_reviews
        and (row := state.shown_reviews.get(command.activity)) is not None
    ):
        yield from activities.reverse_touches(ReverseActivity(row.source, row.activity), state)


def review_activity(state: GameState, command: ReviewActivity, context: Context) -> Decision:
    """Accept what was shown, or refuse it: then it is reversed as if its source had taken it back."""
    row = state.shown_reviews.get(command.activity)
    if row is None:
        raise Rejected("unknown_review")
    wanted = "accepted" if command.accept else "refused"
    reply: dict[str, object] = {"activity": str(command.activity), "state": wanted}
    if row.state != "waiting":
        if row.state == wanted:
            return Decision([], reply)
        raise Rejected("review_decided", state=row.state)
    events: list[object] = []
    if not command.accept:
        undone = activities.reverse(state, ReverseActivity(row.source, row.activity, command.note), context)
        events += undone.events
        reply["owed_g"] = undone.reply.get("owed_g", 0)
    decided = replace(row, state=wanted, decided_at=context.now, decided_by=command.by, note=command.note)
    return Decision([*events, ReviewDecided(decided)], reply)


def review_opened(state: GameState, event: ReviewOpened) -> None:
    state.shown_reviews.add(event.review.activity_id, event.review)


def review_decided(state: GameState, event: ReviewDecided) -> None:
    state.shown_reviews.put(event.review.activity_id, event.review)


# --- erasure ----------------------------------------------------------------------------------------


def erase_photos(state: GameState, photos: list[str], reviews: list[int]) -> None:
    """Of photos only their hashes stay, so that nobody shows them again; what waits is looked at no more."""
    for sha256 in photos:
        photo = state.photos[sha256]
        gone = replace(photo, user_id=None, file=None, taken_at=None, latitude_e6=None, longitude_e6=None)
        state.photos.put(sha256, gone)
    for activity in reviews:
        state.shown_reviews.put(activity, replace(state.shown_reviews[activity], state="erased"))
