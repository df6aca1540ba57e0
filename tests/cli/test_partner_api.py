"""Keys, webhooks and test orders on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import Ran, run_saxaul

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "onboarding" / "green-desert.yaml"
PARTNER = "green-desert"


def test_keys_are_shown_once_and_webhooks_are_looked_after(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/game.db"

    def saxaul(*arguments: str) -> Ran:
        return run_saxaul("partners", *arguments, database_url=url)

    unknown = saxaul("keys", "make", "nobody")
    assert (unknown.status, "unknown_partner" in unknown.err) == (1, True)
    assert saxaul("onboard", str(SAMPLE)).status == 0
    made = saxaul("keys", "make", PARTNER, "--scope", "orders:read", "--note", "the ERP")
    assert re.fullmatch(r"sxp_live_[0-9a-f]{10}_[A-Za-z0-9_-]{43}\n", made.out)
    name = made.out[:19]
    wrong = saxaul("keys", "make", PARTNER, "--scope", "orders:eat")
    assert (wrong.status, "orders:answer" in wrong.err) == (2, True)
    rotated = json.loads(saxaul("keys", "rotate", name, "--keep-old-h", "1", "--json").out)
    assert (rotated["old"], rotated["key"].startswith("sxp_live_")) == (name, True)
    assert saxaul("keys", "revoke", rotated["id"]).status == 0
    over = saxaul("keys", "rotate", rotated["id"])
    assert (over.status, "key_over" in over.err) == (1, True)
    listed = json.loads(saxaul("keys", "list", PARTNER, "--json").out)
    assert [(row["id"], row["scopes"], row["note"]) for row in listed] == [
        (name, ["orders:read"], "the ERP"),
        (rotated["id"], ["orders:read"], "the ERP"),
    ]
    assert [row["state"].split()[0] for row in listed] == ["until", "revoked"]
    table = saxaul("keys", "list")
    assert name in table.out
    assert made.out.strip() not in table.out

    # webhooks and test orders
    refused = saxaul("webhooks", "make", PARTNER, "https://10.0.0.1/x")
    assert (refused.status, "can't be used" in refused.err) == (2, True)
    made = json.loads(
        saxaul("webhooks", "make", PARTNER, "https://api.elm.example/hook", "--test", "--json").out
    )
    assert made["secret"].startswith("whsec_")
    assert "saxaul partners webhooks list" in saxaul("webhooks", "rotate", "we_0").err
    assert saxaul("webhooks", "rotate", made["id"]).out.startswith("whsec_")
    assert saxaul("webhooks", "disable", made["id"]).status == 0
    assert "disabled (by " in saxaul("webhooks", "list").out
    assert saxaul("webhooks", "messages", made["id"], "--json").out == "[]\n"
    assert "no message" in saxaul("webhooks", "replay", "msg_0").err
    live = saxaul("sandbox-order", PARTNER)
    assert (live.status, "test_order_live" in live.err) == (1, True)  # nothing here keeps its tests apart
    assert "price" in saxaul("sandbox-order", PARTNER, "--species", "pine").err
