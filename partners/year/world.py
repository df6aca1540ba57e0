"""The year's database: rulebook, accounts with energy, funders, stock and partners' records, on a clock of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from engine.clock import Clock
from engine.core import commands as game
from engine.core.errors import Rejected
from engine.core.ledger import ENERGY, Transfer
from engine.core.rules import Programme, RuleBook
from engine.core.units import DAY_MS, local_instant
from engine.core.values import Dated
from engine.deciding import Outcome, json_of
from engine.domain import GAME, Domain
from engine.in_force import FixedRules
from engine.publication import Item
from engine.rulebook import load_rulebook
from engine.store.database import Database, Insert
from engine.store.opening import open_database
from engine.store.save import JOURNAL, JOURNAL_COLUMNS
from engine.store.schema import migrate
from engine.writer import GROUP_COMMANDS_MAX, Writer
from partners.core.model import PartnerTerms
from partners.core.records import commands as r
from partners.core.records.agreed import AgreementTerms, Price, Timers
from partners.domain import partners_domain
from partners.standard import standard_terms
from partners.year.desk import Desk
from partners.year.scenario import Place, Planter, Scenario
from partners.year.tally import Tally

OPERATOR = "operator:li"
WALLETS_PER_ROW = 500
SPARE_TIMES = 3  # the energy that a user has, in trees that it will redeem
NOBODY = "nobody"  # the partner that programmes name: allocation compares all of them
TIMERS = Timers((3, 7), 10, 14, 45, 30, 45, 60)


class YearProblem(Exception):
    """The exercise can't go on; the text says why."""


@dataclass(slots=True)
class StillClock(Clock):
    """A clock that moves only when it is set, also where the database has one of its own."""

    at: int = 0

    def now_ms(self) -> int:
        """The instant that was set."""
        return self.at

    def group_now_ms(self, shared_ms: int | None) -> int:
        """The same for every group."""
        return self.at


class _Silence:
    """Nobody listens: publications are made and stored in the journal, and told to no one."""

    def publish(self, items: Sequence[Item]) -> None:
        """Told to no one."""

    def flush(self) -> None:
        """Nothing is buffered."""


@dataclass(slots=True)
class World:
    """What a run needs at hand. `refused` counts what was refused and may be (by command and code)."""

    scenario: Scenario
    seed: int
    trees: int
    db: Database
    writer: Writer
    clock: StillClock
    rules: RuleBook
    tally: Tally
    desks: dict[str, Desk]
    users: list[int]
    refused: dict[str, int]

    async def do(self, command: Any) -> dict[str, Any]:
        """The reply of a command that must be accepted. Raises YearProblem."""
        [outcome] = await self.all([command])
        if outcome.error is not None:
            raise YearProblem(f"{type(command).__name__} was refused: {outcome.error}")
        reply: dict[str, Any] = json.loads(outcome.data or b"{}")
        return reply

    async def all(self, commands: Sequence[Any]) -> list[Outcome]:
        """Outcomes of commands, a group at a time, so that a run depends on nothing but its seed."""
        found: list[Outcome] = []
        for first in range(0, len(commands), GROUP_COMMANDS_MAX):
            part = commands[first : first + GROUP_COMMANDS_MAX]
            found += await self.writer.submit_all(part)
        self._note(commands, found)
        return found

    async def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """What one query finds."""
        async with self.db.snapshot() as view:
            return await view.fetch(sql, *params)

    def _note(self, commands: Sequence[Any], outcomes: Sequence[Outcome]) -> None:
        for command, outcome in zip(commands, outcomes, strict=True):
            if outcome.error is None:
                continue
            if outcome.error.code in ("internal", "unavailable", "overloaded"):
                raise YearProblem(f"{type(command).__name__}: {outcome.error}")
            name = f"{type(command).__name__} {outcome.error.code}"
            self.refused[name] = self.refused.get(name, 0) + 1


@asynccontextmanager
async def open_world(scenario: Scenario, url: str, trees: int, seed: int) -> AsyncIterator[World]:
    """A database filled with all that is there on the first day. Raises YearProblem where it is not empty."""
    clock = StillClock(at=local_instant(scenario.begins_on, 0, "UTC"))
    rules = rulebook_of(scenario)
    await migrate(url)
    db = await open_database(url)
    try:
        await _check_empty(db)
        tally = Tally(clock)
        desks = {one.id: Desk(one, clock, seed) for one in scenario.planters}
        domains = _domains(scenario, tally)
        users = await _accounts(db, rules, domains, clock, scenario, trees)
        writer = Writer(db, domains, FixedRules(lambda: rules), _Silence(), clock, 100_000)
        writer.start()
        world = World(scenario, seed, trees, db, writer, clock, rules, tally, desks, users, {})
        try:
            await _money_and_stock(world)
            for planter in scenario.planters:
                for command in _records(scenario, planter, rules, trees):
                    await world.do(command)
            yield world
        finally:
            await writer.stop()
    finally:
        await db.close()


def rulebook_of(scenario: Scenario) -> RuleBook:
    """The shipped rulebook with the scenario's programmes in the place of its own."""
    book = load_rulebook()
    return replace(book, programmes={one.id: _programme(book, one) for one in scenario.places})


def trees_of(scenario: Scenario, trees: int) -> dict[str, int]:
    """Trees of a year by programme; what the shares leave over goes to the first."""
    found = {one.id: trees * one.share_pct // 100 for one in scenario.places}
    found[scenario.places[0].id] += trees - sum(found.values())
    return found


def _programme(book: RuleBook, place: Place) -> Programme:
    like = book.programmes[place.like]
    return replace(
        like,
        id=place.id,
        partner=NOBODY,
        region=place.region,
        currency=place.currency,
        granularity=place.granularity,
        unit_price=Dated(
            like.unit_price.days,
            tuple(
                replace(one, amount=Decimal(place.unit_price_minor)) if one else None
                for one in like.unit_price.items
            ),
        ),
    )


def _domains(scenario: Scenario, tally: Tally) -> list[Domain]:
    after = replace(standard_terms(), rates=scenario.rates)
    terms = [
        PartnerTerms(
            one.id,
            poll_ms=(one.polled_d or 12) * DAY_MS,
            resendable=one.is_resendable,
            is_live=False,
            lines_max=one.lines_max,
            after=replace(after, review_levels=one.review_levels),
        )
        for one in scenario.planters
    ]
    return [tally.tapped(GAME), tally.tapped(partners_domain(terms))]


# --- what is there on the first day -------------------------------------------------------------------


async def _check_empty(db: Database) -> None:
    async with db.snapshot() as view:
        [(rows,)] = await view.fetch("SELECT count(*) FROM journal")
    if rows:
        raise YearProblem("the database is not empty; name one that is new")


async def _accounts(
    db: Database, rules: RuleBook, domains: list[Domain], clock: Clock, scenario: Scenario, trees: int
) -> list[int]:
    """Accounts by the usual command, and their energy as one transfer each: no act is played here."""
    count = max(1, -(-trees // scenario.users_trees))
    writer = Writer(db, domains, FixedRules(lambda: rules), _Silence(), clock, 100_000)
    writer.start()
    users: list[int] = []
    wishes = [game.OpenAccount(None, None, f"user {number}", "UTC") for number in range(count)]
    for first in range(0, count, GROUP_COMMANDS_MAX):
        outcomes = await writer.submit_all(wishes[first : first + GROUP_COMMANDS_MAX])
        users += [int(json.loads(outcome.data or b"")["user"]) for outcome in outcomes]
    await writer.stop()
    dearest = max(one.energy_g(scenario.begins_on) or 0 for one in rules.programmes.values())
    await _give_energy(db, users, dearest * scenario.users_trees * SPARE_TIMES, clock.now_ms())
    return users


async def _give_energy(db: Database, users: list[int], grams: int, now: int) -> None:
    async with db.write() as tx:
        await tx.execute("UPDATE users SET wallet_g = ?", grams)
        parts = [users[first : first + WALLETS_PER_ROW] for first in range(0, len(users), WALLETS_PER_ROW)]
        ids = await tx.journal_ids(len(parts))
        rows = [
            (number, now, "Exercise", None, None, "", _minted(part, grams), "", "[]")
            for number, part in zip(ids, parts, strict=True)
        ]
        await tx.run([Insert(JOURNAL, JOURNAL_COLUMNS, rows)])


def _minted(users: list[int], grams: int) -> str:
    moves = [Transfer("mint", f"wallet:{user}", ENERGY, grams, "exercise") for user in users]
    return json_of(moves).decode()


async def _money_and_stock(world: World) -> None:
    wanted = trees_of(world.scenario, world.trees)
    for place in world.scenario.places:
        covered = 0
        for fund in (one for one in world.scenario.funds if one.programme == place.id):
            trees = -(-wanted[place.id] * fund.share_pct // 100)
            if trees:
                amount = trees * fund.set_aside_minor
                wish = game.FundProgramme(
                    None, place.id, fund.funder, fund.currency, fund.set_aside_minor, amount
                )
                covered += int((await world.do(wish))["covers"])
        if covered:
            await world.do(game.GrantStock(None, place.id, covered))


def _records(scenario: Scenario, planter: Planter, rules: RuleBook, trees: int) -> Iterator[Any]:
    """Partner, agreement, sites, offers and quotas, as an operator would record them."""
    name, by, year = planter.id, OPERATOR, scenario.begins_on.year
    places = [one for one in scenario.places if one.id in planter.programmes]
    until = f"{year + 1}-{planter.papers_until}" if planter.papers_until else scenario.ends_on.isoformat()
    country = places[0].region[:2]
    yield r.RecordPartner(None, by, name, "", name, country, "ngo", planter.tier, planter.currency, ("en",))
    yield r.MovePartner(None, by, name, "vetting")
    yield r.RecordDocument(None, by, name, "registration", "1", "bureau", until)
    yield r.MovePartner(None, by, name, "active")
    terms = agreement_of(scenario, planter, places, rules)
    yield r.RecordAgreement(None, by, name, 1, f"{year}-01-01", scenario.ends_on.isoformat(), terms)
    yield r.MoveAgreement(None, by, name, 1, "active")
    for place in places:
        site, species = f"{name}-{place.id}", rules.programmes[place.id].species
        square = '{"type":"MultiPolygon","coordinates":[[[[100,40],[100.1,40],[100.1,40.1],[100,40]]]]}'
        yield r.RecordSite(
            None, by, site, name, "", site, country, place.region, square, 9_000_000, "WGS84",
            land_right={"number": "1"},
        )  # fmt: skip
        yield r.MoveSite(None, by, site, "in_review")
        yield r.MoveSite(None, by, site, "approved")
        about = rules.species[species]
        yield r.RecordSpeciesOffer(None, by, name, species, 0, "rulebook", about.scientific, True, about.kind)
        yield from quotas(scenario, planter, place, rules, trees, year + 1)


def quotas(
    scenario: Scenario, planter: Planter, place: Place, rules: RuleBook, trees: int, year: int
) -> Iterator[r.SetQuota]:
    """The places that a partner has for a programme in the seasons of a year."""
    wanted, species = trees_of(scenario, trees)[place.id], rules.programmes[place.id].species
    for season in scenario.seasons:
        capacity = wanted * scenario.capacity_pct[season.id] * planter.capacity_pct // 10_000
        yield r.SetQuota(
            None, OPERATOR, f"{planter.id}-{place.id}", species, f"{year}-{season.id}", capacity + 1
        )


def agreement_of(
    scenario: Scenario, planter: Planter, places: Sequence[Place], rules: RuleBook
) -> AgreementTerms:
    """What a partner has signed."""
    return AgreementTerms(
        currency=planter.currency,
        minimum_trees=planter.minimum_trees,
        tolerance_pct=planter.tolerance_pct,
        prices=tuple(
            Price(
                rules.programmes[place.id].species,
                place.unit_price_minor * (100 - planter.discount_pct) // 100,
                f"{planter.id}-{place.id}",
            )
            for place in places
        ),
        seasons=scenario.seasons,
        timers=TIMERS,
        survival_m12=planter.survival_m12,
        survival_m36=planter.survival_m36,
        milestones=planter.milestones,
        evidence_min=planter.evidence_min,
        replacement_pays="partner",
        claim_policy="exclusive" if planter.claim_share_pct == 100 else "co_funded",
        claim_share_pct=planter.claim_share_pct,
        law="none, an exercise",
        dispute_route="the operator's desk",
    )


def day_of(scenario: Scenario, number: int) -> date:
    """The day of the exercise with this number, from 0."""
    return scenario.begins_on + timedelta(days=number)


def is_refusal(outcome: Outcome, *codes: str) -> bool:
    """Whether the outcome is one of these refusals."""
    return isinstance(outcome.error, Rejected) and outcome.error.code in codes
