"""A file made for a partner, and a partner's file with what is wrong beside its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from partners.sheets.delimited import marked_delimited, new_delimited
from partners.sheets.guard import Form
from partners.sheets.kinds import FileKind
from partners.sheets.problems import CellProblem
from partners.sheets.reading import Table
from partners.sheets.words import OK, cell_text
from partners.sheets.workbook import marked_workbook, new_workbook


def new_file(
    kind: FileKind,
    language: str,
    rows: Sequence[Mapping[str, Any]],
    form: Form = "xlsx",
    note: str = "",
    lists: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """A file of the kind for a partner to fill in; `rows` by column id."""
    if form == "csv":
        return new_delimited(kind, language, rows)
    return new_workbook(kind, language, rows, note, lists or {})


def returned_file(
    data: bytes, table: Table, problems: Sequence[CellProblem], notes: Sequence[CellProblem], language: str
) -> bytes:
    """The partner's file again, each answered row with its problems, or with the word that it is recorded and any
    notes on it.

    Good cells, formats and other sheets stay as they are; formulas become text. Raises FileRefused.
    """
    wrong_rows = {problem.row for problem in problems}
    told = {row.number: [] if row.number in wrong_rows else [OK[language]] for row in table.rows}
    for problem in (*problems, *notes):
        told.setdefault(problem.row, []).append(cell_text(problem, table.kind, language))
    texts = {row: " ".join(parts) for row, parts in told.items()}
    if table.form == "csv":
        return marked_delimited(data, language, table.header_rows, table.problems_place, texts)
    wrong = {(one.row, table.places[one.column]) for one in problems if one.column in table.places}
    return marked_workbook(data, table.title, table.header_rows, table.problems_place, language, texts, wrong)
