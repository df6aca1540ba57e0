"""Runs a whole population: shards dealt out to processes, one step a virtual day, and stock shared between all of them.

Everything drawn hangs on the seed and the shard, never on the process: any number of processes gives the same grams.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any

from engine.core.rules import RuleBook
from engine.simulate.days import Days, Trace
from engine.simulate.people import Doing, doings_of, people_of
from engine.simulate.population import Population
from engine.simulate.shard import Shard
from engine.simulate.tally import Tally, added
from engine.simulate.typical import Typical

SHARD_USERS = 500  # friends are found inside a shard
DAYS_AHEAD = 3  # how far one process may be ahead of another, where nothing is shared between them
COLLECTED_D = 30  # days between collections of cyclic garbage, of which there is next to none

Progress = Callable[[int], None]


class SimulationStopped(Exception):
    """A process of the simulation ended before its work was done."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One run: a population under a rulebook. `doings` and `programmes` are those of all that are compared."""

    rules: RuleBook
    population: Population
    doings: Mapping[str, Doing]
    programmes: tuple[str, ...]
    users: int
    days: int
    seed: int
    traces: tuple[Trace, ...] = ()
    shard_users: int = SHARD_USERS

    @property
    def scale(self) -> Fraction:
        """How many real users each simulated one stands for."""
        return Fraction(self.population.represents or self.users, self.users)


def setup_of(
    rules: RuleBook,
    population: Population,
    typical: Mapping[str, Typical],
    *,
    compared: Sequence[RuleBook] = (),
    users: int | None = None,
    days: int | None = None,
    seed: int = 1,
    traces: Sequence[Trace] = (),
) -> Setup:
    """A run with what is not said taken from the population. Behaviours that a trace tells of are done by it alone."""
    books = compared or (rules,)
    traced = frozenset().union(*(trace.behaviours() for trace in traces))
    doings = {
        name: doing for name, doing in doings_of(population, books, typical).items() if name not in traced
    }
    programmes = tuple(sorted({programme for book in books for programme in book.programmes}))
    wanted = users or population.users
    return Setup(rules, population, doings, programmes, wanted, days or population.days, seed, tuple(traces))


def processes_of_machine() -> int:
    """As many processes as this process may use cores."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(setup: Setup, processes: int | None = None, progress: Progress = lambda user_days: None) -> Tally:
    """The tally of a whole run, audited. `progress` is told the user-days done.

    Raises SimulationStopped if a process died, LawBroken if the books do not add up.
    """
    count = -(-setup.users // setup.shard_users)
    workers = min(count, processes or processes_of_machine())
    shares = [range(worker, count, workers) for worker in range(workers)]
    hands: list[_Hand] = []
    try:
        if workers == 1:
            hands.append(_Here(setup, shares[0]))
        else:
            hands += [_Process(setup, share) for share in shares]
        return _steps(setup, hands, progress)
    finally:
        for hand in hands:
            hand.stop()


def _steps(setup: Setup, hands: Sequence[_Hand], progress: Progress) -> Tally:
    stock = _Stock(setup)
    granted: dict[int, dict[str, int]] | None = None
    ahead = 0 if stock.left else DAYS_AHEAD  # without stock to share, nobody waits for another's wishes
    days = iter(range(setup.days))
    for day in range(setup.days):
        for begun in islice(days, 1 if day else 1 + ahead):
            for hand in hands:
                hand.begin_day(begun, granted, stock.sold_out)
            granted = granted or {}
        wishes = {shard: wish for hand in hands for shard, wish in hand.wishes().items()}
        granted = stock.grant(wishes, day)
        progress(setup.users)
    for hand in hands:
        hand.begin_end(granted, stock.sold_out)
    tallies = {shard: tally for hand in hands for shard, tally in hand.tallies().items()}
    whole = added(tallies[shard] for shard in sorted(tallies))
    whole.sold_out = dict(stock.sold_out)
    return whole


@dataclass(slots=True)
class _Stock:
    """What is left of programmes with a limit, and how a day's wishes share what is too little for all."""

    setup: Setup
    left: dict[str, int] = field(init=False)
    sold_out: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scale = self.setup.scale
        self.left = {name: int(trees / scale) for name, trees in self.setup.population.stock.items()}
        self.sold_out.update({name: 0 for name, trees in self.left.items() if not trees})

    def grant(self, wishes: Mapping[int, Counter[str]], day: int) -> dict[int, dict[str, int]]:
        granted: dict[int, dict[str, int]] = {shard: {} for shard in wishes}
        for programme, left in self.left.items():
            wanted = {shard: wishes[shard][programme] for shard in sorted(wishes)}
            given = _shared(wanted, left)
            for shard, trees in given.items():
                granted[shard][programme] = trees
            self.left[programme] = left - sum(given.values())
            if not self.left[programme]:
                self.sold_out.setdefault(programme, day)
        return granted


def _shared(wanted: Mapping[int, int], left: int) -> dict[int, int]:
    """All that is wanted, or a share in proportion; what rounding leaves goes to the largest remainders, in order."""
    total = sum(wanted.values())
    if total <= left:
        return dict(wanted)
    given = {shard: count * left // total for shard, count in wanted.items()}
    order = sorted(wanted, key=lambda shard: (-(wanted[shard] * left % total), shard))
    for shard in order[: left - sum(given.values())]:
        given[shard] += 1
    return given


# --- hands: shards in this process, or in another ---------------------------------------------------


def _shard_of(setup: Setup, index: int) -> Shard:
    first = index * setup.shard_users
    count = min(setup.shard_users, setup.users - first)
    dice = random.Random(f"{setup.seed}/{index}/people")
    people = people_of(setup.population, setup.doings, setup.programmes, count, dice)
    population = setup.population
    days = Days(
        people,
        {name: behaviour.category for name, behaviour in setup.rules.behaviours.items()},
        population.start,
        population.zone,
        f"{setup.seed}/{index}",
        setup.traces,
        first,
        setup.users,
    )
    return Shard(setup.rules, days, f"{setup.seed}/{index}/draws".encode(), population.zone)


Granted = Mapping[int, Mapping[str, int]] | None


class _Here:
    """Shards in this process."""

    def __init__(self, setup: Setup, indexes: Sequence[int]) -> None:
        self._was_collecting = gc.isenabled()
        gc.disable()  # the shards make no cycles, and looking for them takes a third of the time
        self._shards = {index: _shard_of(setup, index) for index in indexes}
        self._wishes: dict[int, Counter[str]] = {}
        self._days = 0

    def begin_day(self, day: int, granted: Granted, sold_out: Mapping[str, int]) -> None:
        for index, shard in self._shards.items():
            if granted is not None:
                shard.redeem(granted.get(index, {}), sold_out)
            self._wishes[index] = shard.run_day(day)
        self._days += 1
        if self._days % COLLECTED_D == 0:
            gc.collect(1)

    def wishes(self) -> dict[int, Counter[str]]:
        return self._wishes

    def begin_end(self, granted: Granted, sold_out: Mapping[str, int]) -> None:
        for index, shard in self._shards.items():
            if granted is not None:
                shard.redeem(granted.get(index, {}), sold_out)

    def tallies(self) -> dict[int, Tally]:
        return {index: shard.finish() for index, shard in self._shards.items()}

    def stop(self) -> None:
        if self._was_collecting:
            gc.enable()


class _Process:
    """The same in a process of its own, spoken to through a pipe."""

    def __init__(self, setup: Setup, indexes: Sequence[int]) -> None:
        context = multiprocessing.get_context("spawn")  # the same everywhere, and safe beside threads
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, setup, list(indexes)), daemon=True)
        self._process.start()
        theirs.close()

    def begin_day(self, day: int, granted: Granted, sold_out: Mapping[str, int]) -> None:
        self._send(("begin_day", day, granted, dict(sold_out)))

    def wishes(self) -> dict[int, Counter[str]]:
        return self._answer()

    def begin_end(self, granted: Granted, sold_out: Mapping[str, int]) -> None:
        self._send(("begin_end", granted, dict(sold_out)))

    def tallies(self) -> dict[int, Tally]:
        return self._answer()

    def stop(self) -> None:
        self._pipe.close()
        self._process.join(0.2)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _send(self, message: tuple[Any, ...]) -> None:
        try:
            self._pipe.send(message)
        except OSError as problem:
            raise SimulationStopped(
                "a process of the simulation has ended; is there enough memory?"
            ) from problem

    def _answer(self) -> Any:
        try:
            is_well, answer = self._pipe.recv()
        except (EOFError, OSError) as problem:
            raise SimulationStopped(
                "a process of the simulation has ended; is there enough memory?"
            ) from problem
        if not is_well:
            raise SimulationStopped(answer)
        return answer


_Hand = _Here | _Process


def _work(pipe: Connection, setup: Setup, indexes: Sequence[int]) -> None:
    """The life of a process: build the shards, answer until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    try:
        here = _Here(setup, indexes)
        while True:
            kind, *arguments = pipe.recv()
            getattr(here, kind)(*arguments)
            pipe.send((True, here.wishes() if kind == "begin_day" else here.tallies()))
    except EOFError:
        pass
    except Exception:
        with suppress(OSError):
            pipe.send((False, traceback.format_exc()))
