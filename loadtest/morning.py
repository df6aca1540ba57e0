"""The morning scenario: an engine on a prefilled database whose balls ripen in the first seconds, and Locust."""

import os
import subprocess
import sys
from pathlib import Path

from loadtest import change
from loadtest.engines import Stable

RIPEN_WITHIN_S = 20


def run(stable: Stable, store: str, users: int, spawn_per_s: float, seconds: int) -> int:
    """Locust's exit status; its percentiles go to standard output."""
    population = stable.population
    first = population.ordinary_user(0)
    last = first + min(users, population.ordinary) - 1
    engine = stable.start(store, lambda url: _seven_o_clock(url, first, last))
    try:
        command = [
            sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless",
            "--users", str(users), "--spawn-rate", str(spawn_per_s), "--run-time", f"{seconds}s", "--only-summary",
            "--host", f"http://127.0.0.1:{engine.port}",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "SAXAUL_TOKEN_SECRET": engine.token_secret,
            "SAXAUL_LOAD_USERS": f"{first}-{last}",
        }
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        engine.stop()


def _seven_o_clock(url: str, first: int, last: int) -> None:
    """Everybody's balls grow still and ripen one after the other within the first seconds."""
    start = change.now_ms() + 5_000
    sql = (
        f"UPDATE balls SET ripens_at = {start} + owner % {RIPEN_WITHIN_S} * 1000,"
        f" friends_from_at = {start} + owner % {RIPEN_WITHIN_S} * 1000 + 1000"
        f" WHERE owner BETWEEN {first} AND {last}"
    )
    change.run(url, sql)
