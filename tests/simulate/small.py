"""A small population for tests, and runs of it. Knows no rule."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from engine.core.rules import RuleBook
from engine.rulebook import load_rulebook, shipped_rules
from engine.simulate.population import SHIPPED, Population, read_population
from engine.simulate.running import SHARD_USERS, run, setup_of
from engine.simulate.tally import Tally
from engine.simulate.typical import typical_reports


@lru_cache(maxsize=1)
def rulebook() -> RuleBook:
    return load_rulebook()


@lru_cache(maxsize=1)
def city_and_town() -> Population:
    return read_population(SHIPPED / "city-and-town.yaml")[0]


def simulated(
    rules: RuleBook | None = None,
    *,
    users: int = 60,
    days: int = 30,
    seed: int = 1,
    processes: int = 1,
    shard_users: int = SHARD_USERS,
    **changed: Any,
) -> Tally:
    population = city_and_town().model_copy(update=changed)
    book = rules or rulebook()
    typical = typical_reports(shipped_rules())
    setup = setup_of(book, population, typical, users=users, days=days, seed=seed)
    return run(replace(setup, shard_users=shard_users), processes)


def content(tally: Tally) -> tuple[Any, ...]:
    """All that a tally holds, to be compared."""
    return tuple(getattr(tally, name) for name in Tally.__slots__)
