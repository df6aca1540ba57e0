"""Many small signals about one batch, each a reason from the fixed list. Pure: what is known in, reasons out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from engine.core.units import DAY_MS, HOUR_MS
from partners.core.datum import Point, from_wgs84, in_china, metres_between, to_wgs84
from partners.core.evidence_rows import EvidencePhoto, SiteOutline
from partners.core.evidence_rules import EvidenceRules
from partners.core.ground import metres_outside
from partners.core.reasons import Reason

HECTARE_M2 = 10_000
PHOTOS_TOLD_MAX = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one report that can be compared with another's."""

    quantity: int
    planted_from_on: str
    planted_to_on: str
    planters: int | None


@dataclass(frozen=True, slots=True)
class Whose:
    """To whom a photo belongs that looks like one of the batch; order and batch where one has shown it."""

    partner: str
    order: int | None
    batch: str | None


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of a batch when it is judged. `trees`: reported for its place, this batch included;
    `trees_due`: what its order still lacks.
    """

    rules: EvidenceRules
    partner: str
    order: int
    batch: str
    figures: Figures
    photos: Sequence[EvidencePhoto]
    missing: Sequence[str]
    outline: SiteOutline | None
    trees: int
    trees_due: int
    others: Sequence[Figures]
    whose: Mapping[str, Whose]
    files_required: bool


def signals(case: Case) -> list[Reason]:
    """Every reason that the case gives, in no order."""
    return [
        *_files(case),
        *_figures(case),
        *_ground(case),
        *_alike(case),
        *_heads(case),
        *_times(case),
        *_places(case),
        *_devices(case),
    ]


def _files(case: Case) -> Iterator[Reason]:
    if case.missing and case.files_required:
        yield Reason(
            "evidence_not_uploaded", {"photos": case.missing[:PHOTOS_TOLD_MAX], "n": len(case.missing)}
        )
    for photo in case.photos:
        if photo.partner != case.partner:
            yield Reason("photo_of_other_partner", {"photo": photo.sha256})


# --- figures and ground ---------------------------------------------------------------------------


def _figures(case: Case) -> Iterator[Reason]:
    rules, mine = case.rules, case.figures
    if mine in case.others:
        yield Reason("report_copied", {"trees": mine.quantity, "on": mine.planted_from_on})
    rounded = [one.quantity for one in (mine, *case.others) if one.quantity % rules.round_to_trees == 0]
    if len(rounded) >= rules.round_reports_min and len(rounded) == len(case.others) + 1:
        yield Reason("round_numbers", {"reports": len(rounded)})
    days = (date.fromisoformat(mine.planted_to_on) - date.fromisoformat(mine.planted_from_on)).days + 1
    if mine.planters is not None and days >= 1:
        most = max(mine.planters, 0) * days * rules.trees_per_planter_day_max
        if mine.quantity > most:
            yield Reason(
                "planting_too_fast",
                {"trees": mine.quantity, "planters": mine.planters, "days": days, "most": most},
            )


def _ground(case: Case) -> Iterator[Reason]:
    outline, rules = case.outline, case.rules
    if outline is None:
        if case.files_required:
            yield Reason("outline_missing")
        return
    about = {"trees": case.trees, "area_m2": outline.area_m2}
    for code, most in (
        ("impossibly_dense", rules.trees_per_ha_impossible),
        ("too_dense", rules.trees_per_ha_max),
    ):
        if case.trees * HECTARE_M2 > most * outline.area_m2:
            yield Reason(code, {**about, "trees_per_ha_max": most})
            break
    else:
        # a place that is planted over several reports fills up, so what is still to come counts as there
        if (case.trees + case.trees_due) * HECTARE_M2 < rules.trees_per_ha_min * outline.area_m2:
            yield Reason("too_sparse", {**about, "trees_per_ha_min": rules.trees_per_ha_min})
    for place, partner, share, of_both in outline.overlaps:
        where = {"place": place, "share_pct": share / 100}
        if partner != case.partner and of_both >= rules.copied_share_pct * 100:
            yield Reason("outline_copied", where)
        elif share >= rules.overlap_share_pct * 100:
            yield Reason("outline_overlaps", where)


# --- likeness -------------------------------------------------------------------------------------


def _alike(case: Case) -> Iterator[Reason]:
    inside = 0
    for photo in case.photos:
        own = False
        for sha256, bits, variant in photo.alike:
            whose = case.whose.get(sha256)
            if whose is None:
                continue
            about = {"photo": photo.sha256, "like": sha256, "bits": bits, "variant": variant}
            if whose.partner != case.partner:
                yield Reason("alike_other_partner", about)
            elif whose.batch is None:
                continue  # nothing has shown it yet
            elif whose.order != case.order:
                yield Reason("alike_other_order", {**about, "batch": whose.batch})
            elif whose.batch != case.batch:
                yield Reason("alike_other_batch", {**about, "batch": whose.batch})
            else:
                own = True
        inside += own
    if inside + 1 >= case.rules.alike_in_batch_min and inside + 1 >= len(case.photos):
        yield Reason("alike_in_batch", {"photos": len(case.photos)})


# --- what heads say -------------------------------------------------------------------------------


def _heads(case: Case) -> Iterator[Reason]:
    for photo in case.photos:
        software = photo.software.casefold()
        if any(name in software for name in case.rules.editors):
            yield Reason("edited", {"photo": photo.sha256, "software": photo.software[:60]})
        if _is_screen(photo, software, case.rules):
            yield Reason("screenshot", {"photo": photo.sha256})
    if case.photos and all(
        photo.taken_at is None and photo.gps_at is None and photo.point_e6 is None for photo in case.photos
    ):
        yield Reason("exif_missing", {"photos": len(case.photos)})


def _is_screen(photo: EvidencePhoto, software: str, rules: EvidenceRules) -> bool:
    if any(word in software or word in photo.name.casefold() for word in rules.screen_words):
        return True
    if photo.camera or photo.media != "image/png":
        return False
    long, short = max(photo.width, photo.height), min(photo.width, photo.height)
    return long * 100 >= short * rules.screenshot_ratio_pct


# --- time -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taken:
    """Between which instants a photo was taken."""

    first: int
    last: int


def _times(case: Case) -> Iterator[Reason]:
    rules = case.rules
    begins = _day_ms(case.figures.planted_from_on)
    ends = max(begins, _day_ms(case.figures.planted_to_on)) + DAY_MS
    dated, outside = 0, []
    for photo in case.photos:
        code = _clock(photo, rules)
        if code is not None:
            yield Reason(code, {"photo": photo.sha256})
        taken = _taken(photo, rules)
        if taken is None:
            continue
        dated += 1
        if taken.last < begins - rules.long_before_d * DAY_MS:
            yield Reason("taken_long_before", {"photo": photo.sha256, "on": _on(taken.last)})
        if (
            taken.last < begins - rules.taken_before_d * DAY_MS
            or taken.first > ends + rules.taken_after_d * DAY_MS
        ):
            outside.append(photo.sha256)
    if outside and len(outside) * 100 >= dated * rules.outside_share_pct:
        yield Reason(
            "taken_outside_dates", {"photos": outside[:PHOTOS_TOLD_MAX], "n": len(outside), "of": dated}
        )


def _clock(photo: EvidencePhoto, rules: EvidenceRules) -> str | None:
    """What the photo's own times say about the device: a wrong clock, or one that somebody turned."""
    if photo.taken_at is None:
        return None
    never_set = photo.taken_at < _year_ms(rules.camera_since_year)
    if photo.gps_at is None:
        return (
            "clock_wrong"
            if never_set or photo.taken_at > photo.kept_at + rules.clock_apart_h * HOUR_MS
            else None
        )
    apart = abs(photo.taken_at - photo.gps_at)
    if apart <= rules.clock_apart_h * HOUR_MS:
        return None
    return "clock_wrong" if never_set or apart <= rules.times_apart_h * HOUR_MS else "times_disagree"


def _taken(photo: EvidencePhoto, rules: EvidenceRules) -> _Taken | None:
    """The satellites' time where there is one, else the camera's unless its clock was never set."""
    if photo.gps_at is not None:
        return _Taken(photo.gps_at, photo.gps_at)
    if photo.taken_at is None or _clock(photo, rules) is not None:
        return None
    slack = 0 if photo.zone_known else rules.zone_slack_h * HOUR_MS
    return _Taken(photo.taken_at - slack, photo.taken_at + slack)


# --- place ----------------------------------------------------------------------------------------


def _places(case: Case) -> Iterator[Reason]:
    rules, outline = case.rules, case.outline
    if outline is None:
        return
    placed = [
        (photo, _point(photo))
        for photo in case.photos
        if photo.point_e6 is not None and (photo.accuracy_m or 0) <= rules.accuracy_max_m
    ]
    far = {photo.sha256: metres_outside(point, outline.polygons) for photo, point in placed}
    outside = [
        photo for photo, _ in placed if far[photo.sha256] > rules.site_buffer_m + (photo.accuracy_m or 0)
    ]
    if not outside:
        return
    explained = _datum_mistake(placed, outline, rules)
    if explained is not None:
        yield Reason("datum_mistake", explained)
        return
    told = {
        "photos": [photo.sha256 for photo in outside[:PHOTOS_TOLD_MAX]],
        "n": len(outside),
        "of": len(placed),
        "metres": round(max(far[photo.sha256] for photo in outside)),
    }
    if len(outside) * 100 < len(placed) * rules.outside_share_pct:
        yield Reason("one_outside_site", told)
        return
    yield Reason("outside_site", told)
    if min(far[photo.sha256] for photo in outside) > rules.far_m:
        yield Reason("far_from_site", told)


def _point(photo: EvidencePhoto) -> Point:
    assert photo.longitude_e6 is not None and photo.latitude_e6 is not None
    return photo.longitude_e6 / 1e6, photo.latitude_e6 / 1e6


def _datum_mistake(
    placed: Sequence[tuple[EvidencePhoto, Point]], outline: SiteOutline, rules: EvidenceRules
) -> dict[str, Any] | None:
    """The one mix-up of datums that brings the photos into the site: whose coordinates, and what they really are."""
    points = [point for _, point in placed]
    if not points or not all(in_china(point) for point in points):
        return None
    best: tuple[int, dict[str, Any]] | None = None
    for datum in ("gcj02", "bd09"):
        for whose, moved in (
            ("photos", [to_wgs84(point, datum) for point in points]),
            ("site", [from_wgs84(point, datum) for point in points]),
        ):
            inside = sum(metres_outside(point, outline.polygons) <= rules.datum_buffer_m for point in moved)
            if inside * 100 < len(points) * rules.datum_explains_pct or (
                best is not None and inside <= best[0]
            ):
                continue
            offset = round(metres_between(points[0], moved[0]))
            best = (
                inside,
                {
                    "coordinates_of": whose,
                    "are_in": datum,
                    "inside": inside,
                    "of": len(points),
                    "metres": offset,
                },
            )
    return best[1] if best is not None else None


def _devices(case: Case) -> Iterator[Reason]:
    for photo in case.photos:
        for sha256, metres in photo.elsewhere:
            if metres >= case.rules.device_apart_m:
                yield Reason(
                    "device_in_two_places", {"photo": photo.sha256, "other": sha256, "metres": metres}
                )


def _day_ms(on: str) -> int:
    day = date.fromisoformat(on)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _year_ms(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000


def _on(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).date().isoformat()
