"""What acts are shown by, which of them exclude each other, and what a source states of itself."""

import sqlalchemy as sa
from alembic import op

revision = "0003_evidence"
down_revision = "0002_partners"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("evidence", "grade", "family"):
        op.add_column("activities", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("sources", sa.Column("evidence", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("sources", sa.Column("about", sa.Text(), nullable=False, server_default="{}"))
    op.create_table(
        "occasions",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("acts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "period"),
        sqlite_with_rowid=False,
    )
    _photos()
    op.create_table(
        "shown_days",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        _text("on"),
        _text("acts"),
        sa.PrimaryKeyConstraint("user_id", "on"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shown_reviews",
        sa.Column("activity_id", WHOLE, autoincrement=False, nullable=False),
        *map(_text, ("source", "activity")),
        _whole("user_id"),
        *map(_text, ("photo", "reason", "state")),
        _whole("opened_at"),
        _whole("decided_at", nullable=True),
        _text("decided_by", nullable=True),
        _text("note"),
        sa.PrimaryKeyConstraint("activity_id"),
    )
    op.create_index("ix_shown_reviews_state", "shown_reviews", ["state", "activity_id"])
    op.create_index("ix_shown_reviews_user", "shown_reviews", ["user_id"])


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=nullable)


def _photos() -> None:
    bands = ("band_a", "band_b", "band_c", "band_d")
    op.create_table(
        "photos",
        _text("sha256"),
        _whole("user_id", nullable=True),
        _text("file", nullable=True),
        *map(_whole, ("width", "height")),
        *map(_text, ("looks", *bands, "alike")),
        *[_whole(name, nullable=True) for name in ("taken_at", "latitude_e6", "longitude_e6")],
        _whole("kept_at"),
        _whole("activity_id", nullable=True),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("ix_photos_user", "photos", ["user_id", "kept_at"])
    for band in bands:
        op.create_index(f"ix_photos_{band}", "photos", [band])
