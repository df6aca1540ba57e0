"""Photos that come with partners' files, by mail, folder or an operator's hand, into the same intake as uploads."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.core.errors import Rejected
from partners.evidence.desk import EvidenceDesk
from partners.evidence.folder import EvidenceFolder, room
from partners.evidence.intake import take_photo
from partners.evidence.photos import Stated
from partners.store import evidence_queries

KeepPhoto = Callable[[str, str, bytes], Awaitable[None]]
"""(partner, file name, bytes). Raises Rejected: what is wrong with the photo, or why it must wait."""


def photo_keeper(desk: EvidenceDesk, bytes_max: int) -> KeepPhoto:
    """Keeps photos by this desk; one that is known is not read again."""

    async def keep(partner: str, name: str, data: bytes) -> None:
        if len(data) > bytes_max:
            raise Rejected("photo_too_large", bytes_max=bytes_max)
        async with desk.reading() as reader:
            if await evidence_queries.owner_of(reader, hashlib.sha256(data).hexdigest()) is not None:
                return
        path = await asyncio.to_thread(_laid_down, desk.folder, data)
        try:
            await take_photo(desk, partner, path, Stated(name))
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    return keep


def _laid_down(folder: EvidenceFolder, data: bytes) -> Path:
    """A copy of our own: the sender's file may still be changed by its sender."""
    folder.check_room(len(data))
    place = folder.root / "incoming"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with room():
        file, name = tempfile.mkstemp(dir=place)
        path = Path(name)
        try:
            with os.fdopen(file, "wb") as opened:
                opened.write(data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path
