"""Photos and outlines that come with a form: the same way as by tus, so that the same is kept and judged."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from starlette.datastructures import UploadFile

from engine.core.errors import Rejected
from partners.evidence.intake import LATER, finish, take_outline
from partners.evidence.shapes import BYTES_MAX as OUTLINE_BYTES_MAX
from partners.portal.desk import PortalDesk
from partners.portal.sent import PHOTOS_PER_SLOT_MAX, Photo, Sent, photo_name
from partners.store import evidence_queries

COPIED_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that is not taken: the field, the code and the file's name."""

    field: str
    code: str
    name: str = ""


async def receive_photos(desk: PortalDesk, partner: str, sent: Sent) -> list[FileProblem]:
    """Keep the photos that came along and put them with those that came before.

    Of those that came before only the partner's own count: a hash that was heard of is no photo. What came along is
    judged with its batch, whoever has shown it first.

    Raises Rejected(storage_full | unavailable | …): what must be sent again later.
    """
    problems: list[FileProblem] = []
    async with desk.reading() as reader:
        for slot, photos in sent.photos.items():
            own = [one for one in photos if await evidence_queries.owner_of(reader, one.sha256) == partner]
            if len(own) < len(photos):
                problems.append(FileProblem(f"photos.{slot}", "photo_gone"))
            sent.photos[slot] = own
    for name, files in sent.files.items():
        if name.startswith("photos."):
            slot = name.removeprefix("photos.")
            known = sent.photos.setdefault(slot, [])
            for file in files:
                problems += await _one(desk, partner, name, file, known)
    return problems


async def _one(
    desk: PortalDesk, partner: str, name: str, file: UploadFile, known: list[Photo]
) -> list[FileProblem]:
    called = photo_name(file.filename or "")
    if len(known) >= PHOTOS_PER_SLOT_MAX:
        return [FileProblem(name, "too_many_photos", called)]
    try:
        sha256 = await _kept(desk, partner, file, called)
    except Rejected as refusal:
        if refusal.code in LATER:
            raise
        return [FileProblem(name, refusal.code, called)]
    if sha256 not in {one.sha256 for one in known}:
        known.append(Photo(sha256, called))
    return []


async def _kept(desk: PortalDesk, partner: str, file: UploadFile, called: str) -> str:
    """The photo's hash, once it is kept as evidence."""
    uploads = desk.evidence.uploads
    length = file.size or 0
    if not length:
        raise Rejected("photo_invalid")
    upload = await asyncio.to_thread(
        uploads.create, partner, length, {"filename": called}, desk.clock.now_ms()
    )
    try:
        with uploads.writing(upload, 0) as descriptor:
            while data := await file.read(COPIED_BYTES):
                await asyncio.to_thread(_write, descriptor, data)
        outcome = await finish(desk.evidence, upload)
    except Rejected as refusal:
        if refusal.code not in LATER:
            await asyncio.to_thread(uploads.end, upload)
        raise
    await asyncio.to_thread(uploads.end, upload)
    return str(outcome["sha256"])


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


async def receive_outline(
    desk: PortalDesk, partner: str, site: str, season: str, sent: Sent
) -> tuple[str, list[FileProblem]]:
    """Record the outline that came along; (its area in hectares, or empty where none came; problems)."""
    files = sent.files.get("outline", [])
    if not files:
        return "", []
    data = await files[0].read(OUTLINE_BYTES_MAX + 1)
    if len(data) > OUTLINE_BYTES_MAX:
        return "", [FileProblem("outline", "outline_large", photo_name(files[0].filename or ""))]
    try:
        told = await take_outline(desk.evidence, partner, site, season, sent.of("datum") or "wgs84", data)
    except Rejected as refusal:
        if refusal.code in LATER:
            raise
        reason = str(refusal.fields.get("reason", ""))
        return "", [FileProblem("outline", f"outline.{reason}", photo_name(files[0].filename or ""))]
    return str(told["hectares"]), []
