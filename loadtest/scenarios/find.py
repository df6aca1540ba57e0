"""Finding energy: a press by a viewer with ten friends and by one with a thousand, in one database."""

from typing import Any

from rich.table import Table

from loadtest.bench import Bench, drive
from loadtest.jobs.plans import FindPlan
from loadtest.measure import middle
from loadtest.report import number, table

WHAT = {
    "press": "a press",
    "changed": "a press after that forest has changed",
    "list": "for comparison: friend.list",
}


def run(bench: Bench) -> list[Table]:
    """Rounds on SQLite; the figures go to `bench.results["find"]`."""
    rounds: list[dict[str, Any]] = []
    for turn in range(bench.sizes.rounds):
        bench.say(f"find, round {turn + 1} of {bench.sizes.rounds}")
        path = bench.stable.folder / f"find-{turn}.db"
        rounds.append(
            drive("find", FindPlan(str(path), list(bench.sizes.friends), bench.sizes.measure_s / 3))
        )
    bench.results["find"] = rounds
    few, many = str(min(bench.sizes.friends)), str(max(bench.sizes.friends))
    rows = [_row(rounds, kind, what, few, many) for kind, what in WHAT.items()]
    first = [middle(one[friends]["first_ms"] for one in rounds) for friends in (few, many)]
    rows.append(
        ["the first press, ms", *(number(ms, 1) for ms in first), number(first[1] / first[0], 2), "", ""]
    )
    columns = (
        "",
        f"CPU µs, {few} friends",
        f"{many} friends",
        "ratio",
        f"per s, {few} friends",
        f"{many} friends",
    )
    return [table("Finding energy, SQLite, no sockets", columns, rows)]


def _row(rounds: list[dict[str, Any]], kind: str, what: str, few: str, many: str) -> list[str]:
    cpu = [middle(one[friends][kind]["cpu_us"] for one in rounds) for friends in (few, many)]
    per_s = [middle(one[friends][kind]["per_s"] for one in rounds) for friends in (few, many)]
    ratio = middle(one[many][kind]["cpu_us"] / one[few][kind]["cpu_us"] for one in rounds)
    return [what, *(number(us, 1) for us in cpu), number(ratio, 2), *(number(rate) for rate in per_s)]
