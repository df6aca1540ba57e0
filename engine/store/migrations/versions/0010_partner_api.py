"""The partner API: keys, webhooks with messages and attempts, and the index by which a partner pages its orders."""

import sqlalchemy as sa
from alembic import op

revision = "0010_partner_api"
down_revision = "0009_portal"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=False)


def _maybe(name: str) -> sa.Column[int]:
    return sa.Column(name, WHOLE, nullable=True)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def upgrade() -> None:
    op.create_index("ix_partner_orders_partner", "partner_orders", ["partner", "id"])
    op.create_table(
        "partner_keys",
        *map(_text, ("id", "partner", "digest")),
        _flag("is_test"),
        *map(_text, ("note", "made_by")),
        _whole("made_at"),
        *map(_maybe, ("expires_at", "revoked_at", "last_used_at")),
        _text("scopes"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_partner_keys_partner", "partner_keys", ["partner"])
    op.create_table(
        "webhook_endpoints",
        *map(_text, ("id", "partner", "url")),
        _flag("is_test"),
        *map(_text, ("status", "why")),
        _whole("status_at"),
        _text("secret"),
        sa.Column("old_secret", sa.Text(), nullable=True),
        _maybe("old_until_at"),
        _whole("sequence"),
        _text("made_by"),
        _whole("made_at"),
        _text("types"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhook_endpoints_partner", "webhook_endpoints", ["partner"])
    op.create_table(
        "webhook_messages",
        *map(_text, ("id", "endpoint", "partner", "type")),
        _maybe("order_id"),
        _whole("sequence"),
        _text("state"),
        _whole("attempts"),
        _maybe("next_at"),
        _whole("made_at"),
        _maybe("settled_at"),
        _text("data"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhook_messages_next", "webhook_messages", ["next_at"])
    op.create_index("ix_webhook_messages_endpoint", "webhook_messages", ["endpoint", "sequence"])
    op.create_index("ix_webhook_messages_made", "webhook_messages", ["made_at"])
    op.create_table(
        "webhook_attempts",
        *map(_text, ("id", "message")),
        *map(_whole, ("at", "ms")),
        _maybe("status"),
        _text("problem"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhook_attempts_message", "webhook_attempts", ["message"])
