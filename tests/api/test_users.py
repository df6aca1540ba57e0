"""Accounts and consents over HTTP."""

import asyncio

import pytest

from tests.api.conftest import SERVER_KEY, Api, new_key


async def test_opening_tells_the_id_and_the_account_can_be_read(api: Api) -> None:
    body = {"display_name": "林", "zone": "Asia/Shanghai", "province": "CN-ZJ", "reference": "app-7"}
    opened = await api.server("POST", "/v1/users", body)
    assert opened.status_code == 201
    user = opened.json()["user"]
    told = (await api.server("GET", f"/v1/users/{user}")).json()
    assert told["state"] == "active"
    assert (told["zone"], told["province"], told["holder"]) == ("Asia/Shanghai", "CN-ZJ", "person")
    assert (told["wallet_g"], told["avoided_mg"], told["debt_g"], told["links"]) == (0, 0, 0, [])
    assert "display_name" not in told
    assert "reference" not in told
    named = (await api.server("GET", f"/v1/users/{user}?identity=true")).json()
    assert (named["display_name"], named["reference"]) == ("林", "app-7")


async def test_the_same_key_opens_one_account(api: Api) -> None:
    key, body = new_key(), {"display_name": "Lin", "zone": "Asia/Shanghai"}
    replies = await asyncio.gather(*(api.server("POST", "/v1/users", body, key) for _ in range(8)))
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["user"] for reply in replies}) == 1
    assert sum(reply.headers.get("Idempotency-Replayed") == "true" for reply in replies) == 7
    other = await api.server("POST", "/v1/users", body | {"display_name": "Wei"}, key.upper())
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_a_reference_is_used_once(api: Api) -> None:
    user = await api.open_account(reference="app-7")
    again = await api.server("POST", "/v1/users", {"display_name": "X", "zone": "UTC", "reference": "app-7"})
    assert (again.status_code, again.json()["code"], again.json()["user"]) == (409, "account_exists", user)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.json()["type"] == "/problems/account_exists"


async def test_opening_needs_a_key_of_the_right_kind(lite: Api) -> None:
    body = {"display_name": "Lin", "zone": "UTC"}
    headers = {"Authorization": f"Bearer {SERVER_KEY}"}
    for key in (None, "1", "018f0000-0000-4000-8000-000000000001"):
        sent = headers | ({"Idempotency-Key": key} if key else {})
        refused = await lite.http.post("/v1/users", json=body, headers=sent)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
        assert refused.json()["errors"][0]["field"].lower() == "header.idempotency-key"


HOSTILE = [
    {"display_name": "x" * 41},
    {"display_name": ""},
    {"display_name": "   "},
    {"display_name": "a\u202eb"},
    {"display_name": "a\u2066b"},
    {"display_name": "a\x00b"},
    {"display_name": "a\nb"},
    {"display_name": "\u200d"},
    {"display_name": "a\ue000"},
    {"display_name": 7},
    {"display_name": None},
    {"zone": 8},
    {"zone": "../../etc/passwd\x00"},
    {"zone": "x" * 65},
    {"province": "Zhejiang"},
    {"province": "CN-ZJ\n"},
    {"holder": "company"},
    {"reference": ""},
    {"reference": "x" * 129},
    {"reference": "a\x1bb"},
    {"wallet_g": 10**6},
    {"id": 1},
    {"state": "active"},
]


@pytest.mark.parametrize("change", HOSTILE, ids=str)
async def test_hostile_fields_are_refused_by_name(lite: Api, change: dict[str, object]) -> None:
    body = {"display_name": "Lin", "zone": "Asia/Shanghai"} | change
    refused = await lite.server("POST", "/v1/users", body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")
    [name] = change
    assert refused.json()["errors"][0]["field"] == f"body.{name}"
    value = change[name]
    if isinstance(value, str) and len(value) > 8:
        assert value not in refused.text


@pytest.mark.parametrize("zone", ["Asia/Atlantis", "Asia", "../Asia/Shanghai", "/etc/passwd"])
async def test_a_zone_must_be_of_the_zone_database(lite: Api, zone: str) -> None:
    refused = await lite.server("POST", "/v1/users", {"display_name": "Lin", "zone": zone})
    assert (refused.status_code, refused.json()["code"]) in ((422, "bad_zone"), (422, "invalid"))


@pytest.mark.parametrize("name", ["林小树", "Zoë", "👩‍🌾 Lin", "نور", "O'Brien-Ng", "12345"])
async def test_names_of_all_the_world_are_fine(lite: Api, name: str) -> None:
    user = await lite.open_account(name)
    assert (await lite.server("GET", f"/v1/users/{user}?identity=true")).json()["display_name"] == name


async def test_changing_moves_the_zone_at_the_second_midnight(api: Api) -> None:
    user = await api.open_account()
    changed = await api.server("PATCH", f"/v1/users/{user}", {"zone": "Europe/Paris", "display_name": "Wei"})
    assert changed.status_code == 200
    assert (changed.json()["zone"], changed.json()["next_zone"]) == ("Asia/Shanghai", "Europe/Paris")
    told = (await api.server("GET", f"/v1/users/{user}?identity=true")).json()
    assert (told["zone"], told["next_zone"], told["display_name"]) == ("Asia/Shanghai", "Europe/Paris", "Wei")
    empty = await api.server("PATCH", f"/v1/users/{user}", {})
    assert (empty.status_code, empty.json()["code"]) == (422, "invalid")


async def test_a_suspended_account_is_served_again_after_resuming(api: Api) -> None:
    user = await api.open_account()
    assert (await api.user(user, "GET", "/v1/trees")).status_code == 200
    suspended = await api.server("POST", f"/v1/users/{user}/suspend")
    assert suspended.json() == {"user": user, "state": "suspended"}
    refused = await api.user(user, "GET", "/v1/trees")
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")
    assert (await api.server("POST", f"/v1/users/{user}/resume")).json()["state"] == "active"
    assert (await api.user(user, "GET", "/v1/trees")).status_code == 200


async def test_closing_is_for_good(api: Api) -> None:
    user = await api.open_account(reference="app-9")
    assert (await api.server("DELETE", f"/v1/users/{user}")).json() == {"user": user, "state": "closed"}
    assert (await api.server("DELETE", f"/v1/users/{user}")).status_code == 200
    refused = await api.server("POST", f"/v1/users/{user}/resume")
    assert (refused.status_code, refused.json()["code"]) == (410, "account_closed")
    assert (await api.user(user, "GET", "/v1/trees")).json()["code"] == "account_closed"
    assert await api.open_account(reference="app-9") != user


async def test_links_are_given_and_withdrawn(api: Api) -> None:
    await api.add_source()
    user, other = await api.open_account(), await api.open_account()
    await api.link(user, "sub-1")
    taken = await api.server(
        "POST", f"/v1/users/{other}/links", {"source": "city", "subject": "sub-1", "behaviours": ["walking"]}
    )
    assert (taken.status_code, taken.json()["code"]) == (409, "subject_taken")
    foreign = await api.server(
        "POST", f"/v1/users/{user}/links", {"source": "city", "subject": "sub-1", "behaviours": ["bus"]}
    )
    assert (foreign.status_code, foreign.json()["code"]) == (422, "behaviours_missing")
    [told] = (await api.server("GET", f"/v1/users/{user}")).json()["links"]
    assert (told["source"], told["behaviours"]) == ("city", ["metro", "walking"])
    assert "subject" not in told
    not_theirs = await api.server("DELETE", f"/v1/users/{other}/links?source=city&subject=sub-1")
    assert (not_theirs.status_code, not_theirs.json()["code"]) == (404, "not_linked")
    gone = await api.server("DELETE", f"/v1/users/{user}/links?source=city&subject=sub-1")
    assert gone.status_code == 200
    assert "withdrawn_at" in (await api.server("GET", f"/v1/users/{user}")).json()["links"][0]


async def test_nobody_is_unknown_and_ids_have_one_writing(lite: Api) -> None:
    for user, status in (
        ("99", 404),
        ("9999999999999999", 404),
        ("0", 422),
        ("007", 422),
        ("-1", 422),
        ("a", 422),
    ):
        assert (await lite.server("GET", f"/v1/users/{user}")).status_code == status, user
        assert (await lite.server("POST", f"/v1/users/{user}/suspend")).status_code == status, user
        assert (await lite.server("DELETE", f"/v1/users/{user}")).status_code == status, user


async def test_only_the_apps_server_manages_accounts(lite: Api) -> None:
    user = await lite.open_account()
    body = {"display_name": "Lin", "zone": "UTC"}
    for bearer in (None, "wrong", "ключ", SERVER_KEY[:-1], SERVER_KEY + "x"):
        if bearer is not None and not bearer.isascii():
            continue
        refused = await lite.call("POST", "/v1/users", body, bearer)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorised")
        assert refused.headers["www-authenticate"] == "Bearer"
    assert (await lite.operator("POST", "/v1/users", body)).json()["code"] == "forbidden"
    assert (await lite.user(user, "DELETE", f"/v1/users/{user}")).json()["code"] == "unauthorised"
