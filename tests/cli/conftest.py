"""The real command, in this process, on a database of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app


class Ran:
    """What a command left."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def check(self) -> Ran:
        assert self.status == 0, f"status {self.status}\n{self.out}\n{self.err}"
        return self


Saxaul = Callable[..., Ran]


def run_saxaul(*arguments: str | Path, **settings: object) -> Ran:
    names = [name for name in os.environ if name.startswith("SAXAUL_")]
    cleared: dict[str, str | None] = dict.fromkeys(names)
    given = {f"SAXAUL_{name.upper()}": str(value) for name, value in settings.items()}
    result = CliRunner().invoke(app, [str(one) for one in arguments], env=cleared | given)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def saxaul(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saxaul:
    """`saxaul("check")` in an empty folder, on its `saxaul.db` unless settings say otherwise."""
    monkeypatch.chdir(tmp_path)
    return run_saxaul
