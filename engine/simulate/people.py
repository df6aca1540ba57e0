"""Who is in a shard, drawn from a description with the shard's own dice: places, habits, acts, friends.

Drawn before any rule is asked, and the same under every rulebook: so two rulebooks meet the same people.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engine.core.rules import RuleBook
from engine.simulate.population import Act, Population
from engine.simulate.typical import Typical

BETWEEN_USERS = 0.7  # of a quantity's spread: how much differs between users, and the rest between days
BETWEEN_DAYS = math.sqrt(1 - BETWEEN_USERS**2)


@dataclass(slots=True)
class Doing:
    """A behaviour as the whole shard does it; users differ by their level."""

    behaviour: str
    share: float
    whole: int  # acts a day: this many, and one more with the chance `rest`
    rest: float
    from_min: int
    span_min: int
    reports: int
    running_total: bool
    quantity: Decimal | None  # the same for all, else drawn
    log_median: float
    spread: float
    attributes: dict[str, str]
    evidence: str | None
    accounts: int


@dataclass(slots=True)
class Person:
    """One user: what they do, when they look in, whom they visit."""

    id: int
    place: str
    habit: str
    province: str | None
    doings: list[tuple[Doing, float]]
    opens: float
    opens_per_day: int
    first_open_min: int
    visits: int
    visits_rest: float
    redeems: float
    leaves: float
    wishes: list[str]
    friends: list[int] = field(default_factory=list)  # places in the shard's list
    has_left: bool = False


def doings_of(
    population: Population, books: Sequence[RuleBook], typical: Mapping[str, Typical]
) -> dict[str, Doing]:
    """Every behaviour that is done in the population, by all rulebooks that are compared."""
    known = {name: behaviour for book in books for name, behaviour in book.behaviours.items()}
    for_accounts = {name for book in books for name, rule in book.behaviours.items() if rule.is_for_accounts}
    doings: dict[str, Doing] = {}
    for name in sorted(known):
        act = population.acts.get(name)
        if act is None and population.other_acts is not None:
            act = Act.model_construct(
                share=population.other_acts.share,
                per_day=population.other_acts.per_day,
                quantity=None,
                attributes={},
                evidence=None,
                accounts=1,
                from_min=7 * 60,
                to_min=21 * 60,
                reports=1,
            )
        if act is not None:
            accounts = act.accounts if name in for_accounts else 0
            doings[name] = _doing(name, act, known[name].running_total, typical.get(name), accounts)
    return doings


def _doing(name: str, act: Act, running_total: bool, typical: Typical | None, accounts: int) -> Doing:
    quantity = None if act.quantity else typical.quantity if typical else Decimal(1)
    return Doing(
        behaviour=name,
        share=float(act.share),
        whole=int(act.per_day),
        rest=act.per_day - int(act.per_day),
        from_min=act.from_min,
        span_min=act.to_min - act.from_min,
        reports=act.reports,
        running_total=running_total,
        quantity=quantity,
        log_median=math.log(max(act.quantity.median, 1e-6)) if act.quantity else 0.0,
        spread=act.quantity.spread if act.quantity else 0.0,
        attributes={**(typical.attributes if typical else {}), **act.attributes},
        evidence=act.evidence or (typical.evidence if typical else None),
        accounts=accounts,
    )


def people_of(
    population: Population,
    doings: Mapping[str, Doing],
    programmes: Sequence[str],
    count: int,
    dice: random.Random,
) -> list[Person]:
    """The shard's users, with their friends."""
    places, habits = list(population.places), list(population.habits)
    place_weights = [float(place.share) for place in population.places.values()]
    habit_weights = [float(habit.share) for habit in population.habits.values()]
    people = []
    for number in range(count):
        [place] = dice.choices(places, place_weights)
        [habit] = dice.choices(habits, habit_weights)
        people.append(_person(population, doings, programmes, number + 1, place, habit, dice))
    _befriend(people, population, dice)
    return people


def _person(
    population: Population,
    doings: Mapping[str, Doing],
    programmes: Sequence[str],
    user: int,
    place: str,
    habit: str,
    dice: random.Random,
) -> Person:
    about, rhythm = population.places[place], population.habits[habit]
    mine = []
    for doing in doings.values():
        chance, level = dice.random(), dice.gauss(0, 1)
        if chance < doing.share and doing.behaviour not in about.without:
            mine.append((doing, doing.log_median + doing.spread * BETWEEN_USERS * level))
    return Person(
        id=user,
        place=place,
        habit=habit,
        province=about.province,
        doings=mine,
        opens=float(rhythm.opens),
        opens_per_day=rhythm.opens_per_day,
        first_open_min=min(1380, max(0, rhythm.first_open_min + int(dice.gauss(0, 45)))),
        visits=int(rhythm.visits_per_open),
        visits_rest=rhythm.visits_per_open - int(rhythm.visits_per_open),
        redeems=float(rhythm.redeems),
        leaves=rhythm.leaves_per_day,
        wishes=_wishes(population, programmes, dice),
    )


def _wishes(population: Population, programmes: Sequence[str], dice: random.Random) -> list[str]:
    """Programmes in the order in which the user wants them: drawn without return, by weight."""
    keyed = []
    for programme in programmes:
        weight = population.wishes.get(programme, 0.0) if population.wishes else 1.0
        chance = dice.random()
        if weight > 0:
            keyed.append((math.log(chance or 1e-300) / weight, programme))
    return [programme for _, programme in sorted(keyed, reverse=True)]


def _befriend(people: list[Person], population: Population, dice: random.Random) -> None:
    """Join half-edges at random; an edge that is met twice or leads back is left out."""
    wanted = population.friends
    most = min(wanted.max, len(people) - 1)
    if most <= 0 or wanted.mean <= 0:
        return
    least = wanted.mean * (wanted.tail - 1) / wanted.tail
    halves: list[int] = []
    for number in range(len(people)):
        degree = least * dice.paretovariate(wanted.tail)
        count = int(degree) + (dice.random() < degree - int(degree))
        halves += [number] * min(most, count)
    dice.shuffle(halves)
    joined: set[tuple[int, int]] = set()
    for one, other in zip(halves[::2], halves[1::2], strict=False):
        if one != other:
            joined.add((min(one, other), max(one, other)))
    for one, other in sorted(joined):
        people[one].friends.append(other)
        people[other].friends.append(one)
