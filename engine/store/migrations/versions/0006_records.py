"""Records of partners, agreements, sites, offers and quotas; drafts; and trees that wait without a place."""

import sqlalchemy as sa
from alembic import op

revision = "0006_records"
down_revision = "0005_sources"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=nullable)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _not_negative(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}") for column in columns]


def upgrade() -> None:
    _widen()
    _partners()
    _land()
    op.create_table(
        "performances",
        _text("partner"),
        *map(_whole, ("asked", "accepted", "given_back", "planted", "verified")),
        *_not_negative("performances", "asked", "accepted", "given_back", "planted"),
        sa.PrimaryKeyConstraint("partner"),
    )
    op.create_table(
        "allocations",
        sa.Column("id", WHOLE, autoincrement=False, nullable=False),
        _text("programme"),
        *map(_whole, ("at", "trees", "placed")),
        _text("decision"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_allocations_programme", "allocations", ["programme", "at"])


def _widen() -> None:
    """What trees, units, orders and lines know besides."""
    for name in ("waits_since_at", "energy_back_at"):
        op.add_column("trees", _whole(name, nullable=True))
    op.add_column("tree_units", sa.Column("line_id", sa.Text(), nullable=True))
    for name in ("unplaced_at", "back_at"):
        op.add_column("tree_units", _whole(name, nullable=True))
    is_set = sa.text("back_at IS NOT NULL")
    op.create_index(
        "ix_tree_units_back", "tree_units", ["back_at"], sqlite_where=is_set, postgresql_where=is_set
    )
    for name, default in (
        ("kind", "standard"),
        ("agreement", ""),
        ("payload_hash", ""),
        ("cancel_asked_by", ""),
    ):
        column = sa.Column(name, sa.Text(), nullable=False, server_default=default)
        op.add_column("partner_orders", column)
    for name in ("quota", "programme"):
        op.add_column("order_lines", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE order_lines SET programme ="
        " (SELECT o.programme FROM partner_orders o WHERE o.id = order_lines.order_id)"
    )
    # so far an order had one line
    op.execute("UPDATE tree_units SET line_id = order_id || '-1' WHERE order_id IS NOT NULL")


def _partners() -> None:
    op.create_table(
        "partner_records",
        *map(_text, ("id", "name_zh", "name_en", "country", "kind", "status", "reason")),
        *map(_whole, ("status_at", "tier")),
        *map(_text, ("currency", "agreement")),
        _whole("documents_until_at", nullable=True),
        *map(_text, ("languages", "documents")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "contacts",
        *map(_text, ("partner", "role")),
        sa.Column("place", WHOLE, autoincrement=False, nullable=False),
        *map(_text, ("name", "address")),
        sa.PrimaryKeyConstraint("partner", "role", "place"),
    )
    op.create_table(
        "agreements",
        *map(_text, ("id", "partner")),
        _whole("version"),
        *map(_text, ("status", "starts_on", "ends_on")),
        _whole("status_at"),
        _text("terms"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_agreements_partner", "agreements", ["partner", "version"])


def _land() -> None:
    op.create_table(
        "sites",
        *map(_text, ("id", "partner", "name_zh", "name_en", "country", "region")),
        *map(_text, ("county", "township", "compartment", "ecosystem", "status", "reason")),
        *map(_whole, ("status_at", "version")),
        _text("land_right"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sites_partner", "sites", ["partner", "id"])
    op.create_table(
        "site_versions",
        *map(_text, ("id", "site")),
        _whole("version"),
        _text("geometry"),
        _whole("area_m2"),
        _text("datum"),
        _whole("recorded_at"),
        _text("checks"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_site_versions_site", "site_versions", ["site", "version"])
    op.create_table(
        "species_offers",
        *map(_text, ("id", "partner", "species")),
        _whole("gbif_key"),
        *map(_text, ("checklist", "typed_name")),
        _flag("native"),
        *map(_text, ("kind", "status")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_species_offers_partner", "species_offers", ["partner", "species"])
    op.create_table(
        "quotas",
        *map(_text, ("id", "partner", "site", "offer", "species", "region", "season")),
        *map(_whole, ("opens_at", "closes_at", "order_by_at", "capacity", "held", "ordered", "planted")),
        *_not_negative("quotas", "capacity", "held", "ordered", "planted"),
        sa.CheckConstraint("held + ordered <= capacity", name="ck_quotas_within_capacity"),
        sa.CheckConstraint("planted <= ordered", name="ck_quotas_planted_le_ordered"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_quotas_species", "quotas", ["species", "order_by_at"])
    op.create_index("ix_quotas_partner", "quotas", ["partner", "id"])
