"""What can be wrong with formulas, choices, measures and points is told with its place, and never runs."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.quantify import recount
from engine.core.rules import RuleBook
from engine.core.telling import recount_points
from engine.rulebook import RulebookError
from tests.rules.pack import Pack, read_mistakes, write_pack
from tests.rules.shapes import act, behaviour, factor, put

FILE = "behaviours/reuse/all.yaml"
TIERS = "[{from_quantity: 5, points: 1}, {from_quantity: 10, points: 3}]"
STEPS = f"{{confidence: documented, references: [scheme], steps: {TIERS}}}"
ALL = {
    "unit": "kWh",
    "evidence": "- {kind: meter, grade: A, what: Metered}\n- {kind: own-word, grade: D, what: Told}",
    "energy": """
        method: factor_times_quantity
        of: saved
        grams_per_unit: {by: size, of: {small: {{1/3}}, large: {{2}}}}
    """,
    "avoided": """
        method: mode_mix
        extent: {unit: kWh, attribute: saved}
        share: {by: evidence, of: {meter: {{1}}, own-word: {{0.5}}}}
        mix:
          2020-01-01: {confidence: documented, references: [scheme], shares: {grid: 0.25, coal: 0.75}}
        modes:
          grid: {factor: {by: size, of: {small: grid, large: coal}}}
          coal: {factor: coal}
        project:
          - {factor: grid, amount: {{1 0.1}}}
          - {factor: water, of: water_m3}
        uncertainty_pct: {by: grade, of: {A: {{10}}, D: {{60}}}}
    """,
    "more": f"""
        attributes:
          size: {{kind: choice, required: false, default: small, description: Size.,
            choices: {{small: {{zh: 小, en: small}}, large: {{zh: 大, en: large}}}}}}
          past: {{kind: numbers, required: true, unit: kWh, decimals: 3, most: 3, description: Before.}}
          water_m3: {{kind: number, required: true, unit: m3, decimals: 3, description: Water used.}}
        measures:
          saved: {{method: below_own_mean, of: past, gives: amount, least_pct: {{{{5}}}}}}
          saved_pct: {{method: below_own_mean, of: past, gives: per_cent}}
        points:
          names: {{zh: 分, en: points}}
          formula:
            method: step_table
            of: saved_pct
            tables: {{2020-01-01: {STEPS}}}
          money: {{currency: KRW, minor_per_point: {{{{1.5}}}}}}
        caps:
          event_g: {{{{250}}}}
    """,
}


@pytest.fixture
def whole(pack: Pack) -> Pack:
    """The small rulebook with a behaviour that uses every new shape but legs."""
    factor(factor(pack, "coal", "kgCO2e/kWh", "0.9"), "water", "gCO2e/m3", "332")
    return put(pack, "all", **ALL)


def test_it_is_sound(whole: Pack) -> None:
    assert whole.problems() == []


MISTAKES = read_mistakes("formula_mistakes.yaml")


@pytest.mark.parametrize("name", MISTAKES)
def test_each_is_told_with_its_place(whole: Pack, name: str) -> None:
    old, new, says = (MISTAKES[name][key] for key in ("old", "new", "says"))
    parts = {part: text.replace(old, new) for part, text in ALL.items()}
    changed = [part for part in ALL if parts[part] != ALL[part]]
    assert len(changed) == 1, changed
    put(whole, "all", **parts)
    problems = whole.problems()
    told = [problem for problem in problems if says in problem]
    assert told, problems
    assert told[0].startswith(f"{FILE}:")
    assert "; expected" in told[0]
    assert "Fix: " in told[0]
    with pytest.raises(RulebookError):
        whole.load()


def test_an_example_may_name_its_evidence_and_points(whole: Pack) -> None:
    sent = 'attributes: {past: "100", water_m3: 0}'
    results = "energy_g: 6, avoided_mg: %s, points: 3, money_minor: 4"
    good = f"{{name: a, on: 2021-06-01, quantity: 80, {sent}, evidence: own-word, {results}}}"
    credited = 10 * (0.25 * 556_800 + 0.75 * 900_000 - 55_680)
    put(whole, "all", **ALL, example=good % int(credited))
    assert whole.problems() == []
    put(whole, "all", **ALL, example=(good % int(credited)).replace("points: 3", "points: 2"))
    assert "gives 3; expected 2" in whole.problems()[0]
    put(whole, "all", **ALL, example=(good % int(credited)).replace("money_minor: 4", "money_minor: 5"))
    assert "gives 4; expected 5" in whole.problems()[0]
    put(whole, "all", **ALL, example=(good % int(credited)).replace("own-word", "hearsay"))
    assert "is refused: unknown_evidence" in whole.problems()[0]


def test_points_in_an_example_of_a_behaviour_without_points(pack: Pack) -> None:
    put(
        pack,
        "plain",
        example="{name: one, on: 2021-06-01, quantity: 1, energy_g: 0, avoided_mg: 0, points: 1}",
    )
    assert "points of a behaviour without points" in pack.problems()[0]


def test_so_many_choices_that_no_plan_could_be_kept_are_refused(pack: Pack) -> None:
    rows, terms = [], []
    for number in range(5):
        choices = ", ".join(f"c{choice}: {{zh: 一, en: one}}" for choice in range(12))
        rows.append(f"  a{number}: {{kind: choice, required: true, description: d, choices: {{{choices}}}}}")
        picked = ", ".join(f"c{choice}: {{{{1}}}}" for choice in range(12))
        terms.append(f"  - {{factor: grid, share: {{by: a{number}, of: {{{picked}}}}}}}")
    avoided = "method: baseline_minus_project\nextent: {unit: kWh}\nproject: []\nbaseline:\n" + "\n".join(
        terms
    )
    text = behaviour("many", unit="kWh", avoided=f"{avoided}\nuncertainty_pct: {{{{1}}}}")
    pack.add("behaviours/reuse/many.yaml", text + "attributes:\n" + "\n".join(rows) + "\n")
    assert any("248,832 combinations of choices" in problem for problem in pack.problems())


@pytest.mark.parametrize(
    "wrong", [{"water_m3": -1}, {"past": "100 -5"}, {"past": "1e9999"}, {"past": ""}, {"past": 7.5e300}]
)
def test_nothing_negative_or_endless_is_read(whole: Pack, wrong: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="bad_attribute"):
        act(whole.load(), "all", "1", **{"past": "100", "water_m3": 0, **wrong})


# --- laws over what may be sent ---------------------------------------------------------------------

SENT = st.decimals(0, 5_000, places=3)


@pytest.fixture(scope="module")
def laws(tmp_path_factory: pytest.TempPathFactory) -> RuleBook:
    pack = write_pack(tmp_path_factory.mktemp("laws"))
    factor(factor(pack, "coal", "kgCO2e/kWh", "0.9"), "water", "gCO2e/m3", "332")
    return put(pack, "all", **ALL).load()


@settings(deadline=None)
@given(
    quantity=SENT,
    past=st.lists(SENT, min_size=1, max_size=3),
    water=SENT,
    size=st.sampled_from([None, "small", "large"]),
    evidence=st.sampled_from([None, "meter", "own-word"]),
)
def test_the_trace_explains_what_is_booked_and_nothing_is_negative(
    laws: RuleBook,
    quantity: Decimal,
    past: list[Decimal],
    water: Decimal,
    size: str | None,
    evidence: str | None,
) -> None:
    choice = {} if size is None else {"size": size}
    text = " ".join(format(number, "f") for number in past)
    result = act(laws, "all", str(quantity), evidence=evidence, past=text, water_m3=water, **choice)
    mean = sum(map(Fraction, past), Fraction(0)) / len(past)
    saved = (
        mean - Fraction(quantity)
        if mean and (mean - Fraction(quantity)) / mean >= Fraction(5, 100)
        else Fraction(0)
    )
    grams = min(250, (saved * (2 if size == "large" else Fraction(1, 3))).__floor__())
    grid, coal = Fraction(556_800), Fraction(900_000)
    mix = coal if size == "large" else grid / 4 + coal * 3 / 4
    share = Fraction(1, 2) if evidence == "own-word" else 1
    exact = (saved * (mix - grid / 10) - Fraction(water) * 332_000) * share
    assert (result.energy_g, result.avoided_mg) == (grams, max(0, exact.__floor__()))
    assert recount(result.trace) == (result.energy_g, result.avoided_mg)
    assert recount_points(result.trace) == (result.points, result.money_minor)
    assert result.energy_g >= 0


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_no_text_that_is_sent_breaks_the_reading(laws: RuleBook, text: str) -> None:
    for attributes in (
        {"past": text, "water_m3": 0},
        {"past": "1", "water_m3": text},
        {"past": "1", "size": text},
    ):
        try:
            worth = act(laws, "all", "1", **attributes)
        except Rejected as refused:
            worth = refused.code
        assert worth in ("bad_attribute", "missing_attribute") or worth.energy_g >= 0
