"""The jobs that fetch partners' files, from our mailbox and from shared folders, and answer each of them.

Who may write is decided here. Strangers, forgeries and programs get no answer at all: an answer to a forged sender is
spam, and an answer to a program is the beginning of a loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.core.units import HOUR_MS
from engine.schedule import Job
from engine.store.database import Database, DatabaseAway
from partners.adapters.files.codes import codes_in_subject, mail_named
from partners.adapters.files.config import FilesConfig, FilesPartner, MailAccount
from partners.adapters.files.folder import DONE as DONE_ROOM
from partners.adapters.files.folder import ERRORS, Dropped
from partners.adapters.files.letters import Line, reply_text
from partners.adapters.files.mailbox import (
    AUTOMATIC,
    DONE,
    LETTERS,
    REFUSED,
    SENT,
    Mailbox,
    MailboxAway,
    Waiting,
)
from partners.adapters.files.mails import Answered, File, answer_subject, mail
from partners.adapters.files.names import Names
from partners.adapters.files.received import MAIL_BYTES_MAX, ReceivedMail, is_authentic, open_mail
from partners.adapters.files.shared import OpenFolder, SharedFolder, shared_folder
from partners.adapters.files.sheets import planting_file
from partners.adapters.files.smtp import send
from partners.core.commands import HoldOrder
from partners.evidence.mailed import KeepPhoto
from partners.intake import Came, Intake, SubmitAll, TakeLater, Taken, refused
from partners.sheets.limits import FILE_BYTES_MAX
from partners.sheets.problems import FileRefused

MAILS_PER_VISIT_MAX = 20
TRIES_MAX = 3
"""A mail that breaks its handling so often is put aside for a person."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class MailPost:
    """Our mailbox: each mail is dealt with and put away, or waits for the next visit. Nothing is deleted."""

    config: FilesConfig
    account: MailAccount
    intake: Intake
    submit_all: SubmitAll
    names: Callable[[], Names]
    now_ms: Callable[[], int]
    _replies: dict[str, deque[int]]
    _tries: dict[int, int]
    _waits: dict[int, int]

    @classmethod
    def of(
        cls,
        config: FilesConfig,
        intake: Intake,
        submit_all: SubmitAll,
        names: Callable[[], Names],
        now_ms: Callable[[], int],
    ) -> MailPost | None:
        """The post of a configuration that names a mailbox, else None."""
        if config.mail is None or config.mail.imap is None:
            return None
        return cls(config, config.mail, intake, submit_all, names, now_ms, {}, {}, {})

    async def run(self) -> int:
        """Visit the mailbox; returns how many mails were put away."""
        mailbox = Mailbox(self.account)
        done = 0
        try:
            for waiting in await mailbox.waiting():
                if self._waits.get(waiting.uid, 0) > self.now_ms():
                    continue
                folder = await self._dealt_with(mailbox, waiting)
                if folder is not None:
                    await mailbox.put_away(waiting.uid, folder)
                    self._tries.pop(waiting.uid, None)
                    self._waits.pop(waiting.uid, None)
                    done += 1
                if done >= MAILS_PER_VISIT_MAX:
                    break
        except MailboxAway as problem:
            log.warning("mailbox away: %s", problem)
        except (DatabaseAway, TakeLater) as problem:
            log.warning("mail waits: %r", problem)
        return done

    async def _dealt_with(self, mailbox: Mailbox, waiting: Waiting) -> str | None:
        """Where the mail goes, or None while it has to wait. One bad mail holds up no other."""
        try:
            raw = await mailbox.fetch(waiting)
            return await self._deal(waiting, raw) if raw is not None else None
        except (MailboxAway, DatabaseAway, TakeLater):
            raise
        except Exception:
            self._tries[waiting.uid] = self._tries.get(waiting.uid, 0) + 1
            log.exception("mail %d can't be dealt with", waiting.uid)
            return REFUSED if self._tries[waiting.uid] >= TRIES_MAX else None

    async def _deal(self, waiting: Waiting, raw: bytes) -> str | None:
        mail_ = open_mail(raw, self.account.trusted_server)
        if mail_ is None:
            return REFUSED
        if mail_.automatic:
            await self._automatic(mail_)
            return SENT if mail_.automatic == "own" else AUTOMATIC
        partner = self._writer(mail_)
        if partner is None:
            return REFUSED
        if not mail_.tables and not waiting.is_too_large:
            return LETTERS
        free_at = self._reply_free_at(partner)
        if free_at > self.now_ms():
            log.warning("mails of %s wait: %d replies in an hour", partner.id, self.account.replies_per_h)
            self._waits[waiting.uid] = free_at
            return None
        taken = await self._take(partner, mail_, waiting)
        return DONE if await self._reply(partner, mail_, taken) else None

    def _writer(self, mail_: ReceivedMail) -> FilesPartner | None:
        """The partner whose mail it is, or None for strangers and forgeries."""
        partner = self.config.partner_of(mail_.sender)
        if partner is None:
            log.warning("mail %s: its sender is nobody's", mail_.message_id)
        elif self.account.trusted_server and not is_authentic(mail_.results):
            log.warning("mail %s in the name of %s is not authentic", mail_.message_id, partner.id)
            partner = None
        return partner

    async def _take(self, partner: FilesPartner, mail_: ReceivedMail, waiting: Waiting) -> list[Taken]:
        if waiting.is_too_large:
            return [Taken(lines=[Line("too_large", number=MAIL_BYTES_MAX)])]
        codes = codes_in_subject(mail_.subject)
        way = mail_.message_id or mail_.digest

        async def picture(sha256: str) -> bytes | None:
            return mail_.pictures.get(sha256)

        return [
            await self.intake.take(
                Came(partner, table.name, table.content, way, mail_.photos, codes, picture=picture)
            )
            for table in mail_.tables
        ]

    async def _reply(self, partner: FilesPartner, mail_: ReceivedMail, taken: Sequence[Taken]) -> bool:
        """Answer the mail; False where it surely was not sent, so that all of it is done again (which is harmless)."""
        lines = [line for one in taken for line in one.lines]
        files = [one.returned for one in taken if one.returned is not None]
        accepted = [known for one in taken for known in one.accepted]
        if accepted:
            files.append(planting_file(partner, accepted, self.names()))
        answered = Answered(mail_.message_id, mail_.references, mail_.subject)
        name = hashlib.sha256(f"{mail_.message_id}{mail_.digest}".encode()).hexdigest()[:40]
        note = mail(
            self.account,
            [mail_.sender],
            f"<reply.{name}@{self.account.domain}>",
            answer_subject(mail_.subject),
            reply_text(partner.language, lines),
            files,
            self.now_ms(),
            "reply",
            answered,
        )
        answer = await send(self.account.smtp, self.account.address, [mail_.sender], note)
        if answer.outcome != "done":
            log.warning("reply to %s: %s %s", partner.id, answer.outcome, answer.text)
        if answer.outcome != "failed":
            self._replies[partner.id].append(self.now_ms())
        return answer.outcome != "failed"

    async def _automatic(self, mail_: ReceivedMail) -> None:
        """A bounce that names a mail of ours by its code stops the order: the partner does not know of it."""
        if mail_.automatic != "bounce" or not mail_.has_failed:
            return
        for partner in self.config.partners.values():
            named = mail_named(partner.keys, partner.id, mail_.about)
            if named is not None:
                [outcome] = await self.submit_all([HoldOrder(None, "mailbox", named[1], "mail_bounced")])
                log.warning("mail about order %d bounced: %s", named[1], outcome.error or "held")

    def _reply_free_at(self, partner: FilesPartner) -> int:
        """When the partner may be answered next; now or earlier: at once."""
        recent = self._replies.setdefault(partner.id, deque())
        while recent and recent[0] <= self.now_ms() - HOUR_MS:
            recent.popleft()
        return 0 if len(recent) < self.account.replies_per_h else recent[0] + HOUR_MS


@dataclass(frozen=True, slots=True)
class FolderPost:
    """Shared folders: each file in an inbox moves to done/ or errors/, with a letter beside it."""

    folders: Sequence[tuple[FilesPartner, SharedFolder]]
    intake: Intake
    names: Callable[[], Names]

    @classmethod
    def of(cls, config: FilesConfig, intake: Intake, names: Callable[[], Names]) -> FolderPost:
        """The post of all partners with a folder, here or on an SFTP server."""
        shared = [(partner, shared_folder(partner)) for partner in config.partners.values()]
        return cls([(partner, folder) for partner, folder in shared if folder is not None], intake, names)

    async def run(self) -> int:
        """Visit the folders; returns how many files were put away."""
        done = 0
        for partner, shared in self.folders:
            try:
                async with shared.opened() as folder:
                    done += await self._visit(partner, folder)
            except OSError as problem:
                log.warning("folder of %s: %s", partner.id, str(problem) or type(problem).__name__)
        return done

    async def _visit(self, partner: FilesPartner, folder: OpenFolder) -> int:
        waiting = await folder.waiting()
        photos: Mapping[str, str] = await folder.photos() if waiting else {}
        done = 0
        for dropped in waiting:
            try:
                taken = await self._take(partner, folder, dropped, photos)
                await self._tell(partner, folder, dropped.name, taken)
                done += 1
            except (DatabaseAway, TakeLater) as problem:
                log.warning("file %r of %s waits: %r", dropped.name, partner.id, problem)
                break
            except (OSError, asyncio.CancelledError):
                raise
            except Exception:  # one bad file holds up no other
                log.exception("file %r of %s can't be dealt with", dropped.name, partner.id)
                await folder.put_away(dropped.name, is_done=False)
        return done

    async def _take(
        self, partner: FilesPartner, folder: OpenFolder, dropped: Dropped, photos: Mapping[str, str]
    ) -> Taken:
        name, content = dropped.name, dropped.content
        if content is None:
            return refused(name, FileRefused("too_large", bytes_max=FILE_BYTES_MAX), partner.language)
        way = f"{name}\n{hashlib.sha256(content).hexdigest()}"
        return await self.intake.take(Came(partner, name, content, way, photos, picture=folder.picture))

    async def _tell(self, partner: FilesPartner, folder: OpenFolder, name: str, taken: Taken) -> None:
        """The letter first, the move last: what is cut short is done again."""
        is_done = taken.is_clean and bool(taken.table)
        room = DONE_ROOM if is_done else ERRORS
        text = reply_text(partner.language, taken.lines)
        await folder.write(room, f"{name}.{int(time.time())}.txt", text.encode())
        files = [taken.returned] if taken.returned is not None else []
        if taken.accepted:
            files.append(planting_file(partner, taken.accepted, self.names()))
        for file in files:
            await folder.write(room, _beside(file, name), file.content)
        await folder.put_away(name, is_done)


def _beside(file: File, name: str) -> str:
    """A returned file keeps clear of the file that it is made of."""
    return f"marked-{file.name}" if file.name == name else file.name


def post_jobs(
    config: FilesConfig,
    submit_all: SubmitAll,
    db: Database,
    names: Callable[[], Names],
    now_ms: Callable[[], int],
    folders_every_s: float,
    keep: KeepPhoto | None = None,
) -> list[Job]:
    """One job for the mailbox and one for all shared folders, as far as they are configured."""
    intake = Intake(submit_all, db, names, now_ms, keep)
    jobs = []
    post = MailPost.of(config, intake, submit_all, names, now_ms)
    if post is not None:
        jobs.append(Job("mail_received", post.account.every_s, post.run))
    folders = FolderPost.of(config, intake, names)
    if folders.folders:
        jobs.append(Job("folders_read", folders_every_s, folders.run))
    return jobs
