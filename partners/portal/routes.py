"""The portal's addresses: each finds out who is looking, then shows a page or takes a form.

Whoever is not logged in sees the page to log in, and a form that came without a login waits behind it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from engine.api.problems import STATUS
from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from partners.portal import files, forms, logins, pages, views
from partners.portal.desk import PortalDesk, Visitor
from partners.portal.pages import PATH, page, text
from partners.portal.receiving import receive_photos
from partners.portal.sent import FORM_ID, Sent, carried_of, read_sent
from partners.store import evidence_queries, portal_queries

MEDIA_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
BYTES_MAX = 64 * 1024 * 1024
OVER_MS_MAX = DAY_MS
"""How long after its login has ended photos that come with a form are still kept for it."""

_FORM_PLACE = re.compile(rf"^{PATH}/orders/([A-Z0-9-]{{1,40}})/(answer|planting|mend|cancel)$")
NumberPath = Annotated[str, Path(max_length=40)]
KindPath = Annotated[str, Path(pattern="^(answer|planting|mend|cancel)$")]
HashPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Handler = Callable[[Request, Visitor], Awaitable[Response]]


def portal_files() -> dict[str, tuple[int, tuple[str, ...]]]:
    """What these paths take in place of JSON."""
    return {PATH: (BYTES_MAX, MEDIA_TYPES)}


def portal_router(desk: PortalDesk) -> APIRouter:
    """All pages, under /portal."""
    router = APIRouter(prefix=PATH, include_in_schema=False)
    _add_static(router)
    _add_logins(router, desk)
    _add_links(router, desk)
    _add_orders(router, desk)
    _add_forms(router, desk)
    _add_files(router, desk)
    return router


# --- what all have in common ---------------------------------------------------------------------------


async def _shown(desk: PortalDesk, request: Request, handler: Handler, is_open: bool = False) -> Response:
    """The handler's page for who is looking; the page to log in, or one that says what went wrong."""
    visitor = Visitor("", "out", "zh")
    try:
        visitor = await desk.visitor(request)
        if not is_open and visitor.standing != "in":
            if request.method == "GET":
                to = quote(request.url.path)
                return RedirectResponse(f"{PATH}/login?to={to}", 303)
            return await _waits(desk, request, visitor)
        return await handler(request, visitor)
    except Rejected as refusal:
        status = STATUS.get(refusal.code, 500)
        kind = {404: "gone", 413: "large", 503: "away"}.get(status, "refused")
        return page(desk, request, visitor, "error", status, kind=kind, code=refusal.code)
    finally:
        await request.close()  # what came along lay in temporary files


def _is_ours(desk: PortalDesk, request: Request, visitor: Visitor, sent: Sent) -> bool:
    """Whether a form was given out by us to this browser."""
    from_where = request.headers.get("sec-fetch-site", "same-origin")
    return from_where in ("same-origin", "none") and desk.seals.is_form_token(
        visitor.browser, sent.of("token")
    )


async def _waits(desk: PortalDesk, request: Request, visitor: Visitor) -> Response:
    """A form that came without a login: shown again behind it, with what was typed and, if it can be, its photos."""
    sent = await read_sent(request)
    if visitor.standing == "over" and visitor.partner is not None and _is_ours(desk, request, visitor, sent):
        await receive_photos(desk, visitor.partner.id, sent)
    carried = sent.carried() if _FORM_PLACE.match(request.url.path) else []
    return logins.login_page(
        desk,
        request,
        visitor,
        401,
        staff=visitor.staff,
        to=request.url.path,
        carried=carried,
        note="login.over_form" if carried else "login.over",
    )


def _form_page(
    desk: PortalDesk,
    request: Request,
    visitor: Visitor,
    view: views.OrderView,
    form: forms.Form,
    status: int = 200,
) -> Response:
    return page(
        desk,
        request,
        visitor,
        form.kind,
        status,
        order=view,
        form=form,
        keeps_language=status != 200 or bool(form.note),
        upload_pass=files.upload_pass(desk, visitor),
        today=views.today_of(desk),
        action=f"{PATH}/orders/{view.number}/{form.kind}",
    )


# --- logging in ----------------------------------------------------------------------------------------


def _add_static(router: APIRouter) -> None:
    @router.get("/static/{fingerprint}/{name}")
    async def static(request: Request, fingerprint: str, name: str) -> Response:
        """The style sheet and the script, kept by browsers for a year under this address."""
        try:
            _, data, media = pages.asset(name)
        except KeyError:
            return Response(status_code=404)
        headers = {
            "cache-control": f"public, max-age={pages.STATIC_MAX_AGE_S}, immutable",
            "vary": "accept-encoding",
        }
        return pages.compressed(request, data, media, headers)


def _add_logins(router: APIRouter, desk: PortalDesk) -> None:
    @router.get("/login")
    async def login(request: Request) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            to = logins.known_place(request.query_params.get("to", ""))
            if visitor.standing == "in":
                return RedirectResponse(to, 303)
            note = "login.set" if "set" in request.query_params else ""
            staff = request.query_params.get("staff", "")[:110]
            return logins.login_page(desk, request, visitor, to=to, note=note, staff=staff)

        return await _shown(desk, request, show, is_open=True)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        async def take(request: Request, visitor: Visitor) -> Response:
            sent = await read_sent(request)
            carried = carried_of(sent)
            to = sent.of("carry_to" if carried else "to")
            if not _is_ours(desk, request, visitor, sent):
                found: Visitor | str = text("login.stale", visitor.language)
            else:
                found = await logins.log_in(desk, request, visitor, sent)
            if isinstance(found, str):
                return logins.login_page(
                    desk,
                    request,
                    visitor,
                    422,
                    found,
                    sent.of("staff"),
                    to,
                    carried.carried() if carried else [],
                )
            place = _FORM_PLACE.match(to) if carried else None
            if place is None or carried is None:
                return logins.stay(desk, RedirectResponse(logins.known_place(to), 303), found)
            view = await views.order_view(desk, found, place[1])
            form = forms.filled_form(place[2], carried, "kept")
            return logins.stay(desk, _form_page(desk, request, found, view, form), found)

        return await _shown(desk, request, take, is_open=True)

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        async def take(request: Request, visitor: Visitor) -> Response:
            sent = await read_sent(request)
            if not _is_ours(desk, request, visitor, sent):
                return RedirectResponse(f"{PATH}/orders", 303)
            return await logins.log_out(desk, visitor)

        return await _shown(desk, request, take)


def _add_links(router: APIRouter, desk: PortalDesk) -> None:
    def link_page(request: Request, visitor: Visitor, status: int, **context: Any) -> Response:
        bound = logins.with_browser(visitor)
        response = page(desk, request, bound, "invitation", status, **context)
        pages.keep(desk, response, logins.SESSION_COOKIE, desk.seals.cookie(bound.browser), None)
        return response

    @router.get("/invitation/{token}")
    async def invitation(request: Request, token: str) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            staff = await logins.invited(desk, token)
            status = 200 if staff is not None else 404
            return link_page(request, visitor, status, staff=staff, problem="", token=token)

        return await _shown(desk, request, show, is_open=True)

    @router.post("/invitation/{token}")
    async def take_invitation(request: Request, token: str) -> Response:
        async def take(request: Request, visitor: Visitor) -> Response:
            sent = await read_sent(request)
            staff = await logins.invited(desk, token)
            if staff is None:
                return link_page(request, visitor, 404, staff=None, problem="", token=token)
            problem = "stale"
            if _is_ours(desk, request, visitor, sent):
                problem = await logins.set_password(desk, token, staff, sent)
            if problem:
                return link_page(request, visitor, 422, staff=staff, problem=problem, token=token)
            return RedirectResponse(f"{PATH}/login?set=1&staff={quote(staff.id, safe='/')}", 303)

        return await _shown(desk, request, take, is_open=True)


# --- orders --------------------------------------------------------------------------------------------


def _add_orders(router: APIRouter, desk: PortalDesk) -> None:
    @router.get("")
    async def first(request: Request) -> Response:
        return RedirectResponse(f"{PATH}/orders", 303)

    @router.get("/orders")
    async def orders(request: Request) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            is_over = "over" in request.query_params
            rows = await views.orders_shown(desk, visitor, is_over)
            return page(desk, request, visitor, "orders", orders=rows, is_over=is_over)

        return await _shown(desk, request, show)

    @router.get("/orders/{number}")
    async def order(request: Request, number: NumberPath) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            view = await views.order_view(desk, visitor, number)
            done = await _done(desk, request, visitor)
            return page(desk, request, visitor, "order", order=view, done=done)

        return await _shown(desk, request, show)

    @router.get("/money")
    async def money(request: Request) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            return page(desk, request, visitor, "money", rows=await views.money_shown(desk, visitor))

        return await _shown(desk, request, show)

    @router.get("/photos/{sha256}")
    async def photo(request: Request, sha256: HashPath) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            assert visitor.partner is not None
            async with desk.reading() as reader:
                owner = await evidence_queries.owner_of(reader, sha256)
            thumb = desk.evidence.folder.thumb(sha256)
            if owner != visitor.partner.id or not thumb.is_file():
                raise Rejected("unknown_photo")
            return FileResponse(thumb, media_type="image/jpeg")

        return await _shown(desk, request, show)


async def _done(desk: PortalDesk, request: Request, visitor: Visitor) -> list[str]:
    """What came of the form that the visitor has just sent, in words."""
    form = request.query_params.get("done", "")
    if not FORM_ID.match(form):
        return []
    async with desk.reading() as reader:
        known = await portal_queries.form_sent(reader, f"{visitor.staff}/{form}")
    return forms.lines_told(known.answer, visitor.language) if known is not None else []


def _add_forms(router: APIRouter, desk: PortalDesk) -> None:
    @router.get("/orders/{number}/{kind}")
    async def form(request: Request, number: NumberPath, kind: KindPath) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            view = await views.order_view(desk, visitor, number)
            if view.can != kind and not (kind == "cancel" and view.may_cancel):
                return RedirectResponse(f"{PATH}/orders/{view.number}", 303)
            return _form_page(desk, request, visitor, view, forms.fresh_form(desk, kind, view))

        return await _shown(desk, request, show)

    @router.post("/orders/{number}/{kind}")
    async def take_form(request: Request, number: NumberPath, kind: KindPath) -> Response:
        async def take(request: Request, visitor: Visitor) -> Response:
            sent = await read_sent(request)
            view = await views.order_view(desk, visitor, number)
            if not _is_ours(desk, request, visitor, sent):
                again = forms.filled_form(kind, sent, "check_again")
                return _form_page(desk, request, visitor, view, again, 403)
            became = await forms.take_form(desk, visitor, view, kind, sent)
            if became.shown is not None:
                return _form_page(desk, request, visitor, view, became.shown, became.status)
            return RedirectResponse(f"{PATH}/orders/{view.number}?done={became.form}#done", 303)

        return await _shown(desk, request, take)


# --- files ---------------------------------------------------------------------------------------------


def _add_files(router: APIRouter, desk: PortalDesk) -> None:
    @router.get("/files")
    async def shown(request: Request) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            return await files.files_page(desk, request, visitor)

        return await _shown(desk, request, show)

    @router.post("/files")
    async def take_file(request: Request) -> Response:
        async def take(request: Request, visitor: Visitor) -> Response:
            sent = await read_sent(request)
            if not _is_ours(desk, request, visitor, sent):
                return await files.files_page(desk, request, visitor, 403, note="check_again")
            return await files.take_file(desk, request, visitor, sent)

        return await _shown(desk, request, take)

    @router.get("/files/{form}")
    async def returned(request: Request, form: Annotated[str, Path(pattern=FORM_ID.pattern)]) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            return await files.returned_response(desk, visitor, form)

        return await _shown(desk, request, show)

    @router.get("/orders/{number}/files/{kind}")
    async def sheet(
        request: Request,
        number: NumberPath,
        kind: Annotated[str, Path(pattern="^(order|planting|survival)$")],
    ) -> Response:
        async def show(request: Request, visitor: Visitor) -> Response:
            return await files.sheet_response(desk, visitor, number, kind)

        return await _shown(desk, request, show)
