"""A member of an NGO's staff, played by a script that only reads mail, edits spreadsheets and sends mail."""

from __future__ import annotations

import email
import smtplib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from email.utils import make_msgid
from io import BytesIO
from typing import Any

import openpyxl
from imapclient import IMAPClient

from tests.partners.files.mailhost import PASSWORD, MailHost

MAIL_WITHIN_S = 30.0


@dataclass
class Staff:
    """Has a mailbox at the host; remembers which mails were read."""

    host: MailHost
    user: str
    seen: set[str] = field(default_factory=set)

    @property
    def address(self) -> str:
        return self.host.address(self.user)

    def mails(self) -> list[EmailMessage]:
        """All mails in the inbox, oldest first."""
        with IMAPClient("127.0.0.1", self.host.imap_port, ssl=False, timeout=20) as client:
            client.login(self.user, PASSWORD)
            client.select_folder("INBOX", readonly=True)
            found = client.fetch(client.search(["ALL"]), ["BODY.PEEK[]"])
        return [_opened(found[uid][b"BODY[]"]) for uid in sorted(found)]

    def next_mail(self, within_s: float = MAIL_WITHIN_S) -> EmailMessage:
        """The oldest mail that was not read yet; waits for one."""
        ends_at = time.monotonic() + within_s
        while time.monotonic() < ends_at:
            for mail in self.mails():
                if str(mail["message-id"]) not in self.seen:
                    self.seen.add(str(mail["message-id"]))
                    return mail
            time.sleep(0.2)
        raise AssertionError(f"no mail within {within_s} s")

    def answer(
        self,
        mail: EmailMessage,
        files: Mapping[str, bytes],
        photos: Mapping[str, bytes] | None = None,
        **headers: str,
    ) -> str:
        """Answer a mail with files attached; returns the Message-ID."""
        note = EmailMessage()
        note["From"] = headers.pop("From", self.address)
        note["To"] = str(mail["from"])
        note["Subject"] = f"Re: {mail['subject']}"
        note["Message-ID"] = make_msgid(domain="ngo.example")
        note["In-Reply-To"] = str(mail["message-id"])
        for name, value in headers.items():
            note[name.replace("_", "-")] = value
        note.set_content("见附件。\n")
        for name, content in files.items():
            note.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
        for name, content in (photos or {}).items():
            note.add_attachment(content, maintype="image", subtype="jpeg", filename=name)
        self.send(note)
        return str(note["Message-ID"])

    def send(self, note: EmailMessage, to: Sequence[str] | None = None) -> None:
        with smtplib.SMTP("127.0.0.1", self.host.smtp_port, timeout=20) as client:
            client.login(self.user, PASSWORD)
            client.send_message(note, from_addr=self.address, to_addrs=to)


def attached(mail: EmailMessage, ending: str = ".xlsx") -> dict[str, bytes]:
    """Files of a mail by name."""
    return {
        str(part.get_filename()): part.get_payload(decode=True)
        for part in mail.iter_attachments()
        if str(part.get_filename()).endswith(ending)
    }


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def filled(content: bytes, *rows: Mapping[str, Any], first: int = 3) -> bytes:
    """The workbook with answers written into its rows, by column id, as a person would in a spreadsheet."""
    book = openpyxl.load_workbook(BytesIO(content))
    sheet = book.worksheets[0]
    places = {cell.value: cell.column for cell in sheet[1]}
    for number, row in enumerate(rows, start=first):
        for name, value in row.items():
            cell = sheet.cell(number, places[name])
            assert not cell.protection.locked, f"{name} can't be written in a spreadsheet"
            cell.value = value
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def cells(content: bytes) -> list[dict[str, Any]]:
    """The rows of the first worksheet below the two header rows, by column id, with `row` and `red` columns."""
    book = openpyxl.load_workbook(BytesIO(content))
    sheet = book.worksheets[0]
    names = {cell.column: cell.value for cell in sheet[1] if cell.value}
    found = []
    for row in sheet.iter_rows(min_row=3):
        values: dict[str, Any] = {names[cell.column]: cell.value for cell in row if cell.column in names}
        values["row"] = row[0].row
        values["red"] = [
            names[c.column] for c in row if c.column in names and c.fill.start_color.rgb == "FFF8C9C4"
        ]
        found.append(values)
    return found


def jpeg(text: str) -> bytes:
    """A picture, each of its own."""
    from PIL import Image

    out = BytesIO()
    colour = tuple(b % 256 for b in text.encode()[-3:].rjust(3, b"x"))
    Image.new("RGB", (32, 24), colour).save(out, "JPEG", comment=text)
    return out.getvalue()


def _opened(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message
