"""What a run adds up to: whole numbers by day, behaviour, month and user. Tallies of shards add up in any order.

The same tally is filled by a simulation's events and by a real database's journal, so that both print the same tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

# places in a row of `days` and `behaviours`; grams unless the name says else
ISSUED, BY_OWNER, BY_FRIENDS, EXPIRED, REVERSED, REDEEMED, AVOIDED_MG, BALLS, ACTS, TREES, OPENED = range(11)
COLUMNS = (
    "issued_g", "by_owner_g", "by_friends_g", "expired_g", "reversed_g", "redeemed_g", "avoided_mg",
    "balls", "activities", "trees", "users_active",
)  # fmt: skip
NEVER = -1


def new_row() -> list[int]:
    """A row of zeros."""
    return [0] * len(COLUMNS)


@dataclass(slots=True)
class UserFigures:
    """One user at the end: where, since when (day number), what they collected, when their first tree came.

    `active`: a bit for each day number (the lowest is day 0) on which they did something.
    `linked`, `linked_active`: links to sources, and those of them that reported in the last 7 days.
    """

    place: str
    habit: str
    opened: int
    collected_g: int = 0
    by_owner_g: int = 0
    issued_g: int = 0
    avoided_mg: int = 0
    trees: int = 0
    first_tree: int = NEVER
    active: int = 0
    linked: int = 0
    linked_active: int = 0


@dataclass(slots=True)
class Tally:
    """All counts of a run or a shard. Days are numbered from the run's first."""

    days: dict[int, list[int]] = field(default_factory=dict)
    behaviours: dict[str, list[int]] = field(default_factory=dict)
    trees: Counter[tuple[str, str]] = field(default_factory=Counter)  # (month, programme)
    money: Counter[tuple[str, str]] = field(default_factory=Counter)  # (programme, currency), minor units
    planted: Counter[str] = field(default_factory=Counter)  # programme → trees
    unmet: Counter[str] = field(
        default_factory=Counter
    )  # programme → wishes for a tree, by day, that had none
    sold_out: dict[str, int] = field(default_factory=dict)  # programme → first day number without stock
    commands: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # (command, code)
    accounts: Counter[str] = field(default_factory=Counter)  # grams by kind of account at the end
    users: list[UserFigures] = field(default_factory=list)
    user_days: int = 0

    def day(self, number: int) -> list[int]:
        """The day's row, to count in."""
        row = self.days.get(number)
        if row is None:
            row = self.days[number] = new_row()
        return row

    def behaviour(self, name: str) -> list[int]:
        """The behaviour's row, to count in."""
        row = self.behaviours.get(name)
        if row is None:
            row = self.behaviours[name] = new_row()
        return row

    def total(self, column: int) -> int:
        """The sum of a column over all days."""
        return sum(row[column] for row in self.days.values())


def added(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies, in the order given (only the order of `users` depends on it)."""
    whole = Tally()
    for tally in tallies:
        _add_rows(whole.days, tally.days)
        _add_rows(whole.behaviours, tally.behaviours)
        for name in ("trees", "money", "planted", "unmet", "commands", "refused", "accounts"):
            getattr(whole, name).update(getattr(tally, name))
        whole.sold_out |= tally.sold_out
        whole.users += tally.users
        whole.user_days += tally.user_days
    return whole


def _add_rows(whole: dict, part: dict) -> None:  # type: ignore[type-arg]
    for key, row in part.items():
        mine = whole.get(key)
        whole[key] = list(row) if mine is None else [a + b for a, b in zip(mine, row, strict=True)]
