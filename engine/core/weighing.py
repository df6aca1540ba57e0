"""What becomes of the acts around one when it comes, changes or goes: who loses, who counts again, and for how much.

Finds the rows by `exclusion` and says it in events; what was collected from a loser stays with its collectors, and is
taken off what the act that counts in its place is given.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date

from engine.core import exclusion
from engine.core.caps import Granted, Room, booked_periods, periods_of, periods_of_act
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import ActivityExcluded, ActivityRestored
from engine.core.exclusion import Entry
from engine.core.growing import grown_again, new_ball
from engine.core.rules import BehaviourInForce
from engine.core.sent import ACCOUNT
from engine.core.state import Activity, GameState, Occasions, Touch, User
from engine.core.units import local_day

WEIGHED_KEPT = 40  # how often an act changed sides, as its trace remembers


# --- what is touched --------------------------------------------------------------------------------


def touches_of_report(
    state: GameState, user: User, days: Iterable[date], at: int | None, attributes: Mapping[str, object]
) -> Iterator[Touch]:
    """The rows that a report may be compared by, and all that hangs together with acts near it."""
    named = frozenset(days)
    reach = None if at is None else exclusion.reach_of(at, attributes)
    rows = set(named)
    if reach is not None:
        for zone in {user.zone, user.next_zone or user.zone}:
            rows.add(local_day(reach[0] - exclusion.SPAN_MS_MAX, zone))
            rows.add(local_day(reach[1], zone))
    yield from _touches(state, user.id, named, frozenset(rows), reach)


def touches_of_known(state: GameState, known: Activity) -> Iterator[Touch]:
    """The same for an act that is known."""
    if known.family is None:
        return
    day = date.fromisoformat(known.on)
    entry = entry_of(state, known)
    reach = (entry.begins, entry.ends) if entry is not None and entry.ends else None
    days = frozenset((day,))
    yield from _touches(state, known.user_id, days, frozenset(exclusion.neighbours(day)), reach)


def _touches(
    state: GameState,
    user: int,
    days: frozenset[date],
    rows: frozenset[date],
    reach: tuple[int, int] | None,
) -> Iterator[Touch]:
    is_loaded = True
    for period in exclusion.periods_of(rows):
        yield Touch("occasions", (user, period))
        is_loaded = is_loaded and (user, period) in state.occasions
    if not is_loaded:
        return
    found = [entry for period in exclusion.periods_around(rows) for entry in _loaded(state, user, period)]
    if not found:
        return
    names = frozenset(day.isoformat() for day in days)
    near = [entry for entry in found if exclusion.is_near(entry, names, reach)]
    for entry in exclusion.connected(found, near):
        yield Touch("activities", (entry.source, entry.activity))
        yield Touch("balls", entry.id)
        for period in periods_of(entry.on, _account_of(state, entry)):
            yield Touch("caps", (user, entry.behaviour, period))


def _account_of(state: GameState, entry: Entry) -> str | None:
    """The account that an act was reported for, once its row is loaded."""
    act = state.activities.peek((entry.source, entry.activity))
    return act.trace.get(ACCOUNT) if act is not None else None


def _loaded(state: GameState, user: int, period: str) -> list[Entry]:
    row = state.occasions.peek((user, period))
    return row.acts if row is not None else []


def entry_of(state: GameState, known: Activity) -> Entry | None:
    """How a known act is compared; None where it stands for itself."""
    if known.family is None:
        return None
    for period in (known.on, known.on[:7]):
        for entry in _loaded(state, known.user_id, period):
            if entry.id == known.id:
                return entry
    return None


# --- deciding ---------------------------------------------------------------------------------------


class Weighing:
    """One act among those around it, with the caps of its user."""

    def __init__(
        self, state: GameState, user: User, context: Context, entry: Entry | None, is_gone: bool = False
    ) -> None:
        """`entry` is the act as it is now (or was, where `is_gone`); None: nothing excludes it."""
        self._state, self._user, self._context = state, user, context
        self._entry, self._is_gone = entry, is_gone
        self.room = Room(state, user.id)
        self._row: list[Entry] = []
        self._all: list[Entry] = []
        self._own: list[Entry] = []
        self._settled = exclusion.NONE_SETTLED
        self._left_g: dict[int, int] = {}
        if entry is not None:
            self._row = _loaded(state, user.id, entry.period)
            self._settle(entry)

    def _settle(self, entry: Entry) -> None:
        """Only acts of its family are compared; most acts have none that they conflict with."""
        own = exclusion.family_of(self._row, entry)
        others = self._beside(entry) if exclusion.may_cross_days(entry) else []
        for one in (*own, *others):
            if exclusion.conflict(entry, one):
                break
        else:
            return
        others = self._beside(entry)
        if self._state.activities.get((entry.source, entry.activity)) is None:
            self._left_g[entry.id] = 0  # it is new: nothing was collected from it
        self._own = own if self._is_gone else [*own, entry]
        linked = {one.id for one in exclusion.connected([*self._own, *others], [entry])}
        mine = [one for one in self._own if one.id in linked]
        around = [one for one in others if one.id in linked]
        self._all = [*mine, *around]
        self._settled = exclusion.settle(mine, around, entry.id)

    def _beside(self, entry: Entry) -> list[Entry]:
        """The acts of its family in the rows of the days around it; none where its row is a month's."""
        found: list[Entry] = []
        if entry.scope != exclusion.MONTH:
            for period in exclusion.days_beside(entry.on):
                row = self._state.occasions.peek((self._user.id, period))
                if row is not None:
                    found += exclusion.family_of(row.acts, entry)
        return found

    def check_room(self, acts_max: int) -> None:
        """Raises Rejected(too_many_acts) where the row would hold too many, of whatever family, with a new act."""
        if self._entry is not None and len(self._row) >= acts_max:
            raise Rejected("too_many_acts", acts_max=acts_max)

    @property
    def blocker(self) -> Entry | None:
        """The act that counts in place of this one."""
        return None if self._entry is None else self._settled.excluded_by.get(self._entry.id)

    def losers(self) -> list[ActivityExcluded]:
        """The acts that count no more. Before anything is granted: it frees their caps."""
        entry = self._entry
        found = []
        for one in self._all:
            by = self._settled.excluded_by.get(one.id)
            if by is not None and one.counts and entry is not None and one.id != entry.id:
                found.append(self._loser(one, by))
        return found

    def _loser(self, one: Entry, by: Entry) -> ActivityExcluded:
        act, now = self._state.activities[one.source, one.activity], self._context.now
        ball = self._state.balls.get(one.id)
        left_g = ball.remaining_g if ball is not None and now < ball.expires_at else 0
        self._left_g[one.id] = act.energy_g - left_g
        periods = booked_periods(act.on, act.trace)
        self.room.release(one.behaviour, periods, one.id, act.energy_g, act.energy_g - left_g)
        return ActivityExcluded(
            source=one.source,
            activity=one.activity,
            id=one.id,
            user=self._user.id,
            period=one.period,
            by=(by.source, by.activity),
            by_id=by.id,
            from_ball_g=left_g,
            avoided_mg=act.avoided_mg,
            cap_periods=periods,
            at=now,
        )

    def give_up(self, known: Activity, keeps_g: int) -> None:
        """The act itself counts no more, and keeps only what was collected from it."""
        self._left_g[known.id] = keeps_g
        periods = booked_periods(known.on, known.trace)
        self.room.release(known.behaviour, periods, known.id, known.energy_g, keeps_g)

    def kept_g(self, one: Entry | None) -> int:
        """What was collected from other reports of the same act, which count no more."""
        if one is None:
            return 0
        kept_g = 0
        for other in self._all:
            if other.id not in self._settled.counting and exclusion.conflict(other, one):
                left_g = self._left_g.get(other.id)
                if left_g is None:
                    left_g = self._state.activities[other.source, other.activity].energy_g
                kept_g += left_g
        return kept_g

    def grant(
        self,
        rule: BehaviourInForce,
        behaviour: str,
        periods: tuple[str, ...],
        act: int,
        raw_g: int,
        least_g: int = 0,
    ) -> Granted:
        """What caps, and what was collected already, leave of the grams of the act itself."""
        return self.room.grant(rule, behaviour, periods, act, raw_g, self.kept_g(self._entry), least_g)

    def gainers(self) -> list[ActivityRestored]:
        """The acts that count again, or for more. After all else is granted: the caps' first come first."""
        if self._entry is None or not self._all or self._user.state == "closed":
            return []
        found = []
        for one in sorted(self._own, key=exclusion.rank):
            is_back = one.id in self._settled.counting and not one.counts
            if one.id != self._entry.id and (is_back or self._is_owed(one)):
                event = self._gainer(one)
                if event is not None:
                    found.append(event)
        return found

    def _is_owed(self, one: Entry) -> bool:
        """Whether an act was given less because of what was collected from the one that is gone."""
        entry = self._entry
        if not self._is_gone or entry is None or entry.counts or not exclusion.conflict(one, entry):
            return False
        return one.counts and self._state.activities[entry.source, entry.activity].energy_g > 0

    def _gainer(self, one: Entry) -> ActivityRestored | None:
        act, ball = self._state.activities[one.source, one.activity], self._state.balls.get(one.id)
        behaviour = self._context.rules_made_by(act.trace, self._user.id).behaviours.get(one.behaviour)
        rule = behaviour.on(date.fromisoformat(one.on)) if behaviour else None
        if behaviour is None or rule is None or act.status == "reversed":
            return None
        periods = periods_of_act(act, rule.caps)
        granted = Granted(act.energy_g, periods, one.worth_g)
        is_owners = ball is not None and any(taker[0] == ball.owner for taker in ball.takers)
        if not one.is_late and not is_owners:
            self.room.release(one.behaviour, periods, one.id, act.energy_g)
            granted = self.room.grant(
                rule, one.behaviour, periods, one.id, one.worth_g, self.kept_g(one), act.energy_g
            )
        more_g = granted.energy_g - act.energy_g
        if more_g:
            stands = replace(act, energy_g=granted.energy_g, avoided_mg=one.avoided_mg)
            ripens_at = max(one.ripens_at, self._context.now)
            whole = new_ball(stands, behaviour, rule.ball, ripens_at)
            ball = whole if ball is None else grown_again(ball, whole, more_g, self._context.now)
        return ActivityRestored(
            source=one.source,
            activity=one.activity,
            id=one.id,
            user=self._user.id,
            period=one.period,
            energy_g=more_g,
            avoided_mg=one.avoided_mg - act.avoided_mg,
            ball=ball if more_g else None,
            cap_periods=periods,
            granted=granted.trace(),
            at=self._context.now,
        )


# --- evolve -----------------------------------------------------------------------------------------


def add_entry(state: GameState, user: int, entry: Entry) -> None:
    """A new act, as it is compared."""
    period = entry.period
    key = (user, period)
    if state.occasions.get(key) is None:
        state.occasions.add(key, Occasions(user, period, [entry]))
    else:
        state.occasions.rewrite(key).acts.append(entry)


def put_entry(state: GameState, user: int, entry: Entry) -> None:
    """The act as it is compared from now on, in place of what was known of it."""
    row = state.occasions.get((user, entry.period))
    for place, one in enumerate(row.acts if row is not None else ()):
        if one.id == entry.id:
            state.occasions.rewrite((user, entry.period)).acts[place] = entry
            return
    add_entry(state, user, entry)


def drop_entry(state: GameState, act: Activity) -> None:
    """The act is compared no more."""
    entry = entry_of(state, act)
    if entry is not None:
        row = state.occasions.rewrite((act.user_id, entry.period))
        row.acts = [one for one in row.acts if one.id != act.id]


def mark_counting(state: GameState, user: int, period: str, act: int, counts: bool) -> None:
    """The act counts from now on, or does so no more."""
    for entry in _loaded(state, user, period):
        if entry.id == act:
            put_entry(state, user, entry._replace(counts=counts))


def note_weighed(act: Activity, at: int, by: int | None) -> None:
    """The act's trace remembers which act excluded it, and when it counted again (`by` None)."""
    past = act.trace.get("weighed", [])[-(WEIGHED_KEPT - 1) :]
    act.trace = {**act.trace, "weighed": [*past, {"at": at, "by": None if by is None else str(by)}]}


def note_excludes(state: GameState, name: tuple[str, str], act: int) -> None:
    """The trace of the act that counts remembers which one it excludes."""
    winner = state.activities.rewrite(name)
    others = winner.trace.get("excludes", [])
    if str(act) not in others:
        winner.trace = {**winner.trace, "excludes": [*others, str(act)]}
