"""The guide's commands, run as they stand against a real server: a key, a webhook, a test order up to its review."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conftest import StartServer
from tests.support.process import free_port

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs" / "partner-api.md"
HEARD = ["ping", "order.submitted", "review.needs_info", "review.verified"]
END = "@@ the end"


async def test_the_guide_works_as_it_stands(start_server: StartServer, tmp_path: Path) -> None:
    server = await start_server(partner_rest=ROOT / "docs/samples/partner-rest.toml", webhook_loopback="true")
    heard, script = tmp_path / "heard.txt", "set -eu\n" + "".join(blocks()) + f"echo '{END}'\n"
    for shown, real in (
        ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
        ("9000", str(free_port())),
        ("heard.txt", str(heard)),
        ("docs/samples/", f"{ROOT}/docs/samples/"),
    ):
        assert shown in script
        script = script.replace(shown, real)
    told = await run(script, server.database_url, tmp_path)
    *_, order = documents(told)
    assert (order["state"], order["lines"][0]["verified"], order["reference"]) == ("verified", 40, "GD-7"), (
        told
    )
    lines = sorted(heard.read_text().splitlines(), key=lambda line: int(line.split()[0]))
    assert [line.split()[1] for line in lines] == HEARD


def blocks() -> list[str]:
    """The commands that the guide shows, block by block."""
    return re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


async def run(script: str, url: str, folder: Path) -> str:
    """What the script says until its end, once what it has caused was heard."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SAXAUL_")}
    path = f"{Path(sys.executable).parent}:{clean['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", script),
        env=clean | {"PATH": path, "SAXAUL_DATABASE_URL": url},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    told, heard = "", folder / "heard.txt"
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while END not in told:
                part = await process.stdout.read(65_536)
                assert part, told
                told += part.decode()
            while not heard.exists() or len(heard.read_text().splitlines()) < len(HEARD):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{told}\n{heard.read_text() if heard.exists() else 'nothing heard'}") from None
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # with the receiver that it left behind
        await process.wait()
    return told


def documents(text: str) -> Iterator[Any]:
    """The JSON objects in a text, one after the other."""
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0:
        try:
            document, place = decoder.raw_decode(text, place)
            yield document
        except ValueError:
            place += 1
        place = text.find("{", place)
