"""The portal: staff of partners, their sessions, what lies in their lists, forms that were sent."""

import sqlalchemy as sa
from alembic import op

revision = "0009_portal"
down_revision = "0008_evidence_files"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=False)


def _maybe(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=True)


def upgrade() -> None:
    op.create_table(
        "portal_staff",
        *map(_text, ("id", "partner", "state", "language", "password", "invitation")),
        _maybe("invited_until_at"),
        _whole("changed_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_portal_staff_partner", "portal_staff", ["partner"])
    op.create_table(
        "portal_sessions",
        *map(_text, ("id", "staff")),
        *map(_whole, ("begun_at", "until_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_portal_sessions_staff", "portal_sessions", ["staff"])
    op.create_table(
        "portal_orders",
        _whole("id"),
        _text("partner"),
        _whole("listed_at"),
        _text("sheet"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "portal_notices",
        *map(_text, ("id", "partner")),
        _whole("order_id"),
        *map(_text, ("kind", "text")),
        *map(_whole, ("trees", "noted_at")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_portal_notices_order", "portal_notices", ["order_id"])
    op.create_table(
        "portal_forms",
        *map(_text, ("id", "staff", "kind")),
        _maybe("order_id"),
        _text("digest"),
        _whole("sent_at"),
        *map(_text, ("answer", "said")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_portal_forms_order", "portal_forms", ["order_id"])
