"""Rows of what follows `planted`: reviews, claims, survival audits, replacements, endings, disputes, money, the log.

Rows are changed by `evolve` only. Amounts are in minor units of a currency, rates of living trees in hundredths of
a percent (`_bp`), days are ISO texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.core.state import Shelf, ShelfKind, State

# --- reviews and claims ---------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """How far the review of a batch has come, and what is claimed of it.

    `levels` holds, by level, [reviewer, trees found, instant]. `own_share_pct`: of what was planted there, the part
    that is ours where others fund it too; claimed ≤ verified × own share.
    """

    id: str
    order_id: int
    state: str  # reported | needs_info | verified | refused
    verified: int
    own_share_pct: int
    claimed: int
    written_down: int
    fix_by_at: int | None
    reviews: int
    levels: dict[str, list[Any]] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass(slots=True)
class BatchReview:
    """One verdict of one person about one batch; never changed."""

    id: str
    batch_id: str
    order_id: int
    level: int  # 1 partner | 2 platform | 3 independent
    reviewer: str
    verdict: str  # verified | needs_info | back
    trees: int
    note: str
    at: int
    fields: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Claim:
    """A tree's claim on a verified batch (or on a share of it, where single trees are not told apart)."""

    id: str
    unit: int
    batch_id: str
    order_id: int
    status: str  # active | replaced | released
    from_at: int
    to_at: int | None


# --- survival -------------------------------------------------------------------------------------


@dataclass(slots=True)
class SurvivalAudit:
    """A count of living trees: planned with its window and band, and what came of it.

    `plots` holds [plot, trees planted in it, alive], `dead` the trees found dead where they are told apart. Survival
    (成活率) and preservation (保存率) are two figures.
    """

    id: str
    order_id: int
    batch_id: str
    stage: str
    figure: str  # survival | preservation
    attempt: int
    opens_on: str
    due_on: str
    band_bp: int
    must_meet: str  # estimate | lower_bound
    state: str  # planned | done
    verdict: str  # "" | in_band | below_band | inconclusive
    why: str
    visited_on: str
    method: str  # plots | census
    surveyor: str
    is_conflicted: bool
    n: int
    alive: int
    rate_bp: int | None
    low_bp: int | None
    high_bp: int | None
    done_at: int | None
    plots: list[list[Any]] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Replacement:
    """A child order that makes good what an audit found missing in a batch of its parent; id = the child's."""

    id: int
    parent_id: int
    batch_id: str
    audit_id: str
    trees: int
    state: str  # open | done | failed
    made_at: int


@dataclass(slots=True)
class Closing:
    """A proposal to end an order that can't be made good: by one operator, approved by another."""

    id: int
    state: str  # proposed | approved
    proposed_by: str
    proposed_at: int
    approved_by: str
    approved_at: int | None
    note: str
    remedy: str  # refund | move
    lost: dict[str, int] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class WriteDown:
    """Trees of a batch that are not counted any more: the only way in which a public number falls."""

    id: str
    order_id: int
    programme: str
    trees: int
    note: str
    proposed_by: str
    approved_by: str
    at: int


# --- disputes and disturbances --------------------------------------------------------------------


@dataclass(slots=True)
class Dispute:
    """Somebody contests an order; it is held until all its disputes are decided."""

    id: int
    order_id: int
    state: str  # open | answered | decided
    opened_by: str
    reason: str
    opened_at: int
    answer_by_at: int
    decide_by_at: int
    answered_by: str
    answer: str
    answered_at: int | None
    decided_by: str
    outcome: str
    note: str
    decided_at: int | None


@dataclass(slots=True)
class Disturbance:
    """What befell a site: it explains an audit, and holds the order where told so."""

    id: int
    order_id: int
    batch_id: str
    kind: str
    area_m2: int
    happened_on: str
    reported_by: str
    reported_at: int
    is_late: bool
    is_holding: bool
    note: str


# --- money ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class OrderFund:
    """What one funder's commitment has to do with a line of an order: balances of its accounts, each kept at or above
    zero.

    `held_minor` and `cost_minor` are in the funder's currency, the other amounts in the partner's. `cost_minor` is
    what left the fund for what is committed; `rate` is the snapshot where the two currencies differ.
    """

    id: str
    order_id: int
    commitment_id: int
    partner: str
    currency: str
    price_currency: str
    price_minor: int
    held_trees: int
    trees: int
    held_minor: int
    cost_minor: int
    committed_minor: int
    payable_minor: int
    paid_minor: int
    owed_minor: int
    lost_minor: int
    excess_minor: int
    entries: int
    rate: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class BudgetEntry:
    """One immutable movement of money from the credited to the debited account, both of one currency."""

    id: str
    fund_id: str
    order_id: int
    commitment_id: int
    partner: str
    kind: str  # hold | commit | invoice | release | refund | write_off
    debit: str
    credit: str
    currency: str
    amount_minor: int
    rate: str
    reason: str
    at: int


@dataclass(slots=True)
class MilestoneDue:
    """A part of an order's price that has become payable, and how much of it was invoiced."""

    id: str
    order_id: int
    milestone: str
    currency: str
    amount_minor: int
    invoiced_minor: int
    reached_at: int


@dataclass(slots=True)
class Invoice:
    """A partner's bill for a milestone; `split` says what of it each fund pays: [commitment, amount, fund]."""

    id: str
    partner: str
    invoice_no: str
    order_id: int
    milestone: str
    currency: str
    net_minor: int
    tax_minor: int
    due_on: str
    state: str  # received | paid | rejected
    received_at: int
    settled_by: str
    settled_at: int | None
    lines: list[list[Any]] = field(default_factory=list)
    split: list[list[Any]] = field(default_factory=list)


# --- the log --------------------------------------------------------------------------------------


@dataclass(slots=True)
class AuditEvent:
    """Who did what to what: written with its change, sealed into the chain (`place`, `previous`, `hash`) later."""

    id: str
    at: int
    actor: str
    entity: str
    what: str
    was: str
    became: str
    reason: str
    place: int | None
    previous: str
    hash: str


@dataclass(slots=True)
class ChainHead:
    """Where the chain of audit events ends; one row."""

    id: int
    place: int
    hash: str


AFTER_SHELVES = (
    ShelfKind("standings", Standing, ("id",)),
    ShelfKind("batch_reviews", BatchReview, ("id",)),
    ShelfKind("claims", Claim, ("id",)),
    ShelfKind("audits", SurvivalAudit, ("id",)),
    ShelfKind("replacements", Replacement, ("id",)),
    ShelfKind("closings", Closing, ("id",)),
    ShelfKind("write_downs", WriteDown, ("id",)),
    ShelfKind("disputes", Dispute, ("id",)),
    ShelfKind("disturbances", Disturbance, ("id",)),
    ShelfKind("order_funds", OrderFund, ("id",)),
    ShelfKind("budget_entries", BudgetEntry, ("id",)),
    ShelfKind("milestones", MilestoneDue, ("id",)),
    ShelfKind("invoices", Invoice, ("id",)),
    ShelfKind("audit_events", AuditEvent, ("id",)),
    ShelfKind("chain_heads", ChainHead, ("id",), locks=8),
)


class AfterState(State):
    """The shelves of what follows `planted`, for the type checker."""

    standings: Shelf[str, Standing]
    batch_reviews: Shelf[str, BatchReview]
    claims: Shelf[str, Claim]
    audits: Shelf[str, SurvivalAudit]
    replacements: Shelf[int, Replacement]
    closings: Shelf[int, Closing]
    write_downs: Shelf[str, WriteDown]
    disputes: Shelf[int, Dispute]
    disturbances: Shelf[int, Disturbance]
    order_funds: Shelf[str, OrderFund]
    budget_entries: Shelf[str, BudgetEntry]
    milestones: Shelf[str, MilestoneDue]
    invoices: Shelf[str, Invoice]
    audit_events: Shelf[str, AuditEvent]
    chain_heads: Shelf[int, ChainHead]
