"""Practice with test keys: the same behaviour as in earnest, nothing that counts, and no clock to wait for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.core.numbers import parse_order_number
from partners.adapters.rest.config import RestPartner
from partners.registry import SIMULATOR_PARTNER, rest_partners
from partners.webhooks.dispatch import Dispatch
from partners.webhooks.office import PartnerOffice
from partners.webhooks.outward import Outward
from tests.partners.partner_api.receiver import Receiver, receiving
from tests.partners.partner_api.setting import PHOTO, Developer, Office, office

KEY = "0192f0c1-0000-7000-8000-00000000000a"
PLANTING = {
    "report_no": "A",
    "trees": 10,
    "planted_from_on": "2026-11-20",
    "planted_to_on": "2026-11-20",
    "photos": [{"sha256": PHOTO}],
}


class Practice:
    """A partner of real trees who calls the partner API, with a test key and a live one."""

    def __init__(
        self, at: Office, elm: Developer, live: Developer, heard: Receiver, hears_live: Receiver
    ) -> None:
        self.at, self.elm, self.live, self.heard, self.hears_live = at, elm, live, heard, hears_live
        self.dispatch = Dispatch(at.bench.writer, at.bench.db, Outward(allows_loopback=True, total_s=2.0))

    async def work(self) -> None:
        """What the relay and the webhooks' job do."""
        relay = self.at.bench.relay()
        while await relay.turn() or await self.dispatch.turn():
            await relay.idle()
            await self.dispatch.idle()

    async def happen(self, number: str, kind: str, **more: Any) -> Any:
        return await self.elm.post(f"/sandbox/orders/{number}/events", {"type": kind} | more)


@asynccontextmanager
async def practice(url: str, folder: Path) -> AsyncIterator[Practice]:
    ours = PartnerOffice()
    partners = rest_partners(
        [RestPartner(SIMULATOR_PARTNER, "", (), 1.0, {"is_live": True, "pushes": False})], ours
    )
    async with (
        office(url, folder, allows_loopback=True, partners=partners) as at,
        receiving() as heard,
        receiving() as hears_live,
    ):
        ours.open(at.bench.writer, at.bench.db)
        elm, live = await at.developer(is_test=True), await at.developer()
        await elm.post("/webhooks", {"url": heard.url})
        await live.post("/webhooks", {"url": hears_live.url})
        made = Practice(at, elm, live, heard, hears_live)
        try:
            yield made
        finally:
            await made.dispatch.stop()


async def test_a_whole_order_for_practice(database_url: str, tmp_path: Path) -> None:
    async with practice(database_url, tmp_path) as by:
        made = await by.elm.post("/sandbox/orders", {"trees": 10}, KEY)
        again = await by.elm.post("/sandbox/orders", {"trees": 10}, KEY)
        number = made.json()["number"]
        assert (made.status_code, again.json()["number"], again.headers["idempotency-replayed"]) == (
            201,
            number,
            "true",
        )
        assert (await by.elm.post("/sandbox/orders", {"trees": 9}, KEY)).json()["code"] == "key_reused"
        await by.work()
        assert (await by.happen(number, "order.submitted")).status_code == 200
        reminding = f"/sandbox/orders/{number}/events"
        for replayed in (None, "true"):
            reminded = await by.elm.post(reminding, {"type": "order.reminder"}, KEY[::-1])
            assert (reminded.status_code, reminded.headers.get("idempotency-replayed")) == (200, replayed)
        assert (await by.elm.post(reminding, {"type": "ping"}, KEY[::-1])).json()["code"] == "key_reused"
        for kind in ("payment.due", "payment.paid", "payment.rejected", "ping"):
            assert (await by.happen(number, kind)).status_code == 200
        assert (await by.happen(number, "review.verified")).json()["code"] == "not_planted"
        await by.elm.post(f"/orders/{number}/answer", {"answer": "accept"})
        await by.elm.post(f"/orders/{number}/plantings", {"plantings": [PLANTING], "all_planted": True})
        asked = (await by.happen(number, "review.needs_info", note="the northern edge")).json()
        assert (asked["state"], asked["needs_info"]) == ("needs_info", "the northern edge")
        await by.work()
        more = {"plantings": [{"report_no": "A", "photos": [{"sha256": "ef" * 32}]}]}
        assert (await by.elm.post(f"/orders/{number}/information", more)).json()["state"] == "planted"
        verified = (await by.happen(number, "review.verified")).json()
        assert verified["lines"][0]["verified"] == 10
        await by.work()
        told = [one["type"] for one in sorted(by.heard.told(), key=lambda one: one["sequence"])]
        assert told == [
            *("order.submitted", "order.submitted", "order.reminder"),
            *("payment.due", "payment.paid", "payment.rejected", "ping"),
            *("review.needs_info", "review.verified"),
        ]
        second = (await by.elm.post("/sandbox/orders", {"trees": 3})).json()["number"]
        assert (await by.happen(second, "order.cancelled")).json()["state"] == "cancelled"
        # nothing of it counts, and nobody hears of it in earnest
        assert by.hears_live.got == []
        assert (await by.live.get("/orders")).json()["orders"] == []
        assert (await by.elm.get("/money")).json()["milestones"] == []
        assert await by.at.bench.rows("SELECT count(*) FROM tree_units") == [(0,)]
        assert await by.at.bench.rows("SELECT count(*) FROM milestones") == [(0,)]
        assert await by.at.bench.rows("SELECT count(*) FROM claims") == [(0,)]


async def test_earnest_and_practice_never_meet(sqlite_url: str, tmp_path: Path) -> None:
    async with practice(sqlite_url, tmp_path) as by:
        number = await by.at.order(2)
        await by.work()
        assert [one["data"]["order"] for one in by.hears_live.told("order.submitted")] == [number]
        assert by.heard.got == []
        assert (await by.live.post("/sandbox/orders", {})).json()["code"] == "forbidden"
        assert (await by.happen(number, "order.cancelled")).json()["code"] == "unknown_order"
        test = (await by.elm.post("/sandbox/orders", {})).json()["number"]
        events = {"type": "order.cancelled"}
        assert (await by.live.post(f"/sandbox/orders/{test}/events", events)).json()["code"] == "forbidden"
        assert (await by.live.get(f"/orders/{test}")).json()["code"] == "unknown_order"


async def test_reminders_that_come_twice_are_two(sqlite_url: str, tmp_path: Path) -> None:
    from partners.jobs import follow_up

    async with practice(sqlite_url, tmp_path) as by:
        await by.at.order(1)
        await by.work()
        for day in (3, 4):
            by.at.bench.clock.shift_ms += day * 86_400_000
            await follow_up(by.at.bench.writer, by.at.bench.db)
            await by.work()
        assert len(by.hears_live.told("order.reminder")) == 2


async def test_a_test_order_is_limited_and_priced(sqlite_url: str, tmp_path: Path) -> None:
    async with practice(sqlite_url, tmp_path) as by:
        for body, code in (
            ({"species": "pine"}, "no_price"),
            ({"site": "nowhere"}, "no_price"),
            ({"trees": 0}, "invalid"),
            ({"trees": 5001}, "invalid"),
        ):
            assert (await by.elm.post("/sandbox/orders", body)).json()["code"] == code
        keys = [f"{KEY[:-2]}{place:02}" for place in range(20)]
        for key in keys:
            made = await by.elm.post("/sandbox/orders", {"trees": 1}, key)
            assert made.status_code == 201
        assert (await by.elm.post("/sandbox/orders", {"trees": 1})).json()["code"] == "too_many_test_orders"
        assert (await by.elm.post("/sandbox/orders", {"trees": 1}, keys[0])).status_code == 201  # made before
        order = parse_order_number(made.json()["number"])
        assert await by.at.bench.rows("SELECT kind FROM partner_orders WHERE id = ?", order) == [("test",)]
