"""The real users of a database once more, under another rulebook: what they did is taken from its journal.

Reports come when and as they came. Looks into forests come when something was really collected there. A user who
really redeemed wants the same programme whenever the wallet holds it; one who could have and did not saves on; one who
never could wants what most others took. Ids are renumbered; nothing of a person is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from engine.core.rules import RuleBook
from engine.core.units import local_instant
from engine.simulate.days import Item, Look, Report
from engine.simulate.journal import Reading, count_active, pages_of, transfers_of
from engine.simulate.people import Person
from engine.simulate.shard import Shard
from engine.simulate.tally import NEVER, OPENED, Tally, UserFigures
from engine.store.database import Reader

KEPT_D = 400  # running totals are told again up to a year later in real data
USERS_MAX = 200_000
ACTIVITIES_MAX = 5_000_000


class _Traced(msgspec.Struct):
    attributes: dict[str, Any] = {}
    account: str | None = None  # a digest, which does as well


_trace = msgspec.json.Decoder(_Traced)


class TooLarge(Exception):
    """The database holds more than is replayed in memory."""


@dataclass(slots=True)
class RealDays:
    """The days of the real users, as a shard lives through them."""

    people: list[Person]
    start: date
    zone: str
    behaviours: frozenset[str]
    known: list[UserFigures] = field(
        default_factory=list
    )  # of the same people: when they joined and were active
    items: dict[int, list[Item]] = field(default_factory=dict)
    sources: dict[int, set[str]] = field(default_factory=dict)  # person → sources that told of them

    def sources_of(self, person: Person) -> dict[str, frozenset[str]]:
        """Sources that report of the person. Each may report everything: consent was real."""
        return dict.fromkeys(sorted(self.sources.get(person.id, ())), self.behaviours)

    def date_of(self, number: int) -> date:
        """The calendar day."""
        return self.start + timedelta(days=number)

    def midnight(self, number: int) -> int:
        """The instant at which the day begins."""
        return local_instant(self.date_of(number), 0, self.zone)

    def plan(self, number: int) -> list[Item]:
        """The day's items in order of time."""
        return sorted(self.items.pop(number, ()))


def replayed(days: RealDays, rules: RuleBook, number_of_days: int, seed: int) -> Tally:
    """The tally of the real users under the rulebook. Draws hang on the seed. Raises LawBroken."""
    shard = Shard(rules, days, f"{seed}/replay".encode(), days.zone, KEPT_D)
    for day in range(number_of_days):
        shard.run_day(day)
        shard.redeem(None, {})
    tally = shard.finish()
    for figures, known in zip(tally.users, days.known, strict=True):
        figures.opened, figures.active = known.opened, known.active  # no rulebook changes when people come
    tally.user_days = sum(number_of_days - max(0, known.opened) for known in days.known)
    for row in tally.days.values():
        row[OPENED] = 0
    count_active(tally, number_of_days)
    return tally


async def real_days(view: Reader, reading: Reading, rules: RuleBook) -> RealDays:
    """What the users of the database did, day by day. Raises TooLarge."""
    if len(reading.users) > USERS_MAX or len(reading.acts) > ACTIVITIES_MAX:
        limits = f"at most {USERS_MAX:,} users and {ACTIVITIES_MAX:,} activities are replayed"
        raise TooLarge(f"{limits}; report on a copy that holds fewer")
    people = _people(reading, rules)
    known = [reading.users[user] for user in people]
    days = RealDays(list(people.values()), reading.start, reading.zone, frozenset(rules.behaviours), known)
    await _friends(view, days.people, people)
    order = len(people) + 1
    order = await _reports(view, reading, days, people, order)
    await _looks(view, reading, days, people, order)
    return days


def _people(reading: Reading, rules: RuleBook) -> dict[int, Person]:
    wanted: Counter[str] = Counter()
    for tally in reading.groups.values():
        wanted.update(tally.planted)
    favourite = [name for name, _ in wanted.most_common()] or sorted(rules.programmes)
    people: dict[int, Person] = {}
    for number, (user, figures) in enumerate(sorted(reading.users.items()), 1):
        province = None if figures.place == "no province" else figures.place
        people[user] = Person(
            number,
            figures.place,
            "",
            province,
            [],
            1.0,
            1,
            0,
            0,
            0.0,
            float(_redeems(reading, user, rules)),
            0.0,
            favourite,
        )
    return people


def _redeems(reading: Reading, user: int, rules: RuleBook) -> bool:
    """Whether the user turns energy into trees where they can."""
    figures = reading.users[user]
    if figures.first_tree != NEVER:
        return True
    last = reading.start + timedelta(days=reading.days - 1)
    prices = [programme.energy_g(last) for programme in rules.programmes.values()]
    return figures.collected_g < min((price for price in prices if price is not None), default=0)


async def _friends(view: Reader, listed: Sequence[Person], people: dict[int, Person]) -> None:
    places = {person.id: place for place, person in enumerate(listed)}
    sql = "SELECT user_id, friend_id FROM friends WHERE state = 'friends' ORDER BY user_id, friend_id"
    for user, friend in await view.fetch(sql):
        if user in people and friend in people:
            people[user].friends.append(places[people[friend].id])


async def _reports(
    view: Reader, reading: Reading, days: RealDays, people: dict[int, Person], order: int
) -> int:
    """Every report, running totals with all their revisions; an activity's id follows from its place.

    Sources are told apart by numbers, because two that tell of one act are compared and one alone is not.
    """
    sources: dict[str, str] = {}
    revisions: defaultdict[int, list[tuple[int, str, int]]] = defaultdict(list)
    for act, revision, quantity, at in await view.fetch(
        'SELECT activity_id, revision, quantity, "at" FROM revisions'
    ):
        revisions[act].append((at, quantity, revision))
    sql = (
        'SELECT id, user_id, behaviour, "on", "at", quantity, revision, accepted_at, trace, source, evidence'
        " FROM activities WHERE id > ? ORDER BY id LIMIT ?"
    )
    async for rows in pages_of(view, sql):
        for act, user, behaviour, on, acted_at, quantity, revision, accepted_at, *told_of in rows:
            if user not in people:
                continue
            trace, source, evidence = told_of
            about = _trace.decode(trace)
            attributes = {name: _as_sent(value) for name, value in about.attributes.items()}
            known_as = sources.setdefault(source, f"source-{len(sources)}")
            days.sources.setdefault(people[user].id, set()).add(known_as)
            told = sorted(revisions.get(act, ())) if revision is not None else []
            first = order
            for at, so_far, number in told or [(accepted_at, quantity, revision)]:
                by_day = acted_at is None or number is not None
                report = Report(
                    behaviour,
                    Decimal(so_far),
                    first,
                    number,
                    attributes,
                    acted_at,
                    date.fromisoformat(on) if by_day else None,
                    evidence,
                    about.account,
                    known_as,
                    str(first),
                )
                days.items.setdefault(reading.day(at), []).append(Item(at, order, people[user], report))
                order += 1
    return order


def _as_sent(value: Any) -> str:
    """An attribute as a source writes it, from how a trace keeps it: lists by spaces, legs as mode:number."""
    if isinstance(value, list):
        return " ".join(":".join(one) if isinstance(one, list) else one for one in value)
    return str(value)


async def _looks(
    view: Reader, reading: Reading, days: RealDays, people: dict[int, Person], order: int
) -> None:
    sql = (
        'SELECT id, "at", kind, actor, transfers FROM journal'
        " WHERE id > ? AND kind IN ('CollectEnergy', 'CollectAll', 'RedeemOffer') ORDER BY id LIMIT ?"
    )
    async for rows in pages_of(view, sql):
        for _, at, kind, actor, transfers in rows:
            person = people.get(actor)
            if person is None:
                continue
            owners = set() if kind == "RedeemOffer" else _owners(transfers, reading)
            forests = [people[owner].id for owner in sorted(owners) if owner != actor and owner in people]
            redeems = kind == "RedeemOffer" or bool(person.redeems)
            item = Item(at, order, person, Look(forests, redeems, actor in owners))
            days.items.setdefault(reading.day(at), []).append(item)
            order += 1
    for items in days.items.values():
        items.sort()


def _owners(transfers: str, reading: Reading) -> set[int]:
    balls = {debit[5:] for debit, *_ in transfers_of.decode(transfers) if debit.startswith("ball:")}
    return {reading.acts[int(ball)].user for ball in balls if int(ball) in reading.acts}
