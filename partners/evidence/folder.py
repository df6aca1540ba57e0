"""Where evidence lies: originals and both copies by the hash of the original, readable by the engine's owner only."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.core.errors import Rejected
from engine.pictures import write_whole

FREE_BYTES_MIN = 64 * 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def room() -> Iterator[None]:
    """A disk that is full is a refusal of its own: `storage_full`. Other faults of the disk stay what they are."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            raise Rejected("storage_full") from problem
        raise


class EvidenceFolder:
    """`originals`, `public` and `thumbs`, each spread over 256 folders by the first digits of the hash."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uploads(self) -> Path:
        """Where unfinished uploads lie, on the same disk as what they become."""
        return self.root / "uploads"

    def original(self, sha256: str) -> Path:
        """The bytes as they were sent. Never served but in an auditor's hands."""
        return self.root / "originals" / sha256[:2] / sha256

    def public(self, sha256: str) -> Path:
        """The stripped copy of the original with this hash."""
        return self.root / "public" / sha256[:2] / f"{sha256}.jpg"

    def thumb(self, sha256: str) -> Path:
        """The small stripped copy."""
        return self.root / "thumbs" / sha256[:2] / f"{sha256}.jpg"

    def keep(self, sha256: str, sent: Path, public: bytes, thumb: bytes) -> None:
        """Keep a finished upload and its copies; the upload's file stays until it is dropped.

        Raises Rejected(storage_full), and then nothing half-written is left.
        """
        with room():
            write_whole(self.public(sha256), public)
            write_whole(self.thumb(sha256), thumb)
            target = self.original(sha256)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not target.exists():
                link_or_copy(sent, target)

    def check_room(self, more_bytes: int) -> None:
        """Raises Rejected(storage_full) where so many bytes would leave less than a reserve."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.root).free < more_bytes + FREE_BYTES_MIN:
            raise Rejected("storage_full")


def link_or_copy(source: Path, target: Path) -> None:
    """The same bytes under another name; without a copy where the disk can."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as problem:
        if problem.errno in _FULL:
            raise
        write_whole(target, source.read_bytes())
