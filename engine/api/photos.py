"""Photos of acts that only the user can show: taken in, read, compared with all others, kept as files."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from engine.api.callers import Engine, User
from engine.api.fields import answer
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core import commands
from engine.core.errors import Rejected
from engine.core.units import DAY_MS
from engine.photos import Picture, read_picture
from engine.pictures import MEDIA_TYPES, unlike
from engine.store import queries
from engine.store.database import DatabaseAway

PATH = "/v1/photos"
READING_MAX = 2  # pictures unpacked at a time: each may take four bytes a pixel
ALIKE_BITS_MAX = 3  # within these one of the four bands is sure to be equal, so that the search finds all
ALIKE_LOOKED_AT_MAX = 200
ALIKE_TOLD_MAX = 5


class PhotoKept(BaseModel):
    """The photo's name for `activity.submit`; what is kept of it has neither time nor place in it."""

    photo: str
    width: int
    height: int


_PHOTO_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    }
}


def make_router() -> APIRouter:
    """Uploads, a few unpacked at a time."""
    router = APIRouter(prefix="/v1", tags=["game"])
    reading = asyncio.Semaphore(READING_MAX)

    @router.post(
        "/photos",
        status_code=201,
        response_model=PhotoKept,
        openapi_extra=_PHOTO_BODY,
        responses=refusals(
            "token_invalid", "token_expired", "unknown_user", "account_suspended", "account_closed"
        )
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
        await asyncio.to_thread(parts.photos.keep, caller, picture)
        outcome = await parts.writer.submit(command)
        if outcome.error is not None and not await _is_kept(parts, caller, picture.file):
            await asyncio.to_thread(parts.photos.drop, caller, picture.file)
        return answer(outcome, 201)

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
    if count >= parts.settings.day_photos_max:
        raise Rejected("too_many_photos", photos_max=parts.settings.day_photos_max)
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
