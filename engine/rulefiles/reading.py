"""Strict YAML: a small, harmless part of YAML 1.2, read with positions.

A document becomes dictionaries, lists and texts, and nothing else: numbers, dates and truth values stay the
text that was written (so `NO`, `017` and `12:30` are never something else), and `null` or an empty value is
None. Anchors, aliases, tags, equal keys, several documents, deep nesting and large files are refused. This
module knows nothing of rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

KEPT_FILES = 512  # read files that are kept, by what is in them
KEPT_BYTES_MAX = 32 * 1024  # larger ones are read each time
FILE_BYTES_MAX = 256 * 1024
DEPTH_MAX = 20
KEY_CHARACTERS_MAX = 200
NULLS = ("", "~", "null")

Tree = dict[str, Any] | list[Any] | str | None
Step = str | int
TreePath = tuple[Step, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a file: where, what was found, what was expected, and what to do about it."""

    file: str
    line: int
    path: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" + (f":{self.path}" if self.path else "")
        return printable(f"{where}: {self.found}; expected {self.expected}. Fix: {self.fix}")


@dataclass(slots=True)
class Document:
    """A file's content and the line of each path in it."""

    file: str
    tree: Tree
    lines: dict[TreePath, int] = field(default_factory=dict)

    def line_of(self, path: TreePath) -> int:
        """The line where the path, or the nearest thing around it that exists, begins."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def printable(text: str) -> str:
    """The text on one line, without characters that a terminal or a log would act on."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def path_text(path: TreePath) -> str:
    """`('caps', 'day_g', 0)` as `caps.day_g[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_document(path: Path, name: str) -> tuple[Document | None, list[Problem]]:
    """The document in a file, called `name` in messages, or what is wrong with it."""
    try:
        with path.open("rb") as source:
            data = source.read(FILE_BYTES_MAX + 1)
    except OSError as problem:
        return None, [
            Problem(
                name,
                1,
                "",
                f"cannot be read ({problem.strerror})",
                "a readable file",
                "check its permissions",
            )
        ]
    return parse_document(data, name)


def parse_document(data: bytes, name: str) -> tuple[Document | None, list[Problem]]:
    """The document in these bytes, called `name` in messages, or what is wrong with it."""
    if len(data) > FILE_BYTES_MAX:
        found = f"more than {FILE_BYTES_MAX:,} bytes"
        return None, [Problem(name, 1, "", found, f"at most {FILE_BYTES_MAX:,} bytes", "split the file")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        return None, [
            Problem(name, line, "", "bytes that are not UTF-8", "UTF-8 text", "save the file as UTF-8")
        ]
    if len(data) > KEPT_BYTES_MAX:
        return _Builder(name).build(text)
    document, problems = _built(text, name)
    return document, list(problems)


@lru_cache(maxsize=KEPT_FILES)
def _built(text: str, name: str) -> tuple[Document | None, tuple[Problem, ...]]:
    """Reading is nine tenths of loading a rulebook, and most files of a changed one are the same as before."""
    document, problems = _Builder(name).build(text)
    return document, tuple(problems)


class _Builder:
    """Turns the parser's events into a tree; stops at the first problem that makes the rest doubtful."""

    def __init__(self, name: str) -> None:
        self.document = Document(name, None)
        self.problems: list[Problem] = []

    def build(self, text: str) -> tuple[Document | None, list[Problem]]:
        try:
            self._documents(YAML(typ="safe", pure=True).parse(text))
        except _Stop:
            pass
        except MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            what = " ".join(str(problem.problem or problem.context or "not YAML").split())
            self._add(
                mark.line + 1 if mark else 1,
                (),
                f"not YAML: {what}",
                "YAML 1.2",
                "check indentation, quotes and tabs",
            )
        except (YAMLError, ValueError, IndexError, AttributeError) as problem:
            what = " ".join(str(problem).split())[:200]
            self._add(
                1, (), f"not YAML: {what}", "YAML 1.2", "check for control characters and unclosed quotes"
            )
        return (None if self.problems else self.document), self.problems

    def _documents(self, events: Iterator[Any]) -> None:
        documents = 0
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if event.version or event.tags:
                    self._add(
                        line,
                        (),
                        "a % directive",
                        "plain YAML 1.2",
                        "remove the line that begins with %",
                        stop=True,
                    )
                if documents > 1:
                    self._add(
                        line,
                        (),
                        "a second document",
                        "one document in a file",
                        "remove the line ---",
                        stop=True,
                    )
            elif isinstance(event, (ScalarEvent, AliasEvent, MappingStartEvent, SequenceStartEvent)):
                self.document.tree = self._node(event, events, ())
        if not documents or self.document.tree is None:
            self._add(1, (), "nothing", "a mapping of keys to values", "write the keys, or delete the file")

    def _node(self, event: Any, events: Iterator[Any], path: TreePath) -> Tree:
        line = event.start_mark.line + 1
        self.document.lines[path] = line
        self._refuse_tricks(event, line, path)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, path)
        if isinstance(event, ScalarEvent):
            return None if event.implicit[0] and event.value in NULLS else event.value
        return None

    def _refuse_tricks(self, event: Any, line: int, path: TreePath) -> None:
        if len(path) > DEPTH_MAX:
            expected = f"at most {DEPTH_MAX} levels"
            self._add(
                line, path[:4], f"more than {DEPTH_MAX} levels", expected, "flatten the file", stop=True
            )
        if isinstance(event, AliasEvent):
            self._add(line, path, f"the alias *{event.anchor}", "the value itself", "write the value out")
            return
        if event.anchor:
            self._add(line, path, f"the anchor &{event.anchor}", "no anchors", f"remove &{event.anchor}")
        if getattr(event, "tag", None) is not None:
            self._add(line, path, f"the tag {event.tag}", "no tags", "remove the tag")

    def _mapping(self, events: Iterator[Any], path: TreePath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            line = event.start_mark.line + 1
            if not isinstance(event, ScalarEvent):
                self._add(
                    line, path, "a key that is not a text", "a plain key", "write key: value", stop=True
                )
            self._refuse_tricks(event, line, path)
            key = event.value
            if len(key) > KEY_CHARACTERS_MAX:
                found, expected = f"a key of {len(key):,} characters", f"at most {KEY_CHARACTERS_MAX}"
                self._add(line, path, found, expected, "shorten it, or quote its text", stop=True)
            if key in mapping:
                first = self.document.lines[(*path, key)]
                found = f"the key {key!r} twice (first on line {first})"
                self._add(
                    line,
                    (*path, key),
                    found,
                    "each key once",
                    "remove one of them, or give each its own name or day",
                )
            value = self._node(next(events), events, (*path, key))
            mapping.setdefault(key, value)
            self.document.lines[(*path, key)] = line
        return mapping

    def _sequence(self, events: Iterator[Any], path: TreePath) -> list[Any]:
        sequence: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            sequence.append(self._node(event, events, (*path, len(sequence))))
        return sequence

    def _add(
        self, line: int, path: TreePath, found: str, expected: str, fix: str, stop: bool = False
    ) -> None:
        self.problems.append(Problem(self.document.file, line, path_text(path), found, expected, fix))
        if stop:
            raise _Stop


class _Stop(Exception):
    """The rest of the document is not worth reading."""
