"""Who a partner is and whether it may be asked: status, vetting documents, contacts.

An expired document or a suspension follows from now; nothing has to be switched off when the day comes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.units import local_instant
from partners.core.context import Context
from partners.core.records import commands as c
from partners.core.records import events as e
from partners.core.records.rows import (
    CONTACT_ROLES,
    DOCUMENT_KINDS,
    PARTNER_KINDS,
    TIERS,
    Contact,
    Partner,
    Performance,
    Private,
)

CONTACTS_MAX = 20
DOCUMENTS_MAX = 100
ADDRESS_CHARACTERS_MAX = 200

MOVES = {
    "applied": ("vetting", "left"),
    "vetting": ("active", "left", "applied"),
    "active": ("suspended", "left"),
    "suspended": ("active", "left"),
    "left": ("vetting",),
}


def blocked(partner: Partner | None, now: int) -> tuple[str, int] | None:
    """Why nothing may be asked of the partner now, and since when; None where it may.

    A partner without a record is not blocked for what it was asked before; for new orders see `placing`.
    """
    if partner is None:
        return None
    if partner.status != "active":
        return f"partner_{partner.status}", partner.status_at
    until_at = partner.documents_until_at
    if until_at is not None and now >= until_at:
        return "document_expired", until_at
    return None


def record_partner(state: Any, command: c.RecordPartner, context: Context) -> Decision:
    """Raises `bad_record` naming the field."""
    for field, holds, expected in (
        ("kind", command.kind in PARTNER_KINDS, ", ".join(PARTNER_KINDS)),
        ("tier", command.tier in TIERS, "1 to 3"),
        ("country", len(command.country) == 2 and command.country.isupper(), "an ISO 3166 code such as CN"),
        ("currency", len(command.currency) == 3 and command.currency.isupper(), "an ISO 4217 code"),
        ("name", bool(command.name_zh.strip() or command.name_en.strip()), "a name in Chinese or English"),
        ("languages", bool(command.languages), "at least one language"),
    ):
        if not holds:
            raise Rejected("bad_record", field=field, expected=expected)
    known = state.partner_records.get(command.partner)
    told: dict[str, Any] = {
        "name_zh": command.name_zh,
        "name_en": command.name_en,
        "country": command.country,
        "kind": command.kind,
        "tier": command.tier,
        "currency": command.currency,
        "languages": list(command.languages),
    }
    if known is None:
        fresh = {"status": "applied", "reason": "", "status_at": context.now, "agreement": ""}
        row = Partner(id=command.partner, documents_until_at=None, **fresh, **told)
    else:
        row = replace(known, **told)
    return _recorded(known, row, "recorded", command.operator)


def move_partner(state: Any, command: c.MovePartner, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_move` (with the moves there are), `not_vetted`, `bad_record` (no reason)."""
    partner = _known(state, command.partner)
    if command.status == partner.status:
        return Decision([], {"partner": partner.id, "status": partner.status})
    if command.status not in MOVES[partner.status]:
        moves = list(MOVES[partner.status])
        raise Rejected("bad_move", found=command.status, was=partner.status, moves=moves)
    if command.status == "suspended" and not command.reason.strip():
        raise Rejected("bad_record", field="reason", expected="why it is suspended, in a sentence")
    moved = replace(partner, status=command.status, reason=command.reason, status_at=context.now)
    if command.status == "active":
        until_at = moved.documents_until_at
        if partner.kind != "simulated" and (until_at is None or until_at <= context.now):
            raise Rejected("not_vetted", partner=partner.id, documents=len(partner.documents))
    return _recorded(partner, moved, "moved", command.operator)


def record_document(state: Any, command: c.RecordDocument, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_record`."""
    partner = _known(state, command.partner)
    if command.kind not in DOCUMENT_KINDS:
        raise Rejected("bad_record", field="kind", expected=", ".join(DOCUMENT_KINDS))
    if _end_of(command.expires_on) is None:
        raise Rejected("bad_record", field="expires_on", expected="YYYY-MM-DD")
    document = {
        "kind": command.kind,
        "number": command.number,
        "issuer": command.issuer,
        "expires_on": command.expires_on,
        "sha256": command.sha256,
    }
    if document in partner.documents:
        return Decision([], {"partner": partner.id})
    if len(partner.documents) >= DOCUMENTS_MAX:
        raise Rejected("bad_record", field="documents", expected=f"at most {DOCUMENTS_MAX}")
    documents = [*partner.documents, document]
    moved = replace(partner, documents=documents, documents_until_at=_until(documents))
    return _recorded(partner, moved, "document", command.operator)


def set_contacts(state: Any, command: c.SetContacts, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_record`."""
    partner = _known(state, command.partner)
    if len(command.contacts) > CONTACTS_MAX:
        raise Rejected("bad_record", field="contacts", expected=f"at most {CONTACTS_MAX}")
    places: dict[str, int] = {}
    wanted: list[tuple[str, int, str, str]] = []
    for contact in command.contacts:
        if contact.role not in CONTACT_ROLES:
            raise Rejected("bad_record", field="role", expected=", ".join(CONTACT_ROLES))
        if not contact.address.strip() or len(contact.address) > ADDRESS_CHARACTERS_MAX:
            expected = f"1 to {ADDRESS_CHARACTERS_MAX} characters"
            raise Rejected("bad_record", field="address", expected=expected)
        places[contact.role] = places.get(contact.role, 0) + 1
        wanted.append((contact.role, places[contact.role], contact.name, contact.address))
    known = state.contacts.where("partner", partner.id)
    if {(row.role, row.place, row.name, row.address) for row in known} == set(wanted):
        return Decision([], {"contacts": len(wanted)})
    event = e.ContactsSet(
        partner.id,
        tuple((role, place, Private(name), Private(address)) for role, place, name, address in wanted),
        tuple((row.partner, row.role, row.place) for row in known),
    )
    return Decision([event], {"contacts": len(wanted)})


# --- evolve ---------------------------------------------------------------------------------------


def partner_recorded(state: Any, event: e.PartnerRecorded) -> None:
    """Keep the partner; its performance is counted from now on."""
    row = event.partner
    put(state.partner_records, row.id, row)
    if state.performances.get(row.id) is None:
        state.performances.add(row.id, Performance(row.id, 0, 0, 0, 0, 0))


def contacts_set(state: Any, event: e.ContactsSet) -> None:
    """Replace all contacts."""
    for key in event.gone:
        state.contacts.remove(key)
    for role, place, name, address in event.contacts:
        row = Contact(event.partner, role, place, name.value, address.value)
        state.contacts.add((event.partner, role, place), row)


def put(shelf: Any, key: Any, row: Any) -> None:
    """The row under its key, whether there was one or not."""
    if shelf.get(key) is None:
        shelf.add(key, row)
    else:
        shelf.put(key, row)


# --- what the rules share -------------------------------------------------------------------------


def _known(state: Any, name: str) -> Partner:
    partner: Partner | None = state.partner_records.get(name)
    if partner is None:
        raise Rejected("unknown_partner", partner=name)
    return partner


def _recorded(known: Partner | None, row: Partner, what: str, by: str) -> Decision:
    reply: dict[str, object] = {"partner": row.id, "status": row.status}
    return Decision([] if row == known else [e.PartnerRecorded(row, what, by)], reply)


def _until(documents: list[dict[str, str]]) -> int | None:
    """When the first kind of document has run out, where the latest of each kind counts."""
    latest: dict[str, int] = {}
    for document in documents:
        ends_at = _end_of(document["expires_on"]) or 0
        latest[document["kind"]] = max(ends_at, latest.get(document["kind"], 0))
    return min(latest.values(), default=None)


def _end_of(on: str) -> int | None:
    try:
        return local_instant(date.fromisoformat(on) + timedelta(days=1), 0, "UTC")
    except ValueError:
        return None
