"""Finds photos of anybody that look like one, turned or mirrored ones too, by bands of their hashes in the database.

Two coarse hashes within seven of 64 bits have a quarter in which at most one bit differs; so a photo is looked for
under 17 values of each quarter of each of its eight variants, in indexes that hold all that is compared. What is found
is confirmed by the fine hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.core.units import MINUTE_MS
from engine.pictures import unlike
from engine.store.database import Reader
from partners.core.datum import metres_between
from partners.core.evidence_rows import EvidencePhoto
from partners.core.evidence_rules import EvidenceRules
from partners.evidence.photos import Looks, bands_of

BANDS = tuple(bands_of("0" * 16))
BAND_BITS = 16
ROWS_MAX = 20_000  # looked at for one quarter: seven times what a million photos would spread there evenly
CONFIRMED_MAX = 200
ALIKE_MAX = 20
DEVICE_PHOTOS_MAX = 50


async def alike(
    reader: Reader, sha256: str, variants: Mapping[str, Looks], rules: EvidenceRules
) -> list[list[Any]]:
    """[sha256, bits, variant] of other photos that look the same, most alike first."""
    near: dict[str, tuple[int, str]] = {}
    for band in BANDS:
        wanted = sorted(
            {value for looks in variants.values() for value in _near_values(bands_of(looks.coarse)[band])}
        )
        sql = f"SELECT looks, sha256 FROM evidence_photos WHERE {band} IN ? LIMIT {ROWS_MAX}"
        for other, name in await reader.fetch(sql, wanted):
            bits, variant = min((unlike(looks.coarse, other), key) for key, looks in variants.items())
            if name != sha256 and bits <= rules.alike_bits_max and bits < near.get(name, (BAND_BITS, ""))[0]:
                near[name] = bits, variant
    names = sorted(near, key=lambda name: (near[name][0], name))[:CONFIRMED_MAX]
    found: list[list[Any]] = []
    if not names:
        return found
    for name, fine in await reader.fetch("SELECT sha256, fine FROM evidence_photos WHERE sha256 IN ?", names):
        bits, variant = min((unlike(looks.fine, fine), key) for key, looks in variants.items())
        if bits <= rules.alike_fine_bits_max:
            found.append([name, bits, variant])
    return sorted(found, key=lambda entry: (entry[1], entry[0]))[:ALIKE_MAX]


def _near_values(band: str) -> list[str]:
    """The band and all that differ from it in one bit."""
    value = int(band, 16)
    return [band, *(f"{value ^ 1 << bit:04x}" for bit in range(BAND_BITS))]


async def elsewhere(reader: Reader, photo: EvidencePhoto, rules: EvidenceRules) -> list[list[Any]]:
    """[sha256, metres] of photos of the same device within the hour at a place too far to have gone there."""
    if not photo.device or photo.point_e6 is None or (photo.gps_at or photo.taken_at) is None:
        return []
    rows = await reader.fetch(
        "SELECT sha256, longitude_e6, latitude_e6, gps_at, taken_at FROM evidence_photos"
        " WHERE device = ? AND sha256 <> ? AND latitude_e6 IS NOT NULL ORDER BY kept_at DESC LIMIT ?",
        photo.device,
        photo.sha256,
        DEVICE_PHOTOS_MAX * 10,
    )
    here = photo.point_e6[0] / 1e6, photo.point_e6[1] / 1e6
    found = []
    for sha256, x, y, gps_at, taken_at in rows:
        # satellites' time with satellites' time, camera's with camera's: one device has one clock
        pairs = ((photo.gps_at, gps_at), (photo.taken_at, taken_at))
        apart = next(
            (abs(one - other) for one, other in pairs if one is not None and other is not None), None
        )
        metres = round(metres_between(here, (x / 1e6, y / 1e6)))
        if (
            apart is not None
            and apart <= rules.device_apart_min * MINUTE_MS
            and metres >= rules.device_apart_m
        ):
            found.append([sha256, metres])
    return sorted(found)[:ALIKE_MAX]
