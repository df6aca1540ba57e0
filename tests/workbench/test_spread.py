"""The spread of published figures: as the schemes print it, beside what our own rules give for the act."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

import pytest

from engine.core.errors import Rejected
from engine.rulebook import Files, load_files
from engine.workbench.checking import check
from engine.workbench.spread import document, shown, spreads
from tests.rules.pack import Pack

ON = date(2026, 11, 22)
# the ratios of the survey that the figures are taken from
RATIOS = {
    "bus-ride": "2", "metro-ride": "12", "shared-bike-km": "5", "step": "1.2", "no-cutlery": "2.9",
    "clean-plate": "3.1", "old-clothes": "17", "second-hand-phone": "2", "ev-charging-kwh": "1.4",
}  # fmt: skip


def test_the_ratios_are_those_of_the_survey(shipped: Files) -> None:
    found = {one.act: one.ratio() for one in spreads(shipped, ON)}
    assert found.keys() == RATIOS.keys()
    for act, printed in RATIOS.items():
        ratio, places = found[act], len(printed.partition(".")[2])
        assert ratio is not None
        tolerance = Fraction(55, 1000) if places else Fraction(1, 2)
        assert abs(ratio - Fraction(printed)) < tolerance, (act, float(ratio))


def test_ours_comes_through_the_same_assessment_for_each_unit(shipped: Files) -> None:
    [bus] = spreads(shipped, ON, "bus")
    assert (bus.ours.energy_g, bus.ours.avoided_g) == (80, Fraction("95.1"))
    [step] = spreads(shipped, ON, "walking")
    assert step.ours.avoided_g == Fraction(168_353, 1000) / 10_000
    [bike] = spreads(shipped, ON, "bike-sharing")
    assert bike.ours.avoided_g == 50


def test_an_act_without_a_behaviour_says_so_until_there_is_one(own_copy: Pack) -> None:
    [plate] = spreads(load_files(own_copy.folder), ON, "clean-plate")
    assert plate.ours.refused == "not in this rulebook" and plate.ours.avoided_g is None
    assert document(plate)["ratio_with_ours"] == document(plate)["ratio"] == "3.118"
    text = (own_copy.folder / "behaviours/less-paper-and-plastic/e-invoice.yaml").read_text()
    text = text.replace("id: e-invoice", "id: clean-plate").replace("unit: invoice", "unit: meal")
    text = text.replace("g/invoice", "g/meal").replace("piece/invoice", "piece/meal")
    own_copy.add("behaviours/less-paper-and-plastic/clean-plate.yaml", text)
    [plate] = spreads(load_files(own_copy.folder), ON, "clean-plate")
    assert not plate.ours.refused and plate.ours.energy_g == 5


def test_an_unknown_behaviour_is_refused(shipped: Files) -> None:
    with pytest.raises(Rejected, match="unknown_behaviour"):
        list(spreads(shipped, ON, "flying"))


def test_published_figures_change_no_hash_and_must_be_sound(own_copy: Pack) -> None:
    before = own_copy.load().hash
    own_copy.edit("published.yaml", "value: 45.72", "value: 50")
    own_copy.edit("references.yaml", "written_on: 2026-11-25", "confirmed_on: 2026-11-24")
    assert own_copy.load().hash == before
    own_copy.edit("published.yaml", "value: 449, counts: avoided", "value: 449, counts: points")
    own_copy.edit("published.yaml", "references: [xianyu-2023]", "references: [nobody]")
    own_copy.edit("published.yaml", "unit: meal", "unit: mouthful")
    problems = own_copy.problems()
    assert len(problems) == 1 and "points" in problems[0], problems
    own_copy.edit("published.yaml", "counts: points", "counts: avoided")
    problems = own_copy.problems()
    assert [problem.split(";")[0].split(":", 2)[2] for problem in problems] == [
        "acts.clean-plate.unit: the unknown unit 'mouthful'",
        "acts.second-hand-phone.published[1].references[0]: the unknown reference 'nobody'",
    ]


def test_an_act_that_our_own_behaviour_refuses_is_a_warning(own_copy: Pack) -> None:
    own_copy.edit(
        "published.yaml", "ours: {behaviour: bus, quantity: 1}", "ours: {behaviour: bus, quantity: 7}"
    )
    checked = check(own_copy.folder, date(2026, 12, 1))
    assert checked.ok
    [warning] = checked.warnings
    assert warning.startswith("published.yaml: acts.bus-ride: bus refuses the act (quantity_out_of_range")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.0164", "0.0164"),
        ("22158", "22158"),
        ("0", "0"),
        ("1/3", "0.3333"),
        ("51903.4", "51903"),
        ("2", "2"),
    ],
)
def test_numbers_are_shown_plainly(amount: str, text: str) -> None:
    assert shown(Fraction(amount)) == text
