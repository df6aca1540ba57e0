"""From a redeemed tree to a verified one: real writer, real databases, the simulated NGO as a process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.core.numbers import parse_tree_number
from engine.publication import Publication
from partners.checks import audit
from partners.core.commands import ReviewOrder
from tests.partners.bench import Bench, open_bench, simulated_ngo


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


async def found_by_check(bench: Bench) -> list[tuple[str, str, str]]:
    async with bench.db.snapshot() as view:
        return [finding async for finding in audit(view)]


async def test_a_tree_is_planted_and_verified(url: str, tmp_path: Path) -> None:
    with simulated_ngo(tmp_path) as ngo:
        async with open_bench(url, [ngo.settings()]) as bench:
            numbers = await bench.trees(3)

            async def planted() -> bool:
                return await bench.states() == ["planted"]

            await bench.run_until(planted)
            [(order, partner)] = await bench.rows("SELECT id, partner FROM partner_orders")
            assert partner == "simulator-ngo"
            reply = await bench.do(ReviewOrder(None, "operator:li", order, "verified"))
            assert reply == {"state": "verified", "verified": 3}
            trees = await bench.rows("SELECT id, state FROM trees ORDER BY id")
            assert trees == [(parse_tree_number(number), "verified") for number in sorted(numbers)]
            told = [json.loads(item.data) for item in bench.audience.items if isinstance(item, Publication)]
            states = [tree["state"] for data in told for tree in data.get("trees", [])]
            assert list(dict.fromkeys(states)) == ["pledged", "ordered", "planted", "verified"]
            assert await found_by_check(bench) == []
            assert len(ngo.calls("submit")) == 1
            assert "Lin" not in json.dumps(ngo.orders())
