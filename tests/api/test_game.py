"""Reads, redeeming and explaining over plain HTTP; operators fund and grant."""

import asyncio
from typing import Any

from engine.api.tokens import sign_demo_token
from engine.core.units import DAY_MS
from tests.api.conftest import TOKEN_SECRET, Api, new_key, walk

OFFER = "saxaul-alxa"


async def rich(api: Api, energy_g: int) -> str:
    """A user with a full wallet, whose energy was not earned."""
    user = await api.open_account()
    async with api.parts.db.write() as tx:
        await tx.execute("UPDATE users SET wallet_g = ? WHERE id = ?", energy_g, int(user))
    api.parts.writer._cache = None  # what the test wrote past the writer
    return user


async def fund(api: Api, trees: int, granted: int) -> None:
    body = {"funder": "City fund", "currency": "CNY", "unit_price_minor": 1000, "amount_minor": 1000 * trees}
    funded = await api.operator("POST", f"/v1/programmes/{OFFER}/commitments", body)
    assert (funded.status_code, funded.json()["covers"]) == (201, trees), funded.text
    stock = await api.operator("POST", f"/v1/programmes/{OFFER}/stock", {"trees": granted})
    assert stock.json() == {"stock": granted}


async def test_stock_never_exceeds_what_funding_covers(api: Api) -> None:
    await fund(api, 10, 8)
    refused = await api.operator("POST", f"/v1/programmes/{OFFER}/stock", {"trees": 3})
    assert (refused.status_code, refused.json()["code"], refused.json()["covers_more"]) == (
        409,
        "not_funded",
        2,
    )
    for body in ({"trees": 0}, {"trees": -1}, {"trees": 1.5}, {"trees": True}, {"trees": "3"}, {}):
        assert (await api.operator("POST", f"/v1/programmes/{OFFER}/stock", body)).status_code == 422
    unknown = await api.operator("POST", "/v1/programmes/none/stock", {"trees": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_programme")
    server = await api.server("POST", f"/v1/programmes/{OFFER}/stock", {"trees": 1})
    assert (server.status_code, server.json()["code"]) == (403, "forbidden")


async def test_the_last_trees_go_to_exactly_as_many_users(api: Api) -> None:
    await fund(api, 2, 2)
    people = [await rich(api, 100_000) for _ in range(5)]
    replies = await asyncio.gather(*(api.user(one, "POST", f"/v1/offers/{OFFER}/redeem") for one in people))
    codes = sorted(reply.json().get("code", "tree") for reply in replies)
    assert codes == ["sold_out", "sold_out", "sold_out", "tree", "tree"]
    winner, reply = next((u, r) for u, r in zip(people, replies, strict=True) if r.status_code == 200)
    [tree] = (await api.user(winner, "GET", "/v1/trees")).json()["trees"]
    assert tree["number"] == reply.json()["tree"]


async def test_redeeming_twice_with_one_key_is_one_tree(api: Api) -> None:
    await fund(api, 5, 5)
    user, key = await rich(api, 100_000), new_key()
    first = await api.user(user, "POST", f"/v1/offers/{OFFER}/redeem", key=key)
    again = await api.user(user, "POST", f"/v1/offers/{OFFER}/redeem", key=key)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await api.user(await rich(api, 100_000), "POST", f"/v1/offers/{OFFER}/redeem", key=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    poor = await api.user(await api.open_account(), "POST", f"/v1/offers/{OFFER}/redeem")
    assert (poor.status_code, poor.json()["code"], poor.json()["wallet_g"]) == (409, "energy_lacking", 0)


async def test_a_user_reads_what_the_socket_would_tell(api: Api) -> None:
    await api.add_source()
    user, stranger = await api.open_account(), await api.open_account()
    await api.link(user, "sub-1")
    [answer] = (await api.report(walk("day-1"))).json()["results"]
    forest = (await api.user(user, "GET", f"/v1/forests/{user}")).json()
    assert [ball["id"] for ball in forest["balls"]] == [answer["ball"]]
    assert set(forest["positions"]) == {f"user:{user}", f"forest:{user}"}
    book = (await api.user(user, "GET", "/v1/activities?limit=1")).json()
    assert [one["id"] for one in book["activities"]] == [answer["ball"]]
    assert (await api.user(user, "GET", "/v1/friends")).json()["friends"] == []
    assert len((await api.user(user, "GET", "/v1/offers")).json()["offers"]) == 3
    refused = await api.user(stranger, "GET", f"/v1/forests/{user}")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_friends")


async def test_a_ball_is_explained_to_its_owner_and_to_the_app(api: Api) -> None:
    await api.add_source()
    user, stranger = await api.open_account(), await api.open_account()
    await api.link(user, "sub-1")
    [answer] = (await api.report(walk("day-1"))).json()["results"]
    path = f"/v1/balls/{answer['ball']}/explain"
    for response in (
        await api.user(user, "GET", path),
        await api.server("GET", path),
        await api.operator("GET", path),
    ):
        assert response.status_code == 200, response.text
        assert api.parts.rules().hash in response.text
    for response in (
        await api.user(stranger, "GET", path),
        await api.server("GET", "/v1/balls/77/explain"),
        await api.user(user, "GET", "/v1/balls/9999999999999999/explain"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "unknown_ball")
    assert (await api.http.get(path)).json()["code"] == "unauthorised"


async def test_forged_and_expired_tokens_open_nothing(lite: Api) -> None:
    user = int(await lite.open_account())
    cases: list[tuple[Any, str]] = [
        (sign_demo_token("x" * 40, user), "token_invalid"),
        (sign_demo_token(TOKEN_SECRET, user, audience="other"), "token_invalid"),
        (sign_demo_token(TOKEN_SECRET, user, ttl_s=-10), "token_expired"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIiwiYXVkIjoic2F4YXVsIn0.", "token_invalid"),
        ("x", "token_invalid"),
        (sign_demo_token(TOKEN_SECRET, 10**9), "unknown_user"),
    ]
    for token, code in cases:
        refused = await lite.call("GET", "/v1/trees", None, token)
        assert refused.json()["code"] == code
    lite.parts.clock.shift_ms = DAY_MS  # the verifier of this test reads the real clock; accounts do not care
    assert (await lite.user(str(user), "GET", "/v1/trees")).status_code == 200
