"""Weights and limits are data, read strictly; verdicts follow laws that no weight can break."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.core.reasons import MARK, QUESTION, REASONS, Reason, Weight, judge, told
from partners.evidence.rules import EvidenceRulesError, read_rules, shipped_rules

TEXT = files("partners.evidence").joinpath("evidence.yaml").read_text("utf-8")


def problems(text: str) -> str:
    with pytest.raises(EvidenceRulesError) as found:
        read_rules(text.encode())
    return str(found.value)


def test_the_shipped_file_weighs_every_reason() -> None:
    rules = shipped_rules()
    assert set(rules.weights) == set(REASONS)
    assert 0 < rules.needs_info_score < rules.refused_score
    for code, wording in REASONS.items():
        assert re.search("[一-鿿]", wording.zh) and wording.en.endswith(".")
        assert (rules.weights[code].weight == 0) == (wording.kind == QUESTION)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("far_m: {value: 20000", "far_m: {value: 2e4", "limits.far_m"),
        ("far_m: {value: 20000", "far_m: {value: -1", "whole number"),
        ("  far_m:", "  far_away_m:", "far_away_m"),
        (
            "edited: {weight: 40, effect: weighs}",
            "edited: {weight: 40, effect: kills}",
            "reasons.edited.effect",
        ),
        ("edited: {weight: 40, effect: weighs}", "edted: {weight: 40, effect: weighs}", "add edited"),
        ("references: [jinta-contract]", "references: [nowhere]", "a reference of this file"),
        ("references: [jinta-contract], ", "", "at least one reference"),
        (
            'confidence: assumed, because: "One strong',
            'confidence: sure, because: "One strong',
            "published | derived",
        ),
        ("scores:", "scores: &a", "no anchors"),
        ("confirmed_on:", "surprise: 1\nconfirmed_on:", "surprise"),
    ],
    ids=range(10),
)
def test_a_broken_file_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in TEXT
    assert says in problems(TEXT.replace(old, new, 1))


def test_an_assumed_value_says_why() -> None:
    assert "say why" in problems(re.sub(r', because: "Further than a car[^"]*"', "", TEXT))


a_code = st.sampled_from(sorted(REASONS))


@given(st.lists(a_code, max_size=12), st.lists(a_code, max_size=4))
def test_questions_never_weigh_and_more_never_helps(found: list[str], more: list[str]) -> None:
    heavy = {code: Weight(1000, one.effect) for code, one in shipped_rules().weights.items()}
    reasons = [Reason(code) for code in found]
    judged = judge(reasons, heavy, 40, 140)
    assert judged.score == 1000 * len({code for code in found if REASONS[code].kind == MARK})
    asked = judge(
        [*reasons, *(Reason(code) for code in more if REASONS[code].kind == QUESTION)], heavy, 40, 140
    )
    assert asked.score == judged.score
    order = ("passed", "needs_info", "refused")
    assert order.index(asked.verdict) >= order.index(judged.verdict)
    gone = judge(reasons, heavy, 40, 140, dismissed=found)
    assert (gone.verdict, gone.score) == ("passed", 0)
    assert {entry["code"] for entry in told(judged.reasons)} == set(found)


@given(st.lists(a_code, max_size=12))
def test_a_question_alone_is_never_refused(found: list[str]) -> None:
    rules = shipped_rules()
    questions = [Reason(code) for code in found if REASONS[code].kind == QUESTION]
    judged = judge(questions, rules.weights, rules.needs_info_score, rules.refused_score)
    assert judged.verdict in ("passed", "needs_info") and judged.score == 0
