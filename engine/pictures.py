"""Pictures of any origin: opened within limits, read for time and place, compared by looks, encoded anew, kept.

Shared by users' photos and by partners' evidence. Knows neither; nothing here decides.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
FORMATS = ("JPEG", "PNG", "WEBP")
QUALITY = 85
HASH_SIDE = 8
EARLIEST = instant("2000-01-01T00:00:00Z")


@contextmanager
def opened_picture(
    data: bytes, pixels_max: int, formats: Sequence[str] = FORMATS, media_types: Sequence[str] = MEDIA_TYPES
) -> Iterator[Image.Image]:
    """One picture, its type told by its content. Raises Rejected(photo_invalid | photo_too_large).

    The pixels are counted from the head, before anything is unpacked.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit is ours
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=list(formats)) as opened:
                _check(opened, pixels_max)
                yield opened
    except Rejected:
        raise
    except Exception as problem:  # decoders of hostile bytes raise whatever they like
        raise Rejected("photo_invalid", expected=list(media_types)) from problem


def _check(opened: Image.Image, pixels_max: int) -> None:
    width, height = opened.size
    if width * height > pixels_max:
        raise Rejected("photo_too_large", width=width, height=height, pixels_max=pixels_max)
    if opened.format not in ("MPO", "HEIF") and getattr(opened, "n_frames", 1) != 1:
        # phones append depth and the like, which is neither of those two's fault
        raise Rejected("photo_invalid", expected="one picture, not an animation")


def upright(opened: Image.Image) -> Image.Image:
    """The picture as its camera was held, in plain colours."""
    return ImageOps.exif_transpose(opened).convert("RGB")


def encoded(picture: Image.Image, side_max: int) -> bytes:
    """A JPEG of at most so many pixels a side, made of pixels alone: nothing else of an upload survives."""
    small = picture.copy()
    small.thumbnail((side_max, side_max))
    out = BytesIO()
    Image.frombytes("RGB", small.size, small.tobytes()).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


# --- looks ------------------------------------------------------------------------------------------


def looks_of(picture: Image.Image, across: int = HASH_SIDE, down: int = HASH_SIDE) -> str:
    """The difference hash: for each pixel of a tiny grey copy, whether the next one is darker. One bit each, as hex."""
    small = picture.convert("L").resize((across + 1, down), Image.Resampling.LANCZOS)
    grey = small.tobytes()
    bits = 0
    for row in range(down):
        line = grey[row * (across + 1) : (row + 1) * (across + 1)]
        for left, right in pairwise(line):
            bits = bits << 1 | (left > right)
    return f"{bits:0{across * down // 4}x}"


def unlike(one: str, other: str) -> int:
    """In how many bits two perceptual hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


# --- EXIF -------------------------------------------------------------------------------------------


def taken_at(exif: Image.Exif, zone: str) -> int | None:
    """When the camera says that it was taken; None for nothing or nonsense. Without an offset it is in `zone`."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    text = exif_text(details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime))
    offset = exif_text(details.get(ExifTags.Base.OffsetTimeOriginal))
    try:
        told = datetime.strptime(f"{text} {offset or '+00:00'}", "%Y:%m:%d %H:%M:%S %z")
        at = told if offset else told.replace(tzinfo=ZoneInfo(zone))
        found = int(at.timestamp()) * 1000
    except (ValueError, OverflowError, KeyError):
        return None
    return found if found >= EARLIEST else None


def exif_text(value: object) -> str:
    """A value as text, without the padding that cameras leave."""
    return "" if value is None else str(value).strip("\x00 ")


def place_e6(exif: Image.Exif) -> tuple[int | None, int | None]:
    """(latitude, longitude) in millionths of a degree; None for nothing or nonsense."""
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude = _degrees_e6(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees_e6(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    return (latitude, longitude) if latitude is not None and longitude is not None else (None, None)


def _degrees_e6(gps: Mapping[int, Any], place: int, side: int, negative: str, most: int) -> int | None:
    try:
        degrees, minutes, seconds = (Fraction(str(part)) for part in gps[place])
        found = round((degrees + minutes / 60 + seconds / 3600) * 10**6)
        sign = -1 if exif_text(gps.get(side)).upper() == negative else 1
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return None
    return sign * found if 0 <= found <= most * 10**6 else None


# --- files ------------------------------------------------------------------------------------------


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
