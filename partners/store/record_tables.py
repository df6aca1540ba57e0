"""The tables of the records; columns are the fields of the rows in `partners.core.records.rows`.

Addresses of people stand in `contacts` and nowhere else.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, Index
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, not_negative, text, whole


class PartnerRecords(SQLModel, table=True):
    """Who plants, and whether they may be asked."""

    __tablename__ = "partner_records"
    id: str = Field(sa_column=text(primary_key=True))
    name_zh: str = Field(sa_column=text())
    name_en: str = Field(sa_column=text())
    country: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    status_at: int = Field(sa_column=whole())
    tier: int = Field(sa_column=whole())
    currency: str = Field(sa_column=text())
    agreement: str = Field(sa_column=text())
    documents_until_at: int | None = Field(sa_column=whole(nullable=True))
    languages: str = Field(sa_column=json_text())
    documents: str = Field(sa_column=json_text())


class Contacts(SQLModel, table=True):
    """Whom to ask at a partner, in order of escalation. Personal data."""

    __tablename__ = "contacts"
    partner: str = Field(sa_column=text(primary_key=True))
    role: str = Field(sa_column=text(primary_key=True))
    place: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    name: str = Field(sa_column=text())
    address: str = Field(sa_column=text())


class Agreements(SQLModel, table=True):
    """Versions of what was agreed; never changed once active."""

    __tablename__ = "agreements"
    __table_args__ = (Index("ix_agreements_partner", "partner", "version"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    version: int = Field(sa_column=whole())
    status: str = Field(sa_column=text())
    starts_on: str = Field(sa_column=text())
    ends_on: str = Field(sa_column=text())
    status_at: int = Field(sa_column=whole())
    terms: str = Field(sa_column=json_text())


class Sites(SQLModel, table=True):
    """Places where a partner plants."""

    __tablename__ = "sites"
    __table_args__ = (Index("ix_sites_partner", "partner", "id"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    name_zh: str = Field(sa_column=text())
    name_en: str = Field(sa_column=text())
    country: str = Field(sa_column=text())
    region: str = Field(sa_column=text())
    county: str = Field(sa_column=text())
    township: str = Field(sa_column=text())
    compartment: str = Field(sa_column=text())
    ecosystem: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    status_at: int = Field(sa_column=whole())
    version: int = Field(sa_column=whole())
    land_right: str = Field(sa_column=json_text())
    shown_m: int = Field(sa_column=whole(server_default="1000"))


class SiteVersions(SQLModel, table=True):
    """Geometries of sites, each kept as it was given, with what the checks found."""

    __tablename__ = "site_versions"
    __table_args__ = (Index("ix_site_versions_site", "site", "version"),)
    id: str = Field(sa_column=text(primary_key=True))
    site: str = Field(sa_column=text())
    version: int = Field(sa_column=whole())
    geometry: str = Field(sa_column=text())
    area_m2: int = Field(sa_column=whole())
    datum: str = Field(sa_column=text())
    recorded_at: int = Field(sa_column=whole())
    checks: str = Field(sa_column=json_text())


class SpeciesOffers(SQLModel, table=True):
    """Species that partners raise and plant."""

    __tablename__ = "species_offers"
    __table_args__ = (Index("ix_species_offers_partner", "partner", "species"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    species: str = Field(sa_column=text())
    gbif_key: int = Field(sa_column=whole())
    checklist: str = Field(sa_column=text())
    typed_name: str = Field(sa_column=text())
    native: bool = Field(sa_column=Column(Boolean, nullable=False))
    kind: str = Field(sa_column=text())
    status: str = Field(sa_column=text())


class Quotas(SQLModel, table=True):
    """Places for trees; the database refuses more than a site takes."""

    __tablename__ = "quotas"
    __table_args__ = (
        *not_negative("quotas", "capacity", "held", "ordered", "planted"),
        CheckConstraint("held + ordered <= capacity", name="ck_quotas_within_capacity"),
        CheckConstraint("planted <= ordered", name="ck_quotas_planted_le_ordered"),
        Index("ix_quotas_species", "species", "order_by_at"),
        Index("ix_quotas_partner", "partner", "id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    site: str = Field(sa_column=text())
    offer: str = Field(sa_column=text())
    species: str = Field(sa_column=text())
    region: str = Field(sa_column=text())
    season: str = Field(sa_column=text())
    opens_at: int = Field(sa_column=whole())
    closes_at: int = Field(sa_column=whole())
    order_by_at: int = Field(sa_column=whole())
    capacity: int = Field(sa_column=whole())
    held: int = Field(sa_column=whole())
    ordered: int = Field(sa_column=whole())
    planted: int = Field(sa_column=whole())


class Performances(SQLModel, table=True):
    """What became of the trees that partners were asked for."""

    __tablename__ = "performances"
    __table_args__ = not_negative("performances", "asked", "accepted", "given_back", "planted")
    partner: str = Field(sa_column=text(primary_key=True))
    asked: int = Field(sa_column=whole())
    accepted: int = Field(sa_column=whole())
    given_back: int = Field(sa_column=whole())
    planted: int = Field(sa_column=whole())
    verified: int = Field(sa_column=whole())


class Allocations(SQLModel, table=True):
    """Why trees were placed as they were."""

    __tablename__ = "allocations"
    __table_args__ = (Index("ix_allocations_programme", "programme", "at"),)
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    programme: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())
    trees: int = Field(sa_column=whole())
    placed: int = Field(sa_column=whole())
    decision: str = Field(sa_column=json_text())


RECORD_MODELS: dict[str, type[SQLModel]] = {
    "partner_records": PartnerRecords,
    "contacts": Contacts,
    "agreements": Agreements,
    "sites": Sites,
    "site_versions": SiteVersions,
    "species_offers": SpeciesOffers,
    "quotas": Quotas,
    "performances": Performances,
    "allocations": Allocations,
}
