"""What a partner's survival rows mean: one count for each batch and visit. Pure: facts in, counts and problems out.

A count is taken whole or not at all: without its worst plot it would say more than was seen. What a partner counts of
its own planting is never independent, whoever it names; whether that counts is for the terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from partners.sheets.problems import CellProblem
from partners.sheets.rows import SurvivalRow

Plots = tuple[tuple[str, int, int], ...]  # name, planted, alive
Batch = tuple[int, str]  # order, report number


@dataclass(frozen=True, slots=True)
class PlannedCount:
    """A count that is still to be made."""

    audit: str
    opens_on: str
    due_on: str


@dataclass(frozen=True, slots=True)
class DoneCount:
    """A count that is recorded."""

    visited_on: str
    method: str
    plots: Plots


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How the counts of a batch stand."""

    planned: tuple[PlannedCount, ...] = ()
    done: tuple[DoneCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """A count to record, and the rows that it is made of."""

    batch: Batch
    audit: str
    visited_on: str
    method: str
    surveyor: str
    plots: Plots
    rows: tuple[int, ...]


@dataclass(slots=True)
class Surveyed:
    """Counts to record, rows that say what is recorded already, and problems."""

    counts: list[Count] = field(default_factory=list)
    known_rows: int = 0
    problems: list[CellProblem] = field(default_factory=list)


def judge_surveys(
    rows: Sequence[tuple[Batch, SurvivalRow]],
    counts: Mapping[Batch, BatchCounts],
    spoilt: frozenset[Batch | None],
) -> Surveyed:
    """The counts in these rows. `spoilt`: batches with a row that could not be taken; None: a row that may be any's."""
    surveyed = Surveyed()
    visits: dict[tuple[Batch, date], list[SurvivalRow]] = {}
    for batch, row in rows:
        visits.setdefault((batch, row.visited_on), []).append(row)
    for (batch, visited_on), of_visit in visits.items():
        if batch in spoilt or None in spoilt:
            surveyed.problems += [CellProblem(row.row, "", "count_incomplete") for row in of_visit]
            continue
        first = of_visit[0]
        mixed = [row for row in of_visit if (row.method, row.surveyor) != (first.method, first.surveyor)]
        if mixed:
            column = "method" if mixed[0].method != first.method else "surveyor"
            fields = {"other": first.row, "value": getattr(mixed[0], column)}
            surveyed.problems.append(CellProblem(mixed[0].row, column, "count_differs", fields))
            others = [row for row in of_visit if row is not mixed[0]]
            surveyed.problems += [CellProblem(row.row, "", "count_incomplete") for row in others]
            continue
        _judge_visit(batch, visited_on.isoformat(), of_visit, counts.get(batch, BatchCounts()), surveyed)
    return surveyed


def _judge_visit(
    batch: Batch, visited_on: str, rows: Sequence[SurvivalRow], known: BatchCounts, surveyed: Surveyed
) -> None:
    method = "census" if rows[0].method == "census" else "plots"  # a transect is a long plot
    plots = tuple((row.plot_no, row.planted, row.alive) for row in rows)
    if any(_same(one, visited_on, method, plots) for one in known.done):
        surveyed.known_rows += len(rows)
        return
    planned = _meant(known.planned, visited_on)
    if planned is None:
        surveyed.problems += [CellProblem(row.row, "visit_date", "no_count_planned") for row in rows]
        return
    numbers = tuple(row.row for row in rows)
    surveyed.counts.append(Count(batch, planned.audit, visited_on, method, rows[0].surveyor, plots, numbers))


def _same(done: DoneCount, visited_on: str, method: str, plots: Plots) -> bool:
    return (done.visited_on, done.method) == (visited_on, method) and sorted(done.plots) == sorted(plots)


def _meant(planned: Sequence[PlannedCount], visited_on: str) -> PlannedCount | None:
    """The count whose window holds the day, else the one that is due next."""
    by_due = sorted(planned, key=lambda one: (one.due_on, one.audit))
    inside = [one for one in by_due if one.opens_on <= visited_on <= one.due_on]
    return next(iter(inside or by_due), None)
