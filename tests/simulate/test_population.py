"""Population files: what ships is sound; what is wrong is told with line and fix; nothing hostile gets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.simulate.population import (
    SHIPPED,
    PopulationError,
    check_population,
    read_population,
    shipped_populations,
)
from tests.simulate.small import rulebook

TEXT = (SHIPPED / "city-and-town.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_populations())
def test_what_ships_is_sound(name: str) -> None:
    population, document = read_population(SHIPPED / f"{name}.yaml")
    check_population(population, {"": rulebook()}, document)


WRONG = [
    ("users: 2000", "users: 0", "users", "from 1 to 500,000"),
    ("users: 2000", "users: 1e9", "users", "a whole number"),
    ("users: 2000", "users: 3000000", "users", "from 1 to 500,000"),
    ("days: 180", "days: 36500", "days", "from 1 to 3,660"),
    ("start: 2026-01-01", "start: tomorrow", "start", "a day"),
    ("zone: Asia/Shanghai", "zone: Mars/Olympus", "zone", "IANA"),
    ("share: 0.6,", "share: 0.7,", "", "shares that make 1"),
    ("share: 0.6,", "share: NaN,", "places.city.share", "an exact number"),
    ("province: CN-BJ", "province: Beijing", "places.city.province", "ISO 3166"),
    ("opens_per_day: 4", "opens_per_day: 1000", "habits.keen.opens_per_day", "from 1 to 24"),
    ("mean: 32", "mean: 100000", "friends.mean", "from 0 to 500"),
    ("tail: 1.8", "tail: 1", "friends.tail", "from 1.05 to 10"),
    ("friends: {", "freinds: {", "freinds", "did you mean friends"),
    ("spread: 0.6", "spread: 30", "acts.walking.quantity.spread", "from 0 to 3"),
    ("other_acts:", "zone: UTC\nother_acts:", "zone", "twice"),
    ("acts:", "acts: &all", "acts", "anchor"),
]


@pytest.mark.parametrize(("old", "new", "path", "expected"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, path: str, expected: str
) -> None:
    assert old in TEXT
    file = tmp_path / "people.yaml"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PopulationError) as caught:
        read_population(file)
    told = str(caught.value)
    assert expected in told
    assert "Fix:" in told
    [*_, problem] = [one for one in caught.value.problems if one.path == path]
    assert problem.file == "people.yaml"
    if path:
        line = file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
        assert path.rsplit(".", 1)[-1] in line


def test_what_no_rulebook_knows_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "people.yaml"
    file.write_text(TEXT.replace("  bus: {", "  buss: {", 1), encoding="utf-8")
    population, document = read_population(file)
    with pytest.raises(PopulationError) as caught:
        check_population(population, {"": rulebook()}, document)
    [problem] = caught.value.problems
    assert "buss" in file.read_text(encoding="utf-8").splitlines()[problem.line - 1]
    assert (problem.path, problem.fix) == ("acts.buss", "correct the id, or remove it")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 100 + "]" * 100,
        "a: &a [x]\nb: *a\n",
        "!!python/object/apply:os.system ['true']\n",
        "users: 1\n---\nusers: 2\n",
        "users: !!int 3\n",
        "\x00",
        "x" * 300_000,
    ],
    ids=lambda text: repr(text)[:20],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "people.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PopulationError):
        read_population(file)
