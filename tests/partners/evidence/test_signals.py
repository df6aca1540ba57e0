"""Laws of the signals, whatever is known: they never fail, name known codes, and are the same for the same case."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.units import DAY_MS
from partners.core.evidence_rows import EvidencePhoto, SiteOutline
from partners.core.reasons import REASONS, judge
from partners.core.signals import Case, Figures, Whose, signals
from partners.evidence.geometry import checked_outline
from partners.evidence.photos import read_photo
from partners.evidence.rules import shipped_rules
from tests.partners.evidence.plot import PLANTED_AT, away, square
from tests.partners.evidence.scenes import photo

SITE = (105.7, 38.8)
GROUND = checked_outline([[square(SITE, 300)]], "wgs84")
ROW = replace(read_photo(photo(1), "elm", 10**7).row, kept_at=PLANTED_AT + DAY_MS)
OUTLINE = SiteOutline(
    "p/1", "p", "elm", "s", "x", 1, "wgs84", GROUND.area_m2, *GROUND.box_e6, 0, True, GROUND.polygons, [], []
)
maybe = st.none
an_instant = maybe() | st.integers(0, 4_102_444_800_000)
a_photo = st.builds(
    lambda name, more, point: replace(
        ROW, sha256=f"{name:064x}", **more, **dict(zip(("longitude_e6", "latitude_e6"), point, strict=True))
    ),
    st.integers(0, 5),
    st.fixed_dictionaries(
        {
            "taken_at": an_instant,
            "gps_at": an_instant,
            "zone_known": st.booleans(),
            "accuracy_m": maybe() | st.integers(0, 10**7),
            "software": st.text(max_size=20),
            "partner": st.sampled_from(["elm", "oak"]),
            "alike": st.lists(
                st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 99), st.just("same")).map(list),
                max_size=3,
            ),
            "elsewhere": st.lists(
                st.tuples(st.text(max_size=3), st.integers(0, 10**7)).map(list), max_size=2
            ),
        }
    ),
    st.just((None, None))
    | st.tuples(st.integers(-180_000_000, 180_000_000), st.integers(-90_000_000, 90_000_000)),
)
a_day = st.dates().map(lambda day: day.isoformat())
figures = st.builds(Figures, st.integers(1, 10**7), a_day, a_day, maybe() | st.integers(0, 10**7))
a_case = st.builds(
    Case,
    rules=st.just(shipped_rules()),
    partner=st.just("elm"),
    order=st.just(1),
    batch=st.just("1/a"),
    figures=figures,
    photos=st.lists(a_photo, max_size=5),
    missing=st.lists(st.text(max_size=4), max_size=3),
    outline=st.none() | st.just(OUTLINE),
    trees=st.integers(1, 10**7),
    trees_due=st.integers(0, 10**6),
    others=st.lists(figures, max_size=4),
    whose=st.just({"a": Whose("oak", None, None), "b": Whose("elm", 2, "2/b"), "c": Whose("elm", 1, "1/a")}),
    files_required=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(a_case)
def test_any_case_has_reasons_of_the_list(case: Case) -> None:
    found = signals(case)
    assert {reason.code for reason in found} <= set(REASONS)
    assert found == signals(case)
    rules = case.rules
    judged = judge(found, rules.weights, rules.needs_info_score, rules.refused_score)
    assert (judged.verdict == "passed") <= (judged.score < rules.needs_info_score)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-140, 140), st.floats(-140, 140)), min_size=1, max_size=5))
def test_photos_inside_never_count_against_a_batch(points: list[tuple[float, float]]) -> None:
    photos: list[EvidencePhoto] = []
    for n, (east, north) in enumerate(points):
        x, y = away(SITE, east, north)
        photos.append(
            replace(
                ROW,
                sha256=f"{n:064x}",
                longitude_e6=round(x * 1e6),
                latitude_e6=round(y * 1e6),
                gps_at=PLANTED_AT,
            )
        )
    case = Case(
        shipped_rules(),
        "elm",
        1,
        "1/a",
        Figures(200, "2027-04-10", "2027-04-10", 8),
        photos,
        [],
        OUTLINE,
        200,
        0,
        [],
        {},
        True,
    )
    assert signals(case) == []
