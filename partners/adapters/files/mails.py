"""Mails as they leave: headers, attachments, and marks by which no program ever answers them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from partners.adapters.files.config import MailAccount

OWN_HEADER = "X-Saxaul-Mail"
REFERENCES_MAX = 20
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_TYPES = {
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "csv": ("text", "csv"),
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that goes with a mail."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The mail that is answered."""

    message_id: str
    references: str
    subject: str


def mail(
    account: MailAccount,
    to: Sequence[str],
    message_id: str,
    subject: str,
    text: str,
    files: Sequence[File],
    now_ms: int,
    kind: str,
    answered: Answered | None = None,
) -> EmailMessage:
    """A mail of ours. `Auto-Submitted` (RFC 3834) keeps well-behaved programs from answering it."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(account.name, addr_spec=account.address)
    message["To"] = ", ".join(to)
    message["Subject"] = _one_line(subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-replied" if kind == "reply" else "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message[OWN_HEADER] = kind
    named = (
        _MESSAGE_ID.findall(f"{answered.references} {answered.message_id}") if answered is not None else []
    )
    if named:
        message["In-Reply-To"] = named[-1]
        message["References"] = " ".join(named[-REFERENCES_MAX:])
    message.set_content(text, charset="utf-8", cte="base64")
    for file in files:
        maintype, subtype = _TYPES[file.name.rpartition(".")[2]]
        message.add_attachment(file.content, maintype=maintype, subtype=subtype, filename=file.name)
    return message


def answer_subject(subject: str) -> str:
    """`Re: …` once."""
    bare = _one_line(subject)
    return bare if bare[:3].casefold() == "re:" else f"Re: {bare}"


def _one_line(text: str) -> str:
    return " ".join(text.encode("utf-8", "replace").decode().split())[:300]
