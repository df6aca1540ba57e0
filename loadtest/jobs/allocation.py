"""Redeemed trees placed by the job that the engine runs: through the writer, events, publications and journal included.

The trees lie in the database already, as if they had been redeemed; twelve partners have places for them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import date
from time import perf_counter
from typing import Any

from engine.clock import Clock
from engine.core.numbers import tree_number
from engine.core.rules import Programme, RuleBook
from engine.core.state import Commitment, Stock, Tree, User
from engine.core.units import local_day
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.rulebook import load_rulebook
from engine.store.database import Database, Insert
from engine.store.mapping import GAME_TABLES, ShelfTable
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.writer import Writer
from loadtest.jobs.plans import AllocationPlan
from loadtest.measure import CpuWindow
from partners.checks import audit
from partners.core.model import PartnerTerms, TreeUnit
from partners.core.records import commands as c
from partners.core.records.agreed import AgreementTerms, Band, Milestone, Price, Timers, Window
from partners.domain import PARTNER_TABLES, partners_domain
from partners.jobs import form_orders

PARTNERS = 12
TREES_EACH = 10  # of a user
CHUNK_ROWS = 20_000
FIRST_ID = 1_000_000
MINIMUM_TREES = 200
SPARE_PCT = 120
PAGES = 1_000_000


async def run(plan: AllocationPlan) -> dict[str, object]:
    """Seconds until every tree is ordered, and CPU microseconds a tree."""
    epoch = await migrate(plan.url)
    db = await open_database(plan.url)
    rules, clock = load_rulebook(), Clock()
    await fill_trees(db, rules, plan.trees, clock.now_ms())
    terms = [PartnerTerms(_partner(number), is_live=False, lines_max=3) for number in range(PARTNERS)]
    domains = (GAME, partners_domain(terms))
    writer = Writer(db, domains, FixedRules(lambda: rules), Hub(Limits(), epoch), clock, 100_000)
    writer.start()
    try:
        await _records(writer, rules, plan.trees, local_day(clock.now_ms(), "UTC"))
        window, begin = CpuWindow.start(plan.pids), perf_counter()
        await form_orders(writer, db, PAGES)
        seconds, cpu = perf_counter() - begin, window.stop()
        return {
            "seconds": seconds,
            "per_s": plan.trees / seconds,
            "cpu_us": {name: used / plan.trees * 1e6 for name, used in cpu.items()},
            **await _facts(db),
        }
    finally:
        await writer.stop()
        await db.close()


async def _facts(db: Database) -> dict[str, object]:
    """What came of it; anything that `saxaul check` would find is told."""
    async with db.snapshot() as view:
        [(ordered,)] = await view.fetch("SELECT count(*) FROM trees WHERE state = 'ordered'")
        [(orders, partners)] = await view.fetch(
            "SELECT count(*), count(DISTINCT partner) FROM partner_orders WHERE state = 'submitted'"
        )
        [(drafted,)] = await view.fetch("SELECT count(*) FROM trees WHERE state = 'allocated'")
        findings = [f"{code} {place}: {says}" async for code, place, says in audit(view)]
    return {
        "ordered": int(ordered),
        "drafted": int(drafted),
        "orders": int(orders),
        "partners": int(partners),
        "findings": findings[:5],
    }


# --- trees as if they had been redeemed -------------------------------------------------------------


async def fill_trees(db: Database, rules: RuleBook, trees: int, now: int) -> None:
    """Users, commitments, stock and trees that wait for an order, written past the writer."""
    programmes = sorted(rules.programmes.values(), key=lambda one: one.id)
    await db.reserve_ids(FIRST_ID + 2 * trees + 1_000_000)
    users = math.ceil(trees / TREES_EACH)
    await _insert(db, GAME_TABLES["users"], (_user(number, now) for number in range(1, users + 1)))
    shares = [len(range(place, trees, len(programmes))) for place in range(len(programmes))]
    today = local_day(now, "UTC")
    await _insert(
        db,
        GAME_TABLES["commitments"],
        (
            _commitment(place, one, share, today, now)
            for place, (one, share) in enumerate(zip(programmes, shares, strict=True))
        ),
    )
    await _insert(
        db,
        GAME_TABLES["stocks"],
        (Stock(one.id, 0, share, share) for one, share in zip(programmes, shares, strict=True)),
    )
    await _insert(db, GAME_TABLES["trees"], (_tree(number, programmes, now) for number in range(trees)))
    await _insert(
        db, PARTNER_TABLES["tree_units"], (_unit(number, programmes, now) for number in range(trees))
    )
    if db.dialect == "postgresql":
        async with db.write() as tx:
            for table in ("users", "trees", "tree_units"):
                await tx.execute(f"ANALYZE {table}")


async def _insert(db: Database, about: ShelfTable, rows: Iterator[Any]) -> None:
    encode = about.encoder(about.columns)
    chunk: list[tuple[Any, ...]] = []
    for row in rows:
        chunk.append(encode(row))
        if len(chunk) == CHUNK_ROWS:
            await _write(db, about, chunk)
            chunk = []
    if chunk:
        await _write(db, about, chunk)


async def _write(db: Database, about: ShelfTable, chunk: Sequence[tuple[Any, ...]]) -> None:
    async with db.write() as tx:
        await tx.run([Insert(about.table, about.columns, chunk)])


def _user(number: int, now: int) -> User:
    given = {
        "id": number,
        "state": "active",
        "holder": "person",
        "zone": "Asia/Shanghai",
        "opened_at": now,
    }
    return User(**{field.name: given.get(field.name, _nothing(field.type)) for field in fields(User)})


def _nothing(kind: Any) -> Any:
    return None if "None" in str(kind) else 0


def _commitment(place: int, programme: Programme, share: int, today: date, now: int) -> Commitment:
    price = programme.unit_price_minor(today) or 1
    return Commitment(
        place + 1, programme.id, "bench", programme.currency, price, price * max(share, 1), 0, now
    )


def _tree(number: int, programmes: Sequence[Programme], now: int) -> Tree:
    place = number % len(programmes)
    programme, tree = programmes[place], FIRST_ID + number
    return Tree(
        id=tree,
        number=tree_number(tree),
        user_id=1 + number // TREES_EACH,
        programme=programme.id,
        species=programme.species,
        commitment_id=place + 1,
        energy_g=17_900,
        state="pledged",
        note="",
        redeemed_at=now - 1_000,
        state_at=now - 1_000,
    )


def _unit(number: int, programmes: Sequence[Programme], now: int) -> TreeUnit:
    name = programmes[number % len(programmes)].id
    return TreeUnit(FIRST_ID + number, name, name, "pledged", now - 1_000, "", None, None, "", now - 1_000)


# --- partners ---------------------------------------------------------------------------------------


def _partner(number: int) -> str:
    return f"bench-{number}"


async def _records(writer: Writer, rules: RuleBook, trees: int, today: date) -> None:
    for number in range(PARTNERS):
        for outcome in await writer.submit_all(list(_of_partner(number, rules, trees, today))):
            if outcome.error is not None:
                raise outcome.error


def _of_partner(number: int, rules: RuleBook, trees: int, today: date) -> Iterator[Any]:
    name, by = _partner(number), "bench"
    programmes = sorted(rules.programmes.values(), key=lambda one: one.id)
    currency = programmes[0].currency
    yield c.RecordPartner(None, by, name, name, name, "CN", "simulated", 1 + number % 3, currency, ("en",))
    yield c.MovePartner(None, by, name, "vetting")
    yield c.MovePartner(None, by, name, "active")
    year = today.year
    yield c.RecordAgreement(
        None, by, name, 1, f"{year - 1}-01-01", f"{year + 3}-12-31", _terms(programmes, today)
    )
    yield c.MoveAgreement(None, by, name, 1, "active")
    square = '{"type":"MultiPolygon","coordinates":[[[[100,40],[100.1,40],[100.1,40.1],[100,40]]]]}'
    share = math.ceil(trees / len(programmes) / PARTNERS * SPARE_PCT / 100)
    for programme in programmes:
        site = f"{name}-{programme.id}"
        yield c.RecordSite(
            None, by, site, name, site, site, "CN", programme.region, square, 50_000_000, "WGS84",
            land_right={"number": "1"},
        )  # fmt: skip
        yield c.MoveSite(None, by, site, "in_review")
        yield c.MoveSite(None, by, site, "approved")
        species = rules.species[programme.species]
        yield c.RecordSpeciesOffer(
            None, by, name, programme.species, 0, "rulebook", species.scientific, True, species.kind
        )
        window = programme.next_season(today)
        season = f"{window.opens_on.year}-{window.id}"
        yield c.SetQuota(None, by, site, programme.species, season, share)


def _terms(programmes: Sequence[Programme], today: date) -> AgreementTerms:
    windows = {
        season.id: Window(
            season.id,
            *(f"{month:02d}-{day:02d}" for month, day in (season.order_by, season.opens, season.closes)),
        )
        for one in programmes
        for season in one.seasons
    }
    return AgreementTerms(
        currency=programmes[0].currency,
        minimum_trees=MINIMUM_TREES,
        tolerance_pct=5,
        prices=tuple(Price(one.species, one.unit_price_minor(today) or 1) for one in programmes),
        seasons=tuple(windows.values()),
        timers=Timers((3, 7), 10, 14, 45, 30, 45, 60),
        survival_m12=Band(75),
        survival_m36=Band(70),
        milestones=(Milestone("verified", 100),),
        evidence_min=1,
        replacement_pays="partner",
        claim_policy="exclusive",
        claim_share_pct=100,
        law="CN",
        dispute_route="none",
    )
