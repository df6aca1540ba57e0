"""From a finished upload to evidence: read, kept as files, compared with all others, told to the core by commands.

Every step can be done again: a crash leaves a complete upload, which a job takes in later with the same result.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from engine.core.errors import Rejected
from engine.store.database import Reader
from partners.core.evidence_commands import AssessBatch, KeepEvidence, NoteLikeness, RecordOutline
from partners.core.evidence_rows import place_of
from partners.evidence.desk import EvidenceDesk
from partners.evidence.geometry import Outline, Point, checked_outline, middle_of, overlapping
from partners.evidence.likeness import alike, elsewhere
from partners.evidence.photos import ReadPhoto, Stated, is_photo, read_photo
from partners.evidence.shapes import read_shape
from partners.evidence.uploads import Upload
from partners.store import evidence_queries

# not the file's fault: tried again by a job
LATER = ("unavailable", "overloaded", "storage_full", "internal", "unknown_upload")
_HEAD_BYTES = 32
LOOKS_MAX = 20  # at the other outlines of a season, while more of them come


async def finish(desk: EvidenceDesk, upload: Upload) -> dict[str, Any]:
    """Take a complete upload in. Raises Rejected: what is wrong with the file, or why it must wait (`LATER`).

    A file that is refused is noted as such, so that the client finds out whenever it asks.
    """
    path = desk.uploads.path(upload)
    try:
        try:
            head = await asyncio.to_thread(_head, path)
        except FileNotFoundError as problem:  # another process has settled it
            raise Rejected("unknown_upload") from problem
        if is_photo(head):
            outcome = await take_photo(desk, upload.partner, path, _stated(upload))
        elif upload.stated.get("kind") == "outline":
            data = await asyncio.to_thread(path.read_bytes)
            stated = upload.stated
            outcome = await take_outline(
                desk,
                upload.partner,
                stated.get("site", ""),
                stated.get("season", ""),
                stated.get("datum", ""),
                data,
            )
        else:
            raise Rejected(
                "photo_invalid", expected="a photo, or metadata with kind outline, site, season and datum"
            )
    except Rejected as refusal:
        if refusal.code not in LATER:
            told = {"code": refusal.code, **refusal.fields}
            await asyncio.to_thread(desk.uploads.settle, upload, "refused", told)
        raise
    await asyncio.to_thread(desk.uploads.settle, upload, "kept", outcome)
    return outcome


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _stated(upload: Upload) -> Stated:
    stated = upload.stated
    return Stated(stated.get("filename", ""), stated.get("datum", ""), stated.get("device", ""))


async def take_photo(desk: EvidenceDesk, partner: str, path: Path, stated: Stated) -> dict[str, Any]:
    """Keep one photo. Raises Rejected(photo_invalid | photo_too_large | storage_full | unavailable)."""
    async with desk.unpacking:
        photo = await asyncio.to_thread(_read, desk, partner, path, stated)
    sha256 = photo.row.sha256
    await asyncio.to_thread(desk.folder.keep, sha256, path, photo.public, photo.thumb)
    photo.row.alike, photo.row.elsewhere = await _look(desk, photo)
    reply = await desk.submit(KeepEvidence(None, photo.row))
    if reply["status"] == "kept":
        # two that came in the same instant did not see each other; the later one does now
        alike_now, elsewhere_now = await _look(desk, photo)
        await desk.submit(NoteLikeness(None, sha256, alike_now, elsewhere_now))
    verdict = await assess_naming(desk, sha256)
    row = photo.row
    return {
        "sha256": sha256,
        "status": reply["status"],
        "media": row.media,
        "width": row.width,
        "height": row.height,
        "has_time": row.taken_at is not None or row.gps_at is not None,
        "has_place": row.point_e6 is not None,
        "verdict": verdict,
    }


def _read(desk: EvidenceDesk, partner: str, path: Path, stated: Stated) -> ReadPhoto:
    return read_photo(path.read_bytes(), partner, desk.pixels_max, stated)


async def _look(desk: EvidenceDesk, photo: ReadPhoto) -> tuple[list[list[Any]], list[list[Any]]]:
    async with desk.reading() as reader:
        return (
            await alike(reader, photo.row.sha256, photo.variants, desk.evidence),
            await elsewhere(reader, photo.row, desk.evidence),
        )


async def assess_naming(desk: EvidenceDesk, sha256: str) -> str | None:
    """Judge anew the batch that names the file, if one does; its verdict."""
    async with desk.reading() as reader:
        named = await evidence_queries.batch_naming(reader, sha256)
    if named is None:
        return None
    order, batch = named
    verdict = (await desk.submit(AssessBatch(None, order, batch)))["verdict"]
    return None if verdict is None else str(verdict)


async def take_outline(
    desk: EvidenceDesk, partner: str, site: str, season: str, datum: str, data: bytes
) -> dict[str, Any]:
    """Keep the outline of a partner's site in a season. Raises Rejected(outline_invalid | overloaded | unavailable)."""
    near = await _place_known(desk, partner, site, season)
    outline = await asyncio.to_thread(_checked, data, datum, near)
    place = place_of(partner, site, season)
    for _ in range(LOOKS_MAX):
        async with desk.reading() as reader:
            seen = await evidence_queries.outlines_seen(reader, season)
            overlaps = await overlaps_of(reader, place, season, outline)
        command = RecordOutline(
            key=None,
            partner=partner,
            site=site,
            season=season,
            datum=datum,
            area_m2=outline.area_m2,
            box_e6=outline.box_e6,
            polygons=outline.polygons,
            overlaps=overlaps,
            notes=list(outline.notes),
            compared_with=seen,
        )
        try:
            reply = await desk.submit(command)
            break
        except Rejected as refusal:  # another came meanwhile, maybe on the same ground
            if refusal.code != "outlines_changed":
                raise
    else:
        raise Rejected("overloaded")
    async with desk.reading() as reader:
        waiting = await evidence_queries.batches_at(reader, place)
    for order, batch in waiting:
        await desk.submit(AssessBatch(None, order, batch))
    return {
        **reply,
        "hectares": f"{float(outline.hectares):.4f}",
        "mu": f"{float(outline.mu):.3f}",
        "vertices": outline.vertices,
        "polygons": len(outline.polygons),
        "notes": list(outline.notes),
        "overlaps": [{"place": other, "share_pct": share / 100} for other, _, share, _ in overlaps],
        "sha256": hashlib.sha256(data).hexdigest(),
    }


async def _place_known(desk: EvidenceDesk, partner: str, site: str, season: str) -> Point | None:
    """About where the site is. Raises Rejected(outline_invalid): no site of the partner's, or no season of it.

    A partner with registered sites has no others; one without has those of its programmes.
    """
    async with desk.reading() as reader:
        sites = await evidence_queries.sites_of(reader, partner)
        windows = await evidence_queries.windows_of(reader, partner)
    programme = desk.rules().programmes.get(site)
    if programme is not None and programme.partner != partner:
        programme = None
    if sites:
        status, geometry, datum = sites.get(site, ("", None, None))
        if status in ("", "retired"):
            expected = "a registered site of the partner that is not retired"
            raise Rejected("outline_invalid", reason="unknown_site", expected=expected)
        near = middle_of(geometry, datum)
    elif programme is not None:
        near = float(programme.longitude), float(programme.latitude)
    else:
        expected = "a site of one of the partner's programmes"
        raise Rejected("outline_invalid", reason="unknown_site", expected=expected)
    windows |= {window.id for window in programme.seasons} if programme is not None else set()
    year, _, window_id = season.partition("-")
    if window_id not in windows or not (len(year) == 4 and year.isascii() and year.isdigit()):
        raise Rejected("outline_invalid", reason="unknown_season", expected="as 2027-spring")
    return near


def _checked(data: bytes, datum: str, near: Point | None) -> Outline:
    return checked_outline(read_shape(data), datum, near)


async def overlaps_of(reader: Reader, place: str, season: str, outline: Outline) -> list[list[Any]]:
    """[place, partner, share of the smaller, share of the larger] of other places of the season on the same ground."""
    others = await evidence_queries.outlines_in(reader, season, outline.box_e6, place)
    shapes = [polygons for _, _, polygons in others]
    found = await asyncio.to_thread(overlapping, outline.polygons, shapes)
    return [[others[n][0], others[n][1], shared.of_smaller, shared.of_larger] for n, shared in found]
