"""Users' photos: reads what was uploaded, takes place and time out of it, and keeps the stripped picture as a file.

Whatever is kept or shown is encoded anew, so nothing but pixels of the upload survives. Knows no account and no rule.
"""

import asyncio
import hashlib
import os
import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from PIL import ExifTags, Image, ImageOps

from engine.core.errors import Rejected
from engine.core.units import instant
from engine.store.database import Database

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
_FORMATS = ("JPEG", "PNG", "WEBP")
_SIDE_MAX = 2048  # pixels of what is kept: enough to read an odometer
_QUALITY = 85
_HASH_SIDE = 8
_USERS_ASKED = 1000
_EARLIEST = instant("2000-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Picture:
    """An upload as it was read: hashes, the stripped picture, and what its EXIF said of time and place.

    `taken_at` in milliseconds; a camera that told no zone is taken to be in the user's.
    """

    sha256: str
    file: str
    stripped: bytes
    width: int
    height: int
    looks: str
    taken_at: int | None
    latitude_e6: int | None
    longitude_e6: int | None


def read_picture(data: bytes, pixels_max: int, zone: str) -> Picture:
    """What an upload shows. Raises Rejected(photo_invalid | photo_too_large)."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and is applied before anything is unpacked
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=_FORMATS) as opened:
                return _read(opened, data, pixels_max, zone)
    except Rejected:
        raise
    except Exception as problem:  # decoders of hostile bytes raise whatever they like
        raise Rejected("photo_invalid", expected=list(MEDIA_TYPES)) from problem


def _read(opened: Image.Image, data: bytes, pixels_max: int, zone: str) -> Picture:
    width, height = opened.size
    if width * height > pixels_max:
        raise Rejected("photo_too_large", width=width, height=height, pixels_max=pixels_max)
    if opened.format != "MPO" and getattr(opened, "n_frames", 1) != 1:  # phones append depth and the like
        raise Rejected("photo_invalid", expected="one picture, not an animation")
    exif = opened.getexif()
    taken_at = _taken_at(exif, zone)
    latitude_e6, longitude_e6 = _place(exif)
    picture = ImageOps.exif_transpose(opened).convert("RGB")
    looks = _looks(picture)
    picture.thumbnail((_SIDE_MAX, _SIDE_MAX))
    out = BytesIO()
    Image.frombytes("RGB", picture.size, picture.tobytes()).save(out, "JPEG", quality=_QUALITY)
    stripped = out.getvalue()
    return Picture(
        sha256=hashlib.sha256(data).hexdigest(),
        file=hashlib.sha256(stripped).hexdigest(),
        stripped=stripped,
        width=width,
        height=height,
        looks=looks,
        taken_at=taken_at,
        latitude_e6=latitude_e6,
        longitude_e6=longitude_e6,
    )


def _looks(picture: Image.Image) -> str:
    """The difference hash: for each pixel of a tiny grey copy, whether the next one is darker. 16 hex digits."""
    small = picture.convert("L").resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.LANCZOS)
    grey = small.tobytes()
    bits = 0
    for row in range(_HASH_SIDE):
        line = grey[row * (_HASH_SIDE + 1) : (row + 1) * (_HASH_SIDE + 1)]
        for left, right in pairwise(line):
            bits = bits << 1 | (left > right)
    return f"{bits:016x}"


def unlike(one: str, other: str) -> int:
    """In how many of 64 bits two perceptual hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


# --- EXIF -------------------------------------------------------------------------------------------


def _taken_at(exif: Image.Exif, zone: str) -> int | None:
    """When the camera says that it was taken; None for nothing or nonsense."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    text = _text(details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime))
    offset = _text(details.get(ExifTags.Base.OffsetTimeOriginal))
    try:
        told = datetime.strptime(f"{text} {offset or '+00:00'}", "%Y:%m:%d %H:%M:%S %z")
        at = told if offset else told.replace(tzinfo=ZoneInfo(zone))
        taken_at = int(at.timestamp()) * 1000
    except (ValueError, OverflowError, KeyError):
        return None
    return taken_at if taken_at >= _EARLIEST else None


def _text(value: object) -> str:
    return "" if value is None else str(value).strip("\x00 ")


def _place(exif: Image.Exif) -> tuple[int | None, int | None]:
    """(latitude, longitude) in millionths of a degree; None for nothing or nonsense."""
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude = _degrees_e6(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees_e6(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    return (latitude, longitude) if latitude is not None and longitude is not None else (None, None)


def _degrees_e6(gps: Mapping[int, Any], place: int, side: int, negative: str, most: int) -> int | None:
    try:
        degrees, minutes, seconds = (Fraction(str(part)) for part in gps[place])
        found = round((degrees + minutes / 60 + seconds / 3600) * 10**6)
        sign = -1 if _text(gps.get(side)).upper() == negative else 1
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return None
    return sign * found if 0 <= found <= most * 10**6 else None


# --- the folder -------------------------------------------------------------------------------------


class PhotoFolder:
    """Stripped pictures as files, a folder a user, named by their SHA-256; readable by the engine's owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, user: int, file: str) -> Path:
        """Where a picture lies."""
        return self.root / str(user) / f"{file}.jpg"

    def keep(self, user: int, picture: Picture) -> None:
        """Write the picture; whole or not at all."""
        path = self.path(user, picture.file)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}.part")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(picture.stripped)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)

    def drop(self, user: int, file: str) -> None:
        """Remove one picture."""
        self.path(user, file).unlink(missing_ok=True)

    def read(self, user: int, file: str) -> bytes | None:
        """The picture, or None where it is gone."""
        try:
            return self.path(user, file).read_bytes()
        except FileNotFoundError:
            return None

    def erase(self, user: int) -> None:
        """Remove all pictures of a user."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / str(user))

    def users(self) -> list[int]:
        """Whose pictures lie here."""
        if not self.root.is_dir():
            return []
        return sorted(int(one.name) for one in self.root.iterdir() if one.name.isdecimal())


async def erase_left_over(db: Database, folder: PhotoFolder) -> int:
    """Remove the files of closed accounts that a crash has left after their erasure; how many accounts that were."""
    users = await asyncio.to_thread(folder.users)
    found = 0
    for first in range(0, len(users), _USERS_ASKED):
        some = users[first : first + _USERS_ASKED]
        async with db.snapshot() as view:
            rows = await view.fetch("SELECT id FROM users WHERE state = 'closed' AND id IN ?", some)
        for (user,) in rows:
            await asyncio.to_thread(folder.erase, user)
            found += 1
    return found
