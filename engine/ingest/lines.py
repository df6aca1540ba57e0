"""Lines of a file that may be broken anywhere: each comes with its number, or with what is wrong with it.

Memory is bounded by the longest line that is taken, whatever the file holds. Knows not what lines mean.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LINE_BYTES_MAX = 65_536
UTF8_MARK = b"\xef\xbb\xbf"
OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")


class UnreadableFile(Exception):
    """The whole file can't be used; the text says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text without its end, or why it has none."""

    number: int
    text: str
    problem: str | None = None


def read_lines(path: Path, read: Callable[[int], None] = lambda count: None) -> Iterator[Line]:
    """All lines that are not empty; `read` is told how many bytes each took. Raises UnreadableFile."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise UnreadableFile(f"{path}: {problem.strerror or problem}") from problem
    with file:
        number = 0
        while raw := _next_line(file, read):
            number += 1
            if number == 1:
                raw = _without_mark(path, raw)
            line = _line(number, raw)
            if line.problem or line.text.strip():
                yield line


def _next_line(file: BinaryIO, read: Callable[[int], None]) -> bytes:
    """The next line; of one that is too long only the beginning, and the rest is skipped."""
    raw = file.readline(LINE_BYTES_MAX + 2)
    read(len(raw))
    end = raw
    while end and not end.endswith(b"\n"):
        end = file.readline(LINE_BYTES_MAX)
        read(len(end))
        if end:
            raw = raw[:LINE_BYTES_MAX] + b"\0" * 3  # marks it as too long
    return raw


def _without_mark(path: Path, raw: bytes) -> bytes:
    if raw.startswith(OTHER_MARKS):
        raise UnreadableFile(f"{path} is UTF-16; save it as UTF-8 (CSV UTF-8 in a spreadsheet)")
    return raw.removeprefix(UTF8_MARK)


def _line(number: int, raw: bytes) -> Line:
    body = raw.rstrip(b"\r\n")
    if len(body) > LINE_BYTES_MAX:
        return Line(number, "", f"the line is longer than {LINE_BYTES_MAX} bytes")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as problem:
        return Line(number, "", f"byte {problem.start + 1} of the line is not UTF-8")
    if "\0" in text:
        return Line(number, "", "the line holds a zero byte")
    return Line(number, text)
