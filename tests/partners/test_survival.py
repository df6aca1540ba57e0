"""Survival figures against published values, and against what plots of dependent trees do to an interval."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.core.survival import Estimate, Plot, from_census, from_plots, t_milli

# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I,
# method 3 (Wilson's score without continuity correction).
NEWCOMBE = [(81, 263, 2553, 3662), (15, 148, 624, 1605), (0, 20, 0, 1611), (1, 29, 61, 1718)]


@pytest.mark.parametrize(("alive", "planted", "low", "high"), NEWCOMBE)
def test_a_census_has_wilsons_interval(alive: int, planted: int, low: int, high: int) -> None:
    found = from_census(planted, alive)
    assert found.low_bp is not None
    assert found.high_bp is not None
    assert abs(found.low_bp - low) <= 1  # published to four digits; ours is rounded outwards
    assert abs(found.high_bp - high) <= 1


def t_within(t: float, degrees: int) -> float:
    """P(|T| < t): the closed forms of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    cos = math.cos(angle)
    if degrees % 2:
        term = total = cos if degrees > 1 else 0.0
        for k in range(3, degrees - 1, 2):
            term *= cos * cos * (k - 1) / k
            total += term
        return 2 / math.pi * (angle + math.sin(angle) * total)
    term = total = 1.0
    for k in range(2, degrees, 2):
        term *= cos * cos * (k - 1) / k
        total += term
    return math.sin(angle) * total


@pytest.mark.parametrize("degrees", [*range(1, 31), 40, 60, 100])
def test_t_quantiles_are_those_of_the_distribution(degrees: int) -> None:
    t = t_milli(degrees) / 1000
    assert t_within(t - 0.0006, degrees) < 0.95 < t_within(t + 0.0006, degrees)


def test_between_the_lines_of_the_table_the_wider_counts() -> None:
    assert t_milli(35) == t_milli(30)
    assert t_milli(99) == t_milli(60)
    assert t_milli(10_000) == 1984
    with pytest.raises(ValueError, match="degree"):
        t_milli(0)


def test_equal_plots_give_the_interval_of_a_mean() -> None:
    """With plots of one size the ratio is the mean of their rates, and its interval Student's."""
    alive = [71, 78, 83, 65, 90, 74, 88, 69, 77, 81]
    found = from_plots([Plot(100, count) for count in alive])
    mean = statistics.fmean(alive) / 100
    half = 2.262 * statistics.stdev(alive) / 100 / math.sqrt(10)
    assert found == Estimate(1000, 776, 7760, math.floor((mean - half) * 1e4), math.ceil((mean + half) * 1e4))


def test_a_published_cluster_sample_comes_out_as_published() -> None:
    """Scheaffer, Mendenhall and Ott, Elementary Survey Sampling, the blocks of example 8.2: 25 of 415 blocks, mean
    income 8,801 a resident with a bound of 1,617 on the error (two standard errors, finite population correction).

    Here incomes are thousands a hundred residents, so that they are rates; the bound leaves out the correction and
    takes 2.064 standard errors.
    """
    residents = [8, 12, 4, 5, 6, 6, 7, 5, 8, 3, 2, 6, 5, 10, 9, 3, 6, 5, 5, 4, 6, 8, 7, 3, 8]
    thousands = [
        96,
        121,
        42,
        65,
        52,
        40,
        75,
        65,
        45,
        50,
        85,
        43,
        54,
        49,
        53,
        50,
        32,
        22,
        45,
        37,
        51,
        30,
        39,
        47,
        41,
    ]
    blocks = [Plot(100 * n, income) for n, income in zip(residents, thousands, strict=True)]
    found = from_plots(blocks)
    half = 2.064 * 0.01617 / 2 / math.sqrt(1 - 25 / 415)
    assert found.rate_bp == 880
    assert found.low_bp is not None
    assert found.high_bp is not None
    assert abs(found.low_bp - (0.08801 - half) * 1e4) <= 1
    assert abs(found.high_bp - (0.08801 + half) * 1e4) <= 1


def test_unequal_plots_weigh_by_their_trees() -> None:
    """Worked by hand: r = 0.75, residuals 2.5, −2.5, 0 → variance 3 / (2 · 60²) · 12.5, half = 4.303 · 0.07217."""
    found = from_plots([Plot(10, 10), Plot(30, 20), Plot(20, 15)])
    assert found.rate_bp == 7500
    assert found.low_bp == math.floor((0.75 - 4.303 * math.sqrt(3 / (2 * 3600) * 12.5)) * 1e4)
    assert found.high_bp == 10_000


def test_plots_that_agree_do_not_make_it_certain() -> None:
    found = from_plots([Plot(20, 20)] * 5)
    assert (found.rate_bp, found.high_bp) == (10_000, 10_000)
    assert found.low_bp == from_census(100, 100).low_bp


def test_one_plot_has_no_interval() -> None:
    assert from_plots([Plot(50, 40)]) == Estimate(50, 40, 8000, None, None)
    for empty in ([], [Plot(0, 0)]):
        with pytest.raises(ValueError, match="planted"):
            from_plots(empty)
    with pytest.raises(ValueError, match="planted"):
        from_census(0, 0)


def test_the_interval_of_plots_holds_where_trees_of_a_plot_live_and_die_together() -> None:
    """2,000 surveys of ten plots with a rate of their own each, 70 % in the mean: Wilson's interval of all trees is
    right in less than two thirds of them, the interval between plots in at least nine of ten."""
    dice = random.Random(7)
    right = {"plots": 0, "trees": 0}
    for _ in range(2000):
        plots = []
        for _ in range(10):
            rate = dice.betavariate(3.5, 1.5)
            plots.append(Plot(20, sum(dice.random() < rate for _ in range(20))))
        between = from_plots(plots)
        alone = from_census(200, sum(plot.alive for plot in plots))
        for name, found in (("plots", between), ("trees", alone)):
            assert found.low_bp is not None
            assert found.high_bp is not None
            right[name] += found.low_bp <= 7000 <= found.high_bp
    assert right["plots"] >= 1800
    assert right["trees"] < 1333


plots = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.integers(0, n).map(lambda alive: Plot(n, alive))),
    min_size=2,
    max_size=30,
)


@given(plots)
def test_the_rate_is_within_its_interval_and_no_narrower_than_a_census(found: list[Plot]) -> None:
    estimate = from_plots(found)
    census = from_census(estimate.planted, estimate.alive)
    assert estimate.low_bp is not None and estimate.high_bp is not None
    assert census.low_bp is not None and census.high_bp is not None
    assert 0 <= estimate.low_bp <= estimate.rate_bp <= estimate.high_bp <= 10_000
    assert estimate.low_bp <= census.low_bp
    assert estimate.high_bp >= census.high_bp
