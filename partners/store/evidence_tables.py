"""Tables of evidence: photos as they were read, outlines of sites, and what batches' evidence comes to."""

from sqlalchemy import Boolean, Column, Index
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, not_negative, text, whole

_BANDS = ("band_a", "band_b", "band_c", "band_d")


class EvidencePhotos(SQLModel, table=True):
    """Photos that partners uploaded, by the hash of their bytes. The files themselves lie in a folder."""

    __tablename__ = "evidence_photos"
    __table_args__ = (
        # each holds all that a search for likeness compares, so that it never visits the rows
        *(Index(f"ix_evidence_photos_{band}", band, "looks", "sha256") for band in _BANDS),
        Index("ix_evidence_photos_device", "device", "kept_at"),
    )
    sha256: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    name: str = Field(sa_column=text())
    media: str = Field(sa_column=text())
    bytes: int = Field(sa_column=whole())
    width: int = Field(sa_column=whole())
    height: int = Field(sa_column=whole())
    public_sha256: str = Field(sa_column=text())
    looks: str = Field(sa_column=text())
    fine: str = Field(sa_column=text())
    band_a: str = Field(sa_column=text())
    band_b: str = Field(sa_column=text())
    band_c: str = Field(sa_column=text())
    band_d: str = Field(sa_column=text())
    taken_at: int | None = Field(sa_column=whole(nullable=True))
    zone_known: bool = Field(sa_column=Column(Boolean, nullable=False))
    gps_at: int | None = Field(sa_column=whole(nullable=True))
    latitude_e6: int | None = Field(sa_column=whole(nullable=True))
    longitude_e6: int | None = Field(sa_column=whole(nullable=True))
    raw_latitude_e6: int | None = Field(sa_column=whole(nullable=True))
    raw_longitude_e6: int | None = Field(sa_column=whole(nullable=True))
    datum: str = Field(sa_column=text())
    accuracy_m: int | None = Field(sa_column=whole(nullable=True))
    camera: str = Field(sa_column=text())
    device: str = Field(sa_column=text())
    software: str = Field(sa_column=text())
    kept_at: int = Field(sa_column=whole())
    alike: str = Field(sa_column=json_text())
    elsewhere: str = Field(sa_column=json_text())


class SiteOutlines(SQLModel, table=True):
    """Every version of every outline; the current one of a place is marked."""

    __tablename__ = "site_outlines"
    __table_args__ = (
        *not_negative("site_outlines", "area_m2"),
        Index("ix_site_outlines_season", "season", "is_current", "west_e6", "east_e6"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    place: str = Field(sa_column=text())
    partner: str = Field(sa_column=text())
    site: str = Field(sa_column=text())
    season: str = Field(sa_column=text())
    version: int = Field(sa_column=whole())
    datum: str = Field(sa_column=text())
    area_m2: int = Field(sa_column=whole())
    west_e6: int = Field(sa_column=whole())
    south_e6: int = Field(sa_column=whole())
    east_e6: int = Field(sa_column=whole())
    north_e6: int = Field(sa_column=whole())
    recorded_at: int = Field(sa_column=whole())
    is_current: bool = Field(sa_column=Column(Boolean, nullable=False))
    polygons: str = Field(sa_column=json_text())
    overlaps: str = Field(sa_column=json_text())
    notes: str = Field(sa_column=json_text())


class PlantedPlaces(SQLModel, table=True):
    """What a partner's site carries in a season."""

    __tablename__ = "planted_places"
    __table_args__ = not_negative("planted_places", "version", "trees")
    place: str = Field(sa_column=text(primary_key=True))
    version: int = Field(sa_column=whole())
    trees: int = Field(sa_column=whole())


class OutlineSeasons(SQLModel, table=True):
    """How many outlines each season has seen."""

    __tablename__ = "outline_seasons"
    season: str = Field(sa_column=text(primary_key=True))
    outlines: int = Field(sa_column=whole())


class Assessments(SQLModel, table=True):
    """What the evidence of each batch comes to, with every reason."""

    __tablename__ = "assessments"
    __table_args__ = (
        Index("ix_assessments_waiting", "is_waiting"),
        Index("ix_assessments_place", "place"),
        Index("ix_assessments_order", "order_id"),
    )
    batch_id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    place: str = Field(sa_column=text())
    outline_version: int = Field(sa_column=whole())
    verdict: str = Field(sa_column=text())
    score: int = Field(sa_column=whole())
    is_waiting: bool = Field(sa_column=Column(Boolean, nullable=False))
    planters: int | None = Field(sa_column=whole(nullable=True))
    rules: str = Field(sa_column=text())
    assessed_at: int = Field(sa_column=whole())
    reasons: str = Field(sa_column=json_text())
    missing: str = Field(sa_column=json_text())
    dismissed: str = Field(sa_column=json_text())


EVIDENCE_MODELS: dict[str, type[SQLModel]] = {
    "evidence_photos": EvidencePhotos,
    "site_outlines": SiteOutlines,
    "planted_places": PlantedPlaces,
    "outline_seasons": OutlineSeasons,
    "assessments": Assessments,
}
