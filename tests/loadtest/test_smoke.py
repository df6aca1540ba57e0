"""One tiny run of everything against the real engine: nothing is timed, but every figure must have been measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_tiny_run_measures_everything(tmp_path: Path):
    target = tmp_path / "figures.json"
    command = [sys.executable, "-m", "loadtest", "--quick", "--stores", "sqlite,null"]
    command += ["--cache", str(tmp_path / "cache"), "--json", str(target)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(target.read_text())
    assert figures["environment"]["cores"] > 0
    for shape, by_name in figures["collects"].items():
        for name, rounds in by_name.items():
            for one in rounds:
                where = f"{shape} {name}: {one}"
                assert one["per_s"] > 0 and one["unanswered"] == 0 and one["closed"] == {}, where
                assert set(one["outcomes"]) == {"collected"}, where
                if name == "sqlite":
                    assert one["push"]["expected"] > 0 and one["push"]["missing"] == 0, where
    for rounds in figures["writer"].values():
        assert all(one["per_s"] > 0 and one["refused"] == 0 for one in rounds)
    hot = figures["hot_ball"]["sqlite"]
    assert set(hot) == {"hot", "spread"}
    for one in (*hot["hot"], *hot["spread"]):
        assert one["unanswered"] == 0 and one["closed"] == 0 and one["without_final_state"] == 0
        assert set(one["outcomes"]) <= {"collected", "nothing_left"}
    for rounds in figures["fan_out"].values():
        assert all(one["deliveries_per_s"] > 0 and one["closed"] == {} for one in rounds)
    for rounds in figures["expiry"].values():
        assert all(one["seen"] > 0 and one["seconds"] > 0 for one in rounds)
    _check_pages(figures["public_pages"]["sqlite"])
    for one in figures["memory"].values():
        assert one["bytes_per_connection"] > 0 and one["closed"] == 0
    for one in figures["find"]:
        assert all(
            one[friends][kind]["per_s"] > 0 for friends in ("10", "1000") for kind in ("press", "changed")
        )


def _check_pages(pages: dict[str, Any]) -> None:
    for kind in ("steady", "fast"):
        for one in pages[kind]:
            assert set(one["statuses"]) == {"200"} and one["hits"] > 0 and one["misses"] > 0, one
            assert set(one["write_statuses"]) == {"200"}, one
    assert all(one["per_s"] > 0 for name in ("health", "yardstick") for one in pages[name])
