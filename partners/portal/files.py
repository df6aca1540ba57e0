"""Sheets by the portal: orders and reports to fill in, and filled ones back in, with what is wrong in the same file."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, SECOND_MS
from engine.pictures import write_whole
from engine.store.database import DatabaseAway
from partners.adapters.files.letters import Line
from partners.adapters.files.mails import File
from partners.adapters.files.sheets import order_file, planting_file, survival_file
from partners.evidence.folder import room
from partners.evidence.passes import make_pass
from partners.intake import Came, TakeLater, Taken, order_facts
from partners.port import order_sheet
from partners.portal import forms, views
from partners.portal.desk import PortalDesk, Visitor
from partners.portal.pages import PATH, page
from partners.portal.receiving import receive_photos
from partners.portal.sent import FORM_ID, Sent, named_apart, new_form_id, photo_name
from partners.sheets.limits import FILE_BYTES_MAX
from partners.store import portal_queries

PASS_S = 6 * 3600
KEPT_MS = 30 * DAY_MS
"""How long a file with what is wrong in it lies here to be fetched."""

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = "text/csv; charset=utf-8"
SLOT = "sheet"


def upload_pass(desk: PortalDesk, visitor: Visitor) -> str:
    """With what the page's script may upload photos in the partner's name, for some hours."""
    assert visitor.partner is not None
    expires_s = desk.evidence.wall_ms() // SECOND_MS + PASS_S
    return make_pass(visitor.partner.keys[0], visitor.partner.id, expires_s)


async def files_page(
    desk: PortalDesk, request: Request, visitor: Visitor, status: int = 200, note: str = ""
) -> Response:
    """Sheets of the orders that are open, a place to send them, and what came of the last one."""
    rows = await views.orders_shown(desk, visitor, is_over=False)
    form = request.query_params.get("done", "")
    told: list[str] = []
    has_file = is_clean = False
    if FORM_ID.match(form):
        async with desk.reading() as reader:
            known = await portal_queries.form_sent(reader, f"{visitor.staff}/{form}")
        if known is not None:
            told = forms.lines_told(known.answer, visitor.language)
            has_file = bool(known.answer.get("file")) and _path(desk, visitor, form).is_file()
            is_clean = bool(known.answer.get("is_clean"))
    return page(
        desk,
        request,
        visitor,
        "files",
        status,
        orders=rows,
        told=told,
        done=form if has_file else "",
        is_clean=is_clean,
        note=note,
        form=forms.Form("files", new_form_id()),
        upload_pass=upload_pass(desk, visitor),
        slot=SLOT,
    )


async def take_file(desk: PortalDesk, request: Request, visitor: Visitor, sent: Sent) -> Response:
    """Take a filled sheet with its photos; the same form again gets the same answer."""
    assert visitor.partner is not None
    sheets = sent.files.get("sheet", [])
    if not sheets:
        return await files_page(desk, request, visitor, 422, note="file_missing")
    content = await sheets[0].read(FILE_BYTES_MAX + 1)
    await receive_photos(desk, visitor.partner.id, sent)
    form = sent.form
    sent.values["sheet"] = hashlib.sha256(content).hexdigest()
    digest = sent.digest("files", None)
    async with desk.reading() as reader:
        known = await portal_queries.form_sent(reader, f"{visitor.staff}/{form}")
    if known is None:
        try:
            taken = await _taken(desk, visitor, sent, form, photo_name(sheets[0].filename or ""), content)
        except (TakeLater, DatabaseAway):
            return await files_page(desk, request, visitor, 503, note="try_again")
        answer = forms.answer_of(taken) | {"is_clean": taken.is_clean}
        if taken.returned is not None:
            answer["file"] = taken.returned.name
            await asyncio.to_thread(_put, desk, visitor, form, taken.returned.content)
        await forms.keep_answer(desk, visitor, form, "files", None, digest, answer, {})
    elif known.digest != digest:
        return await files_page(desk, request, visitor, 409, note="sent_before")
    return RedirectResponse(f"{PATH}/files?done={form}#done", 303)


async def _taken(
    desk: PortalDesk, visitor: Visitor, sent: Sent, form: str, name: str, content: bytes
) -> Taken:
    assert visitor.partner is not None
    photos = {called.casefold(): sha256 for called, sha256 in named_apart(sent.photos.get(SLOT, [])).items()}
    partner = visitor.partner.model_copy(update={"language": visitor.language})
    way = f"portal:{visitor.staff}/{form}"
    came = Came(partner, name, content, way, photos, is_vouched=True, by=visitor.name)
    taken = await desk.intake.take(came)
    wrong_rows = len({one.row for one in taken.problems})
    if wrong_rows:
        taken.lines.append(Line("rows_wrong", number=wrong_rows))
    return taken


def _folder(desk: PortalDesk, visitor: Visitor) -> Path:
    assert visitor.partner is not None
    return desk.evidence.folder.root / "returned" / visitor.partner.id / visitor.name


def _path(desk: PortalDesk, visitor: Visitor, form: str) -> Path:
    return _folder(desk, visitor) / form


def _put(desk: PortalDesk, visitor: Visitor, form: str, content: bytes) -> None:
    """Lay a file down to be fetched, and forget those that nobody wants any more."""
    now = desk.evidence.wall_ms()
    with room():
        write_whole(_path(desk, visitor, form), content)
    for old in _folder(desk, visitor).glob("*"):
        if old.stat().st_mtime * 1000 + KEPT_MS < now:
            old.unlink(missing_ok=True)


async def returned_response(desk: PortalDesk, visitor: Visitor, form: str) -> Response:
    """The file that was sent, with what is wrong beside its rows. Raises Rejected."""
    async with desk.reading() as reader:
        known = await portal_queries.form_sent(reader, f"{visitor.staff}/{form}")
    path = _path(desk, visitor, form)
    if known is None or not known.answer.get("file") or not path.is_file():
        raise Rejected("not_found")
    content = await asyncio.to_thread(path.read_bytes)
    return _download(File(str(known.answer["file"]), content))


async def sheet_response(desk: PortalDesk, visitor: Visitor, number: str, kind: str) -> Response:
    """A sheet to fill in. Raises Rejected(unknown_order)."""
    view = await views.order_view(desk, visitor, number)
    assert visitor.partner is not None
    partner = visitor.partner.model_copy(update={"language": visitor.language})
    async with desk.reading() as reader:
        listed = await portal_queries.listed_order(reader, view.id)
        known = await order_facts(reader, partner.id, view.id)
    if known is None or (kind == "order" and listed is None):
        raise Rejected("unknown_order")
    if kind == "order" and listed is not None:
        return _download(order_file(partner, order_sheet(listed.sheet), desk.names))
    made = (
        survival_file(partner, known) if kind == "survival" else planting_file(partner, [known], desk.names)
    )
    return _download(made)


def _download(file: File) -> Response:
    media = CSV if file.name.endswith(".csv") else XLSX
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
    return Response(file.content, 200, headers, media)
