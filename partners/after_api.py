"""HTTP of what follows `planted`, for operators. Every change is a command; a read is one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from engine.api.callers import Engine, MaybeIdempotencyKey, operator_caller
from engine.api.problems import refusals
from engine.core.editions import is_same_person
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number, parse_tree_number
from engine.core.units import local_day, rfc3339
from partners.after_bodies import (
    AnswerBody,
    AuditBody,
    BatchReviewBody,
    ByBody,
    ClosingBody,
    DecisionBody,
    DisputeBody,
    DisturbanceBody,
    InvoiceBody,
    RepaymentBody,
    ReplacementBody,
    SettlementBody,
)
from partners.api import Desk, NumberPath, reading, submit
from partners.core import after_commands as ac
from partners.core.disputes import before_workdays
from partners.core.invoices import invoice_id
from partners.core.model import batch_id
from partners.standard import standard_terms
from partners.store import funders, queries, stands

LINES_MAX = 200

ReportNo = Annotated[str, Path(max_length=100, description="The partner's number of the report.")]
RowPath = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,15}$")]
InvoicePath = Annotated[str, Path(max_length=100)]
FunderQuery = Annotated[str | None, Query(max_length=100)]
Caller = Annotated[str | None, Depends(operator_caller)]
_REFUSED = refusals("bad_number", "unknown_order", "order_held", "key_reused", "forbidden")


def after_router(desk: Desk) -> APIRouter:
    """The operators' routes of what follows `planted`, under /v1."""
    router = APIRouter(prefix="/v1", tags=["orders"])
    _add_reading(router, desk)
    _add_reviews(router, desk)
    _add_survival(router, desk)
    _add_closing(router, desk)
    _add_disputes(router, desk)
    _add_money(router, desk)
    return router


def actor(parts: Engine, person: str | None, by: str, kind: str = "operator") -> str:
    """Who acts. Where operators have keys of their own, nobody acts in another's name, nor the shared key in any."""
    if kind == "operator" and parts.settings.operators:
        if person is None or (by and not is_same_person(person, by)):
            raise Rejected("forbidden")
        return f"operator:{person}"
    return f"{kind}:{by}" if by else kind


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
        """Reviews, counts, disputes, answers and bills that are overdue, and waiting trees that no funding pays for."""
        now = desk.writer.clock.now_ms()
        planted_before = before_workdays(now, standard_terms().review_workdays)
        async with reading(desk) as reader:
            found = await stands.late(reader, now, local_day(now, "UTC").isoformat(), planted_before)
            waiting = await stands.set_aside_for_waiting(reader)
        told = {name: [_shown(row) for row in rows] for name, rows in found.items()}
        return told | {"not_funded": _not_funded(desk, waiting, now)}

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


def _not_funded(desk: Desk, waiting: list[tuple[str, str, int, int]], now: int) -> list[dict[str, Any]]:
    """Trees that wait because their price is more than was set aside, or in another currency."""
    programmes, today = desk.rules().programmes, local_day(now, "UTC")
    found = []
    for name, currency, set_aside_minor, trees in waiting:
        programme = programmes.get(name)
        price_minor = programme.unit_price_minor(today) or 0 if programme is not None else 0
        if programme is not None and (currency != programme.currency or set_aside_minor < price_minor):
            about = {"set_aside_minor": set_aside_minor, "currency": currency, "trees": trees}
            price = {"unit_price_minor": price_minor, "price_currency": programme.currency}
            found.append({"programme": name, **about, **price})
    return found


def _add_reviews(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/orders/{number}/batches/{report_no:path}/review",
        responses=_REFUSED
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


def _add_survival(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/orders/{number}/audits",
        responses=_REFUSED | refusals("not_watched", "unknown_audit", "audit_done", "bad_audit"),
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
        responses=_REFUSED | refusals("not_watched", "unknown_audit", "replacement_open", "season_missing"),
    )
    async def replacement(
        parts: Engine, person: Caller, number: NumberPath, body: ReplacementBody, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Ask once more for missing trees, where the order for them came to nothing."""
        who = actor(parts, person, body.by)
        return await submit(desk, ac.OrderReplacement(key, who, parse_order_number(number), body.audit))


def _add_closing(router: APIRouter, desk: Desk) -> None:
    @router.post("/orders/{number}/closing", responses=_REFUSED | refusals("not_watched", "bad_closing"))
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
        responses=_REFUSED | refusals("not_watched", "nothing_proposed", "own_proposal", "bad_closing"),
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
