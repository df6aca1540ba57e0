"""What a rulebook's trees are expected to cost the funders, asked before it is published.

Joins the simulation to publishing: so many users of the settings' population, scaled to the accounts that there are.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from engine.core.errors import Rejected
from engine.core.rules import RuleBook
from engine.settings import Settings
from engine.simulate.cost import planting_cost
from engine.simulate.population import SHIPPED, Population, PopulationError, read_population

ACCOUNTS_MIN = 100  # of fewer people no population is an image
USERS = 300  # simulated: enough for a sum of money, and half a minute of work
PROCESSES = 2  # of their own: the engine's event loop goes on meanwhile
POPULATION = "city-and-town"
PROBLEM_CHARACTERS_MAX = 1_000

Progress = Callable[[int, int], None]  # user-days that are done, and in all

log = logging.getLogger(__name__)


class Forecaster:
    """Asked for each rulebook that somebody wants to publish."""

    def __init__(self, settings: Settings, progress: Progress = lambda done, total: None) -> None:
        self._progress = progress
        self._days = settings.forecast_d
        self._file: Path = settings.population or SHIPPED / f"{POPULATION}.yaml"

    def __call__(self, rules: RuleBook, accounts: int, start: date) -> Mapping[str, int]:
        """Minor units by currency that the accounts' trees cost in the days of the settings; nothing for too few.

        `start`: the first of those days, so that what counts from then on is what is costed.

        Raises Rejected(bad_population) where the settings name a file that is none.
        """
        if not self._days or accounts < ACCOUNTS_MIN:
            return {}
        try:
            population, _ = read_population(self._file)
        except PopulationError as problem:
            raise Rejected("bad_population", problem=str(problem)[:PROBLEM_CHARACTERS_MAX]) from problem
        population = _known_to(population, rules).model_copy(
            update={"represents": accounts, "stock": {}, "start": start}
        )
        costs: Counter[str] = Counter()
        users = min(USERS, population.users)
        done, total = 0, users * self._days

        def step(user_days: int) -> None:
            nonlocal done
            done += user_days
            self._progress(done, total)

        for cost in planting_cost(
            rules, population, self._days, users=users, processes=PROCESSES, progress=step
        ):
            costs[cost.currency] += cost.cost_minor
        log.info("forecast for %s: %s in %d days", rules.hash[:12], dict(costs), self._days)
        return costs


def _known_to(population: Population, rules: RuleBook) -> Population:
    """The population without what the rulebook does not have: nobody does what earns nothing."""
    places = {
        name: place.model_copy(update={"without": [one for one in place.without if one in rules.behaviours]})
        for name, place in population.places.items()
    }
    return population.model_copy(
        update={
            "places": places,
            "acts": {name: act for name, act in population.acts.items() if name in rules.behaviours},
            "wishes": {name: wish for name, wish in population.wishes.items() if name in rules.programmes},
        }
    )
