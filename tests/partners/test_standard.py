"""The standard terms: what ships is whole and cited, and a file that is not is refused by name."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest

from engine.core.units import DAY_MS
from partners.core.after_terms import AfterTerms, AuditStage
from partners.core.model import PartnerTerms
from partners.standard import TermsError, read_terms, standard_terms, with_standard

SHIPPED = files("partners").joinpath("standard_terms.yaml").read_text("utf-8")


def test_what_ships_is_what_the_documents_say() -> None:
    terms = standard_terms()
    assert [(stage.figure, stage.autumn, stage.months) for stage in terms.stages] == [
        ("survival", 1, 12),
        ("preservation", 3, 36),
    ]
    assert [milestone.pct for milestone in terms.milestones] == [30, 40, 15, 15]
    assert (terms.fix_ms, terms.dispute_decide_ms) == (14 * DAY_MS, 30 * DAY_MS)
    assert terms.band_bp("under_400_mm", "survival") == 7500
    assert terms.band_bp("", "survival") == terms.band_bp("somewhere", "survival") == 8500  # the strictest


def test_without_any_band_nothing_but_all_trees_will_do() -> None:
    assert AfterTerms().band_bp("", "survival") == 10_000


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("fix_d:", "fix_days:", "fix_d"),
        ("pct: 30}", "pct: 31}", "100 %"),
        ("references: [plots-note]", "references: [nobody]", "plots_min"),
        ("value: estimate", "value: guess", "must_meet"),
        ('"08-15"', '"02-29"', "February"),
        ('"08-15"', '"13-15"', "shape"),
        ("autumn: 1", "autum: 1", "shape"),
        ("survival: 75", "survival: much", "shape"),
        ("survival: 75", "survival: 101", "shape"),
        ("plots_min: {value: 5", "plots_min: {value: true", "shape"),
        ("fix_d: {value: 14", "fix_d: {value: 0", "shape"),
        ("review_levels: {value: [2]", "review_levels: {value: 2", "shape"),
        ("references:\n  tender", "references: [\n  tender", "YAML"),
    ],
)
def test_terms_that_do_not_hold_together_are_refused(old: str, new: str, told: str) -> None:
    assert old in SHIPPED
    with pytest.raises(TermsError, match=told):
        read_terms(SHIPPED.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "- a", "7"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(TermsError, match="mapping"):
        read_terms(text)


def test_an_agreement_of_its_own_comes_first() -> None:
    own = replace(AfterTerms(), stages=(AuditStage("M6", "survival", 1, 6),))
    assert with_standard(PartnerTerms("elm", after=own)).after == own
    assert with_standard(PartnerTerms("elm")).after == standard_terms()
