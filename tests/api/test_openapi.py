"""The description of the HTTP side is whole, true, and kept by the running server."""

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from engine.api.problems import STATUS
from tests.api.conftest import Api

EXAMPLES = 8
DOCUMENTED = ("users", "activities", "operator", "game", "operations")


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in described["paths"].items()
        for method, operation in item.items()
        if operation.get("tags", [""])[0] in DOCUMENTED
    ]


async def test_every_route_says_what_it_takes_and_how_it_refuses(lite: Api) -> None:
    described = (await lite.http.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    schemas = described["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert {"code", "type", "title", "status"} <= set(schemas["Problem"]["required"])
    found = operations(described)
    assert len(found) >= 26
    for method, path, operation in found:
        where = f"{method} {path}"
        assert operation["description"], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                assert "application/problem+json" in response["content"], (where, status)
                assert "application/json" not in response["content"], (where, status)
        if path.startswith("/v1") and path not in ("/v1/activities", "/v1/activities/reverse"):
            assert operation.get("security"), where
            assert "401" in operation["responses"], where


async def test_references_in_the_description_lead_somewhere(lite: Api) -> None:
    text = (await lite.http.get("/openapi.json")).text
    described = json.loads(text)
    for part in text.split('"$ref":"')[1:]:
        where: Any = described
        for name in part.partition('"')[0].removeprefix("#/").split("/"):
            where = where[name]


async def test_texts_and_numbers_have_limits(lite: Api) -> None:
    """Law 11: everything has a limit. Of request bodies: each text a length or pattern, each list a length."""
    schemas = (await lite.http.get("/openapi.json")).json()["components"]["schemas"]
    bodies = ("AccountOpening", "AccountChange", "LinkGiven", "SourceRegistration", "Funding", "StockGrant")
    bodies += ("Verdict",)
    for name in bodies:
        assert schemas[name]["additionalProperties"] is False
        for field, schema in schemas[name]["properties"].items():
            kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
            for kind in kinds:
                limits = {
                    "string": {"maxLength", "pattern", "enum"},
                    "array": {"maxItems"},
                    "integer": {"maximum"},
                    "boolean": {"type"},
                }
                assert limits[kind["type"]] & set(kind), (name, field)


async def test_every_status_of_the_map_is_one_that_http_knows(lite: Api) -> None:
    known = {400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 423, 429, 431, 500, 503, 507}
    assert set(STATUS.values()) <= known | {460}, "460 is what the tus protocol says of checksums"
    routes = [route for route in lite.parts.routers if isinstance(route, APIRoute)]
    assert routes == []


@pytest.mark.slow
async def test_the_running_server_keeps_to_its_description(start_server: Any) -> None:
    """Requests made up from the description: no server error, no undocumented status or shape."""
    server = await start_server(operator_key="o" * 64)
    schema = await asyncio.to_thread(schemathesis.openapi.from_url, f"{server.url}/openapi.json")
    keys = {"server": server.server_key, "operator": "o" * 64}
    user = await server.open_user()
    problems = await asyncio.to_thread(drive, schema, keys, server.token(user))
    assert problems == []
    assert server.ready()


def drive(schema: Any, keys: dict[str, str], token: str) -> list[str]:
    """A few calls of every operation with the right kind of key; what was wrong."""
    bearer = {"users": keys["server"], "operator": keys["operator"], "game": token}
    wrong: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        tag = (operation.definition.raw.get("tags") or [""])[0]
        if tag in DOCUMENTED:
            wrong += calls(operation, bearer.get(tag, "none"))
    return wrong


def calls(operation: Any, key: str) -> list[str]:
    wrong: list[str] = []
    checks = [not_a_server_error, status_code_conformance, response_schema_conformance]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        response = case.call(headers={"Authorization": f"Bearer {key}"}, timeout=20)
        try:
            case.validate_response(response, checks=checks)
        except AssertionError as problem:
            wrong.append(f"{case.method} {case.path}: {str(problem)[:600]}")
        except BaseExceptionGroup as problems:
            wrong.append(f"{case.method} {case.path}: {[str(one)[:600] for one in problems.exceptions]}")

    call()
    return wrong
