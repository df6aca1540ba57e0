"""Wishes about evidence, imperative."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from partners.core.evidence_rows import EvidencePhoto


@dataclass(slots=True)
class KeepEvidence:
    """A partner's photo was uploaded and read. The same bytes again change nothing."""

    key: str | None
    photo: EvidencePhoto


@dataclass(slots=True)
class NoteLikeness:
    """A later look found more photos that look like this one, or more places of its device."""

    key: str | None
    sha256: str
    alike: list[list[Any]] = field(default_factory=list)
    elsewhere: list[list[Any]] = field(default_factory=list)


@dataclass(slots=True)
class RecordOutline:
    """A partner's site has this outline in the season. The same outline again changes nothing.

    `overlaps` as in `SiteOutline`; they were looked for before the command, when the season had seen `compared_with`
    outlines.
    """

    key: str | None
    partner: str
    site: str
    season: str
    datum: str
    area_m2: int
    box_e6: tuple[int, int, int, int]
    polygons: list[list[list[list[int]]]]
    overlaps: list[list[Any]]
    notes: list[str]
    compared_with: int


@dataclass(slots=True)
class AssessBatch:
    """Judge a reported batch anew by what is known now."""

    key: str | None
    order: int
    batch: str


@dataclass(slots=True)
class DismissReason:
    """An operator has looked into a reason against a batch and lets it not count any more."""

    key: str | None
    operator: str
    order: int
    batch: str
    code: str
    why: str
