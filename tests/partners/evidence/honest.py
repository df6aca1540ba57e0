"""Honest planting as it really arrives: heads lost, clocks off, coordinates in another datum, edges walked badly.

Each case is drawn from its number, so that a flagged one can be looked at alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from partners.core.datum import to_bd09, to_gcj02
from tests.partners.evidence.plot import ELM, PLACES, PLANTED_AT, Plot, away, batch, geojson, rules, square
from tests.partners.evidence.scenes import photo, scene, shifted

SITES_APART_DEG = Decimal("0.06")  # some five kilometres
CAMERAS = (("HUAWEI", "P60"), ("Xiaomi", "13T"), ("Apple", "iPhone 14"), ("OPPO", "Reno10"), ("vivo", "X90"))
FIRMWARE = (
    "P60 4.0.0.138",
    "MIUI 14",
    "16.5.1",
    "HDR+ 1.0.540104767zd",
    "MediaTek Camera Application",
    "Picasa",
    None,
)


@dataclass
class Case:
    """What is sent for one honest order."""

    number: int
    kind: str
    trees: int
    side_m: float
    photos: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    batches: int = 1
    days: int = 1
    outline: bytes | None = None
    outline_datum: str = "wgs84"

    @property
    def programme(self) -> str:
        """Each case has a programme and a site of its own."""
        return f"site-{self.number:03d}"

    @property
    def site(self) -> tuple[float, float]:
        """Its middle."""
        place = rules_of_all().programmes[self.programme]
        return float(place.longitude), float(place.latitude)


@lru_cache(maxsize=1)
def rules_of_all() -> RuleBook:
    """A programme for each case, all of one partner, side by side."""
    first = rules().programmes[PLACES[ELM]]
    programmes = {
        f"site-{n:03d}": replace(
            first,
            id=f"site-{n:03d}",
            longitude=first.longitude + SITES_APART_DEG * (n % 20),
            latitude=first.latitude + SITES_APART_DEG * (n // 20),
        )
        for n in range(200)
    }
    return replace(rules(), programmes=programmes, memo={})


def _point(dice: random.Random, case: Case, beyond_m: float = 0) -> tuple[float, float]:
    reach = case.side_m / 2 + beyond_m
    return away(case.site, dice.uniform(-reach, reach), dice.uniform(-reach, reach))


def _head(dice: random.Random, case: Case, **changes: Any) -> dict[str, Any]:
    """What a phone writes on one of the days of planting."""
    at = PLANTED_AT + dice.randrange(case.days) * DAY_MS + dice.randrange(8 * 60) * MINUTE_MS
    head: dict[str, Any] = {
        "at": at,
        "gps": _point(dice, case),
        "accuracy": dice.choice((4.7, 8.0, 15.0, 32.0, None)),
        "camera": CAMERAS[case.number % len(CAMERAS)],
        "software": FIRMWARE[case.number % len(FIRMWARE)],
        "gps_at": at if dice.random() < 0.6 else None,
        "datum": dice.choice(("WGS-84", "WGS84", None)),
    }
    return head | changes


def _usual(dice: random.Random, case: Case) -> None:
    case.photos += [(photo(_seed(case, n), **_head(dice, case)), {}) for n in range(dice.randrange(2, 6))]


def _seed(case: Case, n: int) -> int:
    return 10_000 + case.number * 20 + n


def _messenger(dice: random.Random, case: Case) -> None:
    """Sent through a chat: smaller, recompressed, without any head."""
    for n in range(dice.randrange(2, 6)):
        image = scene(_seed(case, n)).resize(dice.choice(((400, 300), (360, 270), (300, 400))))
        case.photos.append((photo(image, quality=dice.choice((55, 65, 75))), {"name": f"mmexport16{n}.jpg"}))


def _clock_zone(dice: random.Random, case: Case) -> None:
    """A phone set to another zone, without saying so."""
    for n in range(3):
        head = _head(dice, case, offset=None)
        case.photos.append(
            (photo(_seed(case, n), **head | {"at": head["at"] + dice.choice((-8, -1, 1, 6)) * HOUR_MS}), {})
        )


def _clock_reset(dice: random.Random, case: Case) -> None:
    """A camera whose battery was out: its year is that of its making."""
    for n in range(3):
        head = _head(dice, case, offset=None)
        case.photos.append((photo(_seed(case, n), **head | {"at": 1_388_534_400_000 + n * HOUR_MS}), {}))


def _gcj02_stated(dice: random.Random, case: Case) -> None:
    """An app of this country writes its own coordinates; the partner says so."""
    for n in range(4):
        head = _head(dice, case)
        case.photos.append(
            (photo(_seed(case, n), **head | {"gps": to_gcj02(head["gps"])}), {"datum": "gcj02"})
        )


def _outline_in_bd09(dice: random.Random, case: Case) -> None:
    """The outline was drawn on a web map, and its datum stated."""
    ring = [to_bd09(point) for point in square(case.site, case.side_m)]
    case.outline, case.outline_datum = geojson(ring), "bd09"
    _usual(dice, case)


def _gcj02_unstated(dice: random.Random, case: Case) -> None:
    """Nobody says that the coordinates are shifted: a question, no suspicion."""
    case.side_m = 300
    for n in range(4):
        head = _head(dice, case, datum=None)
        case.photos.append((photo(_seed(case, n), **head | {"gps": to_gcj02(head["gps"])}), {}))


def _one_tree(dice: random.Random, case: Case) -> None:
    """Several photos of one tree, among others."""
    for step in range(3):
        case.photos.append((photo(shifted(_seed(case, 0), step), **_head(dice, case)), {}))
    case.photos.append((photo(_seed(case, 1), **_head(dice, case)), {}))


def _edge(dice: random.Random, case: Case) -> None:
    """Taken at the fence, some from outside, with a poor fix; one at the nursery."""
    for n in range(4):
        head = _head(dice, case, gps=_point(dice, case, 70), accuracy=dice.choice((20.0, 40.0)))
        case.photos.append((photo(_seed(case, n), **head), {}))
    nursery = _head(dice, case, gps=away(case.site, 2500, 900))
    case.photos.append((photo(_seed(case, 5), **nursery), {}))


def _rough_place(dice: random.Random, case: Case) -> None:
    """No satellites: the place is a mast's, kilometres off, and the phone says so."""
    for n in range(3):
        head = _head(
            dice,
            case,
            gps=away(case.site, dice.uniform(-3000, 3000), dice.uniform(-3000, 3000)),
            accuracy=float(dice.choice((1200, 2500))),
        )
        case.photos.append((photo(_seed(case, n), **head), {}))


def _several_days(dice: random.Random, case: Case) -> None:
    """Two teams over several days, photos after the last one too."""
    case.batches, case.days, case.trees = 2, 4, 380
    for n in range(6):
        head = _head(dice, case)
        late = dice.randrange(0, 6) * DAY_MS if n == 5 else 0
        case.photos.append((photo(_seed(case, n), **head | {"at": head["at"] + late, "gps_at": None}), {}))


def _no_outline(dice: random.Random, case: Case) -> None:
    """The boundary comes later."""
    case.outline = b""
    _usual(dice, case)


def _kinds_of_files(dice: random.Random, case: Case) -> None:
    """PNG and WebP, turned by their orientation, renamed in Chinese."""
    for n, kind in enumerate(("PNG", "WEBP", "JPEG")):
        head = _head(dice, case, orientation=dice.choice((1, 3, 6, 8)))
        case.photos.append(
            (photo(_seed(case, n), kind=kind, **head), {"name": f"梭梭林{n}号.{kind.lower()}"})
        )


def _no_place(dice: random.Random, case: Case) -> None:
    """Location was switched off."""
    case.photos += [(photo(_seed(case, n), **_head(dice, case, gps=None, gps_at=None)), {}) for n in range(3)]


def _dense_shrubs(dice: random.Random, case: Case) -> None:
    """Belts of shrubs, close together."""
    case.trees, case.side_m = 300, 28
    case.photos += [(photo(_seed(case, n), **_head(dice, case)), {}) for n in range(3)]


KINDS: dict[str, tuple[int, Callable[[random.Random, Case], None]]] = {
    # of 200: how many, and how they come about
    "usual": (30, _usual),
    "messenger": (30, _messenger),
    "clock in another zone": (20, _clock_zone),
    "clock never set": (10, _clock_reset),
    "GCJ-02, stated": (14, _gcj02_stated),
    "outline in BD-09, stated": (8, _outline_in_bd09),
    "GCJ-02, not stated": (4, _gcj02_unstated),
    "several photos of one tree": (20, _one_tree),
    "at the edge": (18, _edge),
    "place of a mast": (8, _rough_place),
    "several days and teams": (12, _several_days),
    "no outline yet": (6, _no_outline),
    "other kinds of files": (8, _kinds_of_files),
    "no place": (8, _no_place),
    "dense shrubs": (4, _dense_shrubs),
}


def cases() -> list[Case]:
    """All 200."""
    kinds = [kind for kind, (count, _) in KINDS.items() for _ in range(count)]
    made = []
    for number, kind in enumerate(kinds):
        dice = random.Random(number)
        case = Case(number, kind, dice.randrange(120, 260), dice.uniform(220, 420))
        KINDS[kind][1](dice, case)
        made.append(case)
    return made


async def play(plot: Plot, case: Case) -> list[dict[str, Any]]:
    """Send all of it, as the partner would; what its batches come to."""
    outline = geojson(square(case.site, case.side_m)) if case.outline is None else case.outline
    if outline:
        await plot.outline(outline, site=case.programme, datum=case.outline_datum)
    names = [await plot.upload(data, **stated) for data, stated in case.photos]
    order = await plot.order(case.trees, case.programme)
    plot.clock.at = PLANTED_AT + (case.days + 6) * DAY_MS
    first = date(2027, 4, 10)
    shown = []
    for n in range(case.batches):
        trees = case.trees // case.batches + (7 if n else -7) * (case.batches > 1)
        shown.append(
            batch(
                f"r{n + 1}",
                trees,
                names[n :: case.batches],
                planted_from_on=first.isoformat(),
                planted_to_on=(first + timedelta(days=case.days - 1)).isoformat(),
                planters=6 + n,
                site=case.programme,
            )
        )
    await plot.report(order, *shown, accepted=case.trees)
    return [await plot.assessment(order, one.report_no) for one in shown]
