"""Terms of what follows `planted`, as data: who reviews, when survival is counted, what is paid when.

The figures of a real partner come from its agreement; the standard ones from `partners/standard_terms.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from engine.core.units import DAY_MS


@dataclass(frozen=True, slots=True)
class AuditStage:
    """When living trees are counted: in the `autumn`-th growing season after planting, or after `months`."""

    id: str
    figure: str  # survival | preservation
    autumn: int
    months: int


@dataclass(frozen=True, slots=True)
class Milestone:
    """A share of an order's price that falls due when `trigger` is reached: an order's state or an audit's stage."""

    id: str
    trigger: str
    pct: int


@dataclass(frozen=True, slots=True)
class Rate:
    """How many units of `into` one unit of `of` bought on a day, and who says so. Minor units on both sides."""

    of: str
    into: str
    rate: str
    on: str
    source: str

    @property
    def value(self) -> Fraction:
        """The rate, exact."""
        return Fraction(self.rate)


@dataclass(frozen=True, slots=True)
class AfterTerms:
    """What holds once trees are reported planted.

    `season`: first and last day (MM-DD) in which living trees can be told from dead ones in autumn; None: not known,
    then audits are due `months` after planting, give or take `window_d` days. `bands_bp`: rainfall class → figure →
    the rate to be reached; class "" is for sites whose rainfall is not known.
    `readings`: figure → estimate | lower_bound, where an agreement says so for one figure; else `must_meet`.
    """

    review_levels: tuple[int, ...] = (2,)
    review_workdays: int = 10
    fix_ms: int = 14 * DAY_MS
    own_share_pct: int = 100
    stages: tuple[AuditStage, ...] = ()
    season: tuple[str, str] | None = None
    window_d: int = 60
    again_d: int = 60
    plots_min: int = 5
    must_meet: str = "estimate"  # estimate | lower_bound
    takes_conflicted: bool = False
    bands_bp: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    milestones: tuple[Milestone, ...] = ()
    dispute_answer_workdays: int = 5
    dispute_decide_ms: int = 30 * DAY_MS
    disturbance_report_d: int = 14
    payments_hold_ms: int = 60 * DAY_MS
    rates: tuple[Rate, ...] = ()
    readings: Mapping[str, str] = field(default_factory=dict)

    def reading(self, figure: str) -> str:
        """What of a count must reach the band: its estimate, or the lower bound of its interval."""
        return self.readings.get(figure, self.must_meet)

    def band_bp(self, rainfall: str, figure: str) -> int:
        """The rate that the figure must reach in a rainfall class; where that is not known, the strictest."""
        known = self.bands_bp.get(rainfall)
        if known is not None and figure in known:
            return known[figure]
        return max((bands[figure] for bands in self.bands_bp.values() if figure in bands), default=10_000)

    def rate(self, of: str, into: str) -> Rate | None:
        """The rate snapshot for a pair of currencies, or None."""
        return next((rate for rate in self.rates if (rate.of, rate.into) == (of, into)), None)


@dataclass(frozen=True, slots=True)
class Funding:
    """What paid for a redeemed tree: the commitment, and what it set aside for the tree."""

    commitment: int
    set_aside_minor: int
    currency: str
