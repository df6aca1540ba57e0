"""What the public registry shows: where batches are, how exactly sites may be known, and indexes for its pages."""

import sqlalchemy as sa
from alembic import op

revision = "0011_registry"
down_revision = "0010_partner_api"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("planters", "latitude_e6", "longitude_e6"):
        op.add_column("batches", sa.Column(name, WHOLE, nullable=True))
    op.add_column("batches", sa.Column("notes", sa.Text(), nullable=False, server_default=""))
    op.add_column("sites", sa.Column("shown_m", WHOLE, nullable=False, server_default="1000"))
    op.execute(
        "UPDATE sites SET shown_m = 0 WHERE id IN (SELECT s.id FROM sites s JOIN partner_records p"
        " ON p.id = s.partner WHERE p.kind = 'simulated')"
    )
    op.create_table(
        "outline_seasons",
        sa.Column("season", sa.Text(), nullable=False),
        sa.Column("outlines", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("season"),
    )
    op.execute("INSERT INTO outline_seasons SELECT season, count(*) FROM site_outlines GROUP BY season")
    for column in ("site", "programme"):
        op.create_index(f"ix_order_lines_{column}", "order_lines", [column])
