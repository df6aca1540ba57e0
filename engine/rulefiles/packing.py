"""A rulebook as one thing that travels and is kept: path → text, with limits, and back to a RuleBook.

Paths are those of a rulebook folder and nothing else, so that none can lead out of it. There are no archives: what
comes in is text, as large as it looks.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.core.editions import StoredRulebook
from engine.core.rules import RuleBook
from engine.rulebook import PLACES, RulebookError, load_rulebook
from engine.rulefiles.reading import FILE_BYTES_MAX, Problem

FILES_MAX = 1_000
RULEBOOK_BYTES_MAX = 4 * 1024 * 1024
PATH = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}(/[a-z0-9][a-z0-9_-]{0,99}){0,2}\.yaml")


def packed(folder: Path) -> dict[str, str]:
    """The files of a rulebook folder. Raises RulebookError for what can't be kept as text."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*.yaml"))[: FILES_MAX + 1]:
        name = path.relative_to(folder).as_posix()
        if any(part.startswith((".", "__")) for part in name.split("/")):
            continue
        try:
            with path.open("rb") as source:
                files[name] = source.read(FILE_BYTES_MAX + 1).decode()
        except (OSError, UnicodeDecodeError):
            problems.append(
                _problem(name, "a file that can't be read as text", "UTF-8 text", "save it as UTF-8")
            )
    problems += _problems(files)
    if problems:
        raise RulebookError(problems)
    return files


@contextmanager
def unpacked(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder with these files while the block runs. Raises RulebookError where they exceed a limit."""
    problems = _problems(files)
    if problems:
        raise RulebookError(problems)
    with tempfile.TemporaryDirectory(prefix="saxaul-rules-") as place:
        for name, text in files.items():
            path = Path(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        yield Path(place)


def book_of(files: Mapping[str, str], known_as: str | None = None) -> RuleBook:
    """The rulebook in these files, checked as a folder is. Raises RulebookError with all problems.

    `known_as`: the hash under which it was stored, which it keeps also where a later engine hashes otherwise.
    """
    with unpacked(files) as folder:
        book = load_rulebook(folder)
    if not known_as or known_as == book.hash:
        return book
    return replace(book, hash=known_as, memo={})  # what the examples left there names the other hash


def stored(book: RuleBook, files: Mapping[str, str]) -> StoredRulebook:
    """What is kept of a checked rulebook."""
    ordered = dict(sorted(files.items()))
    return StoredRulebook(book.hash, ordered, digest_of(ordered), 0)


def digest_of(files: Mapping[str, str]) -> str:
    """The SHA-256 of the files as texts, so that damage shows whatever the files mean."""
    text = json.dumps(files, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _problems(files: Mapping[str, str]) -> list[Problem]:
    """What can be said against the files before any of them is read."""
    if len(files) > FILES_MAX:
        return [_problem(".", f"more than {FILES_MAX:,} files", f"at most {FILES_MAX:,}", "remove some")]
    size = 0
    for name, text in files.items():
        if not PATH.fullmatch(name):
            return [_problem(name[:120], "a path that no rule file has", PLACES, "rename or remove it")]
        try:
            size += len(text.encode())
        except UnicodeEncodeError:
            return [_problem(name, "half a character", "UTF-8 text", "save the file as UTF-8")]
    if size > RULEBOOK_BYTES_MAX:
        limit = f"at most {RULEBOOK_BYTES_MAX:,} bytes"
        return [_problem(".", f"{size:,} bytes in all", limit, "shorten what is written in words")]
    return []


def _problem(name: str, found: str, expected: str, fix: str) -> Problem:
    return Problem(name, 1, "", found, expected, fix)
