"""How the feeds of sources fare: counts by day, and how far each pull has come."""

import sqlalchemy as sa
from alembic import op

revision = "0005_sources"
down_revision = "0004_rulebooks"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=False)


def upgrade() -> None:
    op.create_table(
        "source_days",
        *map(_text, ("source", "on")),
        *map(_whole, ("accepted", "duplicate", "reversed")),
        *map(_text, ("rejected", "unlinked")),
        *map(_whole, ("lagged", "lag_ms", "last_at")),
        *(
            sa.CheckConstraint(f"{column} >= 0", name=f"ck_source_days_{column}")
            for column in ("accepted", "duplicate", "reversed", "lagged")
        ),
        sa.PrimaryKeyConstraint("source", "on"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pulls",
        *map(_text, ("source", "cursor")),
        *map(_whole, ("version", "failures")),
        _text("problem"),
        *map(_whole, ("next_at", "done_at", "records")),
        sa.PrimaryKeyConstraint("source"),
    )
