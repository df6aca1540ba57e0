"""Rulebooks that are kept, and their editions."""

import sqlalchemy as sa
from alembic import op

revision = "0004_rulebooks"
down_revision = "0003_evidence"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, autoincrement=False, nullable=False)


def upgrade() -> None:
    op.create_table(
        "rulebooks",
        *map(_text, ("hash", "files", "digest")),
        _whole("stored_at"),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_table(
        "editions",
        _number("number"),
        *map(_text, ("hash", "origin", "state")),
        _whole("share"),
        _text("salt"),
        *(_whole(name, nullable=True) for name in ("wanted_at", "from_at", "until_at")),
        _text("proposed_by"),
        _whole("proposed_at"),
        *map(_text, ("why", "approved_by")),
        _whole("approved_at", nullable=True),
        *map(_text, ("ended_by", "ended_why", "overrides")),
        sa.CheckConstraint("share > 0 AND share <= 10000", name="ck_editions_share"),
        sa.CheckConstraint("state <> 'approved' OR from_at IS NOT NULL", name="ck_editions_from_at"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_editions_state", "editions", ["state"])
    op.create_table(
        "edition_desk",
        _number("id"),
        _whole("newest"),
        sa.PrimaryKeyConstraint("id"),
    )
