"""What every adapter must do, against its partner's real process. A new adapter adds itself to `PARTNERS`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from engine.core.errors import Rejected
from engine.relay import Claimed
from engine.store.schema import migrate
from partners.adapters.simulator import mapping
from partners.outbox import deliver_to
from partners.port import About, Adapter
from partners.registry import PartnerSettings, RegistryError, build_registry, manifest
from partners.signing import sign, verify
from tests.partners.bench import KEY
from tests.partners.parties import (
    OTHER_KEY,
    FilesParty,
    Party,
    PortalParty,
    ServerParty,
    SimulatorParty,
    post,
    simulator,
)
from tests.partners.pulled_party import PulledParty

NOW = 1_795_392_000_000
PARTNERS = {
    "simulator": ((), {"idempotency": "native"}),
    "simulator without idempotency": (("--not-idempotent",), {"idempotency": "none"}),
    "files": None,
    "portal": None,
    "rest server": (("--signed",), {}),
    "rest pulled": None,
}
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
PUSHING = [name for name, how in PARTNERS.items() if how is not None]


@contextmanager
def other_end(name: str, folder: Path) -> Iterator[Callable[[], Party]]:
    """The partner's real end; what is called gives a party with new orders and no faults."""
    how = PARTNERS[name]
    if name == "portal":
        asyncio.run(migrate(f"sqlite:///{folder}/portal.db"))
        yield lambda: PortalParty(folder / "portal.db")
    elif name == "rest pulled":
        yield lambda: PulledParty(folder)
    elif name == "rest server":
        with simulator(folder, "--signed") as ngo:
            yield lambda: ServerParty(ngo)
    elif how is None:
        with post(folder) as (host, files):
            yield lambda: FilesParty(host, files)
    else:
        with simulator(folder, *how[0]) as ngo:
            yield lambda: SimulatorParty(ngo, how[1])


@pytest.fixture(scope="module", params=list(PARTNERS))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Party]]:
    with other_end(request.param, tmp_path_factory.mktemp("partner")) as begin:
        yield begin


@pytest_asyncio.fixture
async def party(running: Callable[[], Party]) -> AsyncIterator[Party]:
    begun = running()
    async with begun.open():
        yield begun


@pytest.fixture(scope="module", params=PUSHING)
def pushing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Party]]:
    with other_end(request.param, tmp_path_factory.mktemp("partner")) as begin:
        yield begin


@pytest_asyncio.fixture
async def pusher(pushing: Callable[[], Party]) -> AsyncIterator[SimulatorParty]:
    """A party that sends messages of its own accord."""
    begun = pushing()
    assert isinstance(begun, SimulatorParty)
    assert begun.adapter.capabilities.pushes
    try:
        yield begun
    finally:
        await begun.registry.close()


async def test_an_order_arrives_and_its_answer_names_it(party: Party) -> None:
    sheet = party.sheet()
    answer = await party.adapter.submit(sheet, f"submit:{sheet.order}")
    assert answer.outcome == "done"
    assert party.received(sheet.order) == 1
    if not party.echoes:
        assert answer.report is None  # nobody has read it yet, so nothing is said in the partner's name
        return
    assert answer.report is not None
    assert (answer.report.order, answer.report.ordered, answer.report.species) == (sheet.order, 10, "saxaul")
    assert answer.report.external_ref


async def test_only_the_order_leaves_and_nothing_about_a_person(party: Party) -> None:
    sheet = party.sheet()
    await party.adapter.submit(sheet, f"submit:{sheet.order}")
    assert party.fields_told(sheet.order) == set(party.asked.split())


async def test_a_repeat_has_the_effect_that_the_manifest_says(party: Party) -> None:
    sheet = party.sheet()
    for _ in range(2):
        await party.adapter.submit(sheet, f"submit:{sheet.order}")
    assert party.received(sheet.order) == (1 if party.adapter.capabilities.idempotency == "native" else 2)


async def test_only_what_drops_repeats_is_ever_sent_twice(party: Party) -> None:
    [terms] = party.registry.terms.values()
    assert terms.resendable == (party.adapter.capabilities.idempotency == "native")


async def test_the_story_of_an_order_is_read_to_its_end(party: Party) -> None:
    sheet = party.sheet()
    await party.adapter.submit(sheet, f"submit:{sheet.order}")
    said = [report async for report in party.story(sheet)]
    assert said[-1].state == "planted"
    assert {report.state for report in said} <= {"received", "accepted", "in_planting", "planted"}
    assert sum(batch.quantity for batch in said[-1].batches) == 10
    assert all(batch.evidence for batch in said[-1].batches)


async def test_what_was_never_ordered_is_absent(party: Party) -> None:
    assert (await party.adapter.fetch_status(99_999_999)).outcome == "absent"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_timeout_is_unknown_and_resolved_by_reading_back(party: Party, when: str) -> None:
    party.fault(when)
    sheet = party.sheet()
    assert (await party.adapter.submit(sheet, f"submit:{sheet.order}")).outcome == "unknown"
    assert (await party.adapter.fetch_status(sheet.order)).outcome == party.outcomes[when]


@pytest.mark.parametrize("kind", ["error", "hidden_error", "garbage"])
async def test_what_an_error_means(party: Party, kind: str) -> None:
    party.fault(kind)
    sheet = party.sheet()
    answer = await party.adapter.submit(sheet, f"submit:{sheet.order}")
    assert answer.outcome == party.outcomes[kind]
    assert party.received(sheet.order) == 0 or answer.outcome == "unknown"


async def test_an_error_inside_a_success_is_a_refusal(pusher: SimulatorParty) -> None:
    pusher.fault("hidden_error")
    answer = await pusher.adapter.submit(pusher.sheet(), "submit:1")
    assert (answer.outcome, "quota exceeded" in answer.text) == ("refused", True)


async def test_slow_is_not_wrong(party: Party) -> None:
    party.fault("slow")
    sheet = party.sheet()
    began = time.monotonic()
    assert (await party.adapter.submit(sheet, f"submit:{sheet.order}")).outcome == "done"
    assert time.monotonic() - began > 0.2


async def test_cancelling(party: Party) -> None:
    sheet = party.sheet()
    await party.adapter.submit(sheet, f"submit:{sheet.order}")
    for _ in range(2):
        answer = await party.adapter.cancel(sheet.order, "a mistake", f"cancel:{sheet.order}")
        assert answer.outcome == "done"
        if party.echoes:
            assert answer.report is not None
            assert answer.report.state == "cancelled"
    assert party.echoes or "a mistake" in party.text_told(sheet.order)


async def test_cancelling_what_is_not_there(pusher: SimulatorParty) -> None:
    assert (await pusher.adapter.cancel(99_999_999, "x", "cancel:1")).outcome == "absent"


ABOUTS = [
    (About("answer_due"), ("an answer to this order is due", "等待答复")),
    (About("needs_info", text="one photo of each plot"), ("one photo of each plot",)),
    (About("verified", trees=7), ("7 trees", "确认 7 株")),
]


@pytest.mark.parametrize(("about", "told"), ABOUTS, ids=[about.kind for about, _ in ABOUTS])
async def test_a_message_is_read(party: Party, about: About, told: tuple[str, ...]) -> None:
    sheet = party.sheet()
    await party.adapter.submit(sheet, f"submit:{sheet.order}")
    assert (await party.adapter.remind(sheet.order, about, "remind:1")).outcome == "done"
    assert any(text in party.text_told(sheet.order) for text in told)


async def test_a_test_order_reaches_no_host_of_real_trees(party: Party) -> None:
    can = replace(party.adapter.capabilities, is_live=True, has_sandbox=False)
    sheet = replace(party.sheet(), kind="test")
    row = {"order": sheet.order, "payload": asdict(sheet), "kind": "submit", "key": "k", "mode": "send"}
    live = SimpleNamespace(
        capabilities=can, submit=party.adapter.submit, fetch_status=party.adapter.fetch_status
    )
    [settled] = await deliver_to(cast("Adapter", live))(Claimed("submit:1", "x", "relay", row))
    assert (settled.outcome, "test order" in settled.answer, party.received(sheet.order)) == (
        "refused",
        True,
        0,
    )


async def test_nobody_there_means_surely_no_effect(party: Party) -> None:
    registry = build_registry(party.elsewhere(nobody=True))
    adapter = next(iter(registry.adapters.values()))
    assert (await adapter.submit(party.sheet(), "submit:1")).outcome == "failed"
    await registry.close()


async def test_a_wrong_key_is_refused(party: Party) -> None:
    registry = build_registry(party.elsewhere(key=True))
    adapter = next(iter(registry.adapters.values()))
    sheet = party.sheet()
    answer = await adapter.submit(sheet, "submit:1")
    assert (answer.outcome, party.received(sheet.order)) == ("refused", 0)
    await registry.close()


async def test_who_does_not_push_is_not_heard_over_http(party: Party) -> None:
    if party.adapter.capabilities.pushes:
        assert party.adapter.parse_inbound(sign(KEY, "msg_1", NOW, message()), message(), NOW).report
        return
    with pytest.raises(Rejected) as refusal:
        party.adapter.parse_inbound(sign(KEY, "msg_1", NOW, message()), message(), NOW)
    assert refusal.value.code == "bad_signature"


# --- messages of the partner ----------------------------------------------------------------------


def recorded(name: str) -> bytes:
    folder = Path(__file__).parents[2] / "partners" / "adapters" / "simulator" / "recorded"
    return (folder / f"{name}.json").read_bytes()


def message(name: str = "planted") -> bytes:
    return b'{"type":"order.status","timestamp":"2026-11-23T00:00:00Z","data":' + recorded(name) + b"}"


async def test_a_signed_message_is_understood(pusher: SimulatorParty) -> None:
    body = message()
    inbound = pusher.adapter.parse_inbound(sign(KEY, "msg_1", NOW, body), body, NOW)
    assert inbound.message == "msg_1"
    assert inbound.report.state == "planted"
    assert pusher.adapter.parse_inbound(sign(KEY, "msg_1", NOW, body), body, NOW).digest == inbound.digest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": "msg_2"}, "mismatch"),
        ({"webhook-signature": "v1,AAAA"}, "mismatch"),
        ({"webhook-signature": "v1,é"}, "mismatch"),
        ({"webhook-signature": "v2,AAAA v1"}, "mismatch"),
        ({"webhook-signature": ""}, "headers_missing"),
        ({"webhook-id": ""}, "headers_missing"),
        ({"webhook-id": "x" * 300}, "headers_missing"),
        ({"webhook-timestamp": ""}, "bad_timestamp"),
        ({"webhook-timestamp": "soon"}, "bad_timestamp"),
        ({"webhook-timestamp": "-1"}, "bad_timestamp"),
        ({"webhook-timestamp": "9" * 30}, "bad_timestamp"),
        ({"webhook-timestamp": str(NOW // 1000 - 301)}, "too_old"),
        ({"webhook-timestamp": str(NOW // 1000 + 301)}, "too_new"),
    ],
)
async def test_forged_messages_are_refused(
    pusher: SimulatorParty, change: dict[str, str], reason: str
) -> None:
    body = message()
    with pytest.raises(Rejected) as refusal:
        pusher.adapter.parse_inbound(sign(KEY, "msg_1", NOW, body) | change, body, NOW)
    assert (refusal.value.code, refusal.value.fields["reason"]) == ("bad_signature", reason)


async def test_one_changed_byte_is_a_forgery(pusher: SimulatorParty) -> None:
    body = message()
    headers = sign(KEY, "msg_1", NOW, body)
    with pytest.raises(Rejected):
        pusher.adapter.parse_inbound(headers, body.replace(b"5", b"6", 1), NOW)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"data":{}}', b'{"data":{"status":"verified"}}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "list", "object", "no-data", "verified", "not-utf8", "brackets"],
)
async def test_signed_nonsense_is_refused(pusher: SimulatorParty, body: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        pusher.adapter.parse_inbound(sign(KEY, "msg_1", NOW, body), body, NOW)
    assert refusal.value.code == "bad_request"


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000, b"HTTP/1.1 503 Away\r\nRetry-After: \xb2\r\n\r\n"],
    ids=["brackets", "no-number"],
)
async def test_an_answer_that_is_nonsense_is_an_answer(answer: bytes) -> None:
    async def partner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(partner, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = PartnerSettings("simulator-ngo", "simulator", f"http://127.0.0.1:{port}", (KEY,))
    registry = build_registry([settings])
    try:
        assert (await registry.adapters["simulator-ngo"].fetch_status(1)).outcome == "unknown"
    finally:
        await registry.close()
        server.close()


def test_signatures_agree_with_the_reference_library() -> None:
    body = message().decode()
    now_ms = time.time_ns() // 1_000_000
    Webhook(KEY).verify(body, sign(KEY, "msg_1", now_ms, body.encode()))
    at = datetime.now(UTC)
    theirs = {
        "webhook-id": "msg_2",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(KEY).sign("msg_2", at, body),
    }
    assert verify([KEY], theirs, body.encode(), now_ms) == "msg_2"


def test_an_old_key_signs_until_it_is_taken_away() -> None:
    headers = sign(OTHER_KEY, "msg_1", NOW, b"x")
    assert verify([KEY, OTHER_KEY], headers, b"x", NOW) == "msg_1"
    with pytest.raises(Rejected):
        verify([KEY], headers, b"x", NOW)


# --- recorded payloads ----------------------------------------------------------------------------


def test_recorded_payloads_mean_what_they_meant() -> None:
    states = {}
    for name in ("received", "accepted", "declined", "planting", "planted", "cancelled"):
        report = mapping.report_of(json.loads(recorded(name)))
        states[name] = (report.state, report.accepted, sum(batch.quantity for batch in report.batches))
    assert states == {
        "received": ("received", None, 0),
        "accepted": ("accepted", 5, 0),
        "declined": ("rejected", 0, 0),
        "planting": ("in_planting", 5, 2),
        "planted": ("planted", 5, 5),
        "cancelled": ("cancelled", None, 0),
    }


async def test_the_partner_still_speaks_as_recorded(pusher: SimulatorParty) -> None:
    sheet = pusher.sheet(5)
    await pusher.adapter.submit(sheet, f"submit:{sheet.order}")
    await asyncio.sleep(0.4)
    now = pusher.read(sheet.order)
    assert shape(now) == shape(json.loads(recorded("planted")))


def shape(value: object) -> object:
    """Names and types without values."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "verified"),
        ("status", None),
        ("status", ["planted"]),
        ("reference", 42),
        ("reference", "SX-000042-4"),
        ("reference", "PO-000042-1"),
        ("trees_accepted", "5"),
        ("trees_accepted", 5.0),
        ("trees_accepted", True),
        ("trees_accepted", -5),
        ("trees_accepted", 10**12),
        ("trees", "many"),
        ("at", "yesterday"),
        ("at", "2026-11-23T00:00:00"),
        ("at", None),
        ("id", "x" * 500),
        ("plantings", {}),
        ("plantings", [1]),
        ("plantings", [{}] * 101),
    ],
)
def test_payloads_that_do_not_fit_are_refused_by_name(field: str, value: object) -> None:
    body = json.loads(recorded("planted")) | {field: value}
    with pytest.raises(Rejected) as refusal:
        mapping.report_of(body)
    assert refusal.value.code in ("bad_request", "bad_number")


@pytest.mark.parametrize(
    ("status", "body", "reading", "outcome"),
    [
        (404, None, True, "absent"),
        (404, None, False, "refused"),
        (429, None, False, "failed"),
        (500, None, False, "unknown"),
        (503, {"error": "away"}, True, "unknown"),
        (301, None, False, "refused"),
        (400, {"error": "x"}, False, "refused"),
        (200, {"error": "x"}, False, "refused"),
        (200, None, False, "unknown"),
        (201, {"status": "planted"}, False, "unknown"),
    ],
)
def test_what_http_answers_mean(status: int, body: object, reading: bool, outcome: str) -> None:
    assert mapping.answer_of(status, body, reading=reading).outcome == outcome


def test_manifests_and_settings_are_checked() -> None:
    with pytest.raises(RegistryError, match="nowhere"):
        manifest("nowhere")
    with pytest.raises(RegistryError, match="wings"):
        manifest("simulator", {"wings": 2})
    with pytest.raises(RegistryError, match="no adapter"):
        build_registry([PartnerSettings("a", "b", "http://x", (KEY,))])
    with pytest.raises(RegistryError, match="whsec_"):
        build_registry([PartnerSettings("a", "simulator", "http://x", ("short",))])
