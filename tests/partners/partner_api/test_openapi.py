"""The partner API's description is whole: summary, scope, refusals and examples of every route, which fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from partners.partner_api.router import PREFIX, TAG
from tests.partners.partner_api.setting import office


@pytest.fixture
async def described(tmp_path: Path, sqlite_url: str) -> dict[str, Any]:
    async with office(sqlite_url, tmp_path) as at:
        told: dict[str, Any] = (await at.http.get("/openapi.json")).json()
        return told


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in described["paths"].items()
        if path == PREFIX or path.startswith(f"{PREFIX}/")
        for method, operation in methods.items()
    ]


def fits(described: dict[str, Any], schema: dict[str, Any]) -> int:
    """The examples of a schema, each checked against it; how many."""
    name = schema["$ref"].rpartition("/")[2]
    whole = {**described["components"]["schemas"][name], "components": described["components"]}
    examples = whole.get("examples", [])
    for example in examples:
        Draft202012Validator(whole).validate(example)
    return len(examples)


async def test_each_route_says_what_it_does_refuses_and_looks_like(described: dict[str, Any]) -> None:
    found = operations(described)
    assert len(found) == 22
    for method, path, operation in found:
        where = f"{method} {path}"
        assert operation["tags"] == [TAG], where
        assert operation["summary"][0].isupper() and not operation["summary"].endswith("."), where
        assert len(operation["description"]) > 20, where
        assert operation["security"] == [{"PartnerKey": []}], where
        assert {"401", "403", "429"} <= set(operation["responses"]), where
        for status, response in operation["responses"].items():
            kind, content = next(iter(response["content"].items()))
            is_refusal = int(status) >= 400
            assert kind == ("application/problem+json" if is_refusal else "application/json"), where
            if not is_refusal:
                assert fits(described, content["schema"]), where
        if method == "post":
            names = [one["name"] for one in operation["parameters"]]
            assert "Idempotency-Key" in names, where
            assert "key_reused" in operation["responses"]["422"]["description"], where
        if "requestBody" in operation:
            assert fits(described, operation["requestBody"]["content"]["application/json"]["schema"]), where
