"""Editors accept every shipped file and mark the mistakes that people make."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from engine.rulebook import shipped_rules
from engine.workbench.schemas import WIRING, file_name, json_schema, kinds, write

ROOT = shipped_rules()


def as_editor(file: Path) -> Any:
    """A file as a plain YAML reader sees it: numbers are numbers; days are texts, as in YAML 1.2's core."""
    return _as_json(YAML(typ="safe", pure=True).load(file))


def _as_json(tree: object) -> object:
    if isinstance(tree, dict):
        return {str(_as_json(key)): _as_json(inner) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [_as_json(inner) for inner in tree]
    return tree.isoformat() if isinstance(tree, date) else tree


def validator(kind: str) -> Any:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", kinds())
def test_editors_accept_the_shipped_files(kind: str) -> None:
    files = sorted(ROOT.glob(kinds()[kind][0]))
    assert files
    for file in files:
        validator(kind).validate(as_editor(file))


def test_every_shipped_file_has_a_kind() -> None:
    found = {file for pattern, _ in kinds().values() for file in ROOT.glob(pattern)}
    assert found == set(ROOT.rglob("*.yaml"))


METRO = "behaviours/green-travel/metro.yaml"
# kind, file, path, what is written there (None: the key is left out), the key that is then told
MISTAKES: list[tuple[str, str, tuple[Any, ...], Any]] = [
    ("behaviour", METRO, ("energy", "method"), "constant"),
    ("behaviour", METRO, ("energy", "grams", "2026-13"), {"value": 1}),
    ("behaviour", METRO, ("energy", "grams", "2016-1-1"), {"value": 1}),
    ("behaviour", METRO, ("caps", "day_grams"), {}),
    ("behaviour", METRO, ("caps", "day_count", "2016-01-01", "value"), "five"),
    ("behaviour", METRO, ("caps", "day_count", "2016-01-01", "confidence"), "sure"),
    ("behaviour", METRO, ("caps", "day_count", "2016-01-01", "references"), []),
    ("behaviour", METRO, ("avoided", "share", "2016-01-01", "because"), None),
    ("behaviour", METRO, ("names", "zh"), None),
    ("behaviour", METRO, ("examples",), []),
    ("behaviour", METRO, ("id",), "Metro Ride"),
    ("behaviour", METRO, ("others_see",), "everything"),
    ("factor", "factors/car.yaml", ("figures", 0, "region"), "china"),
    ("factor", "factors/car.yaml", ("figures", 0, "year"), "this year"),
    ("species", "species/saxaul.yaml", ("kind",), "cloud"),
    ("species", "species/saxaul.yaml", ("energy_g",), 17900),
    ("programme", "programmes/saxaul-alxa.yaml", ("open_on",), "soon"),
    ("game", "game.yaml", ("life_h",), None),
    ("references", "references.yaml", ("references", "defra-2025", "link"), "gov.uk"),
    ("references", "references.yaml", ("confirmed_on",), "yesterday"),
    ("published", "published.yaml", ("acts", "step", "published", 0, "counts"), "points"),
]


@pytest.mark.parametrize(("kind", "file", "path", "value"), MISTAKES, ids=lambda one: str(one)[:40])
def test_typical_mistakes_are_marked(kind: str, file: str, path: tuple[Any, ...], value: Any) -> None:
    tree = as_editor(ROOT / file)
    check = validator(kind)
    assert check.is_valid(tree)
    bad = copy.deepcopy(tree)
    place = bad
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert not check.is_valid(bad)


def test_keys_are_described_for_who_hovers_over_them() -> None:
    for kind in kinds():
        schema = json_schema(kind)
        for model in (schema, *schema.get("$defs", {}).values()):
            bare = [
                name
                for name, about in model.get("properties", {}).items()
                if not ({"description", "const"} & set(about)) and name not in ("references", "tables")
            ]
            assert not bare, (kind, model.get("title"), bare)


def test_written_files_join_schemas_and_rule_files(tmp_path: Path) -> None:
    written = write(tmp_path / "schemas")
    assert {place.name for place in written} == {WIRING, *map(file_name, kinds())}
    wired = json.loads((tmp_path / "schemas" / WIRING).read_text())["yaml.schemas"]
    for schema, pattern in wired.items():
        assert (tmp_path / schema).is_file()
        assert list(ROOT.parent.glob(pattern)), pattern
