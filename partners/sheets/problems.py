"""What is wrong with a cell or with a whole file: a code with fields, put into words by `words`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from partners.sheets.limits import VALUE_SHOWN_CHARACTERS_MAX


@dataclass(frozen=True, slots=True)
class CellProblem:
    """Why a cell is not taken. `row` as the spreadsheet counts, `column` by its id (empty: the whole row)."""

    row: int
    column: str
    code: str
    fields: Mapping[str, Any] = field(default_factory=dict)


class CellRefused(Exception):
    """A value does not fit its column; the row is not known here."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields

    def at(self, row: int, column: str) -> CellProblem:
        """The same with its place."""
        return CellProblem(row, column, self.code, self.fields)


class FileRefused(Exception):
    """Nothing of the file is taken: `code` and `fields` say why, in no language."""

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields

    def __str__(self) -> str:
        about = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return self.code + (f" ({about})" if about else "")


def shown(value: object) -> str:
    """A value as a message repeats it: one line, no control characters, shortened."""
    text = "".join(character if character.isprintable() else " " for character in str(value)).strip()
    short = VALUE_SHOWN_CHARACTERS_MAX
    return text if len(text) <= short else f"{text[: short - 1]}…"
