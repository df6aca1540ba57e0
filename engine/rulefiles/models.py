"""The shape of every rule file: which keys there are, which may be left out, and what each may hold.

These models refuse all else. They are the one source of the JSON Schema for editors and of the field tables
in docs/rules.md. What needs a second file to be judged (does that factor exist?) is judged in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.rulefiles.cited_models import (  # noqa: F401  (one name for the models of all files: m.TermRow)
    CHOICES_MAX,
    Cited,
    DatedValue,
    Measured,
    Names,
    Picked,
    Series,
    Sourced,
    Strict,
)
from engine.rulefiles.formula_models import (  # noqa: F401  (one name for the models of all files: m.TermRow)
    AvoidedFormula,
    ConstantAvoidedFormula,
    ConstantFormula,
    ConstantPoints,
    DifferenceFormula,
    EnergyFormula,
    Extent,
    FactorFormula,
    Formula,
    LegsFormula,
    MixInForce,
    ModeMixFormula,
    ModeRow,
    MoneyRules,
    NoneFormula,
    PointsFormula,
    PointsRules,
    PointStep,
    PointStepsInForce,
    RatioFormula,
    RatioPoints,
    ScenarioFormula,
    StepAvoidedFormula,
    StepPoints,
    StepRow,
    StepsInForce,
    StepTableFormula,
    StockFormula,
    TermRow,
    Uncertain,
)
from engine.rulefiles.scalars import (
    AttributeName,
    Choice,
    Currency,
    Day,
    Id,
    Link,
    MonthDay,
    Number,
    PublishedOn,
    Region,
    Text,
    Truth,
    Whole,
    Written,
    Year,
)

TABLE_REGIONS_MAX = 400
TABLE_YEARS_MAX = 60
ITEMS_MAX = 48


# --- references -------------------------------------------------------------------------------------


class Reference(Strict):
    """Where a number comes from."""

    title: Text = Field(description="title of the page, paper or table")
    publisher: Text = Field(description="who published it")
    date: PublishedOn = Field(description="when it was published: year, month or day")
    link: Link | None = Field(default=None, description="address; link or document is required")
    document: Text | None = Field(
        default=None, description="journal, standard number or file, where there is no address"
    )
    licence: Text | None = Field(
        default=None, description="licence of the data; required for what factors use"
    )
    note: Text | None = Field(default=None, description="what a reader should know about it")
    written_on: Day | None = Field(
        default=None,
        description="day on which its figures were written down here, from it or from what quotes it; the file's, "
        "when left out",
    )
    confirmed_on: Day | None = Field(
        default=None,
        description="last day on which somebody opened it and saw that it still says so; the file's, when left out",
    )


class ReferencesFile(Strict):
    """references.yaml: every source, once."""

    written_on: Day | None = Field(
        default=None,
        description="day on which figures of all references without a day of their own were written",
    )
    confirmed_on: Day | None = Field(
        default=None, description="last day on which all references without a day of their own were looked up"
    )
    references: dict[Id, Reference]


# --- factors ----------------------------------------------------------------------------------------


class FactorFigure(Cited):
    """A factor's figure for a region."""

    region: Region = Field(description="ISO 3166 code: country or province; XX for the world")
    year: Year = Field(description="the year that the figure describes")
    from_: Day = Field(alias="from", description="first day on which the game uses it")
    value: Number = Field(description="the figure, in the factor's unit")
    table: Text = Field(description="table, sheet, row or page in the source")


class FactorTable(Cited):
    """Figures of many regions and years from one publication."""

    table: Text = Field(description="table, sheet, row or page in the source")
    from_: Day = Field(alias="from", description="first day on which the game uses them")
    values: Annotated[
        dict[Region, Annotated[dict[Year, Number], Field(min_length=1, max_length=TABLE_YEARS_MAX)]],
        Field(min_length=1, max_length=TABLE_REGIONS_MAX),
    ] = Field(description="figures by region and by the year that they describe, in the factor's unit")


class PartAmount(Strict):
    """Dated numbers of a part, with a unit of their own."""

    unit: Text = Field(description="unit, such as g/set")
    values: Series = Field(description="numbers by the day from which they are in force")


class FactorPart(Strict):
    """So much of another factor."""

    factor: Id = Field(description="id of the other factor")
    amount: PartAmount = Field(description="how much of it goes into one unit of this factor")


class FactorFile(Strict):
    """factors/<id>.yaml: `figures` or `tables` or both, or else `made_of`."""

    id: Id = Field(description="the file's name without .yaml")
    names: Names = Field(description="what it is called")
    unit: Text = Field(description="kgCO2e or gCO2e per something, such as kgCO2e/km")
    boundary: Text = Field(description="what is counted and what is not")
    fallback: list[Region] = Field(
        default_factory=list, description="regions tried after the user's province and country, in this order"
    )
    figures: list[FactorFigure] | None = Field(
        default=None, description="single figures by region, year and day"
    )
    tables: list[FactorTable] | None = Field(
        default=None, description="figures of many regions and years, a table for each publication"
    )
    made_of: list[FactorPart] | None = Field(
        default=None, description="other factors that this one is the sum of"
    )


# --- behaviours -------------------------------------------------------------------------------------


class QuantityRules(Strict):
    """What may be reported."""

    unit: Text = Field(description="the unit that sources report, such as step, ride or kg")
    decimals: Whole = Field(default=0, description="decimal places accepted")
    min: Series = Field(description="smallest quantity accepted")
    max: Series = Field(description="largest quantity accepted; more is refused as implausible")


class AttributeRules(Strict):
    """A further field that sources may send."""

    kind: Literal["number", "numbers", "instant", "choice", "legs", "account"] = Field(
        description="a number; several numbers (350 342.5 361); an RFC 3339 instant; one of the choices; legs of a"
        " trip (metro:8.2 bus:3), each a choice and a number; or an opaque text that caps count by"
    )
    required: Truth = Field(description="whether an activity without it is refused")
    description: Text = Field(description="what it says")
    unit: Text | None = Field(default=None, description="unit of a number")
    decimals: Whole = Field(default=0, description="decimal places of a number")
    min: Series | None = Field(default=None, description="smallest number accepted; 0, when left out")
    max: Series | None = Field(default=None, description="largest number accepted")
    choices: Annotated[dict[Choice, Names], Field(min_length=1, max_length=CHOICES_MAX)] | None = Field(
        default=None, description="what may be chosen, and modes of legs, with their names"
    )
    default: Choice | None = Field(
        default=None, description="the choice that is taken where none is sent; only where it is not required"
    )
    most: Whole = Field(default=12, description=f"how many numbers or legs there may be, up to {ITEMS_MAX}")


class MeasureRules(Strict):
    """A number worked out of what is reported, for formulas to use like an attribute."""

    method: Literal["below_own_mean", "below_norm_else_own_mean"] = Field(
        description="how far the quantity lies below the mean of earlier ones, or below a norm where it does; "
        "nothing where it lies below neither"
    )
    of: AttributeName = Field(description="the attribute that holds the earlier ones: a number or numbers")
    gives: Literal["amount", "per_cent"] = Field(
        description="the difference in the unit of the quantity, or in per cent of the mean (unit %)"
    )
    least_pct: Series | None = Field(
        default=None, description="per cent below the mean from which it counts; less counts as nothing"
    )
    norm: Series | None = Field(
        default=None,
        description="what counts for all, such as a city's mean: in the quantity's unit, for one of norm_times",
    )
    norm_times: AttributeName | None = Field(
        default=None,
        description="the attribute that the norm is multiplied by, such as the persons of a household",
    )


class EvidenceRow(Strict):
    """What a source must be able to show."""

    kind: Id = Field(description="such as gate-record, order-record, pedometer")
    grade: Literal["A", "B", "C", "D"] = Field(
        description="A: settled by a third party, B: record of a platform, C: device, D: the user's word"
    )
    what: Text = Field(description="in words")


class CapRules(Strict):
    """Ceilings for one user; leave out what is not capped."""

    event_g: Series | None = Field(default=None, description="grams of one activity")
    day_g: Series | None = Field(default=None, description="grams of a local day")
    month_g: Series | None = Field(default=None, description="grams of a local calendar month")
    year_g: Series | None = Field(default=None, description="grams of a local calendar year")
    day_count: Series | None = Field(default=None, description="activities of a local day")
    month_count: Series | None = Field(default=None, description="activities of a local calendar month")
    year_count: Series | None = Field(default=None, description="activities of a local calendar year")
    month_count_per_account: Series | None = Field(
        default=None,
        description="activities of a local calendar month with the same account (an attribute of that kind)",
    )


class BallRules(Strict):
    """How the behaviour's balls live; what is left out comes from game.yaml."""

    ripens: Literal["after", "morning"] = Field(
        description="after: some hours after an instant; morning: in the next local morning batch"
    )
    counts_from: AttributeName = Field(
        default="at", description="the instant that counts: at (the act) or an instant attribute"
    )
    ripen_delay_h: Series | None = Field(
        default=None, description="hours from that instant until the ball is ripe"
    )
    life_h: Series | None = Field(default=None, description="hours from ripe to expired")
    floor_pct: Series | None = Field(
        default=None, description="per cent of a full ball that friends must leave, rounded up to grams"
    )
    head_start_s: Series | None = Field(
        default=None, description="seconds from ripe in which only the owner may collect"
    )
    share_min_pct: Series | None = Field(
        default=None, description="least that a friend's draw gives, per cent of the full ball"
    )
    share_max_pct: Series | None = Field(
        default=None, description="most that a friend's draw gives, per cent of the full ball"
    )
    share_less_pct: Series | None = Field(
        default=None, description="per cent of a draw that each friend who took before lessens it by"
    )
    late_limit_d: Series | None = Field(
        default=None, description="days after which a late report enters the carbon record only"
    )


class Scenario(Strict):
    """The two scenarios and the boundary, in words."""

    baseline: Text = Field(description="what would have happened otherwise")
    project: Text = Field(description="what happened")
    boundary: Text = Field(description="what is counted and what is not")


class Example(Strict):
    """A worked example; it runs whenever the rulebook is loaded."""

    name: Text = Field(description="what it shows")
    on: Day = Field(description="the local day of the act")
    quantity: Number = Field(description="the quantity reported")
    unit: Text | None = Field(
        default=None, description="the unit reported; the behaviour's own, when left out"
    )
    province: Region | None = Field(default=None, description="the user's province")
    attributes: dict[AttributeName, Written] = Field(
        default_factory=dict, description="the attributes reported"
    )
    evidence: Id | None = Field(
        default=None, description="the kind of evidence that the source has; the first row's, when left out"
    )
    energy_g: Whole | None = Field(
        default=None, description="energy of the activity after the cap for one activity, in grams"
    )
    booked_g: Whole | None = Field(
        default=None,
        description="energy after the gram caps of an otherwise empty day; as energy_g, when left out",
    )
    avoided_mg: Whole | None = Field(default=None, description="avoided emissions, in milligrams CO2e")
    points: Whole | None = Field(default=None, description="points, where the behaviour has them")
    money_minor: Whole | None = Field(default=None, description="what the points pay, in minor units")
    refused: Text | None = Field(
        default=None, description="the code with which the activity is refused, in place of results"
    )


class InForce(Strict):
    """When the behaviour counts."""

    from_: Day = Field(alias="from", description="first day on which the behaviour counts")
    until: Day | None = Field(default=None, description="first day on which it counts no more")


class BehaviourFile(Strict):
    """behaviours/<category>/<id>.yaml."""

    id: Id = Field(description="the file's name without .yaml")
    category: Id = Field(description="the folder's name")
    names: Names = Field(description="what it is called")
    description: Names = Field(description="a sentence that a user understands")
    icon: Id = Field(description="name of an icon")
    in_force: InForce = Field(description="when the behaviour counts")
    others_see: Literal["category", "behaviour", "grams"] = Field(
        default="category",
        description="what others are shown of its balls; grams for health, fine, tax and finance",
    )
    running_total: Truth = Field(
        default=False, description="whether sources report a rising total of a local day"
    )
    family: Id | None = Field(
        default=None,
        description="acts of one family exclude each other as `excludes` says; the id, when left out",
    )
    excludes: Literal["nothing", "overlap", "across-sources", "day", "month"] | None = Field(
        default=None,
        description="which acts of the family exclude each other: those whose times overlap; those of different "
        "sources that overlap; other behaviours of the same local day or month, and overlapping ones of the same "
        "behaviour (of a day's running totals all). "
        "Left out: day for a running total, overlap where a family is named, else nothing",
    )
    quantity: QuantityRules = Field(description="what is reported")
    attributes: dict[AttributeName, AttributeRules] = Field(
        default_factory=dict, description="further fields that sources may send"
    )
    measures: dict[AttributeName, MeasureRules] = Field(
        default_factory=dict, description="numbers worked out of what is reported"
    )
    evidence: list[EvidenceRow] = Field(min_length=1, description="what a source must be able to show")
    scenario: Scenario = Field(description="the scenarios behind the avoided emissions, in words")
    energy: EnergyFormula = Field(description="the game's grams")
    avoided: AvoidedFormula = Field(description="avoided emissions")
    points: PointsRules | None = Field(default=None, description="points of a scheme, beside energy")
    caps: CapRules = Field(default_factory=CapRules, description="ceilings for one user")
    ball: BallRules = Field(description="how its energy balls live")
    examples: list[Example] = Field(min_length=1, description="worked examples, run at every load")


# --- game, species, programmes ----------------------------------------------------------------------


class GameFile(Strict):
    """game.yaml: what holds for the whole game."""

    ripen_delay_h: Series = Field(description="hours from the instant that counts until a ball is ripe")
    life_h: Series = Field(description="hours from ripe to expired")
    floor_pct: Series = Field(
        description="per cent of a full ball that friends must leave, rounded up to grams"
    )
    head_start_s: Series = Field(description="seconds from ripe in which only the owner may collect")
    share_min_pct: Series = Field(
        description="least that a friend's draw gives, per cent of the full ball (at least 1 g)"
    )
    share_max_pct: Series = Field(description="most that a friend's draw gives, per cent of the full ball")
    share_less_pct: Series | None = Field(
        default=None,
        description="per cent of a friend's draw that each friend who took before lessens it by (at least 1 g is "
        "left); nothing, when left out",
    )
    late_limit_d: Series = Field(description="days after which a late report enters the carbon record only")
    morning_from_min: Series = Field(description="start of the morning batch, minutes after local midnight")
    morning_window_min: Series = Field(description="length of the morning batch, minutes")
    future_tolerance_s: Series = Field(
        description="how far in the future an act may lie (clocks differ), seconds"
    )
    friends_max: Series = Field(description="friends of one user")
    collect_balls_max: Series = Field(description="balls in one collect command")
    forest_balls_max: Series = Field(description="balls in one forest snapshot")
    overlap_window_s: Series = Field(
        description="how long an act counts as lasting of which only an instant is known, half of it before the "
        "instant, when acts of a family are compared, seconds"
    )
    day_acts_max: Series = Field(description="acts of one user and day that are compared with each other")
    shown_day_max: Series = Field(description="acts of one day that a user may show with photos")
    review_share_pct: Series = Field(
        description="how many of the acts that users show are looked at although nothing is suspicious, per cent"
    )


class SpeciesFile(Strict):
    """species/<id>.yaml."""

    id: Id = Field(description="the file's name without .yaml")
    names: Names = Field(description="what it is called")
    scientific: Text = Field(description="accepted scientific name")
    kind: Literal["shrub", "tree", "mangrove", "grass"] = Field(description="how it grows")
    energy_g: Series = Field(description="grams of energy for one plant")
    description: Names | None = Field(default=None, description="a sentence about the plant")


class Site(Sourced):
    """Where a programme plants, as a public place: never an exact plot."""

    names: Names = Field(description="a public place name")
    latitude: Number = Field(description="approximate, degrees north")
    longitude: Number = Field(description="approximate, degrees east")


class SeasonRow(Cited):
    """A planting window of each year."""

    id: Id = Field(description="such as spring")
    names: Names = Field(description="what it is called")
    order_by: MonthDay = Field(
        description="last day on which an order can join it; a month-day after opens means the year before"
    )
    opens: MonthDay = Field(description="first day of planting")
    closes: MonthDay = Field(description="last day of planting; before opens means the next year")


class ProgrammeFile(Strict):
    """programmes/<id>.yaml."""

    id: Id = Field(description="the file's name without .yaml")
    names: Names = Field(description="what users see")
    species: Id = Field(description="id of a species")
    partner: Id = Field(description="id of the partner who plants")
    region: Region = Field(description="ISO 3166-2 code of the place")
    site: Site = Field(description="where it is, roughly")
    open_on: Day = Field(description="first day on which it can be redeemed")
    close_on: Day | None = Field(default=None, description="last day on which it can be redeemed")
    seasons: list[SeasonRow] = Field(min_length=1, description="planting windows")
    granularity: Literal["individual", "pooled"] = Field(
        description="individual: each plant is recorded; pooled: counted by plot"
    )
    currency: Currency = Field(description="ISO 4217 code")
    energy_g: Series | None = Field(
        default=None, description="grams of energy for one plant; the species' price, when left out"
    )
    unit_price_minor: Series = Field(description="price of one plant in minor units of the currency")
    order_min_trees: Series = Field(description="smallest order that the partner takes")
    wait_max_d: Series = Field(description="longest that a redeemed plant waits for its order, days")
    energy_back_d: Series | None = Field(
        default=None,
        description="days without a place after which a plant's energy comes back by itself; never, when left out",
    )
