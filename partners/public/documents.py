"""What the registry says of programmes, sites and batches, as data: what was promised, done and proven, by whom and
when. Pure; what is not known is said to be unknown, and nothing is said of a person, a price or a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.core.numbers import order_number
from partners.pages import counts_told
from partners.public.ground import Ground, point_shown
from partners.public.shown import LEVELS, Book, area, batch_number, batch_url, day, programme_url, site_url
from partners.store.counters import Counters, facts
from partners.store.public_queries import BatchRow, SiteFacts, Work
from partners.store.stands import Stand

SEEN: dict[str, tuple[str, str]] = {
    "": ("reported, not reviewed yet", "已报告，尚未核验"),
    "reported": ("in review", "核验中"),
    "needs_info": ("more information is asked for", "需补充资料"),
    "verified": ("verified", "已核验"),
    "refused": ("refused", "未通过核验"),
}


def counters_document(book: Book, programme: str, found: Counters) -> dict[str, Any]:
    """The four counters of a programme, and what it is."""
    known = book.rules.programmes.get(programme)
    return {
        "programme": programme,
        "names": book.programme(programme)["names"],
        "url": programme_url(programme),
        "simulated": known is None or not book.is_live(known.partner),
        **facts(found),
    }


def programme_document(
    book: Book,
    programme: str,
    found: Counters,
    works: Sequence[Work],
    batches: Sequence[BatchRow],
    fallen: Iterable[dict[str, Any]],
) -> dict[str, Any]:
    """All of a programme: its counters, sites and seasons, newest batches, and what was written down."""
    known = book.rules.programmes.get(programme)
    return {
        **counters_document(book, programme, found),
        "species": book.species(known.species) if known else None,
        "region": known.region if known else None,
        "partner": book.partner(known.partner) if known else None,
        "ordered": sum(one.ordered for one in works),
        "accepted": sum(one.accepted for one in works),
        "reported": sum(one.reported for one in works),
        "verified": sum(one.verified for one in works),
        "replanted": sum(one.replanted for one in works),
        "sites": [_work(book, one) for one in works],
        "batches": [_in_short(book, one) for one in batches],
        "write_downs": [
            {
                "batch": batch_number(one["batch"]),
                "trees": one["trees"],
                "note": one["note"],
                "on": day(one["at"]),
            }
            for one in fallen
        ],
    }


def site_document(
    book: Book,
    site: SiteFacts,
    ground: Ground | None,
    versions: Sequence[dict[str, Any]],
    works: Sequence[Work],
    batches: Sequence[BatchRow],
    befell: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """All of a site: where it is as far as its record allows, what is planted there, what befell it."""
    return {
        **site_properties(book, site),
        "geometry": ground.geometry if ground else None,
        "map": f"{site_url(site.id)}/map.svg" if ground else None,
        "outlines": [
            {"version": one["version"], "area": area(one["area_m2"]), "recorded_on": day(one["recorded_at"])}
            for one in versions
        ],
        "accepted": sum(one.accepted for one in works),
        "reported": sum(one.reported for one in works),
        "verified": sum(one.verified for one in works),
        "replanted": sum(one.replanted for one in works),
        "programmes": [_work(book, one) for one in works],
        "batches": [_in_short(book, one) for one in batches],
        "disturbances": list(befell),
    }


def site_properties(book: Book, site: SiteFacts) -> dict[str, Any]:
    """A site without its place."""
    return {
        "site": site.id,
        "names": {"en": site.name_en or site.name_zh, "zh": site.name_zh or site.name_en},
        "partner": book.partner(site.partner),
        "simulated": not book.is_live(site.partner),
        "country": site.country,
        "region": site.region,
        "county": site.county or None,
        "township": site.township or None,
        "compartment": site.compartment or None,
        "ecosystem": site.ecosystem or None,
        "status": site.status,
        "status_on": day(site.status_at),
        "area": area(site.area_m2),
        "precision_m": site.shown_m,
        "url": book.site(site.id)["url"],
    }


def batch_document(book: Book, batch: BatchRow, stand: Stand) -> dict[str, Any]:
    """All of a batch: the promise it is part of, the report, the reviews, the counts."""
    return {
        **batch_properties(book, batch),
        "point": point_shown(batch.longitude_e6, batch.latitude_e6, batch.shown_m),
        "reviewed_on": day(batch.reviewed_at),
        "reviewed_by": [
            {"level": level, "names": dict(zip(("en", "zh"), LEVELS[level], strict=True))}
            for level in batch.levels
        ],
        "replanted": stand.replanted,
        "counts": counts_told(stand),
        "next_count_from": stand.next_count_from or None,
        "public_note": stand.public_note or None,
        "disturbances": [
            {"kind": one.kind, "area_m2": one.area_m2, "happened_on": one.happened_on}
            for one in stand.disturbances
        ],
    }


def batch_properties(book: Book, batch: BatchRow) -> dict[str, Any]:
    """A batch without its point and its counts."""
    en, zh = SEEN.get(batch.review, (batch.review, batch.review))
    return {
        "batch": batch_number(batch.id),
        "order": order_number(batch.order),
        "report_no": batch.report_no,
        "kind": batch.kind,
        "replaces_order": order_number(batch.replaces) if batch.replaces is not None else None,
        "order_state": batch.order_state,
        "on_hold": batch.is_held,
        "partner": book.partner(batch.partner),
        "simulated": not book.is_live(batch.partner),
        "programme": book.programme(batch.programme),
        "species": book.species(batch.species),
        "site": book.site(batch.site),
        "season": batch.season,
        "granularity": batch.granularity,
        "accepted_in_order": batch.accepted,
        "planted_from_on": batch.planted_from_on,
        "planted_to_on": batch.planted_to_on,
        "reported_on": day(batch.reported_at),
        "reported": batch.reported,
        "evidence_files": batch.evidence_files,
        "planters": batch.planters,
        "review": batch.review or "waiting",
        "review_text": {"en": en, "zh": zh},
        "verified": batch.verified,
        "written_down": batch.written_down,
        "claimed": batch.claimed,
        "url": batch_url(batch.id),
    }


def _work(book: Book, work: Work) -> dict[str, Any]:
    return {
        "site": book.site(work.site),
        "programme": book.programme(work.programme),
        "partner": book.partner(work.partner),
        "species": book.species(work.species),
        "season": work.season,
        "orders": work.orders,
        "ordered": work.ordered,
        "accepted": work.accepted,
        "reported": work.reported,
        "verified": work.verified,
        "replanted": work.replanted,
    }


def _in_short(book: Book, batch: BatchRow) -> dict[str, Any]:
    en, zh = SEEN.get(batch.review, (batch.review, batch.review))
    return {
        "batch": batch_number(batch.id),
        "url": batch_url(batch.id),
        "site": book.site(batch.site),
        "programme": batch.programme,
        "kind": batch.kind,
        "planted_to_on": batch.planted_to_on,
        "reported": batch.reported,
        "verified": batch.verified,
        "review_text": {"en": en, "zh": zh},
    }
