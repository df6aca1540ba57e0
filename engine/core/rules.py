"""The rulebook as the game knows it: behaviours, species, programmes; and what was in force on a day.

Built once by `engine.rulebook` from the files of `game_rules/`. This module knows nothing of files or YAML, nor
how a figure is worked out (`engine.core.quantify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from engine.core.factors import Factor, regions_of
from engine.core.formulas import Attribute, AvoidedFormula, EnergyFormula, Measure, OneOf, Points
from engine.core.values import Dated, Reference, Value

CATEGORIES = ("green-travel", "avoided-trips", "reuse", "less-paper-and-plastic", "energy-efficiency")
OTHERS_SEE = ("category", "behaviour", "grams")
RIPENS = ("after", "morning")
REDUCTION_OWNERS = ("user", "operator", "none")
USER_SHOWN_GRADE = "D"  # the user's word: the grade of what only the user can show
GRANULARITIES = ("individual", "pooled")


# --- behaviours -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caps:
    """Ceilings for one user. Gram caps cut, count caps admit the first accepted. None: no such cap."""

    event_g: int | None = None
    day_g: int | None = None
    month_g: int | None = None
    year_g: int | None = None
    day_count: int | None = None
    month_count: int | None = None
    year_count: int | None = None
    month_count_per_account: int | None = None


@dataclass(frozen=True, slots=True)
class BallPolicy:
    """How an energy ball of a behaviour lives.

    ripens: `after` = `ripen_delay_h` hours after the instant named by `counts_from` (`at`, or an attribute
    such as `completed_at`); `morning` = the next local morning, within `morning_window_min` minutes from
    `morning_from_min` (minutes after local midnight), at a fixed offset of the user. A friend may take
    between `share_min_pct` and `share_max_pct` per cent of the full ball (at least 1 g), never below
    `floor_pct` per cent of it (rounded up to whole grams). Each friend who took before lessens what is drawn by
    `share_less_pct` per cent of it.
    """

    ripens: str
    counts_from: str
    ripen_delay_h: int
    life_h: int
    floor_pct: int
    head_start_s: int
    share_min_pct: int
    share_max_pct: int
    late_limit_d: int
    morning_from_min: int
    morning_window_min: int
    share_less_pct: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a source must be able to show, with its grade (A: settled by a third party … D: self-declared)."""

    kind: str
    grade: str
    what: str

    def trace(self) -> dict[str, str]:
        """The evidence as a trace keeps it."""
        return {"kind": self.kind, "grade": self.grade}


@dataclass(frozen=True, slots=True)
class BehaviourInForce:
    """All that counts for a behaviour from `since` until its values, its factors or the game change.

    `picks`: the names by which something in its formulas is picked.
    """

    since: date
    quantity_min: Decimal
    quantity_max: Decimal
    quantity_decimals: int
    caps: Caps
    cap_values: Mapping[str, Value]
    ball: BallPolicy
    energy: EnergyFormula
    avoided: AvoidedFormula
    uncertainty: OneOf | None
    attributes: Mapping[str, Attribute]
    points: Points | None = None
    measures: tuple[Measure, ...] = ()
    picks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A low-carbon act that earns energy. `others_see`: what anyone but the owner is shown of its balls."""

    id: str
    category: str
    names: Mapping[str, str]
    description: Mapping[str, str]
    icon: str
    others_see: str
    unit: str
    running_total: bool
    family: str
    evidence: tuple[Evidence, ...]
    scenario: Mapping[str, str]
    history: Dated[BehaviourInForce | None]
    excludes: str = "nothing"  # which acts of the family exclude each other: see engine.core.exclusion

    def on(self, on: date) -> BehaviourInForce | None:
        """What is in force on the day; None when the behaviour is not."""
        return self.history.on(on)

    @property
    def is_for_accounts(self) -> bool:
        """Whether an act is ever for an account of its user, such as a meter."""
        attributes = [one for rule in self.history.items if rule for one in rule.attributes.values()]
        return any(one.kind == "account" for one in attributes)

    def evidence_of(self, kind: str | None) -> Evidence | None:
        """The evidence of the kind, the first where none is named; None where the rule knows no such kind."""
        if kind is None:
            return self.evidence[0]
        return next((one for one in self.evidence if one.kind == kind), None)


# --- game, species, programmes ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GameSettings:
    """The game's numbers on one day; a behaviour's ball policy starts from these."""

    ripen_delay_h: int
    life_h: int
    floor_pct: int
    head_start_s: int
    share_min_pct: int
    share_max_pct: int
    late_limit_d: int
    morning_from_min: int
    morning_window_min: int
    future_tolerance_s: int
    friends_max: int
    collect_balls_max: int
    forest_balls_max: int
    overlap_window_s: int
    day_acts_max: int
    shown_day_max: int
    review_share_pct: int
    share_less_pct: int = 0


@dataclass(frozen=True, slots=True)
class GameRules:
    """The game's settings by day."""

    history: Dated[GameSettings]

    def on(self, on: date) -> GameSettings:
        """The settings of the day; before the first day, the first ones."""
        return self.history.on(on) or self.history.items[0]


@dataclass(frozen=True, slots=True)
class Species:
    """A plant that energy can be redeemed for. `kind`: shrub, tree, mangrove, grass."""

    id: str
    names: Mapping[str, str]
    scientific: str
    kind: str
    energy: Dated[Value | None]

    def energy_g(self, on: date) -> int | None:
        """Grams of energy for one plant on the day."""
        return whole(self.energy.on(on))


@dataclass(frozen=True, slots=True)
class Season:
    """A planting window of each year, by (month, day), both ends included.

    `order_by`: last day an order can still join it.
    """

    id: str
    names: Mapping[str, str]
    order_by: tuple[int, int]
    opens: tuple[int, int]
    closes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SeasonWindow:
    """One year's planting window."""

    id: str
    year: int
    order_by_on: date
    opens_on: date
    closes_on: date


@dataclass(frozen=True, slots=True)
class Programme:
    """A species planted by a partner at a place, in seasons, for a price in energy and in money.

    `open_on` and `close_on` bound the days on which the offer can be redeemed (close included; None: no end).
    """

    id: str
    names: Mapping[str, str]
    species: str
    partner: str
    region: str
    site: Mapping[str, str]
    latitude: Decimal
    longitude: Decimal
    open_on: date
    close_on: date | None
    seasons: tuple[Season, ...]
    granularity: str
    currency: str
    energy: Dated[Value | None]
    unit_price: Dated[Value | None]
    order_min: Dated[Value | None]
    wait_max: Dated[Value | None]
    energy_back: Dated[Value | None] | None = None

    def energy_g(self, on: date) -> int | None:
        """Grams of energy for one plant on the day (the species' price unless the programme has its own)."""
        return whole(self.energy.on(on))

    def unit_price_minor(self, on: date) -> int | None:
        """What a plant costs the funder on the day, in minor units of `currency`."""
        return whole(self.unit_price.on(on))

    def order_min_trees(self, on: date) -> int | None:
        """The smallest order that the partner takes, in plants."""
        return whole(self.order_min.on(on))

    def wait_max_d(self, on: date) -> int | None:
        """The longest that a redeemed plant waits for its order, in days."""
        return whole(self.wait_max.on(on))

    def energy_back_d(self, on: date) -> int | None:
        """The days without a place after which a plant's energy comes back by itself; None: never."""
        return whole(self.energy_back.on(on)) if self.energy_back is not None else None

    def next_season(self, on: date) -> SeasonWindow:
        """The first planting window that an order of the day can still join."""
        windows = [
            _window(season, year) for year in (on.year, on.year + 1, on.year + 2) for season in self.seasons
        ]
        return min(
            (window for window in windows if window.order_by_on >= on), key=lambda window: window.opens_on
        )


@dataclass(frozen=True, slots=True)
class RuleBook:
    """A checked rulebook.

    `hash` is the SHA-256 of its content whatever its formatting. `memo` keeps worked-out plans.
    """

    hash: str
    game: GameRules
    behaviours: Mapping[str, Behaviour]
    species: Mapping[str, Species]
    programmes: Mapping[str, Programme]
    factors: Mapping[str, Factor]
    references: Mapping[str, Reference]
    regions: frozenset[str]
    memo: dict[object, object] = field(default_factory=dict, compare=False, repr=False)

    def game_on(self, on: date) -> GameSettings:
        """The game's settings on a day."""
        return self.game.on(on)

    def region_of(self, province: str | None) -> str | None:
        """The narrowest region with a factor of its own that the province lies in, or None."""
        for region in regions_of(province):
            if region in self.regions:
                return region
        return None


def whole(value: Value | None) -> int | None:
    """A value that must be a whole number, as int."""
    return None if value is None else int(value.amount)


def _window(season: Season, year: int) -> SeasonWindow:
    opens = date(year, *season.opens)
    closes = date(year if season.closes >= season.opens else year + 1, *season.closes)
    order_by = date(year if season.order_by <= season.opens else year - 1, *season.order_by)
    return SeasonWindow(season.id, year, order_by, opens, closes)
