"""A rulebook as texts: whole, bounded, and with no path that leads anywhere."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from engine.core.quantify import assess
from engine.core.rules import RuleBook
from engine.rulebook import RulebookError, shipped_rules
from engine.rulefiles.packing import FILES_MAX, RULEBOOK_BYTES_MAX, book_of, digest_of, packed, stored
from engine.rulefiles.reading import FILE_BYTES_MAX
from tests.rules.pack import FILES, Pack


def test_the_shipped_rulebook_survives_the_journey(shipped: RuleBook) -> None:
    files = packed(shipped_rules())
    book = book_of(files)
    assert book == shipped
    kept = stored(book, dict(reversed(files.items())))
    assert kept.hash == shipped.hash and list(kept.files) == sorted(files)
    assert kept.digest == digest_of(files) != digest_of(FILES)


def test_it_keeps_the_hash_under_which_it_was_stored() -> None:
    book = book_of(FILES, "a" * 64)
    assert book.hash == "a" * 64
    day = date(2020, 1, 1)  # on which the examples were run, under the hash of the files
    assert assess(book, "saving", Decimal(3), "kWh", day, {}, None).trace["rules"] == book.hash


@pytest.mark.parametrize(
    "path",
    [
        "../game.yaml",
        "/etc/game.yaml",
        "behaviours/../../x.yaml",
        "behaviours/a/b/c/d.yaml",
        "factors/\\..\\x.yaml",
        "factors/x.yaml\n",
        "factors/.x.yaml",
        "factors/X.yaml",
        "game.yml",
        "",
        "factors/" + "x" * 300 + ".yaml",
        "factors//x.yaml",
        "~/x.yaml",
        "con\x00.yaml",
    ],
)
def test_a_path_leads_nowhere_else(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RulebookError, match="a path that no rule file has"):
        book_of({**FILES, path: "id: x"})
    assert list(tmp_path.rglob("*")) == []


def test_a_file_without_a_place_is_told(pack: Pack) -> None:
    with pytest.raises(RulebookError, match="not part of a rulebook"):
        book_of({**FILES, "elsewhere/x.yaml": "id: x"})


def test_size_and_number_have_limits() -> None:
    many = {f"factors/x{number}.yaml": "id: x" for number in range(FILES_MAX + 1)}
    with pytest.raises(RulebookError, match="more than 1,000 files"):
        book_of(many)
    share = RULEBOOK_BYTES_MAX // (FILE_BYTES_MAX // 2) + 1
    large = {f"factors/x{number}.yaml": "#" * (FILE_BYTES_MAX // 2) for number in range(share)}
    with pytest.raises(RulebookError, match="bytes in all"):
        book_of(large)
    with pytest.raises(RulebookError, match="at most 262,144 bytes"):
        book_of({**FILES, "factors/x.yaml": "#" * (FILE_BYTES_MAX + 1)})


def test_half_a_character_is_refused() -> None:
    with pytest.raises(RulebookError, match="half a character"):
        book_of({**FILES, "factors/x.yaml": "id: \ud800"})


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
        "{" * 10_000,
        "- " * 50_000,
        "value: NaN",
        "!!python/object:os.system {}",
        "a: 1\na: 2",
        "--- 1\n--- 2",
    ],
)
def test_hostile_text_is_told_quickly(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RulebookError):
        book_of({**FILES, "factors/x.yaml": text})
    assert time.monotonic() - begun < 5


def test_a_folder_that_is_no_text_is_told(pack: Pack) -> None:
    (pack.folder / "factors/x.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RulebookError, match="UTF-8"):
        packed(pack.folder)
