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
    op.create_table(
        "occasions",
        sa.Column("user_id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("acts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "period"),
        sqlite_with_rowid=False,
    )
