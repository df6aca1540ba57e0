"""The tus protocol 1.0.0 over HTTP: resumable uploads for bad lines, any tus client works unchanged.

Extensions: creation, creation-with-upload, expiration, checksum, termination. A line that breaks costs what was not on
disk yet; a request that hangs on a dead line yields to the client's next one.
"""

import asyncio
import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from engine.api.problems import refusals
from engine.core.errors import Rejected
from engine.core.units import rfc3339
from partners.core.datum import DATUMS
from partners.evidence.desk import EvidenceDesk
from partners.evidence.folder import room
from partners.evidence.intake import LATER, finish
from partners.evidence.photos import clean
from partners.evidence.uploads import Upload

PATH = "/v1/evidence/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
CHECKSUMS = ("sha1", "sha256", "md5")
MEDIA_TYPE = "application/offset+octet-stream"
METADATA_CHARACTERS_MAX = 2000
STATED_CHARACTERS_MAX = 200
STATED = ("filename", "datum", "device", "kind", "site", "season")
WRITE_BYTES = 256 * 1024  # gathered before they are written
YIELD_WITHIN_S = 5.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UploadPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="The upload, as in its Location.")]
Caller = Callable[..., Any]


@dataclass(slots=True)
class _Writers:
    """Requests of this process that are taking bytes, by upload."""

    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def stop(self, upload: str) -> None:
        """End a request that hangs on a dead line: the client has come back. What it has taken is kept."""
        task = self.tasks.get(upload)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=YIELD_WITHIN_S)


@dataclass(frozen=True, slots=True)
class _Tus:
    """The protocol's methods, each given the partner who calls."""

    desk: EvidenceDesk
    writers: _Writers = field(default_factory=_Writers)

    async def create(self, request: Request, by: str) -> Response:
        _check_version(request)
        uploads = self.desk.uploads
        length = _whole(request.headers.get("upload-length", ""), "Upload-Length")
        stated = _stated(request.headers.get("upload-metadata", ""))
        upload = await asyncio.to_thread(uploads.create, by, length, stated, self.desk.now_ms())
        more: dict[str, str] = {}
        if _is_bytes(request):
            await _take(self.desk, self.writers, upload, 0, request)
            more = {"Upload-Offset": str(uploads.offset(upload))}
        told = await _finished(self.desk, upload)
        return _answer(201, upload, {"Location": f"{PATH}/{upload.id}", **more, **told})

    async def head(self, request: Request, name: str, by: str) -> Response:
        _check_version(request)
        await self.writers.stop(name)
        upload = await _find(self.desk, by, name)
        offset = await asyncio.to_thread(self.desk.uploads.offset, upload)
        return _answer(200, upload, {"Upload-Offset": str(offset), "Upload-Length": str(upload.length)})

    async def about(self, name: str, by: str) -> Response:
        upload = await asyncio.to_thread(self.desk.uploads.find, by, name, self.desk.now_ms())
        offset = await asyncio.to_thread(self.desk.uploads.offset, upload)
        told = {"state": upload.state, "offset": offset, "length": upload.length}
        return JSONResponse({**told, "expires_at": rfc3339(upload.expires_at), **upload.outcome})

    async def patch(self, request: Request, name: str, by: str) -> Response:
        _check_version(request)
        if not _is_bytes(request):
            raise Rejected("unsupported_media_type", expected=MEDIA_TYPE)
        await self.writers.stop(name)
        upload = await _find(self.desk, by, name)
        offset = _whole(request.headers.get("upload-offset", ""), "Upload-Offset")
        if upload.state == "open":
            await _take(self.desk, self.writers, upload, offset, request)
        elif offset != upload.length:
            raise Rejected("upload_offset", offset=upload.length)
        here = await asyncio.to_thread(self.desk.uploads.offset, upload)
        told = await _finished(self.desk, upload)
        return _answer(204, upload, {"Upload-Offset": str(here), **told})

    async def end(self, request: Request, name: str, by: str) -> Response:
        _check_version(request)
        await self.writers.stop(name)
        upload = await asyncio.to_thread(self.desk.uploads.find, by, name, self.desk.now_ms())
        await asyncio.to_thread(self.desk.uploads.end, upload)
        return Response(None, 204, {"Tus-Resumable": VERSION})

    async def overridden(self, request: Request, name: str, by: str) -> Response:
        method = request.headers.get("x-http-method-override", "").upper()
        if method == "PATCH":
            return await self.patch(request, name, by)
        if method == "DELETE":
            return await self.end(request, name, by)
        raise Rejected("method_not_allowed")


def tus_router(desk: EvidenceDesk, caller: Caller) -> APIRouter:
    """The routes; `caller` is a dependency that gives the id of the partner who calls."""
    router = APIRouter(tags=["evidence"])
    tus = _Tus(desk)
    partner = Annotated[str, Depends(caller)]
    refused = refusals("unauthorised", "token_expired", "unknown_upload", "upload_version", "storage_full")
    taking = refused | refusals(
        "upload_offset",
        "upload_locked",
        "upload_checksum",
        "body_too_large",
        "photo_invalid",
        "photo_too_large",
    )
    creating = refused | refusals("too_many_uploads", "body_too_large", "bad_request", "photo_invalid")
    one = f"{PATH}/{{name}}"

    @router.options(PATH, status_code=204, response_class=Response)
    async def options() -> Response:
        """What this server speaks."""
        return Response(None, 204, _spoken(desk))

    @router.post(PATH, status_code=201, response_class=Response, responses=creating)
    async def create(request: Request, by: partner) -> Response:  # type: ignore[valid-type]
        """Begin an upload; its first bytes may come along. `Upload-Metadata` may state filename, datum, device."""
        return await tus.create(request, by)

    @router.head(one, response_class=Response, responses=refused)
    async def head(request: Request, name: UploadPath, by: partner) -> Response:  # type: ignore[valid-type]
        """How many bytes have come."""
        return await tus.head(request, name, by)

    @router.get(one, responses=refused)
    async def about(name: UploadPath, by: partner) -> Response:  # type: ignore[valid-type]
        """How the upload stands, and what came of it."""
        return await tus.about(name, by)

    @router.patch(one, status_code=204, response_class=Response, responses=taking)
    async def take(request: Request, name: UploadPath, by: partner) -> Response:  # type: ignore[valid-type]
        """The next bytes, from `Upload-Offset` on. The last ones are answered when the file was read and kept."""
        return await tus.patch(request, name, by)

    @router.delete(one, status_code=204, response_class=Response, responses=refused)
    async def terminate(request: Request, name: UploadPath, by: partner) -> Response:  # type: ignore[valid-type]
        """End an upload and forget its bytes. What was kept already stays."""
        return await tus.end(request, name, by)

    @router.post(one, status_code=204, response_class=Response, responses=taking)
    async def overridden(request: Request, name: UploadPath, by: partner) -> Response:  # type: ignore[valid-type]
        """For networks that know no PATCH: the method is in `X-HTTP-Method-Override`."""
        return await tus.overridden(request, name, by)

    return router


def _spoken(desk: EvidenceDesk) -> dict[str, str]:
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(desk.uploads.bytes_max),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


# --- bytes ----------------------------------------------------------------------------------------


async def _take(desk: EvidenceDesk, writers: _Writers, upload: Upload, offset: int, request: Request) -> None:
    """Append what comes until it ends, the line breaks, or the client comes back another way."""
    task = asyncio.current_task()
    assert task is not None
    work = asyncio.create_task(_append(desk, upload, offset, request))
    writers.tasks[upload.id] = work
    try:
        await asyncio.wait({work})
    except asyncio.CancelledError:
        work.cancel()
        await asyncio.wait({work})
        raise
    finally:
        if writers.tasks.get(upload.id) is work:
            del writers.tasks[upload.id]
    if work.cancelled():
        raise Rejected("upload_locked")
    work.result()


async def _append(desk: EvidenceDesk, upload: Upload, offset: int, request: Request) -> None:
    expected = _checksum(request.headers.get("upload-checksum"))
    digest = hashlib.new(expected[0], usedforsecurity=False) if expected else None
    with desk.uploads.writing(upload, offset) as descriptor:
        taken = offset
        held = bytearray()
        try:
            async for chunk in request.stream():
                held += chunk
                if taken + len(held) > upload.length:
                    raise Rejected("body_too_large", length=upload.length)
                if digest is not None:
                    digest.update(chunk)
                if len(held) >= WRITE_BYTES:
                    taken += await _flush(descriptor, held)
            taken += await _flush(descriptor, held)
        except (ClientDisconnect, asyncio.CancelledError):
            if digest is None:
                _write(descriptor, bytes(held))
                os.fsync(descriptor)
            else:
                os.ftruncate(descriptor, offset)  # what can't be checked was not taken
            raise
        except Rejected as refusal:
            if digest is not None or refusal.code != "storage_full":  # what fitted on the disk is not lost
                os.ftruncate(descriptor, offset)
            raise
        if digest is not None and expected is not None and digest.digest() != expected[1]:
            os.ftruncate(descriptor, offset)
            raise Rejected("upload_checksum")
        if taken < upload.length:
            await asyncio.to_thread(desk.uploads.prolong, upload, desk.now_ms())


async def _flush(descriptor: int, held: bytearray) -> int:
    """Write what is held, beside the loop. A write that has begun ends before anybody else writes, whoever cancels."""
    data = bytes(held)
    held.clear()
    work = asyncio.ensure_future(asyncio.to_thread(_write, descriptor, data))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


def _write(descriptor: int, data: bytes) -> int:
    """All of the data; on a full disk as much as fits, which is not lost."""
    view = memoryview(data)
    with room():
        while view:
            view = view[os.write(descriptor, view) :]
    return len(data)


async def _finished(desk: EvidenceDesk, upload: Upload) -> dict[str, str]:
    """Take the file in where all its bytes have come; what the client is told of it. Raises Rejected.

    What must wait is waited for by a job; the client's part is done.
    """
    if upload.state != "open" or await asyncio.to_thread(desk.uploads.offset, upload) < upload.length:
        return _told(upload)
    try:
        await finish(desk, upload)
    except Rejected as refusal:
        if refusal.code not in LATER:
            raise
        return {"Saxaul-Evidence-State": "waiting"}
    return _told(upload)


def _told(upload: Upload) -> dict[str, str]:
    if upload.state != "kept":
        return {}
    return {"Saxaul-Evidence-State": "kept", "Saxaul-Evidence": str(upload.outcome.get("sha256", ""))}


async def _find(desk: EvidenceDesk, partner: str, name: str) -> Upload:
    """The upload; what was refused is refused again with its reason, so that no client takes it for done."""
    upload = await asyncio.to_thread(desk.uploads.find, partner, name, desk.now_ms())
    if upload.state == "refused":
        outcome = dict(upload.outcome)
        raise Rejected(str(outcome.pop("code", "photo_invalid")), **outcome)
    return upload


# --- headers --------------------------------------------------------------------------------------


def _answer(status: int, upload: Upload, headers: dict[str, str]) -> Response:
    expires = format_datetime(_EPOCH + timedelta(milliseconds=upload.expires_at), usegmt=True)
    return Response(None, status, {"Tus-Resumable": VERSION, "Upload-Expires": expires, **headers})


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise Rejected("upload_version", expected=VERSION)


def _is_bytes(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == MEDIA_TYPE


def _whole(text: str, header: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Rejected("bad_request", header=header, expected="a whole number of bytes")
    return int(text)


def _checksum(header: str | None) -> tuple[str, bytes] | None:
    if header is None:
        return None
    kind, _, text = header.partition(" ")
    try:
        if kind not in CHECKSUMS:
            raise ValueError(kind)
        return kind, base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as problem:
        expected = f"one of {', '.join(CHECKSUMS)} and base64"
        raise Rejected("bad_request", header="Upload-Checksum", expected=expected) from problem


def _stated(header: str) -> dict[str, str]:
    """The metadata that we know, decoded; other keys are the client's own business."""
    if len(header) > METADATA_CHARACTERS_MAX:
        raise Rejected("bad_request", header="Upload-Metadata", characters_max=METADATA_CHARACTERS_MAX)
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, coded = pair.partition(" ")
        if key not in STATED:
            continue
        try:
            found[key] = clean(base64.b64decode(coded, validate=True).decode(), STATED_CHARACTERS_MAX)
        except (ValueError, binascii.Error) as problem:
            raise Rejected(
                "bad_request", header="Upload-Metadata", expected="base64 of UTF-8", key=key
            ) from problem
    if found.get("datum", DATUMS[0]) not in DATUMS:
        raise Rejected("bad_request", header="Upload-Metadata", key="datum", expected=list(DATUMS))
    return found
