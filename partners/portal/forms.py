"""Forms that staff send about an order: each becomes a row of a sheet and goes the way of every file.

A form has an id: sent twice, it has its effect once and is answered in the same way. Whatever is wrong with it, it
comes back as it was filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from engine.core.errors import Rejected
from engine.store.database import DatabaseAway
from partners.adapters.files.letters import Line
from partners.core.model import PartnerReport
from partners.core.portal.commands import KeepForm
from partners.intake import Came, TakeLater, Taken
from partners.portal.desk import PortalDesk, Visitor
from partners.portal.pages import has_text, text
from partners.portal.receiving import FileProblem, receive_outline, receive_photos
from partners.portal.sent import Photo, Sent, named_apart, new_form_id
from partners.portal.views import OrderView, today_of
from partners.sheets.cells import Raw
from partners.sheets.kinds import ORDER, PLANTING, FileKind
from partners.sheets.problems import CellProblem, FileRefused
from partners.sheets.reading import Table, table_of
from partners.sheets.words import cell_text, file_text
from partners.store import portal_queries

KINDS = ("answer", "planting", "mend", "cancel")
NEW = "new"
"""The slot of a planting's photos; those of a report that is known have its number."""

_LATER = ("unavailable", "overloaded", "internal", "storage_full", "too_many_uploads")
"""Refusals that are not the form's fault: the same form can be sent again."""

_FIELD_OF = {"photos": f"photos.{NEW}"}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with a field (empty: with the form), in its reader's words."""

    field: str
    text: str


@dataclass(slots=True)
class Form:
    """A form as it is shown: its id, what stands in it, photos that have come, what is wrong; `note` names a text."""

    kind: str
    id: str
    values: dict[str, str] = field(default_factory=dict)
    photos: dict[str, list[Photo]] = field(default_factory=dict)
    problems: list[FieldProblem] = field(default_factory=list)
    note: str = ""

    def of(self, name: str) -> str:
        """What stands in a field."""
        return self.values.get(name, "")

    def problem(self, name: str) -> str:
        """What is wrong with a field."""
        return " ".join(one.text for one in self.problems if one.field == name)


def fresh_form(desk: PortalDesk, kind: str, view: OrderView) -> Form:
    """A form that nobody has filled in."""
    values: dict[str, str] = {}
    if kind == "planting":
        today = today_of(desk)
        values = {"report_no": next_report_no(view), "date_from": today, "date_to": today, "datum": "wgs84"}
    return Form(kind, new_form_id(), values)


def filled_form(kind: str, sent: Sent, note: str = "", is_anew: bool = False) -> Form:
    """The form as it was sent. `is_anew`: under another id, because this one is taken."""
    values = {name: said for name, said in sent.values.items() if name not in ("form", "token")}
    return Form(kind, new_form_id() if is_anew else sent.form, values, dict(sent.photos), [], note)


def next_report_no(view: OrderView) -> str:
    """The first number that no report of the order has."""
    used = {batch.report_no for batch in view.batches}
    return next(str(number) for number in range(1, len(used) + 2) if str(number) not in used)


# --- a form that came --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a form: taken (then `form` is its id), or to be shown again with `shown` and `status`."""

    form: str = ""
    shown: Form | None = None
    status: int = 200


async def take_form(desk: PortalDesk, visitor: Visitor, view: OrderView, kind: str, sent: Sent) -> Became:
    """Carry a form out, once. Raises Rejected for what no form can mend."""
    assert visitor.partner is not None
    shown = filled_form(kind, sent)
    try:
        told = await receive_photos(desk, visitor.partner.id, sent)
        shown.photos = dict(sent.photos)
        digest = sent.digest(kind, view.id)
        known = await _known(desk, visitor, shown.id)
        if known is not None:
            if known == digest:
                return Became(shown.id)
            return Became(shown=filled_form(kind, sent, "sent_before", is_anew=True), status=409)
        hectares, wrong = await receive_outline(
            desk, visitor.partner.id, view.line["site"], view.row["season"], sent
        )
        if hectares:
            shown.values["outline_ha"] = hectares
        shown.problems = [_file_text(one, visitor.language) for one in (*told, *wrong)]
        if kind == "cancel":
            return await _agree(desk, visitor, view, sent, shown, digest)
        cells = [] if shown.problems else _cells(kind, view, sent)
        if not shown.problems and not cells:
            shown.problems = [FieldProblem("", text("nothing_added", visitor.language))]
        if shown.problems:
            return Became(shown=shown, status=422)
        return await _carry_out(desk, visitor, view, sent, shown, cells, digest)
    except (TakeLater, DatabaseAway):
        shown.note = "try_again"
        return Became(shown=shown, status=503)
    except Rejected as refusal:
        if refusal.code not in _LATER:
            raise
        shown.note = "try_again"
        return Became(shown=shown, status=503)


async def _carry_out(
    desk: PortalDesk,
    visitor: Visitor,
    view: OrderView,
    sent: Sent,
    shown: Form,
    cells: Sequence[Mapping[str, Raw]],
    digest: str,
) -> Became:
    kind = ORDER if shown.kind == "answer" else PLANTING
    came = _came(visitor, sent, shown)
    table = table_of(kind, visitor.language, cells)
    try:
        taken = await desk.intake.take_rows(came, table)
    except FileRefused as refusal:
        shown.problems = [FieldProblem("", file_text(refusal, visitor.language))]
        return Became(shown=shown, status=422)
    if taken.problems and not taken.recorded_rows:
        shown.problems = [_cell_problem(one, kind, visitor.language) for one in taken.problems]
        if any(one.code == "reported_before" for one in taken.problems):
            shown.values["report_no"] = next_report_no(view)
        return Became(shown=shown, status=422)
    answer, said = answer_of(taken), _said(sent, table)
    await keep_answer(desk, visitor, shown.id, shown.kind, view.id, digest, answer, said)
    return Became(shown.id)


async def _agree(
    desk: PortalDesk, visitor: Visitor, view: OrderView, sent: Sent, shown: Form, digest: str
) -> Became:
    """Say that the order may be cancelled, which we have asked for."""
    report = PartnerReport(view.id, "cancelled", desk.clock.now_ms())
    refusal = await desk.intake.say(_came(visitor, sent, shown), report)
    if refusal is not None:
        shown.problems = [FieldProblem("", text("error.refused", visitor.language, code=refusal.code))]
        return Became(shown=shown, status=422)
    answer = {"lines": [asdict(Line("cancelled", view.id))]}
    said = {"remark": sent.of("remark").strip()[:500]}
    await keep_answer(desk, visitor, shown.id, shown.kind, view.id, digest, answer, said)
    return Became(shown.id)


def _came(visitor: Visitor, sent: Sent, shown: Form) -> Came:
    photos = {
        name.casefold(): sha256
        for slot, found in sent.photos.items()
        for name, sha256 in named_apart(found, slot).items()
    }
    assert visitor.partner is not None
    return Came(
        partner=visitor.partner,
        name=shown.id,
        content=b"",
        message=f"portal:{visitor.staff}/{shown.id}",
        photos=photos,
        is_vouched=True,
        by=visitor.name,
        remark=sent.of("remark").strip()[:200],
    )


async def _known(desk: PortalDesk, visitor: Visitor, form: str) -> str | None:
    """The digest of the form that was taken under this id."""
    async with desk.reading() as reader:
        known = await portal_queries.form_sent(reader, f"{visitor.staff}/{form}")
    return known.digest if known is not None else None


async def keep_answer(
    desk: PortalDesk,
    visitor: Visitor,
    form: str,
    kind: str,
    order: int | None,
    digest: str,
    answer: dict[str, Any],
    said: dict[str, Any],
) -> None:
    """Remember what came of a form. Raises Rejected."""
    await desk.submit(KeepForm(visitor.staff, form, kind, order, digest, answer, said))


def answer_of(taken: Taken) -> dict[str, Any]:
    """What the sender is told, as it is kept."""
    return {"lines": [asdict(line) for line in taken.lines if line.code not in ("problems", "notes")]}


def lines_told(answer: Mapping[str, Any], language: str) -> list[str]:
    """The same in words."""
    return [line_text(Line(**one), language) for one in answer.get("lines", [])]


def line_text(line: Line, language: str) -> str:
    """One thing that is told of what came."""
    return text(
        f"told.{line.code}",
        language,
        number=f"{line.number:,}",
        other=f"{line.other:,}",
        text=line.text,
        reason=line.reason,
    )


# --- rows ----------------------------------------------------------------------------------------------


def _cells(kind: str, view: OrderView, sent: Sent) -> list[dict[str, Raw]]:
    """The rows that the form stands for; none where nothing is in it."""
    common: dict[str, Raw] = {"order_no": view.number, "line_no": 1}
    if kind == "answer":
        return [common | _answer(view, sent)]
    if kind == "planting":
        return [common | _planting(sent)]
    return _mended(common, view, sent)


def _answer(view: OrderView, sent: Sent) -> dict[str, Raw]:
    choice = sent.of("choice")
    accepted: Raw = {"all": int(view.line["ordered"]), "none": 0}.get(choice)
    if choice == "part":
        accepted = sent.of("accepted")
    return {"accepted": accepted, "reason": "" if choice == "all" else sent.of("reason")}


def _planting(sent: Sent) -> dict[str, Raw]:
    names = ("report_no", "date_from", "date_to", "planted", "planters", "lat", "lon", "notes")
    cells: dict[str, Raw] = {name: sent.of(name) for name in names}
    cells["photos"] = ", ".join(named_apart(sent.photos.get(NEW, []), NEW))
    cells["all_planted"] = "yes" if sent.of("all_planted") else None
    return cells


def _mended(common: dict[str, Raw], view: OrderView, sent: Sent) -> list[dict[str, Raw]]:
    """Each report that gets photos, as it stands; where only words or an outline come, the first one."""
    has_words = bool(sent.of("remark").strip() or sent.files.get("outline") or sent.of("outline_ha"))
    rows: list[dict[str, Raw]] = []
    for batch in view.batches:
        photos = sent.photos.get(batch.report_no, [])
        if photos or (has_words and batch is view.batches[0]):
            row = batch.row
            rows.append(
                common
                | {
                    "report_no": batch.report_no,
                    "date_from": row["planted_from_on"],
                    "date_to": row["planted_to_on"],
                    "planted": row["reported"],
                    "site": row["site"],
                    "photos": ", ".join(named_apart(photos, batch.report_no)),
                }
            )
    return rows


def _said(sent: Sent, table: Table) -> dict[str, Any]:
    """What the order's page tells of the form later, and what no other row keeps."""
    said: dict[str, Any] = {
        "remark": (sent.of("remark") or sent.of("notes") or sent.of("reason")).strip()[:500]
    }
    if sent.of("lat").strip() and sent.of("lon").strip():
        said["point"] = [sent.of("lat").strip()[:40], sent.of("lon").strip()[:40]]
    column = "accepted" if table.kind is ORDER else "planted"
    said["trees"] = sum(row.values[column] or 0 for row in table.rows)
    return said


# --- problems in words -----------------------------------------------------------------------------------


def _cell_problem(problem: CellProblem, kind: FileKind, language: str) -> FieldProblem:
    named = _FIELD_OF.get(problem.column, problem.column)
    key = f"cell.{problem.code}"
    if has_text(key):
        return FieldProblem(named, text(key, language, **problem.fields))
    return FieldProblem(named, cell_text(replace(problem, column=""), kind, language))


def _file_text(problem: FileProblem, language: str) -> FieldProblem:
    key = f"file.{problem.code}"
    said = text(key if has_text(key) else "file.other", language, name=problem.name, code=problem.code)
    return FieldProblem(problem.field, said)
