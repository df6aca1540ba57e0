"""The adapter of partners with developers: its file, what it says, and messages that such a partner signs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.core.errors import Rejected
from partners.adapters.rest import mapping
from partners.adapters.rest.config import RestConfigError, read_rest_config
from partners.adapters.simulator.mapping import report_of, request_of
from partners.port import About, LineSheet, OrderSheet
from partners.registry import build_registry, rest_partners
from partners.signing import sign
from partners.webhooks.office import PartnerOffice
from tests.partners.bench import KEY
from tests.partners.parties import OTHER_KEY

NOW = 1_795_392_000_000
DOCUMENT = Path(__file__).parents[3] / "docs" / "partner-server.json"
RECORDED = Path(__file__).parents[3] / "partners" / "adapters" / "simulator" / "recorded"


def written(folder: Path, text: str) -> Path:
    folder.joinpath("key").write_text(f"{KEY}\n{OTHER_KEY}\n")
    folder.joinpath("short").write_text("whsec_AAAA")
    folder.joinpath("empty").write_text("\n")
    path = folder / "partners.toml"
    path.write_text(text)
    return path


async def test_the_file_says_who_is_reached_how(tmp_path: Path) -> None:
    text = """
[partners.elm]
is_live = true
[partners.oak]
is_live = true
key_file = "key"
[partners.fir]
is_live = false
address = "https://fir.example/saxaul"
key_file = "key"
"""
    registry = build_registry(rest_partners(read_rest_config(written(tmp_path, text)), PartnerOffice()))
    can = {name: adapter.capabilities for name, adapter in registry.adapters.items()}
    assert {name: (one.pushes, one.poll_s, one.has_sandbox, one.lines_max) for name, one in can.items()} == {
        "elm": (False, 0, True, 20),
        "oak": (True, 0, True, 20),
        "fir": (True, 60, False, 1),
    }
    assert {one.idempotency for one in can.values()} == {"native"}
    assert [registry.terms[name].has_sandbox for name in ("elm", "oak", "fir")] == [True, True, False]
    await registry.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[partners.elm]\n", "partners.elm.is_live"),
        ("[partners.elm]\nis_live = 1\n", "is_live"),
        ("[partners.elm]\nis_live = true\nurl = 'x'\n", "partners.elm.url"),
        ("[partners.elm]\nis_live = true\naddress = 'https://x.example'\n", "needs a key_file"),
        ("[partners.elm]\nis_live = true\naddress = 'http://x.example'\nkey_file = 'key'\n", "must be https"),
        ("[partners.elm]\nis_live = true\nkey_file = 'none'\n", "No such file"),
        ("[partners.elm]\nis_live = true\nkey_file = 'short'\n", "24 to 64 bytes"),
        ("[partners.elm]\nis_live = true\nkey_file = 'empty'\n", "is empty"),
        ("[partners", "partners.toml"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RestConfigError, match=says) as problem:
        read_rest_config(written(tmp_path, text))
    assert KEY not in str(problem.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RestConfigError, match="No such file"):
        read_rest_config(tmp_path / "none.toml")


async def test_signed_messages_are_heard_with_any_of_the_keys(tmp_path: Path) -> None:
    text = '[partners.oak]\nis_live = true\nkey_file = "key"\n[partners.elm]\nis_live = true\n'
    registry = build_registry(rest_partners(read_rest_config(written(tmp_path, text)), PartnerOffice()))
    body = b'{"type":"order.status","data":' + (RECORDED / "planted.json").read_bytes() + b"}"
    for key in (KEY, OTHER_KEY):
        inbound = registry.adapters["oak"].parse_inbound(sign(key, "m1", NOW, body), body, NOW)
        assert (inbound.message, inbound.report.state) == ("m1", "planted")
    foreign = "whsec_" + "Zm9yZWlnbi1mb3JlaWduLWZvcmVpZ24tZm9yZWlnbiE="
    for name, key, sent_at, content in (
        ("oak", foreign, NOW, body),
        ("oak", KEY, NOW - 301_000, body),
        ("oak", KEY, NOW + 301_000, body),
        ("oak", KEY, NOW, body.replace(b"5", b"6", 1)),
        ("elm", KEY, NOW, body),
    ):
        with pytest.raises(Rejected) as refusal:
            registry.adapters[name].parse_inbound(sign(key, "m1", sent_at, body), content, NOW)
        assert refusal.value.code == "bad_signature"
    for nonsense in (b"", b"[]", b"[" * 100_000, b'{"data":{}}'):
        with pytest.raises(Rejected) as refusal:
            registry.adapters["oak"].parse_inbound(sign(KEY, "m1", NOW, nonsense), nonsense, NOW)
        assert refusal.value.code == "bad_request"
    await registry.close()


def sheet(**changes: Any) -> OrderSheet:
    lines = tuple(
        LineSheet(n, species, "alxa", 10 * n, 738, "CNY") for n, species in ((1, "saxaul"), (2, "willow"))
    )
    told: dict[str, Any] = {
        "order": 42,
        "programme": "p",
        "season": "2027-spring",
        "season_opens_at": NOW,
        "season_closes_at": NOW + 1,
        "answer_by_at": NOW,
        "below_minimum": False,
        "species": "saxaul",
        "site": "alxa",
        "quantity": 10,
        "unit_price_minor": 738,
        "currency": "CNY",
        "lines": lines,
    }
    return OrderSheet(**(told | changes))


def test_what_events_say() -> None:
    told = mapping.submitted(sheet(replaces=41, kind="replacement"))
    assert (told["order"], told["replaces"], told["kind"]) == ("PO-000042-Z", "PO-000041-2", "replacement")
    assert [(line["line_no"], line["species"], line["ordered"]) for line in told["lines"]] == [
        (1, "saxaul", 10),
        (2, "willow", 20),
    ]
    assert len(mapping.submitted(sheet(lines=()))["lines"]) == 1
    kinds = [
        mapping.reminded(42, About(kind, text="x", trees=3))
        for kind in ("answer_due", "needs_info", "verified")
    ]
    assert [kind for kind, _ in kinds] == ["order.reminder", "review.needs_info", "review.verified"]
    assert (kinds[1][1]["needs_info"], kinds[2][1]["verified"]) == ("x", 3)


# --- the published protocol of servers ------------------------------------------------------------


def schema(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def test_the_published_protocol_is_what_is_spoken() -> None:
    request = Draft202012Validator(schema("Order"))
    request.validate(request_of(sheet()) | {"kind": "test"})
    request.validate(request_of(sheet(replaces=41)) | {"kind": "replacement"})
    assert not request.is_valid(request_of(sheet()))
    status = Draft202012Validator(schema("Status"))
    for path in RECORDED.glob("*.json"):
        status.validate(json.loads(path.read_text()))
    assert not status.is_valid({"status": "verified"})


def test_the_published_examples_are_understood() -> None:
    document = json.loads(DOCUMENT.read_text())
    examples = document["components"]["schemas"]["Status"]["examples"]
    assert [report_of(one).state for one in examples] == ["received", "in_planting"]
    Draft202012Validator(schema("Order")).validate(document["components"]["schemas"]["Order"]["examples"][0])
    paths = {path: set(methods) for path, methods in document["paths"].items()}
    assert paths == {
        "/orders": {"post"},
        "/orders/{reference}": {"get"},
        "/orders/{reference}/cancel": {"post"},
        "/orders/{reference}/messages": {"post"},
    }
