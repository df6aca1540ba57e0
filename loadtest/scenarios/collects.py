"""Durable collects at full load, beside the yardstick's echoes of the same frames, alternately in one run."""

import math
from collections import defaultdict
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, Shape, drive
from loadtest.engines import Engine
from loadtest.jobs.plans import CollectPlan, Server, Session
from loadtest.measure import middle
from loadtest.population import Population, Presses
from loadtest.report import number, spread, table

PER_S_MAX = 20_000  # presses are laid out for at most this rate
FLOORS = {"sqlite": 0.3, "postgresql": 0.2}
Rounds = dict[str, list[dict[str, Any]]]


def run(bench: Bench) -> list[Table]:
    """All rounds at all shapes; the figures go to `bench.results["collects"]`."""
    by_shape: dict[Shape, Rounds] = {shape: defaultdict(list) for shape in bench.sizes.shapes}
    with bench.yardstick() as yardstick, bench.engines() as engines:
        towns = {engine.name: Town(bench.population) for engine in engines}
        for turn in range(bench.sizes.rounds):
            for shape in bench.sizes.shapes:
                what = f"collects, round {turn + 1} of {bench.sizes.rounds}, {shape[0]}×{shape[1]}"
                bench.say(f"{what}: yardstick")
                by_shape[shape]["yardstick"].append(drive("collects", _echo_plan(bench, yardstick, shape)))
                for engine in engines:
                    bench.say(f"{what}: {engine.name}")
                    by_shape[shape][engine.name].append(
                        _collect(bench, engine, towns[engine.name], shape, turn)
                    )
    bench.results["collects"] = {f"{shape[0]}x{shape[1]}": rounds for shape, rounds in by_shape.items()}
    return [_table(shape, rounds) for shape, rounds in by_shape.items()]


class Town:
    """What the keen users of one database have yet to press."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self._presses: dict[int, Presses] = {}

    def presses(self, keen: int) -> Presses:
        """Those of one keen user."""
        if keen not in self._presses:
            self._presses[keen] = Presses(self.population, keen)
        return self._presses[keen]

    def group(self, size: int, turn: int) -> list[int]:
        """Numbers of the keen users who press in this round: others each time, as long as there are others."""
        return [(turn * size + nth) % self.population.keen for nth in range(min(size, self.population.keen))]


def collect_plan(
    bench: Bench, engine: Engine, town: Town, shape: Shape, turn: int
) -> tuple[CollectPlan, list[int]]:
    """A round at one engine, and the keen users in it."""
    connections, outstanding = shape
    sizes, population = bench.sizes, bench.population
    each = math.ceil(PER_S_MAX * (sizes.warm_up_s + sizes.measure_s) / connections)
    keen = town.group(connections, turn)
    sessions = [
        engine.session(user, [f"user:{user}"], town.presses(nth).peek(each))
        for nth, user in ((nth, population.keen_user(nth)) for nth in keen)
    ]
    plan = CollectPlan(
        engine.server(), sessions, _watchers(engine, population, sessions), outstanding,
        sizes.warm_up_s, sizes.measure_s,
    )  # fmt: skip
    return plan, keen


def _collect(bench: Bench, engine: Engine, town: Town, shape: Shape, turn: int) -> dict[str, Any]:
    plan, keen = collect_plan(bench, engine, town, shape, turn)
    figures = drive("collects", plan)
    for nth, used in zip(keen, figures.pop("used"), strict=True):
        town.presses(nth).drop(used)
    return figures


def _watchers(engine: Engine, population: Population, sessions: list[Session]) -> list[Session]:
    """Every second owner's forest is watched by a friend's socket; a watcher's socket watches some twenty."""
    channels: dict[int, list[str]] = defaultdict(list)
    for owner in sorted({owner for session in sessions for owner, _ in session.presses}):
        watcher = population.watcher_of(owner)
        if watcher is not None:
            channels[watcher].append(f"forest:{owner}")
    return [engine.session(watcher, names) for watcher, names in channels.items()]


def _echo_plan(bench: Bench, yardstick: Server, shape: Shape) -> CollectPlan:
    connections, outstanding = shape
    population = bench.population
    sessions = [
        Session("", [], Presses(population, nth % population.keen).peek(4 * outstanding + 64))
        for nth in range(connections)
    ]
    return CollectPlan(
        yardstick, sessions, [], outstanding, bench.sizes.warm_up_s, bench.sizes.measure_s, again=True
    )


def ratios(rounds: Rounds, name: str, to: str) -> list[float]:
    """Rates of `name` to those of `to`, round by round."""
    return [
        one["per_s"] / other["per_s"] if other["per_s"] else math.nan
        for one, other in zip(rounds[name], rounds.get(to, []), strict=False)
    ]


def _table(shape: Shape, rounds: Rounds) -> Table:
    columns = (
        "", "per s", "range", "to yardstick", "range", "floor", "to no-op store", "p50 ms", "p99 ms",
        "push p50 ms", "p99", "CPU µs server", "database", "driver", "foreign cores",
    )  # fmt: skip
    rows = [_row(name, rounds) for name in rounds]
    return table(
        f"Collects, {shape[0]} connections × {shape[1]} outstanding", columns, rows, _caption(rounds)
    )


def _row(name: str, rounds: Rounds) -> list[str]:
    mine = rounds[name]
    rates = [figures["per_s"] for figures in mine]
    to_yardstick = ratios(rounds, name, "yardstick")
    to_null = ratios(rounds, name, "null") if name != "yardstick" else []
    pushes = [figures["push"]["after_reply"] for figures in mine if "push" in figures]
    return [
        name,
        number(middle(rates)),
        spread(rates),
        number(middle(to_yardstick), 2),
        spread(to_yardstick, 2),
        number(FLOORS.get(name, math.nan), 2),
        number(middle(to_null), 2),
        number(middle(figures["p50_ms"] for figures in mine), 1),
        number(middle(figures["p99_ms"] for figures in mine), 1),
        number(middle(push["p50_ms"] for push in pushes), 1),
        number(middle(push["p99_ms"] for push in pushes), 1),
        *(number(middle(figures["cpu_us"].get(part, math.nan) for figures in mine), 1) for part in
          ("server", "database", "driver")),
        number(middle(figures["foreign_cores"] for figures in mine), 2),
    ]  # fmt: skip


def _caption(rounds: Rounds) -> str:
    """Everything that a reader must not overlook: refusals, lost pushes, closed sockets, presses that ran out."""
    notes: list[str] = []
    for name, mine in rounds.items():
        others: dict[str, int] = defaultdict(int)
        for figures in mine:
            for outcome, times in figures["outcomes"].items():
                others[outcome] += times if outcome != "collected" else 0
            for reason, times in figures["closed"].items():
                others[reason] += times
            others["unanswered"] += figures["unanswered"]
            others["rounds cut short: presses ran out"] += figures["ran_out"]
            others["pushes missing"] += figures.get("push", {}).get("missing", 0)
        found = ", ".join(f"{times:,} {what}" for what, times in others.items() if times)
        if found:
            notes.append(f"{name}: {found}")
    return "; ".join(notes)
