"""The file beside a file of activities that names each line that was rejected, and why."""

import csv
from pathlib import Path
from types import TracebackType
from typing import IO, Any


class ErrorFile:
    """CSV with line, code and problem; made with the first rejection. One of an earlier run is removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None
        self._rows: Any = None

    def __enter__(self) -> "ErrorFile":
        self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: int, code: str, about: str) -> None:
        """One rejected line."""
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8")
            self._rows = csv.writer(self._file)
            self._rows.writerow(("line", "code", "problem"))
        self._rows.writerow((line, code, _harmless(about)))


def _harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
