"""Real behaviour data as traces for the simulation: daily steps, rentals of shared bikes, sessions of car charging.

A bad line is told with its number and left out. Rentals name no rider, so they are dealt out to as many riders as
make `RIDES_A_WEEK` each; their length is their time at `RIDE_KMH`. Both are assumptions of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from engine.ingest.formats import BadLine, BadRow, Found, Table, read_file
from engine.ingest.lines import UnreadableFile
from engine.simulate.days import LAST_MIN, Trace, TracedAct

RIDES_A_WEEK = Decimal("2.5")
RIDE_KMH = Decimal(9)
RIDE_S_MAX = 2 * 3600  # longer rentals stood still
ROWS_MAX = 2_000_000


@dataclass(frozen=True, slots=True)
class _Act:
    subject: str
    on: date
    minute: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class TraceFormat:
    """How a file is read, what behaviour its rows are unless somebody says otherwise, whether they are day totals."""

    read: Callable[[Path], Iterator[_Act | BadLine]]
    behaviour: str
    is_total: bool = False


def read_trace(name: str, path: Path, behaviour: str | None = None) -> tuple[Trace, list[BadLine]]:
    """The trace in a file of one of `TRACES`, and the lines that were left out. Raises UnreadableFile."""
    format_ = TRACES[name]
    acts: list[_Act] = []
    bad: list[BadLine] = []
    for row in format_.read(path):
        if isinstance(row, BadLine):
            bad.append(row)
        else:
            acts.append(row)
        if len(acts) > ROWS_MAX:
            raise UnreadableFile(f"{path}: more than {ROWS_MAX:,} rows; cut the file")
    if not acts:
        raise UnreadableFile(
            f"{path}: no usable row" + (f"; line {bad[0].line}: {bad[0].problem}" if bad else "")
        )
    start, end = min(act.on for act in acts), max(act.on for act in acts)
    days = (end - start).days + 1
    if name == "bike":
        acts = _dealt(acts, days)
    subjects: dict[str, dict[int, list[TracedAct]]] = {}
    for act in acts:
        day = (act.on - start).days
        traced = TracedAct(day, act.minute, behaviour or format_.behaviour, act.quantity, format_.is_total)
        subjects.setdefault(act.subject, {}).setdefault(day, []).append(traced)
    return Trace(name, start, days, subjects), bad


def _dealt(acts: list[_Act], days: int) -> list[_Act]:
    """The rides in turn to as many riders as make `RIDES_A_WEEK` each."""
    riders = max(1, int(len(acts) * 7 / (days * RIDES_A_WEEK)))
    return [_Act(f"{place % riders:06d}", act.on, act.minute, act.quantity) for place, act in enumerate(acts)]


def _steps(path: Path) -> Iterator[_Act | BadLine]:
    for row in read_file("fitbit", path, "trace"):
        if isinstance(row, Found):
            command = row.command
            assert command.on is not None  # a day's total always has its day
            yield _Act(command.subject, command.on, LAST_MIN, command.quantity)
        else:
            yield row


def _rentals(path: Path) -> Iterator[_Act | BadLine]:
    return _rows(path, ("Starttime", "Tripduration"), _rental)


def _rental(cells: Mapping[str, str]) -> _Act:
    start = datetime.strptime(cells["Starttime"], "%m/%d/%Y %H:%M")  # noqa: DTZ007 - local time of the place
    seconds = _number(cells["Tripduration"])
    if not 0 < seconds <= RIDE_S_MAX * 12:
        raise ValueError(f"Tripduration {cells['Tripduration']} is not from 1 s to a day")
    km = (min(seconds, Decimal(RIDE_S_MAX)) * RIDE_KMH / 3600).quantize(Decimal("0.01"))
    end = start + timedelta(seconds=int(seconds))
    return _Act("", end.date(), end.hour * 60 + end.minute, km)


def _sessions(path: Path) -> Iterator[_Act | BadLine]:
    return _rows(path, ("userId", "kwhTotal", "ended"), _session)


def _session(cells: Mapping[str, str]) -> _Act:
    text = cells["ended"]
    ended = datetime.fromisoformat(
        "20" + text[2:] if text.startswith("00") else text
    )  # the year is written 0014
    return _Act(cells["userId"], ended.date(), ended.hour * 60 + ended.minute, _number(cells["kwhTotal"]))


def _rows(
    path: Path, needed: tuple[str, ...], read: Callable[[Mapping[str, str]], _Act]
) -> Iterator[_Act | BadLine]:
    table = Table(path, lambda count: None, needed)
    for line in table:
        if line.problem is not None:
            yield BadLine(line.number, line.problem)
            continue
        try:
            yield read(table.cells(line))
        except (ValueError, ArithmeticError, BadRow) as problem:
            yield BadLine(line.number, str(problem)[:200])


def _number(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= 40 else Decimal("NaN")
    if not number.is_finite() or number < 0 or number.adjusted() > 12:
        raise ValueError(f"{text[:40]!r} is not a plain number")
    return number


TRACES: Mapping[str, TraceFormat] = {
    "fitbit": TraceFormat(_steps, "walking", is_total=True),
    "bike": TraceFormat(_rentals, "bike-sharing"),
    "ev": TraceFormat(_sessions, "ev-charging"),
}
