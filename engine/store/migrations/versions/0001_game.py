"""The game's tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001_game"
down_revision = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account_kinds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("balance", sa.Text(), nullable=False),
        sa.Column("may_be_negative", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "activities",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("activity", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("behaviour", sa.Text(), nullable=False),
        sa.Column("on", sa.Text(), nullable=False),
        sa.Column("at", WHOLE, nullable=True),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("revision", WHOLE, nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("energy_g", WHOLE, nullable=False),
        sa.Column("avoided_mg", WHOLE, nullable=False),
        sa.Column("accepted_at", WHOLE, nullable=False),
        sa.Column("reversed_at", WHOLE, nullable=True),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.CheckConstraint("avoided_mg >= 0", name="ck_activities_avoided_mg"),
        sa.CheckConstraint("energy_g >= 0", name="ck_activities_energy_g"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_activities_name", "activities", ["source", "activity"], unique=True)
    op.create_index("ix_activities_user", "activities", ["user_id", "id"], unique=False)
    op.create_table(
        "assets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "balls",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("owner", WHOLE, nullable=False),
        sa.Column("behaviour", sa.Text(), nullable=False),
        sa.Column("others_see", sa.Text(), nullable=False),
        sa.Column("full_g", WHOLE, nullable=False),
        sa.Column("remaining_g", WHOLE, nullable=False),
        sa.Column("floor_g", WHOLE, nullable=False),
        sa.Column("share_min_g", WHOLE, nullable=False),
        sa.Column("share_max_g", WHOLE, nullable=False),
        sa.Column("avoided_mg", WHOLE, nullable=False),
        sa.Column("ripens_at", WHOLE, nullable=False),
        sa.Column("friends_from_at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("takers", sa.Text(), nullable=False),
        sa.CheckConstraint("full_g >= 0", name="ck_balls_full_g"),
        sa.CheckConstraint("remaining_g >= 0", name="ck_balls_remaining_g"),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("ix_balls_expires", "balls", ["expires_at"], unique=False)
    op.create_index("ix_balls_owner", "balls", ["owner", "expires_at"], unique=False)
    op.create_index("ix_balls_ripens", "balls", ["ripens_at"], unique=False)
    op.create_table(
        "caps",
        sa.Column(
            "user_id",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("behaviour", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("used_g", WHOLE, nullable=False),
        sa.Column("used_count", WHOLE, nullable=False),
        sa.Column("acts", sa.Text(), nullable=False),
        sa.CheckConstraint("used_count >= 0", name="ck_caps_used_count"),
        sa.CheckConstraint("used_g >= 0", name="ck_caps_used_g"),
        sa.PrimaryKeyConstraint("user_id", "behaviour", "period"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "commitments",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("programme", sa.Text(), nullable=False),
        sa.Column("funder", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("unit_price_minor", WHOLE, nullable=False),
        sa.Column("amount_minor", WHOLE, nullable=False),
        sa.Column("left_minor", WHOLE, nullable=False),
        sa.Column("committed_at", WHOLE, nullable=False),
        sa.CheckConstraint("left_minor >= 0", name="ck_commitments_left_minor"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_commitments_programme", "commitments", ["programme"], unique=False)
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "day_secrets",
        sa.Column("on", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("on"),
    )
    op.create_table(
        "friends",
        sa.Column(
            "user_id",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "friend_id",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "friend_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_friends_friend", "friends", ["friend_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column(
            "user_id",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "journal",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", WHOLE, nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("transfers", sa.Text(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("pubs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_journal_key", "journal", ["key"], unique=True)
    op.create_table(
        "leases",
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("term", WHOLE, nullable=False),
        sa.Column("until_at", WHOLE, nullable=False),
        sa.Column("watermark", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "links",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("behaviours", sa.Text(), nullable=False),
        sa.Column("linked_at", WHOLE, nullable=False),
        sa.Column("withdrawn_at", WHOLE, nullable=True),
        sa.PrimaryKeyConstraint("source", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_links_user", "links", ["user_id"], unique=False)
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "revisions",
        sa.Column(
            "activity_id",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "revision",
            WHOLE,
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("quantity", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("activity_id", "revision"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_until_at", WHOLE, nullable=True),
        sa.Column("behaviours", sa.Text(), nullable=False),
        sa.Column("added_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "stocks",
        sa.Column("programme", sa.Text(), nullable=False),
        sa.Column("stock", WHOLE, nullable=False),
        sa.Column("sold", WHOLE, nullable=False),
        sa.Column("covered", WHOLE, nullable=False),
        sa.CheckConstraint("sold >= 0", name="ck_stocks_sold"),
        sa.CheckConstraint("stock + sold <= covered", name="ck_stocks_covered"),
        sa.CheckConstraint("stock >= 0", name="ck_stocks_stock"),
        sa.PrimaryKeyConstraint("programme"),
    )
    op.create_table(
        "trees",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.Column("programme", sa.Text(), nullable=False),
        sa.Column("species", sa.Text(), nullable=False),
        sa.Column("commitment_id", WHOLE, nullable=False),
        sa.Column("energy_g", WHOLE, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("redeemed_at", WHOLE, nullable=False),
        sa.Column("state_at", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_trees_number", "trees", ["number"], unique=True)
    op.create_index("ix_trees_user", "trees", ["user_id", "id"], unique=False)
    op.create_table(
        "user_references",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("user_id", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("reference"),
    )
    op.create_table(
        "users",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("province", sa.Text(), nullable=True),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("next_zone", sa.Text(), nullable=True),
        sa.Column("next_zone_at", WHOLE, nullable=True),
        sa.Column("wallet_g", WHOLE, nullable=False),
        sa.Column("debt_g", WHOLE, nullable=False),
        sa.Column("avoided_mg", WHOLE, nullable=False),
        sa.Column("friend_count", WHOLE, nullable=False),
        sa.Column("user_pos", WHOLE, nullable=False),
        sa.Column("forest_pos", WHOLE, nullable=False),
        sa.Column("opened_at", WHOLE, nullable=False),
        sa.CheckConstraint("avoided_mg >= 0", name="ck_users_avoided_mg"),
        sa.CheckConstraint("debt_g >= 0", name="ck_users_debt_g"),
        sa.CheckConstraint("wallet_g >= 0", name="ck_users_wallet_g"),
        sa.PrimaryKeyConstraint("id"),
        postgresql_with={"fillfactor": 80},
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE ids")
        op.execute("CREATE SEQUENCE journal_ids")
