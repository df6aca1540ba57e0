"""Photos of acts that only the user can show, and the people who look at them."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from engine.api.callers import Engine, MaybeIdempotencyKey, User, operator_caller
from engine.api.fields import Body, DisplayName, WireId, answer, id_of
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core import commands
from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from engine.photos import MEDIA_TYPES, PhotoFolder, Picture, read_picture, unlike
from engine.store import queries
from engine.store.database import DatabaseAway

PATH = "/v1/photos"
READING_MAX = 2  # pictures unpacked at a time: each may take four bytes a pixel
ALIKE_BITS_MAX = 3  # within these one of the four bands is sure to be equal, so that the search finds all
ALIKE_LOOKED_AT_MAX = 200
ALIKE_TOLD_MAX = 5
REVIEWS_MAX = 100


class PhotoKept(BaseModel):
    """The photo's name for `activity.submit`; what is kept of it has neither time nor place in it."""

    photo: str
    width: int
    height: int


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


_PHOTO_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    }
}


def make_router(folder: PhotoFolder) -> APIRouter:
    """Uploads for users, reviews for operators."""
    router = APIRouter(prefix="/v1", tags=["photos"])
    reading = asyncio.Semaphore(READING_MAX)

    @router.post(
        "/photos",
        status_code=201,
        response_model=PhotoKept,
        openapi_extra=_PHOTO_BODY,
        responses=refusals("token_invalid", "token_expired", "unknown_user", "account_suspended")
        | refusals("photo_invalid", "photo_too_large", "photo_reused", "too_many_photos"),
    )
    async def upload(parts: Engine, caller: User, request: Request) -> Response:
        """Upload a photo (JPEG, PNG or WebP) of an act of one's own, to be named in `activity.submit`."""
        zone = await _check_upload(parts, caller)
        body = await request.body()
        async with reading:
            work = (read_picture, body, parts.settings.photo_pixels_max, zone)
            picture = await asyncio.to_thread(*work)
        command = _keep_command(caller, picture, await _alike(parts, picture))
        await asyncio.to_thread(folder.keep, caller, picture)
        outcome = await parts.writer.submit(command)
        if outcome.error is not None and not await _is_kept(parts, caller, picture.file):
            await asyncio.to_thread(folder.drop, caller, picture.file)
        return answer(outcome, 201)

    operators = [Depends(operator_caller)]

    @router.get("/reviews", dependencies=operators)
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
        "/reviews/{activity}/photo",
        dependencies=operators,
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}} | refusals("unknown_review", "unknown_photo"),
    )
    async def review_photo(parts: Engine, activity: WireId) -> Response:
        """The photo of a shown act, stripped of all but its pixels."""
        found = await _photo_of(parts, id_of(activity, "unknown_review"))
        data = await asyncio.to_thread(folder.read, *found)
        if data is None:
            raise Rejected("unknown_photo")
        return Response(data, media_type="image/jpeg")

    @router.post(
        "/reviews/{activity}",
        dependencies=operators,
        response_model=Decided,
        response_model_exclude_unset=True,
        responses=refusals("unknown_review", "review_decided", "key_reused"),
    )
    async def decide(parts: Engine, activity: WireId, key: MaybeIdempotencyKey, body: Verdict) -> Response:
        """Accept what was shown, or refuse it: then what nobody collected is reversed, and the rest is a debt."""
        review = id_of(activity, "unknown_review")
        command = commands.ReviewActivity(key, review, body.accept, body.by, body.note)
        return answer(await parts.writer.submit(command))

    return router


def _keep_command(user: int, picture: Picture, alike: list[str]) -> commands.KeepPhoto:
    return commands.KeepPhoto(
        user=user,
        sha256=picture.sha256,
        file=picture.file,
        width=picture.width,
        height=picture.height,
        looks=picture.looks,
        alike=tuple(alike),
        taken_at=picture.taken_at,
        latitude_e6=picture.latitude_e6,
        longitude_e6=picture.longitude_e6,
    )


async def _check_upload(parts: Parts, user: int) -> str:
    """The user's zone. Raises Rejected(too_many_photos) where enough came within a day."""
    now = parts.clock.now_ms()
    sql = "SELECT count(*) FROM photos WHERE user_id = ? AND kept_at > ?"
    try:
        async with parts.db.snapshot() as reader:
            [(count,)] = await reader.fetch(sql, user, now - DAY_MS)
            row = await queries.user(reader, user)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    if count >= parts.settings.photos_per_day:
        raise Rejected("too_many_photos", photos_per_day=parts.settings.photos_per_day)
    return row.zone_at(now) if row is not None else "UTC"


async def _alike(parts: Parts, picture: Picture) -> list[str]:
    """Other photos, of anybody, that look the same."""
    looks = picture.looks
    bands = {f"band_{name}": looks[4 * n : 4 * n + 4] for n, name in enumerate("abcd")}
    found: dict[str, int] = {}
    try:
        async with parts.db.snapshot() as reader:
            for column, band in bands.items():
                sql = f"SELECT sha256, looks FROM photos WHERE {column} = ? LIMIT ?"
                for sha256, other in await reader.fetch(sql, band, ALIKE_LOOKED_AT_MAX):
                    if sha256 != picture.sha256 and unlike(looks, other) <= ALIKE_BITS_MAX:
                        found[sha256] = unlike(looks, other)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    return sorted(found, key=lambda sha256: (found[sha256], sha256))[:ALIKE_TOLD_MAX]


async def _is_kept(parts: Parts, user: int, file: str) -> bool:
    """Whether the user's pictures need the file; it stays where that can't be known now."""
    try:
        async with parts.db.snapshot() as reader:
            sql = "SELECT count(*) FROM photos WHERE user_id = ? AND file = ?"
            [(count,)] = await reader.fetch(sql, user, file)
    except DatabaseAway:
        return True
    return count > 0


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
