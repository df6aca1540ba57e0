"""The how-to of docs/publishing.md, followed word by word against a living demo: its outputs are real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.support.process import free_port

PAGE = ROOT / "docs" / "publishing.md"
BLOCK = re.compile(r"```(sh|text)\n(.*?)```", re.DOTALL)
READY_S = 60
MARK = "--- next ---"


def steps() -> list[tuple[str, str]]:
    """The commands of each block, and what the page says that they print."""
    page = PAGE.read_text(encoding="utf-8").partition("## Who is a second person")[0]
    found: list[tuple[str, str]] = []
    for kind, text in BLOCK.findall(page):
        if kind == "sh":
            found.append((text, ""))
        else:
            assert found[-1][1] == "", "two outputs of one block"
            found[-1] = (found[-1][0], text)
    return found


def words(line: str) -> str:
    """A line without what differs from day to day: hashes, days, numbers, widths."""
    line = re.sub(r"\b[0-9a-f]{12,64}\b", "#", line)
    line = re.sub(r"[-+±]?\d[\d,.:TZ-]*", "N", line)
    return " ".join(line.split())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Path]:
    """A folder in which the demo village lives, as `saxaul demo` makes it."""
    saxaul = Path(sys.executable).with_name("saxaul")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAXAUL_")}
    with (tmp_path / "demo.log").open("wb") as log:
        child = subprocess.Popen(
            [saxaul, "demo", "--no-live", "--port", str(free_port())],
            cwd=tmp_path,
            env=clean,
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + READY_S
            while "Try next" not in (tmp_path / "demo.log").read_text():
                assert child.poll() is None and time.monotonic() < deadline, (
                    tmp_path / "demo.log"
                ).read_text()
                time.sleep(0.2)
            yield tmp_path
            assert child.poll() is None, (tmp_path / "demo.log").read_text()
        finally:
            child.terminate()
            child.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a minute where nothing else runs
def test_the_how_to_is_true_word_by_word(demo: Path) -> None:
    commands = steps()
    assert len(commands) >= 10
    script = f"\necho '{MARK}'\n".join(f"set -e\n{text}" for text, _ in commands)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=demo,
        env={"PATH": path, "HOME": str(demo), "LANG": "C.UTF-8", "SAXAUL_FORECAST_D": "10"},
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = ran.stdout.split(f"{MARK}\n")
    if os.environ.get("HOWTO_SHOW"):
        Path(os.environ["HOWTO_SHOW"]).write_text(ran.stdout)
    assert ran.returncode == 0, outputs[-1]
    assert len(outputs) == len(commands)
    for (text, expected), output in zip(commands, outputs, strict=True):
        there = {words(line) for line in output.splitlines()}
        for line in expected.splitlines():
            assert words(line) in there or line.strip() == "…", f"{text}\nsays {line!r}, not\n{output}"
    assert "<!doctype html>" in (demo / "page.html").read_text(encoding="utf-8")[:20]
    made = [int(found) for found in re.findall(r"energy issued +([\d,]+) g", ran.stdout.replace(",", ""))]
    assert len(made) == 1 and 0 < 200 * 296 - made[0] < 200 * 96 and (200 * 296 - made[0]) % 96 == 0
