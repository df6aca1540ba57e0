"""Caps of the day and month: what they leave of the grams that acts are worth, and who uses them.

Gram caps cut, count caps refuse. Knows nothing of how grams are worked out, nor of balls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from engine.core.rules import BehaviourInForce
from engine.core.state import Activity, CapUse, GameState


def cap_periods(on: date | str) -> tuple[str, str]:
    """The day and the month whose caps an act of that day uses."""
    day = str(on)
    return day, day[:7]


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
        self._uses: dict[tuple[str, str], CapUse] = {}

    def _use(self, behaviour: str, period: str) -> CapUse:
        """A copy of the row, for this command to change."""
        place = (behaviour, period)
        if place not in self._uses:
            row = self._state.caps.get((self._user, behaviour, period))
            self._uses[place] = (
                CapUse(self._user, behaviour, period, row.used_g, row.used_count, list(row.acts))
                if row
                else CapUse(self._user, behaviour, period, 0, 0, [])
            )
        return self._uses[place]

    def release(self, behaviour: str, on: str, act: int, energy_g: int, keeps_g: int = 0) -> None:
        """An act gives back all of its grams but `keeps_g`; with none left it frees its slot."""
        for period in cap_periods(on):
            use = self._use(behaviour, period)
            if act in use.acts:
                use.used_g -= energy_g - keeps_g
                if not keeps_g:
                    use.acts.remove(act)

    def grant(
        self,
        rule: BehaviourInForce,
        behaviour: str,
        on: str,
        act: int,
        raw_g: int,
        kept_g: int = 0,
        least_g: int = 0,
    ) -> Granted:
        """What an act that holds nothing is given of the grams that it is worth; never below `least_g`, which were
        collected from it.
        """
        caps, periods = rule.caps, cap_periods(on)
        limits = ((periods[0], caps.day_g, caps.day_count), (periods[1], caps.month_g, caps.month_count))
        worth_g = max(0, raw_g - kept_g)
        energy_g, reason, used_by = worth_g, None, ()
        for (period, limit_g, limit_count), name in zip(limits, ("day", "month"), strict=True):
            use = self._use(behaviour, period)
            others = [one for one in use.acts if one != act]
            if limit_count is not None and len(others) >= limit_count and worth_g:
                return Granted(0, (), raw_g, f"cap_{name}_count", tuple(others), kept_g)
            if limit_g is not None and limit_g - use.used_g < energy_g:
                energy_g, reason, used_by = max(0, limit_g - use.used_g), f"cap_{name}_g", tuple(others)
        energy_g = max(energy_g, least_g)
        granted = Granted(energy_g, periods if energy_g else (), raw_g, reason, used_by, kept_g)
        self._book(behaviour, granted, act)
        return granted

    def _book(self, behaviour: str, granted: Granted, act: int) -> None:
        for period in granted.periods:
            use = self._use(behaviour, period)
            use.used_g += granted.energy_g
            if act not in use.acts:
                use.acts.append(act)


def use_caps(state: GameState, act: Activity, periods: Sequence[str], energy_delta_g: int) -> None:
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
