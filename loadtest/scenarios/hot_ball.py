"""Hundreds of friends, all watching one forest, press at the same instant: one hot ball, against a ball each."""

import math
from collections import defaultdict
from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.engines import Engine
from loadtest.jobs.plans import PressPlan
from loadtest.measure import middle
from loadtest.report import number, table

SETTLE_S = 0.5
STAR = 0


def run(bench: Bench) -> list[Table]:
    """Hot and spread presses in alternation; the figures go to `bench.results["hot_ball"]`."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with bench.engines() as engines:
        for engine in engines:
            if engine.name == "null":
                continue
            kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for turn in range(bench.sizes.rounds):
                for hot in (False, True):
                    bench.say(f"hot ball, round {turn + 1}, {engine.name}: {'one ball' if hot else 'spread'}")
                    kinds["hot" if hot else "spread"].append(drive("press", _plan(bench, engine, turn, hot)))
            results[engine.name] = kinds
    bench.results["hot_ball"] = results
    return [_table(bench, results)]


def _plan(bench: Bench, engine: Engine, turn: int, hot: bool) -> PressPlan:
    population, sizes = bench.population, bench.sizes
    star = population.star_user(STAR)
    star_balls = [population.ball_id(serial) for serial in population.balls_of_star(STAR)]
    sessions = []
    for nth in range(min(sizes.pressers, population.keen)):
        if hot:
            balls = [
                star_balls[(turn * sizes.presses + repeat) % len(star_balls)]
                for repeat in range(sizes.presses)
            ]
            presses = [(star, ball) for ball in balls]
        else:
            friends = population.friends_of_keen(nth)
            mine = [
                friends[(turn * sizes.presses + repeat) % len(friends)] for repeat in range(sizes.presses)
            ]
            presses = [
                (
                    population.ordinary_user(friend),
                    population.ball_id(population.balls_of_ordinary(friend)[0]),
                )
                for friend in mine
            ]
        sessions.append(engine.session(population.keen_user(nth), [f"forest:{star}"], presses))
    return PressPlan(engine.server(), sessions, sizes.presses, SETTLE_S, hot)


def _table(bench: Bench, results: dict[str, dict[str, list[dict[str, Any]]]]) -> Table:
    rows = []
    for name, kinds in results.items():
        ratio = middle(
            hot["p99_ms"] / spread["p99_ms"] if spread["p99_ms"] else math.nan
            for hot, spread in zip(kinds["hot"], kinds["spread"], strict=True)
        )
        for kind, rounds in kinds.items():
            outcomes: dict[str, int] = defaultdict(int)
            for figures in rounds:
                for outcome, times in figures["outcomes"].items():
                    outcomes[outcome] += times
            final = [after for figures in rounds for after in figures["final_state_ms"]]
            rows.append([
                f"{name}, {'one ball' if kind == 'hot' else 'a ball each'}",
                number(middle(figures["p50_ms"] for figures in rounds), 1),
                number(middle(figures["p99_ms"] for figures in rounds), 1),
                number(ratio, 2) if kind == "hot" else "",
                f"{number(middle(final), 1)} / {number(max(final), 1)}" if final else "",
                ", ".join(f"{times:,} {outcome}" for outcome, times in sorted(outcomes.items())),
                str(sum(figures["unanswered"] for figures in rounds)),
                str(sum(figures["without_final_state"] for figures in rounds)) if kind == "hot" else "",
            ])  # fmt: skip
    columns = ("", "p50 ms", "p99 ms", "p99 to spread (≤ 2)", "last client final, ms: median / worst", "answers",
               "unanswered", "never final")  # fmt: skip
    return table(f"Hot ball: {bench.sizes.pressers} friends press at the same instant", columns, rows)
