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
    """Place these waiting trees of a programme: into orders where the minimum is reached, else into drafts.

    `quotas` are the places to choose among and `drafts` the drafts to fill up; whoever submits names what there
    is. What is not waiting any more is left out, so a repeat of the command changes nothing.
    """

    key: str | None
    programme: str
    units: tuple[int, ...]
    quotas: tuple[str, ...] = ()
    drafts: tuple[int, ...] = ()


@dataclass(slots=True)
class SubmitOrder:
    """An operator sends a draft out now; the guards hold for them too."""

    key: str | None
    operator: str
    order: int


@dataclass(slots=True)
class OrderTest:
    """An operator tries a partner out: an order of no user's trees that no real partner may get."""

    key: str | None
    operator: str
    partner: str
    species: str
    site: str
    trees: int


@dataclass(slots=True)
class RecheckOrder:
    """Hold an open order whose partner may not be asked now, or let it go on when it may again."""

    key: str | None
    order: int


@dataclass(slots=True)
class KeepUnit:
    """The user of a tree without a place wants it to wait on, at least until `back_at`."""

    key: str | None
    unit: int
    back_at: int | None


@dataclass(slots=True)
class WithdrawUnit:
    """The energy of a waiting tree went back to its user. Withdrawing it again changes nothing."""

    key: str | None
    unit: int
    note: str


@dataclass(slots=True)
class GiveUpUnits:
    """Withdraw those of these trees that have waited for a place as long as they may."""

    key: str | None
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
    """An operator withdraws an order of which nothing is reported yet; its trees wait for another.

    Once it is accepted this asks the partner, or consents to what the partner asked; `consent` tells how the
    partner agreed where it did so outside of its messages.
    """

    key: str | None
    operator: str
    order: int
    reason: str
    consent: str = ""


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
    | SubmitOrder
    | OrderTest
    | RecheckOrder
    | KeepUnit
    | WithdrawUnit
    | GiveUpUnits
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
