"""Tables of the portal: staff and their sessions, what lies in partners' lists, and forms that were sent."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, text, whole


class PortalStaff(SQLModel, table=True):
    """Who of a partner may log in. Passwords and links are hashes."""

    __tablename__ = "portal_staff"
    __table_args__ = (Index("ix_portal_staff_partner", "partner"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    language: str = Field(sa_column=text())
    password: str = Field(sa_column=text())
    invitation: str = Field(sa_column=text())
    invited_until_at: int | None = Field(sa_column=whole(nullable=True))
    changed_at: int = Field(sa_column=whole())


class PortalSessions(SQLModel, table=True):
    """Browsers that are logged in, by the hash of what their cookie carries."""

    __tablename__ = "portal_sessions"
    __table_args__ = (Index("ix_portal_sessions_staff", "staff"),)
    id: str = Field(sa_column=text(primary_key=True))
    staff: str = Field(sa_column=text())
    begun_at: int = Field(sa_column=whole())
    until_at: int = Field(sa_column=whole())


class PortalOrders(SQLModel, table=True):
    """Orders that lie in the lists of partners."""

    __tablename__ = "portal_orders"
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    partner: str = Field(sa_column=text())
    listed_at: int = Field(sa_column=whole())
    sheet: str = Field(sa_column=json_text())


class PortalNotices(SQLModel, table=True):
    """What partners were told about orders."""

    __tablename__ = "portal_notices"
    __table_args__ = (Index("ix_portal_notices_order", "order_id"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    order_id: int = Field(sa_column=whole())
    kind: str = Field(sa_column=text())
    text: str = Field(sa_column=text())
    trees: int = Field(sa_column=whole())
    noted_at: int = Field(sa_column=whole())


class PortalForms(SQLModel, table=True):
    """Forms that were sent, and what each was answered."""

    __tablename__ = "portal_forms"
    __table_args__ = (Index("ix_portal_forms_order", "order_id"),)
    id: str = Field(sa_column=text(primary_key=True))
    staff: str = Field(sa_column=text())
    kind: str = Field(sa_column=text())
    order_id: int | None = Field(sa_column=whole(nullable=True))
    digest: str = Field(sa_column=text())
    sent_at: int = Field(sa_column=whole())
    answer: str = Field(sa_column=json_text())
    said: str = Field(sa_column=json_text())


PORTAL_MODELS: dict[str, type[SQLModel]] = {
    "portal_staff": PortalStaff,
    "portal_sessions": PortalSessions,
    "portal_orders": PortalOrders,
    "portal_notices": PortalNotices,
    "portal_forms": PortalForms,
}
