"""HTTP of campaigns: a funder's own budget for trees made of the energy of certain behaviours. For operators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, Field

from engine.api.callers import Engine, MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, plain_text
from engine.api.problems import refusals
from engine.core.campaigns import BEHAVIOURS_MAX, NAME_CHARACTERS_MAX, StartCampaign
from engine.core.errors import Rejected
from engine.core.units import rfc3339
from partners.after_api import actor
from partners.api import Desk, reading, submit
from partners.store import campaigns

AMOUNT_MAX = 2**53 - 1

Day = Annotated[str, Field(pattern=r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX), AfterValidator(plain_text)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
CampaignPath = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,15}$")]


class CampaignBody(Body):
    """Who pays how much for which trees. Days are UTC, both ends included; money in minor units."""

    name: Name
    funder: Name
    programme: Slug
    behaviours: Annotated[list[Slug], Field(min_length=1, max_length=BEHAVIOURS_MAX)]
    from_on: Day
    until_on: Day
    redeem_until_on: Day = Field(description="Until when trees may be paid; then the rest pays for any tree.")
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    unit_price_minor: Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
    amount_minor: Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
    by: Annotated[str, Field(max_length=NAME_CHARACTERS_MAX), AfterValidator(plain_text)] = ""


def campaigns_router(desk: Desk) -> APIRouter:
    """The operators' routes of campaigns, under /v1."""
    router = APIRouter(prefix="/v1/campaigns", tags=["orders"])

    @router.post(
        "",
        status_code=201,
        responses=refusals("unknown_programme", "bad_campaign", "key_reused", "forbidden"),
    )
    async def start(
        parts: Engine,
        person: Annotated[str | None, Depends(operator_caller)],
        body: CampaignBody,
        key: MaybeIdempotencyKey,
    ) -> dict[str, Any]:
        """Start a campaign: its budget is booked as a commitment that pays only for such trees. Put its trees on offer
        with POST /v1/programmes/{programme}/stock."""
        wish = body.model_dump(exclude={"by", "behaviours"})
        command = StartCampaign(key, actor(parts, person, body.by), behaviours=tuple(body.behaviours), **wish)
        return await submit(desk, command)

    @router.get("", dependencies=[Depends(operator_caller)], responses=refusals("unavailable"))
    async def listed() -> dict[str, Any]:
        """All campaigns with what became of them."""
        async with reading(desk) as reader:
            return {"campaigns": [_shown(row) for row in await campaigns.report(reader)]}

    @router.get(
        "/{campaign}", dependencies=[Depends(operator_caller)], responses=refusals("unknown_campaign")
    )
    async def one(campaign: CampaignPath) -> dict[str, Any]:
        """A campaign: commitments, spending, trees by state, cost of a verified and of a living tree."""
        async with reading(desk) as reader:
            found = await campaigns.report(reader, int(campaign))
        if not found:
            raise Rejected("unknown_campaign", campaign=campaign)
        return _shown(found[0])

    return router


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"started_at": rfc3339(row["started_at"])}
