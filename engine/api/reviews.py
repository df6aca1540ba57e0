"""People who look at what users have shown with photos: the queue, the picture, the decision."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from engine.api.callers import Engine, MaybeIdempotencyKey, operator_caller
from engine.api.fields import Body, DisplayName, WireId, answer, id_of
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core import commands
from engine.core.errors import Rejected
from engine.store import queries
from engine.store.database import DatabaseAway

REVIEWS_MAX = 100

router = APIRouter(prefix="/v1/reviews", tags=["operator"], dependencies=[Depends(operator_caller)])


class ReviewTold(BaseModel):
    """A shown act that is to be looked at, or was."""

    activity: str
    user: str
    behaviour: str
    on: str
    quantity: str
    unit: str
    energy_g: int
    reason: Literal["sample", "alike", "other_day"] = Field(description="Why it is looked at.")
    state: Literal["waiting", "accepted", "refused", "erased"]
    alike: list[str] = Field(description="Photos that look the same, by their SHA-256.")
    taken_at: str | None = Field(None, description="When the camera says that it was taken.")
    opened_at: str
    decided_at: str | None = None
    decided_by: str | None = None
    note: str = ""


class Verdict(Body):
    """What somebody who looked at it says."""

    accept: bool
    by: DisplayName
    note: Annotated[str, Field(max_length=200)] = ""


class Decided(BaseModel):
    """The review as it is now; `owed_g`: collected grams that became a debt."""

    activity: str
    state: str
    owed_g: int | None = None


@router.get("")
async def reviews(
    parts: Engine,
    state: Annotated[Literal["waiting", "accepted", "refused", "erased"], Query()] = "waiting",
    after: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,15}$")] = None,
    limit: Annotated[int, Query(ge=1, le=REVIEWS_MAX)] = REVIEWS_MAX,
) -> list[ReviewTold]:
    """Shown acts that are to be looked at, oldest first; the next page begins `after` the last activity."""
    try:
        async with parts.db.snapshot() as reader:
            rows = await queries.reviews(reader, state, int(after or 0), limit)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    return [ReviewTold(**row) for row in rows]


@router.get(
    "/{activity}/photo",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}} | refusals("unknown_review", "unknown_photo"),
)
async def review_photo(parts: Engine, activity: WireId) -> Response:
    """The photo of a shown act, stripped of all but its pixels."""
    found = await _photo_of(parts, id_of(activity, "unknown_review"))
    data = await asyncio.to_thread(parts.photos.read, *found)
    if data is None:
        raise Rejected("unknown_photo")
    return Response(data, media_type="image/jpeg")


@router.post(
    "/{activity}",
    response_model=Decided,
    response_model_exclude_unset=True,
    responses=refusals("unknown_review", "review_decided", "key_reused"),
)
async def decide(parts: Engine, activity: WireId, key: MaybeIdempotencyKey, body: Verdict) -> Response:
    """Accept what was shown, or refuse it: then what nobody collected is reversed, and the rest is a debt."""
    review = id_of(activity, "unknown_review")
    command = commands.ReviewActivity(key, review, body.accept, body.by, body.note)
    return answer(await parts.writer.submit(command))


async def _photo_of(parts: Parts, activity: int) -> tuple[int, str]:
    try:
        async with parts.db.snapshot() as reader:
            found = await queries.photo_files(reader, [activity])
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    if activity not in found:
        raise Rejected("unknown_review")
    user, file = found[activity]
    if user is None or file is None:
        raise Rejected("unknown_photo")
    return user, file
