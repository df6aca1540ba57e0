"""The formulas of a behaviour on one day: what each method holds, with its values.

The letters F1 to F17 are the types of formula that carbon-inclusive schemes use. Any value may be `Picked` by a
choice attribute or by the evidence (F9, F15); `plans` picks and works out. This module knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from engine.core.values import Picked, Value

OneOf = Value | Picked[Value]
AVOIDED_G = "avoided_g"  # what points may count: the grams of CO2e that the act avoids, as credited


@dataclass(frozen=True, slots=True)
class NoAmount:
    """Nothing is credited, and `reason` says why (an act may earn points and avoid nothing)."""

    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Constant:
    """F1: the same for every activity, whatever its quantity. Grams, or points of a scheme."""

    method: str
    grams: OneOf


@dataclass(frozen=True, slots=True)
class Ratio:
    """F2: so much for each unit of the quantity or of the number called `of`; not below or above its bounds."""

    method: str
    grams_per_unit: OneOf
    of: str | None = None
    least: OneOf | None = None
    most: OneOf | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """From this quantity on, these grams."""

    from_quantity: Fraction
    grams: Fraction


@dataclass(frozen=True, slots=True)
class Steps:
    """A table of steps from a day on, with its sources."""

    steps: tuple[Step, ...]
    since: date
    confidence: str
    references: tuple[str, ...]
    picked: tuple[str, str] | None = None

    def trace(self) -> dict[str, object]:
        """The table as a trace keeps it."""
        about: dict[str, object] = {
            "steps": [[str(step.from_quantity), str(step.grams)] for step in self.steps],
            "from": self.since.isoformat(),
            "confidence": self.confidence,
            "references": list(self.references),
        }
        if self.picked is not None:
            about["picked"] = list(self.picked)
        return about


@dataclass(frozen=True, slots=True)
class StepTable:
    """F8: the grams of the highest step that is reached by the quantity or the number called `of`; else nothing."""

    method: str
    table: Steps | Picked[Steps]
    of: str | None = None


def sole_table(formula: StepTable) -> Steps:
    """The table of a formula in which all is picked."""
    assert isinstance(formula.table, Steps), "the table is still to be picked"
    return formula.table


@dataclass(frozen=True, slots=True)
class FactorUse:
    """A factor by its id, and what chose it."""

    id: str
    picked: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """One line of a scenario: a share of a factor times an amount of it for each functional unit (else one).

    `mode` names what a line of a mode mix stands for. Without a factor the line emits nothing. A line with `of`
    counts that number (of a measure or attribute) in place of the extent.
    """

    factor: FactorUse | Picked[FactorUse] | None
    amount: OneOf | None
    share: OneOf | None = None
    mode: str | None = None
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Scenarios:
    """F2, F3, F4, F10 to F13: extent × share × (baseline lines - project lines), times years where a stock saves.

    The extent is the reported quantity times `per_unit`, or the number called `attribute` where that is known.
    With method `per_leg` the attribute holds legs, and each leg is its extent for the lines of its own mode.
    """

    method: str
    functional_unit: str
    per_unit: OneOf | None
    attribute: str | None
    share: OneOf | None
    baseline: tuple[Term, ...]
    project: tuple[Term, ...]
    years: OneOf | None = None

    @property
    def per_leg(self) -> bool:
        """Whether the extent is a list of legs."""
        return self.method == "per_leg"


EnergyFormula = NoAmount | Constant | Ratio | StepTable
AvoidedFormula = NoAmount | Constant | StepTable | Scenarios
PointsFormula = Constant | Ratio | StepTable


@dataclass(frozen=True, slots=True)
class Points:
    """F17: what a scheme of its own credits for the act, beside energy: told and kept in the trace, not booked.

    Points are whole, rounded down; money is `minor_per_point` minor units of `currency` for each, rounded down.
    """

    names: Mapping[str, str]
    formula: PointsFormula
    currency: str | None
    minor_per_point: OneOf | None


@dataclass(frozen=True, slots=True)
class Measure:
    """F5: how far the quantity lies below the mean of earlier ones, which are the attribute called `of`.

    gives: `amount` (the difference, in the quantity's unit) or `per_cent` (of the mean); never negative, and
    nothing where the quantity lies less than `least_pct` per cent below the mean.

    F6: with a `norm` (times the number attribute `norm_times`, where one is named) a quantity below the norm is
    measured by it, and only one that is not by its own mean.
    """

    name: str
    of: str
    gives: str
    unit: str
    least_pct: Value | None
    norm: Value | None = None
    norm_times: str | None = None

    def trace(self) -> dict[str, object]:
        """The measure as a trace keeps it, without its result."""
        about: dict[str, object] = {"of": self.of, "gives": self.gives, "unit": self.unit}
        if self.least_pct is not None:
            about["least_pct"] = self.least_pct.trace()
        if self.norm is not None:
            about["norm"] = self.norm.trace()
            about["norm_times"] = self.norm_times
        return about


@dataclass(frozen=True, slots=True)
class Attribute:
    """A field that a source may send beside the quantity.

    kind: `number` (unit, bounds), `numbers` (1 to `most` of them), `instant` (RFC 3339), `choice` (one of
    `choices`, `default` where it is not sent), `legs` (1 to `most` of mode and number, the modes are `choices`)
    or `account` (an opaque text that caps count by).
    """

    name: str
    kind: str
    unit: str
    required: bool
    low: Decimal | None
    high: Decimal | None
    decimals: int
    choices: frozenset[str]
    default: str | None
    most: int
