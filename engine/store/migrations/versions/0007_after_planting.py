"""What follows `planted`: reviews in levels, claims, survival audits, replacements, endings, disputes, money, the log.

Trees that were verified before get their standing and their claims; their orders are watched from now on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007_after_planting"
down_revision = "0006_records"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
START = "0" * 64
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


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=nullable)


def _id() -> sa.Column[int]:
    return sa.Column("id", WHOLE, autoincrement=False, nullable=False)


def _not_negative(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}") for column in columns]


def _where(text: str) -> dict[str, Any]:
    """A condition of an index, for both databases."""
    return {"sqlite_where": sa.text(text), "postgresql_where": sa.text(text)}


def upgrade() -> None:
    op.create_table(
        "standings",
        _text("id"),
        _whole("order_id"),
        _text("state"),
        _whole("verified"),
        _whole("own_share_pct"),
        _whole("claimed"),
        _whole("written_down"),
        _whole("fix_by_at", nullable=True),
        _whole("reviews"),
        _text("levels"),
        _text("fields"),
        _text("reasons"),
        *_not_negative("standings", "verified", "claimed", "written_down"),
        sa.CheckConstraint("claimed * 100 <= verified * own_share_pct", name="ck_standings_claimed_le_share"),
        sa.CheckConstraint("written_down <= verified", name="ck_standings_written_down_le_verified"),
        sa.CheckConstraint("own_share_pct <= 100", name="ck_standings_share_le_100"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_standings_order", "standings", ["order_id"])
    op.create_table(
        "batch_reviews",
        _text("id"),
        _text("batch_id"),
        _whole("order_id"),
        _whole("level"),
        _text("reviewer"),
        _text("verdict"),
        _whole("trees"),
        _text("note"),
        _whole("at"),
        _text("fields"),
        _text("reasons"),
        *_not_negative("batch_reviews", "trees"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_batch_reviews_order", "batch_reviews", ["order_id"])
    op.create_table(
        "claims",
        _text("id"),
        _whole("unit"),
        _text("batch_id"),
        _whole("order_id"),
        _text("status"),
        _whole("from_at"),
        _whole("to_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_claims_batch", "claims", ["batch_id"])
    op.create_index(
        "ux_claims_active",
        "claims",
        ["unit"],
        unique=True,
        sqlite_where=sa.text("status = 'active'"),
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_table(
        "audits",
        _text("id"),
        _whole("order_id"),
        _text("batch_id"),
        _text("stage"),
        _text("figure"),
        _whole("attempt"),
        _text("opens_on"),
        _text("due_on"),
        _whole("band_bp"),
        _text("must_meet"),
        _text("state"),
        _text("verdict"),
        _text("why"),
        _text("visited_on"),
        _text("method"),
        _text("surveyor"),
        sa.Column("is_conflicted", sa.Boolean(), nullable=False),
        _whole("n"),
        _whole("alive"),
        _whole("rate_bp", nullable=True),
        _whole("low_bp", nullable=True),
        _whole("high_bp", nullable=True),
        _whole("done_at", nullable=True),
        _text("plots"),
        _text("dead"),
        *_not_negative("audits", "alive"),
        sa.CheckConstraint("alive <= n", name="ck_audits_alive_le_n"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audits_order", "audits", ["order_id"])
    op.create_index("ix_audits_batch", "audits", ["batch_id"])
    op.create_index("ix_audits_due", "audits", ["state", "due_on"])
    op.create_table(
        "replacements",
        _id(),
        _whole("parent_id"),
        _text("batch_id"),
        _text("audit_id"),
        _whole("trees"),
        _text("state"),
        _whole("made_at"),
        *_not_negative("replacements", "trees"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_replacements_parent", "replacements", ["parent_id"])
    op.create_table(
        "closings",
        _id(),
        _text("state"),
        _text("proposed_by"),
        _whole("proposed_at"),
        _text("approved_by"),
        _whole("approved_at", nullable=True),
        _text("note"),
        _text("remedy"),
        _text("lost"),
        _text("moves"),
        sa.CheckConstraint(
            "state = 'proposed' OR approved_by <> proposed_by", name="ck_closings_two_persons"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "write_downs",
        _text("id"),
        _whole("order_id"),
        _text("programme"),
        _whole("trees"),
        _text("note"),
        _text("proposed_by"),
        _text("approved_by"),
        _whole("at"),
        *_not_negative("write_downs", "trees"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_write_downs_programme", "write_downs", ["programme"])
    op.create_index("ix_write_downs_order", "write_downs", ["order_id"])
    op.create_table(
        "disputes",
        _id(),
        _whole("order_id"),
        _text("state"),
        _text("opened_by"),
        _text("reason"),
        _whole("opened_at"),
        _whole("answer_by_at"),
        _whole("decide_by_at"),
        _text("answered_by"),
        _text("answer"),
        _whole("answered_at", nullable=True),
        _text("decided_by"),
        _text("outcome"),
        _text("note"),
        _whole("decided_at", nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_disputes_order", "disputes", ["order_id"])
    op.create_index("ix_disputes_state", "disputes", ["state", "answer_by_at"])
    op.create_table(
        "disturbances",
        _id(),
        _whole("order_id"),
        _text("batch_id"),
        _text("kind"),
        _whole("area_m2"),
        _text("happened_on"),
        _text("reported_by"),
        _whole("reported_at"),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("is_holding", sa.Boolean(), nullable=False),
        _text("note"),
        *_not_negative("disturbances", "area_m2"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_disturbances_order", "disturbances", ["order_id"])
    op.create_table(
        "order_funds",
        _text("id"),
        _whole("order_id"),
        _whole("commitment_id"),
        _text("partner"),
        _text("currency"),
        _text("price_currency"),
        _whole("price_minor"),
        _whole("held_trees"),
        _whole("trees"),
        _whole("held_minor"),
        _whole("cost_minor"),
        _whole("committed_minor"),
        _whole("payable_minor"),
        _whole("paid_minor"),
        _whole("owed_minor"),
        _whole("lost_minor"),
        _whole("excess_minor"),
        _whole("entries"),
        _text("rate"),
        *_not_negative(
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
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_order_funds_order", "order_funds", ["order_id"])
    op.create_index("ix_order_funds_commitment", "order_funds", ["commitment_id"])
    op.create_table(
        "budget_entries",
        _text("id"),
        _text("fund_id"),
        _whole("order_id"),
        _whole("commitment_id"),
        _text("partner"),
        _text("kind"),
        _text("debit"),
        _text("credit"),
        _text("currency"),
        _whole("amount_minor"),
        _text("rate"),
        _text("reason"),
        _whole("at"),
        sa.CheckConstraint("amount_minor > 0", name="ck_budget_entries_amount_gt_0"),
        sa.CheckConstraint("debit <> credit", name="ck_budget_entries_two_accounts"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_budget_entries_order", "budget_entries", ["order_id"])
    op.create_table(
        "milestones",
        _text("id"),
        _whole("order_id"),
        _text("milestone"),
        _text("currency"),
        _whole("amount_minor"),
        _whole("invoiced_minor"),
        _whole("reached_at"),
        *_not_negative("milestones", "amount_minor", "invoiced_minor"),
        sa.CheckConstraint("invoiced_minor <= amount_minor", name="ck_milestones_invoiced_le_amount"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_milestones_order", "milestones", ["order_id"])
    op.create_table(
        "invoices",
        _text("id"),
        _text("partner"),
        _text("invoice_no"),
        _whole("order_id"),
        _text("milestone"),
        _text("currency"),
        _whole("net_minor"),
        _whole("tax_minor"),
        _text("due_on"),
        _text("state"),
        _whole("received_at"),
        _text("settled_by"),
        _whole("settled_at", nullable=True),
        _text("lines"),
        _text("split"),
        *_not_negative("invoices", "net_minor", "tax_minor"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_invoices_order", "invoices", ["order_id"])
    op.create_index("ix_invoices_state", "invoices", ["state", "due_on"])
    op.create_table(
        "audit_events",
        _text("id"),
        _whole("at"),
        _text("actor"),
        _text("entity"),
        _text("what"),
        _text("was"),
        _text("became"),
        _text("reason"),
        _whole("place", nullable=True),
        _text("previous"),
        _text("hash"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_events_entity", "audit_events", ["entity"])
    op.create_index("ux_audit_events_place", "audit_events", ["place"], unique=True)
    op.create_index(
        "ux_audit_events_unsealed",
        "audit_events",
        ["id"],
        unique=False,
        sqlite_where=sa.text("place IS NULL"),
        postgresql_where=sa.text("place IS NULL"),
    )
    op.create_table(
        "chain_heads",
        _id(),
        _whole("place"),
        _text("hash"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(f"INSERT INTO chain_heads (id, place, hash) VALUES (1, 0, '{START}')")
    _carry_over()


def _carry_over() -> None:
    """What was verified under the old scheme, seen by the new one."""
    op.execute(
        """INSERT INTO claims (id, unit, batch_id, order_id, status, from_at, to_at)
           SELECT CAST(u.id AS TEXT) || '@' || u.batch_id, u.id, u.batch_id, u.order_id, 'active', u.fact_at, NULL
           FROM tree_units u WHERE u.state = 'verified' AND u.batch_id IS NOT NULL"""
    )
    op.execute(
        """INSERT INTO standings (id, order_id, state, verified, own_share_pct, claimed, written_down, fix_by_at,
                                  reviews, levels, fields, reasons)
           SELECT b.id, l.order_id, CASE WHEN b.verified > 0 THEN 'verified' ELSE 'refused' END, b.verified, 100,
                  (SELECT count(*) FROM claims c WHERE c.batch_id = b.id), 0, NULL, 0, '{}', '[]', '[]'
           FROM batches b JOIN order_lines l ON l.id = b.line_id JOIN partner_orders o ON o.id = l.order_id
           WHERE o.state = 'verified'"""
    )
    op.execute("UPDATE partner_orders SET due_at = fact_at WHERE state = 'verified'")
