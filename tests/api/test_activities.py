"""Signed ingestion: each item answered by itself, whatever the others are; forged, replayed and broken calls."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import Api, new_key, sign, walk


async def ready(api: Api) -> str:
    await api.add_source()
    user = await api.open_account()
    await api.link(user, "sub-1")
    return user


async def results(api: Api, *items: Any, **options: Any) -> list[dict[str, Any]]:
    response = await api.report(*items, **options)
    assert response.status_code == 200, response.text
    return response.json()["results"]


async def balls(api: Api) -> int:
    async with api.parts.db.snapshot() as reader:
        return (await reader.fetch("SELECT count(*) FROM balls"))[0][0]


async def test_an_activity_mints_once_however_often_it_is_sent(api: Api) -> None:
    user = await ready(api)
    item = walk("day-1")
    [first] = await results(api, item)
    assert (first["id"], first["status"], first["energy_g"]) == ("day-1", "accepted", 164)
    assert first["ball"].isdigit()
    again = await asyncio.gather(*(results(api, item) for _ in range(5)))
    assert [(one["status"], one["ball"]) for [one] in again] == [("duplicate", first["ball"])] * 5
    assert await balls(api) == 1
    told = (await api.server("GET", f"/v1/users/{user}")).json()
    assert told["avoided_mg"] == first["avoided_mg"]


async def test_other_writing_of_the_same_content_is_a_duplicate_and_other_content_a_conflict(
    api: Api,
) -> None:
    await ready(api)
    body = json.dumps({"activities": [walk("day-1")]}).encode()
    await api.send(body)
    same = await api.send(body.replace(b"10000", b"10000.00").replace(b'"activities":', b'"activities" :  '))
    assert same.json()["results"][0]["status"] == "duplicate"
    [conflict] = await results(api, walk("day-1", steps=12_000))
    assert (conflict["status"], conflict["reason"], conflict["energy_g"]) == (
        "rejected",
        "activity_conflict",
        0,
    )
    assert await balls(api) == 1


async def test_every_item_is_answered_by_itself_and_in_order(api: Api) -> None:
    await ready(api)
    now = datetime.now(UTC)
    tomorrow = (now + timedelta(days=3)).date().isoformat()
    cases: list[tuple[Any, str | None]] = [
        (walk("ok-1", on=(now - timedelta(days=2)).date().isoformat()), None),
        (walk("b", steps=-1), "quantity_out_of_range"),
        (walk("c", steps=400_000), "quantity_out_of_range"),
        (walk("d", steps=10**400), "quantity_out_of_range"),
        (walk("e", steps=0.5), "quantity_out_of_range"),
        (walk("f", on=tomorrow), "in_future"),
        (walk("g", behaviour="flying"), "source_not_allowed"),
        (walk("h", subject="sub-2"), "not_linked"),
        (walk("i", unit="mile"), "wrong_unit"),
        (walk("j", steps="many"), "bad_request"),
        (walk("k", steps=None), "bad_request"),
        (walk("l", steps=True), "bad_request"),
        (walk("m", extra=1), "bad_request"),
        (walk("n", on="2026-02-30"), "bad_request"),
        (walk("o", revision=1.5), "bad_request"),
        (walk("p", revision=-1), "bad_request"),
        (walk("", steps=1), "bad_request"),
        (walk("x" * 201), "bad_request"),
        (walk("q\x00"), "bad_request"),
        (walk("a\n"), "bad_request"),  # not an id of its own beside "a"
        (walk("r", attributes={"mood": 1}), "bad_attribute"),
        (walk("s", attributes={"deep": {"er": 1}}), "bad_request"),
        (walk("t", on=None), "day_missing"),
        ("not an object", "bad_request"),
        (None, "bad_request"),
        (17, "bad_request"),
        ([], "bad_request"),
        (walk("ok-2", on=(now - timedelta(days=1)).date().isoformat()), None),
    ]
    answers = await results(api, *(item for item, _ in cases))
    told = [(answer["id"], answer.get("reason")) for answer in answers]
    for (item, code), answer in zip(cases, answers, strict=True):
        assert answer.get("reason") == code, (item, answer)
        assert answer["status"] == ("rejected" if code else "accepted")
    assert told[1][0] == "b"
    assert told[-2][0] is None
    assert await balls(api) == 2
    async with api.parts.db.snapshot() as reader:
        assert await reader.fetch("SELECT count(*) FROM activities") == [(2,)]


@pytest.mark.parametrize(
    "at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01", "soon"]
)
async def test_instants_at_the_ends_of_time_are_refused_alone(api: Api, at: str) -> None:
    await ready(api)
    item = {"id": "m", "subject": "sub-1", "behaviour": "metro", "at": at, "quantity": 1, "unit": "ride"}
    bad, good = await results(api, item, walk("ok"))
    assert bad["status"] == "rejected"
    assert bad["reason"] in ("bad_request", "in_future", "not_in_force", "wrong_unit")
    assert good["status"] == "accepted"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400x", "0x10", "01"])
async def test_what_is_no_json_number_makes_the_body_no_json(lite: Api, number: str) -> None:
    await ready(lite)
    body = json.dumps({"activities": [walk("a", steps=12345)]}).replace("12345", number).encode()
    refused = await lite.send(body)
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("number", ["1e400", "1E+9999999", "123456789" * 30, "1e-400", "-0.0"])
async def test_numbers_of_any_size_are_read_exactly_and_refused(lite: Api, number: str) -> None:
    await ready(lite)
    body = json.dumps({"activities": [walk("a", steps=12345)]}).replace("12345", number).encode()
    [answer] = (await lite.send(body)).json()["results"]
    if number == "-0.0":
        assert answer["energy_g"] == 0
    else:
        assert (answer["status"], answer["reason"]) == ("rejected", "quantity_out_of_range")


SHAPES = [
    b"",
    b"{",
    b"null",
    b"17",
    b'"x"',
    b"{}",
    b'{"activities": {}}',
    b'{"activities": null}',
    b'{"activities": [], "more": 1}',
    b'{"id": "a", "subject": "s", "behaviour": "walking", "quantity": 1, "unit": "step"}',
    b'[{"id": "a"}] [{"id": "b"}]',
    b'{"activities": [{"id": "a"}',
    b"[" * 50_000,
    b'{"activities": [' + b'{"a":' * 20_000,
    b'{"activities": ["\xff"]}',
]


@pytest.mark.parametrize("body", SHAPES, ids=lambda body: repr(body[:24]))
async def test_a_body_of_another_shape_is_refused_as_a_whole(lite: Api, body: bytes) -> None:
    await ready(lite)
    refused = await lite.send(body)
    if body.endswith(b'"\xff"]}'):
        assert refused.status_code in (200, 400, 401)  # the scheme's library signs text only
    else:
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert refused.headers["content-type"] in ("application/problem+json", "application/json")
    assert await balls(lite) == 0


async def test_the_bare_list_is_read_too_and_nothing_to_do_is_fine(lite: Api) -> None:
    await ready(lite)
    bare = await lite.send(json.dumps([walk("day-1")]).encode())
    assert bare.json()["results"][0]["status"] == "accepted"
    assert (await lite.send(b'{"activities": []}')).json() == {"results": []}


async def test_a_thousand_items_are_taken_and_one_more_is_not(api: Api) -> None:
    await ready(api)
    start = datetime.now(UTC) - timedelta(days=1)
    days = [(start - timedelta(days=n)).date().isoformat() for n in range(17)]
    items = [walk(f"d-{i}", steps=20_000, on=days[i // 60]) for i in range(1000)]
    answers = await results(api, *items)
    assert [answer["id"] for answer in answers] == [f"d-{i}" for i in range(1000)]
    assert {answer["status"] for answer in answers} == {"accepted"}
    assert (
        sum(answer["energy_g"] for answer in answers) == 17 * 296
    )  # one report of each day counts, up to its cap
    assert sum(answer.get("reason") == "excluded" for answer in answers) == 983
    refused = await api.report(*items, walk("one-more"))
    assert (refused.status_code, refused.json()["code"]) == (413, "too_many")
    assert refused.json()["activities_max"] == 1000


async def test_a_source_reverses_what_it_reported(api: Api) -> None:
    user = await ready(api)
    await results(api, walk("day-1"))
    [gone] = await results(api, {"id": "day-1", "reason": "recount"}, path="/v1/activities/reverse")
    assert (gone["status"], gone["energy_g"], gone["owed_g"]) == ("reversed", 0, 0)
    again, unknown, broken = await results(
        api, {"id": "day-1"}, {"id": "never"}, {"ids": 1}, path="/v1/activities/reverse"
    )
    assert again["status"] == "duplicate"
    assert (unknown["reason"], broken["reason"]) == ("unknown_activity", "bad_request")
    assert (await api.server("GET", f"/v1/users/{user}")).json()["avoided_mg"] == 0


async def test_a_withdrawn_consent_keeps_nothing(api: Api) -> None:
    user = await ready(api)
    await api.server("DELETE", f"/v1/users/{user}/links?source=city&subject=sub-1")
    [refused] = await results(api, walk("secret-day"))
    assert (refused["status"], refused["reason"]) == ("rejected", "not_linked")
    async with api.parts.db.snapshot() as reader:
        assert await reader.fetch("SELECT count(*) FROM activities") == [(0,)]
        assert await reader.fetch("SELECT count(*) FROM journal WHERE reply LIKE '%secret-day%'") == [(0,)]


# --- signatures -----------------------------------------------------------------------------------


BODY = b'{"activities": []}'


async def refused_signature(api: Api, body: bytes = BODY, **options: Any) -> None:
    response = await api.send(body, **options)
    assert (response.status_code, response.json()["code"]) == (401, "bad_signature"), response.text


async def test_forged_signatures_are_refused(lite: Api) -> None:
    await ready(lite)
    good = {"webhook-id": "msg_1"}
    at = datetime.now(UTC)
    signature = sign(lite.secrets["city"], "msg_1", at, BODY)
    await refused_signature(lite, secret="whsec_" + "QUFB" * 8)
    await refused_signature(
        lite, BODY + b" ", message="msg_1", at=at, headers={"webhook-signature": signature}
    )
    await refused_signature(lite, headers={"webhook-signature": signature})  # of another message
    for broken in ("", "v1,", "v1,!!!", "v2," + signature[3:], signature[3:], "v1," + "A" * 5000, "é"):
        headers = good | {"webhook-signature": broken.encode("latin-1")}  # type: ignore[dict-item]
        await refused_signature(lite, headers=headers)
    for timestamp in ("", "now", "-1", "1e9", "9" * 40, "١٢٣"):
        headers = {"webhook-timestamp": timestamp.encode()}  # type: ignore[dict-item]
        await refused_signature(lite, headers=headers)
    await refused_signature(lite, headers={"webhook-id": ""})
    await refused_signature(lite, headers={"webhook-id": "m" * 256})


async def test_a_missing_header_is_told_and_unknown_sources_look_like_forgers(lite: Api) -> None:
    await ready(lite)
    unsigned = await lite.http.post(
        "/v1/activities", json={"activities": []}, headers={"Saxaul-Source": "city"}
    )
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "bad_signature")
    nameless = await lite.http.post("/v1/activities", json={"activities": []})
    assert nameless.json()["errors"] == [{"field": "header.Saxaul-Source", "problem": "Field required"}]
    await refused_signature(lite, source="other", secret=lite.secrets["city"])


@pytest.mark.parametrize(
    ("shift_s", "status"), [(-290, 200), (290, 200), (-310, 401), (310, 401), (-86_400, 401)]
)
async def test_five_minutes_of_skew_and_no_more(lite: Api, shift_s: int, status: int) -> None:
    await ready(lite)
    at = datetime.now(UTC) + timedelta(seconds=shift_s)
    assert (await lite.send(BODY, at=at)).status_code == status


async def test_a_shifted_game_clock_does_not_shift_the_signers(lite: Api) -> None:
    await ready(lite)
    lite.parts.clock.shift_ms = 86_400_000
    assert (await lite.send(BODY)).status_code == 200


async def test_the_same_message_again_is_harmless_and_with_other_bytes_refused(lite: Api) -> None:
    await ready(lite)
    body = json.dumps({"activities": [walk("day-1")]}).encode()
    assert (await lite.send(body, message="msg_1")).json()["results"][0]["status"] == "accepted"
    assert (await lite.send(body, message="msg_1")).json()["results"][0]["status"] == "duplicate"
    reused = await lite.send(BODY, message="msg_1")
    assert (reused.status_code, reused.json()["code"]) == (409, "message_reused")


async def test_two_secrets_are_accepted_while_one_replaces_the_other(api: Api) -> None:
    old = await api.add_source()
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    key = new_key()
    rotated = await api.operator("POST", "/v1/sources/city/rotate", {"old_until_at": until}, key)
    new = rotated.json()["secret"]
    assert new != old
    again = await api.operator("POST", "/v1/sources/city/rotate", {"old_until_at": until}, key)
    assert again.json()["secret"] == new  # a lost reply costs nothing
    for secret in (old, new):
        assert (await api.send(BODY, secret=secret)).status_code == 200
    at = datetime.now(UTC)
    both = f"{sign('whsec_AAAA', 'm', at, BODY)} {sign(new, 'm', at, BODY)}"
    response = await api.send(BODY, message="m", at=at, headers={"webhook-signature": both})
    assert response.status_code == 200
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    newest = (await api.operator("POST", "/v1/sources/city/rotate", {"old_until_at": past})).json()["secret"]
    assert (await api.send(BODY, secret=newest)).status_code == 200
    for secret in (old, new):
        await refused_signature(api, secret=secret)


async def test_secrets_are_told_once(lite: Api) -> None:
    secret = await lite.add_source()
    assert secret.startswith("whsec_")
    told = await lite.operator("GET", "/v1/sources")
    [source] = told.json()
    assert (source["source"], source["behaviours"]) == ("city", ["walking", "metro"])
    assert "secret" not in source
    async with lite.parts.db.snapshot() as reader:
        rows = await reader.fetch("SELECT reply, pubs, transfers FROM journal")
    assert secret not in str(rows)
    again = await lite.operator("POST", "/v1/sources", {"source": "city", "name": "X", "behaviours": ["bus"]})
    assert (again.status_code, again.json()["code"]) == (409, "source_exists")


async def test_evidence_is_one_of_the_rules_kinds(api: Api) -> None:
    await ready(api)
    right, wrong, broken = await results(
        api,
        walk("day-1", evidence="pedometer"),
        walk("day-2", evidence="oath"),
        walk("day-3", evidence=7),
    )
    assert right["status"] == "accepted"
    assert (wrong["reason"], wrong["details"]["known"]) == ("wrong_evidence", ["pedometer"])
    assert broken["reason"] == "bad_request"
    changed = (await results(api, walk("day-1")))[0]
    assert changed["reason"] == "activity_conflict", "what it is shown by is part of what was reported"


async def test_the_steps_of_two_sources_are_the_greater(api: Api) -> None:
    user = await ready(api)
    await api.add_source("watch")
    await api.link(user, "sub-1", "watch")
    [phone] = await results(api, walk("phone", steps=6_000))
    [watch] = (await api.report(walk("watch", steps=9_000), source="watch")).json()["results"]
    assert (phone["energy_g"], watch["energy_g"]) == (98, 147)
    [again] = await results(api, walk("phone", steps=6_000))
    assert (again["status"], again["energy_g"], again["reason"]) == ("duplicate", 0, "excluded")
    account = (await api.server("GET", f"/v1/users/{user}")).json()
    assert account["avoided_mg"] == watch["avoided_mg"]


async def test_a_source_states_what_it_is(api: Api) -> None:
    body = {"source": "gates", "name": "Gates", "behaviours": ["metro"]}
    stated = {"evidence": ["gate-record"], "categories": ["green-travel"], "fields": ["distance_km"]}
    stated |= {
        "refresh_h": 24,
        "contact": "ops@example.org",
        "reduction_owner": "operator",
        "may_be_sold": True,
    }
    assert (await api.operator("POST", "/v1/sources", body | stated)).status_code == 201
    [told] = (await api.operator("GET", "/v1/sources")).json()
    assert told == body | stated
    for wrong in ({"evidence": ["oath"]}, {"categories": ["air"]}, {"may_be_sold": True}):
        refused = await api.operator("POST", "/v1/sources", body | {"source": "other"} | wrong)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
            422,
            "bad_source",
            next(iter(wrong)),
        )
    for wrong in ({"refresh_h": 0}, {"reduction_owner": "me"}, {"fields": ["Distance"]}, {"more": 1}):
        assert (
            await api.operator("POST", "/v1/sources", body | {"source": "other"} | wrong)
        ).status_code == 422
    reserved = await api.operator("POST", "/v1/sources", body | {"source": "user"})
    assert (reserved.status_code, reserved.json()["code"]) == (409, "source_exists")
