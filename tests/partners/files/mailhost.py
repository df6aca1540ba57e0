"""A mail host for tests: a real SMTP server (aiosmtpd) that delivers into Maildirs, and a real IMAP server (pymap) that
serves them. Faults on demand at the SMTP end."""

from __future__ import annotations

import asyncio
import mailbox
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP as SmtpServer  # noqa: N811 - a class, not a constant
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from pymap.backend.maildir.users import PasswordsFile, UsersFile
from pysasl.hashing import BuiltinHash

from tests.support.process import Child, free_port

DOMAIN = "mail.example"
PASSWORD = "open-sesame"
IMAP_WITHIN_S = 20.0
SMTP_BYTES_MAX = 64 * 1024 * 1024


@dataclass
class Faults:
    """What the SMTP server gets wrong at the end of a mail: `hang` before or after it is delivered, answer `text`
    instead, be `slow_s`; `times` of each, then it behaves."""

    hang: str = ""
    text: str = ""
    slow_s: float = 0.0
    times: int = 1


@dataclass
class MailHost:
    """Users by name, each `name@mail.example` with one password."""

    folder: Path
    smtp_port: int
    imap_port: int
    users: tuple[str, ...]
    faults: Faults = field(default_factory=Faults)
    transactions: list[tuple[str, list[str]]] = field(default_factory=list)
    stamp: bytes = b""
    """Header lines that the receiving server puts on top, as one that checks authenticity would."""

    def address(self, user: str) -> str:
        return f"{user}@{DOMAIN}"

    def deliver(self, recipient: str, content: bytes) -> None:
        """Put a mail into its recipient's mailbox, as the last server on its way would."""
        user = recipient.partition("@")[0]
        if user in self.users:
            box = mailbox.Maildir(self.folder / "mail" / user, create=True)
            box.add(self.stamp + content)

    # --- aiosmtpd's handler -----------------------------------------------------------------------

    async def handle_DATA(  # noqa: N802 - the name is aiosmtpd's
        self, server: SmtpServer, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        fault = self.faults if self.faults.times > 0 else Faults()
        self.faults.times -= 1
        await asyncio.sleep(fault.slow_s)
        if fault.hang == "before":
            await asyncio.sleep(30)
        if fault.text and not fault.hang:
            return fault.text
        self.transactions.append((str(envelope.mail_from), list(envelope.rcpt_tos)))
        for recipient in envelope.rcpt_tos:
            self.deliver(recipient, content)
        if fault.hang == "after":
            await asyncio.sleep(30)
        return "250 2.0.0 taken"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    is_right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode()
    return AuthResult(success=is_right, handled=False)


@contextmanager
def mail_host(folder: Path, *users: str) -> Iterator[MailHost]:
    """Both servers, ready, until the block ends."""
    host = MailHost(folder, free_port(), free_port(), users)
    base = folder / "mail"
    base.mkdir(parents=True)
    secret = BuiltinHash(rounds=1000).hash(PASSWORD).replace(":", "\\:")
    (base / UsersFile.FILE_NAME).write_text("".join(f"{user}:x:::{user}:{user}:\n" for user in users))
    (base / PasswordsFile.FILE_NAME).write_text("".join(f"{user}:{secret}::::::\n" for user in users))
    for user in users:
        mailbox.Maildir(base / user, create=True)
    controller = Controller(
        host,
        hostname="127.0.0.1",
        port=host.smtp_port,
        authenticator=_authenticate,
        auth_required=True,
        auth_require_tls=False,
        data_size_limit=SMTP_BYTES_MAX,
        decode_data=False,
    )
    controller.start()
    pymap = Path(sys.executable).with_name("pymap")
    command = [str(pymap), "--host", "127.0.0.1", "--port", str(host.imap_port), "--no-tls"]
    command += ["--no-service", "admin", "--no-service", "managesieve", "maildir", str(base)]
    imap = Child(command, folder / "imap.log")
    try:
        _wait_for(host.imap_port, imap)
        yield host
    finally:
        imap.stop()
        controller.stop(no_assert=True)


def _wait_for(port: int, child: Child) -> None:
    ends_at = time.monotonic() + IMAP_WITHIN_S
    while time.monotonic() < ends_at:
        if not child.running:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise child.failure("pymap", IMAP_WITHIN_S)
