"""Logging in and out, and links that set a password."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.core.errors import Rejected
from engine.core.units import MINUTE_MS, SECOND_MS
from partners.core.portal.commands import BeginSession, EndSession, TakeInvitation
from partners.core.portal.rows import Staff
from partners.portal.desk import SESSION_COOKIE, PortalDesk, Visitor
from partners.portal.pages import PATH, keep, page, text
from partners.portal.secrets import digest, hashed, is_password, new_token, password_problem
from partners.portal.sent import Sent
from partners.store import portal_queries

STAFF = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9][a-z0-9._-]{0,39}$")
_PLACE = re.compile(rf"^{PATH}(/[A-Za-z0-9._-]{{1,64}}){{0,4}}$")


def with_browser(visitor: Visitor) -> Visitor:
    """The visitor with something that forms can be bound to."""
    return visitor if visitor.browser else replace(visitor, browser=new_token())


def known_place(place: str) -> str:
    """A page of ours to go to after a login; the first one for anything else."""
    return place if _PLACE.match(place) and ".." not in place else f"{PATH}/orders"


def login_page(
    desk: PortalDesk,
    request: Request,
    visitor: Visitor,
    status: int = 200,
    problem: str = "",
    staff: str = "",
    to: str = "",
    carried: list[tuple[str, str]] | None = None,
    note: str = "",
) -> Response:
    """The page to log in, which carries along a form that came without a login."""
    bound = with_browser(visitor)
    response = page(
        desk,
        request,
        bound,
        "login",
        status,
        problem=problem,
        staff=staff,
        to=to,
        carried=carried or [],
        note=note,
        keeps_language=bool(carried),
    )
    keep(desk, response, SESSION_COOKIE, desk.seals.cookie(bound.browser), None)
    return response


async def log_in(desk: PortalDesk, request: Request, visitor: Visitor, sent: Sent) -> Visitor | str:
    """The visitor, logged in; or the text that says why not."""
    name, now = sent.of("staff").strip().lower()[:110], desk.clock.now_ms()
    address = request.client.host if request.client else ""
    wait_ms = desk.throttle.wait_ms(name, address, now)
    if wait_ms:
        return text("login.wait", visitor.language, minutes=max(1, -(-wait_ms // MINUTE_MS)))
    staff = await _checked(desk, name, sent.of("password"))
    partner = desk.partners.get(staff.partner) if staff is not None else None
    if staff is None or partner is None:
        desk.throttle.failed(name, address, now)
        return text("login.wrong", visitor.language)
    desk.throttle.passed(name)
    token = new_token()
    until_at = now + desk.session_s * SECOND_MS
    try:
        await desk.submit(BeginSession(staff.id, staff.password, digest(token), until_at))
    except Rejected as refusal:
        if refusal.code != "forbidden":
            raise
        return text("login.wrong", visitor.language)
    return Visitor(token, "in", visitor.language, staff.id, partner)


async def _checked(desk: PortalDesk, name: str, password: str) -> Staff | None:
    """The member of staff whose password it is. Takes the same time for ids that nobody has."""
    staff = None
    if STAFF.match(name):
        async with desk.reading() as reader:
            staff = await portal_queries.staff_called(reader, name)
    stored = staff.password if staff is not None and staff.state == "active" else ""
    async with desk.hashing:
        is_right = await asyncio.to_thread(is_password, stored, password)
    return staff if is_right else None


def stay(desk: PortalDesk, response: Response, visitor: Visitor) -> Response:
    """Let the browser keep the login."""
    keep(desk, response, SESSION_COOKIE, desk.seals.cookie(visitor.browser), desk.session_s)
    return response


async def log_out(desk: PortalDesk, visitor: Visitor) -> Response:
    """End the session here and in the browser."""
    if visitor.browser:
        await desk.submit(EndSession(digest(visitor.browser)))
    response = RedirectResponse(f"{PATH}/login", 303)
    keep(desk, response, SESSION_COOKIE, "", 0)
    return response


# --- links ---------------------------------------------------------------------------------------------


async def invited(desk: PortalDesk, token: str) -> Staff | None:
    """Whose link it is, while it holds."""
    async with desk.reading() as reader:
        staff = await portal_queries.staff_invited(reader, digest(token))
    if staff is None or staff.partner not in desk.partners:
        return None
    return staff if (staff.invited_until_at or 0) > desk.clock.now_ms() else None


async def set_password(desk: PortalDesk, token: str, staff: Staff, sent: Sent) -> str:
    """Take the link: the code of what is wrong with the password, or nothing."""
    password = sent.of("password")
    problem = password_problem(password, staff.id)
    if problem is not None:
        return problem
    if password != sent.of("again"):
        return "password_differs"
    async with desk.hashing:
        stored = await asyncio.to_thread(hashed, password)
    await desk.submit(TakeInvitation(staff.id, digest(token), stored))
    return ""
