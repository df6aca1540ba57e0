"""What can be known of the image without a container engine: what Dockerfile and compose file promise."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
Instruction = tuple[str, str]


@cache
def instructions() -> list[Instruction]:
    lines = [
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (word.upper(), rest.strip())
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def stages() -> list[list[Instruction]]:
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def values(stage: list[Instruction], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def test_images_are_pinned_to_a_release() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    bases += [service["image"] for service in compose()["services"].values() if "image" in service]
    for base in bases:
        name, _, tag = base.partition(":")
        assert tag, f"{name} without a tag is :latest"
        assert re.search(r"\d", tag), f"{base}: a tag without a version moves"


def test_final_stage_runs_as_nobody_and_checks_its_health() -> None:
    final = stages()[-1]
    user = values(final, "USER")[-1].partition(":")[0]
    assert user.isdecimal(), "a numeric id, so that an orchestrator can prove that it is not root"
    assert int(user) > 0
    assert not [rest for rest in values(final, "RUN") if "pip" in rest or "apt" in rest]
    assert values(final, "HEALTHCHECK")
    assert json.loads(values(final, "ENTRYPOINT")[0]) == ["saxaul"]
    assert json.loads(values(final, "CMD")[0]) == ["serve"]


def test_image_carries_no_secret() -> None:
    for word, rest in instructions():
        if word in {"ENV", "ARG"}:
            assert not re.search(r"(SECRET|KEY|PASSWORD|TOKEN)\w*=", rest), rest


def test_what_is_copied_exists_and_is_let_through() -> None:
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for rest in values(stages()[0], "COPY"):
        for source in shlex.split(rest)[:-1]:
            assert (ROOT / source).exists(), source
            assert source in let_through, f"{source} is hidden by .dockerignore"


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (None, False)])
def test_health_check_says_what_readyz_says(status: int | None, healthy: bool) -> None:
    check = values(stages()[-1], "HEALTHCHECK")[0]
    command = json.loads(check[check.index("CMD") + 3 :])
    assert command[0] == "python"

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        port = server.server_port
        Thread(target=server.handle_request, daemon=True).start()
        if status is None:
            server.server_close()
        environment = {"SAXAUL_PORT": str(port)}
        done = subprocess.run(
            [sys.executable, *command[1:]], env=environment, capture_output=True, timeout=20, check=False
        )
    assert (done.returncode == 0) is healthy


def compose() -> dict[str, Any]:
    return YAML(typ="safe").load((ROOT / "docs" / "compose.yaml").read_text())


def test_compose_asks_for_every_secret_and_gives_none() -> None:
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"SECRET|KEY|PASSWORD", name):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name} must be asked for"


def test_settings_that_the_image_and_compose_set_exist() -> None:
    from engine.settings import Settings

    known = {f"SAXAUL_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"SAXAUL_[A-Z_]+(?==)", " ".join(values(stages()[-1], "ENV"))))
    used |= {name for service in compose()["services"].values() for name in service.get("environment", {})}
    assert {name for name in used if name.startswith("SAXAUL_")} <= known


def test_compose_waits_for_health_and_keeps_the_database() -> None:
    services = compose()["services"]
    for needed, condition in services["engine"]["depends_on"].items():
        assert condition == {"condition": "service_healthy"}
        assert services[needed]["healthcheck"]["test"]
    assert services["database"]["volumes"]
    assert all(
        port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", [])
    )
