"""Nothing is stale, units balance everywhere, and a check tells it to machines as to people."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from engine.core.dimensions import dimension
from engine.rulebook import check_rulebook, load_files, shipped_rules
from engine.rulefiles.staleness import STALE_AFTER_D
from engine.workbench.checking import check
from tests.rules.pack import FILES, Pack

CONFIRMED = date(2026, 11, 23)
UNITS_TRIED_MAX = 40


def stale(pack: Pack, today: date) -> list[str]:
    return [warning for warning in check_rulebook(pack.folder, today).warnings if "confirmed" in warning]


def test_a_reference_is_stale_after_a_year(pack: Pack) -> None:
    pack.add(
        "references.yaml",
        FILES["references.yaml"].replace("licence: CC0", "licence: CC0, confirmed_on: 2026-11-23"),
    )
    last = CONFIRMED + timedelta(days=STALE_AFTER_D)
    assert stale(pack, CONFIRMED) == stale(pack, last) == []
    [warning] = stale(pack, last + timedelta(days=1))
    assert warning.startswith("references.yaml:2:references.scheme.confirmed_on: 'scheme' was last confirmed")
    values = sum(text.count("references: [scheme]") for text in FILES.values())
    assert f"366 days ago; {values} values rest on it" in warning and "Fix: look the source up" in warning
    [early] = stale(pack, CONFIRMED - timedelta(days=1))
    assert "which is after" in early


def test_the_files_day_holds_for_those_without_their_own(pack: Pack) -> None:
    [never] = stale(pack, CONFIRMED)
    assert "'scheme' was never confirmed" in never
    pack.add("references.yaml", "confirmed_on: 2025-11-01\n" + FILES["references.yaml"])
    [old] = stale(pack, CONFIRMED)
    assert old.startswith("references.yaml:3:references.scheme: 'scheme' was last confirmed on 2025-11-01")
    assert check_rulebook(pack.folder).warnings == (), "without a day nothing is too old"


def test_written_down_is_not_confirmed(pack: Pack) -> None:
    """Both keep a reference from being stale for a year, and are told apart."""
    pack.add("references.yaml", "written_on: 2025-11-01\n" + FILES["references.yaml"])
    assert stale(pack, date(2026, 11, 1)) == []
    assert check_rulebook(pack.folder, CONFIRMED).confirmed == 0
    [old] = stale(pack, CONFIRMED)
    assert "'scheme' was never confirmed since it was written down on 2025-11-01, 387 days ago" in old
    pack.edit("references.yaml", "licence: CC0", "licence: CC0, confirmed_on: 2026-11-20")
    assert stale(pack, CONFIRMED) == [] and check_rulebook(pack.folder, CONFIRMED).confirmed == 1
    before = check_rulebook(pack.folder).hash
    pack.edit("references.yaml", "written_on: 2025-11-01", "written_on: 2025-11-02")
    assert check_rulebook(pack.folder).hash == before, "no ball depends on it"


def test_a_stale_rulebook_can_still_be_used(pack: Pack) -> None:
    checked = check(pack.folder, date(2040, 1, 1))
    assert checked.ok and checked.warnings
    told = checked.document()
    assert told["ok"] and told["hash"] and told["warnings"] and told["problems"] == []


def test_problems_for_machines_have_all_parts(pack: Pack) -> None:
    pack.edit("species/shrub.yaml", "kind: shrub", "kind: cloud")
    told = check(pack.folder, CONFIRMED).document()
    assert not told["ok"] and told["hash"] is None
    [problem] = told["problems"]
    assert problem["file"] == "species/shrub.yaml" and problem["line"] == 4 and problem["path"] == "kind"
    assert problem["found"] and problem["expected"] and problem["fix"]


def units() -> list[tuple[str, str]]:
    """Every unit that the shipped files multiply: file and the line that says it."""
    found = []
    for name in load_files().models:
        if name.startswith(("behaviours/", "factors/")):
            text = (shipped_rules() / name).read_text()
            lines = [line for line in text.splitlines() if re.match(r"\s*(- )?unit: ", line)]
            found += [(name, line) for line in dict.fromkeys(lines) if text.count(f"{line}\n") == 1]
    return found[:: 1 + len(found) // UNITS_TRIED_MAX]


@pytest.mark.parametrize(("name", "line"), units(), ids=lambda one: one.strip()[:50])
def test_every_unit_of_the_shipped_rules_is_checked_against_the_others(
    name: str, line: str, own_copy: Pack
) -> None:
    """A unit of another kind in any place is found, whether it belongs to a factor, a quantity or an amount."""
    head, unit = line.split("unit: ")
    above, *below = unit.split("#")[0].strip().strip('"').split("/")
    kind = dimension("/".join([above, *below]))
    others = ["/".join([one, *below]) for one in ("m3", "kWh", "km")]
    if above.endswith("CO2e"):
        others = ["/".join([above, "night"]), "/".join([above, "kg"])]
    other = next(one for one in others if not dimension(one).same_kind(kind))
    own_copy.edit(name, f"{line}\n", f"{head}unit: {other}\n")
    report = check_rulebook(own_copy.folder)
    assert not report.ok, f"{name}: {unit} → {other} is not found"
