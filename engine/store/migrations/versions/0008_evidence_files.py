"""Evidence that partners upload: photos as they were read, outlines of sites, and what batches' evidence comes to."""

import sqlalchemy as sa
from alembic import op

revision = "0008_evidence_files"
down_revision = "0007_after_planting"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=False)


def _maybe(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=True)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _not_negative(table: str, *columns: str) -> list[sa.CheckConstraint]:
    return [sa.CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}") for column in columns]


def upgrade() -> None:
    op.create_index("ix_evidence_batch", "evidence", ["batch_id"])
    bands = ("band_a", "band_b", "band_c", "band_d")
    op.create_table(
        "evidence_photos",
        *map(_text, ("sha256", "partner", "name", "media")),
        *map(_whole, ("bytes", "width", "height")),
        *map(_text, ("public_sha256", "looks", "fine", *bands)),
        _maybe("taken_at"),
        _flag("zone_known"),
        *map(_maybe, ("gps_at", "latitude_e6", "longitude_e6", "raw_latitude_e6", "raw_longitude_e6")),
        _text("datum"),
        _maybe("accuracy_m"),
        *map(_text, ("camera", "device", "software")),
        _whole("kept_at"),
        *map(_text, ("alike", "elsewhere")),
        sa.PrimaryKeyConstraint("sha256"),
    )
    for band in bands:
        op.create_index(f"ix_evidence_photos_{band}", "evidence_photos", [band, "looks", "sha256"])
    op.create_index("ix_evidence_photos_device", "evidence_photos", ["device", "kept_at"])
    op.create_table(
        "site_outlines",
        *map(_text, ("id", "place", "partner", "site", "season")),
        _whole("version"),
        _text("datum"),
        *map(_whole, ("area_m2", "west_e6", "south_e6", "east_e6", "north_e6", "recorded_at")),
        _flag("is_current"),
        *map(_text, ("polygons", "overlaps", "notes")),
        *_not_negative("site_outlines", "area_m2"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_site_outlines_season", "site_outlines", ["season", "is_current", "west_e6", "east_e6"]
    )
    op.create_table(
        "planted_places",
        _text("place"),
        *map(_whole, ("version", "trees")),
        *_not_negative("planted_places", "version", "trees"),
        sa.PrimaryKeyConstraint("place"),
    )
    op.create_table(
        "assessments",
        _text("batch_id"),
        _whole("order_id"),
        _text("place"),
        _whole("outline_version"),
        _text("verdict"),
        _whole("score"),
        _flag("is_waiting"),
        _maybe("planters"),
        _text("rules"),
        _whole("assessed_at"),
        *map(_text, ("reasons", "missing", "dismissed")),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    for column, name in (("is_waiting", "waiting"), ("place", "place"), ("order_id", "order")):
        op.create_index(f"ix_assessments_{name}", "assessments", [column])
