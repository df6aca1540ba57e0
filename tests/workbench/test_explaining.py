"""An explanation says what the game would book, in both languages, and refuses what the game refuses."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.quantify import Assessment, assess
from engine.rulebook import Files, load_files
from engine.rulefiles import models as m
from engine.workbench.chinese import describe_zh
from engine.workbench.effects import typical_act
from engine.workbench.explaining import LANGUAGES, Act, explain

ON = date(2026, 11, 22)
DONE = {"completed_at": "2026-11-22T04:30:00Z", "weighed_at": "2026-11-22T04:30:00Z", "distance_km": "7.5"}
FILES = load_files()
BOOK = FILES.book


def act_of(behaviour: str, quantity: str, province: str | None = None, on: date = ON, **sent: str) -> Act:
    """An act with those of DONE that the behaviour knows."""
    in_force = BOOK.behaviours[behaviour].on(on)
    known = in_force.attributes if in_force else {}
    attributes = {name: value for name, value in DONE.items() if name in known}
    return Act(behaviour, Decimal(quantity), on, None, province, attributes | sent)


def assessed(act: Act, unit: str) -> Assessment | Rejected:
    """What the game says of the act."""
    try:
        return assess(BOOK, act.behaviour, act.quantity, unit, act.on, act.attributes, act.province)
    except Rejected as refusal:
        return refusal


@given(
    behaviour=st.sampled_from(sorted(BOOK.behaviours)),
    quantity=st.decimals(0, 120_000, places=3),
    province=st.sampled_from([None, "CN-BJ", "CN-GS", "GB", "CN-XX"]),
    days=st.integers(0, 4_000),
    language=st.sampled_from(LANGUAGES),
)
@settings(max_examples=150, deadline=None)
def test_an_explanation_is_what_would_be_booked(
    behaviour: str, quantity: Decimal, province: str | None, days: int, language: str
) -> None:
    act = act_of(behaviour, str(quantity), province, ON - timedelta(days=days))
    unit = BOOK.behaviours[behaviour].unit
    wanted = assessed(act, unit)
    if isinstance(wanted, Rejected):
        with pytest.raises(Rejected) as refused:
            explain(BOOK, act, language)
        assert (refused.value.code, refused.value.fields) == (wanted.code, wanted.fields)
        return
    told = explain(BOOK, act, language)
    assert (told["energy_g"], told["avoided_mg"], told["trace"]) == (
        wanted.energy_g,
        wanted.avoided_mg,
        wanted.trace,
    )
    assert told["agrees"]
    text = "\n".join(told["steps"])
    assert f"{wanted.energy_g:,} g" in text or wanted.energy_g == 0
    assert f"{wanted.avoided_mg:,} mg" in text or wanted.avoided_mg == 0
    assert "does not agree" not in text
    assert set(re.findall(r"\[([a-z0-9-]+)\]", text)) <= {one["id"] for one in told["references"]}


def examples() -> list[tuple[str, Act]]:
    """Every act of the files' examples that is accepted."""
    found = []
    for file in FILES.models.values():
        if isinstance(file, m.BehaviourFile):
            for example in file.examples:
                act = typical_act(file, example)
                whole = Act(file.id, act.quantity, example.on, act.unit, act.province, dict(act.attributes))
                found += [(f"{file.id}: {act.name}", whole)] if example.refused is None else []
    return found


@pytest.mark.parametrize(("name", "act"), examples(), ids=lambda one: one if isinstance(one, str) else "")
def test_both_languages_name_the_same_numbers_and_sources(name: str, act: Act) -> None:
    english, chinese = ("\n".join(explain(BOOK, act, language)["steps"]) for language in LANGUAGES)
    assert BOOK.behaviours[act.behaviour].names["zh"] in chinese
    assert not re.search(r"[\u4e00-\u9fff]", english)
    for value in re.findall(r"([\d./]+) \S+ \((?:documented|derived|assumed)", english):
        assert value in chinese, value
    for rate in re.findall(r"= ([\d.,]+) g for each [^:]+$", english, re.MULTILINE):
        assert f" {rate} g。" in chinese, rate
    cited = [re.findall(r"^\[([a-z0-9-]+)\]", text, re.MULTILINE) for text in (english, chinese)]
    assert set(cited[0]) <= set(cited[1])


def test_chinese_counts_what_was_measured_and_not_what_was_reported() -> None:
    sent = {"before_kwh": "300 310", "account": "m1", "read_at": "2026-11-22T01:00:00Z"}
    act = Act("power-saving", Decimal("269.5"), date(2026, 11, 22), attributes=sent)
    told = explain(BOOK, act, "zh")
    text = "\n".join(told["steps"])
    assert "before_kwh 300 310" in text and "减排量：测算的 saved_kwh 35.5 kWh 为 35.5 kWh。" in text
    assert Fraction("35.5") * Fraction("530600") == told["avoided_mg"] == 18_836_300
    trace = told["trace"]
    ratio = {"value": "10", "unit": "g/kWh", "from": "2020-01-01", "confidence": "assumed", "references": []}
    energy = {"method": "factor_times_quantity", "of": "saved_kwh", "grams_per_unit": ratio, "g": 355}
    assert "saved_kwh 35.5 kWh × 10 g/kWh" in "\n".join(describe_zh(trace | {"energy": energy}, BOOK))


def test_a_method_that_has_no_chinese_words_is_told_value_by_value() -> None:
    value = {
        "value": "7",
        "unit": "g",
        "from": "2020-01-01",
        "confidence": "derived",
        "references": ["guide-freep"],
    }
    trace = {
        "rules": "0" * 64,
        "behaviour": "bus",
        "on": "2026-11-22",
        "quantity": "1",
        "unit": "ride",
        "province": None,
        "energy": {"method": "brand_new", "tiers": [{"above": value}], "g": 7},
        "avoided": {"method": "brand_new", "legs": {"first": value}, "why": "因此", "mg": 9},
        "points": {"each": value, "worth": 3},
    }
    text = "\n".join(describe_zh(trace, BOOK))
    assert text.count("7 g（推算，自 2020-01-01 起 [guide-freep]）") == 3 and "积分" in text
    assert "因此" in text and "9 mg" in text and "早先的规则库" in text and "[guide-freep] List" in text


def cited_value(text: str, unit: str, **more: object) -> dict[str, object]:
    """A value as a trace keeps it."""
    about = {"from": "2020-01-01", "confidence": "derived", "references": ["guide-freep"]}
    return {"value": text, "unit": unit, **about, **more}


def test_lines_with_shares_modes_and_choices_are_worked_out_in_chinese() -> None:
    grid = cited_value("0.5", "kgCO2e/kWh", factor="grid", region="CN", year=2023, match="country")
    walking = {"mode": "walking", "share": cited_value("0.5", "1")}
    riding = {
        **grid,
        "mode": "own-bike",
        "amount": cited_value("0.02", "kWh/km"),
        "share": cited_value("0.2", "1", picked=["city", "with-metro"]),
        "detour": cited_value("1.25", "1"),
    }
    trace = {
        "rules": "0" * 64,
        "behaviour": "bus",
        "on": "2026-11-22",
        "quantity": "3",
        "unit": "km",
        "province": "CN-BJ",
        "energy": {
            "method": "step_table",
            "steps": [["1/10", "30"], ["3", "60"]],
            "from": "2020-01-01",
            "confidence": "assumed",
            "references": ["guide-freep"],
            "g": 60,
        },
        "avoided": {
            "method": "mode_mix",
            "functional_unit": "km",
            "baseline": [walking, riding],
            "project": [],
            "leakage": cited_value("0.9", "1"),
            "mg": 6000,
        },
    }
    text = "\n".join(describe_zh(trace, BOOK))
    assert "分级：1/10 km 起 30 g；3 km 起 60 g（自行设定" in text
    assert "walking：比例 0.5（推算，自 2020-01-01 起 [guide-freep]） × 边界内无排放 = 每 km 0 g" in text
    assert "按 city with-metro 选取" in text and "= 每 km 2 g。" in text  # 0.2 × 0.02 kWh × 500 g
    assert "detour = 1.25" in text and "leakage = 0.9" in text, "what has no words is still told"


def test_the_uncertainty_is_told_as_bounds_rounded_outwards(shipped: Files) -> None:
    told = explain(shipped.book, act_of("walking", "10000"))
    assert told["avoided_mg"] == 168_353
    assert told["between_mg"] == [67_341, 269_365]  # 168,353 mg less and more 60 %, 67,341.2 and 269,364.8
    assert told["booked_g"] == told["energy_g"] == 164
    assert explain(shipped.book, act_of("walking", "20000"))["booked_g"] == 296
    assert explain(shipped.book, act_of("walking", "0"))["between_mg"] is None


def test_a_misspelt_behaviour_is_answered_with_what_was_meant(shipped: Files) -> None:
    with pytest.raises(Rejected) as refused:
        explain(shipped.book, Act("metr", Decimal(1), ON))
    assert refused.value.fields["near"] == ["metro"]
