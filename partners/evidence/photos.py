"""A partner's photo as bytes: told by its content, read within limits, its head taken into columns, stripped.

The original stays private and whole, so that its hash can be proven; what is shown is encoded anew. Knows no database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

import pi_heif
from PIL import ExifTags, Image

from engine.pictures import (
    FORMATS,
    MEDIA_TYPES,
    encoded,
    exif_text,
    looks_of,
    opened_picture,
    place_e6,
    taken_at,
    upright,
)
from partners.core.datum import datum_named, to_wgs84
from partners.core.evidence_rows import NAME_CHARACTERS_MAX, EvidencePhoto

HEIC = "image/heic"
ALL_MEDIA_TYPES = (*MEDIA_TYPES, HEIC)
PUBLIC_SIDE_MAX = 2048
THUMB_SIDE_MAX = 320
COARSE, FINE = (8, 4), (16, 16)  # pixels compared, and rows of them, once across and once down
_BASE_SIDE = 128  # likeness is worked out on a small square copy, so that turning it is cheap
_TEXT_CHARACTERS_MAX = 120
_ACCURACY_M_MAX = 10_000_000
_MEDIA_OF = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "HEIF": HEIC,
}
_CREATOR = re.compile(rb"CreatorTool(?:=\"|>)([^\"<]{1,100})")
_XMP_BYTES_MAX = 64 * 1024

# how a copy may have been turned or mirrored; None is as it is
VARIANTS: Mapping[str, Image.Transpose | None] = {
    "same": None,
    "mirrored": Image.Transpose.FLIP_LEFT_RIGHT,
    "upside_down": Image.Transpose.ROTATE_180,
    "flipped": Image.Transpose.FLIP_TOP_BOTTOM,
    "turned_left": Image.Transpose.ROTATE_90,
    "turned_right": Image.Transpose.ROTATE_270,
    "transposed": Image.Transpose.TRANSPOSE,
    "transversed": Image.Transpose.TRANSVERSE,
}


@dataclass(frozen=True, slots=True)
class Stated:
    """What the sender says beside the bytes: a name, the coordinates' datum, the device; each may be empty."""

    name: str = ""
    datum: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """The two perceptual hashes of one variant of a picture."""

    coarse: str
    fine: str


@dataclass(frozen=True, slots=True)
class ReadPhoto:
    """A photo as it was read: its row (likeness not yet looked for), both copies for showing, and all its variants."""

    row: EvidencePhoto
    public: bytes
    thumb: bytes
    variants: Mapping[str, Looks]


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    pi_heif.register_heif_opener(thumbnails=False)
    return (*FORMATS, "HEIF")


def is_photo(head: bytes) -> bool:
    """Whether the first bytes are those of a picture of a kind that is taken."""
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (
            head[4:8] == b"ftyp"
            and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")
        )
    )


def read_photo(data: bytes, partner: str, pixels_max: int, stated: Stated | None = None) -> ReadPhoto:
    """What a photo shows and says. Raises Rejected(photo_invalid | photo_too_large)."""
    stated = stated or Stated()
    with opened_picture(data, pixels_max, _formats(), ALL_MEDIA_TYPES) as opened:
        width, height = opened.size
        media = _MEDIA_OF[opened.format or ""]
        if opened.format == "JPEG":  # unpacks no more than is needed: a large photo costs little memory
            opened.draft("RGB", (PUBLIC_SIDE_MAX, PUBLIC_SIDE_MAX))
        exif = opened.getexif()
        picture = upright(opened)
        said = _said(opened, exif, stated)
    public = encoded(picture, PUBLIC_SIDE_MAX)
    variants = _variants(picture)
    looks = variants["same"]
    row = EvidencePhoto(
        sha256=hashlib.sha256(data).hexdigest(),
        partner=partner,
        name=clean(stated.name, NAME_CHARACTERS_MAX),
        media=media,
        bytes=len(data),
        width=width,
        height=height,
        public_sha256=hashlib.sha256(public).hexdigest(),
        looks=looks.coarse,
        fine=looks.fine,
        **bands_of(looks.coarse),
        **said,
        kept_at=0,
    )
    return ReadPhoto(row, public, encoded(picture, THUMB_SIDE_MAX), variants)


def bands_of(looks: str) -> dict[str, str]:
    """The quarters of a coarse hash by their columns."""
    return {f"band_{name}": looks[4 * n : 4 * n + 4] for n, name in enumerate("abcd")}


def clean(text: str, characters_max: int) -> str:
    """Text that may be stored and shown: nothing that does not print."""
    return "".join(letter for letter in text[: 4 * characters_max] if letter.isprintable())[
        :characters_max
    ].strip()


def _variants(picture: Image.Image) -> dict[str, Looks]:
    base = picture.convert("L").resize((_BASE_SIDE, _BASE_SIDE), Image.Resampling.LANCZOS)
    return {name: _looks(base if how is None else base.transpose(how)) for name, how in VARIANTS.items()}


def _looks(base: Image.Image) -> Looks:
    """Both hashes look across and down: a sky alone fills one half with equal bits, never both."""
    ways = base, base.transpose(Image.Transpose.TRANSPOSE)
    coarse, fine = ("".join(looks_of(way, *size) for way in ways) for size in (COARSE, FINE))
    return Looks(coarse, fine)


# --- what the head says ---------------------------------------------------------------------------


def _said(opened: Image.Image, exif: Image.Exif, stated: Stated) -> dict[str, Any]:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    latitude_e6, longitude_e6 = place_e6(exif)
    if (latitude_e6, longitude_e6) == (0, 0):  # what some cameras write for "not known"
        latitude_e6 = longitude_e6 = None
    datum = stated.datum or datum_named(exif_text(gps.get(ExifTags.GPS.GPSMapDatum))) or "wgs84"
    moved: tuple[int | None, int | None] = (longitude_e6, latitude_e6)
    if latitude_e6 is not None and longitude_e6 is not None:
        x, y = to_wgs84((longitude_e6 / 1e6, latitude_e6 / 1e6), datum)
        moved = round(x * 1e6), round(y * 1e6)
    camera = " ".join(
        clean(exif_text(exif.get(tag)), 60) for tag in (ExifTags.Base.Make, ExifTags.Base.Model)
    )
    serial = clean(exif_text(details.get(ExifTags.Base.BodySerialNumber)), 60)
    return {
        "taken_at": taken_at(exif, "UTC"),
        "zone_known": bool(exif_text(details.get(ExifTags.Base.OffsetTimeOriginal))),
        "gps_at": _gps_at(gps),
        "latitude_e6": moved[1],
        "longitude_e6": moved[0],
        "raw_latitude_e6": latitude_e6,
        "raw_longitude_e6": longitude_e6,
        "datum": datum if latitude_e6 is not None else "",
        "accuracy_m": _accuracy_m(gps),
        "camera": camera.strip(),
        "device": _device(stated.device, camera.strip(), serial),
        "software": _software(opened, exif, details),
    }


def _gps_at(gps: Mapping[int, Any]) -> int | None:
    """The satellites' time, always UTC; None for nothing or nonsense."""
    try:
        day = datetime.strptime(exif_text(gps[ExifTags.GPS.GPSDateStamp]), "%Y:%m:%d").replace(tzinfo=UTC)
        hours, minutes, seconds = (float(Fraction(str(part))) for part in gps[ExifTags.GPS.GPSTimeStamp])
        at = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if not 2000 <= at.year <= 2200:
            return None
        return int(at.timestamp()) * 1000
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return None


def _accuracy_m(gps: Mapping[int, Any]) -> int | None:
    try:
        metres = Fraction(str(gps[ExifTags.GPS.GPSHPositioningError]))
        return min(max(0, -int(-metres // 1)), _ACCURACY_M_MAX)
    except (KeyError, ValueError, TypeError, ArithmeticError):
        return None


def _device(stated: str, camera: str, serial: str) -> str:
    """An opaque name of the very device; empty where only its model is known."""
    told = stated or (f"{camera}/{serial}" if serial else "")
    return hashlib.sha256(f"device:{told}".encode()).hexdigest()[:32] if told else ""


def _software(opened: Image.Image, exif: Image.Exif, details: Mapping[int, Any]) -> str:
    """Everything in the head that names a program or says that this is a picture of a screen."""
    comment = details.get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes):
        comment = comment[8:].decode("utf-8", "ignore")
    xmp = opened.info.get("xmp") or b""
    creator = _CREATOR.search(xmp[:_XMP_BYTES_MAX] if isinstance(xmp, bytes) else b"")
    told = [
        exif_text(exif.get(ExifTags.Base.Software)),
        exif_text(exif.get(ExifTags.Base.ProcessingSoftware)),
        exif_text(opened.info.get("Software")),
        creator[1].decode("utf-8", "ignore") if creator else "",
        exif_text(comment) if comment is not None and len(str(comment)) <= 40 else "",
    ]
    return clean(" ".join(dict.fromkeys(part for part in told if part)), _TEXT_CHARACTERS_MAX)
