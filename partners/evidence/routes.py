"""HTTP of evidence beside uploads: outlines of a partner's sites, and the operator's view of what evidence comes to."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator, Field

from engine.api.callers import MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, plain_text
from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.numbers import order_number, parse_order_number
from engine.core.units import rfc3339
from partners.core.datum import DATUMS
from partners.core.evidence_commands import DismissReason
from partners.core.model import batch_id
from partners.core.reasons import told
from partners.evidence import shapes, tus
from partners.evidence.desk import EvidenceDesk
from partners.evidence.intake import take_outline
from partners.evidence.pack import contents_of, streamed
from partners.evidence.passes import read_pass
from partners.store import evidence_queries

OUTLINES_PATH = "/v1/evidence/outlines"
OPERATOR = "operator"
_pass = HTTPBearer(
    auto_error=False, scheme_name="UploadPass", description="A partner's upload pass (docs/partners.md)."
)

SitePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="The site's programme.")]
SeasonPath = Annotated[str, Path(pattern=r"^[0-9]{4}-[a-z0-9-]{1,40}$", description="As 2027-spring.")]
HashPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the original.")]
NumberPath = Annotated[str, Path(max_length=40, description="The order's public number.")]
DatumQuery = Annotated[str, Query(description=f"What the coordinates are in: {', '.join(DATUMS)}.")]


class DismissBody(Body):
    """Why a reason against a batch does not count, after somebody has looked into it."""

    report_no: str = Field(min_length=1, max_length=200)
    code: str = Field(max_length=40)
    why: Annotated[str, Field(min_length=1, max_length=300), AfterValidator(plain_text)]


def evidence_files(bytes_max: int) -> dict[str, tuple[int, tuple[str, ...]]]:
    """What these paths take in place of JSON: where they begin, the largest body, the media types."""
    return {
        tus.PATH: (bytes_max, (tus.MEDIA_TYPE,)),
        OUTLINES_PATH: (shapes.BYTES_MAX, shapes.MEDIA_TYPES),
    }


def by_pass(desk: EvidenceDesk) -> Callable[..., str]:
    """A dependency: the partner whose upload pass a request carries. Raises Rejected(unauthorised | token_expired)."""

    def partner(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_pass)]) -> str:
        if given is None:
            raise Rejected("unauthorised")
        return read_pass(desk.keys, given.credentials, desk.wall_ms())

    return partner


def evidence_router(desk: EvidenceDesk, caller: Callable[..., Any] | None = None) -> APIRouter:
    """All routes of evidence. `caller`: a dependency that gives the partner who calls; upload passes if not named."""
    caller = caller or by_pass(desk)
    router = APIRouter()
    router.include_router(tus.tus_router(desk, caller))
    _add_outlines(router, desk, caller)
    operators = APIRouter(prefix="/v1", tags=["evidence"], dependencies=[Depends(operator_caller)])
    _add_reading(operators, desk)
    router.include_router(operators)
    return router


def _add_outlines(router: APIRouter, desk: EvidenceDesk, caller: Callable[..., Any]) -> None:
    partner = Annotated[str, Depends(caller)]

    @router.put(
        f"{OUTLINES_PATH}/{{site}}/{{season}}",
        tags=["evidence"],
        responses=refusals("unauthorised", "token_expired", "outline_invalid", "body_too_large"),
    )
    async def outline(
        request: Request,
        site: SitePath,
        season: SeasonPath,
        datum: DatumQuery,
        by: partner,  # type: ignore[valid-type]
    ) -> dict[str, Any]:
        """The outline of a site in a season, as GeoJSON or KML. The same outline again changes nothing."""
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > shapes.BYTES_MAX:
                raise Rejected("body_too_large", body_bytes_max=shapes.BYTES_MAX)
        return await take_outline(desk, by, site, season, datum, bytes(body))


def _add_reading(router: APIRouter, desk: EvidenceDesk) -> None:
    @router.get("/orders/{number}/evidence", responses=refusals("bad_number", "unknown_order"))
    async def assessments(number: NumberPath) -> dict[str, Any]:
        """What the evidence of each batch of an order comes to, with every reason in words."""
        order = parse_order_number(number)
        async with desk.reading() as reader:
            found = await evidence_queries.assessments_of(reader, order)
        return {"number": order_number(order), "batches": [_shown(one) for one in found]}

    @router.get(
        "/orders/{number}/evidence.zip",
        response_class=StreamingResponse,
        responses=refusals("bad_number", "unknown_order"),
    )
    async def pack(number: NumberPath) -> Response:
        """All evidence of an order as one file for an auditor."""
        async with desk.reading() as reader:
            contents = await contents_of(reader, parse_order_number(number))
        headers = {"content-disposition": f'attachment; filename="{contents.order}-evidence.zip"'}
        return StreamingResponse(
            streamed(contents, desk.folder), media_type="application/zip", headers=headers
        )

    @router.post(
        "/orders/{number}/evidence/dismiss",
        responses=refusals("bad_number", "unknown_order", "unknown_batch", "own_review", "key_reused"),
    )
    async def dismiss(number: NumberPath, body: DismissBody, key: MaybeIdempotencyKey) -> dict[str, Any]:
        """Let a reason not count against a batch."""
        order = parse_order_number(number)
        name = batch_id(order, body.report_no)
        return await desk.submit(DismissReason(key, OPERATOR, order, name, body.code, body.why))

    @router.get("/evidence/photos/{sha256}", response_class=FileResponse, responses=refusals("unknown_photo"))
    async def photo(
        sha256: HashPath, size: Annotated[str, Query(pattern="^(full|thumb)$")] = "full"
    ) -> Response:
        """A photo as it may be shown: pixels alone, without time, place or device."""
        path = desk.folder.thumb(sha256) if size == "thumb" else desk.folder.public(sha256)
        if not path.is_file():
            raise Rejected("unknown_photo")
        return FileResponse(path, media_type="image/jpeg")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("order_id", "is_waiting")}
    return {**shown, "assessed_at": rfc3339(row["assessed_at"]), "reasons": told(row["reasons"])}
