"""A replacement from its count to its end: real writer, real databases, the simulated NGO as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.core.numbers import order_number
from partners.checks import audit
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.sealing import seal_audit
from tests.partners.bench import Bench, open_bench, simulated_ngo
from tests.partners.watched import instant_on


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def state_is(bench: Bench, order: int, *states: str) -> bool:
    [(state,)] = await bench.rows("SELECT state FROM partner_orders WHERE id = ?", order)
    return state in states


async def test_the_ngo_plants_anew_what_a_count_found_missing(url: str, tmp_path: Path) -> None:
    with simulated_ngo(tmp_path) as ngo:
        async with open_bench(url, [ngo.settings()]) as bench:
            await bench.trees(3)

            async def first_planted() -> bool:
                return await bench.states() == ["planted"]

            await bench.run_until(first_planted)
            [(order,)] = await bench.rows("SELECT id FROM partner_orders")
            await bench.do(c.ReviewOrder(None, "operator:li", order, "verified"))
            await bench.do(c.FollowUpOrder(None, order))
            # the simulator plants in parts, and each has counts of its own
            [(name,)] = await bench.rows("SELECT id FROM audits WHERE stage = 'M12' ORDER BY id LIMIT 1")
            await half_alive(bench, order, name)

            async def child_planted() -> bool:
                rows = await bench.rows(
                    "SELECT r.id FROM replacements r JOIN partner_orders o ON o.id = r.id"
                    " WHERE o.state = 'planted'"
                )
                return bool(rows)

            await bench.run_until(child_planted)
            [(child,)] = await bench.rows("SELECT id FROM replacements")
            [asked] = [one for one in ngo.orders() if one["request"].get("replaces")]
            assert asked["request"]["replaces"] == order_number(order)
            assert asked["request"]["unit_price_minor"] == 0
            await bench.do(c.ReviewOrder(None, "operator:li", child, "verified"))

            async def parent_watched() -> bool:
                bench.clock.shift_ms += 86_400_000
                return await state_is(bench, order, "monitoring")

            await bench.run_until(parent_watched)
            assert await state_is(bench, child, "monitoring")
            await seal_audit(bench.writer, bench.db)
            async with bench.db.snapshot() as view:
                assert [finding async for finding in audit(view)] == []


async def half_alive(bench: Bench, order: int, name: str) -> dict[str, Any]:
    """Half of the trees of a batch are found alive in its first autumn."""
    [(batch, opens_on)] = await bench.rows("SELECT batch_id, opens_on FROM audits WHERE id = ?", name)
    [(verified,)] = await bench.rows("SELECT verified FROM batches WHERE id = ?", batch)
    bench.clock.shift_ms += instant_on(opens_on) - bench.clock.now_ms()
    plots = (ac.PlotCount("all", verified, verified // 2),)
    command = ac.RecordAudit(None, "li", order, name, opens_on, "census", "independent:x", False, plots)
    told = await bench.do(command)
    assert told["verdict"] == "below_band"
    return told
