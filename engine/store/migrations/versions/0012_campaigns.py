"""Campaigns: commitments that pay for trees made of the energy of certain behaviours, and what they were used for."""

import sqlalchemy as sa
from alembic import op

revision = "0012_campaigns"
down_revision = "0011_registry"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", WHOLE, nullable=False, autoincrement=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("name", "programme", "from_on", "until_on", "redeem_until_on", "started_by")
        ),
        sa.Column("started_at", WHOLE, nullable=False),
        sa.Column("behaviours", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_campaigns_programme", "campaigns", ["programme"])
    op.create_table(
        "campaign_uses",
        sa.Column("campaign", WHOLE, nullable=False, autoincrement=False),
        sa.Column("user_id", WHOLE, nullable=False, autoincrement=False),
        sa.Column("used_g", WHOLE, nullable=False),
        sa.Column("trees", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("campaign", "user_id"),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=f"ck_campaign_uses_{name}")
            for name in ("used_g", "trees")
        ),
    )
