"""Chains of overlapping acts around midnight, on rows that are loaded for each group alone: what is touched will do."""

import random
from decimal import Decimal
from typing import Any

import pytest

from engine.check import audit
from engine.core import commands as c
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS
from tests.core.world import BEHAVIOURS, NOON, SOURCE, key, rules_with_grades
from tests.store.parts import Bench, bench

MIDNIGHT = NOON + 4 * HOUR_MS - DAY_MS  # in Shanghai
SOURCES = (SOURCE, "gate", "watch")


async def play(game: Bench, seed: int) -> int:
    """A course of rides that overlap in chains over two midnights; how many commands came to nothing sensible."""
    dice = random.Random(seed)
    await game.writer.submit_all([c.AddSource(None, one, one, "whsec_test", BEHAVIOURS) for one in SOURCES])
    await game.writer.submit(c.OpenAccount(None, None, "Lin", "Asia/Shanghai"))
    await game.writer.submit_all([c.LinkSource(None, 1, one, "s", BEHAVIOURS) for one in SOURCES])
    odd = 0
    for number in range(80):
        outcomes = await game.writer.submit_all([_wish(dice, number * 3 + n) for n in range(3)])
        odd += sum(outcome.error is not None and outcome.error.code == "internal" for outcome in outcomes)
        game.clock.shift_ms += dice.choice((0, 0, HOUR_MS))
    return odd


def _wish(dice: random.Random, number: int) -> Any:
    source, evidence = dice.choice(SOURCES), f"way-{dice.choice('abcd')}"
    at = MIDNIGHT - dice.randint(0, 1) * DAY_MS + dice.randint(-9, 9) * 2 * MINUTE_MS
    act = f"ride-{dice.randint(1, 60)}"
    kind = dice.random()
    if kind < 0.25:
        return c.ReverseActivity(source, act)
    if kind < 0.35:
        return c.CollectEnergy(key(number + 1), 1, 1, tuple(range(1, 60)))
    behaviour = dice.choice(("bus", "metro"))
    return c.ReportActivity(
        source, act, "s", behaviour, Decimal(1), "ride", f"{number}", at=at, evidence=evidence
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
async def test_what_is_touched_is_all_that_changes(tmp_path: Any, seed: int) -> None:
    async with bench(f"sqlite:///{tmp_path}/game.db", rules_with_grades) as game:
        original = game.writer._state

        def fresh() -> Any:
            game.writer._cache = None
            return original()

        game.writer._state = fresh  # type: ignore[method-assign]
        assert await play(game, seed) == 0
        kinds = "".join(row[6] for row in await game.rows("journal", "id"))
        assert "excluded:" in kinds and "restored:" in kinds
        findings = await audit(game.db, rules_with_grades())
        assert findings.problems == {}, findings.examples
