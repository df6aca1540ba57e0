"""Rulebooks to work on: the shipped one, and small ones that a test may bend."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.rulebook import Files, load_files, shipped_rules
from tests.rules.pack import Pack, write_pack


@pytest.fixture(scope="session")
def shipped() -> Files:
    """The rulebook that ships."""
    return load_files()


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A small sound rulebook."""
    return write_pack(tmp_path / "before")


@pytest.fixture
def changed(tmp_path: Path, pack: Pack) -> Callable[..., Pack]:
    """The small rulebook with texts of a file replaced."""

    def change(name: str, *edits: tuple[str, str]) -> Pack:
        other = tmp_path / "after"
        if not other.exists():
            shutil.copytree(pack.folder, other)
        made = Pack(other)
        for old, new in edits:
            made.edit(name, old, new)
        return made

    return change


@pytest.fixture
def own_copy(tmp_path: Path) -> Pack:
    """A copy of the shipped rulebook."""
    folder = tmp_path / "shipped"
    shutil.copytree(shipped_rules(), folder)
    return Pack(folder)
