"""Wishes about orders once trees are reported planted, and about their money."""

from __future__ import annotations

from dataclasses import dataclass, field

# --- reviews --------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReviewBatch:
    """One person's verdict on one batch, at a level: 1 the partner's own, 2 ours, 3 somebody independent.

    `trees`: found on the ground; None: as reported. `fields` and `reasons` say what to mend (needs_info).
    """

    key: str | None
    reviewer: str
    level: int
    order: int
    batch: str
    verdict: str
    trees: int | None = None
    note: str = ""
    fields: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


# --- survival -------------------------------------------------------------------------------------


@dataclass(slots=True)
class PlotCount:
    """What was counted in one plot."""

    plot: str
    planted: int
    alive: int


@dataclass(slots=True)
class RecordAudit:
    """A survival count was made. With the method `census`, the plots together hold all trees of the batch.

    `dead` names trees found dead, where single trees are told apart.
    """

    key: str | None
    by: str
    order: int
    audit: str
    visited_on: str
    method: str
    surveyor: str
    has_conflict: bool
    plots: tuple[PlotCount, ...]
    dead: tuple[int, ...] = ()


@dataclass(slots=True)
class OrderReplacement:
    """An operator asks again for trees in the place of those an audit found missing, after an order for them failed."""

    key: str | None
    operator: str
    order: int
    audit: str


@dataclass(slots=True)
class ProposeClosing:
    """An operator holds that an order can't be made good: `lost` trees by batch are to be written down.

    `remedy`: refund (their trees are withdrawn, what is not spent goes back to the funder) or move (their claims move
    to the verified trees of other batches that nobody claims: `moves` by batch). `note` is shown in public.
    """

    key: str | None
    operator: str
    order: int
    note: str
    remedy: str
    lost: dict[str, int] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ApproveClosing:
    """A second operator agrees: the order is closed short."""

    key: str | None
    operator: str
    order: int


# --- disputes and disturbances --------------------------------------------------------------------


@dataclass(slots=True)
class OpenDispute:
    """Somebody contests an order; its timers and payments stop."""

    key: str | None
    by: str
    order: int
    reason: str


@dataclass(slots=True)
class AnswerDispute:
    """The first answer to a dispute."""

    key: str | None
    by: str
    dispute: int
    answer: str


@dataclass(slots=True)
class DecideDispute:
    """How a dispute ends: upheld, dismissed or settled."""

    key: str | None
    by: str
    dispute: int
    outcome: str
    note: str


@dataclass(slots=True)
class ReportDisturbance:
    """Fire, flood, drought and their like, with the area and the day; `hold` stops the order until it is resumed."""

    key: str | None
    by: str
    order: int
    batch: str
    kind: str
    area_m2: int
    happened_on: str
    hold: bool = False
    note: str = ""


# --- money ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class HoldBudget:
    """An order was submitted: its trees' money is held."""

    key: str | None
    order: int


@dataclass(slots=True)
class CommitBudget:
    """A line was accepted: the money of the accepted trees is committed to the partner."""

    key: str | None
    order: int
    line: str


@dataclass(slots=True)
class ReturnBudget:
    """Trees have left a line of an order: their money goes back to their funders."""

    key: str | None
    order: int
    units: tuple[int, ...]
    reason: str
    line: str = ""


@dataclass(slots=True)
class WriteOffBudget:
    """An order was closed short: what is not spent goes back, what was spent on the trees written down is a loss."""

    key: str | None
    order: int
    lost: int
    reason: str


@dataclass(slots=True)
class ReachMilestone:
    """An order's state or an audit's stage was reached: what hangs on it falls due."""

    key: str | None
    order: int
    trigger: str


@dataclass(slots=True)
class RecordInvoice:
    """A partner's bill for a milestone: `lines` of text and amount, tax beside them."""

    key: str | None
    by: str
    order: int
    milestone: str
    invoice_no: str
    lines: tuple[tuple[str, int], ...]
    tax_minor: int
    due_on: str


@dataclass(slots=True)
class SettleInvoice:
    """An operator pays an invoice, or rejects it."""

    key: str | None
    operator: str
    order: int
    invoice: str
    is_paid: bool
    reason: str = ""


@dataclass(slots=True)
class RecordRepayment:
    """A partner paid back what it owed for trees that were paid and not delivered."""

    key: str | None
    operator: str
    order: int
    amount_minor: int
    reason: str


# --- the log --------------------------------------------------------------------------------------


@dataclass(slots=True)
class SealAudit:
    """Put these audit events at the end of the chain, in this order; what is sealed already is left out."""

    key: str | None
    events: tuple[str, ...]


AFTER_COMMANDS = (
    ReviewBatch,
    RecordAudit,
    OrderReplacement,
    ProposeClosing,
    ApproveClosing,
    OpenDispute,
    AnswerDispute,
    DecideDispute,
    ReportDisturbance,
    HoldBudget,
    CommitBudget,
    ReturnBudget,
    WriteOffBudget,
    ReachMilestone,
    RecordInvoice,
    SettleInvoice,
    RecordRepayment,
    SealAudit,
)
