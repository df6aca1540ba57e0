"""Two rulebooks differ in what the game does: nothing is left out, nothing is told that is only text."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from engine.rulebook import load_files
from engine.workbench.difference import compare
from engine.workbench.leaves import Leaf
from engine.workbench.told import difference, document, label, percent
from tests.rules.pack import FILES, SAVING, Pack

TODAY = date(2026, 11, 25)
Changed = Callable[..., Pack]
GAME, SHRUB, GRID, HILL = "game.yaml", "species/shrub.yaml", "factors/grid.yaml", "programmes/hill.yaml"
LATER_LIFE = """\
life_h:
  2020-01-01: {value: 72, confidence: documented, references: [scheme]}
  2027-01-01: {value: 96, confidence: documented, references: [scheme]}"""
NO_EXAMPLES = "examples:\n  - {name: x, on: 2019-01-01, quantity: 3, refused: not_in_force}\n"


def told(before: Pack, after: Pack, today: date = TODAY) -> dict:
    """The document of both packs."""
    return document(*difference(load_files(before.folder), load_files(after.folder), today))


def test_a_rulebook_does_not_differ_from_itself(pack: Pack) -> None:
    found = told(pack, pack)
    assert found["same"] and not found["backdated"]
    assert [found[key] for key in ("added", "removed", "changes", "effects")] == [[], [], [], []]


def test_a_new_dated_value_is_told_with_its_day_and_effect(pack: Pack, changed: Changed) -> None:
    after = changed(
        SAVING,
        (
            "    2022-07-01: {value: 2/3,",
            "    2027-01-01: {value: 1, confidence: documented, references: [scheme]}\n    2022-07-01: {value: 2/3,",
        ),
    )
    found = told(pack, after)
    [change] = found["changes"]
    assert (change["thing"], change["id"], change["path"]) == ("behaviour", "saving", "energy.grams_per_unit")
    assert (change["from_on"], change["last_on"], change["edited_in_place"]) == ("2027-01-01", None, False)
    assert (change["before"]["value"], change["after"]["value"], change["change_pct"]) == (
        "2/3",
        "1",
        "+50.0",
    )
    assert change["label"]["zh"] == "每单位能量"
    [effect] = found["effects"]
    assert (effect["from_on"], effect["act"]["quantity"]) == ("2027-01-01", "3")
    assert (effect["before"]["booked_g"], effect["after"]["booked_g"], effect["energy_pct"]) == (
        2,
        3,
        "+50.0",
    )
    assert effect["before"]["avoided_mg"] == effect["after"]["avoided_mg"]
    assert not found["backdated"]


def test_a_value_edited_after_it_was_in_force_is_told_until_the_next_one(
    pack: Pack, changed: Changed
) -> None:
    after = changed(SAVING, ("2020-01-01: {value: 1/3,", "2020-01-01: {value: 1/2,"))
    found = told(pack, after)
    [change] = found["changes"]
    assert change["edited_in_place"] and found["backdated"]
    assert (change["from_on"], change["last_on"]) == ("2020-01-01", "2022-06-30")
    assert not told(pack, after, date(2019, 12, 31))["backdated"], "a day that has not come may be edited"
    assert not told(pack, after, date(2020, 1, 1))["backdated"], "from today on is no past day"
    assert told(pack, after, date(2020, 1, 2))["backdated"]


def test_a_value_removed_or_put_in_the_past_is_backdated_too(pack: Pack, changed: Changed) -> None:
    gone = changed(SHRUB, ("  2024-01-01: {value: 1500, confidence: documented, references: [scheme]}\n", ""))
    found = told(pack, gone)
    shrub, hill = found["changes"]
    assert (shrub["path"], shrub["from_on"], shrub["edited_in_place"]) == ("energy", "2024-01-01", True)
    assert (hill["thing"], hill["id"]) == ("programme", "hill")
    back = told(gone, pack)
    assert back["backdated"] and back["changes"][0]["change_pct"] == "+50.0"


def test_a_game_value_is_told_once_and_says_who_follows(pack: Pack, changed: Changed) -> None:
    after = changed(
        GAME,
        (
            "life_h: {2020-01-01: {value: 72, confidence: documented, references: [scheme]}}",
            LATER_LIFE,
        ),
    )
    [change] = told(pack, after)["changes"]
    assert (change["thing"], change["path"], change["followed_by"]) == ("game", "life_h", 1)


def test_a_factor_shows_in_the_acts_that_use_it_by_region(pack: Pack, changed: Changed) -> None:
    row = """\
  - region: CN-HE
    year: 2023
    from: 2027-01-01
    value: 0.6
    confidence: documented
    references: [scheme]
    table: Hebei
"""
    after = changed(
        GRID, ("  - region: CN-HE\n    year: 2022\n", row + "  - region: CN-HE\n    year: 2022\n")
    )
    found = told(pack, after)
    [figure] = [one for one in found["changes"] if one["path"] == "by_region.CN-HE.2023"]
    assert (figure["from_on"], figure["before"]) == ("2027-01-01", None)
    assert "value 0.6 kgCO2e/kWh" in figure["after"]["value"]
    [effect] = found["effects"]
    assert (effect["act"]["province"], effect["from_on"]) == ("CN-HE", "2027-01-01")
    assert (effect["before"]["avoided_mg"], effect["after"]["avoided_mg"]) == (2_175_600, 1_800_000)


def test_words_and_sources_are_not_changes_of_the_game(pack: Pack, changed: Changed) -> None:
    after = changed(SAVING, ("Use less power", "Use much less power"), ("what: Metered", "what: By meter"))
    after.edit(
        SHRUB, "value: 1500, confidence: documented", "value: 1500, because: guess, confidence: derived"
    )
    found = told(pack, after)
    assert {change["kind"] for change in found["changes"]} == {"wording", "source"}
    assert found["effects"] == [] and not found["backdated"] and not found["same"]


def test_caps_move_what_a_month_can_give(pack: Pack, changed: Changed) -> None:
    after = changed(
        SAVING,
        (
            "caps:\n",
            "caps:\n  day_count: {2027-01-01: {value: 2, confidence: documented, references: [scheme]}}\n",
        ),
    )
    [effect] = told(pack, after)["effects"]
    assert (effect["before"]["month_most_g"], effect["after"]["month_most_g"]) == (None, 120)


def test_what_comes_and_goes(pack: Pack, changed: Changed) -> None:
    after = changed(SHRUB)
    new = FILES[SAVING].replace("id: saving", "id: fresh").replace("from: 2020-01-01", "from: 2027-01-01")
    new = new.replace("on: 2020-01-01, quantity: 3, energy_g: 1", "on: 2027-01-01, quantity: 3, energy_g: 2")
    new = new.replace("avoided_mg: 1670400", "avoided_mg: 1609800")
    after.add("behaviours/energy-efficiency/fresh.yaml", new)
    found = told(pack, after)
    assert [(one["thing"], one["id"], one["since"], one["backdated"]) for one in found["added"]] == [
        ("behaviour", "fresh", "2027-01-01", False)
    ]
    gone = told(after, pack)
    assert [one["id"] for one in gone["removed"]] == ["fresh"]


def test_a_behaviour_that_begins_earlier_is_one_change(pack: Pack, changed: Changed) -> None:
    after = changed(
        SAVING, ("in_force: {from: 2020-01-01}", "in_force: {from: 2020-01-01, until: 2027-01-01}")
    )
    found = told(pack, after)
    [change] = found["changes"]
    assert (change["path"], change["from_on"], change["after"]["value"]) == (
        "in_force",
        "2027-01-01",
        "not in force",
    )
    [effect] = found["effects"]
    assert effect["after"] == {"refused": "not_in_force"}


def edits() -> list[tuple[str, int]]:
    """Every number of the small rulebook: file and place."""
    return [
        (name, place.start()) for name, text in FILES.items() for place in re.finditer(r"value: \d", text)
    ]


@pytest.mark.parametrize(("name", "place"), edits())
def test_every_number_that_is_edited_is_told(name: str, place: int, pack: Pack, tmp_path: Path) -> None:
    """Whatever file it stands in: found, and found as edited in place."""
    other = tmp_path / "after"
    pack.add(SAVING, re.sub(r"examples:\n.*\n", NO_EXAMPLES, FILES[SAVING]))
    shutil.copytree(pack.folder, other)
    text = (other / name).read_text()
    found = re.match(r"value: (\d+(\.\d+)?)", text[place:])
    assert found is not None
    old = found[1]
    new = old + "1" if "." in old else str(int(old) + 1)
    edited = text[:place] + f"value: {new}" + text[place + len(found[0]) :]
    (other / name).write_text(edited)
    comparison = compare(load_files(pack.folder).book, load_files(other).book, TODAY)
    numbers = [change for change in comparison.changes if change.kind == "value" and change.in_place]
    assert numbers, f"{name}: {old} → {new} is not told"
    back = compare(load_files(other).book, load_files(pack.folder).book, TODAY)
    assert [(c.path, c.from_on, c.after, c.before) for c in back.changes] == [
        (c.path, c.from_on, c.before, c.after) for c in comparison.changes
    ]


def test_an_attribute_that_comes_is_one_change(pack: Pack, changed: Changed) -> None:
    attribute = "attributes:\n  meter_kwh: {kind: number, unit: kWh, required: false, description: By meter}\nevidence:"
    [change] = told(pack, changed(SAVING, ("evidence:", attribute)))["changes"]
    assert (change["path"], change["before"]) == ("attributes.meter_kwh", None)
    assert "unit kWh" in change["after"]["value"] and "required False" in change["after"]["value"]


def test_words_for_values_and_per_cent() -> None:
    assert label("caps.day_g") == "cap of a day" and label("ball.life_h", "zh") == "有效期（小时）"
    assert label("no.such.path") == "no.such.path"
    assert label("by_region.CN-HE.value") == "figure of CN-HE"
    assert label("by_region.CN-HE.2022.value", "zh") == "CN-HE 2022 的数值"
    assert [percent(Fraction(n, 100)) for n in (5, -5, 4, -4, 123456, 0)] == [
        "+0.1", "-0.1", "+0.0", "+0.0", "+1,234.6", "+0.0",
    ]  # fmt: skip
    assert Leaf("5.0", "g", Fraction(5)).same_value(Leaf("5", "g", Fraction(5)))
    assert not Leaf("5", "g", Fraction(5)).same_value(Leaf("5", "kg", Fraction(5)))
