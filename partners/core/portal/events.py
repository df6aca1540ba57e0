"""Facts of the portal, past tense, and what each changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from partners.core.portal.rows import ListedOrder, Notice, PortalState, SentForm, Session, Staff


@dataclass(slots=True)
class StaffChanged:
    """The row as it is now."""

    staff: Staff


@dataclass(slots=True)
class SessionBegun:
    """A browser is logged in."""

    session: Session


@dataclass(slots=True)
class SessionsEnded:
    """These browsers are not logged in any more."""

    sessions: list[str]


@dataclass(slots=True)
class OrderListed:
    """An order lies in its partner's list."""

    listed: ListedOrder


@dataclass(slots=True)
class NoticePosted:
    """A partner was told something."""

    notice: Notice


@dataclass(slots=True)
class FormKept:
    """A form was taken, and this is its answer."""

    form: SentForm


def _staff(state: PortalState, event: StaffChanged) -> None:
    if state.portal_staff.get(event.staff.id) is None:
        state.portal_staff.add(event.staff.id, event.staff)
    else:
        state.portal_staff.put(event.staff.id, event.staff)


def _begun(state: PortalState, event: SessionBegun) -> None:
    state.portal_sessions.add(event.session.id, event.session)


def _ended(state: PortalState, event: SessionsEnded) -> None:
    for name in event.sessions:
        state.portal_sessions.remove(name)


def _listed(state: PortalState, event: OrderListed) -> None:
    state.portal_orders.add(event.listed.id, event.listed)


def _posted(state: PortalState, event: NoticePosted) -> None:
    state.portal_notices.add(event.notice.id, event.notice)


def _kept(state: PortalState, event: FormKept) -> None:
    state.portal_forms.add(event.form.id, event.form)


EVOLVE: Mapping[type, Callable[[Any, Any], None]] = {
    StaffChanged: _staff,
    SessionBegun: _begun,
    SessionsEnded: _ended,
    OrderListed: _listed,
    NoticePosted: _posted,
    FormKept: _kept,
}
