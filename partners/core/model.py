"""Rows of the partners' domain, the terms of a programme, and what a partner may say about an order.

A tree unit has the number of the game's tree and never its user. Rows are changed by `evolve` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.core.state import Shelf, ShelfKind
from engine.core.units import DAY_MS, HOUR_MS, SECOND_MS
from partners.core.after_rows import AFTER_SHELVES, AfterState
from partners.core.after_terms import AfterTerms
from partners.core.api_rows import API_SHELVES, PartnerKey, WebhookAttempt, WebhookEndpoint, WebhookMessage
from partners.core.evidence_rows import (
    EVIDENCE_SHELVES,
    Assessment,
    EvidencePhoto,
    OutlineSeason,
    PlantedPlace,
    SiteOutline,
)
from partners.core.evidence_rules import EvidenceRules
from partners.core.records.rows import (
    RECORD_SHELVES,
    Agreement,
    Allocation,
    Contact,
    Partner,
    Performance,
    Quota,
    Site,
    SiteVersion,
    SpeciesOffer,
)

PARTNER_TEXT_CHARACTERS_MAX = 200
ORDER_TREES_MAX = 5_000
ALLOCATED_TREES_MAX = 1000  # by one command: more would keep everybody else waiting
REPORT_BATCHES_MAX = 100
BATCH_EVIDENCE_MAX = 50
BATCH_NOTES_CHARACTERS_MAX = 500

ORDER_KINDS = ("standard", "replacement", "test")
OPEN_STATES = ("draft", "submitted", "accepted", "in_planting", "planted", "needs_info")
WATCHED_STATES = ("verified", "monitoring", "replanting")
ENDED_STATES = ("rejected", "expired", "cancelled", "completed", "closed_short")


# --- rows -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class TreeUnit:
    """One redeemed tree on its way to the ground: pledged, allocated, ordered, confirmed, planted, verified,
    established. Side moves: back to pledged, or withdrawn (its energy went back, or its claim was written down).

    `programme` is what was redeemed, `route` the programme whose species and region it is planted by.
    `waits_from_at`: since when it waits for an order (may lie ahead: not before then).
    `declined` names each `partner/season` that has given it back. `unplaced_at`: since when there is no place
    for it, None while there may be one; its energy goes back at `back_at` (None: never by itself).
    """

    id: int
    programme: str
    route: str
    state: str
    waits_from_at: int
    season: str
    order_id: int | None
    batch_id: str | None
    note: str
    fact_at: int
    declined: list[str] = field(default_factory=list)
    line_id: str | None = None
    unplaced_at: int | None = None
    back_at: int | None = None


@dataclass(slots=True)
class PlantingOrder:
    """What one partner was asked to plant in one season. `held` names why a person must look first, or is
    empty.

    `due_at`: when the follow-up has something to do next; None once it has ended. `said_at`: the newest
    instant, by the partner's own clock, of a report that moved it. `agreement`: the version under which it was
    made, empty for orders older than agreements. `payload_hash` (SHA-256) freezes what was asked. `programme` is
    that of its first line. `cancel_asked_by`: who asks to cancel it after acceptance (operator, partner).
    """

    id: int
    partner: str
    programme: str
    season: str
    season_opens_at: int
    season_closes_at: int
    state: str
    held: str
    below_minimum: bool
    external_ref: str
    reason: str
    submitted_at: int
    expires_at: int
    reminders: int
    escalated_at: int | None
    due_at: int | None
    held_at: int | None
    fact_at: int
    said_at: int
    lines: list[str] = field(default_factory=list)
    difference: dict[str, Any] = field(default_factory=dict)
    kind: str = "standard"
    agreement: str = ""
    payload_hash: str = ""
    cancel_asked_by: str = ""


@dataclass(slots=True)
class OrderLine:
    """One species on one site of an order, with its four counters: verified ≤ reported ≤ accepted +
    tolerance ≤ …

    `units` are the trees that it stands for, first come first; a released unit leaves the list. `quota` is where
    its trees are counted; empty for lines that stand for no tree (test) and those older than quotas. `programme` is
    that of all its trees; empty for a test.
    """

    id: str
    order_id: int
    species: str
    site: str
    granularity: str
    unit_price_minor: int
    currency: str
    tolerance_pct: int
    ordered: int
    accepted: int
    reported: int
    verified: int
    units: list[int] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    quota: str = ""
    programme: str = ""


@dataclass(slots=True)
class Batch:
    """One planting as the partner reported it, `report_no` being the partner's own number of the report.

    `findings` are reasons from a fixed list why a reviewer should look closer. `planters`: how many people planted;
    the point (WGS 84, millionths of a degree) and `notes` are the partner's own, where it told any. Notes are for
    reviewers, as they may name people.
    """

    id: str
    line_id: str
    report_no: str
    site: str
    planted_from_on: str
    planted_to_on: str
    reported: int
    verified: int
    submitted_by: str
    reported_at: int
    units: list[int] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    planters: int | None = None
    latitude_e6: int | None = None
    longitude_e6: int | None = None
    notes: str = ""


@dataclass(slots=True)
class Evidence:
    """A file that speaks for a batch, by the SHA-256 of its bytes: the first batch that showed it keeps
    it."""

    sha256: str
    batch_id: str
    kind: str
    name: str
    taken_on: str
    shown_at: int


@dataclass(slots=True)
class Review:
    """What an operator found about an order's planting."""

    id: str
    order_id: int
    reviewer: str
    verdict: str
    verified: int
    note: str
    at: int


@dataclass(slots=True)
class Delivery:
    """One thing that must leave the database: its outbox row.

    waiting → sending → done; a send whose effect is not known becomes unknown → reading → done, and is
    sent again only where `resendable` (the receiver drops repeats by our key). `stuck` waits for a person.
    """

    id: str
    destination: str
    kind: str  # submit | cancel | read | remind
    order_id: int
    state: str
    resendable: bool
    attempts: int
    next_at: int | None
    lease_until_at: int | None
    claimed_by: str
    answer: str
    created_at: int
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class InboxMessage:
    """A message of a partner that was taken in: a repeat changes nothing."""

    partner: str
    message: str
    digest: str
    order_id: int
    received_at: int


PARTNER_SHELVES = (
    ShelfKind("partner_orders", PlantingOrder, ("id",), locks=3),
    ShelfKind("tree_units", TreeUnit, ("id",), locks=4),
    ShelfKind("deliveries", Delivery, ("id",), locks=5),
    ShelfKind("order_lines", OrderLine, ("id",)),
    ShelfKind("batches", Batch, ("id",)),
    ShelfKind("evidence", Evidence, ("sha256",)),
    ShelfKind("reviews", Review, ("id",)),
    ShelfKind("inbox", InboxMessage, ("partner", "message")),
    *AFTER_SHELVES,
    *EVIDENCE_SHELVES,
    *RECORD_SHELVES,
    *API_SHELVES,
)


class PartnerState(AfterState):
    """The partners' shelves by name, for the type checker; any State with these shelves serves."""

    partner_orders: Shelf[int, PlantingOrder]
    tree_units: Shelf[int, TreeUnit]
    deliveries: Shelf[str, Delivery]
    order_lines: Shelf[str, OrderLine]
    batches: Shelf[str, Batch]
    evidence: Shelf[str, Evidence]
    reviews: Shelf[str, Review]
    inbox: Shelf[tuple[str, str], InboxMessage]
    evidence_photos: Shelf[str, EvidencePhoto]
    site_outlines: Shelf[str, SiteOutline]
    planted_places: Shelf[str, PlantedPlace]
    outline_seasons: Shelf[str, OutlineSeason]
    assessments: Shelf[str, Assessment]
    partner_records: Shelf[str, Partner]
    performances: Shelf[str, Performance]
    quotas: Shelf[str, Quota]
    contacts: Shelf[tuple[str, str, int], Contact]
    agreements: Shelf[str, Agreement]
    sites: Shelf[str, Site]
    site_versions: Shelf[str, SiteVersion]
    species_offers: Shelf[str, SpeciesOffer]
    allocations: Shelf[int, Allocation]
    partner_keys: Shelf[str, PartnerKey]
    webhook_endpoints: Shelf[str, WebhookEndpoint]
    webhook_messages: Shelf[str, WebhookMessage]
    webhook_attempts: Shelf[str, WebhookAttempt]


# --- terms ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Season:
    """One planting season of a programme; orders for it are placed up to `order_by_at`."""

    id: str
    opens_at: int
    closes_at: int
    order_by_at: int


@dataclass(frozen=True, slots=True)
class PartnerTerms:
    """What holds with a partner whatever is planted: timers, evidence, and what its adapter can do.

    `retry_ms`: the waits after each failed attempt; `resendable`: a repeated request with our key has one
    effect. `evidence`: by what its evidence is judged, None: not at all; `files_required`: files that it names must
    be uploaded here. Timers and figures are those of the agreement, where there is one
    (`records.agreed.with_agreement`).
    `is_live`: what it plants is real, so that nothing may be tried out on it, unless `has_sandbox`: its adapter keeps
    test orders apart; `lines_max`: lines in one order.
    """

    partner: str
    asks_below_minimum: bool = True
    tolerance_pct: int = 5
    reminders_ms: tuple[int, ...] = (3 * DAY_MS, 7 * DAY_MS)
    escalate_ms: int = 10 * DAY_MS
    expire_ms: int = 14 * DAY_MS
    poll_ms: int = 6 * HOUR_MS
    evidence_min: int = 1
    resendable: bool = False
    retry_ms: tuple[int, ...] = tuple(
        s * SECOND_MS for s in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    )
    reads_before_stuck: int = 6
    after: AfterTerms = field(default_factory=AfterTerms)
    evidence: EvidenceRules | None = None
    files_required: bool = False
    is_live: bool = True
    has_sandbox: bool = False
    lines_max: int = 1
    hold_ms: int = 45 * DAY_MS
    report_overdue_ms: int = 30 * DAY_MS
    report_escalate_ms: int = 45 * DAY_MS


@dataclass(frozen=True, slots=True)
class Terms:
    """What users are offered by a programme: by whom, what, where, for how much; and how trees are batched.

    On what terms it is planted is said by the partner's agreement. `energy_back_ms`: how long a tree without a
    place waits before its energy goes back; None: it waits on.
    """

    programme: str
    with_partner: PartnerTerms
    species: str
    region: str
    granularity: str
    unit_price_minor: int
    currency: str
    maximum_wait_ms: int
    rainfall: str = ""
    energy_back_ms: int | None = None

    @property
    def partner(self) -> str:
        """The id of the partner that the programme names."""
        return self.with_partner.partner


# --- what a partner says --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EvidenceShown:
    """A file that the partner names for a batch."""

    sha256: str
    kind: str = "photo"
    name: str = ""
    taken_on: str = ""


@dataclass(frozen=True, slots=True)
class BatchShown:
    """One planting report of the partner. `planters`: how many people planted, where it says so.

    The point is WGS 84 in millionths of a degree; `notes` are for reviewers.
    """

    report_no: str
    quantity: int
    planted_from_on: str
    planted_to_on: str
    site: str
    evidence: tuple[EvidenceShown, ...] = ()
    planters: int | None = None
    line_no: int = 1
    latitude_e6: int | None = None
    longitude_e6: int | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class LineSaid:
    """What a partner says of one line of an order that has several; None where it does not say."""

    line_no: int
    accepted: int | None = None
    ordered: int | None = None
    species: str | None = None
    unit_price_minor: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class PartnerReport:
    """All that a partner says about an order, absolute: an old or repeated report can't undo a newer one.

    `state`: received, accepted, rejected, in_planting, planted or cancelled. The echo (`ordered`, `species`,
    `unit_price_minor`, `currency`) is what the partner believes it was asked; None where it does not say.
    For an order of several lines, `lines` says all this of each; what is accepted must be said of every line.
    """

    order: int
    state: str
    at: int
    external_ref: str = ""
    accepted: int | None = None
    reason: str = ""
    ordered: int | None = None
    species: str | None = None
    unit_price_minor: int | None = None
    currency: str | None = None
    batches: tuple[BatchShown, ...] = ()
    by: str = ""  # the person at the partner who says so, where it tells
    lines: tuple[LineSaid, ...] = ()


def line_id(order: int, line_no: int = 1) -> str:
    """The id of an order's line."""
    return f"{order}-{line_no}"


def batch_id(order: int, report_no: str) -> str:
    """The id of a batch: a partner's report number counts once per order."""
    return f"{order}/{report_no}"


def lines_of(state: PartnerState, order: PlantingOrder) -> list[OrderLine]:
    """The order's lines, by number."""
    return [state.order_lines[name] for name in order.lines]


def units_of(lines: Sequence[OrderLine]) -> list[int]:
    """The trees of all lines."""
    return [number for line in lines for number in line.units]
