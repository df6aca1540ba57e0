"""A mail as it came: who sent it, whether a person did, and the files in it. Pure and suspicious.

Nothing here is believed because it is written: whose mail it is, is for `post` to check.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default

from partners.adapters.files.mails import OWN_HEADER

MAIL_BYTES_MAX = 25 * 1024 * 1024
"""Photos included; what most mail servers let through."""

MAIL_PARTS_MAX = 100
FILES_MAX = 5
"""Tables in one mail."""

PHOTOS_MAX = 100
FILE_NAME_CHARACTERS_MAX = 150
HEADER_CHARACTERS_MAX = 2000

_TABLES = (".xlsx", ".csv", ".tsv", ".txt", ".xls", ".xlsm", ".xlsb", ".ods", ".et")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_BULK = ("bulk", "junk", "list", "auto_reply")
_AUTOMATIC_HEADERS = (
    "x-autoreply",
    "x-autorespond",
    "x-auto-reply",
    "list-id",
    "list-unsubscribe",
    "feedback-id",
)
_ROBOTS = ("mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "bounce", "bounces")
_RESULT = re.compile(r"\b(dmarc|dkim|spf)\s*=\s*([a-z]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in a mail; the name is only a name, never a path."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """`sender`: the one address of From, empty where there is none or several. `automatic`: why no person sent it
    (auto_reply, bounce, list, own), or empty. `photos`: file name in lower case → SHA-256; `pictures`: their bytes by
    it."""

    message_id: str
    sender: str
    subject: str
    references: str
    automatic: str
    has_failed: bool
    about: str
    tables: tuple[Attachment, ...]
    photos: dict[str, str]
    results: dict[str, str]
    digest: str
    pictures: dict[str, bytes] = field(default_factory=dict, repr=False)


def open_mail(raw: bytes, trusted_server: str = "") -> ReceivedMail | None:
    """The mail, or None where the bytes are none. `results`: what the trusted receiving server found (dmarc, dkim,
    spf), by its own header only: the first one, which the last server put on top."""
    try:
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        parts = list(_parts(message))
        pictures = _pictures(parts)
        return ReceivedMail(
            message_id=_header(message, "message-id")[:300],
            sender=_sender(message),
            subject=_header(message, "subject"),
            references=_header(message, "references"),
            automatic=_automatic(message),
            has_failed=_is_bounce(message) and b"action: failed" in raw.lower(),
            about=_about(message, raw),
            tables=tuple(part for part in parts if _is_table(part))[:FILES_MAX],
            photos={name: hashlib.sha256(content).hexdigest() for name, content in pictures.items()},
            results=_results(message, trusted_server),
            digest=hashlib.sha256(raw).hexdigest(),
            pictures={hashlib.sha256(content).hexdigest(): content for content in pictures.values()},
        )
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def is_authentic(results: dict[str, str]) -> bool:
    """DMARC passed; or, where the sender's domain has no policy, DKIM did."""
    if "dmarc" in results and results["dmarc"] not in ("none", "permerror", "temperror"):
        return results["dmarc"] == "pass"
    return results.get("dkim") == "pass"


def _parts(message: EmailMessage) -> Iterator[Attachment]:
    for count, part in enumerate(message.walk()):
        if count >= MAIL_PARTS_MAX:
            return
        if part.is_multipart():
            continue
        name = _file_name(part.get_filename() or "")
        if not name:
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes) and content:
            yield Attachment(name, content)


def _file_name(text: str) -> str:
    """The last part of a path, without control characters."""
    bare = re.split(r"[\\/]", str(text))[-1]
    return "".join(one for one in bare if one.isprintable()).strip(" .")[-FILE_NAME_CHARACTERS_MAX:]


def _is_table(part: Attachment) -> bool:
    return part.name.casefold().endswith(_TABLES)


def _pictures(parts: list[Attachment]) -> dict[str, bytes]:
    """Name in lower case → bytes of what is a picture by its bytes. Of two of one name, the first."""
    found: dict[str, bytes] = {}
    for part in parts:
        is_webp = part.content[:4] == b"RIFF" and part.content[8:12] == b"WEBP"
        is_heif = part.content[4:8] == b"ftyp" and part.content[8:12] in (
            b"heic",
            b"heix",
            b"mif1",
            b"msf1",
            b"avif",
        )
        if part.content.startswith(_PICTURES) or is_webp or is_heif:
            found.setdefault(part.name.casefold(), part.content)
        if len(found) >= PHOTOS_MAX:
            break
    return found


def _sender(message: EmailMessage) -> str:
    """The one address of one From header; forged mails have two of either to show one and mean the other."""
    headers = message.get_all("from", [])
    if len(headers) != 1:
        return ""
    addresses = headers[0].addresses
    return addresses[0].addr_spec.strip().lower() if len(addresses) == 1 else ""


def _automatic(message: EmailMessage) -> str:
    if message[OWN_HEADER] is not None:
        return "own"
    if _is_bounce(message):
        return "bounce"
    submitted = _header(message, "auto-submitted").casefold().partition(";")[0].strip()
    if submitted not in ("", "no"):
        return "auto_reply"
    if _header(message, "precedence").casefold().strip() in _BULK:
        return "list"
    if any(message[name] is not None for name in _AUTOMATIC_HEADERS):
        return "auto_reply"
    local = _sender(message).partition("@")[0]
    return "auto_reply" if local in _ROBOTS else ""


def _is_bounce(message: EmailMessage) -> bool:
    if message.get_content_type() == "multipart/report":
        return True
    local = _sender(message).partition("@")[0]
    return _header(message, "return-path").strip() == "<>" or local == "mailer-daemon"


def _about(message: EmailMessage, raw: bytes) -> str:
    """The Message-IDs that it names; of a bounce also those in the part that it sends back."""
    named = f"{_header(message, 'in-reply-to')} {_header(message, 'references')}"
    if _is_bounce(message):
        named += " " + raw[:65_536].decode("ascii", "replace")
    return named


def _results(message: EmailMessage, trusted_server: str) -> dict[str, str]:
    headers = message.get_all("authentication-results", [])
    if not trusted_server or not headers:
        return {}
    text = " ".join(str(headers[0]).split())
    server, _, rest = text.partition(";")
    if not server.split() or server.split()[0].casefold() != trusted_server.casefold():
        return {}
    found: dict[str, str] = {}
    for method, result in _RESULT.findall(re.sub(r"\([^()]*\)", "", rest)):
        if found.get(method.lower()) != "pass":
            found[method.lower()] = result.lower()
    return found


def _header(message: EmailMessage, name: str) -> str:
    value = message[name]
    return " ".join(str(value).split())[:HEADER_CHARACTERS_MAX] if value is not None else ""
