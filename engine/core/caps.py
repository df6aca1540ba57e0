"""Caps of an activity's periods: what they leave of the grams that acts are worth, and who uses them.

A period is a text: a day 2026-11-23, a month 2026-11, a year 2026, or a month of one account 2026-11/<digest>.
The day and month are always booked, so that a cap may begin within a month; the year and the account only where
they are capped, so that no row grows for a year without need. A cap of the year that begins within a year counts
the acts from then on. Gram caps cut, count caps refuse. Knows nothing of how grams are worked out, nor of balls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.rules import BehaviourInForce, Caps
from engine.core.sent import ACCOUNT
from engine.core.state import Activity, CapUse, GameState

MORE_PERIODS = "more_periods"  # in a trace: the periods that an act uses beside its day and month


def periods_of(day: str, account: str | None) -> tuple[str, ...]:
    """Every period whose caps an act of that day may use: its day, month, year, and account in the month."""
    periods = day, day[:7], day[:4]
    return periods if account is None else (*periods, _account_period(day, account))


def capped_periods(caps: Caps, day: str, account: str | None) -> tuple[str, ...]:
    """The periods that a new act books: its day and month, its year and account where they are capped."""
    periods: tuple[str, ...] = day, day[:7]
    if caps.year_g is not None or caps.year_count is not None:
        periods += (day[:4],)
    if account is not None and caps.month_count_per_account is not None:
        periods += (_account_period(day, account),)
    return periods


def _account_period(day: str, account: str) -> str:
    return f"{day[:7]}/{account}"


def booked_periods(on: str, trace: Mapping[str, Any]) -> tuple[str, ...]:
    """The periods that an act has booked: its day and month, and those that its trace names beside."""
    return (on, on[:7], *trace.get("granted", {}).get(MORE_PERIODS, ()))


def limits_of(caps: Caps, period: str) -> tuple[str, int | None, int | None]:
    """A period's name, its most grams and its most acts."""
    if "/" in period:
        return "month_per_account", None, caps.month_count_per_account
    if len(period) == len("2026"):
        return "year", caps.year_g, caps.year_count
    if len(period) == len("2026-11"):
        return "month", caps.month_g, caps.month_count
    return "day", caps.day_g, caps.day_count


def periods_of_act(act: Activity, caps: Caps) -> tuple[str, ...]:
    """The periods that an act has booked, or would book anew if it holds nothing."""
    if act.energy_g:
        return booked_periods(act.on, act.trace)
    return capped_periods(caps, act.on, act.trace.get(ACCOUNT))


@dataclass(slots=True)
class Granted:
    """What caps leave of the grams that an act is worth, which periods it uses, and why it is less.

    `kept_g` is what other reports of the same act have paid out already: it is not granted again.
    """

    energy_g: int
    periods: tuple[str, ...]
    raw_g: int
    reason: str | None = None
    used_by: tuple[int, ...] = ()
    kept_g: int = 0

    def trace(self) -> dict[str, object]:
        """As the act's trace keeps it."""
        about: dict[str, object] = {"raw_g": self.raw_g, "energy_g": self.energy_g}
        if self.energy_g and self.periods[2:]:
            about[MORE_PERIODS] = list(self.periods[2:])
        if self.kept_g:
            about["kept_g"] = self.kept_g
        if self.reason is not None:
            about |= {"reason": self.reason, "used_by": [str(act) for act in self.used_by]}
        return about


class Room:
    """The caps of one user while a command is decided: each grant and each release counts for the next."""

    def __init__(self, state: GameState, user: int) -> None:
        self._state = state
        self._user = user
        self._uses: dict[tuple[str, str], CapUse] = {}  # copies, changed by this command
        self._granted: list[tuple[str, Granted, int]] = []  # booked in them when anything more is asked

    def _used(self, behaviour: str, period: str) -> tuple[int, Sequence[int]]:
        """The grams and the acts of a period, as this command has left them."""
        use = self._uses.get((behaviour, period))
        if use is None:
            use = self._state.caps.get((self._user, behaviour, period))
        return (use.used_g, use.acts) if use is not None else (0, ())

    def _use(self, behaviour: str, period: str) -> CapUse:
        """A copy of the row, for this command to change."""
        place = (behaviour, period)
        if place not in self._uses:
            used_g, acts = self._used(behaviour, period)
            self._uses[place] = CapUse(self._user, behaviour, period, used_g, len(acts), list(acts))
        return self._uses[place]

    def release(
        self, behaviour: str, periods: Sequence[str], act: int, energy_g: int, keeps_g: int = 0
    ) -> None:
        """An act gives back all of its grams but `keeps_g`; with none left it frees its slot."""
        if self._granted:
            self._book()
        for period in periods:
            use = self._use(behaviour, period)
            if act in use.acts:
                use.used_g -= energy_g - keeps_g
                if not keeps_g:
                    use.acts.remove(act)

    def grant(
        self,
        rule: BehaviourInForce,
        behaviour: str,
        periods: tuple[str, ...],
        act: int,
        raw_g: int,
        kept_g: int = 0,
        least_g: int = 0,
    ) -> Granted:
        """What an act that holds nothing is given of the grams that it is worth; never below `least_g`, which were
        collected from it.
        """
        if self._granted:
            self._book()
        worth_g = max(0, raw_g - kept_g)
        energy_g, reason, used_by = worth_g, None, ()
        for period in periods:
            name, limit_g, limit_count = limits_of(rule.caps, period)
            if limit_g is None and limit_count is None:
                continue
            used_g, acts = self._used(behaviour, period)
            if limit_count is not None and len(acts) >= limit_count and worth_g:
                others = _without(acts, act)
                if len(others) >= limit_count:
                    return Granted(0, (), raw_g, f"cap_{name}_count", others, kept_g)
            if limit_g is not None and limit_g - used_g < energy_g:
                energy_g, reason = max(0, limit_g - used_g), f"cap_{name}_g"
                used_by = _without(acts, act)
        energy_g = max(energy_g, least_g)
        granted = Granted(energy_g, periods if energy_g else (), raw_g, reason, used_by, kept_g)
        self._granted.append((behaviour, granted, act))
        return granted

    def _book(self) -> None:
        """What was granted so far counts for what comes next; most commands ask for no more."""
        for behaviour, granted, act in self._granted:
            for period in granted.periods:
                use = self._use(behaviour, period)
                use.used_g += granted.energy_g
                if act not in use.acts:
                    use.acts.append(act)
        self._granted.clear()


def _without(acts: Sequence[int], act: int) -> tuple[int, ...]:
    return tuple(one for one in acts if one != act)


def _cap_use(state: GameState, act: Activity, period: str) -> CapUse:
    """The row of the act's user and behaviour, to be changed."""
    key = (act.user_id, act.behaviour, period)
    use = state.caps.get(key)
    if use is not None:
        return state.caps.rewrite(key)
    use = CapUse(*key, 0, 0, [])
    state.caps.add(key, use)
    return use


def take_caps(state: GameState, act: Activity, periods: Sequence[str]) -> None:
    """Book what a new act, which has grams where it has periods, takes from its caps."""
    for period in periods:
        use = _cap_use(state, act, period)
        use.used_g += act.energy_g
        use.acts.append(act.id)
        use.used_count = len(use.acts)


def use_caps(state: GameState, act: Activity, periods: Sequence[str], energy_delta_g: int) -> None:
    """Book what an act takes from its caps or gives back; an act that falls to nothing frees its slot."""
    for period in periods:
        use = _cap_use(state, act, period)
        use.used_g += energy_delta_g
        is_counted = act.id in use.acts
        if act.energy_g and not is_counted:
            use.acts.append(act.id)
        elif is_counted and not act.energy_g:
            use.acts.remove(act.id)
        use.used_count = len(use.acts)
