"""Webhooks: registered by the partner, signed, tried again over days, dead at last, disabled, replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from engine.core.numbers import parse_order_number
from engine.core.units import DAY_MS
from partners.core.api_commands import AnnounceEvent, SettleMessage
from partners.core.webhooks import RETRY_MS, wait_ms
from partners.partner_api.bodies import MessageWhole, WebhookSecret
from partners.webhooks.dispatch import Dispatch
from partners.webhooks.outward import Outward
from tests.partners.partner_api.receiver import Receiver, receiving
from tests.partners.partner_api.setting import Developer, Office, office

KEY = "0192f0c1-0000-7000-8000-00000000000a"


@dataclass
class Hooked:
    """A partner that is told of its orders."""

    at: Office
    elm: Developer
    receiver: Receiver
    dispatch: Dispatch

    async def hook(self, *types: str) -> dict[str, Any]:
        made = await self.elm.post("/webhooks", {"url": self.receiver.url, "types": list(types)})
        assert made.status_code == 201, made.text
        told: dict[str, Any] = made.json()
        return told

    async def tell(self, number: str, kind: str = "order.reminder", event: str = "1") -> list[str]:
        order = parse_order_number(number)
        told = await self.at.bench.do(
            AnnounceEvent(None, "simulator-ngo", kind, order, event, {"order": number})
        )
        found: list[str] = told["messages"]
        return found

    async def deliver(self) -> int:
        begun = await self.dispatch.turn()
        await self.dispatch.idle()
        return begun

    async def message(self, hook: dict[str, Any], name: str) -> dict[str, Any]:
        told: dict[str, Any] = (await self.elm.get(f"/webhooks/{hook['id']}/messages/{name}")).json()
        return told


@asynccontextmanager
async def hooked(url: str, folder: Path) -> AsyncIterator[Hooked]:
    async with office(url, folder, allows_loopback=True) as at, receiving() as receiver:
        outward = Outward(allows_loopback=True, total_s=2.0)
        dispatch = Dispatch(at.bench.writer, at.bench.db, outward, dice=lambda below: 0)
        try:
            yield Hooked(at, await at.developer(), receiver, dispatch)
        finally:
            await dispatch.stop()


async def test_events_are_signed_numbered_and_told_once(database_url: str, tmp_path: Path) -> None:
    async with hooked(database_url, tmp_path) as by:
        number = await by.at.order()
        hook = await by.hook()
        narrow = await by.hook("review.verified")
        first = await by.tell(number)
        assert await by.tell(number) == []  # told again, it changes nothing
        await by.tell(number, "order.cancelled", "2")
        assert (len(first), await by.deliver(), await by.deliver()) == (1, 2, 0)
        assert [(one["type"], one["sequence"]) for one in by.receiver.told()] == [
            ("order.reminder", 1),
            ("order.cancelled", 2),
        ]
        [got] = [one for one in by.receiver.got if one.headers["webhook-id"] == first[0]]
        shift_s = by.at.bench.clock.shift_ms // 1000
        assert shift_s == 0
        Webhook(hook["secret"]).verify(got.body, got.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(narrow["secret"]).verify(got.body, got.headers)
        assert got.head == "POST /hook?x=1 HTTP/1.1"
        told = await by.message(hook, first[0])
        MessageWhole.model_validate(told)
        WebhookSecret.model_validate(hook)
        assert (told["state"], [one["status"] for one in told["tries"]]) == ("done", [204])
        listed = (await by.elm.get(f"/webhooks/{hook['id']}/messages", limit=1)).json()
        assert (listed["messages"][0]["sequence"], listed["next_cursor"] is None) == (2, False)
        rest = (await by.elm.get(f"/webhooks/{hook['id']}/messages", cursor=listed["next_cursor"])).json()
        assert [one["sequence"] for one in rest["messages"]] == [1]
        assert (await by.elm.get(f"/webhooks/{narrow['id']}/messages")).json()["messages"] == []


async def test_a_day_of_errors_is_survived_and_duplicates_bear_one_id(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with hooked(sqlite_url, tmp_path) as by:
        number, hook = await by.at.order(), await by.hook()
        [name] = await by.tell(number)
        by.receiver.statuses = [500, 502, 503, 429, 400]
        clock, waited = by.at.bench.clock, 0
        for wait in RETRY_MS[:5]:
            assert await by.deliver() == 1
            clock.shift_ms += wait - 1_000
            assert await by.deliver() == 0  # not before its time
            clock.shift_ms += 1_000
            waited += wait
        assert (await by.deliver(), waited > 7 * 3_600_000) == (1, True)
        told = await by.message(hook, name)
        assert [one["status"] for one in told["tries"]] == [500, 502, 503, 429, 400, 204]
        assert (told["state"], {one.headers["webhook-id"] for one in by.receiver.got}) == ("done", {name})


def test_waits_follow_the_schedule_the_receiver_and_the_dice() -> None:
    def settled(attempt: int, retry_after_ms: int | None = None, jitter: int = 0) -> int:
        tried = SettleMessage(None, "m", "e", attempt, "failed", 503, 1, "", retry_after_ms, jitter)
        return wait_ms(tried)

    assert [settled(n) for n in range(1, 10)] == list(RETRY_MS)
    assert settled(1, 60_000) == 60_000
    assert settled(2, 60_000) == 300_000
    assert settled(1, 10**12) == DAY_MS
    assert settled(2, None, 200) == 360_000


async def test_after_the_last_try_it_is_dead_and_the_endpoint_rests(sqlite_url: str, tmp_path: Path) -> None:
    async with hooked(sqlite_url, tmp_path) as by:
        number, hook = await by.at.order(), await by.hook()
        [name] = await by.tell(number)
        by.receiver.statuses = [500] * 10
        for wait in (*RETRY_MS, 0):
            assert await by.deliver() == 1
            by.at.bench.clock.shift_ms += wait
        told, endpoint = await by.message(hook, name), (await by.elm.get(f"/webhooks/{hook['id']}")).json()
        assert (told["state"], len(told["tries"])) == ("dead", 10)
        assert (endpoint["status"], endpoint["why"]) == ("disabled", "undeliverable")
        [waiting] = await by.tell(number, "order.cancelled", "2")
        assert await by.deliver() == 0  # it waits, nothing is lost
        refused = await by.elm.post(f"/webhooks/{hook['id']}/messages/{name}/replay", {})
        assert refused.json()["code"] == "webhook_disabled"
        assert (await by.elm.post(f"/webhooks/{hook['id']}/enable", {})).json()["status"] == "active"
        assert (await by.deliver(), (await by.message(hook, waiting))["state"]) == (1, "done")
        again = (await by.elm.post(f"/webhooks/{hook['id']}/messages/{name}/replay", {}, KEY)).json()
        assert (again["state"], await by.deliver()) == ("waiting", 1)
        assert (await by.message(hook, name))["state"] == "done"
        repeated = await by.elm.post(f"/webhooks/{hook['id']}/messages/{name}/replay", {}, KEY)
        assert (repeated.headers["idempotency-replayed"], await by.deliver()) == ("true", 0)
        by.at.bench.clock.shift_ms += 31 * DAY_MS
        old = await by.elm.post(f"/webhooks/{hook['id']}/messages/{name}/replay", {})
        assert old.json()["code"] == "message_old"
        assert (await by.dispatch.forget(), await by.dispatch.forget()) == (2, 0)
        assert await by.at.bench.rows("SELECT count(*) FROM webhook_attempts") == [(0,)]


async def test_gone_is_gone_at_once(sqlite_url: str, tmp_path: Path) -> None:
    async with hooked(sqlite_url, tmp_path) as by:
        number, hook = await by.at.order(), await by.hook()
        await by.tell(number)
        by.receiver.statuses = [410]
        await by.deliver()
        endpoint = (await by.elm.get(f"/webhooks/{hook['id']}")).json()
        assert (endpoint["status"], endpoint["why"]) == ("disabled", "gone")


async def test_a_secret_is_rotated_with_an_overlap(sqlite_url: str, tmp_path: Path) -> None:
    async with hooked(sqlite_url, tmp_path) as by:
        number, hook = await by.at.order(), await by.hook()
        new = (await by.elm.post(f"/webhooks/{hook['id']}/rotate", {"keep_old_h": 24}, KEY)).json()
        again = (await by.elm.post(f"/webhooks/{hook['id']}/rotate", {"keep_old_h": 24}, KEY)).json()
        assert new["secret"] == again["secret"] != hook["secret"]
        assert (await by.elm.post(f"/webhooks/{hook['id']}/rotate", {"keep_old_h": 1}, KEY)).json()[
            "code"
        ] == "key_reused"
        await by.tell(number)
        await by.deliver()
        got = by.receiver.got[-1]
        assert len(got.headers["webhook-signature"].split(" ")) == 2
        for secret in (hook["secret"], new["secret"]):
            Webhook(secret).verify(got.body, got.headers)
        by.at.bench.clock.shift_ms += DAY_MS
        await by.tell(number, event="2")
        await by.deliver()
        assert len(by.receiver.got[-1].headers["webhook-signature"].split(" ")) == 1


async def test_endpoints_are_made_once_counted_and_kept_apart(sqlite_url: str, tmp_path: Path) -> None:
    async with hooked(sqlite_url, tmp_path) as by:
        body = {"url": by.receiver.url, "types": ["ping"]}
        first, again = await by.elm.post("/webhooks", body, KEY), await by.elm.post("/webhooks", body, KEY)
        assert (first.json(), again.status_code) == (again.json(), 201)
        assert (await by.elm.post("/webhooks", body | {"types": []}, KEY)).json()["code"] == "key_reused"
        for wrong in ({"url": "http://10.0.0.1/"}, {"url": "x"}, body | {"types": ["order.eaten"]}):
            refused = await by.elm.post("/webhooks", wrong)
            assert refused.status_code == 422, wrong
        practice = await by.at.developer(is_test=True)
        name = first.json()["id"]
        assert (await practice.get("/webhooks")).json()["webhooks"] == []
        for path in (f"/webhooks/{name}", f"/webhooks/{name}/messages"):
            assert (await practice.get(path)).json()["code"] == "unknown_webhook"
        for path in ("ping", "enable", "disable", "remove", "rotate"):
            assert (await practice.post(f"/webhooks/{name}/{path}", {})).json()["code"] == "unknown_webhook"
        ping = await by.elm.post(f"/webhooks/{name}/ping", None, KEY)
        assert (await by.elm.post(f"/webhooks/{name}/ping", None, KEY)).json()["id"] == ping.json()["id"]
        assert (await by.deliver(), by.receiver.told()[0]["type"]) == (1, "ping")
        for _ in range(4):
            assert (await by.elm.post("/webhooks", body)).status_code == 201
        assert (await by.elm.post("/webhooks", body)).json()["code"] == "too_many_webhooks"
        assert (await by.elm.post(f"/webhooks/{name}/remove", None)).json()["status"] == "removed"
        assert (await by.elm.get(f"/webhooks/{name}")).json()["code"] == "unknown_webhook"
        [(secret,)] = await by.at.bench.rows("SELECT secret FROM webhook_endpoints WHERE id = ?", name)
        assert secret == ""
        assert len((await by.elm.get("/webhooks")).json()["webhooks"]) == 4
        assert "secret" not in (await by.elm.get("/webhooks")).text.replace("old_secret_until_at", "")


async def test_a_slow_receiver_holds_up_no_other(sqlite_url: str, tmp_path: Path) -> None:
    async with hooked(sqlite_url, tmp_path) as by, receiving() as slow:
        slow.hang = True
        number = await by.at.order()
        await by.elm.post("/webhooks", {"url": slow.url})
        await by.hook()
        for event in range(8):
            await by.tell(number, event=str(event))
        while len(by.receiver.told()) < 8:
            await by.dispatch.turn()
            await asyncio.sleep(0.01)
        assert len(slow.got) == 4  # no more at once


async def test_what_becomes_payable_and_is_paid_is_told(sqlite_url: str, tmp_path: Path) -> None:
    from partners.core import after_commands as ac

    async with hooked(sqlite_url, tmp_path) as by:
        await by.hook()
        number = await by.at.order()
        await by.deliver()
        [asked] = by.receiver.told()  # in the transaction that submitted it, before any relay looks
        assert (asked["type"], asked["data"]["order"], asked["data"]["kind"]) == (
            "order.submitted",
            number,
            "standard",
        )
        await by.elm.post(f"/orders/{number}/answer", {"answer": "accept"})
        await by.deliver()
        [due] = by.receiver.told("payment.due")
        assert (due["data"]["order"], due["data"]["milestone"]) == (number, "accepted")
        order, half = parse_order_number(number), due["data"]["amount_minor"] // 2
        parts = (half, due["data"]["amount_minor"] - half)
        for place, amount in enumerate(parts):
            lines = (("planting", amount),)
            bill = ac.RecordInvoice(
                None, "partner:li", order, "accepted", f"7/{place}", lines, 0, "2027-01-31"
            )
            told = await by.at.bench.do(bill)
            await by.at.bench.do(
                ac.SettleInvoice(None, "li", order, told["invoice"], is_paid=place == 1, reason="no")
            )
        await by.deliver()
        told = sorted(by.receiver.told("payment."), key=lambda one: one["sequence"])
        types = [one["type"] for one in told]
        assert {one["data"]["milestone"] for one in told} == {"accepted"}
        assert types == ["payment.due", "payment.rejected", "payment.paid"]
        [first, second] = (await by.elm.get("/money")).json()["milestones"][0]["invoices"]
        assert (first["state"], second["state"], second["net_minor"]) == ("rejected", "paid", parts[1])
