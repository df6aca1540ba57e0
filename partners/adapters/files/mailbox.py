"""Our mailbox over IMAP: what waits, put away when it is dealt with, and whether a mail of ours arrived.

Each visit is a connection of its own in a thread of its own, with a time limit on every read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from partners.adapters.files.config import MailAccount, MailServer
from partners.adapters.files.received import MAIL_BYTES_MAX

T = TypeVar("T")
DONE, LETTERS, REFUSED = "Saxaul-Done", "Saxaul-Letters", "Saxaul-Refused"
AUTOMATIC, SENT = "Saxaul-Automatic", "Saxaul-Sent"
LISTED_MAX = 1000
"""Mails of the mailbox that one visit looks over."""


class MailboxAway(Exception):
    """The mailbox can't be read now; the text names the kind of trouble and no secret."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail in the mailbox, not fetched yet."""

    uid: int
    size_bytes: int

    @property
    def is_too_large(self) -> bool:
        """Of such a mail only the head is fetched."""
        return self.size_bytes > MAIL_BYTES_MAX


class Mailbox:
    """The mailbox of the account. Raises MailboxAway."""

    def __init__(self, account: MailAccount) -> None:
        assert account.imap is not None
        self._account = account
        self._server: MailServer = account.imap

    async def waiting(self) -> list[Waiting]:
        """The mails that wait, oldest first."""
        return await self._visit(lambda client: _waiting(client, self._account.folder))

    async def fetch(self, waiting: Waiting) -> bytes | None:
        """The mail, or its head where it is too large; None if it is gone. It is not marked as read."""
        return await self._visit(lambda client: _fetch(client, self._account.folder, waiting))

    async def put_away(self, uid: int, folder: str) -> None:
        """Move a mail out of the way; nothing is ever deleted."""
        await self._visit(lambda client: _put_away(client, self._account.folder, uid, folder))

    async def has(self, message_id: str) -> bool:
        """Whether a mail of this Message-ID has arrived here."""
        return await self._visit(lambda client: _has(client, self._account.folder, message_id))

    async def _visit(self, work: Callable[[IMAPClient], T]) -> T:
        def visit() -> T:
            with _connected(self._server) as client:
                return work(client)

        try:
            return await asyncio.to_thread(visit)
        except (IMAPClientError, OSError, ssl.SSLError, ValueError) as problem:
            raise MailboxAway(type(problem).__name__) from None


@contextmanager
def _connected(server: MailServer) -> Iterator[IMAPClient]:
    is_tls = server.security == "tls"
    client = IMAPClient(server.host, server.port, ssl=is_tls, timeout=server.timeout_s)
    try:
        if server.security == "starttls":
            client.starttls()
        client.login(server.user, server.password.get_secret_value())
        yield client
    finally:
        try:
            client.logout()
        except (IMAPClientError, OSError):
            client.shutdown()


def _waiting(client: IMAPClient, folder: str) -> list[Waiting]:
    client.select_folder(folder, readonly=True)
    uids = sorted(client.search(["NOT", "DELETED"]))[:LISTED_MAX]
    sizes = client.fetch(uids, ["RFC822.SIZE"]) if uids else {}
    return [Waiting(uid, int(sizes[uid].get(b"RFC822.SIZE", 0))) for uid in uids if uid in sizes]


def _fetch(client: IMAPClient, folder: str, waiting: Waiting) -> bytes | None:
    client.select_folder(folder, readonly=True)
    part = "[HEADER]" if waiting.is_too_large else "[]"
    found = client.fetch([waiting.uid], [f"BODY.PEEK{part}"]).get(waiting.uid, {})
    content = found.get(f"BODY{part}".encode())
    return content[:MAIL_BYTES_MAX] if content is not None else None


def _put_away(client: IMAPClient, folder: str, uid: int, to: str) -> None:
    if not client.folder_exists(to):
        client.create_folder(to)
    client.select_folder(folder)
    if client.has_capability("MOVE"):
        client.move([uid], to)
        return
    client.copy([uid], to)
    client.delete_messages([uid])
    client.expunge([uid])


def _has(client: IMAPClient, folder: str, message_id: str) -> bool:
    for name in (folder, SENT):
        if name != folder and not client.folder_exists(name):
            continue
        client.select_folder(name, readonly=True)
        if client.search(["HEADER", "Message-ID", message_id]):
            return True
    return False
