"""From counts to what a product team asks: totals, days to the first tree, fairness, returns. Exact to the last step.

Every measure is worked out here, once, for a simulation and for a real database alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from engine.core.rules import RuleBook
from engine.simulate import tally as t
from engine.simulate.tally import NEVER, Tally, UserFigures

RETURNS_D = (1, 7, 30)
PERCENTILES = (10, 50, 90)
NANO = 10**9
MEASURES = {  # what people call them, in English and Chinese
    "activities": ("activities", "活动数"),
    "balls": ("energy balls", "能量球"),
    "issued_g": ("g issued", "发放能量"),
    "issued_a_user_day_g": ("g issued a user and day", "人均每日发放"),
    "collected_by_owner_g": ("g collected by owners", "自己收"),
    "collected_by_friends_g": ("g collected by friends", "好友收"),
    "expired_g": ("g expired", "过期"),
    "redeemed_g": ("g redeemed for trees", "兑换"),
    "avoided_kg": ("kg CO2e avoided", "减排"),
    "trees": ("trees", "棵树"),
    "users_with_a_tree": ("users with a tree", "有树的人"),
    "first_tree_p10_d": ("days to the first tree, quickest tenth", "首树天数 10 %"),
    "first_tree_p50_d": ("days to the first tree, median", "首树天数"),
    "first_tree_p90_d": ("days to the first tree, all but a tenth", "首树天数 90 %"),
    "collected_gini": ("Gini of collected energy", "基尼系数"),
    "collected_by_top_1_pct": ("% collected by the top 1 %", "前 1 % 所收"),
}
MINOR_DIGITS = {
    "JPY": 0,
    "KRW": 0,
    "VND": 0,
    "CLP": 0,
    "KWD": 3,
    "BHD": 3,
    "TND": 3,
}  # ISO 4217; others have 2


@dataclass(slots=True)
class Figures:
    """A tally with what is needed to read it. `scale`: real users that each counted user stands for."""

    label: str
    tally: Tally
    start: date
    days: int
    rules: RuleBook
    rules_hash: str
    scale: Fraction = Fraction(1)
    stock: dict[str, int] = field(default_factory=dict)
    place_names: dict[str, str] = field(default_factory=dict)

    def on(self, day: int) -> date:
        """The calendar day of a day number."""
        return self.start + timedelta(days=day)

    def species_of(self, programme: str) -> str:
        """The programme's species; the programme itself where this rulebook does not know it."""
        found = self.rules.programmes.get(programme)
        return found.species if found else programme

    def scaled(self, count: int) -> int:
        """A count of simulated users' trees or money as it would be of the real users, rounded to the nearest."""
        return round(count * self.scale)


def measure_name(measure: str) -> tuple[str, str]:
    """What people call a measure, in English and Chinese; money in whole units of its currency."""
    if measure.startswith("trees_cost_"):
        return f"{measure[11:14].upper()} for trees", "种植费用"
    if measure.startswith("returned_after_"):
        return f"% back after {measure.split('_')[2]} days", f"{measure.split('_')[2]} 日留存 %"
    return MEASURES.get(measure, (measure.replace("_", " "), ""))


def whole_units(measure: str, amount: float) -> float:
    """Money in minor units as whole units of its currency; any other measure as it is."""
    if not measure.startswith("trees_cost_"):
        return amount
    return amount / 10 ** MINOR_DIGITS.get(measure[11:14].upper(), 2)


def percentile_d(users: Sequence[UserFigures], percent: int) -> int | None:
    """Days from joining to the first tree that so many per cent of all who joined needed at most; None: not yet.

    Users who joined before the first day are left out: what they had by then is not known.
    """
    users = [user for user in users if user.opened >= 0]
    if not users:
        return None
    reached = sorted(user.first_tree - user.opened for user in users if user.first_tree != NEVER)
    rank = -(-len(users) * percent // 100)
    return reached[max(1, rank) - 1] if rank <= len(reached) else None


def gini(amounts: Iterable[int]) -> Fraction:
    """Gini coefficient: 0 if all have the same, near 1 if one has all."""
    ordered = sorted(amounts)
    count, total = len(ordered), sum(ordered)
    if not total:
        return Fraction(0)
    weighted = sum(place * amount for place, amount in enumerate(ordered, 1))
    return Fraction(2 * weighted, count * total) - Fraction(count + 1, count)


def top_share(amounts: Iterable[int], percent: int = 1) -> Fraction:
    """What the top per cent of users (at least one) have of the whole."""
    ordered = sorted(amounts, reverse=True)
    total = sum(ordered)
    if not total:
        return Fraction(0)
    return Fraction(sum(ordered[: max(1, len(ordered) * percent // 100)]), total)


def returned(users: Iterable[UserFigures], after_d: int, days: int) -> tuple[int, int]:
    """(users who joined early enough, those of them who did something on the day so many days later)."""
    asked = [user for user in users if 0 <= user.opened < days - after_d]
    return len(asked), sum(user.active >> (user.opened + after_d) & 1 for user in asked)


def measures(figures: Figures) -> dict[str, float | int | None]:
    """The one-number results by name, unit last; what two rulebooks are compared by. None: not reached yet."""
    tally, users = figures.tally, figures.tally.users
    collected = [user.collected_g for user in users]
    user_days = tally.user_days or 1
    found: dict[str, float | int | None] = {
        "users": len(users),
        "user_days": tally.user_days,
        "activities": tally.total(t.ACTS),
        "balls": tally.total(t.BALLS),
        "issued_g": tally.total(t.ISSUED),
        "collected_by_owner_g": tally.total(t.BY_OWNER),
        "collected_by_friends_g": tally.total(t.BY_FRIENDS),
        "expired_g": tally.total(t.EXPIRED),
        "redeemed_g": tally.total(t.REDEEMED),
        "issued_a_user_day_g": round(tally.total(t.ISSUED) / user_days, 3),
        "avoided_kg": round(tally.total(t.AVOIDED_MG) / 10**6, 3),
        "trees": tally.total(t.TREES),
        "users_with_a_tree": sum(user.trees > 0 for user in users),
    }
    for percent in PERCENTILES:
        found[f"first_tree_p{percent}_d"] = percentile_d(users, percent)
    found["collected_gini"] = round(float(gini(collected)), 4)
    found["collected_by_top_1_pct"] = round(float(top_share(collected)) * 100, 2)
    for currency in sorted({currency for _, currency in tally.money}):
        spent = sum(minor for (_, unit), minor in tally.money.items() if unit == currency)
        found[f"trees_cost_{currency.lower()}_minor"] = figures.scaled(spent)
    for after_d in RETURNS_D:
        asked, came = returned(users, after_d, figures.days)
        found[f"returned_after_{after_d}_d_pct"] = round(came * 100 / asked, 2) if asked else None
    return found
