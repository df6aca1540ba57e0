"""Keys of partners: who may call, for what, until when. The core sees digests and never a key."""

from __future__ import annotations

from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core import api_commands as c
from partners.core import api_events as e
from partners.core.api_rows import SCOPES, PartnerKey
from partners.core.context import Context

KEYS_MAX = 20


def make_key(state: Any, command: c.MakeKey, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_record` (scopes, end), `too_many_keys`."""
    if state.partner_records.get(command.partner) is None:
        raise Rejected("unknown_partner", partner=command.partner)
    scopes = list(dict.fromkeys(command.scopes))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Rejected("bad_record", field="scopes", expected=", ".join(SCOPES))
    _check_end(command.expires_at, context)
    if state.partner_keys.get(command.id) is not None:
        raise Rejected("bad_record", field="id", expected="a key of its own")
    counting = [
        row for row in state.partner_keys.where("partner", command.partner) if counts(row, context.now)
    ]
    if len(counting) >= KEYS_MAX:
        raise Rejected("too_many_keys", keys_max=KEYS_MAX)
    row = PartnerKey(
        id=command.id,
        partner=command.partner,
        digest=command.digest,
        is_test=command.is_test,
        note=command.note,
        made_by=command.operator,
        made_at=context.now,
        expires_at=command.expires_at,
        revoked_at=None,
        last_used_at=None,
        scopes=scopes,
    )
    return Decision([e.KeyMade(row)], {"id": row.id, "partner": row.partner, "scopes": scopes})


def rotate_key(state: Any, command: c.RotateKey, context: Context) -> Decision:
    """Raises `unknown_key`, `key_over` (it counts no more), `bad_record`."""
    old = state.partner_keys.get(command.old)
    if old is None:
        raise Rejected("unknown_key", id=command.old)
    if not counts(old, context.now):
        raise Rejected("key_over", id=old.id)
    _check_end(command.expires_at, context)
    row = PartnerKey(
        id=command.id,
        partner=old.partner,
        digest=command.digest,
        is_test=old.is_test,
        note=old.note,
        made_by=command.operator,
        made_at=context.now,
        expires_at=command.expires_at,
        revoked_at=None,
        last_used_at=None,
        scopes=list(old.scopes),
    )
    until_at = max(command.old_until_at, context.now)
    until_at = min(until_at, old.expires_at) if old.expires_at is not None else until_at
    events: list[object] = [e.KeyMade(row), e.KeyEnds(old.id, until_at, is_revoked=False)]
    return Decision(events, {"id": row.id, "partner": row.partner, "old": old.id, "old_until_at": until_at})


def revoke_key(state: Any, command: c.RevokeKey, context: Context) -> Decision:
    """Revoking it again changes nothing. Raises `unknown_key`."""
    row = state.partner_keys.get(command.id)
    if row is None:
        raise Rejected("unknown_key", id=command.id)
    reply = {"id": row.id, "partner": row.partner}
    if row.revoked_at is not None:
        return Decision([], reply)
    return Decision([e.KeyEnds(row.id, context.now, is_revoked=True)], reply)


def note_use(state: Any, command: c.NoteKeyUse, context: Context) -> Decision:
    """Of several processes that tell of it, the latest use counts."""
    row = state.partner_keys.get(command.id)
    if row is None or (row.last_used_at or 0) >= command.at:
        return Decision([], {})
    return Decision([e.KeyUsed(row.id, command.at)], {})


def counts(row: PartnerKey, now: int) -> bool:
    """Whether the key may be used now."""
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def _check_end(expires_at: int | None, context: Context) -> None:
    if expires_at is not None and expires_at <= context.now:
        raise Rejected("bad_record", field="expires_at", expected="in the future")
