"""What a rulebook's trees would cost: asked before it is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.rules import RuleBook
from engine.rulebook import shipped_rules
from engine.simulate.figures import Figures
from engine.simulate.population import Population, check_population
from engine.simulate.running import Progress, run, setup_of
from engine.simulate.typical import Typical, typical_reports


@dataclass(frozen=True, slots=True)
class ProgrammeCost:
    """Trees of one programme that users redeem in the days asked for, and what they cost its funders."""

    programme: str
    currency: str
    trees: int
    cost_minor: int


def planting_cost(
    rules: RuleBook,
    population: Population,
    days: int | None = None,
    seed: int = 1,
    *,
    typical: Mapping[str, Typical] | None = None,
    users: int | None = None,
    processes: int | None = None,
    progress: Progress = lambda user_days: None,
) -> list[ProgrammeCost]:
    """The trees and the money, by programme and currency, that a population would redeem under a rulebook.

    The population's users are simulated from its first day for `days` days (its own number, when None); trees and
    money (minor units of the programme's currency, at the price in force on the day of each redemption) are scaled
    to the users that it `represents` (its own number, when it does not say). Stock that the population limits is
    limited here too: for the cost of what users want, read a population without `stock`. `users` simulates fewer of
    them, scaled up alike: quicker, noisier. `typical` are the ordinary reports of the rulebook's behaviours
    (`typical_reports(folder)`); the shipped ones, when None. The same arguments give the same result, whatever the
    number of `processes`; programmes without a redeemed tree are left out. The result is one draw: repeat it with
    other seeds to see the noise.

    Raises PopulationError for a population that names what the rulebook has not, SimulationStopped if a process died.
    """
    check_population(population, {"rules": rules})
    known = typical_reports(shipped_rules()) if typical is None else typical
    population = population.model_copy(update={"represents": population.represents or population.users})
    setup = setup_of(rules, population, known, users=users, days=days, seed=seed)
    tally = run(setup, processes, progress)
    figures = Figures("", tally, population.start, setup.days, rules, rules.hash, setup.scale)
    return [
        ProgrammeCost(programme, currency, figures.scaled(tally.planted[programme]), figures.scaled(minor))
        for (programme, currency), minor in sorted(tally.money.items())
    ]
