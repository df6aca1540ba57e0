"""The demo from nothing: a village that lives, a user who connects, trees that get planted."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import signal
import sys
import urllib.request
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from engine.core.units import local_day
from engine.demo.acts import late_act, ripening_soon
from engine.demo.people import ZONE, Villager
from engine.demo.show import where
from engine.demo.view import TOP_USERS, Picture, render
from engine.rulebook import load_rulebook
from tests.support.node import NodeMissing, find_node, sdk_modules
from tests.support.process import Child, free_port
from tests.support.sdk_py import PySdk
from tests.support.server import COMMAND, environment, run_cli

START_S = 60.0
NODE_WITH_WEBSOCKET = 22
NOON = 1_795_406_400_000  # 2026-11-23T04:00:00Z, noon in the village
SAMPLES = Path(__file__).parents[2] / "docs" / "samples"


async def until(child: Child, pattern: str, timeout_s: float) -> re.Match[str]:
    async with asyncio.timeout(timeout_s):
        while True:
            text = child.log_text()
            if match := re.search(pattern, text):
                return match
            assert child.running, text
            await asyncio.sleep(0.1)


async def samples_work(port: int, token: str, folder: Path) -> None:
    """What the README shows, run as it stands there."""
    url = f"ws://127.0.0.1:{port}/connection/websocket"
    told = await finished(sys.executable, str(SAMPLES / "connect.py"), url, token)
    assert "collected" in told and "is ordered" in told and "is planted" in told, told
    try:
        modules, node = await asyncio.to_thread(sdk_modules), find_node()
    except NodeMissing:
        return
    if int((await finished(node.executable, "--version"))[1:].split(".")[0]) < NODE_WITH_WEBSOCKET:
        return
    shutil.copy(SAMPLES / "connect.mjs", folder)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    told = await finished(node.executable, str(folder / "connect.mjs"), url, token)
    assert "forest.changed" in told or "ball.ripened" in told, told


async def what_to_try_works(child: Child, folder: Path) -> None:
    """The demo's own commands, pasted as they are printed; those that install are left out."""
    shown = (await until(child, r"(?s)(export TOKEN=.+?)\n\n.+browser: (\S+)", 5)).groups()
    out = await finished("sh", "-e", "-c", f"cd {folder}\n{shown[0]}")
    assert '"wallet_g"' in out and "How it was worked out" in out and "No problem was found" in out, out
    request = urllib.request.Request(shown[1], headers={"Accept": "text/html"})
    with await asyncio.to_thread(urllib.request.urlopen, request, timeout=5) as reply:
        assert reply.status == 200 and re.search(r"<h1>Tree .*SX-\d{6}-", reply.read().decode())


async def finished(*command: str, timeout_s: float = 90) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


def test_the_databases_password_is_not_shown() -> None:
    assert "secret" not in " ".join(where("postgresql://me:secret@db.example/village"))
    assert where("sqlite:///v.db") == (" --database sqlite:///v.db", "sqlite:///v.db")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    """Nothing is higher or wider than the terminal, whatever the names: else the bottom would be hidden."""
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    picture = Picture(
        users=[("Daniel 丹尼尔 the Elder" * 3, 1_234_567, 77_100_000)] * TOP_USERS,
        stocks=[("caragana-wuwei", 1_000, 999)] * 3,
        trees=[("confirmed", 12), ("ordered", 3), ("planted", 4_000)],
        balls=(1_200, 900),
    )
    picture.feed.extend([f"03:02:{second:02d}  " + "long [b]words 木木 " * 20 for second in range(30)])
    lines = console.render_lines(render(picture, height, "below"), pad=False)
    assert len(lines) < height
    told = ["".join(segment.text for segment in line) for line in lines]
    assert max(cell_len(line) for line in told) <= width
    assert told[-1].strip() == "below" and any("03:02:29" in line and "[b]" in line for line in told)


def test_the_visitor_sees_balls_ripen_all_the_while() -> None:
    """An hour of the visitor's acts against caps of three a day: at its end some still count.

    Acts of yesterday alone were stopped by yesterday's caps after a minute.
    """
    rules, dice, visitor = load_rulebook(), random.Random(1), Villager(1, "You", 1.0)
    used: Counter[tuple[str, date]] = Counter()
    counted: list[bool] = []
    for moment in range(400):
        act = late_act if moment % 2 else ripening_soon
        command = act(visitor, NOON + moment * 9_000, rules, dice)
        assert command.at is not None
        used[slot := (command.behaviour, local_day(command.at, ZONE))] += 1
        counted.append(used[slot] <= 3)
    assert sum(counted[:100]) > 70 and sum(counted[-100:]) > 15


@pytest.mark.slow
async def test_a_village_from_nothing(tmp_path: Path, sdk_py: PySdk) -> None:
    port = free_port()
    child = Child(
        [str(COMMAND), "demo", "--port", str(port), "--no-live", "--seed", "3"],
        tmp_path / "demo.out",
        env=environment(),
        cwd=tmp_path,
    )
    try:
        token = (await until(child, r"  token +(\S+)", START_S)).group(1)
        await what_to_try_works(child, tmp_path)
        client = await sdk_py.client(f"ws://127.0.0.1:{port}/connection/websocket", token)
        await client.connect()
        forest = await client.rpc("forest.get", {})
        assert len(forest["balls"]) >= 4 and forest["wallet_g"] > 17_900
        assert {"growing", "ripe"} <= {ball["status"] for ball in forest["balls"]}
        assert len((await client.rpc("friend.list", {}))["friends"]) >= 10
        offers = (await client.rpc("offer.catalogue", {}))["offers"]
        assert len(offers) == 3
        await until(child, r"tree SX-\S+ of .+ is planted", 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
            assert reply.status == 200
        await samples_work(port, token, tmp_path)
        ball = forest["balls"][0]["id"]
        explained = await run_cli(
            "explain", "ball", ball, "--database", "sqlite:///saxaul-demo.db", cwd=tmp_path
        )
        assert "village" in explained.check().out
        await client.disconnect()
        child.send(signal.SIGINT)
        async with asyncio.timeout(30):
            while child.running:
                await asyncio.sleep(0.1)
        assert child.returncode == 0, child.log_text()
    finally:
        child.stop()
    checked = await run_cli("check", "--json", "--database", "sqlite:///saxaul-demo.db", cwd=tmp_path)
    told = checked.check().json
    assert (
        told["counts"]["users"] == 30 and told["counts"]["commitments"] == 3 and told["counts"]["trees"] >= 1
    )
    again = await run_cli("demo", "--no-live", "--for-s", "3", "--port", str(port), cwd=tmp_path)
    assert re.search(r"  token +\S+", again.check().out) and "Draining" in again.out
