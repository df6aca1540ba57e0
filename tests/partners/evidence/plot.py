"""A planting played through the real writer, files and database: orders, uploads, outlines and reports of two partners.

The clock stands where it is put; the trees are the partners' alone, so that an order costs no game.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import cos, radians
from pathlib import Path
from typing import Any

from engine.clock import Clock
from engine.core import commands as game
from engine.core.errors import Rejected
from engine.core.numbers import tree_number
from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, HOUR_MS, instant
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.settings import Settings
from engine.store.opening import open_database
from engine.writer import Writer
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport, PartnerTerms
from partners.domain import partners_domain
from partners.evidence.desk import EvidenceDesk, evidence_desk
from partners.evidence.intake import take_outline, take_photo
from partners.evidence.photos import Stated
from partners.evidence.rules import shipped_rules
from partners.onboarding.simulated import onboard_simulator
from partners.standard import with_standard
from partners.store import evidence_queries
from tests.partners.bench import RULES, Audience
from tests.support.databases import migrated

ELM, OAK = "elm", "oak"
PLACES = {ELM: "saxaul-alxa", OAK: "tamarix-jinta"}
OTHER_PLACE = "caragana-wuwei"  # elm's second site
ORDERED_AT = instant("2027-02-01T04:00:00Z")
PLANTED_ON = "2027-04-10"
PLANTED_AT = instant("2027-04-10T03:00:00Z")
REPORTED_AT = instant("2027-04-12T03:00:00Z")
SEASON = "2027-spring"


@lru_cache(maxsize=1)
def rules() -> RuleBook:
    """The shipped programmes, two of elm and one of oak, all near one another."""
    owners = {PLACES[ELM]: ELM, OTHER_PLACE: ELM, PLACES[OAK]: OAK}
    programmes = {
        name: replace(one, partner=owners[name]) for name, one in RULES.programmes.items() if name in owners
    }
    return replace(RULES, programmes=programmes, memo={})


def centre(programme: str) -> tuple[float, float]:
    """The middle of a programme's site: longitude, latitude."""
    place = rules().programmes[programme]
    return float(place.longitude), float(place.latitude)


def away(point: tuple[float, float], east_m: float, north_m: float) -> tuple[float, float]:
    """So many metres from a point."""
    longitude, latitude = point
    return longitude + east_m / (111_320 * cos(radians(latitude))), latitude + north_m / 110_950


def square(point: tuple[float, float], side_m: float) -> list[tuple[float, float]]:
    """A closed square around a point."""
    half = side_m / 2
    corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return [away(point, east, north) for east, north in corners]


def geojson(*rings: Sequence[tuple[float, float]]) -> bytes:
    """A polygon of rings."""
    return json.dumps(
        {"type": "Polygon", "coordinates": [[list(point) for point in ring] for ring in rings]}
    ).encode()


class StandingClock(Clock):
    """A clock that only tests move."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def now_ms(self) -> int:
        return self.at

    def group_now_ms(self, shared_ms: int | None) -> int:
        return self.at


@dataclass
class Plot:
    """What tests do with the real parts."""

    desk: EvidenceDesk
    clock: StandingClock
    folder: Path
    agreed: dict[str, PartnerTerms]
    units: int = 0
    messages: int = 0
    fund: int | None = None

    async def order(self, trees: int = 200, programme: str = PLACES[ELM], accepted: bool = True) -> int:
        """A new order of so many trees, accepted in full unless said otherwise."""
        before, self.clock.at = self.clock.at, ORDERED_AT
        units = tuple(range(self.units + 1, self.units + 1 + trees))
        self.units += trees
        await self._redeem(units, programme)
        outcomes = await self.desk.writer.submit_all([c.PledgeUnit(None, unit, programme) for unit in units])
        assert [outcome.error for outcome in outcomes if outcome.error] == []
        async with self.desk.reading() as reader:
            found = await reader.fetch(
                "SELECT id FROM quotas WHERE site = ? AND order_by_at >= ? ORDER BY order_by_at",
                programme,
                self.clock.at,
            )
        form = c.FormOrder(None, programme, units, tuple(name for (name,) in found))
        order = int((await self.desk.submit(form))["formed"])
        submit = f"submit:{order}"
        await self.desk.submit(c.ClaimDeliveries(None, "relay", HOUR_MS, (submit,)))
        await self.desk.submit(c.SettleDelivery(None, submit, "relay", "done"))
        if accepted:
            await self.say(order, "accepted", accepted=trees)
        self.clock.at = before
        return order

    async def _redeem(self, units: Sequence[int], programme: str) -> None:
        """The game's rows of trees that nobody has earned: set in the database, only so that they are paid for."""
        writer = self.desk.writer
        if self.fund is None:
            fund = game.FundProgramme(None, programme, "fund", "CNY", 5000, 5000 * 1_000_000)
            self.fund = int((await self.desk.submit(fund))["commitment"])
        species = self.desk.rules().programmes[programme].species
        async with self.desk.db.write() as tx:
            for unit in units:
                await tx.execute(
                    "INSERT INTO trees (id, number, user_id, programme, species, commitment_id, energy_g, state,"
                    " note, redeemed_at, state_at) VALUES (?, ?, 1, ?, ?, ?, 1, 'pledged', '', ?, ?)",
                    unit,
                    tree_number(unit),
                    programme,
                    species,
                    self.fund,
                    self.clock.at,
                    self.clock.at,
                )
        writer._cache = None

    async def say(
        self, order: int, state: str, message: str = "", partner: str = "", **fields: Any
    ) -> dict[str, Any]:
        """A message of the order's partner. Raises Rejected."""
        self.messages += 1
        async with self.desk.reading() as reader:
            rows = await reader.fetch("SELECT partner FROM partner_orders WHERE id = ?", order)
        by = partner or (rows[0][0] if rows else ELM)
        report = PartnerReport(order=order, state=state, at=self.clock.at, **fields)
        digest = hashlib.sha256(repr(report).encode()).hexdigest()
        return await self.desk.submit(
            c.RecordReport(None, by, message or f"m{self.messages}", digest, report)
        )

    async def report(
        self, order: int, *batches: BatchShown, accepted: int = 200, state: str = "in_planting"
    ) -> None:
        """Batches of an order."""
        await self.say(order, state, accepted=accepted, batches=batches)

    async def upload(self, data: bytes, partner: str = ELM, **stated: str) -> str:
        """A photo's hash, once it is taken in. Raises Rejected."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{sha256}.part"
        path.write_bytes(data)
        return str((await take_photo(self.desk, partner, path, Stated(**stated)))["sha256"])

    async def uploads(self, photos: Iterable[bytes], partner: str = ELM, **stated: str) -> list[str]:
        return [await self.upload(data, partner, **stated) for data in photos]

    async def outline(
        self, data: bytes, partner: str = ELM, site: str = "", datum: str = "wgs84"
    ) -> dict[str, Any]:
        """A site's outline is taken in. Raises Rejected."""
        return await take_outline(self.desk, partner, site or PLACES[partner], SEASON, datum, data)

    async def assessment(self, order: int, report_no: str = "1") -> dict[str, Any]:
        """What a batch's evidence comes to."""
        async with self.desk.reading() as reader:
            found = await evidence_queries.assessments_of(reader, order)
        return next(one for one in found if one["batch_id"] == f"{order}/{report_no}")

    async def findings(self, order: int) -> set[str]:
        """The findings of all batches of an order, and why it is held."""
        async with self.desk.reading() as reader:
            batches = await reader.fetch(
                "SELECT b.findings FROM batches b JOIN order_lines l ON l.id = b.line_id WHERE l.order_id = ?",
                order,
            )
            [(held,)] = await reader.fetch("SELECT held FROM partner_orders WHERE id = ?", order)
        return {code for (codes,) in batches for code in json.loads(codes)} | ({held} if held else set())


def batch(report_no: str, quantity: int, files: Iterable[str] = (), **changes: Any) -> BatchShown:
    """A report of planting on one spring day."""
    shown = BatchShown(
        report_no=report_no,
        quantity=quantity,
        planted_from_on=PLANTED_ON,
        planted_to_on=PLANTED_ON,
        site=changes.pop("site", PLACES[ELM]),
        evidence=tuple(EvidenceShown(name) for name in files),
        planters=10,
    )
    return replace(shown, **changes)


@asynccontextmanager
async def open_plot(url: str, folder: Path, rules: Callable[[], RuleBook] = rules) -> AsyncIterator[Plot]:
    """The real parts on an empty database."""
    await migrated(url)
    db = await open_database(url)
    clock = StandingClock(REPORTED_AT)
    agreed = {
        name: with_standard(
            PartnerTerms(name, evidence=shipped_rules(), files_required=True, expire_ms=30 * DAY_MS)
        )
        for name in PLACES
    }
    # without the game: its trees would each have to be earned and redeemed first
    domain = replace(partners_domain(agreed.values()), reactions={})
    writer = Writer(db, (GAME, domain), FixedRules(rules), Audience(), clock)
    writer.start()
    clock.at = ORDERED_AT
    for name in PLACES:
        await onboard_simulator(db, writer, rules(), name, is_hasty=True)
    clock.at = REPORTED_AT
    settings = Settings(_env_file=None, evidence=folder / "evidence", evidence_pixels_max=4_000_000)  # type: ignore[call-arg]
    try:
        yield Plot(evidence_desk(settings, writer, db, rules, {}), clock, folder, agreed)
    finally:
        await writer.stop()
        await db.close()


async def refused(work: Any) -> str:
    """The code with which something is refused."""
    try:
        await work
    except Rejected as refusal:
        return refusal.code
    raise AssertionError("it was taken")
