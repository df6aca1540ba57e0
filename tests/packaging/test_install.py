"""`pip install .` into an empty environment gives a working engine, used from an empty folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.house.source import ROOT, files
from tests.support.server import Server, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("install")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that has nothing but Saxaul and what it depends on."""
    root = tmp_path_factory.mktemp("install")
    copy = root / "source"
    for path in files():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    venv.create(root / "environment", with_pip=True)
    binaries = root / "environment" / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check"]
    install = subprocess.run(
        [*pip, "install", "--quiet", "--constraint", str(copy / "constraints.txt"), str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert install.returncode == 0, install.stderr[-4000:]
    assert subprocess.run([*pip, "check"], capture_output=True, check=False).returncode == 0
    shutil.rmtree(copy)
    return binaries


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def run(binaries: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = str(binaries / command[0])
    return subprocess.run(
        [path, *command[1:]],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_help_lists_the_commands(installed: Path, empty: Path) -> None:
    done = run(installed, empty, "saxaul", "--help")
    assert done.returncode == 0, done.stderr
    for command in ("serve", "demo", "ingest", "token", "explain", "check", "doctor", "rules"):
        assert command in done.stdout


def test_rules_and_migrations_are_in_the_wheel(installed: Path, empty: Path) -> None:
    script = (
        "import json; from importlib.resources import files; import engine;"
        "rules = [p.name for p in files('game_rules').iterdir()];"
        "steps = [p.name for p in files('engine').joinpath('store', 'migrations', 'versions').iterdir()];"
        "print(json.dumps([rules, steps, engine.__file__]))"
    )
    done = run(installed, empty, "python", "-c", script)
    assert done.returncode == 0, done.stderr
    rules, steps, engine_file = json.loads(done.stdout)
    assert "game.yaml" in rules
    assert [name for name in steps if name.endswith(".py") and name[0].isdigit()]
    assert str(installed.parent) in engine_file, "the checkout was imported, not the installed package"


def test_every_file_of_the_rulebook_is_in_the_wheel(installed: Path, empty: Path) -> None:
    script = (
        "from importlib.resources import files\n"
        "def walk(folder, prefix):\n"
        "    for entry in folder.iterdir():\n"
        "        path = f'{prefix}/{entry.name}'\n"
        "        walk(entry, path) if entry.is_dir() else print(path)\n"
        "walk(files('game_rules'), 'game_rules')"
    )
    shipped = set(run(installed, empty, "python", "-c", script).stdout.split("\n"))
    assert {path for path in files() if path.startswith("game_rules/")} <= shipped


@pytest.mark.parametrize("command", [("rules", "check"), ("check",), ("doctor",)], ids="-".join)
def test_commands_work_on_nothing(installed: Path, empty: Path, command: tuple[str, ...]) -> None:
    done = run(installed, empty, "saxaul", *command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest_asyncio.fixture
async def served(installed: Path, empty: Path) -> AsyncIterator[Server]:
    server = Server(empty, command=installed / "saxaul", database_url=None)
    await server.start()
    yield server
    await server.stop()


async def test_serve_from_an_empty_folder(served: Server, empty: Path) -> None:
    assert served.ready()
    assert (empty / "saxaul.db").exists()
    assert await served.end() == 0


def test_serve_refuses_demo_secrets_off_loopback(installed: Path, empty: Path) -> None:
    done = subprocess.run(
        [str(installed / "saxaul"), "serve"],
        cwd=empty,
        env=environment(host="0.0.0.0", port=0),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "SAXAUL_TOKEN_SECRET" in done.stdout + done.stderr
