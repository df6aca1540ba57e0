"""Figures by region and year: which one an act takes, in the stated order, and what the trace says of it."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.factors import Factor, FactorValue, match_of, regions_of
from engine.core.quantify import describe
from engine.core.rules import RuleBook
from engine.core.values import Value
from tests.rules.pack import FILES, SAVING, Pack
from tests.rules.shapes import act, factor

GRID = "factors/grid.yaml"
PROVINCES = [f"CN-{a}{b}" for a in "ABCDEF" for b in "ABCDEF"][:31]
TABLE = """\
id: grid
names: {zh: 电网, en: grid}
unit: kgCO2e/kWh
boundary: generation
fallback: [CN, XX]
figures:
  - {region: XX, year: 2019, from: 2020-01-01, value: 0.473, confidence: documented, references: [scheme], table: world}
tables:
  - table: average factors
    from: 2020-01-01
    confidence: documented
    references: [scheme]
    values:
      CN: {2021: 0.5568, 2022: 0.5366, 2023: 0.5306}
      CN-HE: {2022: 0.7252, 2023: 0.71}
      CN-YN: {2023: 0.1}
      US: {2025: 0.35}
  - table: the correction of 2025
    from: 2025-07-01
    confidence: documented
    references: [scheme]
    values:
      CN-HE: {2023: 0.7}
"""


def tabled(pack: Pack) -> RuleBook:
    """The small rulebook with a grid factor by region and year."""
    return pack.add(GRID, TABLE).edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 1419000").load()


@pytest.mark.parametrize(
    ("on", "province", "figure"),
    [
        ("2022-06-01", "CN-HE", ("CN-HE", 2022, "province", 0)),  # of the act's year
        ("2024-06-01", "CN-HE", ("CN-HE", 2023, "province", -1)),  # the latest earlier year
        ("2021-06-01", "CN-HE", ("CN", 2021, "country", 0)),  # the province has only later years
        ("2022-12-31", "CN-YN", ("CN", 2022, "country", 0)),
        ("2023-01-01", "CN-YN", ("CN-YN", 2023, "province", 0)),
        ("2020-06-01", "CN-HE", ("XX", 2019, "fallback", -1)),  # neither has an earlier year, a fallback has
        ("2024-06-01", "US-CA", ("CN", 2023, "fallback", -1)),  # the country's only figure is later
        ("2025-06-01", "US-CA", ("US", 2025, "country", 0)),
        ("2026-06-01", "FR-75", ("CN", 2023, "fallback", -3)),  # nothing of its own: the first fallback
        ("2026-06-01", None, ("CN", 2023, "fallback", -3)),
        ("2026-06-01", "CN", ("CN", 2023, "country", -3)),
    ],
)
def test_the_stated_order(
    pack: Pack, on: str, province: str | None, figure: tuple[str, int, str, int]
) -> None:
    result = act(tabled(pack), "saving", province=province, on=on)
    line = result.trace["avoided"]["baseline"][0]
    assert (line["region"], line["year"], line["match"], line["years_off"]) == figure


def test_only_later_years_give_the_countrys_earliest(pack: Pack) -> None:
    text = TABLE.replace("fallback: [CN, XX]", "fallback: [CN]").replace("year: 2019", "year: 2030")
    rules = pack.add(GRID, text).edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 1670400").load()
    for province in ("CN-HE", "CN", None):
        result = act(rules, "saving", province=province, on="2020-06-01")
        line = result.trace["avoided"]["baseline"][0]
        assert (line["region"], line["year"], line["years_off"]) == ("CN", 2021, 1)
        assert "1 year later" in "\n".join(describe(result.trace, rules))


def test_a_figure_that_was_corrected_counts_from_its_day_and_changes_nothing_before(pack: Pack) -> None:
    rules = tabled(pack)
    before, after = (act(rules, "saving", province="CN-HE", on=on) for on in ("2025-06-30", "2025-07-01"))
    assert (before.avoided_mg, after.avoided_mg) == (710_000, 700_000)
    line = before.trace["avoided"]["baseline"][0]
    assert (line["value"], line["from"], line["references"]) == ("0.71", "2020-01-01", ["scheme"])


def test_a_new_year_of_figures_never_changes_an_act_of_the_year_before(pack: Pack) -> None:
    days = [date(2021, 12, 30) + timedelta(days=shift) for shift in range(0, 1450, 31)]
    first = tabled(pack)
    before = [act(first, "saving", province="CN-HE", on=str(day)).avoided_mg for day in days]
    pack.edit(GRID, "2023: 0.71}", "2023: 0.71, 2026: 0.6}")
    later = pack.load()
    assert [act(later, "saving", province="CN-HE", on=str(day)).avoided_mg for day in days] == before
    assert act(later, "saving", province="CN-HE", on="2026-01-01").avoided_mg == 600_000


def test_thirty_one_provinces_and_three_years_are_a_small_file_that_loads(pack: Pack) -> None:
    rows = "\n".join(f"      {name}: {{2021: 0.5, 2022: 0.6, 2023: 0.7}}" for name in PROVINCES)
    text = TABLE.replace("      CN-HE: {2022: 0.7252, 2023: 0.71}", rows)
    rules = pack.add(GRID, text).edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 1419000").load()
    assert len(text) < 4_000
    assert act(rules, "saving", province=PROVINCES[30], on="2022-03-03").avoided_mg == 600_000


WRONG_TABLES = {
    "a year that is none": ("2022: 0.5366", "22: 0.5366", "expected a year from 1990 to 2100"),
    "a region that is none": ("CN-YN:", "Yunnan:", "expected an ISO 3166 code"),
    "a number that is none": ("2022: 0.5366", "2022: .inf", "expected an exact number"),
    "a comma in the number": ("2022: 0.5366", "2022: '0,5366'", "expected an exact number"),
    "a year twice": ("2022: 0.5366", "2021: 0.5366", "the key '2021' twice"),
    "a figure twice": (
        "year: 2019, from: 2020-01-01",
        "year: 2021, from: 2020-01-01",
        "a second figure of CN 2021",
    ),
    "a negative figure": ("2022: 0.5366", "2022: -0.5366", "expected a number from 0"),
    "an empty row": ("CN-YN: {2023: 0.1}", "CN-YN: {}", "an empty list or mapping"),
    "a row that is a number": ("CN-YN: {2023: 0.1}", "CN-YN: 0.1", "expected a mapping"),
    "an unknown key": ("table: average", "tabel: average", "did you mean table?"),
}


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_a_table_is_strict(pack: Pack, name: str) -> None:
    old, new, says = WRONG_TABLES[name]
    text = TABLE.replace("region: XX", "region: CN") if name == "a figure twice" else TABLE
    assert text.count(old) == 1
    problems = pack.add(GRID, text.replace(old, new)).problems()
    told = [problem for problem in problems if says in problem]
    assert told, problems
    assert told[0].startswith(f"{GRID}:")


def test_a_table_needs_a_licence_and_has_limits(pack: Pack) -> None:
    years = ", ".join(f"{year}: 0.5" for year in range(1990, 2051))
    text = TABLE.replace("CN-YN: {2023: 0.1}", f"CN-YN: {{{years}}}")
    pack.add(GRID, text).edit("references.yaml", ", licence: CC0", "")
    problems = "\n".join(pack.problems())
    assert "tables[0].values.CN-YN" in problems
    pack.add(GRID, TABLE)
    problems = "\n".join(pack.problems())
    assert f"{GRID}:12:tables[0].references[0]: 'scheme' without a licence" in problems


def test_a_file_of_ten_megabytes_is_refused_soon(pack: Pack) -> None:
    row = "      CN-YN: {2023: 0.1}\n"
    problems = pack.add(GRID, TABLE.replace(row, row * 450_000)).problems()
    assert any(problem.startswith(f"{GRID}:1: more than 262,144 bytes") for problem in problems)


def test_factors_are_at_most_five_deep(pack: Pack) -> None:
    made = FILES[GRID][: FILES[GRID].index("figures:")].replace("fallback: [CN]\n", "")
    for level in range(1, 8):
        part = "grid" if level == 1 else f"level{level - 1}"
        amount = "{unit: '1', values: {2020-01-01: {value: 1, confidence: documented, references: [scheme]}}}"
        text = made.replace("id: grid", f"id: level{level}")
        pack.add(f"factors/level{level}.yaml", f"{text}made_of:\n  - {{factor: {part}, amount: {amount}}}\n")
    problems = pack.problems()
    assert {problem.split(":")[0] for problem in problems} == {"factors/level6.yaml", "factors/level7.yaml"}
    assert all("more than so many deep" in problem for problem in problems)


def test_a_broken_circle_elsewhere_does_not_hang_the_check(pack: Pack) -> None:
    factor(pack, "sound", "kgCO2e/kWh", "1")
    made = FILES[GRID][: FILES[GRID].index("figures:")].replace("fallback: [CN]\n", "")
    amount = "{unit: '1', values: {2020-01-01: {value: 1, confidence: documented, references: [scheme]}}}"
    for name, parts in {"outer": ["one"], "one": ["two", "grid"], "two": ["one"]}.items():
        rows = "".join(f"  - {{factor: {part}, amount: {amount}}}\n" for part in parts)
        pack.add(f"factors/{name}.yaml", f"{made.replace('id: grid', f'id: {name}')}made_of:\n{rows}")
    problems = pack.problems()
    assert [problem.split(":")[0] for problem in problems] == ["factors/one.yaml", "factors/two.yaml"]


def test_norway_is_a_region_and_no_answer(pack: Pack) -> None:
    text = TABLE.replace("      US: {2025: 0.35}", "      NO: {2021: 0.01}")
    rules = pack.add(GRID, text).edit(SAVING, "avoided_mg: 1670400", "avoided_mg: 1419000").load()
    assert act(rules, "saving", province="NO-03", on="2022-03-03").avoided_mg == 10_000


# --- the order as a law -----------------------------------------------------------------------------

REGIONS = ("CN", "CN-HE", "CN-YN", "US", "XX")
FIGURES = st.lists(
    st.tuples(st.sampled_from(REGIONS), st.integers(2018, 2026), st.integers(2018, 2026)),
    min_size=1,
    unique=True,
)


@given(
    figures=FIGURES,
    province=st.sampled_from([None, "CN", "CN-HE", "CN-BJ", "US-CA", "FR-75"]),
    on=st.dates(date(2018, 1, 1), date(2027, 12, 31)),
)
def test_the_figure_found_is_the_first_of_the_stated_order(
    figures: list[tuple[str, int, int]], province: str | None, on: date
) -> None:
    values = [
        FactorValue(
            region, year, Value(Fraction(1), "1", "kgCO2e/kWh", date(since, 7, 1), "documented", (), ""), "t"
        )
        for region, year, since in figures
    ]
    by_region = {region: tuple(one for one in values if one.region == region) for region in REGIONS}
    grid = Factor("grid", {}, "kgCO2e/kWh", "all", ("XX",), by_region, ())
    own = regions_of(province)
    earlier, later = [*own, "XX"], [*own[::-1], "XX"]

    def rank(one: FactorValue) -> tuple[int, int, int, int] | None:
        if one.value.since > on:
            return None
        if one.year <= on.year and one.region in earlier:
            return (0, earlier.index(one.region), on.year - one.year, -one.value.since.toordinal())
        if one.year > on.year and one.region in later:
            return (1, later.index(one.region), one.year, -one.value.since.toordinal())
        return None

    ranked = sorted((place, index) for index, one in enumerate(values) if (place := rank(one)) is not None)
    assert grid.find(on, province) == (values[ranked[0][1]] if ranked else None)


def test_how_a_region_matches() -> None:
    assert match_of("CN-HE", "CN-HE") == "province"
    assert match_of("CN", "CN-HE") == match_of("CN", "CN") == "country"
    assert match_of("CN", "US-CA") == match_of("CN", None) == match_of("CN-HE", "CN-YN") == "fallback"
