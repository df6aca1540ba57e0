"""What the documents name exists: linked files, make targets, commands, settings."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.house.source import ROOT, files

PAGES = [path for path in files() if path.endswith(".md")]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?\n(.*?)```|`([^`\n]+)`", re.DOTALL)
# set for the tests and the crash tests only, or given to the image
NOT_SETTINGS = {
    "SAXAUL_TEST_POSTGRES_BIN",
    "SAXAUL_TEST_REDIS_SERVER",
    "SAXAUL_TEST_CHROMIUM",
    "SAXAUL_TEST_PICTURES",
    "SAXAUL_FAILPOINTS",
    "SAXAUL_BENCH_CACHE",
    "SAXAUL_LOAD_USERS",
    "SAXAUL_PULL_METRO_BJ",  # a secret of a feed, in an example
    "SAXAUL_PULL",  # how the names of such secrets begin
}


def code(page: str) -> str:
    """All code of a page: blocks and spans."""
    return "\n".join(block or span for block, span in CODE.findall((ROOT / page).read_text()))


@pytest.mark.parametrize("page", PAGES)
def test_linked_files_exist(page: str) -> None:
    for target in LINK.findall((ROOT / page).read_text()):
        if not re.match(r"[a-z]+:|#", target):
            path = (ROOT / page).parent / target.partition("#")[0]
            assert path.exists(), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(
        re.findall(r"(?:^|[ ;&(])make(?: PYTHON=\S+| PORT=\S+)* ([a-z][a-z-]*)", code(page), re.MULTILINE)
    )
    assert named <= targets, f"{page} names {named - targets}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    named = set(re.findall(r"(?:^|[ /])saxaul ([a-z][a-z-]+)", code(page), re.MULTILINE))
    assert named <= commands(), f"{page} names {named - commands()}"


@cache
def commands() -> frozenset[str]:
    """The names that `saxaul --help` lists."""
    saxaul = Path(sys.executable).with_name("saxaul")
    shown = subprocess.run([saxaul, "--help"], capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"^\W*([a-z][a-z-]+)  ", shown, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_settings_exist(page: str) -> None:
    from engine.settings import Settings

    known = {f"SAXAUL_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    named = set(re.findall(r"SAXAUL_[A-Z_]*[A-Z]", (ROOT / page).read_text()))
    assert named <= known, f"{page} names {named - known}"
