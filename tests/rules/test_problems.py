"""Whatever is wrong with a rulebook is told with file, line, path, expectation and fix; all of it at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine import rulebook
from engine.rulebook import PROBLEMS_PER_FILE_MAX, RulebookError, check_rulebook, load_rulebook, shipped_rules
from tests.rules.pack import FILES, SAVING, Pack, read_mistakes

GRID = "factors/grid.yaml"
HILL = "programmes/hill.yaml"
SHRUB = "species/shrub.yaml"
GAME = "game.yaml"

MISTAKES = read_mistakes()


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_told_once_with_place_expectation_and_fix(name: str, pack: Pack) -> None:
    mistake = MISTAKES[name]
    problems = pack.edit(mistake["file"], mistake["old"], mistake["new"]).problems()
    told = [problem for problem in problems if problem.startswith(mistake["begins"])]
    assert len(told) == 1, problems
    assert mistake["says"] in told[0], told[0]
    with pytest.raises(RulebookError) as refused:
        pack.load()
    assert told[0] in str(refused.value)


def test_the_small_rulebook_is_sound(pack: Pack) -> None:
    report = pack.check()
    assert report.ok, report.problems
    assert (report.files, report.behaviours, report.factors, report.examples) == (len(FILES), 1, 1, 1)
    assert report.warnings == ()


def test_all_problems_of_all_files_are_told_together_in_order(pack: Pack) -> None:
    pack.edit(SAVING, "energy_g: 1,", "energy_g: 2,")
    pack.edit(SHRUB, "kind: shrub", "kind: cloud").edit(HILL, "latitude: 40.5", "latitude: 91")
    pack.edit(GAME, "life_h: {2020-01-01: {value: 72", "life_h: {2020-01-01: {value: 0")
    pack.add("species/odd.yml", "id: odd\n").add("notes.txt", "hello")
    with pytest.raises(RulebookError) as refused:
        pack.load()
    places = [(problem.file, problem.line) for problem in refused.value.problems]
    assert places == sorted(places)
    assert {file for file, _ in places} == {SHRUB, HILL, GAME, "species/odd.yml", "notes.txt"}
    assert str(refused.value).startswith(f"{len(places)} problems in the rulebook:")


def test_a_sound_game_lets_examples_run_beside_other_problems(pack: Pack) -> None:
    problems = (
        pack.edit(SAVING, "energy_g: 1,", "energy_g: 2,").edit(SHRUB, "kind: shrub", "kind: x").problems()
    )
    assert [problem.split(":")[0] for problem in problems] == [SAVING, SHRUB]


def test_a_broken_file_does_not_make_others_look_broken(pack: Pack) -> None:
    problems = pack.edit(GRID, "unit: kgCO2e/kWh\n", "unit: kgCO2e/kWh\nunit: kgCO2e/kWh\n").problems()
    assert [problem.split(":")[0] for problem in problems] == [GRID]


def test_equal_ids_in_two_categories(pack: Pack) -> None:
    text = FILES[SAVING].replace("category: energy-efficiency", "category: reuse")
    problems = pack.add("behaviours/reuse/saving.yaml", text).problems()
    assert len(problems) == 1
    assert problems[0].startswith(
        f"behaviours/reuse/saving.yaml:1: the behaviour 'saving' again (first in {SAVING})"
    )


MADE = """\
id: {id}
names: {{zh: 一, en: one}}
unit: kgCO2e/kWh
boundary: all
fallback: []
made_of:
  - factor: {of}
    amount:
      unit: {unit}
      values: {{2020-01-01: {{value: 2, confidence: documented, references: [scheme]}}}}
"""


def test_a_circle_of_factors_is_told_at_each_of_them(pack: Pack) -> None:
    pack.add("factors/one.yaml", MADE.format(id="one", of="two", unit="1"))
    pack.add("factors/two.yaml", MADE.format(id="two", of="one", unit="1"))
    problems = pack.edit(SAVING, "{factor: grid}", "{factor: one}").problems()
    assert [problem.split(";")[0] for problem in problems] == [
        "factors/one.yaml:6:made_of: a circle: one is made of two is made of one",
        "factors/two.yaml:6:made_of: a circle: two is made of one is made of two",
    ]


def test_a_factor_made_of_itself(pack: Pack) -> None:
    problems = pack.add("factors/one.yaml", MADE.format(id="one", of="one", unit="1")).problems()
    assert [problem.split(";")[0] for problem in problems] == [
        "factors/one.yaml:6:made_of: a circle: one is made of one"
    ]


def test_parts_must_be_known_and_fit(pack: Pack) -> None:
    pack.add("factors/one.yaml", MADE.format(id="one", of="nothing", unit="1"))
    pack.add("factors/two.yaml", MADE.format(id="two", of="grid", unit="km/kWh"))
    problems = pack.problems()
    assert problems[0].startswith("factors/one.yaml:7:made_of[0].factor: the unknown factor 'nothing'")
    assert problems[1].startswith(
        "factors/two.yaml:9:made_of[0].amount.unit: km/kWh of grid, which is in kgCO2e/kWh"
    )
    assert len(problems) == 2


def test_a_made_up_factor_is_the_sum_of_its_parts(pack: Pack) -> None:
    pack.add("factors/double.yaml", MADE.format(id="double", of="grid", unit="1"))
    pack.edit(SAVING, "{factor: grid}", "{factor: double}").edit(
        SAVING, "avoided_mg: 1670400", "avoided_mg: 3340800"
    )
    assert pack.check().ok, pack.problems()


def test_missing_files_and_folders(pack: Pack, tmp_path: Path) -> None:
    (pack.folder / "game.yaml").unlink()
    assert pack.problems() == [
        "game.yaml:1: no such file; expected this file in every rulebook. Fix: write game.yaml"
    ]
    with pytest.raises(RulebookError, match="no such folder"):
        load_rulebook(tmp_path / "nowhere")
    assert not check_rulebook(tmp_path / "nowhere").ok


def test_what_is_forgotten_is_a_warning(pack: Pack) -> None:
    pack.add("factors/one.yaml", FILES[GRID].replace("id: grid", "id: one"))
    references = FILES["references.yaml"]
    pack.add("references.yaml", references + references.splitlines()[1].replace("scheme:", "idle:", 1) + "\n")
    report = pack.check()
    assert report.ok, report.problems
    assert report.warnings == (
        "references.yaml: idle is used by no value",
        "factors/one.yaml: used by no behaviour",
    )


def test_hostile_yaml_in_a_rule_file_is_refused_like_any_other_mistake(pack: Pack) -> None:
    pack.add(SHRUB, "id: &id shrub\nnames: *id\n").add(HILL, "- " * 30 + "\n")
    problems = pack.problems()
    assert [problem.split(";")[0] for problem in problems] == [
        f"{HILL}:1:[0][0][0][0]: more than 20 levels",
        f"{SHRUB}:1:id: the anchor &id",
        f"{SHRUB}:2:names: the alias *id",
    ]


def test_a_file_full_of_nonsense_is_told_briefly_and_soon(pack: Pack) -> None:
    pack.add(SHRUB, "".join(f"key{number}: {number}\n" for number in range(15_000)))
    pack.add(HILL, "".join("a: 1\n" for _ in range(40_000)))
    started = time.process_time()
    problems = pack.problems()
    assert time.process_time() - started < 20
    for file in (SHRUB, HILL):
        assert len([problem for problem in problems if problem.startswith(file)]) == PROBLEMS_PER_FILE_MAX + 1
        assert any(problem.startswith(f"{file}:1: more problems than are told") for problem in problems)


def test_the_shipped_rules_are_found_as_data_of_the_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    beside = shipped_rules()
    assert (beside / "game.yaml").is_file()
    monkeypatch.setattr(rulebook, "__file__", str(tmp_path / "engine" / "rulebook.py"))
    assert shipped_rules() == beside


# --- the hash ---------------------------------------------------------------------------------------


def test_formatting_does_not_change_the_hash(pack: Pack) -> None:
    before = pack.load().hash
    pack.edit(
        SHRUB,
        "id: shrub\nnames: {zh: 灌木, en: shrub}\n",
        "# a shrub\nnames:\n  en: 'shrub'\n  zh: 灌木\nid: shrub\n",
    )
    pack.edit(SAVING, "value: 1000,", 'value: "1000.0",').edit(
        SHRUB, "  2020-01-01: {value: 1000, ", '  "2020-01-01": {value: 1000.00, '
    )
    assert pack.load().hash == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (SHRUB, "value: 1500", "value: 1501"),
        (SHRUB, "2024-01-01", "2024-01-02"),
        (HILL, "granularity: pooled", "granularity: individual"),
        (SAVING, "what: Metered", "what: metered"),
        (GRID, "table: Hebei", "table: Hebei, p. 2"),
    ],
)
def test_every_change_of_content_changes_the_hash(pack: Pack, file: str, old: str, new: str) -> None:
    before = pack.load().hash
    new = new if "," not in new else f"'{new.removeprefix('table: ')}'"
    pack.edit(file, old, new if not new.startswith("'") else f"table: {new}")
    assert pack.load().hash != before


def test_a_file_that_is_put_aside_changes_the_hash(pack: Pack) -> None:
    before = pack.load().hash
    (pack.folder / HILL).unlink()
    assert pack.load().hash != before
