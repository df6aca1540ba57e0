"""Facts about orders once trees are reported planted, and about their money."""

from __future__ import annotations

from dataclasses import dataclass

from partners.core.after_rows import (
    AuditEvent,
    BatchReview,
    BudgetEntry,
    Closing,
    Dispute,
    Disturbance,
    Invoice,
    MilestoneDue,
    OrderFund,
    Replacement,
    Standing,
    SurvivalAudit,
    WriteDown,
)


@dataclass(slots=True)
class BatchReviewed:
    """Somebody gave a verdict; `standing` is the batch's from now on."""

    review: BatchReview
    standing: Standing


@dataclass(slots=True)
class BatchVerified:
    """All levels that the terms ask for agree: so many trees stand; `line` counts them."""

    batch: str
    line: str
    trees: int
    at: int


@dataclass(slots=True)
class FixesDeferred:
    """A hold is over: the time to answer what was asked moves by its length."""

    batches: tuple[str, ...]
    moved_ms: int


@dataclass(slots=True)
class ClaimsMade:
    """Trees claim their place among the verified ones of a batch."""

    units: tuple[int, ...]
    order: int
    batch: str
    at: int


@dataclass(slots=True)
class ClaimsEnded:
    """Trees claim that batch no more: `status` replaced (they claim another) or released."""

    units: tuple[int, ...]
    batch: str
    status: str
    at: int


@dataclass(slots=True)
class UnitsReplaced:
    """Trees keep their number and stand in another batch now."""

    units: tuple[int, ...]
    order: int
    batch: str
    to_order: int
    to_batch: str
    note: str
    at: int


@dataclass(slots=True)
class AuditsPlanned:
    """Living trees will be counted in these windows."""

    audits: list[SurvivalAudit]


@dataclass(slots=True)
class AuditDone:
    """A count was made; `audit` is the row with its result."""

    audit: SurvivalAudit


@dataclass(slots=True)
class StagePassed:
    """All batches of an order were found in band at a stage."""

    order: int
    stage: str
    at: int


@dataclass(slots=True)
class ReplacementOrdered:
    """A child order makes good what is missing."""

    replacement: Replacement


@dataclass(slots=True)
class ReplacementEnded:
    """The child order was verified (done) or came to nothing (failed)."""

    child: int
    state: str
    at: int


@dataclass(slots=True)
class ClosingProposed:
    """An operator holds that the order can't be made good."""

    closing: Closing


@dataclass(slots=True)
class ClosingApproved:
    """A second operator agreed that so many trees are lost."""

    order: int
    by: str
    lost: int
    at: int


@dataclass(slots=True)
class TreesWrittenDown:
    """A public number falls, by name; `units` are the trees whose claims end with it."""

    write_down: WriteDown
    units: tuple[int, ...]
    is_refunded: bool


@dataclass(slots=True)
class DisputeMoved:
    """A dispute was opened, answered or decided; the row as it is now."""

    dispute: Dispute


@dataclass(slots=True)
class DisturbanceReported:
    """Something befell the site."""

    disturbance: Disturbance


@dataclass(slots=True)
class MoneyMoved:
    """Entries in the books, and the balances of the fund that they leave."""

    fund: OrderFund
    entries: list[BudgetEntry]


@dataclass(slots=True)
class MilestoneReached:
    """A part of the price fell due."""

    due: MilestoneDue


@dataclass(slots=True)
class InvoiceRecorded:
    """A partner's bill was taken in."""

    invoice: Invoice


@dataclass(slots=True)
class InvoiceSettled:
    """A bill was paid or rejected."""

    invoice: str
    state: str
    by: str
    at: int


@dataclass(slots=True)
class Noted:
    """What the audit log keeps of a decision."""

    lines: list[AuditEvent]


@dataclass(slots=True)
class AuditSealed:
    """Audit events have their places in the chain: (id, place, previous, hash)."""

    links: list[tuple[str, int, str, str]]
