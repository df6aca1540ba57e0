"""Pull files: where a source's feed is, how it is paged, and which of its fields mean what. Strict, like rule files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.rulefiles.reading import Problem, path_text, read_document
from engine.rulefiles.scalars import Text, Whole, wrong
from engine.rulefiles.wording import findings_of

SECRET_PREFIX = "SAXAUL_PULL_"  # noqa: S105 - how names begin, not a secret
FILES_MAX = 100
NEEDED = ("id", "subject", "behaviour", "quantity", "unit")
KNOWN = (*NEEDED, "at", "on", "revision")
ATTRIBUTE = "attributes."
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PATH = re.compile(r"[A-Za-z0-9_@$-]+(\.[A-Za-z0-9_@$-]+){0,9}")


class PullError(Exception):
    """Pull files that can't be used; the text names each problem with file, line and fix."""


def _matching(pattern: re.Pattern[str], expected: str, fix: str) -> BeforeValidator:
    def check(found: object) -> object:
        if isinstance(found, str) and pattern.fullmatch(found):
            return found
        raise wrong(found, expected, fix)

    return BeforeValidator(check)


def _address(found: object) -> object:
    if isinstance(found, str):
        try:
            parts = urlsplit(found)
            usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if usable and not parts.username and not parts.fragment and found.isascii() and " " not in found:
            return found
    raise wrong(found, "an https:// address without user, password and #", "write the whole address")


Slug = Annotated[str, _matching(_SLUG, "small letters, digits, . _ and -", "write it like metro-bj")]
FieldPath = Annotated[
    str, _matching(_PATH, "names joined by dots, such as data.items", "write the path from the top")
]
SecretName = Annotated[
    str,
    _matching(
        re.compile(SECRET_PREFIX + r"[A-Z0-9_]{1,64}"),
        f"the name of an environment variable that begins with {SECRET_PREFIX}",
        "set it where the engine runs; the secret itself never stands in a file",
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paging(_Strict):
    """How one page leads to the next."""

    records: FieldPath | None = Field(
        default=None, description="path to the list of records; the whole reply if not"
    )
    next: FieldPath | None = Field(
        default=None, description="path to the cursor of the next page; none: one page"
    )
    parameter: Slug = Field(default="cursor", description="query parameter that takes the cursor")
    size_parameter: Slug | None = Field(
        default=None, description="query parameter that takes the page's size"
    )
    size: Whole = Field(default=500, description="records asked for in a page, at most 1,000")


class Given(_Strict):
    """Where a field comes from: a path in the record (translated by `words`, where given), or a fixed text."""

    path: FieldPath | None = Field(default=None, description="path in the record")
    value: Text | None = Field(default=None, description="the same for every record")
    words: dict[str, Text] = Field(
        default_factory=dict, description="what the record says → what it means here"
    )


class PullFile(_Strict):
    """<source>.yaml in the pull folder."""

    source: Slug = Field(description="id of a registered source; the file's name")
    address: Annotated[str, BeforeValidator(_address)] = Field(description="where the first page is")
    every_s: Whole = Field(default=300, description="seconds between two visits, at least 5")
    requests_per_min: Whole = Field(default=30, description="requests in a minute, 1 to 600")
    secret: SecretName | None = Field(
        default=None, description="name of the environment variable whose value is sent as a bearer token"
    )
    page: Paging = Field(default_factory=Paging, description="how pages follow each other")
    fields: dict[str, FieldPath | Given] = Field(
        description="fields of an activity by where a record has them"
    )


def read_folder(folder: Path) -> list[PullFile]:
    """All pull files of a folder. Raises PullError with everything that is wrong."""
    if not folder.is_dir():
        raise PullError(f"there is no folder {folder}; expected pull files, one a source")
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".yaml")
    if len(names) > FILES_MAX:
        raise PullError(f"{len(names)} pull files in {folder}; at most {FILES_MAX}")
    files: list[PullFile] = []
    problems: list[Problem] = []
    for name in names:
        file, found = read_file(folder / name)
        problems += found
        files += [file] if file is not None else []
    if problems:
        raise PullError("\n".join(map(str, sorted(problems))))
    return files


def read_file(path: Path) -> tuple[PullFile | None, Sequence[Problem]]:
    """One pull file, or what is wrong with it."""
    document, problems = read_document(path, path.name)
    if document is None:
        return None, problems
    try:
        file = PullFile.model_validate(document.tree)
    except ValidationError as error:
        findings = findings_of(error, PullFile, document)
        return None, [
            Problem(
                path.name, document.line_of(one.path), path_text(one.path), one.found, one.expected, one.fix
            )
            for one in findings
        ]
    found = [
        Problem(path.name, document.line_of((key,)), key, *about) for key, about in _whole(file, path.stem)
    ]
    return (None if found else file), found


def _whole(file: PullFile, stem: str) -> list[tuple[str, tuple[str, str, str]]]:
    """What the shape can't show: names that must agree, numbers within bounds, fields that must be there."""
    found: list[tuple[str, tuple[str, str, str]]] = []
    if file.source != stem:
        found.append(("source", (repr(file.source), f"the file's name, {stem!r}", "rename one of them")))
    for key, number, low, high in (
        ("every_s", file.every_s, 5, 86_400),
        ("requests_per_min", file.requests_per_min, 1, 600),
        ("page", file.page.size, 1, 1_000),
    ):
        if not low <= number <= high:
            found.append((key, (str(number), f"a whole number from {low:,} to {high:,}", "correct it")))
    missing = [name for name in NEEDED if name not in file.fields]
    if missing or not {"at", "on"} & file.fields.keys():
        lacking = ", ".join(missing) or "at or on"
        found.append(
            ("fields", (f"nothing for {lacking}", "a place for each needed field", f"add {lacking}: …"))
        )
    for name, given in file.fields.items():
        if name not in KNOWN and not re.fullmatch(r"attributes\.[a-z0-9][a-z0-9._-]{0,63}", name):
            known = f"one of {', '.join(KNOWN)} or {ATTRIBUTE}NAME"
            found.append(("fields", (f"the unknown field {name[:60]!r}", known, "correct or remove it")))
        if isinstance(given, Given) and (given.path is None) == (given.value is None):
            found.append(("fields", (f"{name[:60]} with neither or both", "path or value", "keep one")))
    return found
