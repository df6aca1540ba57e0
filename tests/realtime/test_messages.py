"""The reference of the protocol says what the engine sends: nothing more, nothing less, and it is up to date."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest_asyncio

from engine.core import commands as c
from engine.core.numbers import tree_number
from engine.core.units import rfc3339
from engine.publication import Publication
from engine.realtime import messages
from engine.realtime.journal import items_of
from engine.realtime.methods import METHODS, Read, Write
from engine.store import queries
from tests.laws.rules import bent_rules
from tests.realtime import describe
from tests.realtime.village import Village, a_village


@pytest_asyncio.fixture
async def village(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    async with a_village(sqlite_url, game_rules=bent_rules(tmp_path, tree_g=17_900)) as village:
        await village.open_source()
        yield village


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


def _at(document: Any, ref: str) -> Any:
    for part in ref.removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_the_written_reference_is_up_to_date() -> None:
    stale = "run: python -m tests.realtime.describe"
    assert json.loads((describe.DOCS / "asyncapi.json").read_text()) == describe.document(), stale
    assert (describe.DOCS / "protocol.md").read_text() == describe.page(), stale


def test_the_document_is_whole() -> None:
    document = describe.document()
    assert re.fullmatch(r"3\.\d+\.\d+", document["asyncapi"])
    assert {"title", "version"} <= set(document["info"])
    for ref in _refs(document):
        assert ref.startswith("#/")
        _at(document, ref)
    for name, operation in document["operations"].items():
        assert operation["action"] in ("send", "receive"), name
        channel = operation["channel"]["$ref"]
        for message in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]:
            assert message["$ref"].startswith(f"{channel}/messages/"), (
                "an operation's messages are its channel's"
            )
    for name, channel in document["channels"].items():
        named = re.findall(r"{(\w+)}", channel["address"] or "")
        assert sorted(channel.get("parameters", {})) == sorted(named), name
    for message in document["components"]["messages"].values():
        assert {"name", "summary", "payload"} <= set(message)


def test_every_method_and_publication_is_described() -> None:
    assert set(messages.REPLIES) == set(METHODS)
    described = {part for method in METHODS for part in (f"call{describe._name(method)}",)}
    assert described <= set(describe.document()["operations"])


def test_the_schemas_are_json_schema() -> None:
    schemas = describe.document()["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    root = {"$ref": "#/components/schemas/BallCollect", "components": {"schemas": schemas}}
    validator = jsonschema.Draft202012Validator(root)
    good = {"key": "0190c8a0-1234-7abc-8def-0123456789ab", "balls": ["5"]}
    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"balls": [5]})


async def test_what_the_engine_sends_is_what_the_types_say(village: Village) -> None:
    """Every method's real reply, and every publication of a busy day, decode strictly."""
    alice, bob, cyd = [await village.open_user(name) for name in ("Alice", "Bob", "Cyd")]
    await village.befriend(alice, bob)
    await village.do(c.RequestFriend(village.key(), int(cyd), int(alice)))
    await village.ride_bus(alice)
    ball = await village.ripe_ball(alice)
    await village.ride_bus(alice)
    offer = await _funded_offer(village, alice)
    replies = [
        (alice, "forest.get", {}),
        (bob, "forest.get", {"user": alice}),
        (bob, "ball.collect", {"owner": alice, "balls": [ball, "123"]}),
        (bob, "ball.collect", {"owner": alice, "balls": [ball]}),
        (bob, "friend.find", {}),
        (bob, "ball.receipt", {"ball": ball}),
        (alice, "ball.collect", {"balls": [ball]}),
        (alice, "ball.collect", {"balls": "all"}),
        (alice, "activity.list", {}),
        (alice, "activity.submit", await _a_shown_ride(village, alice)),
        (alice, "friend.list", {}),
        (cyd, "friend.request", {"user": bob}),
        (bob, "friend.answer", {"user": cyd}),
        (bob, "friend.remove", {"user": cyd}),
        (bob, "friend.block", {"user": cyd}),
        (alice, "offer.catalogue", {}),
        (alice, "offer.redeem", {"offer": offer}),
        (alice, "tree.list", {}),
    ]
    for user, method, data in replies:
        reply = await _ask(village, user, method, data)
        decoded = msgspec.json.decode(reply, type=messages.REPLIES[method])
        assert msgspec.to_builtins(decoded) == json.loads(reply)
    assert {method for _, method, _ in replies} == set(METHODS) - {"tree.choose"}
    tree = int(await _only_tree(village))
    await village.do(c.AdvanceTrees((tree,), "pledged", "no_place:full", True, 1_800_000_000_000))
    chosen = {"tree": tree_number(tree), "choice": "wait"}
    for method, data in (("tree.list", {}), ("tree.choose", chosen), ("tree.list", {})):
        reply = await _ask(village, alice, method, data)
        decoded = msgspec.json.decode(reply, type=messages.REPLIES[method])
        assert msgspec.to_builtins(decoded) == json.loads(reply)
    [waiting] = [one["waiting"] for one in json.loads(reply)["trees"]]
    assert (waiting["why"], waiting["choices"]) == ("no_place:full", ["switch", "wait", "energy_back"])
    await village.do(c.AdvanceTrees((tree,), "ordered", "on its way"))
    kinds = {"user": messages.UserChanged, "forest": messages.ForestChanged}
    seen: set[str] = set()
    for publication in await _published(village):
        decoded = msgspec.json.decode(publication.data, type=kinds[publication.channel.partition(":")[0]])
        seen |= set(json.loads(publication.data))
        assert len(publication.data) < 4096
        assert msgspec.to_builtins(decoded) == json.loads(publication.data)
    assert seen == {field.encode_name for field in msgspec.structs.fields(messages.UserChanged)} | {"type"}


async def _a_shown_ride(village: Village, user: str) -> dict[str, Any]:
    """What a user sends who has uploaded a photo of a ticket."""
    photo = "0a" * 32
    await village.do(c.KeepPhoto(int(user), photo, photo, 4, 3, "0" * 16))
    at = rfc3339(village.clock.now_ms() - 60_000)
    return {"behaviour": "bus", "quantity": 1, "unit": "ride", "photo": photo, "at": at}


async def test_refusals_decode_as_refusals(village: Village) -> None:
    eve = await village.open_user("Eve")
    for method, data in (("forest.get", {"user": "999"}), ("ball.collect", {"owner": "999", "balls": ["1"]})):
        reply = await _ask(village, eve, method, data)
        assert msgspec.json.decode(reply, type=messages.Refused).error.code == "not_friends"


async def _ask(village: Village, user: str, method: str, data: dict[str, Any]) -> bytes:
    """The reply's data as a session would send it."""
    from tests.support.raw_socket import RawSocket

    kind = METHODS[method]
    if isinstance(kind, Write):
        data = data | {"key": village.key()}
    assert isinstance(kind, Read | Write)
    async with RawSocket(village.url) as raw:
        await raw.ask({"id": 1, "connect": {"token": village.token(user)}})
        answer = await raw.ask({"id": 2, "rpc": {"method": method, "data": data}})
    return json.dumps(answer["rpc"]["data"]).encode()


async def _published(village: Village) -> list[Publication]:
    async with village.engine.db.snapshot() as r:
        rows = await queries.pubs_between(r, 0, 2**53, 10_000)
    return [item for row in rows for item in items_of(*row) if isinstance(item, Publication)]


async def _funded_offer(village: Village, user: str) -> str:
    listed = json.loads(await village.served.parts.reads.offers(int(user), None))["offers"]
    offer = next(entry["offer"] for entry in listed if entry["state"] == "sold_out")
    programme = village.engine.rules.programmes[offer]
    price = programme.unit_price_minor(date(2026, 11, 23)) or 100
    await village.do(c.FundProgramme(village.key(), offer, "a fund", programme.currency, price, price * 3))
    await village.do(c.GrantStock(village.key(), offer, 2))
    async with village.engine.db.write() as tx:
        await tx.execute("UPDATE users SET wallet_g = 10000000 WHERE id = ?", int(user))
    village.engine.writer._cache = None  # the row was changed behind the writer's back
    return str(offer)


async def _only_tree(village: Village) -> str:
    async with village.engine.db.snapshot() as r:
        [(tree,)] = await r.fetch("SELECT id FROM trees")
    return str(tree)
