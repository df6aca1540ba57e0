"""HTTP of what follows `planted`: public counters and certificates, and the operator's commands.

Every change is a command; a read is one snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import AfterValidator, Field

from engine.api.callers import Engine, MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, Count, Minor, SlugPath, plain_text
from engine.api.problems import refusals
from engine.core.editions import is_same_person
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_number, parse_order_number, parse_tree_number
from engine.core.units import local_day, rfc3339
from partners.api import (
    HTML_HEADERS,
    JSON_HEADERS,
    Desk,
    Note,
    NumberPath,
    Reason,
    place_of,
    reading,
    submit,
    wants_html,
)
from partners.certificates import KIND, Certificate, certificate, told
from partners.core import after_commands as ac
from partners.core.invoices import invoice_id
from partners.core.model import batch_id
from partners.pages import tree_page
from partners.printing import pdf
from partners.store import funders, queries, stands
from partners.store.counters import Counters, counters, facts

LINES_MAX = 200

Person = Annotated[str, Field(max_length=80), AfterValidator(plain_text)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(plain_text)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, 2027-09-15.")]
ReportNo = Annotated[str, Path(max_length=100, description="The partner's number of the report.")]
RowPath = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,15}$")]
InvoicePath = Annotated[str, Path(max_length=100)]
LanguageQuery = Annotated[Literal["zh", "en"], Query(description="Language of the PDF.")]
EditionQuery = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-fA-F]{8,64}$", description="The edition that somebody holds: is it still valid?"),
]
FunderQuery = Annotated[str | None, Query(max_length=100)]
Caller = Annotated[str | None, Depends(operator_caller)]


class BatchReviewBody(Body):
    """A verdict on one batch; `by` names who looked (level 3: who was asked to)."""

    level: Annotated[int, Field(ge=1, le=3)] = 2
    verdict: Literal["verified", "needs_info", "back"]
    by: Person = ""
    trees: Annotated[int, Field(ge=0, le=10**9)] | None = None
    note: Note = ""
    fields: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=20)
    reasons: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=20)


class PlotBody(Body):
    """What was counted in one plot."""

    plot: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(plain_text)]
    planted: Count
    alive: Annotated[int, Field(ge=0, le=10**9)]


class AuditBody(Body):
    """A survival count; `audit` as the order names it, `dead` the numbers of trees where they are told apart."""

    audit: Annotated[str, Field(max_length=200)]
    visited_on: Day
    method: Literal["plots", "census"]
    surveyor: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain_text)]
    has_conflict: bool
    plots: list[PlotBody] = Field(min_length=1, max_length=500)
    dead: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=1000)
    by: Person = ""


class ReplacementBody(Body):
    """The count whose missing trees are asked for again."""

    audit: Annotated[str, Field(max_length=200)]
    by: Person = ""


class TargetBody(Body):
    """A batch of another order that claims move to."""

    order: Annotated[str, Field(max_length=40)]
    report_no: Annotated[str, Field(max_length=100)]


class ClosingBody(Body):
    """A proposal to close an order short: `lost` trees by report number; with `move`, where their claims go."""

    by: Person = ""
    note: Text
    remedy: Literal["refund", "move"]
    lost: dict[str, Count] = Field(min_length=1, max_length=100)
    moves: dict[str, TargetBody] = Field(default_factory=dict, max_length=100)


class ByBody(Body):
    """Who acts, where operators have no keys of their own."""

    by: Person = ""


class DisputeBody(Body):
    """Who contests an order, and why."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    reason: Text


class AnswerBody(Body):
    """The first answer to a dispute."""

    by: Person = ""
    answer: Text


class DecisionBody(Body):
    """How a dispute ends."""

    by: Person = ""
    outcome: Literal["upheld", "dismissed", "settled"]
    note: Text


class DisturbanceBody(Body):
    """What befell a site; `report_no` empty: all of the order."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    kind: Annotated[str, Field(max_length=20)]
    area_m2: Annotated[int, Field(ge=0, le=10**12)]
    happened_on: Day
    report_no: Annotated[str, Field(max_length=100)] = ""
    hold: bool = False
    note: Note = ""


class InvoiceLineBody(Body):
    """One line of a bill; a negative amount is a credit."""

    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_text)]
    amount_minor: Annotated[int, Field(ge=-(10**15), le=10**15)]


class InvoiceBody(Body):
    """A partner's bill for a milestone."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    milestone: Annotated[str, Field(min_length=1, max_length=40)]
    invoice_no: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain_text)]
    lines: list[InvoiceLineBody] = Field(min_length=1, max_length=100)
    tax_minor: Annotated[int, Field(ge=0, le=10**15)] = 0
    due_on: Day


class SettlementBody(Body):
    """Whether a bill is paid or rejected."""

    paid: bool
    reason: Note = ""
    by: Person = ""


class RepaymentBody(Body):
    """What a partner paid back."""

    amount_minor: Minor
    reason: Reason
    by: Person = ""


def after_router(desk: Desk) -> APIRouter:
    """All routes of what follows `planted`, under /v1."""
    router = APIRouter(prefix="/v1")
    _add_public(router, desk)
    operators = APIRouter(tags=["orders"])
    _add_reading(operators, desk)
    _add_survival(operators, desk)
    _add_disputes(operators, desk)
    _add_money(operators, desk)
    router.include_router(operators)
    return router


def actor(parts: Engine, person: str | None, by: str, kind: str = "operator") -> str:
    """Who acts. Where operators have keys of their own, nobody acts in another's name, nor the shared key in any."""
    if kind == "operator" and parts.settings.operators:
        if person is None or (by and not is_same_person(person, by)):
            raise Rejected("forbidden")
        return f"operator:{person}"
    return f"{kind}:{by}" if by else kind


# --- public ---------------------------------------------------------------------------------------


def _add_public(router: APIRouter, desk: Desk) -> None:
    @router.get(
        "/trees/{number}/certificate",
        tags=["trees"],
        response_model=None,
        responses=refusals("bad_number", "unknown_tree"),
    )
    async def tree_certificate(
        number: NumberPath,
        request: Request,
        lang: LanguageQuery = "zh",
        edition: EditionQuery = None,
        as_: Annotated[Literal["pdf", "json"], Query(alias="format")] = "pdf",
    ) -> Response:
        """The pledge card or certificate of a tree: a PDF, or its facts with the state of an edition."""
        found = await _certificate(desk, parse_tree_number(number))
        if as_ == "json":
            return JSONResponse(told(found, edition), headers={"cache-control": "no-cache"})
        address = (
            f"{str(request.base_url).rstrip('/')}/v1/certificates/{found.number}?edition={found.edition[:12]}"
        )
        body = await asyncio.to_thread(pdf, found, lang, address)
        name = f"{found.number}-{lang}.pdf"
        headers = {"content-disposition": f'inline; filename="{name}"', "cache-control": "no-cache"}
        return Response(body, media_type="application/pdf", headers=headers)

    @router.get(
        "/certificates/{number}",
        tags=["trees"],
        response_model=None,
        responses=refusals("bad_number", "unknown_tree"),
    )
    async def check_certificate(
        number: NumberPath, request: Request, edition: EditionQuery = None
    ) -> Response:
        """What has become of a certificate that somebody holds: valid, updated or withdrawn."""
        found = await _certificate(desk, parse_number(KIND, number))
        document = told(found, edition)
        if wants_html(request.headers.get("accept", "")):
            return HTMLResponse(_certificate_html(document), headers=HTML_HEADERS)
        return JSONResponse(document, headers=JSON_HEADERS)

    @router.get(
        "/programmes/{programme}",
        tags=["trees"],
        response_model=None,
        responses=refusals("unknown_programme"),
    )
    async def programme_counters(programme: SlugPath, request: Request) -> Response:
        """The four counters of a programme: pledged, funded, planted, alive; JSON, or a page for a browser."""
        known = desk.rules().programmes.get(programme)
        async with reading(desk) as reader:
            found = (await counters(reader, programme)).get(programme)
        if known is None and found is None:
            raise Rejected("unknown_programme")
        names = dict(known.names) if known is not None else {"zh": programme, "en": programme}
        is_live = known is not None and desk.registry.is_live(known.partner)
        document = {
            "programme": programme,
            "names": names,
            "simulated": not is_live,
            **facts(found or Counters()),
        }
        if wants_html(request.headers.get("accept", "")):
            return HTMLResponse(_programme_html(document), headers=HTML_HEADERS)
        return JSONResponse(document, headers=JSON_HEADERS)


async def _certificate(desk: Desk, unit: int) -> Certificate:
    async with reading(desk) as reader:
        tree = await queries.tree_facts(reader, unit)
        if tree is None:
            raise Rejected("unknown_tree")
        stand = await stands.stand_facts(reader, unit, tree.batch.id if tree.batch else None, tree.order)
    page = tree_page(tree, place_of(desk, tree), desk.writer.clock.now_ms())
    return certificate(page, unit, stand)


_COUNTER_TEXTS = {
    "pledged": "Pledged 已认捐",
    "funded": "Funded 已有资金",
    "planted": "Planted and verified 已种植并核验",
    "written_down": "Written down 已核减",
    "not_yet_known": "Survival not yet known 成活未知",
}


def _programme_html(document: Mapping[str, Any]) -> str:
    rows = [(text, f"{document[name]:,}") for name, text in _COUNTER_TEXTS.items()]
    alive = document["alive"]
    if alive is not None:
        days = f"{alive['first_count_on']} – {alive['last_count_on']}"
        text = f"{alive['trees']:,} of {alive['of_trees']:,} (95 %: {alive['low']:,}–{alive['high']:,}); "
        rows.insert(4, ("Alive 存活", f"{text}{alive['trees_counted']:,} trees counted 已调查株数, {days}"))
    else:
        rows.insert(4, ("Alive 存活", "not yet known 尚未调查"))
    warning = "Simulated partner: no real trees. 模拟伙伴，并非真实树木。" if document["simulated"] else ""
    return _html(f"{document['names']['en']} {document['names']['zh']}", rows, warning)


def _certificate_html(document: Mapping[str, Any]) -> str:
    states = {"valid": "valid 有效", "updated": "updated since 已更新", "withdrawn": "withdrawn 已撤销"}
    rows = [("State 状态", states[document["state"]]), ("Edition 版本", document["edition"])]
    for language in ("zh", "en"):
        rows += [(fact["label"], fact["text"]) for fact in document[language]["facts"]]
        rows += [("", text) for text in document[language]["statements"]]
    return _html(f"{document['zh']['title']} {document['en']['title']} {document['number']}", rows, "")


def _html(title: str, rows: list[tuple[str, str]], warning: str) -> str:
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    told_first = f"<p class=warn>{escape(warning)}</p>" if warning else ""
    return (
        '<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>body{{font:1rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;"
        "padding:0 1rem}th{text-align:left;padding-right:1rem;vertical-align:top}.warn{border:2px solid;padding:.5rem}"
        f"</style><h1>{escape(title)}</h1>{told_first}<table>{cells}</table></html>"
    )


# --- operators ------------------------------------------------------------------------------------


def _add_reading(router: APIRouter, desk: Desk) -> None:
    @router.get("/orders/{number}/after", responses=refusals("bad_number", "unknown_order"))
    async def after(number: NumberPath, person: Caller) -> dict[str, Any]:
        """Everything that followed `planted`: reviews, counts, replacements, closing, disputes, books."""
        async with reading(desk) as reader:
            found = await stands.order_stands(reader, parse_order_number(number))
        if found is None:
            raise Rejected("unknown_order")
        return {table: [_shown(asdict(row)) for row in rows] for table, rows in found.items()}

    @router.get("/late", responses=refusals("unavailable"))
    async def late(person: Caller) -> dict[str, Any]:
        """Counts, disputes, answers and bills that are overdue."""
        now = desk.writer.clock.now_ms()
        async with reading(desk) as reader:
            found = await stands.late(reader, now, local_day(now, "UTC").isoformat())
        return {name: [_shown(row) for row in rows] for name, rows in found.items()}

    @router.get("/funders", responses=refusals("unavailable"))
    async def funders_report(person: Caller, funder: FunderQuery = None) -> dict[str, Any]:
        """Commitments, spending, trees by state and what a tree that stands has cost, by funder and programme."""
        async with reading(desk) as reader:
            return {"funders": await funders.report(reader, funder)}

    @router.get("/audit", responses=refusals("unavailable"))
    async def audit(person: Caller, after: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        """Sealed lines of the audit log behind a place, with their hashes."""
        async with reading(desk) as reader:
            lines = await stands.audit_lines(reader, after, LINES_MAX)
        return {"lines": [_shown(asdict(line)) for line in lines], "more": len(lines) == LINES_MAX}

    @router.get("/audit/head", responses=refusals("unavailable"))
    async def audit_head(person: Caller) -> dict[str, Any]:
        """Where the chain of the audit log ends; worth being kept elsewhere."""
        async with reading(desk) as reader:
            return await stands.chain_head(reader)


def _add_survival(router: APIRouter, desk: Desk) -> None:
    refused = refusals("bad_number", "unknown_order", "order_held", "key_reused", "forbidden")

    @router.post(
        "/orders/{number}/batches/{report_no:path}/review",
        responses=refused
        | refusals("unknown_batch", "not_planted", "batch_decided", "own_review", "over_verified")
        | refusals("evidence_missing", "evidence_reused", "nothing_verified"),
    )
    async def review(
        parts: Engine,
        person: Caller,
        number: NumberPath,
        report_no: ReportNo,
        body: BatchReviewBody,
        key: MaybeIdempotencyKey,
    ) -> dict[str, Any]:
        """One person's verdict on one batch, at a level: 1 the partner's own, 2 ours, 3 somebody independent."""
        order = parse_order_number(number)
        kind = {1: "partner", 2: "operator", 3: "independent"}[body.level]
        command = ac.ReviewBatch(
            key,
            actor(parts, person, body.by, kind),
            body.level,
            order,
            batch_id(order, report_no),
            body.verdict,
            body.trees,
            body.note,
            tuple(body.fields),
            tuple(body.reasons),
        )
        return await submit(desk, command)

    @router.post(
        "/orders/{number}/audits",
        responses=refused | refusals("not_watched", "unknown_audit", "audit_done", "bad_audit"),
    )
    async def audit(
        parts: Engine, person: Caller, number: NumberPath, body: AuditBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """A survival count was made."""
        command = ac.RecordAudit(
            key,
            actor(parts, person, body.by),
            parse_order_number(number),
            body.audit,
            body.visited_on,
            body.method,
            body.surveyor,
            body.has_conflict,
            tuple(ac.PlotCount(plot.plot, plot.planted, plot.alive) for plot in body.plots),
            tuple(parse_tree_number(tree) for tree in body.dead),
        )
        return await submit(desk, command)

    @router.post(
        "/orders/{number}/replacement",
        responses=refused | refusals("not_watched", "unknown_audit", "replacement_open", "season_missing"),
    )
    async def replacement(
        parts: Engine, person: Caller, number: NumberPath, body: ReplacementBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Ask once more for missing trees, where the order for them came to nothing."""
        who = actor(parts, person, body.by)
        return await submit(desk, ac.OrderReplacement(key, who, parse_order_number(number), body.audit))

    @router.post("/orders/{number}/closing", responses=refused | refusals("not_watched", "bad_closing"))
    async def closing(
        parts: Engine, person: Caller, number: NumberPath, body: ClosingBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Propose to close an order short; a second person approves."""
        order = parse_order_number(number)
        lost = {batch_id(order, report_no): trees for report_no, trees in body.lost.items()}
        moves = {
            batch_id(order, report_no): batch_id(parse_order_number(target.order), target.report_no)
            for report_no, target in body.moves.items()
        }
        who = actor(parts, person, body.by)
        return await submit(desk, ac.ProposeClosing(key, who, order, body.note, body.remedy, lost, moves))

    @router.post(
        "/orders/{number}/closing/approve",
        responses=refused | refusals("not_watched", "nothing_proposed", "own_proposal", "bad_closing"),
    )
    async def approve(
        parts: Engine, person: Caller, number: NumberPath, body: ByBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Approve what somebody else proposed: trees are written down and the order ends."""
        command = ac.ApproveClosing(key, actor(parts, person, body.by), parse_order_number(number))
        return await submit(desk, command)


def _add_disputes(router: APIRouter, desk: Desk) -> None:
    refused = refusals("bad_number", "unknown_order", "order_ended", "key_reused", "forbidden")

    @router.post("/orders/{number}/disputes", responses=refused)
    async def dispute(
        person: Caller, number: NumberPath, body: DisputeBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Somebody contests an order: it is held until that is decided."""
        reply = await submit(desk, ac.OpenDispute(key, body.by, parse_order_number(number), body.reason))
        return _shown(reply)

    @router.post(
        "/disputes/{dispute}/answer", responses=refusals("unknown_dispute", "dispute_decided", "key_reused")
    )
    async def answer(
        parts: Engine, person: Caller, dispute: RowPath, body: AnswerBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """The first answer to a dispute."""
        return await submit(
            desk, ac.AnswerDispute(key, actor(parts, person, body.by), int(dispute), body.answer)
        )

    @router.post(
        "/disputes/{dispute}/decide",
        responses=refusals("unknown_dispute", "dispute_decided", "own_proposal", "key_reused", "forbidden"),
    )
    async def decide(
        parts: Engine, person: Caller, dispute: RowPath, body: DecisionBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """How a dispute ends; with the last one its order goes on."""
        who = actor(parts, person, body.by)
        return await submit(desk, ac.DecideDispute(key, who, int(dispute), body.outcome, body.note))

    @router.post("/orders/{number}/disturbances", responses=refused | refusals("unknown_batch"))
    async def disturbance(
        person: Caller, number: NumberPath, body: DisturbanceBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Fire, flood, drought and their like."""
        order = parse_order_number(number)
        batch = batch_id(order, body.report_no) if body.report_no else ""
        command = ac.ReportDisturbance(
            key, body.by, order, batch, body.kind, body.area_m2, body.happened_on, body.hold, body.note
        )
        return await submit(desk, command)


def _add_money(router: APIRouter, desk: Desk) -> None:
    refused = refusals("bad_number", "unknown_order", "key_reused", "forbidden")

    @router.post(
        "/orders/{number}/invoices",
        responses=refused | refusals("milestone_open", "over_invoiced", "invoice_known"),
    )
    async def invoice(
        person: Caller, number: NumberPath, body: InvoiceBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Take a partner's bill in, against a milestone that fell due."""
        lines = tuple((line.text, line.amount_minor) for line in body.lines)
        command = ac.RecordInvoice(
            key,
            body.by,
            parse_order_number(number),
            body.milestone,
            body.invoice_no,
            lines,
            body.tax_minor,
            body.due_on,
        )
        return await submit(desk, command)

    @router.post(
        "/orders/{number}/invoices/{invoice_no:path}/settle",
        responses=refused | refusals("unknown_invoice", "invoice_settled", "payments_held"),
    )
    async def settle(
        parts: Engine,
        person: Caller,
        number: NumberPath,
        invoice_no: InvoicePath,
        body: SettlementBody,
        key: MaybeIdempotencyKey,
    ) -> dict[str, Any]:
        """Pay a bill, or reject it."""
        order = parse_order_number(number)
        async with reading(desk) as reader:
            known = await queries.order_facts(reader, order)
        if known is None:
            raise Rejected("unknown_order")
        who, name = actor(parts, person, body.by), invoice_id(known["partner"], invoice_no)
        return await submit(desk, ac.SettleInvoice(key, who, order, name, body.paid, body.reason))

    @router.post("/orders/{number}/repayments", responses=refused | refusals("over_repaid"))
    async def repayment(
        parts: Engine, person: Caller, number: NumberPath, body: RepaymentBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """A partner paid back what it owed."""
        who, order = actor(parts, person, body.by), parse_order_number(number)
        return await submit(desk, ac.RecordRepayment(key, who, order, body.amount_minor, body.reason))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it goes out: orders by their public numbers, instants as text."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("order_id", "parent_id", "order") and isinstance(value, int):
            shown["order" if name != "parent_id" else "parent"] = order_number(value)
        elif (name == "at" or name.endswith("_at")) and isinstance(value, int):
            shown[name] = rfc3339(value)
        else:
            shown[name] = value
    return shown
