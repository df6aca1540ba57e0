"""What the pages show: a partner's orders, one order with its history, its money. Reads only, and only its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import local_day
from engine.store.database import Reader
from partners.core.model import ENDED_STATES, OPEN_STATES, WATCHED_STATES
from partners.core.portal.rows import Notice, SentForm
from partners.core.reasons import QUESTION, REASONS
from partners.portal.desk import PortalDesk, Visitor
from partners.store import evidence_queries, portal_queries, queries, stands

STEPS = ("submitted", "accepted", "in_planting", "planted", "verified")
_STEP_OF = {
    "needs_info": "planted",
    "monitoring": "verified",
    "replanting": "verified",
    "completed": "verified",
}
_GROUPS = ("mend", "answer", "plant", "wait", "over")


@dataclass(frozen=True, slots=True)
class Told:
    """One line of an order's history; `what` names its text."""

    at: int
    what: str
    who: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Why a batch is not proven yet: a reason in words, and the way to mend it where there is one."""

    code: str
    text: str
    is_question: bool


@dataclass(slots=True)
class BatchView:
    """A planting as it was reported, and what speaks for it."""

    report_no: str
    row: dict[str, Any]
    questions: list[Question] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fix_by_at: int | None = None


@dataclass(slots=True)
class OrderView:
    """All that an order's page shows."""

    id: int
    number: str
    row: dict[str, Any]
    line: dict[str, Any]
    names: dict[str, str]
    batches: list[BatchView] = field(default_factory=list)
    history: list[Told] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    milestones: list[Any] = field(default_factory=list)
    invoices: list[Any] = field(default_factory=list)
    outline: dict[str, Any] | None = None

    @property
    def state(self) -> str:
        """Where it stands."""
        return str(self.row["state"])

    @property
    def step(self) -> int:
        """How far it has come, from 0; -1 where it came to nothing."""
        state = _STEP_OF.get(self.state, self.state)
        return STEPS.index(state) if state in STEPS else -1

    @property
    def can(self) -> str:
        """What its partner can do now: answer, planting, mend, or nothing."""
        if self.row["held"]:
            return ""
        return {
            "submitted": "answer",
            "accepted": "planting",
            "in_planting": "planting",
            "planted": "mend" if any(one.questions for one in self.batches) else "",
            "needs_info": "mend",
        }.get(self.state, "")

    @property
    def may_cancel(self) -> bool:
        """Whether we have asked to cancel it and wait for a word."""
        return self.row["cancel_asked_by"] == "operator" and self.state in ("accepted", "in_planting")

    @property
    def left(self) -> int:
        """Trees that were accepted and are not reported yet."""
        return max(0, int(self.line["accepted"]) - int(self.line["reported"]))


def names_in(desk: PortalDesk, language: str, species: str, site: str) -> dict[str, str]:
    """Species and site as their reader calls them."""
    names = desk.names
    return {
        "species": names.local(species, language),
        "scientific": names.scientific(species),
        "site": names.site(site, language),
    }


async def orders_shown(desk: PortalDesk, visitor: Visitor, is_over: bool) -> list[dict[str, Any]]:
    """The partner's orders, those with work first. `is_over`: those that have ended or stand."""
    assert visitor.partner is not None
    states = [*ENDED_STATES, *WATCHED_STATES] if is_over else [one for one in OPEN_STATES if one != "draft"]
    async with desk.reading() as reader:
        rows = await portal_queries.orders_of(reader, visitor.partner.id, states)
    for row in rows:
        row["number"] = order_number(row["id"])
        row["names"] = names_in(desk, visitor.language, row["species"], row["site"])
        row["group"] = _group(row["state"], is_over)
        row["place"] = _GROUPS.index(row["group"])
    return sorted(rows, key=lambda row: (row["place"], row["expires_at"] if row["group"] == "answer" else 0))


def _group(state: str, is_over: bool) -> str:
    if is_over:
        return "over"
    return {"needs_info": "mend", "submitted": "answer", "accepted": "plant", "in_planting": "plant"}.get(
        state, "wait"
    )


async def order_view(desk: PortalDesk, visitor: Visitor, number: str) -> OrderView:
    """One order of the visitor's partner. Raises Rejected(unknown_order), also for everybody else's."""
    assert visitor.partner is not None
    partner = visitor.partner.id
    try:
        order = parse_order_number(number)
    except Rejected as problem:
        raise Rejected("unknown_order") from problem
    async with desk.reading() as reader:
        row = await queries.order_facts(reader, order)
        if row is None or row["partner"] != partner or row["state"] == "draft":
            raise Rejected("unknown_order")
        listed = await portal_queries.listed_order(reader, order)
        if row["state"] == "submitted" and listed is None:
            raise Rejected("unknown_order")
        line = row["lines"][0]
        view = OrderView(
            order,
            order_number(order),
            row,
            line,
            names_in(desk, visitor.language, line["species"], line["site"]),
        )
        notices = await portal_queries.notices_of(reader, partner, order)
        forms = await portal_queries.forms_of(reader, order)
        after = await stands.order_stands(reader, order) or {}
        await _fill_batches(reader, view, visitor.language, after)
        place = f"{partner}/{line['site']}/{row['season']}"
        outlines = [one for one in await evidence_queries.outlines_of(reader, [place]) if one["is_current"]]
    view.outline = outlines[0] if outlines else None
    view.milestones, view.invoices = after.get("milestones", []), after.get("invoices", [])
    if row["state"] == "needs_info":
        view.asked = _asked(row, notices)
    listed_at = listed.listed_at if listed is not None else int(row["submitted_at"])
    view.history = _history(view, listed_at, notices, forms, after)
    return view


async def _fill_batches(
    reader: Reader, view: OrderView, language: str, after: Mapping[str, list[Any]]
) -> None:
    assessed = {one["batch_id"]: one for one in await evidence_queries.assessments_of(reader, view.id)}
    standings = {one.id: one for one in after.get("standings", [])}
    is_open = view.state in OPEN_STATES
    for row in view.row["batches"]:
        batch = BatchView(row["report_no"], row)
        dismissed = {one[0] for one in (assessed.get(row["id"]) or {}).get("dismissed", [])}
        for code, _weight, _about in (assessed.get(row["id"]) or {}).get("reasons", []):
            wording = REASONS.get(code)
            if is_open and wording is not None and code not in dismissed:
                said = wording.zh if language == "zh" else wording.en
                batch.questions.append(Question(code, said, wording.kind == QUESTION))
        standing = standings.get(row["id"])
        if standing is not None and standing.state == "needs_info":
            batch.fix_by_at = standing.fix_by_at
            batch.asked = list(standing.fields)
        view.batches.append(batch)


def _asked(row: Mapping[str, Any], notices: list[Notice]) -> list[str]:
    """What reviewers have asked for since the partner last answered, newest last."""
    said = [one["note"] for one in row["reviews"] if one["verdict"] == "needs_info" and one["note"]]
    told = [one.text for one in notices if one.kind == "needs_info" and one.text]
    return list(dict.fromkeys([*said[-1:], *told[-1:]]))


def _history(
    view: OrderView,
    listed_at: int,
    notices: list[Notice],
    forms: list[SentForm],
    after: Mapping[str, list[Any]],
) -> list[Told]:
    """Everything that happened, newest first."""
    found = [Told(listed_at, "listed", fields={"trees": view.line["ordered"]})]
    found += [
        Told(one.noted_at, f"notice.{one.kind}", fields={"trees": one.trees}, remark=one.text)
        for one in notices
    ]
    found += [
        Told(
            one.sent_at,
            f"form.{one.kind}",
            one.staff.partition("/")[2],
            {"trees": one.said.get("trees", 0)},
            _said(one),
        )
        for one in forms
    ]
    for review in after.get("batch_reviews", []):
        fields = {"report_no": review.batch_id.partition("/")[2], "trees": review.trees}
        found.append(Told(review.at, f"review.{review.verdict}", "", fields, review.note))
    found += [
        Told(one.at, f"review.{one.verdict}", "", {"report_no": "", "trees": one.verified}, one.note)
        for one in view.row["reviews"]
        if not after.get("batch_reviews")
    ]
    return sorted(found, key=lambda one: -one.at)


def _said(form: SentForm) -> str:
    """What the form said that no other row keeps: a point, planters, a remark."""
    point = form.said.get("point")
    parts = [f"{point[0]}, {point[1]} (WGS 84)" if point else "", str(form.said.get("remark") or "")]
    return " · ".join(part for part in parts if part)


@dataclass(slots=True)
class MoneyRow:
    """What of one order fell due, was billed and was paid; minor units of one currency."""

    number: str
    currency: str
    due: list[Any] = field(default_factory=list)
    bills: list[Any] = field(default_factory=list)

    @property
    def due_minor(self) -> int:
        """All that fell due."""
        return sum(one.amount_minor for one in self.due)

    @property
    def paid_minor(self) -> int:
        """All that was paid, tax not counted."""
        return sum(one.net_minor for one in self.bills if one.state == "paid")


async def money_shown(desk: PortalDesk, visitor: Visitor) -> list[MoneyRow]:
    """Milestones and bills of the partner by order, newest first."""
    assert visitor.partner is not None
    async with desk.reading() as reader:
        due, bills = await portal_queries.money_of(reader, visitor.partner.id)
    rows: dict[tuple[int, str], MoneyRow] = {}
    for one in due:
        rows.setdefault(
            (one.order_id, one.currency), MoneyRow(order_number(one.order_id), one.currency)
        ).due.append(one)
    for one in bills:
        row = rows.setdefault(
            (one.order_id, one.currency), MoneyRow(order_number(one.order_id), one.currency)
        )
        row.bills.append(one)
    return list(rows.values())


def today_of(desk: PortalDesk) -> str:
    """The day that has begun in UTC, as forms take it."""
    return local_day(desk.clock.now_ms(), "UTC").isoformat()
