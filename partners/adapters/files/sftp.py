"""A partner's folder on an SFTP server, theirs or ours, with the rooms that a shared folder has (`folder`).

The server is known by its key, which the operator wrote down; names and sizes that it tells are not believed. Its
clock may be any, so a file is at rest once it looks as it did at the last visit.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import PurePosixPath

import asyncssh

from partners.adapters.files.config import SftpServer
from partners.adapters.files.folder import (
    DONE,
    ENTRIES_MAX,
    ERRORS,
    FILES_PER_VISIT_MAX,
    INBOX,
    PHOTO_BYTES_MAX,
    PHOTOS,
    TABLES,
    Dropped,
    is_ready,
)
from partners.sheets.limits import FILE_BYTES_MAX

VISIT_S_MAX = 600.0
KEEPALIVE_S = 15
Look = tuple[int | None, int | None]  # size and time of change, as the server tells them


class FolderAway(OSError):
    """The server can't be reached, is not the one that was written down, or refuses; no secret in the text."""


class SftpFolder:
    """One partner's folder. Kept between visits, because it remembers how files looked."""

    def __init__(self, server: SftpServer) -> None:
        self._server = server
        self._seen: dict[str, Look] = {}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenSftpFolder]:
        """The folder over one connection. Raises FolderAway, also for what breaks within the block."""
        server = self._server
        password = server.password.get_secret_value()
        with _told_as_away():
            async with (
                asyncio.timeout(VISIT_S_MAX),
                asyncssh.connect(
                    server.host,
                    server.port,
                    username=server.user,
                    password=password or None,
                    client_keys=_keys(server),
                    known_hosts=asyncssh.import_known_hosts(server.hosts),
                    config=[],  # nothing of the account that we run under
                    agent_path=None,
                    connect_timeout=server.timeout_s,
                    login_timeout=server.timeout_s,
                    keepalive_interval=KEEPALIVE_S,
                ) as connection,
                connection.start_sftp_client() as client,
            ):
                yield OpenSftpFolder(client, PurePosixPath(server.path), self._seen)


class OpenSftpFolder:
    """The folder while its connection lasts."""

    def __init__(self, client: asyncssh.SFTPClient, path: PurePosixPath, seen: dict[str, Look]) -> None:
        self._client = client
        self._path = path
        self._seen = seen

    async def waiting(self) -> list[Dropped]:
        """Tables that have come to rest in the inbox, by name."""
        with _told_as_away():
            return await self._waiting()

    async def _waiting(self) -> list[Dropped]:
        looks = await self._looks()
        rested = [name for name, look in looks.items() if self._seen.get(name) == look]
        self._seen.clear()
        self._seen.update(looks)
        found: list[Dropped] = []
        for name in rested:
            if name.casefold().endswith(TABLES) and len(found) < FILES_PER_VISIT_MAX:
                content = await self._read(name, FILE_BYTES_MAX)
                found.append(Dropped(name, content if len(content) <= FILE_BYTES_MAX else None))
        return found

    async def photos(self) -> dict[str, str]:
        """Pictures in the inbox: file name in lower case → SHA-256."""
        found: dict[str, str] = {}
        for name in filter(lambda name: name.casefold().endswith(PHOTOS), self._seen):
            with _told_as_away():
                content = await self._read(name, PHOTO_BYTES_MAX)
            if len(content) <= PHOTO_BYTES_MAX:
                found[name.casefold()] = hashlib.sha256(content).hexdigest()
        return found

    async def picture(self, sha256: str) -> bytes | None:
        """The picture in the inbox with these bytes; None where it is gone."""
        for name in filter(lambda name: name.casefold().endswith(PHOTOS), self._seen):
            with _told_as_away(), suppress(asyncssh.SFTPNoSuchFile):
                content = await self._read(name, PHOTO_BYTES_MAX)
                if hashlib.sha256(content).hexdigest() == sha256:
                    return content
        return None

    async def put_away(self, name: str, is_done: bool) -> None:
        """Move a file out of the inbox; of equal names, both are kept."""
        room = DONE if is_done else ERRORS
        with _told_as_away():
            await self._made(room)
            target = await self._free(room, name)
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._client.rename(self._at(INBOX, name), target)

    async def write(self, room: str, name: str, content: bytes) -> None:
        """Put a file into `orders/`, `done/` or `errors/`, whole or not at all."""
        part = self._at(room, f".{secrets.token_hex(6)}.part")
        with _told_as_away():
            await self._made(room)
            async with self._client.open(part, "xb") as file:
                await file.write(content)
            await self._replace(part, self._at(room, name))

    async def has(self, room: str, name: str) -> bool:
        """Whether a file of that name lies in the room."""
        with _told_as_away():
            return await self._client.isfile(self._at(room, name))

    async def _looks(self) -> dict[str, Look]:
        """The plain files of the inbox that we may want, by name, and how each looks."""
        looks: dict[str, Look] = {}
        with suppress(asyncssh.SFTPNoSuchFile):
            async for entry in self._client.scandir(self._at(INBOX, "")):
                name, about = str(entry.filename), entry.attrs
                is_plain = about.type == asyncssh.FILEXFER_TYPE_REGULAR or stat.S_ISREG(
                    about.permissions or 0
                )
                if is_plain and is_ready(name) and name.casefold().endswith(TABLES + PHOTOS):
                    looks[name] = (about.size, about.mtime)
                if len(looks) >= ENTRIES_MAX:
                    break
        return dict(sorted(looks.items()))

    async def _read(self, name: str, bytes_max: int) -> bytes:
        """Up to one byte over the limit."""
        async with self._client.open(self._at(INBOX, name), "rb") as file:
            return await file.read(bytes_max + 1)

    async def _free(self, room: str, name: str) -> str:
        """A path in the room that is not taken."""
        first, target, count = PurePosixPath(name), self._at(room, name), 1
        while await self._client.lexists(target):
            count += 1
            target = self._at(room, f"{first.stem} ({count}){first.suffix}")
        return target

    async def _replace(self, part: str, target: str) -> None:
        """Give the file its name, at once where the server can."""
        try:
            await self._client.posix_rename(part, target)
        except asyncssh.SFTPOpUnsupported:
            with suppress(asyncssh.SFTPNoSuchFile):
                await self._client.remove(target)
            await self._client.rename(part, target)

    async def _made(self, room: str) -> None:
        await self._client.makedirs(self._at(room, ""), exist_ok=True)

    def _at(self, room: str, name: str) -> str:
        return str(self._path / room / name)


@contextmanager
def _told_as_away() -> Iterator[None]:
    """What SSH and SFTP raise, as an OSError: to a visitor one folder is like another."""
    try:
        yield
    except (asyncssh.Error, asyncssh.KeyImportError, ValueError) as problem:
        raise FolderAway(type(problem).__name__) from None


def _keys(server: SftpServer) -> list[asyncssh.SSHKey]:
    text = server.key.get_secret_value()
    return [asyncssh.import_private_key(text)] if text else []
