"""The Makefile: it explains itself and finds a Python that really runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="no make on this machine")
GOOD = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
DEAD = "#!/bin/sh\necho 'the version manager has no such version' >&2\nexit 127\n"
OLD = "#!/bin/sh\nexit 1\n"  # what sys.exit(True) of the version test gives


def make(*arguments: str, folder: Path = ROOT, path: str | None = None) -> subprocess.CompletedProcess[str]:
    # a make above this one (make test) must not hand its own flags down
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        [str(MAKE), *arguments],
        cwd=folder,
        env=environment | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    return folder


def programs(folder: Path, **scripts: str) -> str:
    folder.mkdir()
    for tool in ("sh", "echo", "printf"):
        found = shutil.which(tool)
        if found:
            (folder / tool).symlink_to(found)
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return str(folder)


def test_make_alone_lists_the_commands() -> None:
    listed = make().stdout
    for command in ("demo", "serve", "test", "lint", "bench"):
        assert f"make {command} " in listed


def test_dead_and_old_pythons_are_passed_over(project: Path, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", python3=DEAD, **{"python3.14": OLD, "python3.13": GOOD})
    done = make(".venv/bin/python", folder=project, path=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / ".venv" / "bin" / "python").exists()


def test_without_a_python_the_message_says_what_to_do(project: Path, tmp_path: Path) -> None:
    done = make(".venv/bin/python", folder=project, path=programs(tmp_path / "bin", python3=DEAD))
    assert done.returncode != 0
    assert "Python 3.11 or newer" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (project / ".venv").exists()
