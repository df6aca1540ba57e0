"""A folder of this machine that a partner shares with us: `inbox/` is theirs to fill; files that
are dealt with go to `done/` or, with what is wrong, to `errors/`; order sheets lie in `orders/`.

Whoever fills the folder chooses names and may place links, so only plain files are opened and names are only names.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from partners.sheets.limits import FILE_BYTES_MAX

INBOX, DONE, ERRORS, ORDERS = "inbox", "done", "errors", "orders"
SETTLED_S = 3.0
"""A file that was written to within this time may still be on its way."""

FILES_PER_VISIT_MAX = 20
ENTRIES_MAX = 2_000
PHOTO_BYTES_MAX = 25 * 1024 * 1024
TABLES = (".xlsx", ".csv", ".tsv", ".txt", ".xls", ".xlsm", ".xlsb", ".ods", ".et")
PHOTOS = (".jpg", ".jpeg", ".png", ".heic", ".webp")
_UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload", ".lock")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A table in the inbox; `content` is None where it is larger than is taken."""

    name: str
    content: bytes | None


def is_ready(name: str) -> bool:
    """Whether the name is one alone, and of a file that nobody is writing or has open."""
    lower = name.casefold()
    return (
        not set(name) & set("/\\\0") and not lower.startswith((".", "~$")) and not lower.endswith(_UNFINISHED)
    )


class DropFolder:
    """One partner's folder. What the file system refuses is raised as OSError."""

    def __init__(self, path: Path, settled_s: float = SETTLED_S) -> None:
        self._path = path
        self._settled_s = settled_s

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[DropFolder]:
        """The folder, which needs no opening."""
        yield self

    async def waiting(self) -> list[Dropped]:
        """Tables that have come to rest in the inbox, by name."""
        return await asyncio.to_thread(lambda: list(self._waiting()))

    async def photos(self) -> dict[str, str]:
        """Pictures in the inbox: file name in lower case → SHA-256."""
        return await asyncio.to_thread(self._photos)

    async def picture(self, sha256: str) -> bytes | None:
        """The picture in the inbox with these bytes; None where it is gone."""
        return await asyncio.to_thread(self._picture, sha256)

    async def put_away(self, name: str, is_done: bool) -> None:
        """Move a file out of the inbox; of equal names, both are kept."""
        await asyncio.to_thread(self._put_away, name, DONE if is_done else ERRORS)

    async def write(self, room: str, name: str, content: bytes) -> None:
        """Put a file into `orders/`, `done/` or `errors/`, whole or not at all."""
        await asyncio.to_thread(self._write, room, name, content)

    async def has(self, room: str, name: str) -> bool:
        """Whether a file of that name lies in the room."""
        return await asyncio.to_thread((self._path / room / name).is_file)

    def _waiting(self) -> Iterator[Dropped]:
        found = 0
        for name in self._names(TABLES):
            if found >= FILES_PER_VISIT_MAX:
                return
            content = self._read(name, FILE_BYTES_MAX)
            if content is not None:
                found += 1
                yield Dropped(name, content if len(content) <= FILE_BYTES_MAX else None)

    def _photos(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self._names(PHOTOS):
            content = self._read(name, PHOTO_BYTES_MAX)
            if content is not None and len(content) <= PHOTO_BYTES_MAX:
                found[name.casefold()] = hashlib.sha256(content).hexdigest()
        return found

    def _picture(self, sha256: str) -> bytes | None:
        for name in self._names(PHOTOS):
            content = self._read(name, PHOTO_BYTES_MAX)
            if content is not None and hashlib.sha256(content).hexdigest() == sha256:
                return content
        return None

    def _names(self, endings: tuple[str, ...]) -> list[str]:
        names: list[str] = []
        try:
            with os.scandir(self._path / INBOX) as entries:
                for entry in entries:
                    if is_ready(entry.name) and entry.name.casefold().endswith(endings):
                        names.append(entry.name)
                    if len(names) >= ENTRIES_MAX:
                        break
        except FileNotFoundError:
            return []
        return sorted(names)

    def _read(self, name: str, bytes_max: int) -> bytes | None:
        """Up to one byte over the limit; None for what is no plain file or not at rest."""
        try:
            file = os.open(self._path / INBOX / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # a link, gone again, or not ours to read
            return None
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or time.time() - about.st_mtime < self._settled_s:
            os.close(file)
            return None
        with os.fdopen(file, "rb") as opened:
            return opened.read(bytes_max + 1)

    def _put_away(self, name: str, room: str) -> None:
        (self._path / room).mkdir(parents=True, exist_ok=True)
        target = self._free(room, name)
        with suppress(FileNotFoundError):
            os.rename(self._path / INBOX / name, target)

    def _free(self, room: str, name: str) -> Path:
        """A path in the room that is not taken."""
        target, count = self._path / room / name, 1
        while target.exists() or target.is_symlink():
            count += 1
            target = self._path / room / f"{Path(name).stem} ({count}){Path(name).suffix}"
        return target

    def _write(self, room: str, name: str, content: bytes) -> None:
        place = self._path / room
        place.mkdir(parents=True, exist_ok=True)
        part = place / f".{os.urandom(6).hex()}.part"
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(file)
        os.replace(part, place / name)
