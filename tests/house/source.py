"""What the house-rule tests read: the project's own files, parsed once. Test helper, knows no rule."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "partners", "loadtest")
_MADE = {".git", ".venv", ".cache", "build", "dist", "node_modules", "__pycache__", "results"}


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file: where it lies (POSIX path from the root), its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Dotted name."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions and methods, inner ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every import, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.path}:{node.lineno}: relative import"
                yield node.lineno, node.module or ""


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file of these folders, sorted."""
    found = []
    for path in files():
        if path.endswith(".py") and path.split("/")[0] in folders:
            text = (ROOT / path).read_text()
            found.append(Module(path, text, ast.parse(text, path)))
    return tuple(found)


@cache
def files() -> tuple[str, ...]:
    """POSIX paths of all files that belong to the project, not those that are made here."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        # a checkout that belongs to another user is still this project
        environment = os.environ | {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        listed = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return tuple(
            sorted(path for path in set(listed.stdout.split("\0")) if path and (ROOT / path).is_file())
        )
    every = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return tuple(sorted(path.as_posix() for path in every if not _MADE & set(path.parts)))


@cache
def text_files() -> tuple[tuple[str, str], ...]:
    """(path, text) of all project files that are text."""
    found = []
    for path in files():
        try:
            found.append((path, (ROOT / path).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return tuple(found)
