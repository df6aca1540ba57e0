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
MAILS_PER_VISIT_MAX = 20


class MailboxAway(Exception):
    """The mailbox can't be read now; the text names the kind of trouble and no secret."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mail in the mailbox; of one that is larger than is taken, `raw` is its head alone."""

    uid: int
    raw: bytes
    is_too_large: bool = False


class Mailbox:
    """The mailbox of the account. Raises MailboxAway."""

    def __init__(self, account: MailAccount) -> None:
        assert account.imap is not None
        self._account = account
        self._server: MailServer = account.imap

    async def waiting(self, limit: int = MAILS_PER_VISIT_MAX) -> list[Waiting]:
        """The oldest mails that wait."""
        return await self._visit(lambda client: _waiting(client, self._account.folder, limit))

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


def _waiting(client: IMAPClient, folder: str, limit: int) -> list[Waiting]:
    client.select_folder(folder)
    uids = sorted(client.search(["NOT", "DELETED"]))[:limit]
    found = []
    sizes = client.fetch(uids, ["RFC822.SIZE"]) if uids else {}
    for uid in uids:
        is_too_large = int(sizes.get(uid, {}).get(b"RFC822.SIZE", 0)) > MAIL_BYTES_MAX
        part = "BODY[HEADER]" if is_too_large else "BODY[]"
        content = client.fetch([uid], [part.replace("BODY", "BODY.PEEK")]).get(uid, {}).get(part.encode())
        if content is not None:
            found.append(Waiting(uid, content[:MAIL_BYTES_MAX], is_too_large))
    return found


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
