"""Fixtures for rulebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.rules import RuleBook
from engine.rulebook import load_rulebook
from tests.rules.pack import Pack, write_pack


@pytest.fixture(scope="session")
def shipped() -> RuleBook:
    """The rulebook that ships with the engine."""
    return load_rulebook()


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """A small sound rulebook in a folder of its own."""
    return write_pack(tmp_path)
