"""Staff of partners on the command line: links, who may log in, and out again."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Ran, run_saxaul
from tests.partners.portal.yard import portal_file


def test_staff_are_invited_listed_and_removed(tmp_path: Path) -> None:
    settings = {
        "database_url": f"sqlite:///{tmp_path}/game.db",
        "partner_portal": portal_file(tmp_path, "alxa-green", language='"en"'),
        "portal_url": "https://trees.example/",
    }

    def saxaul(*words: str) -> Ran:
        return run_saxaul("partners", "staff", *words, **settings)

    made = saxaul("invite", "alxa-green", "li", "--by", "ana")
    assert made.check().out.startswith("https://trees.example/portal/invitation/")
    again = saxaul("invite", "alxa-green", "li", "--language", "zh", "--json").check().json
    assert (again["staff"], again["state"]) == ("alxa-green/li", "invited")
    assert made.out.strip() != again["link"]
    [row] = saxaul("list", "--json").check().json
    assert (row["id"], row["state"], row["language"], "password" in row) == (
        "alxa-green/li",
        "invited",
        "zh",
        False,
    )
    assert "alxa-green/li" in saxaul("list", "--partner", "alxa-green").out
    assert saxaul("remove", "alxa-green", "li").status == 0
    assert saxaul("list", "--json").json[0]["state"] == "removed"
    unknown = saxaul("remove", "alxa-green", "nobody")
    assert (unknown.status, "unknown_staff" in unknown.err) == (1, True)
    stranger = saxaul("invite", "elm", "li")
    assert (stranger.status, "SAXAUL_PARTNER_PORTAL" in stranger.err) == (2, True)
    for name in ("Li Lei", "../li", "x" * 41):
        assert saxaul("invite", "alxa-green", name).status == 2
    assert saxaul("invite", "alxa-green", "li", "--language", "fr").status == 2
