"""Values that were in force and were edited in place are found, and nothing else is."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rulebook import shipped_rules
from engine.rulefiles.edited import edited
from engine.rulefiles.packing import book_of, packed
from tests.rules.pack import SAVING, Pack

TODAY = date(2023, 6, 15)


def found(pack: Pack, name: str, old: str, new: str) -> list[str]:
    """What is found after one edit that leaves the rulebook sound."""
    before = packed(pack.folder)
    pack.edit(name, old, new)
    pack.load()
    return edited(before, packed(pack.folder), TODAY)


EDITS = {
    "a value": (
        "game.yaml",
        "life_h: {2020-01-01: {value: 72,",
        "life_h: {2020-01-01: {value: 60,",
        ["game.yaml:life_h.2020-01-01.value: was '72', is '60'"],
    ),
    "the day of a value": (
        SAVING,
        "2021-01-01: {value: 100,",
        "2021-01-02: {value: 100,",
        ["2021-01-01.value: was '100', is nothing", "2021-01-02.value: was nothing, is '100'"],
    ),
    "a value that ended": (
        SAVING,
        "2023-01-01: {value: null",
        "2023-01-01: {value: 50",
        ["caps.event_g.2023-01-01.value: was 'null', is '50'"],
    ),
    "a value dated in the past": (
        SAVING,
        "    2022-07-01: {value: 2/3,",
        "    2022-06-01: {value: 1, confidence: documented, references: [scheme]}\n    2022-07-01: {value: 2/3,",
        ["grams_per_unit.2022-06-01.value: was nothing, is '1'. Fix: date it on 2023-06-15 or later"],
    ),
    "a figure of a factor": (
        "factors/grid.yaml",
        "value: 0.7252",
        "value: 0.7253",
        ["factors/grid.yaml:figures.CN-HE/2022/2022-01-01.value: was '0.7252', is '0.7253'"],
    ),
    "a figure's first day": (
        "factors/grid.yaml",
        "  - region: CN-HE\n    year: 2022\n    from: 2022-01-01",
        "  - region: CN-HE\n    year: 2022\n    from: 2022-02-01",
        ["figures.CN-HE/2022/2022-01-01.value: was '0.7252', is nothing"],
    ),
    "the boundary of a factor": (
        "factors/grid.yaml",
        "boundary: generation",
        "boundary: life cycle",
        ["boundary: was 'generation', is 'life cycle'"],
    ),
    "how a ball ripens": (
        SAVING,
        "ripens: after",
        "ripens: morning",
        ["ball.ripens: was 'after', is 'morning'"],
    ),
    "the first day": (
        SAVING,
        "in_force: {from: 2020-01-01}",
        "in_force: {from: 2019-12-31}",
        None,
    ),
    "an end in the past": (
        SAVING,
        "in_force: {from: 2020-01-01}",
        "in_force: {from: 2020-01-01, until: 2023-06-14}",
        ["in_force.until: was nothing, is '2023-06-14'"],
    ),
    "a closing day in the past": (
        "programmes/hill.yaml",
        "open_on: 2020-01-01",
        "open_on: 2020-01-01\nclose_on: 2023-01-01",
        ["close_on: was nothing, is '2023-01-01'"],
    ),
    "the price of a tree in money": (
        "programmes/hill.yaml",
        "{value: 738,",
        "{value: 700,",
        ["unit_price_minor.2020-01-01.value: was '738', is '700'"],
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_in_force_is_not_edited(pack: Pack, edit: str) -> None:
    name, old, new, expected = EDITS[edit]
    if expected is None:  # not sound for another reason: the game's settings begin later
        before = packed(pack.folder)
        pack.edit(name, old, new)
        assert edited(before, packed(pack.folder), TODAY)
        return
    findings = found(pack, name, old, new)
    for part in expected:
        assert any(part in finding for finding in findings), findings
    assert all(finding.startswith(f"{name}:") and "Fix: " in finding for finding in findings)


HARMLESS = {
    "a value from today on": (
        SAVING,
        "    2022-07-01: {value: 2/3,",
        "    2023-06-15: {value: 1, confidence: documented, references: [scheme]}\n    2022-07-01: {value: 2/3,",
    ),
    "the same number written otherwise": (
        "game.yaml",
        "life_h: {2020-01-01: {value: 72,",
        "life_h: {2020-01-01: {value: 72.0,",
    ),
    "how sure a number is": (
        "game.yaml",
        "life_h: {2020-01-01: {value: 72, confidence: documented, references: [scheme]}}",
        "life_h: {2020-01-01: {value: 72, confidence: assumed, because: We chose it., references: [scheme]}}",
    ),
    "a name": (SAVING, "names: {zh: 节电, en: Saving}", "names: {zh: 节电, en: Saving power}"),
    "an end ahead": (
        SAVING,
        "in_force: {from: 2020-01-01}",
        "in_force: {from: 2020-01-01, until: 2023-07-01}",
    ),
    "a price from next year": (
        "species/shrub.yaml",
        "2024-01-01: {value: 1500,",
        "2024-02-01: {value: 1600,",
    ),
    "the order of figures": (
        "factors/grid.yaml",
        "figures:\n",
        """\
figures:
  - {region: CN, year: 2024, from: 2024-01-01, value: 0.5, confidence: documented, references: [scheme], table: all}
""",
    ),
    "a comment": (SAVING, "icon: plug", "icon: plug  # to be drawn"),
}


@pytest.mark.parametrize("edit", HARMLESS)
def test_what_may_change_is_not_told(pack: Pack, edit: str) -> None:
    assert found(pack, *HARMLESS[edit]) == []


def test_a_file_may_not_vanish(pack: Pack) -> None:
    before = packed(pack.folder)
    (pack.folder / "programmes/hill.yaml").unlink()
    [finding] = edited(before, packed(pack.folder), TODAY)
    assert finding.startswith("programmes/hill.yaml: the file is gone. Fix: keep it")


def test_a_new_file_is_no_edit(pack: Pack) -> None:
    before = packed(pack.folder)
    text = (pack.folder / "species/shrub.yaml").read_text().replace("id: shrub", "id: bush")
    pack.add("species/bush.yaml", text).load()
    assert edited(before, packed(pack.folder), TODAY) == []


@given(st.dates(date(2021, 1, 1), date(2025, 12, 31)), st.integers(1, 2_000))
def test_a_later_value_is_found_exactly_where_it_reaches_back(day: date, value: int) -> None:
    """For any day and number: the past of a rulebook can be changed by no later one unseen."""
    line = "  2020-01-01: {{value: 1000}}\n{more}"
    old = {"species/shrub.yaml": "energy_g:\n" + line.format(more="")}
    new = {"species/shrub.yaml": "energy_g:\n" + line.format(more=f"  {day}: {{value: {value}}}\n")}
    assert bool(edited(old, new, TODAY)) == (day < TODAY)
    assert bool(edited(new, old, TODAY)) == (day <= TODAY)


def test_what_others_publish_may_be_learnt_anew() -> None:
    """No ball depends on published.yaml: it may change, come and go."""
    before = packed(shipped_rules())
    name = "published.yaml"
    changed = before | {name: before[name].replace("written_on", "confirmed_on").replace("144", "145")}
    without = {path: text for path, text in before.items() if path != name}
    for after in (changed, without):
        assert book_of(after).hash == book_of(before).hash
        assert edited(before, after, TODAY) == []
    assert edited(without, before, TODAY) == []
