"""Who is simulated, for how long and from which day, as it was asked for on the command line or over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from engine.core.rules import RuleBook
from engine.ingest.traces import TRACES, read_trace
from engine.simulate.days import Trace
from engine.simulate.population import Population
from engine.workbench.difference import settled_on

TRACED = "traced"  # the population of people who do what a trace says


@dataclass(frozen=True, slots=True)
class TraceFile:
    """A file of real acts: its format (one of `TRACES`), and the behaviour of its acts where it is another."""

    kind: str
    path: Path
    behaviour: str | None = None

    def read(self, books: Sequence[RuleBook]) -> tuple[Trace, str]:
        """The trace, and what was left out in words, if anything. Raises UnknownBehaviour, UnreadableFile."""
        behaviour = self.behaviour or TRACES[self.kind].behaviour
        if not any(behaviour in book.behaviours for book in books):
            raise UnknownBehaviour(self.kind, behaviour, sorted(books[0].behaviours))
        found, bad = read_trace(self.kind, self.path, behaviour)
        if not bad:
            return found, ""
        first = f"line {bad[0].line}: {bad[0].problem}"
        return found, f"{self.path.name}: {len(bad):,} lines left out; {first}"


class UnknownBehaviour(Exception):
    """No rulebook has the behaviour of a trace."""

    def __init__(self, kind: str, behaviour: str, known: Sequence[str]) -> None:
        super().__init__(f"no rulebook has {behaviour!r}, the behaviour of the trace {kind}")
        self.kind, self.behaviour, self.known = kind, behaviour, known


def read_traces(files: Iterable[TraceFile], books: Sequence[RuleBook]) -> tuple[list[Trace], list[str]]:
    """The traces, and what was left out of them. Raises UnknownBehaviour, UnreadableFile."""
    read = [file.read(books) for file in files]
    return [trace for trace, _ in read], [left_out for _, left_out in read if left_out]


def peopled(
    population: Population,
    traces: Sequence[Trace],
    books: Sequence[RuleBook],
    users: int | None,
    days: int | None,
    start: date | None,
    start_option: str,
) -> tuple[Population, list[str]]:
    """The population as it was asked for, with a sentence on each thing that nobody named (by `start_option`).

    By default each traced subject is a user once, and the run is as long as the trace and begins with it; two
    rulebooks are run from the day on which the last of what differs begins to.
    """
    update: dict[str, Any] = {}
    told: list[str] = []
    if traces:
        update["users"] = max(len(trace.subjects) for trace in traces)
        update["days"] = max(trace.days for trace in traces)
    if start is not None:
        update["start"] = start
    elif traces:
        update["start"], told = _trace_start(population, traces, books)
    elif len(books) > 1:
        update["start"] = settled_on(books[0], books[1], population.start)
        if update["start"] > population.start:
            day = update["start"]
            told = [f"From {day}, when the last of what differs begins to; {start_option} names another day."]
    update |= {name: value for name, value in (("users", users), ("days", days)) if value is not None}
    return population.model_copy(update=update), told


def _trace_start(
    population: Population, traces: Sequence[Trace], books: Sequence[RuleBook]
) -> tuple[date, list[str]]:
    """The trace's own first day; where its behaviour was not in force yet, the population's, on the same weekday."""
    first = traces[0].start
    behaviours = [name for trace in traces for name in trace.behaviours()]
    known = [book.behaviours[name] for book in books for name in behaviours if name in book.behaviours]
    if all(behaviour.on(first) for behaviour in known):
        return first, []
    shift = (first.weekday() - population.start.weekday()) % 7
    moved = population.start + timedelta(days=shift)
    why = f"{first}: not all of {', '.join(behaviours)} was in force; the trace is taken to begin on {moved}"
    return moved, [why]
