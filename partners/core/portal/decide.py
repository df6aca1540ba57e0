"""What becomes of a wish about the portal. Who may wish it was found out before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.core.context import Context
from engine.core.errors import Rejected
from engine.core.events import Decision
from engine.core.game import Rule
from engine.core.state import By, Touch
from partners.core.after_events import Noted
from partners.core.after_rows import AuditEvent
from partners.core.portal import commands as c
from partners.core.portal import events as e
from partners.core.portal.rows import (
    SESSIONS_MAX,
    ListedOrder,
    Notice,
    PortalState,
    SentForm,
    Session,
    Staff,
    staff_id,
)


def touches(command: Any, state: PortalState) -> Iterator[Touch]:
    """The rows that a command reads or changes."""
    match command:
        case c.InviteStaff():
            yield Touch("portal_staff", staff_id(command.partner, command.name))
        case c.RemoveStaff():
            yield from _of_staff(staff_id(command.partner, command.name))
        case c.TakeInvitation():
            yield from _of_staff(command.staff)
        case c.BeginSession():
            yield from _of_staff(command.staff)
            yield Touch("portal_sessions", command.session)
        case c.EndSession():
            yield Touch("portal_sessions", command.session)
        case c.ListOrder():
            yield Touch("portal_orders", command.order)
        case c.PostNotice():
            yield Touch("portal_orders", command.order)
            yield Touch("portal_notices", command.notice)
        case c.KeepForm():
            yield Touch("portal_staff", command.staff)
            yield Touch("portal_forms", _form_id(command))


def _of_staff(name: str) -> Iterator[Touch]:
    yield Touch("portal_staff", name)
    yield Touch("portal_sessions", By("staff", name))


def _form_id(command: c.KeepForm) -> str:
    return f"{command.staff}/{command.form}"


# --- staff ----------------------------------------------------------------------------------------


def _invite(state: PortalState, command: c.InviteStaff, context: Context) -> Decision:
    name = staff_id(command.partner, command.name)
    known = state.portal_staff.get(name)
    fresh = Staff(name, command.partner, "invited", command.language, "", "", None, context.now)
    base = known if known is not None and known.state == "active" else fresh
    staff = replace(
        base,
        language=command.language,
        invitation=command.invitation,
        invited_until_at=command.until_at,
        changed_at=context.now,
    )
    told = _noted(context, command.operator, name, known, staff, "invited")
    return Decision([e.StaffChanged(staff), told], {"staff": name, "state": staff.state})


def _remove(state: PortalState, command: c.RemoveStaff, context: Context) -> Decision:
    name = staff_id(command.partner, command.name)
    known = state.portal_staff.get(name)
    if known is None:
        raise Rejected("unknown_staff", staff=name)
    if known.state == "removed":
        return Decision([], {"staff": name, "state": "removed"})
    staff = replace(
        known, state="removed", password="", invitation="", invited_until_at=None, changed_at=context.now
    )
    told = _noted(context, command.operator, name, known, staff, "")
    return Decision(
        [e.StaffChanged(staff), *_all_end(state, name), told], {"staff": name, "state": "removed"}
    )


def _take(state: PortalState, command: c.TakeInvitation, context: Context) -> Decision:
    known = state.portal_staff.get(command.staff)
    if known is None or known.state == "removed" or not known.invitation:
        raise Rejected("token_invalid")
    if known.invitation != command.invitation:
        raise Rejected("token_invalid")
    if known.invited_until_at is None or known.invited_until_at <= context.now:
        raise Rejected("token_expired")
    staff = replace(
        known,
        state="active",
        password=command.password,
        invitation="",
        invited_until_at=None,
        changed_at=context.now,
    )
    told = _noted(context, f"partner:{known.id}", known.id, known, staff, "password set")
    return Decision([e.StaffChanged(staff), *_all_end(state, known.id), told], {"staff": known.id})


def _all_end(state: PortalState, staff: str) -> list[object]:
    ended = sorted(one.id for one in state.portal_sessions.where("staff", staff))
    return [e.SessionsEnded(ended)] if ended else []


def _noted(context: Context, actor: str, name: str, known: Staff | None, staff: Staff, reason: str) -> Noted:
    was = known.state if known is not None else ""
    line = AuditEvent(
        f"{context.new_id()}-000",
        context.now,
        actor,
        f"staff {name}",
        "state",
        was,
        staff.state,
        reason,
        place=None,
        previous="",
        hash="",
    )
    return Noted([line])


# --- sessions -------------------------------------------------------------------------------------


def _begin(state: PortalState, command: c.BeginSession, context: Context) -> Decision:
    """The password may have been changed, or its owner removed, while it was being checked."""
    known = state.portal_staff.get(command.staff)
    if known is None or known.state != "active" or known.password != command.password:
        raise Rejected("forbidden")
    if state.portal_sessions.get(command.session) is not None:
        raise Rejected("forbidden")
    rows = sorted(state.portal_sessions.where("staff", known.id), key=lambda one: (one.begun_at, one.id))
    over = [one for one in rows if one.until_at <= context.now]
    live = [one for one in rows if one.until_at > context.now]
    ended = [one.id for one in [*over, *live[: max(0, len(live) + 1 - SESSIONS_MAX)]]]
    session = Session(command.session, known.id, context.now, command.until_at)
    events: list[object] = [e.SessionsEnded(ended)] if ended else []
    return Decision([*events, e.SessionBegun(session)], {"staff": known.id, "language": known.language})


def _end(state: PortalState, command: c.EndSession, context: Context) -> Decision:
    known = state.portal_sessions.get(command.session)
    return Decision([e.SessionsEnded([command.session])] if known is not None else [])


# --- what lies there, and forms ---------------------------------------------------------------------


def _list(state: PortalState, command: c.ListOrder, context: Context) -> Decision:
    known = state.portal_orders.get(command.order)
    if known is not None:
        if (known.partner, known.sheet) != (command.partner, command.sheet):
            raise Rejected("key_reused", order=command.order)
        return Decision([], {"order": known.id, "listed_at": known.listed_at})
    listed = ListedOrder(command.order, command.partner, context.now, command.sheet)
    return Decision([e.OrderListed(listed)], {"order": listed.id, "listed_at": context.now})


def _post(state: PortalState, command: c.PostNotice, context: Context) -> Decision:
    """An order that came to its partner in another way, before the portal, may be written about here."""
    listed = state.portal_orders.get(command.order)
    if listed is not None and listed.partner != command.partner:
        raise Rejected("unknown_order", order=command.order)
    known = state.portal_notices.get(command.notice)
    if known is not None:
        if (known.order_id, known.kind) != (command.order, command.kind):
            raise Rejected("key_reused", order=command.order)
        return Decision([], {"order": known.order_id, "noted_at": known.noted_at})
    notice = Notice(
        command.notice,
        command.partner,
        command.order,
        command.kind,
        command.text,
        command.trees,
        context.now,
    )
    return Decision([e.NoticePosted(notice)], {"order": command.order, "noted_at": context.now})


def _keep(state: PortalState, command: c.KeepForm, context: Context) -> Decision:
    known = state.portal_forms.get(_form_id(command))
    if known is not None:
        if known.digest != command.digest:
            raise Rejected("key_reused")
        return Decision([], {"answer": known.answer})
    if state.portal_staff.get(command.staff) is None:
        raise Rejected("unknown_staff", staff=command.staff)
    form = SentForm(
        _form_id(command),
        command.staff,
        command.kind,
        command.order,
        command.digest,
        context.now,
        command.answer,
        command.said,
    )
    return Decision([e.FormKept(form)], {"answer": form.answer})


_DECIDERS: Mapping[type, Callable[[Any, Any, Context], Decision]] = {
    c.InviteStaff: _invite,
    c.RemoveStaff: _remove,
    c.TakeInvitation: _take,
    c.BeginSession: _begin,
    c.EndSession: _end,
    c.ListOrder: _list,
    c.PostNotice: _post,
    c.KeepForm: _keep,
}
RULES: Mapping[type, Rule] = {
    kind: Rule(touches, decider, is_journaled=False) for kind, decider in _DECIDERS.items()
}
