"""A partner's developer answers and reports over the partner API; wrong, repeated and foreign calls change nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.core.numbers import order_number
from partners.core.api_rows import SCOPES
from partners.core.commands import HoldOrder, ReviewOrder
from partners.core.records import commands as rc
from partners.partner_api.bodies import OrderWhole
from tests.partners.partner_api.setting import PHOTO, office

KEY = "0192f0c1-0000-7000-8000-00000000000a"


def planting(report_no: str = "A", trees: int = 3, **more: Any) -> dict[str, Any]:
    told = {
        "report_no": report_no,
        "trees": trees,
        "planted_from_on": "2026-11-20",
        "planted_to_on": "2026-11-21",
    }
    return told | {"photos": [{"sha256": PHOTO, "name": "a.jpg"}]} | more


async def test_an_order_is_read_answered_planted_and_reviewed(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path) as at:
        number, elm = await at.order(3), await at.developer()
        assert (await elm.get("")).json() | {"key": ""} == {
            "partner": "simulator-ngo",
            "key": "",
            "mode": "live",
            "scopes": list(SCOPES),
            "expires_at": None,
        }
        [listed] = (await elm.get("/orders")).json()["orders"]
        assert (listed["number"], listed["state"], listed["lines"][0]["ordered"]) == (number, "submitted", 3)
        answer = {"answer": "accept_part", "lines": [{"line_no": 1, "accepted": 2}], "reference": "EL-7"}
        answered = (await elm.post(f"/orders/{number}/answer", answer)).json()
        assert (answered["state"], answered["reference"], answered["lines"][0]["accepted"]) == (
            "accepted",
            "EL-7",
            2,
        )
        told = (await elm.post(f"/orders/{number}/plantings", {"plantings": [planting(trees=1)]})).json()
        assert (told["state"], told["plantings"][0]["trees"]) == ("in_planting", 1)
        last = planting("B", 1, photos=[{"sha256": "cd" * 32}])
        told = (await elm.post(f"/orders/{number}/plantings", {"plantings": [last]})).json()
        assert (await elm.post(f"/orders/{number}/done", {})).json()["state"] == "planted"
        [(order,)] = await at.bench.rows("SELECT id FROM partner_orders")
        await at.bench.do(ReviewOrder(None, "operator:li", order, "needs_info", "the northern edge"))
        asked = (await elm.get(f"/orders/{number}")).json()
        assert (asked["state"], asked["needs_info"]) == ("needs_info", "the northern edge")
        more = {"plantings": [{"report_no": "A", "photos": [{"sha256": "ef" * 32}]}]}
        sent = (await elm.post(f"/orders/{number}/information", more)).json()
        assert (sent["state"], sent["needs_info"], sent["plantings"][0]["photos"]) == ("planted", "", 2)
        for one in (answered, told, asked, sent):
            OrderWhole.model_validate(one)
        await at.bench.do(ReviewOrder(None, "operator:li", order, "verified"))
        assert (await elm.get(f"/orders/{number}")).json()["lines"][0]["verified"] == 2
        money = (await elm.get("/money")).json()["milestones"]
        assert {one["milestone"] for one in money} == {"accepted", "verified"}
        assert {one["order"] for one in money} == {number}


async def test_one_key_one_effect(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        number, elm = await at.order(), await at.developer()
        path, words = f"/orders/{number}/answer", {"answer": "accept"}
        both = await asyncio.gather(elm.post(path, words, KEY), elm.post(path, words, f'"{KEY}"'))
        assert [one.status_code for one in both] == [200, 200]
        again = await elm.post(path, words, KEY)
        assert (again.json()["state"], again.headers["idempotency-replayed"]) == ("accepted", "true")
        other = await elm.post(path, {"answer": "decline", "reason": "no"}, KEY)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
        elsewhere = await elm.post(f"/orders/{number}/done", {}, KEY)
        assert elsewhere.json()["code"] == "key_reused"
        assert (await elm.get(f"/orders/{number}")).json()["state"] == "accepted"
        [(messages,)] = await at.bench.rows("SELECT count(*) FROM inbox")
        assert messages == 1
        without = await elm.send("POST", path, words)
        assert (without.status_code, without.json()["code"]) == (422, "invalid")
        # what was done once is not judged by what has happened since
        report = {"plantings": [planting()], "all_planted": True}
        first = await elm.post(f"/orders/{number}/plantings", report, KEY.replace("a", "b"))
        [(order,)] = await at.bench.rows("SELECT id FROM partner_orders")
        await at.bench.do(ReviewOrder(None, "operator:li", order, "verified"))
        late = await elm.post(f"/orders/{number}/plantings", report, KEY.replace("a", "b"))
        assert (first.status_code, late.status_code, late.headers["idempotency-replayed"]) == (
            200,
            200,
            "true",
        )
        assert (await elm.post(f"/orders/{number}/plantings", report)).json()["code"] == "order_ended"


REFUSED = [
    ("answer", {"answer": "accept_part", "lines": [{"line_no": 1, "accepted": 4}]}, "invalid", "at most 3"),
    ("answer", {"answer": "accept_part", "lines": [{"line_no": 2, "accepted": 1}]}, "invalid", "has 1 lines"),
    ("answer", {"answer": "accept_part"}, "invalid", "missing: [1]"),
    ("answer", {"answer": "accept_part", "lines": [{"line_no": 1}]}, "invalid", "how many"),
    ("answer", {"answer": "decline"}, "invalid", "why"),
    ("answer", {"answer": "yes"}, "invalid", "Input should be"),
    ("answer", {"answer": "accept", "user": 7}, "invalid", "Extra inputs"),
    ("answer", {"answer": "accept", "reason": "a\x00b"}, "invalid", "control characters"),
    ("answer", {"answer": "accept", "reason": "x" * 300}, "invalid", "at most 200"),
    ("plantings", {"plantings": [planting()]}, "not_accepted", ""),
    ("plantings", {"plantings": [planting(trees=True)]}, "invalid", "integer"),
    ("plantings", {"plantings": [planting(trees=0)]}, "invalid", "greater"),
    ("plantings", {"plantings": [planting(planted_to_on="2026-02-30")]}, "invalid", "day"),
    ("plantings", {"plantings": [planting(photos=[{"sha256": "AB"}])]}, "invalid", "pattern"),
    ("plantings", {"plantings": []}, "invalid", "at least 1"),
    ("plantings", {"plantings": [planting()] * 101}, "invalid", "at most 100"),
    ("done", {}, "not_accepted", ""),
    ("information", {}, "not_planted", ""),
    ("cancellation", {"reason": ""}, "invalid", "at least 1"),
]


async def test_slips_are_answered_and_change_nothing(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        number, elm = await at.order(), await at.developer()
        for route, body, code, told in REFUSED:
            refused = await elm.post(f"/orders/{number}/{route}", body)
            assert (refused.json()["code"], refused.headers["content-type"]) == (
                code,
                "application/problem+json",
            ), body
            assert told in refused.text, body
        for body in (b"", b"[", b"[]", b"\xff", b"[" * 20_000):
            headers = {"authorization": f"Bearer {elm.key.text}", "idempotency-key": KEY}
            headers["content-type"] = "application/json"
            path = f"/v1/partner/orders/{number}/answer"
            assert (await at.http.post(path, content=body, headers=headers)).status_code in (400, 422)
        assert await at.bench.states() == ["submitted"]
        assert await at.bench.rows("SELECT count(*) FROM inbox") == [(0,)]
        await elm.post(f"/orders/{number}/answer", {"answer": "accept"})
        too_many = await elm.post(f"/orders/{number}/plantings", {"plantings": [planting(trees=4)]})
        assert "at most 3 were accepted" in too_many.text
        await elm.post(f"/orders/{number}/plantings", {"plantings": [planting(trees=2)]})
        changed = await elm.post(f"/orders/{number}/plantings", {"plantings": [planting(trees=1)]})
        assert (changed.json()["code"], changed.json()["trees"]) == ("batch_known", 2)
        assert (
            await elm.post(f"/orders/{number}/plantings", {"plantings": [planting(trees=2)]})
        ).status_code == 200
        unknown = await elm.post(f"/orders/{number}/information", {"plantings": [{"report_no": "Z"}]})
        assert unknown.json()["code"] == "not_planted"
        assert await at.bench.rows("SELECT reported, accepted FROM order_lines") == [(2, 3)]


async def test_an_answer_to_something_else_stops_the_order_for_a_person(
    tmp_path: Path, sqlite_url: str
) -> None:
    async with office(sqlite_url, tmp_path) as at:
        elm = await at.developer()
        for echo in ({"species": "pine"}, {"ordered": 5}, {"unit_price_minor": 1}, {"currency": "EUR"}):
            number = await at.order(1)
            body = {"answer": "accept", "lines": [{"line_no": 1} | echo]}
            answered = (await elm.post(f"/orders/{number}/answer", body)).json()
            assert (answered["state"], answered["held"]) == ("submitted", "answer_differs"), echo
            again = await elm.post(f"/orders/{number}/answer", {"answer": "accept"})
            assert again.json()["code"] == "order_held"


async def test_declining_and_ending(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        elm, first, second = await at.developer(), await at.order(1), await at.order(2)
        declined = await elm.post(f"/orders/{first}/answer", {"answer": "decline", "reason": "no water"})
        assert (declined.json()["state"], declined.json()["reason"]) == ("rejected", "no water")
        await elm.post(f"/orders/{second}/answer", {"answer": "accept"})
        asked = (await elm.post(f"/orders/{second}/cancellation", {"reason": "a flood"})).json()
        assert (asked["state"], asked["cancel_asked_by"], asked["held"]) == (
            "accepted",
            "partner",
            "partner_asks_to_cancel",
        )
        assert {one["state"] for one in (await elm.get("/orders", state="rejected")).json()["orders"]} == {
            "rejected"
        }


# --- keys and scopes ------------------------------------------------------------------------------


async def test_a_partner_sees_its_own_orders_and_nothing_else(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        number, own = await at.order(), await at.developer()
        record = rc.RecordPartner(None, "li", "other-ngo", "", "Other", "CN", "ngo", 1, "CNY", ("en",))
        await at.bench.do(record)
        other, practice = await at.developer(partner="other-ngo"), await at.developer(is_test=True)
        for stranger in (other, practice):
            assert (await stranger.get("/orders")).json()["orders"] == []
            assert (await stranger.get(f"/orders/{number}")).json()["code"] == "unknown_order"
            told = await stranger.post(f"/orders/{number}/answer", {"answer": "accept"})
            assert told.json()["code"] == "unknown_order"
            assert (await stranger.get("/money")).json()["milestones"] == []
        assert (await own.get("/orders/PO-000042-1")).json()["code"] == "bad_number"
        assert (await own.get(f"/orders/{order_number(99)}")).json()["code"] == "unknown_order"
        assert await at.bench.states() == ["submitted"]


ROUTES = [
    ("GET", "/orders", "orders:read"),
    ("GET", "/orders/PO-000042-Z", "orders:read"),
    ("POST", "/orders/PO-000042-Z/answer", "orders:answer"),
    ("POST", "/orders/PO-000042-Z/cancellation", "orders:answer"),
    ("POST", "/orders/PO-000042-Z/plantings", "reports:write"),
    ("POST", "/orders/PO-000042-Z/done", "reports:write"),
    ("POST", "/orders/PO-000042-Z/information", "reports:write"),
    ("GET", "/money", "money:read"),
]


async def test_each_route_asks_for_its_scope(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        for scope in SCOPES:
            someone = await at.developer(scope)
            for method, path, needed in ROUTES:
                answer = await someone.send(method, path, {}, **{"idempotency-key": KEY})
                assert (answer.status_code == 403) == (scope != needed), (scope, path)
                if scope != needed:
                    assert (answer.json()["code"], answer.json()["scope"]) == ("scope_missing", needed)


async def test_keys_end_overlap_and_are_revoked_at_once(tmp_path: Path, sqlite_url: str) -> None:
    from partners.core.api_commands import RevokeKey, RotateKey
    from partners.partner_api.keys import new_key

    async with office(sqlite_url, tmp_path) as at:
        now = at.bench.clock.now_ms()
        old, short = await at.developer("orders:read"), await at.developer(expires_at=now + 3_600_000)
        fresh = new_key(is_test=False)
        await at.bench.do(RotateKey(None, "li", old.key.id, fresh.id, fresh.digest, now + 7_200_000))
        new = type(old)(at.http, fresh)
        assert [(await one.get("/orders")).status_code for one in (old, new, short)] == [200, 200, 200]
        assert (await new.get("")).json()["scopes"] == ["orders:read"]
        at.bench.clock.shift_ms += 3_600_001
        assert [(await one.get("/orders")).status_code for one in (old, new, short)] == [200, 200, 401]
        assert (await short.get("")).json()["code"] == "token_expired"
        at.bench.clock.shift_ms += 3_600_001
        assert (await old.get("")).json()["code"] == "token_expired"
        await at.bench.do(RevokeKey(None, "li", fresh.id))
        assert (await new.get("")).json()["code"] == "unauthorised"
        used = await at.bench.rows("SELECT last_used_at FROM partner_keys WHERE id = ?", old.key.id)
        assert used[0][0] is not None
        log = await at.bench.rows("SELECT what, was, became FROM audit_events WHERE what = 'key'")
        assert ("key", fresh.id, "revoked") in log


NO_KEYS = (
    "",
    "x",
    "sxp_live_0a1b2c3d4e",
    "sxp_live_0a1b2c3d4e_" + "A" * 43,
    "sxp_test_" + "é" * 54,
    "sxp_" * 5000,
)


async def test_what_is_no_key_opens_nothing(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        known = (await at.developer()).key.text
        for offered in (*NO_KEYS, known[:-1] + ("a" if known[-1] != "a" else "b"), known + "a"):
            headers = {"authorization": f"Bearer {offered}".encode()}
            refused = await at.http.get("/v1/partner/orders", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorised"), offered


async def test_a_key_is_kept_nowhere(
    tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with office(sqlite_url, tmp_path) as at:
        elm = await at.developer()
        await elm.get("/orders")
        await elm.get("/orders", cursor="x")
        secret = elm.key.text[len(elm.key.id) + 1 :]
        await at.bench.writer.stop()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert elm.key.id.encode() in stored
    assert secret.encode() not in stored
    assert secret not in caplog.text
    assert secret not in repr(elm.key)


# --- pages and rates ------------------------------------------------------------------------------


async def test_pages_are_walked_by_a_cursor(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        numbers = [await at.order(1) for _ in range(5)]
        elm, seen, cursor = await at.developer(), [], ""
        while True:
            page = (await elm.get("/orders", limit=2, cursor=cursor)).json()
            seen += [one["number"] for one in page["orders"]]
            if len(seen) == 2:  # what changes or comes behind a page shifts nothing
                await elm.post(f"/orders/{numbers[0]}/answer", {"answer": "accept"})
                numbers.append(await at.order(1))
            if page["next_cursor"] is None:
                break
            cursor = page["next_cursor"]
        assert seen == numbers
        season = (await elm.get(f"/orders/{numbers[0]}")).json()["season"]
        for query in ({"state": "accepted"}, {"season": season}, {"season": "1999-spring"}):
            told = await elm.get("/orders", cursor=cursor, **query)
            assert told.json()["code"] == "bad_request"
        assert len((await elm.get("/orders", season=season)).json()["orders"]) == 6
        assert (await elm.get("/orders", season="1999-spring")).json()["orders"] == []
        assert (await elm.get("/orders", state="planted")).json()["orders"] == []
        for wrong in ("x", "e30", "W10", "WyIxIiwgW11d", "A" * 301):
            assert (await elm.get("/orders", cursor=wrong)).status_code in (400, 422)
        assert (await elm.get("/orders", state="draft")).json()["code"] == "bad_request"
        assert (await elm.get("/orders", limit=101)).status_code == 422


async def test_a_key_has_a_rate(tmp_path: Path, sqlite_url: str) -> None:
    from partners.partner_api.rates import Rates

    clock = [1000.0]
    async with office(sqlite_url, tmp_path, Rates(2.0, 3, lambda: clock[0])) as at:
        elm, other = await at.developer(), await at.developer()
        first = await elm.get("")
        assert first.headers["ratelimit-policy"] == '"requests";q=3;w=2'
        assert first.headers["ratelimit"] == '"requests";r=2;t=1'
        bad = await elm.get("/orders", limit="x")
        assert (bad.status_code, bad.headers["ratelimit"]) == (422, '"requests";r=1;t=1')
        assert (await elm.get("/orders/PO-000042-1")).headers["ratelimit"] == '"requests";r=0;t=2'
        over = await elm.get("")
        assert (over.status_code, over.json()["code"], over.headers["retry-after"]) == (
            429,
            "rate_limited",
            "1",
        )
        assert (await other.get("")).status_code == 200
        clock[0] += 0.5
        assert (await elm.get("")).status_code == 200


async def test_a_held_order_takes_nothing(tmp_path: Path, sqlite_url: str) -> None:
    async with office(sqlite_url, tmp_path) as at:
        number, elm = await at.order(), await at.developer()
        [(order,)] = await at.bench.rows("SELECT id FROM partner_orders")
        await at.bench.do(HoldOrder(None, "li", order, "a question"))
        assert (await elm.post(f"/orders/{number}/answer", {"answer": "accept"})).json()[
            "code"
        ] == "order_held"
        assert (await elm.get(f"/orders/{number}")).json()["held"] == "a question"
