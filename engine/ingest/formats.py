"""Reads activities from files: the engine's own NDJSON and CSV, and the Fitbit export of daily activity.

A bad line becomes a `BadLine` with its number, and the rest goes on. Knows no database and no rule.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from engine.core.commands import ReportActivity
from engine.core.errors import Rejected
from engine.core.units import DAY_MS, local_day
from engine.ingest.lines import Line, UnreadableFile, read_lines
from engine.reported import Reported, command_of, digest

FITBIT_SOURCE = "fitbit-file"
DELIMITERS = ",;\t"
ATTRIBUTE_PREFIX = "attributes."
NUMBER_CHARACTERS_MAX = 40
FIELDS = ("id", "subject", "behaviour", "at", "on", "quantity", "unit", "revision", "evidence")

Read = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no activity, and why."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class Found:
    """An activity and the line that it stands on."""

    line: int
    command: ReportActivity


Row = Found | BadLine
Format = Callable[[Path, str, Read], Iterator[Row]]


class BadRow(Exception):
    """What is wrong with a row."""


def read_file(format_name: str, path: Path, source: str, read: Read = lambda count: None) -> Iterator[Row]:
    """All rows of a file in one of `FORMATS`. Raises UnreadableFile."""
    return FORMATS[format_name](path, source, read)


@dataclass(slots=True)
class Survey:
    """What a file speaks of. Instants count by their day in UTC."""

    last_on: date | None = None
    behaviours: set[str] = field(default_factory=set)


def survey(rows: Iterator[Row]) -> Survey:
    """Go through a file once before it is taken in."""
    seen = Survey()
    for row in rows:
        if isinstance(row, Found):
            day = _day_of(row.command)
            seen.behaviours.add(row.command.behaviour)
            if day is not None and (seen.last_on is None or day > seen.last_on):
                seen.last_on = day
    return seen


def _day_of(command: ReportActivity) -> date | None:
    if command.on is not None:
        return command.on
    return local_day(command.at, "UTC") if command.at is not None else None


def shifted(command: ReportActivity, days: int) -> ReportActivity:
    """The same activity (id and content are those of the file) as if it had happened `days` later."""
    if command.on is not None:
        command.on += timedelta(days=days)
    if command.at is not None:
        command.at += days * DAY_MS
    return command


# --- the engine's own formats -----------------------------------------------------------------------

_decoder = msgspec.json.Decoder(Reported)


def _ndjson(path: Path, source: str, read: Read) -> Iterator[Row]:
    for line in read_lines(path, read):
        yield _row(line, lambda line: _from_json(line.text, source))


def _from_json(text: str, source: str) -> ReportActivity:
    try:
        return command_of(source, _decoder.decode(text))
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise BadRow(str(problem)) from problem


def _own_csv(path: Path, source: str, read: Read) -> Iterator[Row]:
    table = Table(path, read, ("id", "subject", "behaviour", "quantity", "unit"), FIELDS)
    for line in table:
        yield _row(line, lambda line: command_of(source, _from_cells(table.cells(line))))


def _from_cells(cells: Mapping[str, str]) -> Reported:
    wire: dict[str, object] = {name: cells[name] for name in FIELDS if cells.get(name, "") != ""}
    _number("quantity", str(wire.get("quantity", "")))
    if "revision" in wire:
        wire["revision"] = _count("revision", str(wire["revision"]))
    wire["attributes"] = {
        name.removeprefix(ATTRIBUTE_PREFIX): value
        for name, value in cells.items()
        if name.startswith(ATTRIBUTE_PREFIX) and value != ""
    }
    try:
        return msgspec.convert(wire, Reported, strict=True)
    except msgspec.ValidationError as problem:
        raise BadRow(str(problem).replace("$.", "")) from problem


# --- Fitbit's daily activity ------------------------------------------------------------------------


def _fitbit(path: Path, source: str, read: Read) -> Iterator[Row]:
    table = Table(path, read, ("Id", "ActivityDate", "TotalSteps"))
    for line in table:
        yield _row(line, lambda line: _from_fitbit(table.cells(line), source))


def _from_fitbit(cells: Mapping[str, str], source: str) -> ReportActivity:
    """One person's day of steps: the id is by the file's own date, the content the whole row as it stands."""
    subject = cells["Id"]
    if not (subject.isascii() and subject.isdigit() and len(subject) <= NUMBER_CHARACTERS_MAX):
        raise BadRow(f"Id {_short(subject)} is not a number")
    day = _american_day(cells["ActivityDate"])
    steps = _number("TotalSteps", cells["TotalSteps"])
    reported = Reported(
        id=f"{subject}:{day.isoformat()}",
        subject=subject,
        behaviour="walking",
        quantity=steps,
        unit="step",
        on=day,
        revision=1,
    )
    return command_of(source, reported, content=digest(cells))


def _american_day(text: str) -> date:
    """A day as m/d/yyyy, also with a time of midnight behind it, as some exports have it."""
    day = text.strip().split(" ", 1)[0]
    try:
        return datetime.strptime(day, "%m/%d/%Y").date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError as problem:
        raise BadRow(f"ActivityDate {_short(text)} is not a day as m/d/yyyy") from problem


# --- tables -----------------------------------------------------------------------------------------


class Table:
    """The lines under a header line; `cells` splits one of them. One record is one line."""

    def __init__(self, path: Path, read: Read, needed: Sequence[str], known: Sequence[str] = ()) -> None:
        self._lines = read_lines(path, read)
        header = next(self._lines, None)
        if header is None or header.problem:
            raise UnreadableFile(f"{path}: {header.problem if header else 'the file is empty'}")
        self._delimiter = max(DELIMITERS, key=header.text.count)
        try:
            self._names = [name.strip() for name in self._split(header.text)]
        except BadRow as problem:
            raise UnreadableFile(f"{path}, line {header.number}: {problem}") from problem
        _check_header(path, self._names, needed, known)

    def __iter__(self) -> Iterator[Line]:
        return self._lines

    def cells(self, line: Line) -> dict[str, str]:
        """The row's values by column. Raises BadRow."""
        values = self._split(line.text)
        if len(values) != len(self._names):
            raise BadRow(f"{len(values)} fields where the header has {len(self._names)}")
        return {name: value.strip() for name, value in zip(self._names, values, strict=True)}

    def _split(self, text: str) -> list[str]:
        try:
            [values] = csv.reader([text], delimiter=self._delimiter, strict=True)
        except (csv.Error, ValueError) as problem:
            raise BadRow(f"not a CSV line: {problem}") from problem
        return values


def _check_header(path: Path, names: list[str], needed: Sequence[str], known: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise UnreadableFile(
            f"{path}: the header lacks {', '.join(missing)}; it has {_short(', '.join(names), 300)}"
        )
    if len(set(names)) != len(names):
        raise UnreadableFile(f"{path}: the header names a column twice")
    foreign = [
        name for name in names if known and name not in known and not name.startswith(ATTRIBUTE_PREFIX)
    ]
    if foreign:
        raise UnreadableFile(
            f"{path}: unknown columns {_short(', '.join(foreign), 300)}; "
            f"known are {', '.join(known)} and {ATTRIBUTE_PREFIX}NAME"
        )


def _row(line: Line, read: Callable[[Line], ReportActivity]) -> Row:
    if line.problem is not None:
        return BadLine(line.number, line.problem)
    try:
        return Found(line.number, read(line))
    except BadRow as problem:
        return BadLine(line.number, _short(str(problem), 300))
    except Rejected as refusal:
        return BadLine(line.number, _short(str(refusal), 300))


def _number(name: str, text: str) -> Decimal:
    """A plain finite number."""
    try:
        number = Decimal(text) if len(text) <= NUMBER_CHARACTERS_MAX else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise BadRow(f"{name} {_short(text)} is not a number")
    return number


def _count(name: str, text: str) -> int:
    """A whole number in digits."""
    if not (text.isascii() and text.isdecimal() and len(text) <= NUMBER_CHARACTERS_MAX):
        raise BadRow(f"{name} {_short(text)} is not a whole number")
    return int(text)


def _short(text: str, characters_max: int = 60) -> str:
    return repr(text) if len(text) <= characters_max else repr(text[:characters_max]) + "…"


FORMATS: Mapping[str, Format] = {"fitbit": _fitbit, "ndjson": _ndjson, "csv": _own_csv}
