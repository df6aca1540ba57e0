"""One way of saying no: every code has a status, and whatever refuses does so with problem details."""

import io
import json

import pytest
from fastapi import APIRouter

from engine.api import activities
from engine.api.problems import EDGE_CODES, STATUS, Problem, problem_of, sentence
from engine.core.errors import CODES
from tests.api.conftest import Api, new_key


def test_every_code_has_a_status_and_a_sentence() -> None:
    assert set(STATUS) == set(CODES) | set(EDGE_CODES)
    assert not set(CODES) & set(EDGE_CODES) or all(CODES[c] for c in set(CODES) & set(EDGE_CODES))
    for code, status in STATUS.items():
        assert 400 <= status < 600
        assert sentence(code).endswith(".")
    assert {code for code, status in STATUS.items() if status >= 500} == {
        "internal",
        "overloaded",
        "unavailable",
        "storage_full",
    }


@pytest.mark.parametrize("code", sorted(STATUS))
def test_a_problem_names_its_code_and_nothing_overwrites_it(code: str) -> None:
    response = problem_of(code, {"status": 1, "type": "x", "wallet_g": 5, "code": "y"})
    told = Problem.model_validate_json(bytes(response.body))
    assert (told.type, told.code, told.status) == (f"/problems/{code}", code, response.status_code)
    assert json.loads(bytes(response.body))["wallet_g"] == 5
    assert response.media_type == "application/problem+json"
    assert ("retry-after" in response.headers) == (response.status_code in (429, 503))
    assert ("www-authenticate" in response.headers) == (response.status_code == 401)


async def test_what_the_framework_refuses_is_a_problem_too(lite: Api) -> None:
    http, key = lite.http, new_key()
    cases = [
        (await http.get("/nowhere"), 404, "not_found"),
        (await http.get("/v1/users/"), 404, "not_found"),
        (await http.put("/v1/users"), 405, "method_not_allowed"),
        (await http.post("/v1/users", content=b"a=b"), 415, "unsupported_media_type"),
        (await http.post("/v1/users", data={"a": "b"}), 415, "unsupported_media_type"),
        (await http.post("/v1/users", content=b"x" * (1024 * 1024 + 1)), 413, "body_too_large"),
        (await lite.server("GET", "/problems/no_such_code"), 404, "not_found"),
    ]
    for response, status, code in cases:
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert response.headers["content-type"] == "application/problem+json"
        assert len(response.headers["request-id"]) == 32
    assert cases[2][0].headers["allow"] == "POST"
    headers = {"Authorization": "Bearer x", "Idempotency-Key": key, "Content-Type": "application/json"}
    assert (await http.post("/v1/users", content=b"{}", headers=headers)).json()["code"] == "unauthorised"


@pytest.mark.parametrize(
    "body", [b"{", b"", b"[]", b"17", b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe", b'"\\ud800"']
)
async def test_broken_bodies_are_refused(lite: Api, body: bytes) -> None:
    headers = {
        "Authorization": f"Bearer {lite.parts.settings.server_key}",
        "Idempotency-Key": new_key(),
        "Content-Type": "application/json",
    }
    refused = await lite.http.post("/v1/users", content=body, headers=headers)
    assert refused.status_code in (400, 422)
    assert refused.json()["code"] in ("bad_request", "invalid")


async def test_a_body_without_a_length_is_counted(lite: Api) -> None:
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 64 * 1024 * 1024:
            sent += 65_536
            yield b" " * 65_536

    headers = {"Content-Type": "application/json", "Saxaul-Source": "city"}
    refused = await lite.http.post("/v1/activities", content=endless(), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert sent <= lite.parts.settings.body_bytes_max + 2 * 65_536


async def test_the_last_resort_tells_nothing(lite: Api, written: io.StringIO) -> None:
    async with lite.parts.db.write() as tx:
        await tx.execute(
            "INSERT INTO sources VALUES ('bad', 'Bad', 'whsec_', NULL, NULL, ?, 1, '[]', '{}')",
            '["planted-name"]',
        )
        await tx.execute("UPDATE sources SET behaviours = 'planted-name'")
    failed = await lite.operator("GET", "/v1/sources")
    assert (failed.status_code, failed.json()["code"]) == (500, "internal")
    assert failed.json()["request"] == failed.headers["request-id"]
    assert "planted-name" not in failed.text + written.getvalue()
    assert (await lite.http.get("/healthz")).status_code == 200


async def test_codes_are_explained(lite: Api) -> None:
    for code in ("not_linked", "invalid"):
        told = (await lite.http.get(f"/problems/{code}")).json()
        assert told == {"code": code, "title": sentence(code)}


def test_the_ingestion_router_can_be_made_more_than_once() -> None:
    assert isinstance(activities.make_router(300), APIRouter)
