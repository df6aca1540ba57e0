"""What each friend who took before lessens a draw by, as the ball was made; nothing for balls made before."""

import sqlalchemy as sa
from alembic import op

revision = "0013_finding"
down_revision = "0012_campaigns"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("balls", sa.Column("share_less_pct", WHOLE, nullable=False, server_default="0"))
