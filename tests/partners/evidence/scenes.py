"""Photos of planting as cameras, phones and messengers would make them; each seed another view, always the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageDraw

SIZE = (480, 360)


def scene(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Sky over dunes, saplings, sometimes a sign or a person's shape; grain as of a sensor."""
    dice = random.Random(seed)
    width, height = size
    horizon = dice.uniform(0.25, 0.55) * height
    sky = [dice.randrange(*span) for span in ((90, 180), (140, 210), (200, 255))]
    sand = [dice.randrange(*span) for span in ((170, 225), (140, 190), (90, 140))]
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    for y in range(height):
        share = y / horizon if y < horizon else (y - horizon) / (height - horizon)
        row = (
            [value + (240 - value) * share for value in sky]
            if y < horizon
            else [v * (0.75 + 0.35 * share) for v in sand]
        )
        draw.line([(0, y), (width, y)], fill=tuple(int(value) for value in row))
    for _ in range(dice.randrange(3, 8)):
        top = dice.uniform(horizon, height)
        ridge = [(width * step / 8, top + dice.uniform(-40, 40)) for step in range(9)]
        shade = dice.uniform(0.75, 1.15)
        draw.polygon(
            [*ridge, (width, top + 60), (0, top + 60)], fill=tuple(min(255, int(v * shade)) for v in sand)
        )
    for _ in range(dice.randrange(3, 14)):
        x, y = dice.uniform(0, width), dice.uniform(horizon + 0.08 * height, height)
        tall = dice.uniform(0.08, 0.3) * height * (y / height)
        green = tuple(dice.randrange(*span) for span in ((40, 110), (90, 150), (40, 90)))
        for _ in range(12):
            tip = x + dice.uniform(-tall / 2, tall / 2), y - dice.uniform(0.3, 1) * tall
            draw.line([(x, y), tip], fill=green, width=3)
    if dice.random() < 0.5:
        x, y, tall = (
            dice.uniform(0.1, 0.9) * width,
            dice.uniform(0.6, 1) * height,
            dice.uniform(0.2, 0.5) * height,
        )
        draw.rectangle(
            [x - tall / 8, y - tall, x + tall / 8, y], fill=tuple(dice.randrange(256) for _ in range(3))
        )
    grain = Image.frombytes("L", (width // 4, height // 4), dice.randbytes((width // 4) * (height // 4)))
    return Image.blend(image, grain.resize(size).convert("RGB"), 0.06)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """The middle of a picture."""
    width, height = image.size
    dx, dy = width * (1 - share) / 2, height * (1 - share) / 2
    return image.crop((int(dx), int(dy), int(width - dx), int(height - dy)))


def shifted(seed: int, step: int) -> Image.Image:
    """The same view a moment later: the camera has moved a little. The next photo of the same tree."""
    image = scene(seed, (SIZE[0] + 80, SIZE[1] + 60))
    dice = random.Random(seed * 1000 + step)
    x, y = dice.randrange(80), dice.randrange(60)
    return image.crop((x, y, x + SIZE[0], y + SIZE[1]))


def photo(image: Image.Image | int, kind: str = "JPEG", quality: int = 85, **head: Any) -> bytes:
    """The picture as a file. `head`: at (ms), offset, gps (longitude, latitude), accuracy, datum, gps_at (ms), camera,
    serial, software, comment, orientation; nothing named, no EXIF at all."""
    made = scene(image) if isinstance(image, int) else image
    out = BytesIO()
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": quality}
    if head:
        options["exif"] = exif_of(**head)
    made.save(out, kind, **options)
    return out.getvalue()


def exif_of(
    at: int | None = None,
    offset: str | None = "+08:00",
    gps: tuple[float, float] | None = None,
    accuracy: float | None = 8.0,
    datum: str | None = "WGS-84",
    gps_at: int | None = None,
    camera: tuple[str, str] | None = ("HUAWEI", "P60"),
    serial: str | None = None,
    software: str | None = None,
    comment: str | None = None,
    orientation: int | None = None,
) -> Image.Exif:
    """The head that a phone writes; `at` is the instant, told as the local time of `offset` (None: no zone told)."""
    exif = Image.Exif()
    if camera is not None:
        exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = camera
    if software is not None:
        exif[ExifTags.Base.Software] = software
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    details = exif.get_ifd(ExifTags.IFD.Exif)
    if serial is not None:
        details[ExifTags.Base.BodySerialNumber] = serial
    if comment is not None:
        details[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + comment.encode()
    if at is not None:
        hours = int((offset or "+08:00")[:3])
        local = datetime.fromtimestamp(at / 1000 + hours * 3600, UTC)
        details[ExifTags.Base.DateTimeOriginal] = local.strftime("%Y:%m:%d %H:%M:%S")
        if offset is not None:
            details[ExifTags.Base.OffsetTimeOriginal] = offset
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    if gps is not None:
        place[ExifTags.GPS.GPSLongitudeRef], place[ExifTags.GPS.GPSLongitude] = _sexagesimal(gps[0], "EW")
        place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = _sexagesimal(gps[1], "NS")
        if accuracy is not None:
            place[ExifTags.GPS.GPSHPositioningError] = accuracy
        if datum is not None:
            place[ExifTags.GPS.GPSMapDatum] = datum
    if gps_at is not None:
        moment = datetime.fromtimestamp(gps_at / 1000, UTC)
        place[ExifTags.GPS.GPSDateStamp] = moment.strftime("%Y:%m:%d")
        place[ExifTags.GPS.GPSTimeStamp] = (float(moment.hour), float(moment.minute), float(moment.second))
    return exif


def _sexagesimal(degrees: float, sides: str) -> tuple[str, tuple[float, float, float]]:
    whole = Fraction(abs(degrees)).limit_denominator(10**8)
    minutes = (whole - int(whole)) * 60
    return sides[degrees < 0], (float(int(whole)), float(int(minutes)), float((minutes - int(minutes)) * 60))
