"""A partner's file to a table: which kind it is, which column is which, and every row's values or problems.

Reordered, missing, further and merged columns, blank and hidden rows do no harm; a hidden row counts like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partners.sheets.cells import Raw, folded, is_blank, value_of
from partners.sheets.delimited import read_delimited
from partners.sheets.guard import Form, form_of
from partners.sheets.kinds import KINDS, MARK, PROBLEMS, VERSION, FileKind
from partners.sheets.limits import COLUMNS_MAX, HEADER_ROWS_MAX, PROBLEMS_PER_ROW_MAX, ROWS_MAX
from partners.sheets.problems import CellProblem, CellRefused, FileRefused
from partners.sheets.words import PROBLEMS_NAME
from partners.sheets.workbook import Tab, read_tabs

HEADER_CELLS_MIN = 3
"""So many cells of a row must be column names for it to be a header."""


@dataclass(slots=True)
class TableRow:
    """One filled row: its number in the spreadsheet, values by column id, and what is wrong."""

    number: int
    values: dict[str, Any]
    problems: list[CellProblem] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """What a file says. `rows` are those with an answer; `places` the column numbers by id (from 1)."""

    kind: FileKind
    form: Form
    language: str
    title: str
    header_rows: list[int]
    places: dict[str, int]
    width: int
    rows: list[TableRow]
    sha256: str

    @property
    def problems(self) -> list[CellProblem]:
        """All problems, top to bottom."""
        return [problem for row in self.rows for problem in row.problems]

    @property
    def problems_place(self) -> int:
        """The column in which problems are told: that of an earlier return, else the first free one."""
        return self.places.get(PROBLEMS, self.width + 1)


@dataclass(slots=True)
class _Header:
    kind: FileKind
    rows: list[int]
    places: dict[str, int]
    language: str
    version: int


def read_table(data: bytes, language: str, kinds: Sequence[FileKind] = tuple(KINDS.values())) -> Table:
    """What the file says, as one of the kinds. `language` is the partner's, for encodings and where the file does not
    tell.

    Raises FileRefused; problems of single cells are in the rows.
    """
    form = form_of(data)
    if form == "csv":
        found = read_delimited(data, language)
        tabs: Sequence[Tab] = [Tab("", found.rows, False)]
    else:
        tabs = list(read_tabs(data))
    if not any(tab.rows for tab in tabs):
        raise FileRefused("empty")
    for tab in tabs:
        header = _header(tab, language, kinds)
        if header is not None:
            return _table(tab, header, form, data)
    raise FileRefused("no_header")


def table_of(kind: FileKind, language: str, answers: Sequence[Mapping[str, Raw]]) -> Table:
    """The same table where the rows come from a form: cells by column id, read as those of a file are."""
    header = _Header(
        kind, [], {column.id: place for place, column in enumerate(kind.columns, 1)}, language, VERSION
    )
    rows = [
        _row(number, [cells.get(column.id) for column in kind.columns], header, False)
        for number, cells in enumerate(answers, start=1)
    ]
    return Table(kind, "csv", language, "", [], header.places, len(kind.columns), rows, "")


def _table(tab: Tab, header: _Header, form: Form, data: bytes) -> Table:
    if header.version > VERSION:
        raise FileRefused("newer_version", version=header.version)
    missing = [
        column.names[header.language]
        for column in header.kind.columns
        if column.is_required and column.id not in header.places
    ]
    if missing:
        raise FileRefused("columns_missing", columns=missing)
    body = [row for row in tab.rows if row[0] > header.rows[-1]]
    if len(body) > ROWS_MAX:
        raise FileRefused("too_many_rows", rows_max=ROWS_MAX)
    rows = [_row(number, cells, header, tab.epoch_1904) for number, cells in body if _answers(cells, header)]
    return Table(
        kind=header.kind,
        form=form,
        language=header.language,
        title=tab.title,
        header_rows=header.rows,
        places=header.places,
        width=max(_width(cells) for _, cells in tab.rows),
        rows=rows,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _row(number: int, cells: list[Raw], header: _Header, epoch_1904: bool) -> TableRow:
    row = TableRow(number, {})
    for column in header.kind.columns:
        raw = _cell(cells, header.places.get(column.id))
        try:
            row.values[column.id] = value_of(raw, column, epoch_1904)
        except CellRefused as refusal:
            row.values[column.id] = None
            if len(row.problems) < PROBLEMS_PER_ROW_MAX:
                row.problems.append(refusal.at(number, column.id))
    return row


def _answers(cells: list[Raw], header: _Header) -> bool:
    """Whether the partner has written anything into the row that was not there when it was sent."""
    return any(
        not is_blank(_cell(cells, header.places.get(column.id)))
        for column in header.kind.columns
        if column.is_answer and column.id not in header.kind.numbered
    )


def _cell(cells: Sequence[Raw], place: int | None) -> Raw:
    return cells[place - 1] if place is not None and place <= len(cells) else None


def _width(cells: Sequence[Raw]) -> int:
    return max((place for place, raw in enumerate(cells, start=1) if not is_blank(raw)), default=0)


# --- the header -----------------------------------------------------------------------------------


def _header(tab: Tab, language: str, kinds: Sequence[FileKind]) -> _Header | None:
    """The header of the kind that most of its cells name; None where no row is one."""
    best: _Header | None = None
    for kind in kinds:
        header = _header_of(kind, tab, language)
        if header is not None and (best is None or len(header.places) > len(best.places)):
            best = header
    return best


def _header_of(kind: FileKind, tab: Tab, language: str) -> _Header | None:
    names = _names(kind)
    rows: list[int] = []
    places: dict[str, int] = {}
    version = VERSION
    for number, cells in tab.rows[:HEADER_ROWS_MAX]:
        named = _named(cells, names)
        if len({column for column, _ in named}) < HEADER_CELLS_MIN:
            if rows:
                break  # data has begun
            continue
        for column, place in named:
            if places.get(column, place) != place:
                raise FileRefused("column_twice", column=_name(kind, column, language))
            places[column] = place
        rows.append(number)
        marked = _mark(cells)
        if marked is not None:
            version, language = marked[1], marked[2]
        if len(rows) == 2:
            break
    if not rows or not any(column in places for column in kind.telling):
        return None
    return _Header(kind, rows, places, _spoken(kind, tab, rows, language), version)


def _names(kind: FileKind) -> dict[str, str]:
    """Folded name → column id: ids, and names in all languages."""
    names = {folded(PROBLEMS): PROBLEMS} | {folded(text): PROBLEMS for text in PROBLEMS_NAME.values()}
    for column in kind.columns:
        for text in (column.id, *column.names.values(), *column.other_names):
            names[folded(text)] = column.id
    return names


def _named(cells: Sequence[Raw], names: dict[str, str]) -> list[tuple[str, int]]:
    return [
        (names[folded(raw)], place)
        for place, raw in enumerate(cells[:COLUMNS_MAX], start=1)
        if isinstance(raw, str) and folded(raw) in names
    ]


def _mark(cells: Sequence[Raw]) -> tuple[str, int, str] | None:
    """(kind, version, language) of the cell that says so."""
    for raw in cells:
        if isinstance(raw, str) and raw.startswith(f"{MARK}:"):
            parts = raw.strip().split(":")
            if len(parts) == 4 and parts[2].isascii() and parts[2].isdigit() and len(parts[2]) < 6:
                language = parts[3] if parts[3] in PROBLEMS_NAME else "en"
                return parts[1], int(parts[2]), language
    return None


def _spoken(kind: FileKind, tab: Tab, rows: Sequence[int], language: str) -> str:
    """The language of the names in the header, where they are of one."""
    texts = {
        folded(raw) for number, cells in tab.rows if number in rows for raw in cells if isinstance(raw, str)
    }
    counts = {
        one: sum(
            folded(column.names[one]) in texts for column in kind.columns if folded(column.id) not in texts
        )
        for one in PROBLEMS_NAME
    }
    both_rows = {
        one: sum(folded(column.names[one]) in texts for column in kind.columns) for one in PROBLEMS_NAME
    }
    found = max(both_rows, key=lambda one: (both_rows[one], counts[one], one == language))
    return found if both_rows[found] >= HEADER_CELLS_MIN else language


def _name(kind: FileKind, column: str, language: str) -> str:
    return PROBLEMS_NAME[language] if column == PROBLEMS else kind.column(column).names[language]
