"""The operator's desk on the command line: a short exercise is kept, looked at, and its orders are held and let go."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Ran, run_saxaul


def test_orders_are_held_disputed_and_reconciled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/year.db"

    def saxaul(*arguments: str) -> Ran:
        return run_saxaul(*arguments, database_url=url)

    played = run_saxaul(
        "orders", "year", "--trees", "900", "--partners", "3", "--months", "2", "--database", url, "--json"
    )
    figures = played.check().json
    assert figures["findings"] == []
    assert figures["audit"]["places"]["in an order"] > 0
    again = run_saxaul("orders", "year", "--trees", "10", "--months", "1", "--database", url)
    assert (again.status, "not empty" in again.err) == (1, True)

    listed = saxaul("orders", "list", "--state", "accepted", "--json").check().json["orders"]
    number, partner = listed[0]["number"], listed[0]["partner"]
    assert saxaul("orders", "hold", number, "--why", "odd photos", "--by", "li").status == 0
    queue = saxaul("orders", "queue", "--json").check().json["queue"]
    assert ("held", "odd photos") in [(one["why"], one["detail"]) for one in queue if one["number"] == number]
    assert "odd photos" in saxaul("orders", "queue").check().out
    assert saxaul("orders", "resume", number, "--by", "li").status == 0
    opened = (
        saxaul("orders", "dispute", number, "--why", "no tree seen", "--of", "a visitor", "--json")
        .check()
        .json
    )
    assert (
        saxaul("orders", "resume", number).status,
        saxaul("orders", "hold", "PO-1", "--why", "x").status,
    ) == (1, 2)
    assert saxaul("orders", "answer", opened["dispute"], "--text", "visited").status == 0
    assert (
        saxaul("orders", "decide", opened["dispute"], "--outcome", "dismissed", "--note", "they stand").status
        == 0
    )
    assert saxaul("orders", "cancel", number, "--why", "frost", "--json").check().json["asked"] == "operator"
    refused = saxaul("orders", "resolve", "submit:1", "--arrived")
    assert (refused.status, "unknown_delivery" in refused.err) == (1, True)

    ours = [
        one
        for one in saxaul("orders", "list", "--json").json["orders"]
        if one["partner"] == partner and one["state"] != "draft"
    ]
    head = "order no.,line no.,state,accepted quantity (trees)"
    rows = [
        f"{one['number']},1,{'received' if one['state'] == 'submitted' else one['state']}," for one in ours
    ]
    file = tmp_path / "statement.csv"
    file.write_text("\n".join([head, *rows]) + "\n")
    told = saxaul("orders", "reconcile", partner, "--file", str(file), "--language", "en", "--json")
    assert json.loads(told.out)["problems"] == []
    assert {one["what"] for one in told.json["differences"]} <= {
        "missing_with_them"
    }  # lines beyond the first
    file.write_text("\n".join([head, rows[0].replace(",1,", ",1,planted,9").rstrip(","), *rows[1:]]) + "\n")
    told = saxaul("orders", "reconcile", partner, "--file", str(file), "--language", "en")
    assert (told.status, number in told.out or ours[0]["number"] in told.out) == (1, True)
    assert saxaul("orders", "reconcile", "nobody", "--file", str(file)).status == 1
    assert saxaul("orders", "reconcile", partner).status == 2
    assert saxaul("check").status == 0

    assert "saxaul-alxa" in saxaul("orders", "budget").check().out
    demand = tmp_path / "demand.json"
    demand.write_text(
        json.dumps({"tables": {"trees": [{"month": "2028-01", "programme": "nowhere", "trees": 5}]}})
    )
    forecast = saxaul("orders", "forecast", "--demand", str(demand), "--json")
    assert (forecast.status, forecast.json["missing"] >= 5) == (1, True)
    demand.write_text("[]")
    assert saxaul("orders", "forecast", "--demand", str(demand)).status == 2
