"""Facts about evidence, past tense; and what each changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from partners.core.evidence_rows import Assessment, EvidencePhoto, OutlineSeason, PlantedPlace, SiteOutline


@dataclass(slots=True)
class EvidenceKept:
    """A photo is kept and known."""

    photo: EvidencePhoto


@dataclass(slots=True)
class LikenessNoted:
    """All photos that are known to look like this one, and all places of its device."""

    sha256: str
    alike: list[list[Any]]
    elsewhere: list[list[Any]]


@dataclass(slots=True)
class OutlineRecorded:
    """A place has a new outline; the one before it is kept."""

    outline: SiteOutline
    before: str | None


@dataclass(slots=True)
class BatchAssessed:
    """What a batch's evidence comes to. `trees`: how many more its place carries now; `findings` are the batch's."""

    assessment: Assessment
    findings: list[str]
    trees: int = 0


def _kept(state: Any, event: EvidenceKept) -> None:
    state.evidence_photos.add(event.photo.sha256, event.photo)


def _likeness(state: Any, event: LikenessNoted) -> None:
    photo = state.evidence_photos.edit(event.sha256)
    photo.alike, photo.elsewhere = event.alike, event.elsewhere


def _outline(state: Any, event: OutlineRecorded) -> None:
    state.site_outlines.add(event.outline.id, event.outline)
    if event.before is not None:
        state.site_outlines.edit(event.before).is_current = False
    _place(state, event.outline.place).version = event.outline.version
    season = event.outline.season
    if state.outline_seasons.get(season) is None:
        state.outline_seasons.add(season, OutlineSeason(season, 1))
    else:
        state.outline_seasons.edit(season).outlines += 1


def _assessed(state: Any, event: BatchAssessed) -> None:
    assessment = event.assessment
    if state.assessments.get(assessment.batch_id) is None:
        state.assessments.add(assessment.batch_id, assessment)
    else:
        state.assessments.put(assessment.batch_id, assessment)
    state.batches.edit(assessment.batch_id).findings = event.findings
    if event.trees:
        _place(state, assessment.place).trees += event.trees


def _place(state: Any, place: str) -> PlantedPlace:
    if state.planted_places.get(place) is None:
        row = PlantedPlace(place, 0, 0)
        state.planted_places.add(place, row)
        return row
    found: PlantedPlace = state.planted_places.edit(place)
    return found


EVOLVE: dict[type, Callable[[Any, Any], None]] = {
    EvidenceKept: _kept,
    LikenessNoted: _likeness,
    OutlineRecorded: _outline,
    BatchAssessed: _assessed,
}
