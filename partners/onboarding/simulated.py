"""The records of the simulated NGO, made of what the rulebook offers by it. Through the same commands as any other's.

It is for villages and trials: its agreement says what the programmes say, its sites are squares around their places.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from engine.core.rules import Programme, RuleBook
from engine.core.units import local_day
from engine.store.database import Database, Reader
from engine.writer import Writer
from partners.core.records import commands as c
from partners.core.records.agreed import AgreementTerms, Band, Milestone, Price, Timers, Window

OPERATOR = "saxaul"
CAPACITY_TREES = 1_000_000
SEASONS_AHEAD = 4
HALF_SIDE_E4 = 100  # of a site's square, in ten thousandths of a degree: a kilometre or so
AREA_M2 = 4_000_000
YEARS = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What a database says of the partner already: its status (empty: no record), its agreement, its sites."""

    status: str = ""
    version: int = 0
    prices: frozenset[tuple[str, str, int]] = frozenset()
    sites: frozenset[str] = frozenset()


async def known_of(reader: Reader, partner: str) -> Known:
    """What the database says of the partner."""
    rows = await reader.fetch(
        "SELECT p.status, a.version, a.terms FROM partner_records p LEFT JOIN agreements a ON a.id = p.agreement"
        " WHERE p.id = ?",
        partner,
    )
    if not rows:
        return Known()
    [(status, version, terms)] = rows
    told = json.loads(terms)["prices"] if terms else []
    sites = await reader.fetch("SELECT id FROM sites WHERE partner = ? AND status = 'approved'", partner)
    return Known(
        status,
        version or 0,
        frozenset((one["species"], one["site"], one["unit_price_minor"]) for one in told),
        frozenset(site for (site,) in sites),
    )


async def onboard_simulator(
    db: Database, writer: Writer, rules: RuleBook, partner: str, is_hasty: bool
) -> None:
    """Bring the records of a simulated partner to what the rulebook offers by it; repeating it changes nothing."""
    async with db.snapshot() as view:
        known = await known_of(view, partner)
    today = local_day(writer.clock.now_ms(), "UTC")
    commands = simulated_records(rules, partner, today, is_hasty, known)
    for command, outcome in zip(commands, await writer.submit_all(commands), strict=True):
        if outcome.error is not None:
            log.warning("records of %s: %s: %s", partner, type(command).__name__, outcome.error)


def simulated_records(rules: RuleBook, partner: str, today: date, is_hasty: bool, known: Known) -> list[Any]:
    """The commands that bring the partner's records to what the rulebook offers by it.

    `is_hasty`: no order waits for company. What an operator has suspended stays so.
    """
    programmes = [one for one in rules.programmes.values() if one.partner == partner]
    if not programmes:
        return []
    currency = programmes[0].currency
    commands: list[Any] = [
        c.RecordPartner(
            None,
            OPERATOR,
            partner,
            "模拟种植机构",
            "Simulated NGO",
            programmes[0].region[:2],
            "simulated",
            1,
            currency,
            ("zh", "en"),
        )
    ]
    if known.status in ("", "applied"):
        commands.append(c.MovePartner(None, OPERATOR, partner, "vetting"))
    if known.status in ("", "applied", "vetting"):
        commands.append(c.MovePartner(None, OPERATOR, partner, "active"))
    terms = _terms(programmes, today, is_hasty)
    if {(one.species, one.site, one.unit_price_minor) for one in terms.prices} != known.prices:
        starts_on = date(today.year - 1, 1, 1).isoformat()
        ends_on = date(today.year + YEARS, 12, 31).isoformat()
        version = known.version + 1
        commands += [
            c.RecordAgreement(None, OPERATOR, partner, version, starts_on, ends_on, terms),
            c.MoveAgreement(None, OPERATOR, partner, version, "active"),
        ]
    for programme in programmes:
        commands += _site(programme, rules, programme.id in known.sites)
        commands += _quotas(programme, today)
    return commands


def _terms(programmes: list[Programme], today: date, is_hasty: bool) -> AgreementTerms:
    minima = [one.order_min_trees(today) or 1 for one in programmes]
    windows = {
        season.id: Window(season.id, _day(season.order_by), _day(season.opens), _day(season.closes))
        for one in programmes
        for season in one.seasons
    }
    return AgreementTerms(
        currency=programmes[0].currency,
        minimum_trees=1 if is_hasty else min(minima),
        tolerance_pct=5,
        prices=tuple(Price(one.species, one.unit_price_minor(today) or 1, one.id) for one in programmes),
        seasons=tuple(windows.values()),
        timers=Timers((3, 7), 10, 14, 60, 30, 45, 60),
        survival_m12=Band(75),
        survival_m36=Band(70),
        milestones=(
            Milestone("accepted", 30),
            Milestone("verified", 40),
            Milestone("m12_in_band", 15),
            Milestone("m36_in_band", 15),
        ),
        evidence_min=1,
        replacement_pays="partner",
        claim_policy="exclusive",
        claim_share_pct=100,
        law=programmes[0].region[:2],
        dispute_route="the operator's desk",
    )


def _site(programme: Programme, rules: RuleBook, is_approved: bool) -> Iterable[Any]:
    species = rules.species[programme.species]
    yield c.RecordSite(
        key=None,
        operator=OPERATOR,
        site=programme.id,
        partner=programme.partner,
        name_zh=programme.site["zh"],
        name_en=programme.site["en"],
        country=programme.region[:2],
        region=programme.region,
        geometry=_square(programme),
        area_m2=AREA_M2,
        datum="WGS84",
        land_right={"kind": "none, simulated", "number": "SIM-1", "holder": programme.partner},
        shown_m=0,
    )
    if not is_approved:
        yield c.MoveSite(None, OPERATOR, programme.id, "in_review")
        yield c.MoveSite(None, OPERATOR, programme.id, "approved", "simulated")
    yield c.RecordSpeciesOffer(
        key=None,
        operator=OPERATOR,
        partner=programme.partner,
        species=programme.species,
        gbif_key=0,
        checklist="rulebook",
        typed_name=species.scientific,
        native=True,
        kind=species.kind,
    )


def _quotas(programme: Programme, today: date) -> Iterable[Any]:
    on = today
    for _ in range(SEASONS_AHEAD):
        window = programme.next_season(on)
        season = f"{window.opens_on.year}-{window.id}"
        yield c.SetQuota(None, OPERATOR, programme.id, programme.species, season, CAPACITY_TREES)
        on = window.order_by_on + timedelta(days=1)


def _square(programme: Programme) -> str:
    """A square around the programme's place, as GeoJSON; coordinates are written exactly."""
    east, north = (int(value * 10_000) for value in (programme.longitude, programme.latitude))
    low, high, left, right = (
        north - HALF_SIDE_E4,
        north + HALF_SIDE_E4,
        east - HALF_SIDE_E4,
        east + HALF_SIDE_E4,
    )
    corners = [(left, low), (right, low), (right, high), (left, high), (left, low)]
    ring = [[longitude / 10_000, latitude / 10_000] for longitude, latitude in corners]
    return json.dumps({"type": "MultiPolygon", "coordinates": [[ring]]})


def _day(month_day: tuple[int, int]) -> str:
    month, day = month_day
    return f"{month:02d}-{day:02d}"
