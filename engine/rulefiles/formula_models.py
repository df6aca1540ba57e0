"""The shape of every formula: how energy, avoided emissions and a scheme's points follow from what is reported."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from engine.rulefiles.cited_models import (
    Cited,
    IdOrPicked,
    Measured,
    Names,
    Picked,
    SeriesOrPicked,
    Strict,
    shape_of,
)
from engine.rulefiles.scalars import AttributeName, Choice, Currency, Day, Number, Text

# --- energy -----------------------------------------------------------------------------------------


class NoneFormula(Strict):
    """Nothing is credited."""

    method: Literal["none"]
    reason: Text = Field(description="why nothing is credited")


class ConstantFormula(Strict):
    """The same grams for every activity."""

    method: Literal["constant_per_event"]
    grams: SeriesOrPicked = Field(description="grams for one activity, whatever its quantity")


class RatioFormula(Strict):
    """Grams for each unit reported."""

    method: Literal["factor_times_quantity"]
    grams_per_unit: SeriesOrPicked = Field(description="grams for each unit of the behaviour, or of `of`")
    of: AttributeName | None = Field(
        default=None, description="a measure or a required number attribute, in place of the quantity"
    )
    least_g: SeriesOrPicked | None = Field(
        default=None, description="grams that an activity gives at least, unless it has nothing to count"
    )
    most_g: SeriesOrPicked | None = Field(
        default=None, description="grams that an activity gives at most by this formula"
    )


class StepRow(Strict):
    """A step of a table."""

    from_quantity: Number = Field(description="quantity from which the step counts")
    grams: Number = Field(description="grams for the activity on this step")


class StepsInForce(Cited):
    """A table of steps from a day on."""

    steps: list[StepRow] = Field(
        min_length=1, max_length=100, description="rising in from_quantity and in grams"
    )


StepTables = Annotated[dict[Day, StepsInForce], Field(min_length=1)]


class StepTableFormula(Strict):
    """Grams by steps of the quantity."""

    method: Literal["step_table"]
    tables: Annotated[
        Annotated[StepTables, Tag("plain")] | Annotated[Picked[StepTables], Tag("picked")],
        Discriminator(shape_of),
    ] = Field(description="tables by the day from which they are in force")
    of: AttributeName | None = Field(
        default=None, description="a measure or a required number attribute, in place of the quantity"
    )


# --- avoided emissions ------------------------------------------------------------------------------


class TermRow(Strict):
    """A line of a scenario."""

    factor: IdOrPicked = Field(description="id of a factor")
    amount: Measured | None = Field(
        default=None, description="how much of it for one functional unit; one, when left out"
    )
    share: SeriesOrPicked | None = Field(
        default=None,
        description="share of it that counts, such as a rate of substitution; all, when left out",
    )
    of: AttributeName | None = Field(
        default=None,
        description="a measure or a required number attribute that this line counts, not the extent",
    )


class ModeRow(Strict):
    """What a mode of a mix emits; empty braces when it emits nothing within the boundary."""

    factor: IdOrPicked | None = Field(
        default=None, description="id of a factor; nothing is emitted without it"
    )
    amount: Measured | None = Field(
        default=None, description="how much of it for one functional unit; one, when left out"
    )


class MixInForce(Cited):
    """The shares of modes from a day on."""

    shares: Annotated[dict[Choice, Number], Field(min_length=1)] = Field(
        description="share of each mode; together exactly one"
    )


MixByDay = Annotated[dict[Day, MixInForce], Field(min_length=1)]


class Extent(Strict):
    """How the reported quantity becomes functional units."""

    unit: Text = Field(description="the functional unit, such as pkm, or the behaviour's own unit")
    per_unit: Measured | None = Field(default=None, description="functional units in one reported unit")
    attribute: AttributeName | None = Field(
        default=None,
        description="a number attribute that tells the functional units of this very act, a measure, or the legs",
    )


class Uncertain(Strict):
    """What formulas of avoided emissions share."""

    uncertainty_pct: SeriesOrPicked = Field(description="relative 95 % half-width of the result, in per cent")


class Formula(Uncertain):
    """What formulas with a functional unit share."""

    extent: Extent = Field(description="the functional unit and how it follows from what is reported")
    share: SeriesOrPicked | None = Field(
        default=None, description="share of the acts that really replace the baseline; all, when left out"
    )


class FactorFormula(Formula):
    """A factor times a quantity."""

    method: Literal["factor_times_quantity"]
    factor: TermRow = Field(description="what each functional unit saves")


class DifferenceFormula(Formula):
    """What would have happened minus what happened."""

    method: Literal["baseline_minus_project"]
    baseline: list[TermRow] = Field(min_length=1, description="what would have happened otherwise")
    project: list[TermRow] = Field(
        description="what happened; an empty list when it emits nothing within the boundary"
    )


class ModeMixFormula(Formula):
    """The modes that the act replaces, each by its share, minus what happened."""

    method: Literal["mode_mix"]
    mix: Annotated[
        Annotated[MixByDay, Tag("plain")] | Annotated[Picked[MixByDay], Tag("picked")],
        Discriminator(shape_of),
    ] = Field(description="shares of the replaced modes by day, as surveyed")
    modes: Annotated[dict[Choice, ModeRow], Field(min_length=1)] = Field(
        description="what each mode of the mix emits for one functional unit"
    )
    project: list[TermRow] = Field(
        description="what happened; an empty list when it emits nothing within the boundary"
    )


class LegsFormula(Formula):
    """Baseline minus project for each leg of a trip, summed."""

    method: Literal["per_leg"]
    baseline: list[TermRow] = Field(
        min_length=1, description="what each leg would have been; values may be picked by the legs' attribute"
    )
    project: list[TermRow] = Field(
        description="what each leg was; values and factors are picked by the legs' attribute, its mode"
    )


class StockFormula(Formula):
    """What a thing saves in a year, times the years that are credited once, when it is got."""

    method: Literal["annualised_stock"]
    baseline: list[TermRow] = Field(
        min_length=1, description="what the thing that it stands in for uses in a year (amounts per year)"
    )
    project: list[TermRow] = Field(description="what the thing uses in a year (amounts per year)")
    years: SeriesOrPicked = Field(
        description="years, or part of a year, that one activity credits: once, never again for that thing"
    )


class ConstantAvoidedFormula(Uncertain):
    """The same avoided grams for every activity."""

    method: Literal["constant_per_event"]
    grams: SeriesOrPicked = Field(description="grams of CO2e avoided by one activity")


class StepAvoidedFormula(Uncertain, StepTableFormula):
    """Avoided grams by steps of the quantity."""


# --- points of a scheme -----------------------------------------------------------------------------


class ConstantPoints(Strict):
    """The same points for every activity."""

    method: Literal["constant_per_event"]
    points: SeriesOrPicked = Field(description="points for one activity, whatever its quantity")


class RatioPoints(Strict):
    """Points for each unit reported."""

    method: Literal["factor_times_quantity"]
    points_per_unit: SeriesOrPicked = Field(description="points for each unit of the behaviour, or of `of`")
    of: AttributeName | None = Field(
        default=None,
        description="a measure, a required number attribute, or avoided_g, in place of the quantity",
    )
    least_points: SeriesOrPicked | None = Field(
        default=None, description="points that an activity gives at least, unless it has nothing to count"
    )
    most_points: SeriesOrPicked | None = Field(
        default=None, description="points that an activity gives at most by this formula"
    )


class PointStep(Strict):
    """A step of a table of points."""

    from_quantity: Number = Field(description="quantity from which the step counts")
    points: Number = Field(description="points for the activity on this step")


class PointStepsInForce(Cited):
    """A table of points from a day on."""

    steps: list[PointStep] = Field(
        min_length=1, max_length=100, description="rising in from_quantity and in points"
    )


PointTables = Annotated[dict[Day, PointStepsInForce], Field(min_length=1)]


class StepPoints(Strict):
    """Points by steps of the quantity."""

    method: Literal["step_table"]
    tables: Annotated[
        Annotated[PointTables, Tag("plain")] | Annotated[Picked[PointTables], Tag("picked")],
        Discriminator(shape_of),
    ] = Field(description="tables by the day from which they are in force")
    of: AttributeName | None = Field(
        default=None,
        description="a measure, a required number attribute, or avoided_g, in place of the quantity",
    )


class MoneyRules(Strict):
    """What a scheme pays for a point."""

    currency: Currency = Field(description="ISO 4217 code")
    minor_per_point: SeriesOrPicked = Field(description="minor units of the currency for one point")


PointsFormula = Annotated[ConstantPoints | RatioPoints | StepPoints, Field(discriminator="method")]


class PointsRules(Strict):
    """What a scheme of its own credits for the act beside energy: told and kept in the trace, not booked."""

    names: Names = Field(description="what the scheme calls its points")
    formula: PointsFormula = Field(description="how points follow; rounded down to whole points")
    money: MoneyRules | None = Field(default=None, description="what a point pays, where it pays")


EnergyFormula = Annotated[
    NoneFormula | ConstantFormula | RatioFormula | StepTableFormula, Field(discriminator="method")
]
AvoidedFormula = Annotated[
    NoneFormula
    | ConstantAvoidedFormula
    | FactorFormula
    | DifferenceFormula
    | ModeMixFormula
    | LegsFormula
    | StockFormula
    | StepAvoidedFormula,
    Field(discriminator="method"),
]
ScenarioFormula = FactorFormula | DifferenceFormula | ModeMixFormula | LegsFormula | StockFormula
