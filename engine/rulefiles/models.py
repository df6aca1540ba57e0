"""The shape of every rule file: which keys there are, which may be left out, and what each may hold.

These models refuse all else. They are the one source of the JSON Schema for editors and of the field tables
in docs/rules.md. What needs a second file to be judged (does that factor exist?) is judged in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.rulefiles.scalars import (
    AttributeName,
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
)

# --- shared shapes ----------------------------------------------------------------------------------


class Strict(BaseModel):
    """Unknown keys are refused; nothing is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Names(Strict):
    """A name or sentence in both languages."""

    zh: Text = Field(description="in Chinese")
    en: Text = Field(description="in English")


class Sourced(Strict):
    """Something that rests on sources."""

    references: list[Id] = Field(min_length=1, description="ids from references.yaml that it rests on")


class Cited(Sourced):
    """A number, or numbers, with sources."""

    confidence: Literal["documented", "derived", "assumed"] = Field(
        description="documented: a source says it; derived: worked out from such; assumed: our own choice"
    )
    because: Text | None = Field(
        default=None, description="how it was worked out, or why it was chosen; required unless documented"
    )


class DatedValue(Cited):
    """A number from a day on, with its sources."""

    value: Number | None = Field(
        description="the number, exact: 80, 0.16725 or 296/18040; null ends it from this day"
    )


Series = Annotated[dict[Day, DatedValue], Field(min_length=1)]


class Measured(Strict):
    """Dated numbers with a unit of their own."""

    unit: Text = Field(description="unit, such as km/step or g/order")
    values: Series = Field(description="numbers by the day from which they are in force")


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


class ReferencesFile(Strict):
    """references.yaml: every source, once."""

    references: dict[Id, Reference]


# --- factors ----------------------------------------------------------------------------------------


class FactorFigure(Cited):
    """A factor's figure for a region."""

    region: Region = Field(description="ISO 3166 code: country or province; XX for the world")
    year: Whole = Field(description="the year that the figure describes")
    from_: Day = Field(alias="from", description="first day on which the game uses it")
    value: Number = Field(description="the figure, in the factor's unit")
    table: Text = Field(description="table, sheet, row or page in the source")


class FactorPart(Strict):
    """So much of another factor."""

    factor: Id = Field(description="id of the other factor")
    amount: Measured = Field(description="how much of it goes into one unit of this factor")


class FactorFile(Strict):
    """factors/<id>.yaml: either `figures` or `made_of`."""

    id: Id = Field(description="the file's name without .yaml")
    names: Names = Field(description="what it is called")
    unit: Text = Field(description="kgCO2e or gCO2e per something, such as kgCO2e/km")
    boundary: Text = Field(description="what is counted and what is not")
    fallback: list[Region] = Field(
        default_factory=list, description="regions tried after the user's province and country, in this order"
    )
    figures: list[FactorFigure] | None = Field(default=None, description="figures by region and day")
    made_of: list[FactorPart] | None = Field(
        default=None, description="other factors that this one is the sum of"
    )


# --- formulas ---------------------------------------------------------------------------------------


class NoneFormula(Strict):
    """Nothing is credited."""

    method: Literal["none"]
    reason: Text = Field(description="why nothing is credited")


class ConstantFormula(Strict):
    """The same grams for every activity."""

    method: Literal["constant_per_event"]
    grams: Series = Field(description="grams for one activity, whatever its quantity")


class RatioFormula(Strict):
    """Grams for each unit reported."""

    method: Literal["factor_times_quantity"]
    grams_per_unit: Series = Field(description="grams for each unit of the behaviour")


class StepRow(Strict):
    """A step of a table."""

    from_quantity: Number = Field(description="quantity from which the step counts")
    grams: Number = Field(description="grams for the activity on this step")


class StepsInForce(Cited):
    """A table of steps from a day on."""

    steps: list[StepRow] = Field(min_length=1, description="rising in from_quantity and in grams")


class StepTableFormula(Strict):
    """Grams by steps of the quantity."""

    method: Literal["step_table"]
    tables: Annotated[dict[Day, StepsInForce], Field(min_length=1)]


class TermRow(Strict):
    """A line of a scenario."""

    factor: Id = Field(description="id of a factor")
    amount: Measured | None = Field(
        default=None, description="how much of it for one functional unit; one, when left out"
    )


class Extent(Strict):
    """How the reported quantity becomes functional units."""

    unit: Text = Field(description="the functional unit, such as pkm, or the behaviour's own unit")
    per_unit: Measured | None = Field(default=None, description="functional units in one reported unit")
    attribute: AttributeName | None = Field(
        default=None, description="a number attribute that tells the functional units of this very act"
    )


class Formula(Strict):
    """What formulas of avoided emissions share."""

    extent: Extent = Field(description="the functional unit and how it follows from what is reported")
    share: Series | None = Field(
        default=None, description="share of the acts that really replace the baseline; all, when left out"
    )
    uncertainty_pct: Series = Field(description="relative 95 % half-width of the result, in per cent")


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


class ConstantAvoidedFormula(Strict):
    """The same avoided grams for every activity."""

    method: Literal["constant_per_event"]
    grams: Series = Field(description="grams of CO2e avoided by one activity")
    uncertainty_pct: Series = Field(description="relative 95 % half-width of the result, in per cent")


EnergyFormula = Annotated[
    NoneFormula | ConstantFormula | RatioFormula | StepTableFormula, Field(discriminator="method")
]
AvoidedFormula = Annotated[
    NoneFormula | ConstantAvoidedFormula | FactorFormula | DifferenceFormula, Field(discriminator="method")
]


# --- behaviours -------------------------------------------------------------------------------------


class QuantityRules(Strict):
    """What may be reported."""

    unit: Text = Field(description="the unit that sources report, such as step, ride or kg")
    decimals: Whole = Field(default=0, description="decimal places accepted")
    min: Series = Field(description="smallest quantity accepted")
    max: Series = Field(description="largest quantity accepted; more is refused as implausible")


class AttributeRules(Strict):
    """A further field that sources may send."""

    kind: Literal["number", "instant"] = Field(description="a number, or an RFC 3339 instant")
    required: Truth = Field(description="whether an activity without it is refused")
    description: Text = Field(description="what it says")
    unit: Text | None = Field(default=None, description="unit of a number")
    decimals: Whole = Field(default=0, description="decimal places of a number")
    min: Series | None = Field(default=None, description="smallest number accepted")
    max: Series | None = Field(default=None, description="largest number accepted")


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
    day_count: Series | None = Field(default=None, description="activities of a local day")
    month_count: Series | None = Field(default=None, description="activities of a local calendar month")


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
    energy_g: Whole | None = Field(
        default=None, description="energy of the activity after the cap for one activity, in grams"
    )
    booked_g: Whole | None = Field(
        default=None,
        description="energy after the gram caps of an otherwise empty day; as energy_g, when left out",
    )
    avoided_mg: Whole | None = Field(default=None, description="avoided emissions, in milligrams CO2e")
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
    evidence: list[EvidenceRow] = Field(min_length=1, description="what a source must be able to show")
    scenario: Scenario = Field(description="the scenarios behind the avoided emissions, in words")
    energy: EnergyFormula = Field(description="the game's grams")
    avoided: AvoidedFormula = Field(description="avoided emissions")
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
