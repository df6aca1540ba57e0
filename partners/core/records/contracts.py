"""Versions of agreements: a draft may be rewritten, an active one never; one version of a partner is in force."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.core.errors import Rejected
from engine.core.events import Decision
from partners.core.context import Context
from partners.core.records import commands as c
from partners.core.records import events as e
from partners.core.records.agreed import as_row_terms
from partners.core.records.fitting import check_terms
from partners.core.records.rows import Agreement, Partner, agreement_id
from partners.core.records.vetting import put

MOVES = {"draft": ("active",), "active": ("ended",), "superseded": (), "ended": ()}


def record_agreement(state: Any, command: c.RecordAgreement, context: Context) -> Decision:
    """Raises `unknown_partner`, `bad_agreement`, `agreement_fixed`."""
    partner = _partner(state, command.partner)
    check_terms(command.terms, command.starts_on, command.ends_on)
    if command.version < 1:
        raise Rejected("bad_agreement", field="version", found=str(command.version), expected="1 or more")
    if command.terms.currency != partner.currency:
        found, expected = command.terms.currency, f"the partner's, {partner.currency}"
        raise Rejected("bad_agreement", field="currency", found=found, expected=expected)
    name = agreement_id(command.partner, command.version)
    known = state.agreements.get(name)
    row = Agreement(
        id=name,
        partner=command.partner,
        version=command.version,
        status=known.status if known else "draft",
        starts_on=command.starts_on,
        ends_on=command.ends_on,
        status_at=known.status_at if known else context.now,
        terms=as_row_terms(command.terms),
    )
    reply: dict[str, object] = {"agreement": name, "status": row.status}
    if row == known:
        return Decision([], reply)
    if known is not None and known.status != "draft":
        raise Rejected("agreement_fixed", agreement=name, status=known.status)
    return Decision([e.AgreementRecorded(row, command.operator)], reply)


def move_agreement(state: Any, command: c.MoveAgreement, context: Context) -> Decision:
    """Raises `unknown_partner`, `unknown_agreement`, `bad_move`."""
    partner = _partner(state, command.partner)
    name = agreement_id(command.partner, command.version)
    row = state.agreements.get(name)
    if row is None:
        raise Rejected("unknown_agreement", agreement=name)
    reply: dict[str, object] = {"agreement": name, "status": command.status}
    if row.status == command.status:
        return Decision([], reply)
    if command.status not in MOVES[row.status]:
        moves = list(MOVES[row.status])
        raise Rejected("bad_move", found=command.status, was=row.status, moves=moves)
    moved = replace(row, status=command.status, status_at=context.now)
    events: list[object] = [e.AgreementRecorded(moved, command.operator)]
    if command.status == "active":
        before = state.agreements.get(partner.agreement) if partner.agreement else None
        if before is not None and before.version > row.version:
            raise Rejected("bad_move", found=name, was=before.id, moves=["a later version"])
        if before is not None and before.status == "active":
            ended = replace(before, status="superseded", status_at=context.now)
            events.append(e.AgreementRecorded(ended, command.operator))
        named = replace(partner, agreement=name)
        events.append(e.PartnerRecorded(named, "agreement", command.operator))
    return Decision(events, reply)


def agreement_recorded(state: Any, event: e.AgreementRecorded) -> None:
    """Keep the version."""
    put(state.agreements, event.agreement.id, event.agreement)


def _partner(state: Any, name: str) -> Partner:
    partner: Partner | None = state.partner_records.get(name)
    if partner is None:
        raise Rejected("unknown_partner", partner=name)
    return partner
