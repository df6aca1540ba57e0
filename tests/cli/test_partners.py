"""Records of partners on the command line: from a file to a quota, and what stands in the way."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Ran, run_saxaul

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "onboarding" / "green-desert.yaml"


def test_a_partner_is_onboarded_looked_at_and_suspended(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/game.db"

    def saxaul(*arguments: str) -> Ran:
        return run_saxaul(*arguments, database_url=url)

    checked = saxaul("partners", "onboard", "--check", str(SAMPLE))
    assert (checked.status, not (tmp_path / "game.db").exists()) == (0, True)
    done = saxaul("partners", "onboard", str(SAMPLE), "--by", "li", "--json")
    assert json.loads(done.out) == {"partner": "green-desert", "done": 15, "refused": None}
    [partner] = json.loads(saxaul("partners", "list", "--json").out)
    assert (partner["id"], partner["status"]) == ("green-desert", "active")
    shown = saxaul("partners", "show", "green-desert")
    assert "orders@" not in shown.out
    assert "绿漠生态促进会" in shown.out
    assert "orders@green-desert.example" in saxaul("partners", "show", "green-desert", "--contacts").out
    assert "minqin-east/saxaul/2027-spring" in saxaul("quotas", "list").out
    assert json.loads(saxaul("agreements", "show", "green-desert/1").out)["terms"]["timers"]["expire_d"] == 14
    assert json.loads(saxaul("sites", "show", "minqin-east").out)["geometry"]["type"] == "MultiPolygon"
    refused = saxaul("quotas", "set", "minqin-east", "saxaul", "2027-summer", "5")
    assert (refused.status, "unknown_season" in refused.err) == (1, True)
    assert saxaul("quotas", "set", "minqin-east", "saxaul", "2027-spring", "5").status == 0
    assert saxaul("sites", "retire", "minqin-east", "--why", "sold").status == 0
    assert saxaul("partners", "suspend", "green-desert", "--why", "photos used twice").status == 0
    assert "suspended (photos used twice)" in saxaul("partners", "list").out
    assert saxaul("partners", "renew", "green-desert", *RENEWAL).status == 0
    assert saxaul("partners", "activate", "green-desert").status == 0
    assert saxaul("agreements", "end", "green-desert", "1").status == 0
    assert "No tree waits." in saxaul("orders", "waiting").err
    assert "Nothing was placed yet." in saxaul("orders", "why").err
    assert saxaul("check").status == 0


RENEWAL = ("--kind", "insurance", "--number", "2", "--issuer", "PICC", "--expires", "2036-12-31")


def test_what_is_wrong_with_a_file_or_a_name_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(SAMPLE.read_text("utf-8").replace("tier: 2", "tier: high"), "utf-8")
    (tmp_path / "minqin-east.geojson").write_text(SAMPLE.with_name("minqin-east.geojson").read_text("utf-8"))
    url = f"sqlite:///{tmp_path}/game.db"
    told = run_saxaul("partners", "onboard", str(path), database_url=url)
    line = next(no for no, row in enumerate(path.read_text("utf-8").splitlines(), 1) if "tier: high" in row)
    assert (told.status, f"file.yaml:{line}:partner.tier" in told.err) == (1, True)
    assert run_saxaul("partners", "onboard", str(tmp_path / "nowhere.yaml"), database_url=url).status == 2
    for command in (
        ("partners", "show", "nobody"),
        ("agreements", "show", "nobody/1"),
        ("sites", "show", "nowhere"),
        ("partners", "vet", "nobody"),
    ):
        told = run_saxaul(*command, database_url=url)
        assert (told.status, "Traceback" in told.err) == (1, False), command
