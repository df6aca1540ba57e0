"""A whole game in memory for tests of the core: the pure functions, a clock set by hand, and books kept apart."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.core import commands as c
from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.game import EVOLVE, RULES
from engine.core.ledger import Transfer, transfers
from engine.core.rules import Evidence, RuleBook
from engine.core.state import GAME_SHELVES, By, State
from engine.core.units import DAY_MS, HOUR_MS, instant
from engine.rulebook import load_rulebook

NOON = instant("2026-11-20T12:00:00Z")
SHANGHAI = "Asia/Shanghai"
SOURCE = "city"
BEHAVIOURS = ("walking", "bus", "metro", "e-invoice", "utility-bill-online")


@lru_cache(maxsize=1)
def rulebook() -> RuleBook:
    """The shipped rulebook."""
    return load_rulebook()


@lru_cache(maxsize=1)
def rules_with_grades() -> RuleBook:
    """The shipped rulebook, in which rides may be shown in four ways, one of each grade."""
    shipped = rulebook()
    ways = tuple(Evidence(f"way-{grade.lower()}", grade, "for tests") for grade in "ABCD")
    behaviours = {
        name: replace(one, evidence=ways) if one.family in ("public-transport-ride", "steps") else one
        for name, one in shipped.behaviours.items()
    }
    return replace(shipped, behaviours=behaviours, memo={})


def key(number: int) -> str:
    """A UUIDv7-shaped key."""
    return f"018f0000-0000-7000-8000-{number:012d}"


@dataclass
class World:
    """Commands in, events and transfers out. `draw` is the dice: 0 draws the least, just below 2**64 the most."""

    now: int = NOON
    draw: int = 0
    state: Any = field(default_factory=lambda: State(GAME_SHELVES))
    moves: list[Transfer] = field(default_factory=list)
    keys: int = 0
    ids: int = 0
    rules: RuleBook = field(default_factory=rulebook)

    def new_id(self) -> int:
        self.ids += 1
        return self.ids

    def do(self, command: Any) -> dict[str, Any]:
        """Decide and evolve one command; the reply. Raises Rejected, and then nothing has changed."""
        rule = RULES[type(command)]
        self._load(rule, command)
        decision = rule.decide(self.state, command, self.context())
        for event in decision.events:
            EVOLVE[type(event)](self.state, event)
            self.moves += transfers(event)
        self.state.clean()
        return decision.reply

    def context(self) -> Context:
        """What a decision is handed."""
        return Context(self.now, self.rules, lambda ball, user: self.draw, self.new_id)

    def _load(self, rule: Any, command: Any) -> None:
        """Memory is the database: what is not there does not exist."""
        for _ in range(10):
            new = [
                touch
                for touch in rule.touches(command, self.state)
                if not isinstance(touch.key, By) and touch.key not in self.state.shelves[touch.shelf]
            ]
            if not new:
                return
            for touch in new:
                self.state.shelves[touch.shelf].loaded(touch.key, None)

    def refused(self, command: Any) -> Rejected:
        """The refusal of a command that must be refused."""
        try:
            reply = self.do(command)
        except Rejected as refusal:
            return refusal
        raise AssertionError(f"{command} was accepted: {reply}")

    def next_key(self) -> str:
        self.keys += 1
        return key(self.keys)

    # --- things that tests do often ---------------------------------------------------------------

    def source(self) -> None:
        """The one source, allowed to report everything."""
        self.do(c.AddSource(None, SOURCE, "City", "whsec_test", BEHAVIOURS))

    def add_source(self, source: str, *evidence: str) -> None:
        """Another source that reports of everybody whom the first does, by the same subjects."""
        self.do(c.AddSource(None, source, source, "whsec_test", BEHAVIOURS, evidence=evidence))
        for user in list(self.state.users):
            self.do(c.LinkSource(None, user.id, source, str(user.id), BEHAVIOURS))

    def user(self, zone: str = SHANGHAI) -> int:
        """An account linked to the source; its subject is its id."""
        user = int(self.do(c.OpenAccount(None, None, "Lin", zone))["user"])
        self.do(c.LinkSource(None, user, SOURCE, str(user), BEHAVIOURS))
        return user

    def village(self, count: int) -> list[int]:
        """The source and some users who are all friends of each other."""
        self.source()
        users = [self.user() for _ in range(count)]
        for place, user in enumerate(users):
            for friend in users[:place]:
                self.befriend(user, friend)
        return users

    def befriend(self, user: int, friend: int) -> None:
        self.do(c.RequestFriend(self.next_key(), user, friend))
        self.do(c.AnswerFriend(self.next_key(), friend, user))

    def act(self, user: int, activity: str, behaviour: str = "bus", **options: Any) -> c.ReportActivity:
        """A report; by default a ride that ended just now."""
        quantity = Decimal(options.pop("quantity", 1))
        unit = self.rules.behaviours[behaviour].unit
        if not {"at", "on"} & options.keys():
            options["at"] = self.now
        content = options.pop("content", f"{behaviour} {quantity} {options}")
        source = options.pop("source", SOURCE)
        return c.ReportActivity(source, activity, str(user), behaviour, quantity, unit, content, **options)

    def ball(self, user: int, activity: str, behaviour: str = "bus", **options: Any) -> int:
        """A reported activity's ball, growing."""
        return int(self.do(self.act(user, activity, behaviour, **options))["ball"])

    def collect(self, user: int, owner: int, *balls: int) -> list[dict[str, Any]]:
        return self.do(c.CollectEnergy(self.next_key(), user, owner, balls))["results"]

    def to_ripe(self, ball: int, after_ms: int = 0) -> None:
        """Go to when the ball ripens."""
        self.now = self.state.balls[ball].ripens_at + after_ms

    def days_on(self, days: int) -> date:
        return date(2026, 11, 20) + timedelta(days=days)

    # --- the auditor ------------------------------------------------------------------------------

    def audit(self) -> None:
        """The ledger laws over all transfers and rows."""
        books: Counter[tuple[str, str]] = Counter()
        for move in self.moves:
            assert move.amount > 0, move
            books[move.debit, move.asset] -= move.amount
            books[move.credit, move.asset] += move.amount
        for (account, _asset), balance in books.items():
            assert balance >= 0 or account == "mint" or account.startswith("debt:"), (account, balance)
        for user in self.state.users:
            assert user.wallet_g == books[f"wallet:{user.id}", "energy"] >= 0
            assert user.debt_g == -books[f"debt:{user.id}", "energy"] >= 0
            assert user.avoided_mg == books[f"carbon:{user.id}", "avoided"] >= 0
        for ball in self.state.balls:
            assert ball.remaining_g == books[f"ball:{ball.id}", "energy"] >= 0
            takers = [taker[0] for taker in ball.takers]
            assert len(takers) == len(set(takers))
        for act in self.state.activities:
            if act.status in ("excluded", "reversed"):
                assert act.avoided_mg == 0
        issued = -books["mint", "energy"]
        kinds: Counter[str] = Counter()
        for (account, asset), balance in books.items():
            if asset == "energy":
                kinds[account.split(":")[0]] += balance
        held = kinds["ball"] + kinds["wallet"] + kinds["redeemed"] + kinds["expired"] + kinds["reversed"]
        assert issued == held + kinds["debt"]


__all__ = ["DAY_MS", "HOUR_MS", "NOON", "SHANGHAI", "SOURCE", "World", "key", "rulebook"]
