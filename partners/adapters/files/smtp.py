"""One mail through one SMTP server, and what is known of it afterwards."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP as WIRE

import aiosmtplib
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from partners.adapters.files.config import MailServer
from partners.port import Answer

TEXT_CHARACTERS_MAX = 200


async def send(server: MailServer, sender: str, recipients: Sequence[str], message: EmailMessage) -> Answer:
    """Send it to all recipients in one transaction, or to none.

    done: the server has taken it on for all; failed: it surely has not, try again; refused: it surely has not and
    will not; unknown: the connection broke after the text had begun to leave.
    """
    content = message.as_bytes(policy=WIRE)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        timeout=server.timeout_s,
    )
    is_leaving = False
    try:
        await client.connect()
        if server.user:
            await client.login(server.user, server.password.get_secret_value())
        await client.mail(sender)
        for recipient in recipients:
            await client.rcpt(recipient)
        is_leaving = True
        response = await client.data(content)
        return Answer("done", f"{response.code} {response.message}"[:TEXT_CHARACTERS_MAX])
    except (SMTPException, OSError, ssl.SSLError, asyncio.IncompleteReadError, ValueError) as problem:
        return _outcome(problem, is_leaving)
    finally:
        client.close()


def _outcome(problem: Exception, is_leaving: bool) -> Answer:
    """A definite answer of the server is believed; silence is believed only before the text began to leave."""
    name = type(problem).__name__
    if isinstance(problem, SMTPResponseException) and problem.code > 0:
        text = f"{name} {problem.code}"  # not its words: some servers repeat the user's name
        if problem.code == 421 and is_leaving:
            return Answer(
                "unknown", text
            )  # it closes the connection: whether before or after it took the mail on
        if 400 <= problem.code < 500 and not isinstance(problem, SMTPAuthenticationError):
            return Answer("failed", text)
        if problem.code >= 500 or isinstance(problem, SMTPAuthenticationError):
            return Answer("refused", text)
        return Answer("unknown" if is_leaving else "failed", text)
    if isinstance(problem, SMTPNotSupported):
        return Answer("refused", name)
    if is_leaving or not isinstance(
        problem, SMTPServerDisconnected | SMTPTimeoutError | OSError | SMTPException
    ):
        return Answer("unknown", name)
    return Answer("failed", name)
