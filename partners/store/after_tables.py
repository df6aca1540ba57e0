"""Tables of what follows `planted`; columns are the fields of the rows in `partners/core/records.py`."""

from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Index
from sqlalchemy import text as sql
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, not_negative, text, whole

MONEY = (
    "price_minor",
    "held_trees",
    "trees",
    "held_minor",
    "cost_minor",
    "committed_minor",
    "payable_minor",
    "paid_minor",
    "owed_minor",
    "lost_minor",
    "excess_minor",
)


def _where(condition: str) -> dict[str, Any]:
    """A condition of an index, for both databases."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}


class Standings(SQLModel, table=True):
    """How far the review of each batch has come, and what is claimed of it."""

    __tablename__ = "standings"
    __table_args__ = (
        *not_negative("standings", "verified", "claimed", "written_down"),
        CheckConstraint("claimed * 100 <= verified * own_share_pct", name="ck_standings_claimed_le_share"),
        CheckConstraint("written_down <= verified", name="ck_standings_written_down_le_verified"),
        CheckConstraint("own_share_pct <= 100", name="ck_standings_share_le_100"),
        Index("ix_standings_order", "order_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    verified: int = Field(sa_column=whole())
    own_share_pct: int = Field(sa_column=whole())
    claimed: int = Field(sa_column=whole())
    written_down: int = Field(sa_column=whole())
    fix_by_at: int | None = Field(sa_column=whole(nullable=True))
    reviews: int = Field(sa_column=whole())
    levels: str = Field(sa_column=json_text())
    fields: str = Field(sa_column=json_text())
    reasons: str = Field(sa_column=json_text())


class BatchReviews(SQLModel, table=True):
    """Verdicts of persons about batches; never changed."""

    __tablename__ = "batch_reviews"
    __table_args__ = (
        *not_negative("batch_reviews", "trees"),
        Index("ix_batch_reviews_order", "order_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    batch_id: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    level: int = Field(sa_column=whole())
    reviewer: str = Field(sa_column=text())
    verdict: str = Field(sa_column=text())
    trees: int = Field(sa_column=whole())
    note: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())
    fields: str = Field(sa_column=json_text())
    reasons: str = Field(sa_column=json_text())


class Claims(SQLModel, table=True):
    """Trees' claims on verified batches; a tree has one that is active."""

    __tablename__ = "claims"
    __table_args__ = (
        Index("ix_claims_batch", "batch_id"),
        Index(
            "ux_claims_active",
            "unit",
            unique=True,
            sqlite_where=sql("status = 'active'"),
            postgresql_where=sql("status = 'active'"),
        ),
    )
    id: str = Field(sa_column=text(primary_key=True))
    unit: int = Field(sa_column=whole())
    batch_id: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    status: str = Field(sa_column=text())
    from_at: int = Field(sa_column=whole())
    to_at: int | None = Field(sa_column=whole(nullable=True))


class SurvivalAudits(SQLModel, table=True):
    """Counts of living trees, planned and made."""

    __tablename__ = "audits"
    __table_args__ = (
        *not_negative("audits", "alive"),
        CheckConstraint("alive <= n", name="ck_audits_alive_le_n"),
        Index("ix_audits_order", "order_id"),
        Index("ix_audits_batch", "batch_id"),
        Index("ix_audits_due", "state", "due_on"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    batch_id: str = Field(sa_column=text())
    stage: str = Field(sa_column=text())
    figure: str = Field(sa_column=text())
    attempt: int = Field(sa_column=whole())
    opens_on: str = Field(sa_column=text())
    due_on: str = Field(sa_column=text())
    band_bp: int = Field(sa_column=whole())
    must_meet: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    verdict: str = Field(sa_column=text())
    why: str = Field(sa_column=text())
    visited_on: str = Field(sa_column=text())
    method: str = Field(sa_column=text())
    surveyor: str = Field(sa_column=text())
    is_conflicted: bool = Field(sa_column=Column(Boolean, nullable=False))
    n: int = Field(sa_column=whole())
    alive: int = Field(sa_column=whole())
    rate_bp: int | None = Field(sa_column=whole(nullable=True))
    low_bp: int | None = Field(sa_column=whole(nullable=True))
    high_bp: int | None = Field(sa_column=whole(nullable=True))
    done_at: int | None = Field(sa_column=whole(nullable=True))
    plots: str = Field(sa_column=json_text())
    dead: str = Field(sa_column=json_text())


class Replacements(SQLModel, table=True):
    """Child orders that make good what counts found missing."""

    __tablename__ = "replacements"
    __table_args__ = (
        *not_negative("replacements", "trees"),
        Index("ix_replacements_parent", "parent_id"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    parent_id: int = Field(sa_column=whole())
    batch_id: str = Field(sa_column=text())
    audit_id: str = Field(sa_column=text())
    trees: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    made_at: int = Field(sa_column=whole())


class Closings(SQLModel, table=True):
    """Proposals to end orders that can't be made good."""

    __tablename__ = "closings"
    __table_args__ = (
        CheckConstraint("state = 'proposed' OR approved_by <> proposed_by", name="ck_closings_two_persons"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    state: str = Field(sa_column=text())
    proposed_by: str = Field(sa_column=text())
    proposed_at: int = Field(sa_column=whole())
    approved_by: str = Field(sa_column=text())
    approved_at: int | None = Field(sa_column=whole(nullable=True))
    note: str = Field(sa_column=text())
    remedy: str = Field(sa_column=text())
    lost: str = Field(sa_column=json_text())
    moves: str = Field(sa_column=json_text())


class WriteDowns(SQLModel, table=True):
    """Trees that are not counted any more, by name: the only way in which a public number falls."""

    __tablename__ = "write_downs"
    __table_args__ = (
        *not_negative("write_downs", "trees"),
        Index("ix_write_downs_programme", "programme"),
        Index("ix_write_downs_order", "order_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    programme: str = Field(sa_column=text())
    trees: int = Field(sa_column=whole())
    note: str = Field(sa_column=text())
    proposed_by: str = Field(sa_column=text())
    approved_by: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())


class Disputes(SQLModel, table=True):
    """Who contests an order, until when it is answered and decided."""

    __tablename__ = "disputes"
    __table_args__ = (
        Index("ix_disputes_order", "order_id"),
        Index("ix_disputes_state", "state", "answer_by_at"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    order_id: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    opened_by: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    opened_at: int = Field(sa_column=whole())
    answer_by_at: int = Field(sa_column=whole())
    decide_by_at: int = Field(sa_column=whole())
    answered_by: str = Field(sa_column=text())
    answer: str = Field(sa_column=text())
    answered_at: int | None = Field(sa_column=whole(nullable=True))
    decided_by: str = Field(sa_column=text())
    outcome: str = Field(sa_column=text())
    note: str = Field(sa_column=text())
    decided_at: int | None = Field(sa_column=whole(nullable=True))


class Disturbances(SQLModel, table=True):
    """What befell sites."""

    __tablename__ = "disturbances"
    __table_args__ = (
        *not_negative("disturbances", "area_m2"),
        Index("ix_disturbances_order", "order_id"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    order_id: int = Field(sa_column=whole())
    batch_id: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    area_m2: int = Field(sa_column=whole())
    happened_on: str = Field(sa_column=text())
    reported_by: str = Field(sa_column=text())
    reported_at: int = Field(sa_column=whole())
    is_late: bool = Field(sa_column=Column(Boolean, nullable=False))
    is_holding: bool = Field(sa_column=Column(Boolean, nullable=False))
    note: str = Field(sa_column=text())


class OrderFunds(SQLModel, table=True):
    """What each funder's commitment has to do with an order; no balance ever falls below zero."""

    __tablename__ = "order_funds"
    __table_args__ = (
        *not_negative(
            "order_funds",
            "price_minor",
            "held_trees",
            "trees",
            "held_minor",
            "cost_minor",
            "committed_minor",
            "payable_minor",
            "paid_minor",
            "owed_minor",
            "lost_minor",
            "excess_minor",
        ),
        Index("ix_order_funds_order", "order_id"),
        Index("ix_order_funds_commitment", "commitment_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    commitment_id: int = Field(sa_column=whole())
    partner: str = Field(sa_column=text())
    currency: str = Field(sa_column=text())
    price_currency: str = Field(sa_column=text())
    price_minor: int = Field(sa_column=whole())
    held_trees: int = Field(sa_column=whole())
    trees: int = Field(sa_column=whole())
    held_minor: int = Field(sa_column=whole())
    cost_minor: int = Field(sa_column=whole())
    committed_minor: int = Field(sa_column=whole())
    payable_minor: int = Field(sa_column=whole())
    paid_minor: int = Field(sa_column=whole())
    owed_minor: int = Field(sa_column=whole())
    lost_minor: int = Field(sa_column=whole())
    excess_minor: int = Field(sa_column=whole())
    entries: int = Field(sa_column=whole())
    rate: str = Field(sa_column=json_text())


class BudgetEntries(SQLModel, table=True):
    """Movements of money between two accounts of one currency; never changed."""

    __tablename__ = "budget_entries"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="ck_budget_entries_amount_gt_0"),
        CheckConstraint("debit <> credit", name="ck_budget_entries_two_accounts"),
        Index("ix_budget_entries_order", "order_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    fund_id: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    commitment_id: int = Field(sa_column=whole())
    partner: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    debit: str = Field(sa_column=text())
    credit: str = Field(sa_column=text())
    currency: str = Field(sa_column=text())
    amount_minor: int = Field(sa_column=whole())
    rate: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())


class Milestones(SQLModel, table=True):
    """Parts of orders' prices that fell due."""

    __tablename__ = "milestones"
    __table_args__ = (
        *not_negative("milestones", "amount_minor", "invoiced_minor"),
        CheckConstraint("invoiced_minor <= amount_minor", name="ck_milestones_invoiced_le_amount"),
        Index("ix_milestones_order", "order_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    milestone: str = Field(sa_column=text())
    currency: str = Field(sa_column=text())
    amount_minor: int = Field(sa_column=whole())
    invoiced_minor: int = Field(sa_column=whole())
    reached_at: int = Field(sa_column=whole())


class Invoices(SQLModel, table=True):
    """Partners' bills."""

    __tablename__ = "invoices"
    __table_args__ = (
        *not_negative("invoices", "net_minor", "tax_minor"),
        Index("ix_invoices_order", "order_id"),
        Index("ix_invoices_state", "state", "due_on"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    invoice_no: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    milestone: str = Field(sa_column=text())
    currency: str = Field(sa_column=text())
    net_minor: int = Field(sa_column=whole())
    tax_minor: int = Field(sa_column=whole())
    due_on: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    received_at: int = Field(sa_column=whole())
    settled_by: str = Field(sa_column=text())
    settled_at: int | None = Field(sa_column=whole(nullable=True))
    lines: str = Field(sa_column=json_text())
    split: str = Field(sa_column=json_text())


class AuditEvents(SQLModel, table=True):
    """Who did what to what; `place` is null until the line is sealed into the chain."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_entity", "entity"),
        Index("ux_audit_events_place", "place", unique=True),
        Index(
            "ux_audit_events_unsealed",
            "id",
            unique=False,
            sqlite_where=sql("place IS NULL"),
            postgresql_where=sql("place IS NULL"),
        ),
    )
    id: str = Field(sa_column=text(primary_key=True))
    at: int = Field(sa_column=whole())
    actor: str = Field(sa_column=text())
    entity: str = Field(sa_column=text())
    what: str = Field(sa_column=text())
    was: str = Field(sa_column=text())
    became: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    place: int | None = Field(sa_column=whole(nullable=True))
    previous: str = Field(sa_column=text())
    hash: str = Field(sa_column=text())


class ChainHeads(SQLModel, table=True):
    """Where the chain of audit events ends."""

    __tablename__ = "chain_heads"
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    place: int = Field(sa_column=whole())
    hash: str = Field(sa_column=text())


AFTER_MODELS: dict[str, type[SQLModel]] = {
    "standings": Standings,
    "batch_reviews": BatchReviews,
    "claims": Claims,
    "audits": SurvivalAudits,
    "replacements": Replacements,
    "closings": Closings,
    "write_downs": WriteDowns,
    "disputes": Disputes,
    "disturbances": Disturbances,
    "order_funds": OrderFunds,
    "budget_entries": BudgetEntries,
    "milestones": Milestones,
    "invoices": Invoices,
    "audit_events": AuditEvents,
    "chain_heads": ChainHeads,
}
