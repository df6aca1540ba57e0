"""HTTP of the records, for operators: partners, agreements, sites, quotas, what waits and why. Every change is a
command; nobody's address is told here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, Field

from engine.api.callers import MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, plain_text
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import rfc3339
from engine.store.database import Database, DatabaseAway, Reader
from engine.writer import Writer
from partners.core.commands import OrderTest, SubmitOrder
from partners.core.records import commands as c
from partners.onboarding.file import OnboardingError, parse_onboarding
from partners.onboarding.run import onboard, standing_of
from partners.store import record_queries as queries

OPERATOR = "operator"
ONBOARDING_BYTES_MAX = 256 * 1024

Slug = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
PartnerQuery = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
NumberPath = Annotated[str, Path(max_length=40, description="The public number with its check character.")]
Reason = Annotated[str, Field(max_length=200), AfterValidator(plain_text)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class PartnerMove(Body):
    """Where a partner is to stand, and why."""

    status: Literal["vetting", "active", "suspended", "left"]
    reason: Reason = ""


class SiteMove(Body):
    """Where a site is to stand, and why."""

    status: Literal["draft", "in_review", "approved", "retired"]
    reason: Reason = ""


class AgreementMove(Body):
    """Whether a version comes into force or ends."""

    status: Literal["active", "ended"]


class DocumentBody(Body):
    """A vetting document, also as a renewal."""

    kind: str = Field(max_length=40)
    number: Reason
    issuer: Reason
    expires_on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    sha256: str = Field(default="", max_length=64)


class QuotaBody(Body):
    """How many trees of a species a site takes in a season."""

    site: Name
    species: Name
    season: str = Field(max_length=80)
    capacity: int = Field(ge=0)


class TestBody(Body):
    """An order that stands for nobody's tree, to try a partner's channel."""

    partner: Name
    species: Name
    site: Name
    trees: int = Field(ge=1)


def records_router(writer: Writer, db: Database) -> APIRouter:
    """All routes of the records, under /v1."""
    router = APIRouter(prefix="/v1", tags=["records"], dependencies=[Depends(operator_caller)])
    read = _reader(db)
    _add_reading(router, read)
    _add_moves(router, writer)
    _add_orders(router, writer)
    _add_onboarding(router, writer, read)
    return router


Read = Callable[[], Any]


def _reader(db: Database) -> Read:
    @asynccontextmanager
    async def reading() -> AsyncIterator[Reader]:
        try:
            async with db.snapshot() as view:
                yield view
        except DatabaseAway as problem:
            raise Rejected("unavailable") from problem

    return reading


def _add_reading(router: APIRouter, read: Read) -> None:
    @router.get("/partners")
    async def partners() -> dict[str, Any]:
        """All partners, by id."""
        async with read() as view:
            return {"partners": _shown(await queries.partners(view))}

    @router.get("/partners/{partner}", responses=refusals("unknown_partner"))
    async def partner(partner: Slug) -> dict[str, Any]:
        """A partner with agreements, sites, offers, quotas and performance."""
        async with read() as view:
            found = await queries.partner(view, partner)
        if found is None:
            raise Rejected("unknown_partner")
        return _shown(found)

    @router.get("/agreements")
    async def agreements(partner: PartnerQuery = None) -> dict[str, Any]:
        """Versions of agreements, of a partner or all."""
        async with read() as view:
            return {"agreements": _shown(await queries.agreements(view, partner))}

    @router.get("/sites")
    async def sites(partner: PartnerQuery = None) -> dict[str, Any]:
        """Sites, of a partner or all."""
        async with read() as view:
            return {"sites": _shown(await queries.sites(view, partner))}

    @router.get("/sites/{site}/geometry", responses=refusals("unknown_site"))
    async def geometry(site: Slug) -> dict[str, Any]:
        """A site's newest geometry, with what the checks found."""
        async with read() as view:
            found = await queries.geometry(view, site)
        if found is None:
            raise Rejected("unknown_site")
        return _shown(found)

    @router.get("/quotas")
    async def quotas(partner: PartnerQuery = None) -> dict[str, Any]:
        """Quotas, of a partner or all."""
        async with read() as view:
            return {"quotas": _shown(await queries.quotas(view, partner))}

    @router.get("/waiting")
    async def waiting() -> dict[str, Any]:
        """Trees that wait for an order or a place: how many, since when, and why."""
        async with read() as view:
            return {"waiting": _shown(await queries.waiting(view))}

    @router.get("/allocations")
    async def allocations(
        programme: PartnerQuery = None,
        limit: Annotated[int, Query(ge=1, le=queries.ALLOCATIONS_MAX)] = 20,
    ) -> dict[str, Any]:
        """The newest decisions of the allocation, with candidates and reasons."""
        async with read() as view:
            return {"allocations": _shown(await queries.allocations(view, programme, limit))}


def _add_moves(router: APIRouter, writer: Writer) -> None:
    moved = refusals("bad_move", "bad_record", "key_reused")

    @router.post("/partners/{partner}/move", responses=moved | refusals("unknown_partner", "not_vetted"))
    async def move_partner(partner: Slug, body: PartnerMove, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Vet, activate, suspend or let go a partner. What hangs on it follows: orders are held, or go on."""
        return await _submit(writer, c.MovePartner(key, OPERATOR, partner, body.status, body.reason))

    @router.post("/partners/{partner}/documents", responses=moved | refusals("unknown_partner"))
    async def document(partner: Slug, body: DocumentBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Add or renew a vetting document."""
        return await _submit(
            writer,
            c.RecordDocument(
                key, OPERATOR, partner, body.kind, body.number, body.issuer, body.expires_on, body.sha256
            ),
        )

    @router.post(
        "/agreements/{partner}/{version}/move",
        responses=moved | refusals("unknown_partner", "unknown_agreement"),
    )
    async def move_agreement(
        partner: Slug, version: Annotated[int, Path(ge=1)], body: AgreementMove, key: MaybeIdempotencyKey
    ) -> dict[str, Any]:
        """Put a version in force, or end it."""
        return await _submit(writer, c.MoveAgreement(key, OPERATOR, partner, version, body.status))

    @router.post("/sites/{site}/move", responses=moved | refusals("unknown_site"))
    async def move_site(site: Slug, body: SiteMove, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Review, approve or retire a site."""
        return await _submit(writer, c.MoveSite(key, OPERATOR, site, body.status, body.reason))

    @router.put(
        "/quotas",
        responses=moved
        | refusals("unknown_site", "unknown_offer", "no_agreement", "unknown_season", "quota_in_use"),
    )
    async def set_quota(body: QuotaBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Set how many trees of a species a site takes in a season."""
        command = c.SetQuota(key, OPERATOR, body.site, body.species, body.season, body.capacity)
        return await _submit(writer, command)


def _add_orders(router: APIRouter, writer: Writer) -> None:
    @router.post(
        "/orders/{number}/submit",
        responses=refusals("bad_number", "unknown_order", "not_draft", "order_held", "not_ready"),
    )
    async def submit(number: NumberPath, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Send a draft out now; its guards hold for operators too."""
        reply = await _submit(writer, SubmitOrder(key, OPERATOR, parse_order_number(number)))
        return {**reply, "order": order_number(int(reply["order"]))}

    @router.post(
        "/test-orders",
        responses=refusals(
            "unknown_partner", "partner_blocked", "no_agreement", "no_price", "test_order_live"
        ),
    )
    async def test(body: TestBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Try a partner's channel with an order of nobody's trees; no partner that plants real ones gets it."""
        command = OrderTest(key, OPERATOR, body.partner, body.species, body.site, body.trees)
        reply = await _submit(writer, command)
        return {**reply, "order": order_number(int(reply["order"]))}


def _add_onboarding(router: APIRouter, writer: Writer, read: Read) -> None:
    @router.post("/onboarding", responses=refusals("bad_record", "bad_request"))
    async def onboarding(request: Request) -> dict[str, Any]:
        """Carry out an onboarding file (as JSON, geometries in the text). `refused` names line and reason of the
        command at which it stopped; what was done before stays, and the file can be sent again."""
        try:
            file, document = parse_onboarding(await _bounded_body(request), "onboarding")
        except OnboardingError as problem:
            raise Rejected("bad_record", field="file", problems=str(problem).splitlines()[:20]) from problem
        async with read() as view:
            standing = await standing_of(view, file)
        done = await onboard(file, document, OPERATOR, standing, writer.submit_all)
        return {"partner": done.partner, "done": done.done, "refused": done.refused}


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > ONBOARDING_BYTES_MAX:
            raise Rejected("bad_request", body_bytes_max=ONBOARDING_BYTES_MAX)
    return bytes(body)


async def _submit(writer: Writer, command: Any) -> dict[str, Any]:
    outcome = await writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    reply: dict[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return reply


def _shown(told: Any) -> Any:
    """Rows as they go out: instants as text."""
    if isinstance(told, list):
        return [_shown(one) for one in told]
    if not isinstance(told, dict):
        return told
    return {
        name: rfc3339(value)
        if isinstance(value, int) and (name == "at" or name.endswith("_at"))
        else _shown(value)
        for name, value in told.items()
    }
