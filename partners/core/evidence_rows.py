"""Rows of what speaks for planting: photos as they were read, outlines of sites, and what was made of a batch.

No row refers to a person; a device is an opaque hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.core.state import ShelfKind

NAME_CHARACTERS_MAX = 200


@dataclass(slots=True)
class EvidencePhoto:
    """An uploaded photo by the SHA-256 of its bytes: what its head says, and which others look like it.

    `taken_at` is by the camera's clock; unless `zone_known` it is local time written as if it were UTC. `gps_at` is the
    satellites' time. Latitude and longitude are WGS 84; `datum` says what they were in, `raw_*_e6` what was written.
    `looks` and `fine` are perceptual hashes of 64 and 512 bits, the bands quarters of the first. `alike`: earlier
    photos that look the same, as [sha256, bits, variant]; `elsewhere`: where the same device was within the hour, as
    [sha256, metres].
    """

    sha256: str
    partner: str
    name: str
    media: str
    bytes: int
    width: int
    height: int
    public_sha256: str
    looks: str
    fine: str
    band_a: str
    band_b: str
    band_c: str
    band_d: str
    taken_at: int | None
    zone_known: bool
    gps_at: int | None
    latitude_e6: int | None
    longitude_e6: int | None
    raw_latitude_e6: int | None
    raw_longitude_e6: int | None
    datum: str
    accuracy_m: int | None
    camera: str
    device: str
    software: str
    kept_at: int
    alike: list[list[Any]] = field(default_factory=list)
    elsewhere: list[list[Any]] = field(default_factory=list)

    @property
    def point_e6(self) -> tuple[int, int] | None:
        """(longitude, latitude), where the photo has a place."""
        if self.latitude_e6 is None or self.longitude_e6 is None:
            return None
        return self.longitude_e6, self.latitude_e6


@dataclass(slots=True)
class SiteOutline:
    """One version of the ground that a partner plants in a season, in WGS 84.

    `polygons`: rings of [longitude, latitude] in ten-millionths of a degree, the outer one first, first point not
    repeated. `overlaps`: other outlines of the season on the same ground, as [place, partner, share of the smaller one,
    share of the larger one], shares in hundredths of a per cent.
    """

    id: str
    place: str
    partner: str
    site: str
    season: str
    version: int
    datum: str
    area_m2: int
    west_e6: int
    south_e6: int
    east_e6: int
    north_e6: int
    recorded_at: int
    is_current: bool = True
    polygons: list[list[list[list[int]]]] = field(default_factory=list)
    overlaps: list[list[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PlantedPlace:
    """What a partner's site carries in a season: the version of its outline in use (0: none), and trees reported."""

    place: str
    version: int
    trees: int


@dataclass(slots=True)
class Assessment:
    """What the evidence of a batch comes to: verdict passed, needs_info or refused, with every reason.

    `missing`: files that were named and are not here. `reasons`: [code, weight, about]; those that an operator has
    `dismissed` ([code, operator, why]) do not count. `planters`: as reported.
    """

    batch_id: str
    order_id: int
    place: str
    outline_version: int
    verdict: str
    score: int
    is_waiting: bool
    planters: int | None
    rules: str
    assessed_at: int
    reasons: list[list[Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    dismissed: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class OutlineSeason:
    """How many outlines a season has seen, so that whoever compared a new one with fewer is told to look again."""

    season: str
    outlines: int


EVIDENCE_SHELVES = (
    ShelfKind("evidence_photos", EvidencePhoto, ("sha256",)),
    ShelfKind("site_outlines", SiteOutline, ("id",)),
    ShelfKind("planted_places", PlantedPlace, ("place",), locks=6),
    ShelfKind("outline_seasons", OutlineSeason, ("season",), locks=8),
    ShelfKind("assessments", Assessment, ("batch_id",)),
)


def place_of(partner: str, site: str, season: str) -> str:
    """The name of a partner's site in a season."""
    return f"{partner}/{site}/{season}"


def outline_id(place: str, version: int) -> str:
    """The id of one version of a place's outline."""
    return f"{place}/{version}"
