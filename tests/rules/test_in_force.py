"""What is in force on a day: boundaries of values, factors, regions, caps, seasons and prices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from engine.core.errors import Rejected
from engine.core.quantify import assess
from engine.core.rules import RuleBook
from engine.core.values import Dated
from tests.rules.pack import SAVING, Pack

CITE = "confidence: documented, references: [scheme]"


def worth(rules: RuleBook, on: str, kwh: str = "3", province: str | None = None) -> tuple[int, int]:
    """Energy and avoided emissions of the small pack's behaviour."""
    result = assess(rules, "saving", Decimal(kwh), "kWh", date.fromisoformat(on), {}, province)
    return result.energy_g, result.avoided_mg


def factor_line(rules: RuleBook, on: str, province: str | None) -> tuple[str, int, str]:
    """Region, year and kind of the figure that an act of the day takes."""
    result = assess(rules, "saving", Decimal(1), "kWh", date.fromisoformat(on), {}, province)
    line = result.trace["avoided"]["baseline"][0]
    return line["region"], line["year"], line["match"]


@pytest.mark.parametrize(
    ("on", "energy_g"),
    [("2020-01-01", 1), ("2022-06-30", 1), ("2022-07-01", 2), ("2099-12-31", 2)],
)
def test_a_value_counts_from_its_day_until_the_next(pack: Pack, on: str, energy_g: int) -> None:
    assert worth(pack.load(), on)[0] == energy_g


def test_before_the_first_day_nothing_is_in_force(pack: Pack) -> None:
    with pytest.raises(Rejected) as refused:
        worth(pack.load(), "2019-12-31")
    assert (refused.value.code, refused.value.fields) == (
        "not_in_force",
        {"behaviour": "saving", "on": "2019-12-31"},
    )


def test_a_behaviour_that_ended_is_not_in_force_from_its_last_day_on(pack: Pack) -> None:
    rules = pack.edit(
        SAVING, "in_force: {from: 2020-01-01}", "in_force: {from: 2020-01-01, until: 2022-08-01}"
    ).load()
    assert worth(rules, "2022-07-31")[0] == 2
    with pytest.raises(Rejected, match="not_in_force"):
        worth(rules, "2022-08-01")


@pytest.mark.parametrize(
    ("on", "energy_g"),
    [("2020-12-31", 300), ("2021-01-01", 100), ("2022-12-31", 100), ("2023-01-01", 600)],
)
def test_a_cap_begins_and_is_ended_by_null(pack: Pack, on: str, energy_g: int) -> None:
    assert worth(pack.load(), on, kwh="900")[0] == energy_g


@pytest.mark.parametrize(
    ("on", "province", "expected"),
    [
        ("2021-12-31", "CN-HE", ("CN", 2021, "country")),  # Hebei has no figure yet
        ("2022-01-01", "CN-HE", ("CN-HE", 2022, "province")),
        ("2022-01-01", "CN-YN", ("CN", 2022, "country")),
        ("2022-01-01", "CN", ("CN", 2022, "country")),
        ("2022-01-01", "FR-75", ("CN", 2022, "fallback")),
        ("2022-01-01", None, ("CN", 2022, "fallback")),
        ("2021-12-31", None, ("CN", 2021, "fallback")),
    ],
)
def test_province_then_country_then_fallback(
    pack: Pack, on: str, province: str | None, expected: tuple[str, int, str]
) -> None:
    assert factor_line(pack.load(), on, province) == expected


def test_the_province_changes_the_avoided_emissions_and_not_the_energy(pack: Pack) -> None:
    rules = pack.load()
    assert worth(rules, "2022-08-01", "10", "CN-HE") == (6, 7_252_000)
    assert worth(rules, "2022-08-01", "10", "CN-YN") == (6, 5_366_000)


def test_a_later_value_never_changes_what_an_earlier_act_is_worth(pack: Pack) -> None:
    days = ("2020-01-01", "2021-06-01", "2022-06-30", "2022-07-01", "2024-12-31")
    before = [worth(pack.load(), day) for day in days]
    pack.edit(SAVING, "    2022-07-01: {", f"    2025-01-01: {{value: 9, {CITE}}}\n    2022-07-01: {{")
    rules = pack.load()
    assert [worth(rules, day) for day in days] == before
    assert worth(rules, "2025-01-01")[0] == 27


def test_the_games_settings_have_days_too(pack: Pack) -> None:
    pack.edit(
        "game.yaml",
        "life_h: {2020-01-01: {value: 72, confidence: documented, references: [scheme]}}",
        f"life_h:\n  2020-01-01: {{value: 72, {CITE}}}\n  2022-02-02: {{value: 96, {CITE}}}",
    )
    rules = pack.load()
    saving = rules.behaviours["saving"]
    for day, life_h in ((date(2022, 2, 1), 72), (date(2022, 2, 2), 96)):
        rule = saving.on(day)
        assert rule is not None
        assert rule.ball.life_h == rules.game_on(day).life_h == life_h
    assert rules.game_on(date(2000, 1, 1)).life_h == 72


def test_a_behaviours_own_ball_values_win_over_the_games(pack: Pack) -> None:
    own = f"ball:\n  ripens: after\n  floor_pct: {{2021-05-05: {{value: 80, {CITE}}}}}"
    saving = pack.edit(SAVING, "ball: {ripens: after}", own).load().behaviours["saving"]
    for day, floor_pct in ((date(2021, 5, 4), 50), (date(2021, 5, 5), 80)):
        rule = saving.on(day)
        assert rule is not None
        assert (rule.ball.floor_pct, rule.ball.life_h) == (floor_pct, 72)


def test_bounds_of_attributes_have_days(pack: Pack) -> None:
    bounds = f"max:\n      2020-01-01: {{value: 5, {CITE}}}\n      2021-01-01: {{value: 9, {CITE}}}"
    field = (
        "attributes:\n  rooms:\n    kind: number\n    unit: '1'\n    required: false\n    description: d\n"
    )
    rules = pack.edit(SAVING, "evidence:", f"{field}    {bounds}\nevidence:").load()
    with pytest.raises(Rejected, match="bad_attribute"):
        assess(rules, "saving", Decimal(1), "kWh", date(2020, 12, 31), {"rooms": 7}, None)
    assert (
        assess(rules, "saving", Decimal(1), "kWh", date(2021, 1, 1), {"rooms": 7}, None).avoided_mg == 556_800
    )


@pytest.mark.parametrize(
    ("on", "season", "opens_on", "closes_on"),
    [
        ("2026-02-28", "spring", date(2026, 3, 10), date(2026, 5, 20)),
        ("2026-03-01", "winter", date(2026, 12, 1), date(2027, 1, 15)),
        ("2026-11-10", "winter", date(2026, 12, 1), date(2027, 1, 15)),
        ("2026-11-11", "spring", date(2027, 3, 10), date(2027, 5, 20)),
        ("2026-12-31", "spring", date(2027, 3, 10), date(2027, 5, 20)),
    ],
)
def test_the_next_planting_season_that_an_order_can_join(
    pack: Pack, on: str, season: str, opens_on: date, closes_on: date
) -> None:
    window = pack.load().programmes["hill"].next_season(date.fromisoformat(on))
    assert (window.id, window.opens_on, window.closes_on) == (season, opens_on, closes_on)
    assert window.order_by_on >= date.fromisoformat(on)


def test_an_order_day_in_the_year_before(pack: Pack) -> None:
    programme = (
        pack.edit("programmes/hill.yaml", "order_by: 02-28", "order_by: 12-15").load().programmes["hill"]
    )
    window = programme.next_season(date(2026, 12, 15))
    assert (window.id, window.year, window.order_by_on) == ("spring", 2027, date(2026, 12, 15))
    assert programme.next_season(date(2026, 12, 16)).id == "winter"


def test_prices_of_a_programme_by_day(pack: Pack) -> None:
    rules = pack.load()
    hill = rules.programmes["hill"]
    assert [hill.energy_g(day) for day in (date(2019, 12, 31), date(2023, 12, 31), date(2024, 1, 1))] == [
        None,
        1000,
        1500,
    ]
    assert (hill.unit_price_minor(date(2024, 1, 1)), hill.order_min_trees(date(2024, 1, 1))) == (738, 20)
    assert hill.wait_max_d(date(2024, 1, 1)) == 30
    own = f"energy_g: {{2020-01-01: {{value: 777, {CITE}}}}}\ncurrency: CNY"
    dearer = pack.edit("programmes/hill.yaml", "currency: CNY", own).load()
    assert dearer.programmes["hill"].energy_g(date(2024, 1, 1)) == 777
    assert dearer.species["shrub"].energy_g(date(2024, 1, 1)) == 1500


def test_look_up_in_an_empty_series() -> None:
    assert Dated((), ()).on(date(2026, 1, 1)) is None
