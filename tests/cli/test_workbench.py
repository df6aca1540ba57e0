"""The workbench at the terminal: exit codes, tables, documents for machines, clear refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.rulebook import load_files, shipped_rules
from tests.cli.conftest import Saxaul

METRO = "behaviours/green-travel/metro.yaml"


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A copy of the shipped rulebook to change."""
    folder = tmp_path / "trial"
    shutil.copytree(shipped_rules(), folder)
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["check", "schema", "explain", "spread", "diff"])
def test_every_command_explains_itself(saxaul: Saxaul, name: str) -> None:
    told = saxaul("rules", name, "--help").check().out
    assert "Usage:" in told and len(told) > 200


def test_check_warns_of_what_is_stale_and_may_be_strict(saxaul: Saxaul) -> None:
    fresh = saxaul("rules", "check", "--on", "2026-12-01", "--strict").check()
    assert "confirmed" not in fresh.err and "documented" in fresh.out
    old = saxaul("rules", "check", "--on", "2028-06-01")
    assert old.status == 0 and "was never confirmed since it was written down on 2026-11-23" in old.err
    assert saxaul("rules", "check", "--on", "2028-06-01", "--strict").status == 1
    told = saxaul("rules", "check", "--on", "2028-06-01", "--json").check().json
    assert told["warnings"] and set(told["values"]) == {"documented", "derived", "assumed"}
    assert saxaul("rules", "check", "--on", "1 June").status == 2


def test_schemas_are_printed_and_written(saxaul: Saxaul, tmp_path: Path) -> None:
    assert set(saxaul("rules", "schema").check().json) >= {"behaviour", "factor", "game", "published"}
    assert saxaul("rules", "schema", "species").check().json["title"] == "SpeciesFile"
    wrong = saxaul("rules", "schema", "specie")
    assert wrong.status == 2 and "behaviour" in wrong.err
    written = saxaul("rules", "schema", "--out", "schemas").check()
    assert "schemas/behaviour.schema.json" in written.out and ".vscode/settings.json" in written.err
    assert json.loads((tmp_path / "schemas" / "vscode-settings.json").read_text())["yaml.schemas"]
    (tmp_path / "file").write_text("")
    assert saxaul("rules", "schema", "--out", "file").status == 2


def test_explain_in_both_languages(saxaul: Saxaul) -> None:
    act = ("rules", "explain", "metro", "--quantity", "1", "--on", "2026-11-22", "--region", "CN-BJ")
    told = saxaul(*act, "--attribute", "distance_km=7.5").check().out
    assert "394,602 mg CO2e, give or take 30 %" in told and "[beijing-2019] Briefing" in told
    chinese = saxaul(*act, "--attribute", "distance_km=7.5", "--lang", "zh").check().out
    assert "地铁出行" in chinese and "394,602 mg" in chinese and "介于 276,221 与 512,983" in chinese
    assert "每日次数 5" in chinese and "acts a day 5" in told
    capped = saxaul("rules", "explain", "walking", "--quantity", "20000").check().out
    assert "cap of a day 296; on an otherwise empty day 296 g are booked" in capped
    document = saxaul(*act, "--json").check().json
    assert document["agrees"] and document["trace"]["province"] == "CN-BJ" and document["references"]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("metr", "--quantity", "1"), 1, "did you mean metro"),
        (("metro", "--quantity", "2"), 1, "quantity_out_of_range"),
        (("metro", "--quantity", "1", "--unit", "km"), 1, "expected='ride'"),
        (("metro", "--quantity", "1", "--on", "1999-01-01"), 1, "not_in_force"),
        (("metro", "--quantity", "1", "--attribute", "speed=9"), 1, "bad_attribute"),
        (("metro", "--quantity", "one"), 2, "plain number"),
        (("metro", "--quantity", "NaN"), 2, "plain number"),
        (("metro", "--quantity", "1e999999"), 2, "plain number"),
        (("metro", "--quantity", "1", "--attribute", "speed"), 2, "name=value"),
        (("metro", "--quantity", "1", "--on", "20261122"), 2, "not a day"),
        (("metro", "--quantity", "1", "--rules", "nowhere"), 2, "no folder"),
        (("clothes-recycling", "--quantity", "5"), 1, "missing_attribute"),
    ],
)
def test_what_cannot_be_explained(saxaul: Saxaul, arguments: tuple[str, ...], status: int, says: str) -> None:
    ran = saxaul("rules", "explain", *arguments)
    assert ran.status == status and says in ran.err, ran.err
    assert "Traceback" not in ran.err


def test_a_refusal_for_machines(saxaul: Saxaul) -> None:
    ran = saxaul("rules", "explain", "metro", "--quantity", "2", "--json")
    assert ran.status == 1 and ran.json["refused"]["code"] == "quantity_out_of_range"


def test_spread_beside_ours(saxaul: Saxaul) -> None:
    told = saxaul("rules", "spread").check().out
    assert "largest / smallest: 11.78" in told and "ours: metro" in told and "not in this rulebook" in told
    document = saxaul("rules", "spread", "metro", "--json").check().json
    [act] = document["acts"]
    assert act["ours"]["avoided_g"] == "348.6" and len(act["published"]) == 8
    assert "地铁一次" in saxaul("rules", "spread", "metro", "--lang", "zh").check().out
    assert saxaul("rules", "spread", "flying").status == 2


def test_diff_says_what_changes_for_a_typical_act(saxaul: Saxaul, trial: Path) -> None:
    same = saxaul("rules", "diff", shipped_rules(), trial).check()
    assert "Nothing that decides anything is different" in same.out
    line = "    2016-01-01: {value: 296, confidence: documented"
    later = line.replace("2016-01-01", "2027-01-01").replace("296", "350")
    edit(trial, "behaviours/green-travel/walking.yaml", line, f"{later}, references: [guide-xmcar]}}\n{line}")
    ran = saxaul("rules", "diff", shipped_rules(), trial, "--on", "2026-11-25").check()
    assert "cap of a day" in ran.out and "296 g" in ran.out and "350 g" in ran.out and "+18.2" in ran.out
    assert "8,880 → 9,840" in ran.out and "296 → 328" in ran.out and "EDITED" not in ran.out
    chinese = saxaul("rules", "diff", shipped_rules(), trial, "--lang", "zh").out
    assert "每日上限" in chinese and "行为 行走" in chinese


def test_diff_says_loudly_what_was_edited_in_place(saxaul: Saxaul, trial: Path) -> None:
    edit(trial, METRO, "value: 52", "value: 60")
    broken = saxaul("rules", "diff", shipped_rules(), trial)
    assert broken.status == 1 and "rules check" in broken.err, "examples that fail are told first"
    edit(trial, METRO, "energy_g: 52", "energy_g: 60")
    ran = saxaul("rules", "diff", shipped_rules(), trial, "--on", "2026-11-25")
    assert ran.status == 1 and "!!! EDITED IN PLACE" in ran.out
    assert "52 g → 60 g" in ran.out and "put 52 g back, and add a value dated 2026-11-25" in ran.out
    document = saxaul("rules", "diff", shipped_rules(), trial, "--json")
    assert document.status == 1 and document.json["backdated"]
    assert saxaul("rules", "diff", shipped_rules(), "nowhere").status == 2


def test_diff_takes_rulebooks_that_are_kept(saxaul: Saxaul, trial: Path, tmp_path: Path) -> None:
    database = ("--database", f"sqlite:///{tmp_path}/kept.db")
    again = saxaul("rules", "publish", trial, "--by", "lin", "--why", "a trial", *database)
    assert again.status == 1 and "already_in_force" in again.err  # the first start has published what ships
    kept = load_files(trial).book.hash
    for name in (kept, kept[:8], "in-force"):
        assert "Nothing that decides" in saxaul("rules", "diff", name, trial, *database).check().out
    for name in ("abcdef0123", "nowhere"):
        assert saxaul("rules", "diff", name, trial, *database).status == 2
