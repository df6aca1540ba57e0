"""Some hundred users and their friends, day by day in virtual time: what they mean to do becomes commands to the core.

What has ended is dropped as time goes by (`keeping`, and trees once they are counted), so memory depends on the users
and not on the length of the run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from engine.core import commands as c
from engine.core import events as e
from engine.core.rules import RuleBook
from engine.core.state import Ball
from engine.core.units import HOUR_MS, MINUTE_MS, local_day
from engine.simulate import tally as t
from engine.simulate.days import Look, PlannedDays, Report
from engine.simulate.forests import Forest
from engine.simulate.keeping import Keeping
from engine.simulate.people import Person
from engine.simulate.reporting import Asked, asked_on, command_of
from engine.simulate.world import World

FUNDER = "simulation"
ACTIVE_SOURCE_D = 7
CAPS_CLEARED_D = 4
KEPT_D = 2  # days for which acts and caps are kept: described users report within the day


class Shard:
    """One shard under one rulebook. `wishes` of a day are met at its end, when the stock for them is known."""

    def __init__(
        self, rules: RuleBook, days: PlannedDays, dice: bytes, zone: str, kept_d: int = KEPT_D
    ) -> None:
        self.tally = t.Tally()
        self._rules, self._days, self._zone, self._kept_d = rules, days, zone, kept_d
        counting: Mapping[type, Callable[[Any], None]] = {
            e.ActivityAccepted: self._accepted,
            e.ActivityRevised: self._revised,
            e.ActivityExcluded: self._excluded,
            e.ActivityRestored: self._restored,
            e.EnergyCollected: self._collected,
            e.EnergyExpired: self._expired,
            e.TreeRedeemed: self._redeemed,
        }
        self._world = World(rules, dice, counting)
        self._keeping = Keeping(self._world)
        self._forests = {person.id: Forest() for person in days.people}
        self._ends: defaultdict[int, list[tuple[int, int]]] = defaultdict(
            list
        )  # whole hour → balls that end by then, with their owners
        self._figures: dict[int, t.UserFigures] = {}
        self._asked: dict[str, Asked | None] = {}  # of today
        self._wishes: dict[int, tuple[Person, str]] = {}  # by user, in the order in which they came up
        self._reported: dict[tuple[int, str], int] = {}  # (user, source) → day of the last report
        self._day = 0
        self._today = self.tally.day(0)
        self._hour = 0
        self._trees = 0
        self._balls_max = 1
        self._found()

    # --- the beginning ------------------------------------------------------------------------------

    def _found(self) -> None:
        """Accounts, sources, consents and friendships, by commands like everything else."""
        do, at = self._world.do, self._days.midnight(0)
        linked = {person.id: self._days.sources_of(person) for person in self._days.people}
        reported: defaultdict[str, set[str]] = defaultdict(set)
        for mine in linked.values():
            for source, behaviours in mine.items():
                reported[source] |= behaviours
        for source, behaviours in sorted(reported.items()):
            do(c.AddSource(None, source, source, "", tuple(sorted(behaviours))), at)
        for person in self._days.people:
            self._world.next_id = person.id
            do(c.OpenAccount(None, None, "", self._zone, person.province), at)
            mine = linked[person.id]
            for source, behaviours in mine.items():
                do(c.LinkSource(None, person.id, source, str(person.id), tuple(sorted(behaviours))), at)
            self._figures[person.id] = t.UserFigures(person.place, person.habit, 0, linked=len(mine))
        people = self._days.people
        for number, person in enumerate(people):
            for friend in person.friends:
                if friend > number:
                    do(c.RequestFriend("", person.id, people[friend].id), at)
                    do(c.AnswerFriend("", people[friend].id, person.id), at)
        self._world.shelves["identities"].clear()
        self._world.commands.clear()

    # --- a day --------------------------------------------------------------------------------------

    def run_day(self, number: int) -> Counter[str]:
        """Live through a day; the trees that are wished for at its end, by programme."""
        self._begin(number)
        for at, _, person, what in self._days.plan(number):
            if at >= self._hour:
                self._end_balls(at)
            if type(what) is Report:
                self._report(at, person, what)
            else:
                self._look(at, person, what)
        self._end_balls(self._days.midnight(number + 1) - 1)
        self._clear(number)
        self.tally.user_days += len(self._days.people)
        return Counter(programme for _, programme in self._wishes.values())

    def _begin(self, number: int) -> None:
        self._day, self._today = number, self.tally.day(number)
        on = self._days.date_of(number)
        self._balls_max = self._rules.game_on(on).collect_balls_max
        self._on = on
        self._asked.clear()

    def _report(self, at: int, person: Person, report: Report) -> None:
        name = report.behaviour
        if name not in self._asked:
            self._asked[name] = asked_on(self._rules, name, self._on)
        asked = self._asked[name]
        if asked is None:
            return
        command = command_of(report, person, asked, at, self._on)
        self._world.next_id = report.number
        if self._world.do(command, at) is None:
            return
        self._reported[person.id, command.source] = self._day
        self.tally.behaviour(name)[t.ACTS] += 1
        self._today[t.ACTS] += 1
        if command.revision is not None:
            self._keeping.told(self._day, (command.source, command.activity), report.number, command.revision)

    def _look(self, now: int, person: Person, look: Look) -> None:
        """Own ripe balls, then what friends leave for others; then a tree, if the wallet holds one."""
        user = person.id
        figures = self._figures[user]
        if not figures.active >> self._day & 1:
            figures.active |= 1 << self._day
            self._today[t.OPENED] += 1
        do, forests, balls_max = self._world.do, self._forests, self._balls_max
        if look.own:
            ripe = forests[user].ripe(now)[:balls_max]
            if ripe:
                do(c.CollectEnergy("", user, user, tuple(ripe)), now)
                forests[user].drop_empty(ripe)
        for owner in look.forests:
            seen = forests[owner].left_for(user, now)
            if seen:
                do(c.CollectEnergy("", user, owner, tuple(seen[:balls_max])), now)
        if look.redeems:
            self._wish(person, now)

    def _wish(self, person: Person, now: int) -> None:
        if person.id in self._wishes:
            return
        wallet_g = self._world.state.users[person.id].wallet_g
        today = local_day(now, "UTC")
        for programme in person.wishes:
            if programme in self.tally.sold_out:
                continue
            offer = self._rules.programmes.get(programme)
            if (
                offer is None
                or today < offer.open_on
                or (offer.close_on is not None and today > offer.close_on)
            ):
                continue
            price_g = offer.energy_g(today)
            if price_g is not None and price_g <= wallet_g:
                self._wishes[person.id] = person, programme
            return  # else saved up for: the user waits for what they want most

    # --- the end of a day ---------------------------------------------------------------------------

    def redeem(self, granted: Mapping[str, int] | None, sold_out: Mapping[str, int]) -> None:
        """Meet the day's wishes in the order in which they came up, as far as trees were granted (None: all)."""
        left = dict(granted) if granted is not None else None
        at = self._days.midnight(self._day + 1) - MINUTE_MS
        for person, programme in self._wishes.values():
            if left is not None and programme in left:
                if not left[programme]:
                    self.tally.unmet[programme] += 1
                    continue
                left[programme] -= 1
            self._redeem(person, programme, at)
        self._wishes.clear()
        self.tally.sold_out.update(sold_out)

    def _redeem(self, person: Person, programme: str, at: int) -> None:
        """A tree: its money and its stock first, then the user's energy."""
        offer = self._rules.programmes[programme]
        price = offer.unit_price_minor(local_day(at, "UTC"))
        if price is None:
            self.tally.unmet[programme] += 1
            return
        world = self._world
        self._trees += 1
        world.next_id = self._trees
        commands, world.commands = world.commands, Counter()  # what the funder does is no command of a user
        world.do(c.FundProgramme(None, programme, FUNDER, offer.currency, price, price), at)
        world.do(c.GrantStock(None, programme, 1), at)
        world.commands = commands
        world.do(c.RedeemOffer("", person.id, programme), at)
        world.state.commitments.remove(self._trees)

    def _end_balls(self, until: int) -> None:
        """Book, hour by hour, what was left in balls whose life is over, and let go of them."""
        while self._hour <= until:
            if not self._hour:
                self._hour = until - until % HOUR_MS
            ended = self._ends.pop(self._hour // HOUR_MS, None)
            if ended:
                self._end(ended)
            self._hour += HOUR_MS

    def _end(self, balls: list[tuple[int, int]]) -> None:
        found, shelf = [], self._world.shelves["balls"]
        for ball, owner in balls:
            row = shelf.get(ball)
            if row is not None and row.expires_at <= self._hour:  # else it was given a longer life
                found.append((ball, owner, row.remaining_g))
        left = tuple((ball, owner) for ball, owner, left_g in found if left_g)
        if left:
            self._world.do(c.BookExpiry(left), self._hour)
        for ball, owner, _ in found:
            self._forests[owner].drop(ball)
            self._keeping.ball_ended(ball)

    def _clear(self, number: int) -> None:
        """Drop what can't be touched any more."""
        last = number - self._kept_d
        self._keeping.clear(last, self._days.date_of(last))
        if number % CAPS_CLEARED_D == 0:
            self._keeping.clear_caps(self._days.date_of(max(0, last)))

    def finish(self) -> t.Tally:
        """The books, audited. Raises LawBroken."""
        self.tally.accounts.update(self._world.audit())
        self.tally.commands.update({kind.__name__: count for kind, count in self._world.commands.items()})
        self.tally.refused.update(self._world.refused)
        for (user, _), day in self._reported.items():
            self._figures[user].linked_active += day > self._day - ACTIVE_SOURCE_D
        self.tally.users = list(self._figures.values())
        return self.tally

    # --- counting -----------------------------------------------------------------------------------

    def _accepted(self, event: e.ActivityAccepted) -> None:
        act, ball, today = event.activity, event.ball, self._today
        row, figures = self.tally.behaviour(act.behaviour), self._figures[act.user_id]
        today[t.AVOIDED_MG] += act.avoided_mg
        row[t.AVOIDED_MG] += act.avoided_mg
        figures.avoided_mg += act.avoided_mg
        self._keeping.accepted(event)
        if ball is None:
            return
        for counts in (today, row):
            counts[t.ISSUED] += act.energy_g
            counts[t.BALLS] += 1
            if event.is_late:
                counts[t.EXPIRED] += act.energy_g
        figures.issued_g += act.energy_g
        self._new_ball(ball)

    def _new_ball(self, ball: Ball) -> None:
        self._ends[-(-ball.expires_at // HOUR_MS)].append((ball.id, ball.owner))
        self._forests[ball.owner].add(ball)

    def _revised(self, event: e.ActivityRevised) -> None:
        figures = self._figures[event.user]
        for counts in self._rows_of(event):
            counts[t.AVOIDED_MG] += event.avoided_delta_mg
            counts[t.ISSUED if event.energy_delta_g >= 0 else t.REVERSED] += abs(event.energy_delta_g)
            counts[t.BALLS] += event.ball is not None
        figures.avoided_mg += event.avoided_delta_mg
        figures.issued_g += max(0, event.energy_delta_g)
        if event.ball is not None:
            self._keeping.ball_made(event.id)
            self._new_ball(event.ball)

    def _excluded(self, event: e.ActivityExcluded) -> None:
        for counts in self._rows_of(event):
            counts[t.AVOIDED_MG] -= event.avoided_mg
            counts[t.REVERSED] += event.from_ball_g
        self._figures[event.user].avoided_mg -= event.avoided_mg

    def _restored(self, event: e.ActivityRestored) -> None:
        ball, figures = event.ball, self._figures[event.user]
        is_first = ball is not None and self._keeping.ball_restored(event)
        for counts in self._rows_of(event):
            counts[t.AVOIDED_MG] += event.avoided_mg
            counts[t.ISSUED] += event.energy_g
            counts[t.BALLS] += is_first
        figures.avoided_mg += event.avoided_mg
        figures.issued_g += event.energy_g
        if ball is not None:
            self._new_ball(ball)

    def _rows_of(
        self, event: e.ActivityRevised | e.ActivityExcluded | e.ActivityRestored
    ) -> tuple[list[int], list[int]]:
        """The rows of today and of the act's behaviour."""
        act = self._world.state.activities[event.source, event.activity]
        return self._today, self.tally.behaviour(act.behaviour)

    def _collected(self, event: e.EnergyCollected) -> None:
        energy_g, figures = event.energy_g, self._figures[event.collector]
        figures.collected_g += energy_g
        column = t.BY_FRIENDS
        if event.owner == event.collector:
            column = t.BY_OWNER
            figures.by_owner_g += energy_g
        self._today[column] += energy_g
        self.tally.behaviour(self._world.state.balls[event.ball].behaviour)[column] += energy_g

    def _expired(self, event: e.EnergyExpired) -> None:
        self._today[t.EXPIRED] += event.energy_g
        self.tally.behaviour(self._world.state.balls[event.ball].behaviour)[t.EXPIRED] += event.energy_g

    def _redeemed(self, event: e.TreeRedeemed) -> None:
        tree, figures = event.tree, self._figures[event.tree.user_id]
        self._today[t.REDEEMED] += tree.energy_g
        self._today[t.TREES] += 1
        self.tally.trees[self._on.isoformat()[:7], tree.programme] += 1
        self.tally.planted[tree.programme] += 1
        self.tally.money[tree.programme, event.currency] += event.unit_price_minor
        figures.trees += 1
        if figures.first_tree == t.NEVER:
            figures.first_tree = self._day
        self._world.state.trees.remove(tree.id)
