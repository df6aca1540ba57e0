"""Facts of the partners' domain, past tense. Rows and outbox entries are computed from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from partners.core.model import Allocation, Batch, Delivery, Evidence, OrderLine, PlantingOrder, Review


@dataclass(slots=True)
class UnitPledged:
    """A tree waits for its order."""

    unit: int
    programme: str
    at: int


@dataclass(slots=True)
class UnitsMoved:
    """Trees reached a state: ordered, confirmed, planted or verified. `note` tells their users what to
    know."""

    units: tuple[int, ...]
    state: str
    at: int
    season: str
    order: int
    batch: str | None = None
    note: str = ""
    line: str = ""


@dataclass(slots=True)
class UnitsUnplaced:
    """There is no place for these trees now, and why; they keep waiting, and their users may choose."""

    units: tuple[int, ...]
    why: str
    back_at: int | None
    at: int


@dataclass(slots=True)
class UnitKept:
    """Its user wants it to wait on, at least until `back_at` (None: without end)."""

    unit: int
    back_at: int | None


@dataclass(slots=True)
class UnitsWithdrawn:
    """These trees will not be planted; their energy is, or goes, back with their users."""

    units: tuple[int, ...]
    note: str
    at: int


@dataclass(slots=True)
class TreesAllocated:
    """Why trees were placed as they were, to be read later."""

    allocation: Allocation


@dataclass(slots=True)
class OrderDrafted:
    """A draft was made or has grown: order and lines as they are now. Its quotas hold places for its trees."""

    order: PlantingOrder
    lines: list[OrderLine]


@dataclass(slots=True)
class UnitsReleased:
    """Trees of one line wait again (state pledged), from `waits_from_at`, for a programme that may be another one.

    `declined` is the `partner/season` that gave them back, empty if it may be asked again.
    """

    units: tuple[int, ...]
    order: int | None
    route: str
    waits_from_at: int
    season: str
    declined: str
    note: str
    at: int
    line: str = ""


@dataclass(slots=True)
class OrderSubmitted:
    """An order was formed, frozen and handed to the outbox: order and lines as they are from now on."""

    order: PlantingOrder
    lines: list[OrderLine]


@dataclass(slots=True)
class OrderMoved:
    """An order reached another state; `due_at` None: nothing is left to follow up."""

    order: int
    state: str
    reason: str
    due_at: int | None
    at: int
    external_ref: str = ""
    said_at: int = 0


@dataclass(slots=True)
class CancelAsked:
    """One side asks to cancel an accepted order; it ends when the other consents."""

    order: int
    by: str
    reason: str
    at: int


@dataclass(slots=True)
class LineAccepted:
    """The partner takes on this many trees of the line."""

    line: str
    accepted: int


@dataclass(slots=True)
class BatchReported:
    """The partner says that it planted."""

    order: int
    batch: Batch
    evidence: list[Evidence]  # what no batch had shown before


@dataclass(slots=True)
class EvidenceAdded:
    """The partner shows more for a batch that it reported before; `findings` replace the batch's."""

    batch: str
    evidence: list[str]
    fresh: list[Evidence]
    findings: list[str]


@dataclass(slots=True)
class BatchDetailed:
    """What the partner had not said of its planting before: who is told nothing twice is not asked twice."""

    batch: str
    planters: int | None
    latitude_e6: int | None
    longitude_e6: int | None
    notes: str


@dataclass(slots=True)
class OrderHeld:
    """A person must look: `reason` and, where an answer differs from what was asked, the difference."""

    order: int
    reason: str
    at: int
    difference: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class OrderResumed:
    """The hold is over; deadlines moved."""

    order: int
    expires_at: int
    due_at: int | None
    at: int


@dataclass(slots=True)
class OrderReviewed:
    """An operator's verdict, with the trees verified per batch id."""

    review: Review
    verified: dict[str, int]


@dataclass(slots=True)
class OrderFollowedUp:
    """What the follow-up did: reminders sent so far, escalation, and when to look again."""

    order: int
    reminders: int
    escalated_at: int | None
    due_at: int
    note: str
    at: int


@dataclass(slots=True)
class DeliveryQueued:
    """Something must leave the database. A row of the same id that is done starts over."""

    delivery: Delivery


@dataclass(slots=True)
class DeliveryClaimed:
    """A relay has it until the lease ends."""

    delivery: str
    relay: str
    state: str  # sending | reading
    lease_until_at: int


@dataclass(slots=True)
class DeliverySettled:
    """An attempt came to its end: the state from now on and when to try again."""

    delivery: str
    state: str
    answer: str
    next_at: int | None
    attempts: int


@dataclass(slots=True)
class MessageReceived:
    """A partner's message is in the inbox for good."""

    partner: str
    message: str
    digest: str
    order: int
    at: int


PartnerEvent = (
    UnitPledged
    | UnitsMoved
    | UnitsReleased
    | UnitsUnplaced
    | UnitKept
    | UnitsWithdrawn
    | TreesAllocated
    | OrderDrafted
    | OrderSubmitted
    | CancelAsked
    | OrderMoved
    | LineAccepted
    | BatchReported
    | EvidenceAdded
    | BatchDetailed
    | OrderHeld
    | OrderResumed
    | OrderReviewed
    | OrderFollowedUp
    | DeliveryQueued
    | DeliveryClaimed
    | DeliverySettled
    | MessageReceived
)
