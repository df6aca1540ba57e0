"""The demo from nothing: a village that lives, a user who connects, trees that get planted."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.node import NodeMissing, find_node, sdk_modules
from tests.support.process import Child, free_port
from tests.support.sdk_py import PySdk
from tests.support.server import COMMAND, environment, run_cli

START_S = 60.0
NODE_WITH_WEBSOCKET = 22
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
