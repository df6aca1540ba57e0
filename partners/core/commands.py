"""Wishes of the partners' domain, imperative. No command but `ReviewOrder` leads to a verified tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from partners.core.model import PartnerReport


@dataclass(slots=True)
class PledgeUnit:
    """A tree was redeemed and waits to be planted. Pledging it again changes nothing."""

    key: str | None
    unit: int
    programme: str


@dataclass(slots=True)
class FormOrder:
    """Make one planting order for a programme out of these waiting units, or say why not yet.

    What is not waiting any more is left out, so a repeat of the command changes nothing.
    """

    key: str | None
    programme: str
    units: tuple[int, ...]


@dataclass(slots=True)
class RecordReport:
    """A partner says how an order stands, in a message of its own (`message` and the digest of its bytes)."""

    key: str | None
    partner: str
    message: str
    digest: str
    report: PartnerReport


@dataclass(slots=True)
class FollowUpOrder:
    """Do what is due now for an open order: ask how it stands, remind, escalate, expire."""

    key: str | None
    order: int


@dataclass(slots=True)
class CancelOrder:
    """An operator withdraws an order of which nothing is reported yet; its trees wait for another."""

    key: str | None
    operator: str
    order: int
    reason: str


@dataclass(slots=True)
class HoldOrder:
    """An operator stops an open order: no timer runs and no report moves it."""

    key: str | None
    operator: str
    order: int
    reason: str


@dataclass(slots=True)
class ResumeOrder:
    """An operator lets a held order go on; its deadlines move by the time that it was held."""

    key: str | None
    operator: str
    order: int


@dataclass(slots=True)
class ReviewOrder:
    """An operator's verdict on what was planted: verified, needs_info or back (to planting).

    `verified` gives the trees found per batch (by report number); a batch that is not named counts as
    reported.
    """

    key: str | None
    reviewer: str
    order: int
    verdict: str
    note: str = ""
    verified: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class ClaimDeliveries:
    """A relay takes due deliveries for `lease_ms`; the reply names those it got and how (send or read)."""

    key: str | None
    relay: str
    lease_ms: int
    deliveries: tuple[str, ...]


@dataclass(slots=True)
class SettleDelivery:
    """What came of an attempt.

    `outcome`: done (with `report` if the answer carried one), failed (surely no effect: try again later),
    unknown (it may have had its effect), absent (read back: nothing there), refused (a clear no).
    """

    key: str | None
    delivery: str
    relay: str
    outcome: str
    answer: str = ""
    retry_after_ms: int | None = None
    report: PartnerReport | None = None


@dataclass(slots=True)
class ResolveDelivery:
    """An operator, having asked the partner, says whether a stuck order arrived; if not, it is sent anew."""

    key: str | None
    operator: str
    delivery: str
    arrived: bool


PartnerCommand = (
    PledgeUnit
    | FormOrder
    | RecordReport
    | FollowUpOrder
    | CancelOrder
    | HoldOrder
    | ResumeOrder
    | ReviewOrder
    | ClaimDeliveries
    | SettleDelivery
    | ResolveDelivery
)
