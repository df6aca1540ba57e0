"""What the users of a shard mean to do on a day, in the order of time: reports of their acts, and looks into forests.

Drawn from dice of that shard and day alone and before any rule is asked, so that two rulebooks meet the same days.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from engine.core.units import MINUTE_MS, SECOND_MS, local_instant
from engine.simulate.people import BETWEEN_DAYS, Doing, Person

LAST_MIN = 23 * 60 + 50  # nothing is reported later, so that a day's acts are known on the day
OPENS_FROM_MIN, OPENS_TO_MIN = 10 * 60, 22 * 60  # when the app is opened again


class Report(NamedTuple):
    """One report to be sent; `number` is the id that its activity and ball get.

    `acted_at`, `on`: instant and local day of the act, where it is not reported at once. `source`, `name`: who tells
    it and their id of it, where that is known; `account`: the account that it is for.
    """

    behaviour: str
    quantity: Decimal
    number: int
    revision: int | None = None
    attributes: Mapping[str, Any] = {}
    acted_at: int | None = None
    on: date | None = None
    evidence: str | None = None
    account: str | None = None
    source: str | None = None
    name: str | None = None


class Look(NamedTuple):
    """The app is opened: own balls first, then the forests of these users. `redeems`: a tree, if it can be paid."""

    forests: Sequence[int]
    redeems: bool
    own: bool = True


class Item(NamedTuple):
    """One thing that a user means to do at an instant."""

    at: int
    order: int
    person: Person
    what: Report | Look


class TracedAct(NamedTuple):
    """One act of a real subject: day number in the trace, minute of the day, behaviour, quantity."""

    day: int
    minute: int
    behaviour: str
    quantity: Decimal
    is_total: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """What real subjects did: subject → day → acts. Repeats after `days` (whole weeks, where it is that long)."""

    name: str
    start: date
    days: int
    subjects: Mapping[str, Mapping[int, Sequence[TracedAct]]] = field(default_factory=dict)

    def behaviours(self) -> frozenset[str]:
        """The behaviours that the trace tells of."""
        return frozenset(
            act.behaviour for acts in self.subjects.values() for day in acts.values() for act in day
        )

    def day_of(self, number: int) -> int:
        """The trace's day for a day number of a run: the trace begins anew on the same weekday."""
        if number < self.days:
            return number
        length = self.days - self.days % 7 or self.days
        return number % length


class PlannedDays(Protocol):
    """What a shard lives through: described users, or the real ones of a journal."""

    people: Sequence[Person]

    def sources_of(self, person: Person) -> Mapping[str, Set[str]]:
        """What the person's sources report of them."""
        ...

    def date_of(self, number: int) -> date:
        """The calendar day."""
        ...

    def midnight(self, number: int) -> int:
        """The instant at which the day begins."""
        ...

    def plan(self, number: int) -> list[Item]:
        """The day's items in order of time."""
        ...


class Days:
    """The days of one shard, whose users are those from `first` on, `of_users` in all.

    Each user has the acts of one subject of each trace. `categories`: the category of each behaviour.
    """

    def __init__(
        self,
        people: Sequence[Person],
        categories: Mapping[str, str],
        start: date,
        zone: str,
        dice: str,
        traces: Sequence[Trace] = (),
        first: int = 0,
        of_users: int | None = None,
    ) -> None:
        self.people = people
        self._categories = categories
        self._first, self._of_users = first, len(people) if of_users is None else of_users
        self._start, self._zone, self._dice = start, zone, dice
        self._number = len(people)  # ids of users come first
        self._traced_behaviours = frozenset().union(*(trace.behaviours() for trace in traces))
        self._traced = [self._deal(trace) for trace in traces]

    def _deal(self, trace: Trace) -> tuple[Trace, list[Mapping[int, Sequence[TracedAct]]]]:
        """A subject for each person: each once where there are as many, else by chance."""
        subjects = sorted(trace.subjects)
        if self._of_users == len(subjects):
            mine = subjects[self._first : self._first + len(self.people)]
            return trace, [trace.subjects[subject] for subject in mine]
        dice = random.Random(f"{self._dice}/{trace.name}")
        return trace, [trace.subjects[dice.choice(subjects)] for _ in self.people]

    def sources_of(self, person: Person) -> dict[str, set[str]]:
        """What the person's sources report of them: there is one for each category."""
        done: defaultdict[str, set[str]] = defaultdict(set)
        for behaviour in sorted(self._traced_behaviours | {doing.behaviour for doing, _ in person.doings}):
            if behaviour in self._categories:  # another rulebook may know more
                done[self._categories[behaviour]].add(behaviour)
        return dict(done)

    def date_of(self, number: int) -> date:
        """The calendar day."""
        return self._start + timedelta(days=number)

    def midnight(self, number: int) -> int:
        """The instant at which the day begins."""
        return local_instant(self.date_of(number), 0, self._zone)

    def plan(self, number: int) -> list[Item]:
        """The day's items in order of time."""
        dice = random.Random(f"{self._dice}/day/{number}")
        midnight = self.midnight(number)
        items: list[Item] = []
        for index, person in enumerate(self.people):
            if person.has_left:
                continue
            if person.leaves and dice.random() < person.leaves:
                person.has_left = True
                continue
            for doing, level in person.doings:
                self._act(items, midnight, person, doing, level, dice)
            for trace, subjects in self._traced:
                for act in subjects[index].get(trace.day_of(number), ()):
                    self._traced_act(items, midnight, person, act)
            if dice.random() < person.opens:
                self._looks(items, midnight, person, dice)
        items.sort()
        return items

    def _act(
        self,
        items: list[Item],
        midnight: int,
        person: Person,
        doing: Doing,
        level: float,
        dice: random.Random,
    ) -> None:
        draw = dice.random
        for _ in range(doing.whole + (draw() < doing.rest)):
            quantity = doing.quantity
            if quantity is None:
                drawn = math.exp(level + doing.spread * BETWEEN_DAYS * dice.gauss(0, 1))
                quantity = Decimal(int(drawn * 100)).scaleb(-2)
            if doing.running_total:
                self._total(items, midnight, person, doing, quantity, draw)
                return
            at = midnight + int((doing.from_min + doing.span_min * draw()) * 60) * SECOND_MS
            self._number = number = self._number + 1
            items.append(Item(at, number, person, _report(doing, person, quantity, number)))

    def _total(
        self, items: list[Item], midnight: int, person: Person, doing: Doing, quantity: Decimal, draw: Any
    ) -> None:
        """A running total is told again and again as the day goes on; the last report is the whole."""
        number = self._number + 1
        self._number += doing.reports
        for report in range(1, doing.reports + 1):
            minute = doing.from_min + doing.span_min * report / doing.reports - 10 * draw()
            so_far = quantity if report == doing.reports else Decimal(int(quantity) * report // doing.reports)
            at = midnight + int(minute * 60) * SECOND_MS
            what = _report(doing, person, so_far, number, report)
            items.append(Item(at, number + report - 1, person, what))

    def _traced_act(self, items: list[Item], midnight: int, person: Person, act: TracedAct) -> None:
        self._number = number = self._number + 1
        revision = 1 if act.is_total else None
        at = midnight + min(LAST_MIN, act.minute) * MINUTE_MS
        items.append(Item(at, number, person, Report(act.behaviour, act.quantity, number, revision)))

    def _looks(self, items: list[Item], midnight: int, person: Person, dice: random.Random) -> None:
        """The first time at the user's own hour, the others at any time of the day."""
        draw, friends, people = dice.random, person.friends, self.people
        redeems = draw() < person.redeems
        for time in range(person.opens_per_day):
            if time:
                minute = OPENS_FROM_MIN + (OPENS_TO_MIN - OPENS_FROM_MIN) * draw()
            else:
                minute = person.first_open_min + 20 * draw()
            count = min(len(friends), person.visits + (draw() < person.visits_rest))
            forests = [people[friend].id for friend in dice.sample(friends, count)] if count else ()
            self._number = number = self._number + 1
            at = midnight + int(minute * 60) * SECOND_MS
            items.append(Item(at, number, person, Look(forests, redeems)))


def _report(
    doing: Doing, person: Person, quantity: Decimal, number: int, revision: int | None = None
) -> Report:
    account = f"{person.id}-{number % doing.accounts}" if doing.accounts else None
    return Report(
        doing.behaviour, quantity, number, revision, doing.attributes, None, None, doing.evidence, account
    )
