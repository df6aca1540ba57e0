"""A forest watched by a thousand sockets: what one event to all costs, alone and when events share a loop turn."""

import math
from collections import defaultdict
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.engines import Engine
from loadtest.jobs.plans import FanOutPlan, Server, Session
from loadtest.measure import middle
from loadtest.population import Presses
from loadtest.report import number, spread, table

ECHOES = 10_000
SOCKET_IO = "Socket.IO on such a machine: 51,000-71,000 deliveries/s"


def run(bench: Bench) -> list[Table]:
    """One forest, then all stars' forests at once; the figures go to `bench.results["fan_out"]`."""
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with bench.yardstick() as yardstick, bench.engines() as engines:
        for turn in range(bench.sizes.rounds):
            bench.say(f"fan-out, round {turn + 1}: yardstick")
            results["yardstick, one speaker"].append(drive("fan_out", _echo_plan(bench, yardstick)))
            for engine in engines:
                if engine.name == "null":
                    continue
                for stars in (1, bench.population.stars):
                    bench.say(f"fan-out, round {turn + 1}: {engine.name}, {stars} forests")
                    what = "one forest" if stars == 1 else f"{stars} forests, each watched by all"
                    plan = _plan(bench, engine, stars, turn)
                    results[f"{engine.name}, {what}"].append(drive("fan_out", plan))
    bench.results["fan_out"] = dict(results)
    return [_table(bench, results)]


def _plan(bench: Bench, engine: Engine, stars: int, turn: int) -> FanOutPlan:
    population, sizes = bench.population, bench.sizes
    users = [population.star_user(nth) for nth in range(stars)]
    forests = [f"forest:{user}" for user in users]
    listeners = [
        engine.session(population.keen_user(nth % population.keen), forests) for nth in range(sizes.listeners)
    ]
    speakers = []
    for nth, user in enumerate(users):
        balls = list(population.balls_of_star(nth))
        part = len(balls) // (2 * sizes.rounds)
        first = (2 * turn + (stars > 1)) * part
        presses = [(user, population.ball_id(serial)) for serial in balls[first : first + part]]
        speakers.append(engine.session(user, [], presses))
    return FanOutPlan(engine.server(), speakers, listeners, sizes.warm_up_s, sizes.measure_s)


def _echo_plan(bench: Bench, yardstick: Server) -> FanOutPlan:
    yardstick.path = "/listen"
    few = Presses(bench.population, 0).peek(1000)
    presses = (few * (ECHOES // len(few) + 1))[:ECHOES]
    listeners = [Session("", []) for _ in range(bench.sizes.listeners)]
    return FanOutPlan(
        yardstick, [Session("", [], presses)], listeners, bench.sizes.warm_up_s, bench.sizes.measure_s
    )


def _table(bench: Bench, results: dict[str, list[dict[str, Any]]]) -> Table:
    base = [figures["deliveries_per_s"] for figures in results["yardstick, one speaker"]]
    rows = []
    for name, rounds in results.items():
        rates = [figures["deliveries_per_s"] for figures in rounds]
        to_base = [rate / other if other else math.nan for rate, other in zip(rates, base, strict=False)]
        rows.append([
            name,
            number(middle(rates)),
            spread(rates),
            number(middle(to_base), 2),
            number(middle(figures["frames_per_s"] for figures in rounds)),
            number(middle(figures["events_per_s"] for figures in rounds)),
            number(middle(figures["p50_ms"] for figures in rounds), 1),
            number(middle(figures["p99_ms"] for figures in rounds), 1),
            number(middle(figures["cpu_us_per_delivery"]["server"] for figures in rounds), 1),
            number(middle(figures["cpu_us_per_delivery"]["driver"] for figures in rounds), 1),
            ", ".join(f"{times} {why}" for figures in rounds for why, times in figures["closed"].items()),
        ])  # fmt: skip
    columns = ("", "deliveries/s", "range", "to yardstick", "frames/s", "events/s", "press to delivery p50 ms", "p99",
               "CPU µs server", "driver", "closed")  # fmt: skip
    return table(f"Fan-out to {bench.sizes.listeners:,} sockets", columns, rows, SOCKET_IO)
