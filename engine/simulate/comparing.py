"""Two rulebooks side by side: the same people, seed by seed, so that only the rules differ; and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.simulate.figures import Figures, measures
from engine.simulate.tables import Table

# Student's t, 97.5 %, by degrees of freedom 1 to 30: the ends of 95 % intervals of few runs
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
T_MANY = 1.960
NOT_COMPARED = ("users", "user_days")


@dataclass(frozen=True, slots=True)
class Difference:
    """A measure under both rulebooks: means over the runs, mean of B - A, and the half-width of its 95 % interval.

    `half_width` is None for a single run. `sure`: the interval leaves zero out.
    """

    measure: str
    runs: int
    a: float
    b: float
    mean: float
    half_width: float | None

    @property
    def sure(self) -> bool | None:
        """Whether the difference stands out of the noise; None where one run can't tell."""
        return None if self.half_width is None else abs(self.mean) > self.half_width


def differences(a: Sequence[Figures], b: Sequence[Figures]) -> list[Difference]:
    """The differences of paired runs (same seed in the same place). Runs that have no value yet are left out."""
    pairs = [(measures(one), measures(other)) for one, other in zip(a, b, strict=True)]
    names = list(dict.fromkeys(name for pair in pairs for side in pair for name in side))
    found = []
    for name in names:
        values = [(one.get(name), other.get(name)) for one, other in pairs]
        both = [(x, y) for x, y in values if x is not None and y is not None]
        if both and name not in NOT_COMPARED:
            found.append(_difference(name, both))
    return found


def _difference(name: str, values: Sequence[tuple[float, float]]) -> Difference:
    runs = len(values)
    gaps = [y - x for x, y in values]
    mean = sum(gaps) / runs
    half_width = None
    if runs > 1:
        spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (runs - 1))
        t = T_975[runs - 2] if runs - 2 < len(T_975) else T_MANY
        half_width = t * spread / math.sqrt(runs)
    a, b = sum(x for x, _ in values) / runs, sum(y for _, y in values) / runs
    return Difference(name, runs, a, b, mean, half_width)


def difference_table(found: Sequence[Difference], labels: Sequence[str] = ("A", "B")) -> Table:
    """The differences as a table like the others; `labels` name the two sides, whose columns are `a` and `b`."""
    columns = ("measure", "runs", "a", "b", "difference", "half_width_95", "difference_pct", "stands_out")
    rows = [
        (
            one.measure,
            one.runs,
            round(one.a, 3),
            round(one.b, 3),
            round(one.mean, 3),
            None if one.half_width is None else round(one.half_width, 3),
            round(one.mean * 100 / one.a, 2) if one.a else None,
            "one run" if one.sure is None else "yes" if one.sure else "no",
        )
        for one in found
    ]
    brief = ("measure", "a", "b", "difference", "half_width_95", "stands_out")
    return Table("difference", f"{labels[1]} (b) against {labels[0]} (a)", "对比", columns, rows, brief)
