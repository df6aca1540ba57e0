"""Unfinished uploads as files: what has come so far is the file's length, so nothing is lost with a process or a line.

Beside each `<id>.part` lies `<id>.json` with what was stated at its creation and, in the end, what came of it; that
stays until its time is over, so that a client that lost the last answer finds it. Knows no HTTP.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.core.errors import Rejected
from engine.pictures import write_whole
from partners.evidence.folder import EvidenceFolder, room

ID = re.compile(r"^[0-9a-f]{32}$")


@dataclass(slots=True)
class Upload:
    """One upload of a partner. `state`: open, kept or refused; `outcome` tells more of the last two."""

    id: str
    partner: str
    length: int
    expires_at: int
    stated: dict[str, str] = field(default_factory=dict)
    state: str = "open"
    outcome: dict[str, Any] = field(default_factory=dict)


class Uploads:
    """All uploads of all partners in one folder; several processes may share it."""

    def __init__(self, folder: EvidenceFolder, bytes_max: int, open_max: int, expiry_ms: int) -> None:
        self._folder = folder
        self.bytes_max = bytes_max
        self.open_max = open_max
        self.expiry_ms = expiry_ms

    def create(self, partner: str, length: int, stated: Mapping[str, str], now: int) -> Upload:
        """Room for a file of so many bytes.

        Raises Rejected: `body_too_large`, `too_many_uploads`, `storage_full`.
        """
        if length > self.bytes_max:
            raise Rejected("body_too_large", bytes=length, bytes_max=self.bytes_max)
        unfinished = [one for one in self._of(partner) if one.state == "open" and one.expires_at > now]
        if len(unfinished) >= self.open_max:
            raise Rejected("too_many_uploads", uploads_max=self.open_max)
        promised = sum(one.length - self.offset(one) for one in unfinished)
        self._folder.check_room(length + promised)
        upload = Upload(secrets.token_hex(16), partner, length, now + self.expiry_ms, dict(stated))
        with room():
            path = self.path(upload)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self._note(upload)
        return upload

    def find(self, partner: str, name: str, now: int) -> Upload:
        """The partner's own upload. Raises Rejected(unknown_upload), also for others' and for what is over."""
        if not ID.match(name):
            raise Rejected("unknown_upload")
        upload = self._read(self._folder.uploads / partner / f"{name}.json")
        if upload is None or upload.partner != partner or upload.expires_at <= now:
            raise Rejected("unknown_upload")
        return upload

    def path(self, upload: Upload) -> Path:
        """The bytes that have come so far."""
        return self._folder.uploads / upload.partner / f"{upload.id}.part"

    def offset(self, upload: Upload) -> int:
        """How many bytes have come."""
        if upload.state != "open":
            return upload.length
        try:
            return self.path(upload).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def writing(self, upload: Upload, offset: int) -> Iterator[int]:
        """A file descriptor to append at the offset, nobody else's meanwhile, also of another process.

        Raises Rejected: `upload_locked`, `upload_offset` (another offset is due), `unknown_upload`.
        """
        try:
            descriptor = os.open(self.path(upload), os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError as problem:
            raise Rejected("unknown_upload") from problem
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as problem:
                raise Rejected("upload_locked") from problem
            here = os.fstat(descriptor).st_size
            if here != offset:
                raise Rejected("upload_offset", offset=here)
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prolong(self, upload: Upload, now: int) -> None:
        """Whoever still sends has the whole time again."""
        upload.expires_at = now + self.expiry_ms
        with room():
            self._note(upload)

    def settle(self, upload: Upload, state: str, outcome: Mapping[str, Any]) -> None:
        """What came of the upload is noted, and its bytes are dropped."""
        upload.state, upload.outcome = state, dict(outcome)
        with room():
            self._note(upload)
        self.path(upload).unlink(missing_ok=True)

    def end(self, upload: Upload) -> None:
        """Forget an upload and its bytes."""
        self.path(upload).unlink(missing_ok=True)
        self._about(upload).unlink(missing_ok=True)

    def complete(self) -> list[Upload]:
        """Those whose bytes have all come and of which nothing came yet, as after a crash."""
        return [one for one in self._all() if one.state == "open" and self.offset(one) == one.length]

    def end_expired(self, now: int) -> int:
        """Forget what is over and what a crash has left behind; how many that were."""
        count = 0
        for upload in self._all():
            if upload.expires_at <= now and not (
                upload.state == "open" and self.offset(upload) == upload.length
            ):
                self.end(upload)
                count += 1
        for stray in self._folder.uploads.glob("*/*.part"):
            with suppress(FileNotFoundError):
                too_old = stray.stat().st_mtime * 1000 + self.expiry_ms < now
                if too_old and not stray.with_suffix(".json").exists():
                    stray.unlink(missing_ok=True)
                    count += 1
        return count

    def _about(self, upload: Upload) -> Path:
        return self._folder.uploads / upload.partner / f"{upload.id}.json"

    def _note(self, upload: Upload) -> None:
        write_whole(self._about(upload), json.dumps(asdict(upload)).encode())

    def _read(self, path: Path) -> Upload | None:
        try:
            return Upload(**json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _of(self, partner: str) -> list[Upload]:
        found = (self._read(path) for path in sorted((self._folder.uploads / partner).glob("*.json")))
        return [upload for upload in found if upload is not None]

    def _all(self) -> list[Upload]:
        found = (self._read(path) for path in sorted(self._folder.uploads.glob("*/*.json")))
        return [upload for upload in found if upload is not None]
