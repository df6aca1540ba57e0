"""Where, by how many and with what remark a batch was planted: kept as it was first said, shown to reviewers, and of it
the point alone, as exactly as the site's record allows, to the public."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import Rejected
from engine.core.numbers import order_number
from partners.adapters.files.judging import _e6
from partners.adapters.simulator.mapping import report_of
from partners.core import commands as c
from partners.core.model import BatchShown, EvidenceShown, PartnerReport
from tests.partners.bench import PROGRAMME
from tests.partners.public.town import planted_with, site_command, town
from tests.partners.test_after_checks import PARTNER
from tests.partners.world import World, batch, terms


def said(world: World, order: int, state: str = "in_planting", **details: Any) -> None:
    from dataclasses import replace

    shown = replace(batch("1", 3, "a"), **details)
    world.say(order, state, accepted=4, batches=(shown,))


def test_details_are_kept_as_they_were_first_said() -> None:
    world = World(terms())
    order = world.ordered(4)
    said(world, order, planters=5)
    said(world, order, latitude_e6=38_600_000, longitude_e6=103_100_000, notes="wind from the north")
    said(world, order, planters=9, latitude_e6=1, longitude_e6=1, notes="other")
    row = world.rows["batches"][f"{order}/1"]
    assert (row.planters, row.latitude_e6, row.longitude_e6) == (5, 38_600_000, 103_100_000)
    assert row.notes == "wind from the north"


@pytest.mark.parametrize(
    "wrong",
    [
        {"latitude_e6": 1},
        {"longitude_e6": 1},
        {"latitude_e6": 90_000_001, "longitude_e6": 0},
        {"latitude_e6": 0, "longitude_e6": -180_000_001},
        {"planters": -1},
        {"planters": 1_000_001},
        {"notes": "x" * 501},
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(wrong: dict[str, Any]) -> None:
    world = World(terms())
    order = world.ordered(4)
    with pytest.raises(Rejected, match="bad_request"):
        said(world, order, **wrong)
    assert world.rows["batches"] == {}


@pytest.mark.parametrize(
    ("degrees", "e6"),
    [("103.1234565", 103_123_456), ("103.1234575", 103_123_458), ("-0.0000004", 0), ("90", 90_000_000)],
)
def test_degrees_become_millionths_with_one_rounding(degrees: str, e6: int) -> None:
    assert _e6(Decimal(degrees)) == e6
    assert _e6(None) is None


def wire(**planting: Any) -> dict[str, Any]:
    told = {
        "report": "1",
        "trees": 3,
        "from": "2026-11-20",
        "to": "2026-11-23",
        "site": PROGRAMME,
        "photos": [],
    }
    at = datetime(2026, 11, 24, tzinfo=UTC).isoformat()
    return {
        "id": "n-1",
        "reference": order_number(17),
        "status": "planting",
        "at": at,
        "accepted": 3,
        "plantings": [told | planting],
    }


def test_the_wire_has_them_too() -> None:
    [shown] = report_of(wire(latitude=38.6, longitude=103.1, planters=4, notes="dry")).batches
    assert (shown.latitude_e6, shown.longitude_e6, shown.planters, shown.notes) == (
        38_600_000,
        103_100_000,
        4,
        "dry",
    )
    for wrong in ({"latitude": "38"}, {"latitude": float("nan")}, {"latitude": True}, {"longitude": 181}):
        with pytest.raises(Rejected):
            report_of(wire(**wrong))


async def test_the_public_sees_the_point_as_exactly_as_the_record_allows(tmp_path: Path) -> None:
    place = {"latitude_e6": 38_604_321, "longitude_e6": 103_104_321}
    async with town(f"sqlite:///{tmp_path}/game.db") as at:
        order = await planted_with(at.bench, planters=7, notes="Farmer Ma helped", **place)
        path = f"/v1/registry/batches/{order_number(order)}/1"
        shown = await at.read(path)
        assert (shown["point"], shown["planters"]) == ([103.104321, 38.604321], 7)
        changed = site_command(PROGRAMME, name_en="Alxa", shown_m=10_000)
        await at.bench.do(changed)
        coarse = await at.read(path)
        assert coarse["point"] != shown["point"]
        for where in (path, f"/v1/registry/sites/{PROGRAMME}", "/v1/registry/data/batches.geojson"):
            text = (await at.get(where)).text
            assert "Farmer Ma" not in text and "104321" not in text, where
        [(notes,)] = await at.bench.rows("SELECT notes FROM batches")
        assert notes == "Farmer Ma helped"
        more = BatchShown(
            "1", 3, "2026-11-20", "2026-11-23", PROGRAMME, (EvidenceShown(f"{order:064x}"),), planters=9
        )
        again = PartnerReport(order, "planted", 2, accepted=3, batches=(more,), by="w")
        await at.bench.do(c.RecordReport(None, PARTNER, "again", "d", again))
        assert (await at.read(path))["planters"] == 7
