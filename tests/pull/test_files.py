"""Pull files are strict: what is wrong is told with file, line and fix, and no secret stands in one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine.pull.files import PullError, read_folder
from engine.pull.mapping import command_from, decoded, found_at
from engine.settings import pull_secret
from tests.pull.conftest import feed, ride

GOOD = """\
source: metro-bj
address: https://feed.example/v1/rides
every_s: 300
secret: SAXAUL_PULL_METRO_BJ
page: {records: data.items, next: data.next_cursor, size_parameter: limit, size: 500}
fields:
  id: trip_id
  subject: user.ref
  behaviour: {path: kind, words: {subway: metro, tram: bus}}
  quantity: {value: 1}
  unit: {value: ride}
  at: exit_time
  attributes.distance_km: distance_km
"""


def test_a_good_file(folder: Path) -> None:
    (folder / "metro-bj.yaml").write_text(GOOD)
    (folder / "README.md").write_text("not a feed")
    [file] = read_folder(folder)
    assert file.source == "metro-bj" and file.page.parameter == "cursor" and file.requests_per_min == 30


MISTAKES = [
    ("source: metro-bj", "source: other", "metro-bj.yaml:1:source: 'other'; expected the file's name"),
    ("https://feed.example/v1/rides", "ftp://feed.example/", "metro-bj.yaml:2:address"),
    (
        "https://feed.example/v1/rides",
        "https://me:pw@feed.example/",
        "expected an https:// address without user",
    ),
    ("https://feed.example/v1/rides", "https://feed.example:99999/", "metro-bj.yaml:2:address"),
    ("every_s: 300", "every_s: 1", "metro-bj.yaml:3:every_s: 1; expected a whole number from 5"),
    ("every_s: 300", "every: 300", "did you mean every_s?"),
    ("SAXAUL_PULL_METRO_BJ", "SAXAUL_OPERATOR_KEY", "begins with SAXAUL_PULL_"),
    ("SAXAUL_PULL_METRO_BJ", "whsec_c2VjcmV0", "the secret itself never stands in a file"),
    ("size: 500", "size: 5000", "metro-bj.yaml:5:page: 5000"),
    ("  id: trip_id\n", "", "nothing for id"),
    ("  at: exit_time\n", "", "nothing for at or on"),
    ("attributes.distance_km:", "distance_km:", "the unknown field 'distance_km'"),
    ("{value: ride}", "{value: ride, path: unit}", "unit with neither or both"),
    ("id: trip_id", "id: trip_id..x", "names joined by dots"),
    ("source: metro-bj", "source: &a metro-bj", "the anchor &a"),
    ("source: metro-bj", "source: metro-bj\nsource: metro-bj", "twice"),
]


@pytest.mark.parametrize(("old", "new", "says"), MISTAKES)
def test_what_is_wrong_is_told(folder: Path, old: str, new: str, says: str) -> None:
    assert GOOD.count(old) == 1 or old == "source: metro-bj"
    (folder / "metro-bj.yaml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(PullError) as refused:
        read_folder(folder)
    assert says in str(refused.value) and "Fix:" in str(refused.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(PullError, match="no folder"):
        read_folder(tmp_path / "none")


def test_only_secrets_of_pulls_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAXAUL_OPERATOR_KEY", "o")
    monkeypatch.setenv("SAXAUL_PULL_CITY", "s")
    assert pull_secret("SAXAUL_OPERATOR_KEY") is None and pull_secret("SAXAUL_PULL_CITY") == "s"


def test_a_record_becomes_the_activity_that_a_push_would_be() -> None:
    text = '{"trip": 42, "card": {"id": "a"}, "kind": "subway", "left_at": "2026-11-20T08:00:00+08:00", "km": 7.10}'
    record = decoded(text.encode())
    command = command_from(feed("https://feed.example/"), record)
    assert (command.source, command.activity, command.subject, command.behaviour) == (
        "city",
        "42",
        "a",
        "metro",
    )
    assert (command.quantity, command.unit, command.at) == (
        Decimal(1),
        "ride",
        1_763_596_800_000 + 31_536_000_000,
    )
    assert command.attributes == {"distance_km": "7.10"}
    again = command_from(feed("https://feed.example/"), ride(42, subject="a", trip="42", km="7.1"))
    assert again.content == command.content, (
        "the same act has the same content, however its numbers are written"
    )


def test_paths() -> None:
    tree = {"a": [{"b": 1}, {"b": 2}], "c": None}
    assert found_at(tree, "a.1.b") == 2 and found_at(tree, None) is tree
    for path in ("a.2.b", "a.x", "c.d", "z", "a.1.b.c", "a.-1"):
        assert found_at(tree, path) is None
