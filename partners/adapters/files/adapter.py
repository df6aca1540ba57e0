"""A partner who works by mail and spreadsheet: sends what is asked as a mail, or lays it into the shared folder.

A mail that left is known by its copy: it goes to our own mailbox in the same SMTP transaction, so the server takes it
on for both or for none. That is how a send whose end was not seen is looked up; it is never simply sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from partners.adapters.files import letters
from partners.adapters.files.codes import message_id, subject_mark
from partners.adapters.files.config import FilesPartner, MailAccount
from partners.adapters.files.folder import ORDERS
from partners.adapters.files.mailbox import Mailbox, MailboxAway
from partners.adapters.files.mails import Answered, File, mail
from partners.adapters.files.names import Names
from partners.adapters.files.shared import SharedFolder, shared_folder
from partners.adapters.files.sheets import order_file
from partners.adapters.files.smtp import send
from partners.port import About, Answer, Capabilities, Inbound, OrderSheet


class FilesAdapter:
    """One such partner. `names` gives the rulebook's names of now, `now_ms` the host's clock."""

    def __init__(
        self,
        partner: FilesPartner,
        account: MailAccount | None,
        capabilities: Capabilities,
        names: Callable[[], Names],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._partner = partner
        self._folder = shared_folder(partner)
        self._account = account
        self._capabilities = capabilities
        self._names = names
        self._now_ms = now_ms

    @property
    def capabilities(self) -> Capabilities:
        """What this partner can do."""
        return self._capabilities

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        """Send the order sheet."""
        names, language = self._names(), self._partner.language
        species = f"{names.local(sheet.species, language)} ({names.scientific(sheet.species)})"
        subject, text = letters.order_letter(
            language,
            sheet.order,
            sheet.quantity,
            species,
            names.site(sheet.site, language),
            sheet.answer_by_at,
            sheet.below_minimum,
        )
        return await self._send(
            "submit", sheet.order, "", subject, text, [order_file(self._partner, sheet, names)]
        )

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        """Tell that an order is withdrawn. `done` means told, not agreed."""
        subject, text = letters.cancel_letter(self._partner.language, order, reason)
        return await self._send("cancel", order, key, subject, text, [])

    async def remind(self, order: int, about: About, key: str) -> Answer:
        """Tell what is due, what is missing, or that all is well."""
        language = self._partner.language
        if about.kind == "needs_info":
            subject, text = letters.info_letter(language, order, about.text)
        elif about.kind == "verified":
            subject, text = letters.verified_letter(language, order, about.trees)
        else:
            subject, text = letters.due_letter(language, order)
        return await self._send("remind", order, key, subject, text, [])

    async def fetch_status(self, order: int) -> Answer:
        """Whether the order sheet has left, by its copy in our mailbox. How the order stands can't be asked."""
        if not self._partner.to:
            return await self._laid_down(order)
        if self._account is None or self._account.imap is None:
            return Answer("unknown", "there is no mailbox in which to look for the copy")
        mailbox = Mailbox(self._account)
        try:
            for key in self._partner.keys:  # it may have left before the key was changed
                if await mailbox.has(self._message_id("submit", order, "", key)):
                    return Answer("done", "its copy is in our mailbox")
        except MailboxAway as problem:
            return Answer("failed", f"mailbox away: {problem}")
        return Answer("absent", "no copy so far")

    async def _laid_down(self, order: int) -> Answer:
        assert self._folder is not None
        try:
            async with self._folder.opened() as folder:
                is_there = await folder.has(ORDERS, _letter_name(order, "submit"))
        except OSError as problem:
            return Answer("failed", f"folder: {type(problem).__name__}")
        return Answer("done", "it lies in the folder") if is_there else Answer("absent", "not in the folder")

    def parse_inbound(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> Inbound:
        """Refuses: this partner's answers are fetched, never pushed, so whatever is pushed in its name is not its."""
        raise Rejected("bad_signature", reason="answers_come_by_mail")

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _send(
        self, kind: str, order: int, key: str, subject: str, text: str, files: Sequence[File]
    ) -> Answer:
        if self._folder is not None:
            try:
                await _lay_down(self._folder, _letter_name(order, kind), text, files)
            except OSError as problem:
                return Answer("failed", f"folder: {type(problem).__name__}")
        if not self._partner.to:
            return Answer("done", "in the folder")
        assert self._account is not None
        mark = subject_mark(self._partner.keys[0], self._partner.id, order)
        first = Answered(self._message_id("submit", order, ""), "", "") if kind != "submit" else None
        name = self._message_id(kind, order, key)
        note = mail(
            self._account,
            self._partner.to,
            name,
            f"{subject} {mark}",
            text,
            files,
            self._now_ms(),
            kind,
            first,
        )
        recipients = [*self._partner.to]
        if self._account.imap is not None and self._account.address not in recipients:
            recipients.append(self._account.address)
        return await send(self._account.smtp, self._account.address, recipients, note)

    def _message_id(self, kind: str, order: int, key: str, secret: str = "") -> str:
        """`key` is the delivery's, whose last part tells repeated reminders apart; `secret` the partner's."""
        assert self._account is not None
        tail = key.rpartition(":")[2]
        serial = int(tail) if tail.isascii() and tail.isdigit() else 0
        secret = secret or self._partner.keys[0]
        return message_id(secret, self._partner.id, kind, order, serial, self._account.domain)


def _letter_name(order: int, kind: str) -> str:
    return f"{order_number(order)}-{kind}.txt"


async def _lay_down(shared: SharedFolder, name: str, text: str, files: Sequence[File]) -> None:
    async with shared.opened() as folder:
        for file in files:
            await folder.write(ORDERS, file.name, file.content)
        await folder.write(ORDERS, name, text.encode())
