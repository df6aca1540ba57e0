"""The partners' tables: tree units, orders, batches, evidence, reviews, outbox and inbox."""

import sqlalchemy as sa
from alembic import op

revision = "0002_partners"
down_revision = "0001_game"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=nullable)


def _id() -> sa.Column[int]:
    return sa.Column("id", WHOLE, autoincrement=False, nullable=False)


def _not_negative(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}") for column in columns]


def upgrade() -> None:
    op.create_table(
        "tree_units",
        _id(),
        *map(_text, ("programme", "route", "state")),
        _whole("waits_from_at"),
        _text("season"),
        _whole("order_id", nullable=True),
        _text("batch_id", nullable=True),
        _text("note"),
        _whole("fact_at"),
        _text("declined"),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("ix_tree_units_waiting", "tree_units", ["route", "state", "waits_from_at", "id"])
    op.create_index("ix_tree_units_batch", "tree_units", ["batch_id"])
    op.create_table(
        "partner_orders",
        _id(),
        *map(_text, ("partner", "programme", "season")),
        *map(_whole, ("season_opens_at", "season_closes_at")),
        *map(_text, ("state", "held")),
        sa.Column("below_minimum", sa.Boolean(), nullable=False),
        *map(_text, ("external_ref", "reason")),
        *map(_whole, ("submitted_at", "expires_at", "reminders")),
        _whole("escalated_at", nullable=True),
        _whole("due_at", nullable=True),
        _whole("held_at", nullable=True),
        *map(_whole, ("fact_at", "said_at")),
        *map(_text, ("lines", "difference")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_partner_orders_due", "partner_orders", ["due_at"])
    op.create_index("ix_partner_orders_state", "partner_orders", ["state", "id"])
    op.create_table(
        "order_lines",
        _text("id"),
        _whole("order_id"),
        *map(_text, ("species", "site", "granularity")),
        _whole("unit_price_minor"),
        _text("currency"),
        *map(_whole, ("tolerance_pct", "ordered", "accepted", "reported", "verified")),
        *map(_text, ("units", "batches")),
        *_not_negative("order_lines", "ordered", "accepted", "reported", "verified"),
        sa.CheckConstraint("accepted <= ordered", name="ck_order_lines_accepted_le_ordered"),
        sa.CheckConstraint(
            "reported * 100 <= accepted * (100 + tolerance_pct)", name="ck_order_lines_reported_le_accepted"
        ),
        sa.CheckConstraint("verified <= reported", name="ck_order_lines_verified_le_reported"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_order_lines_order", "order_lines", ["order_id"])
    op.create_table(
        "batches",
        *map(_text, ("id", "line_id", "report_no", "site", "planted_from_on", "planted_to_on")),
        *map(_whole, ("reported", "verified")),
        _text("submitted_by"),
        _whole("reported_at"),
        *map(_text, ("units", "evidence", "findings")),
        *_not_negative("batches", "reported", "verified"),
        sa.CheckConstraint("verified <= reported", name="ck_batches_verified_le_reported"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_batches_line", "batches", ["line_id"])
    op.create_table(
        "evidence",
        *map(_text, ("sha256", "batch_id", "kind", "name", "taken_on")),
        _whole("shown_at"),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "reviews",
        _text("id"),
        _whole("order_id"),
        *map(_text, ("reviewer", "verdict")),
        _whole("verified"),
        _text("note"),
        _whole("at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_reviews_order", "reviews", ["order_id"])
    op.create_table(
        "deliveries",
        *map(_text, ("id", "destination", "kind")),
        _whole("order_id"),
        _text("state"),
        sa.Column("resendable", sa.Boolean(), nullable=False),
        _whole("attempts"),
        _whole("next_at", nullable=True),
        _whole("lease_until_at", nullable=True),
        *map(_text, ("claimed_by", "answer")),
        _whole("created_at"),
        _text("payload"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_deliveries_next", "deliveries", ["next_at"])
    op.create_index("ix_deliveries_order", "deliveries", ["order_id"])
    op.create_table(
        "inbox",
        *map(_text, ("partner", "message", "digest")),
        _whole("order_id"),
        _whole("received_at"),
        sa.PrimaryKeyConstraint("partner", "message"),
    )
