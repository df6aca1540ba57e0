"""What a browser has sent: fields, hidden photos and files, within limits. Says nothing about what it means."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from engine.core.errors import Rejected

FIELDS_MAX = 300
FILES_MAX = 60
FIELD_BYTES_MAX = 64 * 1024
PHOTOS_PER_SLOT_MAX = 50
VALUE_CHARACTERS_MAX = 2_000
FORM_ID = re.compile(r"^[0-9a-f]{32}$")
_PHOTO = re.compile(r"^([0-9a-f]{64}):(.{0,150})$", re.DOTALL)
_CARRIED = "carry."


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo that has come and is kept: its hash and the name that its sender gave it."""

    sha256: str
    name: str


@dataclass(slots=True)
class Sent:
    """One sent form. `photos`: those that came before, by slot; `files`: those that came along, by field."""

    values: dict[str, str] = field(default_factory=dict)
    photos: dict[str, list[Photo]] = field(default_factory=dict)
    files: dict[str, list[UploadFile]] = field(default_factory=dict)

    def of(self, name: str) -> str:
        """A field's text; empty where it was not sent."""
        return self.values.get(name, "")

    @property
    def form(self) -> str:
        """The id that the form was given out with; a new one where it has none that could be ours."""
        said = self.of("form")
        return said if FORM_ID.match(said) else new_form_id()

    def digest(self, kind: str, order: int | None) -> str:
        """What tells two forms apart; photos by their bytes."""
        values = {name: text for name, text in self.values.items() if name not in ("form", "token")}
        photos = {slot: sorted(one.sha256 for one in found) for slot, found in self.photos.items() if found}
        content = json.dumps([kind, order, values, photos], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def carried(self) -> list[tuple[str, str]]:
        """Everything but files, as hidden fields of another form."""
        kept = [(f"{_CARRIED}{name}", text) for name, text in self.values.items() if name != "token"]
        return kept + [
            (f"{_CARRIED}photo.{slot}", f"{one.sha256}:{one.name}")
            for slot, found in self.photos.items()
            for one in found
        ]


def new_form_id() -> str:
    """An id for a form that is given out."""
    return secrets.token_hex(16)


async def read_sent(request: Request) -> Sent:
    """The form in a request. Raises Rejected(bad_request | body_too_large)."""
    try:
        form = await request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=FIELD_BYTES_MAX)
    except HTTPException as problem:
        raise Rejected("body_too_large" if problem.status_code == 413 else "bad_request") from problem
    sent = Sent()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if value.filename:
                sent.files.setdefault(name, []).append(value)
        else:
            _put(sent, name, value)
    return sent


def carried_of(sent: Sent) -> Sent | None:
    """The form that a login carries along, or None."""
    if not sent.of("carry_to"):
        return None
    found = Sent()
    for name, value in sent.values.items():
        if name.startswith(_CARRIED):
            _put(found, name.removeprefix(_CARRIED), value)
    for slot, photos in sent.photos.items():
        if slot.startswith(_CARRIED):
            found.photos[slot.removeprefix(_CARRIED)] = photos
    return found


def _put(sent: Sent, name: str, value: str) -> None:
    bare = name.removeprefix(_CARRIED)
    if bare.startswith("photo."):
        slot = (_CARRIED if name != bare else "") + bare.removeprefix("photo.")
        matched = _PHOTO.match(value)
        photos = sent.photos.setdefault(slot, [])
        if matched and len(photos) < PHOTOS_PER_SLOT_MAX and matched[1] not in {one.sha256 for one in photos}:
            photos.append(Photo(matched[1], photo_name(matched[2])))
        return
    sent.values[name[:100]] = value.replace("\r\n", "\n")[:VALUE_CHARACTERS_MAX]


def photo_name(text: str) -> str:
    """A file's name without its path and without what divides names in a list of them."""
    bare = re.split(r"[\\/]", text)[-1]
    kept = "".join(" " if one in ",;、；，|'\"" else one for one in bare if one.isprintable())
    return " ".join(kept.split())[-100:] or "photo.jpg"


def named_apart(photos: list[Photo], slot: str = "") -> Mapping[str, str]:
    """File name → SHA-256, where two of one name get a number; `slot` keeps those of several reports apart."""
    found: dict[str, str] = {}
    start = f"{photo_name(slot)}-" if slot else ""
    for place, one in enumerate(photos, start=1):
        name = f"{start}{one.name}"
        taken = name.casefold() in {known.casefold() for known in found}
        found[f"{start}{place}-{one.name}" if taken else name] = one.sha256
    return found
