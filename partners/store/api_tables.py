"""Tables of the partner API: keys by digest, endpoints of webhooks, their messages and every try."""

from sqlalchemy import Boolean, Column, Index
from sqlmodel import Field, SQLModel

from engine.store.tables import json_text, text, whole


class PartnerKeys(SQLModel, table=True):
    """Keys with which partners call, never the keys themselves."""

    __tablename__ = "partner_keys"
    __table_args__ = (Index("ix_partner_keys_partner", "partner"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    digest: str = Field(sa_column=text())
    is_test: bool = Field(sa_column=Column(Boolean, nullable=False))
    note: str = Field(sa_column=text())
    made_by: str = Field(sa_column=text())
    made_at: int = Field(sa_column=whole())
    expires_at: int | None = Field(sa_column=whole(nullable=True))
    revoked_at: int | None = Field(sa_column=whole(nullable=True))
    last_used_at: int | None = Field(sa_column=whole(nullable=True))
    scopes: str = Field(sa_column=json_text())


class WebhookEndpoints(SQLModel, table=True):
    """Addresses at which partners are told of events."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("ix_webhook_endpoints_partner", "partner"),)
    id: str = Field(sa_column=text(primary_key=True))
    partner: str = Field(sa_column=text())
    url: str = Field(sa_column=text())
    is_test: bool = Field(sa_column=Column(Boolean, nullable=False))
    status: str = Field(sa_column=text())
    why: str = Field(sa_column=text())
    status_at: int = Field(sa_column=whole())
    secret: str = Field(sa_column=text())
    old_secret: str | None = Field(sa_column=text(nullable=True))
    old_until_at: int | None = Field(sa_column=whole(nullable=True))
    sequence: int = Field(sa_column=whole())
    made_by: str = Field(sa_column=text())
    made_at: int = Field(sa_column=whole())
    types: str = Field(sa_column=json_text())


class WebhookMessages(SQLModel, table=True):
    """The webhooks' outbox. `next_at` is null where nothing is left to do, so its index holds what is due and no
    more."""

    __tablename__ = "webhook_messages"
    __table_args__ = (
        Index("ix_webhook_messages_next", "next_at"),
        Index("ix_webhook_messages_endpoint", "endpoint", "sequence"),
        Index("ix_webhook_messages_made", "made_at"),
    )
    id: str = Field(sa_column=text(primary_key=True))
    endpoint: str = Field(sa_column=text())
    partner: str = Field(sa_column=text())
    type: str = Field(sa_column=text())
    order_id: int | None = Field(sa_column=whole(nullable=True))
    sequence: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    attempts: int = Field(sa_column=whole())
    next_at: int | None = Field(sa_column=whole(nullable=True))
    made_at: int = Field(sa_column=whole())
    settled_at: int | None = Field(sa_column=whole(nullable=True))
    data: str = Field(sa_column=json_text())


class WebhookAttempts(SQLModel, table=True):
    """Every try to deliver: status and time, no bodies."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (Index("ix_webhook_attempts_message", "message"),)
    id: str = Field(sa_column=text(primary_key=True))
    message: str = Field(sa_column=text())
    at: int = Field(sa_column=whole())
    ms: int = Field(sa_column=whole())
    status: int | None = Field(sa_column=whole(nullable=True))
    problem: str = Field(sa_column=text())


API_MODELS: dict[str, type[SQLModel]] = {
    "partner_keys": PartnerKeys,
    "webhook_endpoints": WebhookEndpoints,
    "webhook_messages": WebhookMessages,
    "webhook_attempts": WebhookAttempts,
}
