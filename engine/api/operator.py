"""What only an operator may do: register sources and rotate their secrets, fund programmes, put trees on offer."""

import base64
import hmac
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field

from engine.api.callers import Engine, IdempotencyKey, operator_caller
from engine.api.fields import (
    Behaviours,
    Body,
    Count,
    Currency,
    DisplayName,
    Instant,
    Minor,
    Slug,
    SlugPath,
    answer,
    shown_text,
)
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.api.signature import SECRET_PREFIX
from engine.core import commands
from engine.core.errors import Rejected
from engine.core.units import instant
from engine.feeds import DAYS_MAX, document, feeds
from engine.store import queries
from engine.store.database import DatabaseAway
from engine.writer import Outcome

router = APIRouter(prefix="/v1", tags=["operator"], dependencies=[Depends(operator_caller)])
_encode = msgspec.json.Encoder().encode

FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Kinds = Annotated[
    list[Slug], Field(max_length=64, description="Kinds of evidence that it may claim; none named: any.")
]


class SourceRegistration(Body):
    """Who may report which behaviours, and what it states of itself."""

    source: Slug
    name: DisplayName
    behaviours: Behaviours
    evidence: Kinds = Field(default_factory=list)
    categories: list[Slug] = Field(
        default_factory=list, max_length=16, description="Categories of its behaviours."
    )
    fields: list[FieldName] = Field(
        default_factory=list, max_length=64, description="What it sends beside quantity and time."
    )
    refresh_h: Annotated[int, Field(ge=1, le=8784, description="How often it reports, in hours.")] | None = (
        None
    )
    contact: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(shown_text)] | None = None
    reduction_owner: Literal["user", "operator", "none"] = "none"
    may_be_sold: bool = False


class Rotation(Body):
    """Until when requests may still be signed with the secret that is in use now."""

    old_until_at: Instant


class Funding(Body):
    """A funder commits an amount for trees at a unit price."""

    funder: DisplayName
    currency: Currency
    unit_price_minor: Minor
    amount_minor: Minor


class StockGrant(Body):
    """Trees to put on offer, no more than funding covers."""

    trees: Count


class SourceSecret(BaseModel):
    """A source with its new secret, which is told here and never again."""

    source: str
    secret: str = Field(description="whsec_… for the Standard Webhooks scheme.")
    old_until_at: str | None = None


class SourceTold(BaseModel):
    """A source without its secrets."""

    source: str
    name: str
    behaviours: list[str]
    evidence: list[str] = Field(description="Kinds of evidence that it may claim; none named: any.")
    categories: list[str] = []
    fields: list[str] = []
    refresh_h: int | None = None
    contact: str | None = None
    reduction_owner: str = Field("none", description="Who owns the reductions that it reports.")
    may_be_sold: bool = Field(False, description="Whether the owner may sell them.")


class FeedTold(BaseModel):
    """How a source's feed fares in a window of days. No subject is named."""

    source: str
    name: str
    behaviours: list[str]
    days: int
    links: int = Field(description="Consents that are live.")
    last_act_at: str | None
    last_act_on: str | None
    last_report_at: str | None
    silent_for_s: int | None
    mean_lag_s: int | None = Field(description="From act to arrival, of accepted acts with an instant.")
    reporting_days: int
    gaps: list[dict[str, Any]] = Field(
        description="Days without a report in a feed that else reports on most."
    )
    reports: int
    accepted: int
    duplicate: int
    reversed: int
    rejected: int
    duplicate_pct: str | None
    rejected_pct: str | None
    rejected_by_code: dict[str, int]
    unlinked_subjects_about: int = Field(
        description="Estimated from a sketch that no subject can be read from."
    )
    behaviour_totals: list[dict[str, Any]]
    pull: dict[str, Any] | None = Field(description="How its pull fares, where it is pulled.")


class Commitment(BaseModel):
    """A funding commitment and how many trees it covers."""

    commitment: str
    covers: int


class StockTold(BaseModel):
    """Trees on offer now."""

    stock: int


def _secret(parts: Parts, source: str, key: str) -> str:
    """The secret of this wish: the same wish sent again names the same secret, and nobody else can tell it."""
    about = f"source secret|{source}|{key}".encode()
    digest = hmac.digest(parts.settings.operator_key.encode(), about, "sha256")
    return SECRET_PREFIX + base64.b64encode(digest).decode()


def _with_secret(outcome: Outcome, secret: str, status: int) -> Response:
    if outcome.error is not None:
        raise outcome.error
    told: Mapping[str, Any] = msgspec.json.decode(outcome.data or b"{}")
    return Response(_encode({**told, "secret": secret}), status, media_type="application/json")


@router.post(
    "/sources",
    status_code=201,
    response_model=SourceSecret,
    response_model_exclude_unset=True,
    responses=refusals(
        "source_exists", "unknown_behaviour", "behaviours_missing", "bad_source", "key_reused"
    ),
)
async def add_source(parts: Engine, key: IdempotencyKey, body: SourceRegistration) -> Response:
    """Register a source. The reply has its secret; a retry with the same key has it again."""
    secret = _secret(parts, body.source, key)
    about = commands.SourceAbout(
        tuple(body.categories),
        tuple(body.fields),
        body.refresh_h,
        body.contact,
        body.reduction_owner,
        body.may_be_sold,
    )
    evidence = tuple(dict.fromkeys(body.evidence))
    command = commands.AddSource(key, body.source, body.name, secret, tuple(body.behaviours), evidence, about)
    return _with_secret(await parts.writer.submit(command), secret, 201)


@router.get("/sources")
async def sources(parts: Engine) -> list[SourceTold]:
    """All sources, without secrets."""
    try:
        async with parts.db.snapshot() as reader:
            rows = await queries.sources(reader)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    return [SourceTold(**row) for row in rows]


@router.get("/sources/report", responses=refusals("unknown_source", "invalid"))
async def report_sources(
    parts: Engine,
    days: Annotated[int, Query(ge=1, le=DAYS_MAX, description="How many days back.")] = 30,
    source: Annotated[Slug | None, Query(description="One source; all if left out.")] = None,
) -> list[FeedTold]:
    """How the feeds of sources fare: freshness, gaps, rates, unlinked subjects (a count), what they brought."""
    now_ms = parts.clock.now_ms()
    try:
        found = await feeds(parts.db, now_ms, days, source)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    if source is not None and not found:
        raise Rejected("unknown_source", source=source)
    return [FeedTold(**one) for one in document(found, now_ms)]


@router.post(
    "/sources/{source}/rotate",
    response_model=SourceSecret,
    responses=refusals("unknown_source", "key_reused"),
)
async def rotate_source(parts: Engine, source: SlugPath, key: IdempotencyKey, body: Rotation) -> Response:
    """Give a source a new secret; the one in use now is accepted until `old_until_at`."""
    secret = _secret(parts, source, key)
    command = commands.RotateSource(key, source, secret, instant(body.old_until_at))
    return _with_secret(await parts.writer.submit(command), secret, 200)


@router.post(
    "/programmes/{programme}/commitments",
    status_code=201,
    response_model=Commitment,
    responses=refusals("unknown_programme", "key_reused"),
)
async def fund_programme(parts: Engine, programme: SlugPath, key: IdempotencyKey, body: Funding) -> Response:
    """Book a funder's commitment for trees of the programme."""
    command = commands.FundProgramme(
        key, programme, body.funder, body.currency, body.unit_price_minor, body.amount_minor
    )
    return answer(await parts.writer.submit(command), 201)


@router.post(
    "/programmes/{programme}/stock",
    response_model=StockTold,
    responses=refusals("unknown_programme", "not_funded", "key_reused"),
)
async def grant_stock(parts: Engine, programme: SlugPath, key: IdempotencyKey, body: StockGrant) -> Response:
    """Put trees of the programme on offer."""
    return answer(await parts.writer.submit(commands.GrantStock(key, programme, body.trees)))
