"""A described population: who plays, what they do, how they collect. Read strictly from one YAML file.

These are assumptions about people, never numbers of the game: a population is no part of a rulebook and of its
hash. Every problem of a file is told with its line and the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError, model_validator

from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.core.units import zone_of
from engine.rulefiles.checks import Finding
from engine.rulefiles.models import Names, Strict
from engine.rulefiles.reading import Document, Problem, path_text, read_document
from engine.rulefiles.scalars import (
    AttributeName,
    Day,
    Exact,
    Id,
    Number,
    Region,
    Text,
    Whole,
    Written,
    wrong,
)
from engine.rulefiles.wording import findings_of

USERS_MAX = 500_000
DAYS_MAX = 3_660
SHIPPED = Path(__file__).parent / "populations"
MINUTES_OF_DAY = 24 * 60


class PopulationError(Exception):
    """The file describes no population; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


# --- scalars ----------------------------------------------------------------------------------------


def _between(low: float, high: float) -> AfterValidator:
    """An exact number inside bounds, as a float: it feeds dice, not a ledger."""

    def check(found: Exact) -> float:
        if not low <= found.amount <= high:
            raise wrong(found.text, f"a number from {low:g} to {high:g}", "write a number inside the bounds")
        return float(found.amount)

    return AfterValidator(check)


def _up_to(high: int, low: int = 0) -> AfterValidator:
    def check(found: int) -> int:
        if not low <= found <= high:
            raise wrong(
                str(found), f"a whole number from {low:,} to {high:,}", "write a number inside the bounds"
            )
        return found

    return AfterValidator(check)


def _iana(found: str) -> str:
    try:
        zone_of(found)
    except Rejected as refusal:
        raise wrong(found, "an IANA time zone", "write it like Asia/Shanghai") from refusal
    return found


def _share(found: Exact) -> Fraction:
    if not 0 <= found.amount <= 1:
        raise wrong(found.text, "a share from 0 to 1", "write a third as 1/3 and 30 per cent as 0.3")
    return found.amount


Share = Annotated[Number, AfterValidator(_share)]
Zone = Annotated[Text, AfterValidator(_iana)]
Minute = Annotated[Whole, _up_to(MINUTES_OF_DAY - 1)]


# --- the file ---------------------------------------------------------------------------------------


class Place(Strict):
    """Where a share of the users live; `without`: behaviours that can't be done there."""

    names: Names
    share: Share
    province: Region | None = None
    without: list[Id] = Field(default_factory=list, max_length=200)


class Habit(Strict):
    """How a share of the users play."""

    names: Names
    share: Share
    opens: Share = Field(description="share of days on which the app is opened at all")
    opens_per_day: Annotated[Whole, _up_to(24, 1)] = Field(description="times on such a day")
    first_open_min: Minute = Field(description="usual minute of the day of the first time")
    visits_per_open: Annotated[Number, _between(0, 200)] = Field(
        description="friends' forests looked at each time"
    )
    redeems: Share = Field(description="share of days on which energy that suffices becomes a tree")
    leaves_per_day: Annotated[Number, _between(0, 1)] = Field(description="chance a day to leave for good")


class Friends(Strict):
    """The graph: degrees follow a Pareto distribution with this mean and tail exponent, cut at `max`."""

    mean: Annotated[Number, _between(0, 500)]
    tail: Annotated[Number, _between(1.05, 10)]
    max: Annotated[Whole, _up_to(5_000)]


class Quantity(Strict):
    """A log-normal quantity: median, and spread (standard deviation of its logarithm)."""

    median: Annotated[Number, _between(0, 10**9)]
    spread: Annotated[Number, _between(0, 3)]


class Act(Strict):
    """Who does a behaviour and how often. Without `quantity` the first worked example of the behaviour counts."""

    share: Share = Field(description="share of users who ever do it")
    per_day: Annotated[Number, _between(0, 50)] = Field(description="mean times a day, for one who does")
    quantity: Quantity | None = None
    attributes: dict[AttributeName, Written] = Field(default_factory=dict, max_length=20)
    evidence: Id | None = Field(
        default=None, description="kind of evidence; that of the example, when left out"
    )
    accounts: Annotated[Whole, _up_to(50)] = Field(
        default=1,
        description="accounts of a user that take turns where the behaviour asks for one; 0: told only if required",
    )
    from_min: Minute = 7 * 60
    to_min: Minute = 21 * 60
    reports: Annotated[Whole, _up_to(24, 1)] = Field(
        default=1, description="reports of one day's running total"
    )


class OtherActs(Strict):
    """For every behaviour of the rulebook that `acts` does not name."""

    share: Share
    per_day: Annotated[Number, _between(0, 50)]


class Population(Strict):
    """The whole file."""

    names: Names
    description: Names
    users: Annotated[Whole, _up_to(USERS_MAX, 1)]
    represents: Annotated[Whole, _up_to(10**10, 1)] | None = Field(
        default=None, description="how many real users these stand for: trees and money are scaled to them"
    )
    start: Day
    days: Annotated[Whole, _up_to(DAYS_MAX, 1)]
    zone: Zone
    places: dict[Id, Place] = Field(min_length=1, max_length=50)
    habits: dict[Id, Habit] = Field(min_length=1, max_length=50)
    friends: Friends
    acts: dict[Id, Act] = Field(default_factory=dict, max_length=200)
    other_acts: OtherActs | None = None
    wishes: dict[Id, Annotated[Number, _between(0, 10**6)]] = Field(
        default_factory=dict,
        max_length=200,
        description="programmes that users want, by weight; none: all alike",
    )
    stock: dict[Id, Annotated[Whole, _up_to(10**10)]] = Field(
        default_factory=dict,
        max_length=200,
        description="trees on offer; a programme not named never runs out",
    )

    @model_validator(mode="after")
    def _shares_are_whole(self) -> Population:
        for name, group in (("places", self.places), ("habits", self.habits)):
            total = sum((member.share for member in group.values()), Fraction(0))
            if total != 1:
                raise wrong(
                    f"{name} whose shares make {total}",
                    "shares that make 1 together",
                    f"change a share of {name}",
                )
        for behaviour, act in self.acts.items():
            if act.to_min <= act.from_min:
                raise wrong(
                    f"acts of {behaviour} that end before they begin", "to_min after from_min", "swap the two"
                )
        return self


# --- reading ----------------------------------------------------------------------------------------


def shipped_populations() -> list[str]:
    """Names of the populations that come with the engine."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def read_population(path: Path) -> tuple[Population, Document]:
    """The population in a file, and the document for later messages. Raises PopulationError."""
    document, problems = read_document(path, path.name)
    if document is None or problems:
        raise PopulationError(problems)
    try:
        return Population.model_validate(document.tree), document
    except ValidationError as error:
        raise PopulationError(_told(findings_of(error, Population, document), document)) from error


def check_population(
    population: Population, books: Mapping[str, RuleBook], document: Document | None = None
) -> None:
    """Raises PopulationError for a behaviour or programme that none of the rulebooks knows."""
    behaviours = {behaviour for book in books.values() for behaviour in book.behaviours}
    programmes = {programme for book in books.values() for programme in book.programmes}
    findings = list(_unknown(population, behaviours, programmes))
    if findings:
        raise PopulationError(_told(findings, document or Document(population.names.en, None)))


def _unknown(population: Population, behaviours: set[str], programmes: set[str]) -> Iterator[Finding]:
    for name in population.acts.keys() - behaviours:
        yield _no_such(("acts", name), "behaviour", behaviours)
    for place, about in population.places.items():
        for index, name in enumerate(about.without):
            if name not in behaviours:
                yield _no_such(("places", place, "without", index), "behaviour", behaviours)
    for key in ("wishes", "stock"):
        for name in getattr(population, key).keys() - programmes:
            yield _no_such((key, name), "programme", programmes)


def _no_such(path: tuple[str | int, ...], kind: str, known: set[str]) -> Finding:
    shown = ", ".join(sorted(known)[:12]) + (" …" if len(known) > 12 else "")
    return Finding(path, f"a {kind} that no rulebook has", f"one of {shown}", "correct the id, or remove it")


def _told(findings: Iterable[Finding], document: Document) -> Iterator[Problem]:
    for finding in findings:
        fix = finding.fix.replace("docs/rules.md", "docs/simulation.md")
        line, path = document.line_of(finding.path), path_text(finding.path)
        yield Problem(document.file, line, path, finding.found, finding.expected, fix)
