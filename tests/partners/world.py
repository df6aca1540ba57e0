"""A working set without a database: loads what `touches` names, decides, evolves, keeps; nothing more.

A row that `touches` forgets is not there for `decide` (KeyError), as with the real writer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

from engine.core.events import Decision
from engine.core.state import By, Touch
from engine.core.units import DAY_MS
from partners.core import commands as c
from partners.core.after_evolve import CHAIN
from partners.core.after_rows import ChainHead
from partners.core.after_terms import Funding
from partners.core.audit_log import START
from partners.core.context import Context
from partners.core.decide import COMMANDS, decide, touches
from partners.core.evolve import evolve
from partners.core.model import (
    PARTNER_SHELVES,
    BatchShown,
    EvidenceShown,
    PartnerReport,
    PartnerState,
    PartnerTerms,
    Season,
    Terms,
)
from partners.core.records import commands as r
from partners.core.records.agreed import (
    TRIGGERS,
    AgreementTerms,
    Band,
    Milestone,
    Price,
    Timers,
    Window,
)
from partners.domain import partners_domain

REACTIONS: dict[type, list[Any]] = {
    event: [reaction] for event, reaction in partners_domain().reactions.items()
}
NOW = 1_795_392_000_000  # 2026-11-23T00:00:00Z
WINDOWS = (
    Window("spring", "01-22", "03-03", "05-02"),
    Window("autumn", "07-21", "08-30", "10-29"),
)
CAPACITY = 100_000


def agreed(**changes: Any) -> AgreementTerms:
    """Terms as a partner might sign them."""
    usual = AgreementTerms(
        currency="CNY",
        minimum_trees=3,
        tolerance_pct=5,
        prices=(Price("haloxylon", 500),),
        seasons=WINDOWS,
        timers=Timers((3, 7), 10, 14, 45, 30, 45, 60),
        survival_m12=Band(75),
        survival_m36=Band(70, "lower_bound"),
        milestones=(Milestone("accepted", 30), Milestone("verified", 70)),
        evidence_min=1,
        replacement_pays="partner",
        claim_policy="exclusive",
        claim_share_pct=100,
        law="CN",
        dispute_route="mediation, then the court of the site",
    )
    return replace(usual, **changes)


def _after(place: Terms) -> dict[str, Any]:
    """What the partner's terms say of the time after planting, as an agreement says it."""
    partner = place.with_partner
    after, named = partner.after, {trigger: when for when, trigger in TRIGGERS.items()}
    timers = Timers((3, 7), 10, 14, 45, 30, 45, max(45, after.payments_hold_ms // DAY_MS))
    told: dict[str, Any] = {
        "evidence_min": partner.evidence_min,
        "claim_share_pct": after.own_share_pct,
        "claim_policy": "exclusive" if after.own_share_pct == 100 else "co_funded",
        "timers": timers,
    }
    if after.milestones:
        told["milestones"] = tuple(
            Milestone(named.get(one.trigger, one.trigger), one.pct) for one in after.milestones
        )
    if after.bands_bp:
        told["survival_m12"] = Band(after.band_bp(place.rainfall, "survival") // 100, after.must_meet)
        told["survival_m36"] = Band(after.band_bp(place.rainfall, "preservation") // 100, after.must_meet)
    return told


def _season(name: str) -> Season:
    season = agreed().season(name)
    assert season is not None
    return season


SPRING = _season("2027-spring")
AUTUMN = _season("2027-autumn")
LATER = _season("2028-spring")
SQUARE = '{"type": "MultiPolygon", "coordinates": [[[[103, 38], [103.1, 38], [103.1, 38.1], [103, 38]]]]}'
IN_SPRING_ON = "2027-03-10"


@dataclass(frozen=True, slots=True)
class Offered(Terms):
    """A programme's terms, and what its partner's records are to say of it."""

    site: str = ""
    minimum_trees: int = 1
    seasons: tuple[Season, ...] = ()


def terms(programme: str = "minqin", partner: str = "elm", **changes: Any) -> Offered:
    """A programme's terms; minimum 3 trees, 7 days of waiting at most."""
    agreed = changes.pop("agreed", PartnerTerms(partner))
    usual = Offered(
        programme=programme,
        with_partner=replace(agreed, partner=partner),
        species="haloxylon",
        region="CN-GS",
        site="minqin-north",
        granularity="pooled",
        unit_price_minor=500,
        currency="CNY",
        minimum_trees=3,
        maximum_wait_ms=7 * DAY_MS,
        seasons=(SPRING, AUTUMN, LATER),
    )
    return replace(usual, **changes)


class World:
    """All rows, a clock that only tests move, and programmes."""

    def __init__(self, *programmes: Offered, has_records: bool = True) -> None:
        programmes = programmes or (terms(),)
        self.now = NOW
        self.rows: dict[str, dict[Any, Any]] = {kind.name: {} for kind in PARTNER_SHELVES}
        self.terms = {place.programme: place for place in programmes}
        self.partners = {place.partner: place.with_partner for place in programmes}
        self.rows["chain_heads"][CHAIN] = ChainHead(CHAIN, 0, START)
        self.funding: dict[int, Funding] = {}
        self.events: list[object] = []
        self.told: list[object] = []
        self._ids = 0
        self.places: dict[str, str] = {}
        for place in programmes if has_records else ():
            self.onboard(place)
        self.events.clear()

    def run(self, command: Any) -> Decision:
        """Load, decide, evolve, keep. A refusal is raised and nothing is kept."""
        state = PartnerState(PARTNER_SHELVES)
        self._load(state, command)
        decision = self._decided(state, command)
        for name, shelf in state.shelves.items():
            for key in shelf.added | shelf.changed | shelf.rewritten:
                self.rows[name][key] = copy.deepcopy(shelf[key])
            for key in shelf.removed:
                del self.rows[name][key]
        self.events += decision.events
        return decision

    def _decided(self, state: PartnerState, command: Any) -> Decision:
        """The decision, with what its events cause beside it, as the domain's reactions say."""
        context = Context(self.now, self._new_id, self.terms, self.partners, self.funding.get)
        decision = decide(state, command, context)
        for event in decision.events:
            evolve(state, event)
            self.told.append(event)
            for reaction in REACTIONS.get(type(event), ()):
                for follow_up in reaction(event):
                    if type(follow_up) in COMMANDS:
                        self._load(state, follow_up)
                        self._decided(state, follow_up)
        return decision

    def onboard(self, place: Offered, capacity: int = CAPACITY, **changes: Any) -> None:
        """Partner, agreement, site, offer and quotas for a programme, by the commands of an operator."""
        partner, by = place.partner, "li"
        was = self.rows["partner_records"].get(partner)
        agreement = self.rows["agreements"].get(was.agreement) if was is not None else None
        prices = tuple(Price(**one) for one in agreement.terms["prices"]) if agreement is not None else ()
        site = self.places.setdefault(place.programme, self._site(place))
        terms_ = agreed(
            minimum_trees=place.minimum_trees,
            tolerance_pct=place.with_partner.tolerance_pct,
            prices=(*prices, Price(place.species, place.unit_price_minor, site)),
            currency=place.currency,
            **{**_after(place), **changes},
        )
        version = agreement.version + 1 if agreement is not None else 1
        commands: list[Any] = [
            r.RecordPartner(None, by, partner, "", partner, "CN", "ngo", 2, place.currency, ("zh",)),
            r.MovePartner(None, by, partner, "vetting"),
            r.RecordDocument(None, by, partner, "registration", "1", "bureau", "2032-12-31"),
            r.MovePartner(None, by, partner, "active"),
            r.RecordAgreement(None, by, partner, version, "2026-01-01", "2032-12-31", terms_),
            r.MoveAgreement(None, by, partner, version, "active"),
            r.RecordSite(
                None, by, site, partner, "", site, "CN", place.region, SQUARE, 1_000_000, "WGS84",
                land_right={"number": "7"},
            ),
            r.MoveSite(None, by, site, "in_review"),
            r.MoveSite(None, by, site, "approved"),
            r.RecordSpeciesOffer(None, by, partner, place.species, 3084923, "GBIF", "Haloxylon", True, "shrub"),
            *(r.SetQuota(None, by, site, place.species, one.id, capacity) for one in place.seasons),
        ]  # fmt: skip
        for command in commands:
            if not (was is not None and isinstance(command, r.MovePartner)):
                self.run(command)

    def _site(self, place: Offered) -> str:
        taken = self.rows["sites"].get(place.site)
        return (
            place.site
            if taken is None or taken.partner == place.partner
            else f"{place.site}-{place.programme}"
        )

    def quotas(self) -> tuple[str, ...]:
        """What the job would name: quotas whose season still takes orders."""
        rows = [one for one in self.rows["quotas"].values() if one.order_by_at >= self.now]
        return tuple(one.id for one in sorted(rows, key=lambda one: (one.order_by_at, one.id)))

    def drafts(self) -> tuple[int, ...]:
        """What the job would name: drafts."""
        return tuple(row.id for row in self.rows["partner_orders"].values() if row.state == "draft")

    def allocation(self, programme: str = "minqin", units: tuple[int, ...] | None = None) -> c.FormOrder:
        """The job's command for one programme."""
        waiting = self.waiting(programme) if units is None else units
        return c.FormOrder(None, programme, waiting, self.quotas(), self.drafts())

    def quota(self, name: str) -> Any:
        return self.rows["quotas"][name]

    def pledge(self, count: int, programme: str = "minqin", first: int = 1) -> list[int]:
        """That many trees wait."""
        numbers = list(range(first, first + count))
        for number in numbers:
            self.funding[number] = Funding(1 + number % 2, 500, "CNY")
            self.run(c.PledgeUnit(None, number, programme))
        return numbers

    def waiting(self, programme: str = "minqin") -> tuple[int, ...]:
        """What the job would find: units of the route that wait by now."""
        found = [
            unit
            for unit in self.units()
            if unit.route == programme and unit.state == "pledged" and unit.waits_from_at <= self.now
        ]
        return tuple(unit.id for unit in sorted(found, key=lambda unit: (unit.waits_from_at, unit.id)))

    def form(self, programme: str = "minqin") -> Decision:
        """The job's command for one programme."""
        return self.run(self.allocation(programme))

    def formed(self, programme: str = "minqin", units: tuple[int, ...] | None = None) -> int:
        """The id of the order that the job's command makes."""
        order = self.run(self.allocation(programme, units)).reply["formed"]
        assert isinstance(order, int)
        return order

    def ordered(self, count: int = 4, programme: str = "minqin", first: int = 1) -> int:
        """An order of that many trees, handed over to its partner."""
        self.pledge(count, programme, first)
        order = self.formed(programme)
        self.delivered(order)
        return order

    def delivered(self, order: int, kind: str = "submit") -> None:
        """The order's delivery went well and the answer said nothing."""
        name = f"{kind}:{order}"
        self.run(c.ClaimDeliveries(None, "relay", 60_000, (name,)))
        self.run(c.SettleDelivery(None, name, "relay", "done"))

    def say(self, order: int, state: str, message: str = "", **fields: Any) -> Decision:
        """A message of the order's partner."""
        row = self.rows["partner_orders"].get(order)
        report = PartnerReport(order=order, state=state, at=self.now, **fields)
        name = message or f"m{len(self.rows['inbox'])}"
        return self.run(c.RecordReport(None, row.partner if row else "elm", name, f"{state}{fields}", report))

    def planted(self, count: int = 4) -> int:
        """An order that its partner declares planted, in one batch."""
        order = self.ordered(count)
        self.say(order, "planted", accepted=count, batches=(batch("1", count),))
        return order

    def order(self, order: int) -> Any:
        return self.rows["partner_orders"][order]

    def line(self, order: int) -> Any:
        return self.rows["order_lines"][f"{order}-1"]

    def lines(self, order: int) -> list[Any]:
        return [self.rows["order_lines"][name] for name in self.order(order).lines]

    def unit(self, number: int) -> Any:
        return self.rows["tree_units"][number]

    def units(self) -> list[Any]:
        return list(self.rows["tree_units"].values())

    def delivery(self, name: str) -> Any:
        return self.rows["deliveries"][name]

    def states(self, *numbers: int) -> list[str]:
        return [self.unit(number).state for number in numbers]

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids

    def _load(self, state: PartnerState, command: Any) -> None:
        while True:
            missing = [t for t in touches(command, state) if not _is_loaded(state, t)]
            if not missing:
                return
            for touch in missing:
                self._fill(state.shelves[touch.shelf], touch.key)

    def _fill(self, shelf: Any, key: Any) -> None:
        rows = self.rows[shelf.kind.name]
        if not isinstance(key, By):
            shelf.loaded(key, copy.deepcopy(rows.get(key)))
            return
        shelf.by.add(key)
        for name, row in rows.items():
            if getattr(row, key.column) == key.value and name not in shelf:
                shelf.loaded(name, copy.deepcopy(row))


def _is_loaded(state: PartnerState, touch: Touch) -> bool:
    shelf = state.shelves[touch.shelf]
    return touch.key in shelf.by if isinstance(touch.key, By) else touch.key in shelf


def batch(report_no: str, quantity: int, proof: str = "", **changes: Any) -> BatchShown:
    """A planting report with one photo of its own."""
    shown = BatchShown(
        report_no=report_no,
        quantity=quantity,
        planted_from_on=IN_SPRING_ON,
        planted_to_on=IN_SPRING_ON,
        site="minqin-north",
        evidence=(EvidenceShown(proof or f"photo-{report_no}-{quantity}"),),
    )
    return replace(shown, **changes)
