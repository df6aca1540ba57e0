"""The partners' tables, from which DDL and migrations are made; columns are the fields of the core's rows.

No column refers to a user: a tree unit has the number of the game's tree, and that is all that joins the two.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, Index
from sqlalchemy import text as sql_text
from sqlmodel import Field, SQLModel

from engine.store.tables import PG_HOT, json_text, not_negative, text, whole
from partners.store.after_tables import AFTER_MODELS
from partners.store.api_tables import API_MODELS
from partners.store.evidence_tables import EVIDENCE_MODELS
from partners.store.portal_tables import PORTAL_MODELS
from partners.store.record_tables import RECORD_MODELS


class TreeUnits(SQLModel, table=True):
    """Redeemed trees on their way to the ground."""

    __tablename__ = "tree_units"
    __table_args__ = (
        # what waits for an order, oldest first; small whatever the number of trees that are planted
        Index("ix_tree_units_waiting", "route", "state", "waits_from_at", "id"),
        Index("ix_tree_units_batch", "batch_id"),
        # what has no place and whose energy goes back some day; empty on good days
        Index(
            "ix_tree_units_back",
            "back_at",
            sqlite_where=sql_text("back_at IS NOT NULL"),
            postgresql_where=sql_text("back_at IS NOT NULL"),
        ),
        PG_HOT,
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    programme: str = Field(sa_column=text())
    route: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    waits_from_at: int = Field(sa_column=whole())
    season: str = Field(sa_column=text())
    order_id: int | None = Field(sa_column=whole(nullable=True))
    batch_id: str | None = Field(sa_column=text(nullable=True))
    note: str = Field(sa_column=text())
    fact_at: int = Field(sa_column=whole())
    declined: str = Field(sa_column=json_text())
    line_id: str | None = Field(sa_column=text(nullable=True))
    unplaced_at: int | None = Field(sa_column=whole(nullable=True))
    back_at: int | None = Field(sa_column=whole(nullable=True))


class PartnerOrders(SQLModel, table=True):
    """What partners were asked to plant."""

    __tablename__ = "partner_orders"
    __table_args__ = (
        Index("ix_partner_orders_due", "due_at"),
        Index("ix_partner_orders_state", "state", "id"),
        Index("ix_partner_orders_partner", "partner", "id"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    partner: str = Field(sa_column=text())
    programme: str = Field(sa_column=text())
    season: str = Field(sa_column=text())
    season_opens_at: int = Field(sa_column=whole())
    season_closes_at: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    held: str = Field(sa_column=text())
    below_minimum: bool = Field(sa_column=Column(Boolean, nullable=False))
    external_ref: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    submitted_at: int = Field(sa_column=whole())
    expires_at: int = Field(sa_column=whole())
    reminders: int = Field(sa_column=whole())
    escalated_at: int | None = Field(sa_column=whole(nullable=True))
    due_at: int | None = Field(sa_column=whole(nullable=True))
    held_at: int | None = Field(sa_column=whole(nullable=True))
    fact_at: int = Field(sa_column=whole())
    said_at: int = Field(sa_column=whole())
    lines: str = Field(sa_column=json_text())
    difference: str = Field(sa_column=json_text())
    kind: str = Field(sa_column=text(server_default="standard"))
    agreement: str = Field(sa_column=text(server_default=""))
    payload_hash: str = Field(sa_column=text(server_default=""))
    cancel_asked_by: str = Field(sa_column=text(server_default=""))


class OrderLines(SQLModel, table=True):
    """Species and site of an order, with its counters; the database refuses counters that can't be true."""

    __tablename__ = "order_lines"
    __table_args__ = (
        *not_negative("order_lines", "ordered", "accepted", "reported", "verified"),
        CheckConstraint("accepted <= ordered", name="ck_order_lines_accepted_le_ordered"),
        CheckConstraint(
            "reported * 100 <= accepted * (100 + tolerance_pct)", name="ck_order_lines_reported_le_accepted"
        ),
        CheckConstraint("verified <= reported", name="ck_order_lines_verified_le_reported"),
        Index("ix_order_lines_order", "order_id"),
        Index("ix_order_lines_site", "site"),
        Index("ix_order_lines_programme", "programme"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    species: str = Field(sa_column=text())
    site: str = Field(sa_column=text())
    granularity: str = Field(sa_column=text())
    unit_price_minor: int = Field(sa_column=whole())
    currency: str = Field(sa_column=text())
    tolerance_pct: int = Field(sa_column=whole())
    ordered: int = Field(sa_column=whole())
    accepted: int = Field(sa_column=whole())
    reported: int = Field(sa_column=whole())
    verified: int = Field(sa_column=whole())
    units: str = Field(sa_column=json_text())
    batches: str = Field(sa_column=json_text())
    quota: str = Field(sa_column=text(server_default=""))
    programme: str = Field(sa_column=text(server_default=""))


class Batches(SQLModel, table=True):
    """Plantings as partners reported them."""

    __tablename__ = "batches"
    __table_args__ = (
        *not_negative("batches", "reported", "verified"),
        CheckConstraint("verified <= reported", name="ck_batches_verified_le_reported"),
        Index("ix_batches_line", "line_id"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    line_id: str = Field(sa_column=text())
    report_no: str = Field(sa_column=text())
    site: str = Field(sa_column=text())
    planted_from_on: str = Field(sa_column=text())
    planted_to_on: str = Field(sa_column=text())
    reported: int = Field(sa_column=whole())
    verified: int = Field(sa_column=whole())
    submitted_by: str = Field(sa_column=text())
    reported_at: int = Field(sa_column=whole())
    units: str = Field(sa_column=json_text())
    evidence: str = Field(sa_column=json_text())
    findings: str = Field(sa_column=json_text())
    planters: int | None = Field(sa_column=whole(nullable=True))
    latitude_e6: int | None = Field(sa_column=whole(nullable=True))
    longitude_e6: int | None = Field(sa_column=whole(nullable=True))
    notes: str = Field(sa_column=text(server_default=""))


class EvidenceFiles(SQLModel, table=True):
    """Files that speak for batches, by the hash of their bytes."""

    __tablename__ = "evidence"
    __table_args__ = (Index("ix_evidence_batch", "batch_id"),)
    sha256: str = Field(sa_column=text(primary_key=True))
    batch_id: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    name: str = Field(sa_column=text())
    taken_on: str = Field(sa_column=text())
    shown_at: int = Field(sa_column=whole())


class Reviews(SQLModel, table=True):
    """Operators' verdicts."""

    __tablename__ = "reviews"
    __table_args__ = (Index("ix_reviews_order", "order_id"),)
    id: str = Field(sa_column=text(primary_key=True))
    order_id: int = Field(sa_column=whole())
    reviewer: str = Field(sa_column=text())
    verdict: str = Field(sa_column=text())
    verified: int = Field(sa_column=whole())
    note: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())


class Deliveries(SQLModel, table=True):
    """The outbox. `next_at` is null where nothing is left to do, so the index holds what is due and no
    more."""

    __tablename__ = "deliveries"
    __table_args__ = (Index("ix_deliveries_next", "next_at"), Index("ix_deliveries_order", "order_id"))
    id: str = Field(sa_column=text(primary_key=True))
    destination: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    resendable: bool = Field(sa_column=Column(Boolean, nullable=False))
    attempts: int = Field(sa_column=whole())
    next_at: int | None = Field(sa_column=whole(nullable=True))
    lease_until_at: int | None = Field(sa_column=whole(nullable=True))
    claimed_by: str = Field(sa_column=text())
    answer: str = Field(sa_column=text())
    created_at: int = Field(sa_column=whole())
    payload: str = Field(sa_column=json_text())


class Inbox(SQLModel, table=True):
    """Partners' messages that were taken in, each once for ever."""

    __tablename__ = "inbox"
    partner: str = Field(sa_column=text(primary_key=True))
    message: str = Field(sa_column=text(primary_key=True))
    digest: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    received_at: int = Field(sa_column=whole())


MODELS: dict[str, type[SQLModel]] = {
    "tree_units": TreeUnits,
    "partner_orders": PartnerOrders,
    "order_lines": OrderLines,
    "batches": Batches,
    "evidence": EvidenceFiles,
    "reviews": Reviews,
    "deliveries": Deliveries,
    "inbox": Inbox,
    **AFTER_MODELS,
    **EVIDENCE_MODELS,
    **RECORD_MODELS,
    **API_MODELS,
    **PORTAL_MODELS,
}
