"""How many of the planted trees live, from plots or from a census, with an interval. Exact arithmetic.

Trees of one plot share soil, water and goats: they are not independent. From plots the rate is the ratio estimator
Σ alive / Σ planted, and its variance is taken BETWEEN plots (Cochran, Sampling Techniques, 3rd ed. 1977, eq. 6.13,
without finite population correction), with a t quantile for plots − 1 degrees of freedom. Where plots happen to agree
that variance vanishes; the interval is therefore never narrower than that of a census of the same trees. A census has
the interval of Wilson (1927). Rates and bounds leave in hundredths of a percent: the rate rounded half up, the lower
bound down, the upper bound up.

This module knows no bands and no money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

# Upper 97.5 % points of Student's t in thousandths (two-sided 95 %), NIST/SEMATECH e-Handbook of Statistical Methods,
# table 1.3.6.7.2: degrees of freedom 1 to 30, then 40, 60, 100. Between them the lower line counts: a wider interval.
_T_MILLI = (
    *(12706, 4303, 3182, 2776, 2571, 2447, 2365, 2306, 2262, 2228, 2201, 2179, 2160, 2145, 2131),
    *(2120, 2110, 2101, 2093, 2086, 2080, 2074, 2069, 2064, 2060, 2056, 2052, 2048, 2045, 2042),
)
_T_MILLI_LATER = ((100, 1984), (60, 2000), (40, 2021))
_Z = Fraction(1_959_964, 1_000_000)  # upper 97.5 % point of the normal distribution
_FINE = 10**12


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot: trees planted in it, and how many of them live."""

    planted: int
    alive: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its 95 % interval, in hundredths of a percent; no interval where it can't be known."""

    planted: int
    alive: int
    rate_bp: int
    low_bp: int | None
    high_bp: int | None


def t_milli(degrees: int) -> int:
    """The t quantile for a two-sided 95 % interval, in thousandths."""
    if degrees < 1:
        raise ValueError("at least one degree of freedom")
    if degrees <= len(_T_MILLI):
        return _T_MILLI[degrees - 1]
    return next((t for least, t in _T_MILLI_LATER if degrees >= least), _T_MILLI[-1])


def from_plots(plots: Sequence[Plot]) -> Estimate:
    """The ratio estimate; of fewer than two plots there is no interval. Raises ValueError without trees."""
    planted, alive = sum(plot.planted for plot in plots), sum(plot.alive for plot in plots)
    if planted == 0:
        raise ValueError("no tree was planted in any plot")
    rate, count = Fraction(alive, planted), len(plots)
    if count < 2:
        return Estimate(planted, alive, _near(rate), None, None)
    spread = sum(((plot.alive - rate * plot.planted) ** 2 for plot in plots), Fraction(0))
    variance = spread * count / ((count - 1) * planted**2)
    half = Fraction(t_milli(count - 1), 1000) * _root(variance)
    low, high = _wilson(alive, planted)
    return _within(planted, alive, rate, min(low, rate - half), max(high, rate + half))


def from_census(planted: int, alive: int) -> Estimate:
    """Every tree was looked at: Wilson's interval for the rate behind the count. Raises ValueError without trees."""
    if planted == 0:
        raise ValueError("no tree was planted")
    low, high = _wilson(alive, planted)
    return _within(planted, alive, Fraction(alive, planted), low, high)


def _wilson(alive: int, planted: int) -> tuple[Fraction, Fraction]:
    rate, z2 = Fraction(alive, planted), _Z * _Z
    middle = (rate + z2 / (2 * planted)) / (1 + z2 / planted)
    root = _root(rate * (1 - rate) / planted + z2 / (4 * planted**2))
    half = _Z * root / (1 + z2 / planted)
    return middle - half, middle + half


def _within(planted: int, alive: int, rate: Fraction, low: Fraction, high: Fraction) -> Estimate:
    low_bp = max(0, _down(low))
    high_bp = min(10_000, -_down(-high))
    return Estimate(planted, alive, _near(rate), low_bp, high_bp)


def _near(rate: Fraction) -> int:
    return (rate * 20_000 + 1).__floor__() // 2


def _down(rate: Fraction) -> int:
    return (rate * 10_000).__floor__()


def _root(value: Fraction) -> Fraction:
    """The square root, at least, to twelve places."""
    scaled = (value * _FINE * _FINE).__ceil__()
    root = isqrt(scaled)
    return Fraction(root if root * root == scaled else root + 1, _FINE)
