"""A partner with developers, for the contract suite: it hears webhooks at a real address and calls the partner API.

What is queued is delivered after each call of the adapter, so that the partner's end is what the suite looks at. Beside
it stands an endpoint for earnest, which must never hear of the test orders that all this is played with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from engine.core.numbers import order_number
from partners.adapters.rest.config import RestPartner
from partners.adapters.rest.pulled import Told
from partners.core.api_commands import MakeWebhook
from partners.core.commands import OrderTest, RecordReport
from partners.core.model import PartnerReport
from partners.partner_api.hooks import new_secret, new_webhook_id
from partners.port import About, Adapter, Answer, Capabilities, Inbound, OrderSheet, order_sheet
from partners.registry import SIMULATOR_PARTNER, PartnerSettings, build_registry, rest_partners
from partners.webhooks.dispatch import Dispatch
from partners.webhooks.office import PartnerOffice
from partners.webhooks.outward import Outward
from tests.partners.bench import KEY, PROGRAMME
from tests.partners.parties import Party
from tests.partners.partner_api.receiver import Receiver, receiving
from tests.partners.partner_api.setting import PHOTO, Office, office

TREES = 10


class FaultyOffice(PartnerOffice):
    """The real one, with the faults of the way between the engine and its database."""

    fault = ""

    async def announce(self, partner: str, kind: str, order: int, event: str, data: dict[str, Any]) -> Told:
        fault, self.fault = self.fault, ""
        if fault == "slow":
            await asyncio.sleep(0.2)
        elif fault in ("before", "garbage"):
            return "unknown"
        elif fault == "error":
            return "away"
        elif fault == "hidden_error":
            return await super().announce("another-ngo", kind, order, event, data)
        told = await super().announce(partner, kind, order, event, data)
        return "unknown" if fault == "after" else told


class Delivering:
    """The adapter; what it has queued is delivered before a call returns."""

    def __init__(self, adapter: Adapter, dispatch: Dispatch) -> None:
        self._adapter, self._dispatch = adapter, dispatch

    @property
    def capabilities(self) -> Capabilities:
        return self._adapter.capabilities

    async def submit(self, sheet: OrderSheet, key: str) -> Answer:
        return await self._delivered(await self._adapter.submit(sheet, key))

    async def cancel(self, order: int, reason: str, key: str) -> Answer:
        return await self._delivered(await self._adapter.cancel(order, reason, key))

    async def remind(self, order: int, about: About, key: str) -> Answer:
        return await self._delivered(await self._adapter.remind(order, about, key))

    async def fetch_status(self, order: int) -> Answer:
        return await self._adapter.fetch_status(order)

    def parse_inbound(self, headers: Any, body: bytes, now_ms: int) -> Inbound:
        return self._adapter.parse_inbound(headers, body, now_ms)

    async def close(self) -> None:
        await self._adapter.close()

    async def _delivered(self, answer: Answer) -> Answer:
        while await self._dispatch.turn():
            await self._dispatch.idle()
        return answer


class PulledParty(Party):
    """Such a partner, with test orders of its own."""

    outcomes: ClassVar = {
        "before": "done",  # in the API it stands from the beginning; its event is queued by the repeat
        "after": "done",
        "error": "failed",
        "hidden_error": "refused",
        "garbage": "unknown",
    }
    echoes = False
    asked = "order kind season season_opens_at season_closes_at answer_by_at below_minimum lines"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faulty = FaultyOffice()
        self.stack = AsyncExitStack()
        self.receiver, self.in_earnest = Receiver(), Receiver()
        self.sheets: list[OrderSheet] = []
        super().__init__(build_registry(self._settings(self.faulty)), 0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        await self._begin()
        try:
            yield
        finally:
            await self.stack.aclose()
        assert self.in_earnest.got == []

    async def _begin(self) -> None:
        self.folder.joinpath("game.db").unlink(missing_ok=True)
        url = f"sqlite:///{self.folder}/game.db"
        partners = self._settings(self.faulty)
        self.at: Office = await self.stack.enter_async_context(office(url, self.folder, partners=partners))
        bench = self.at.bench
        self.faulty.open(bench.writer, bench.db)
        for _ in range(2):
            await bench.do(OrderTest(None, "li", SIMULATOR_PARTNER, "saxaul", PROGRAMME, TREES))
        queued = await bench.rows("SELECT payload FROM deliveries WHERE kind = 'submit'")
        self.sheets = [order_sheet(json.loads(payload)) for (payload,) in queued]
        for is_test in (True, False):
            receiver = await self.stack.enter_async_context(receiving())
            await bench.do(
                MakeWebhook(
                    None, "li", SIMULATOR_PARTNER, new_webhook_id(), receiver.url, (), is_test, new_secret()
                )
            )
            if is_test:
                self.receiver = receiver
            else:
                self.in_earnest = receiver
        dispatch = Dispatch(bench.writer, bench.db, Outward(allows_loopback=True, total_s=2.0))
        self.stack.push_async_callback(dispatch.stop)
        self.registry = bench.registry
        self.adapter = Delivering(next(iter(bench.registry.adapters.values())), dispatch)

    def sheet(self, quantity: int = TREES) -> OrderSheet:
        assert quantity == TREES
        return self.sheets.pop()

    def fault(self, kind: str) -> None:
        self.faulty.fault = kind

    def received(self, order: int) -> int:
        return len([one for one in self._told(order) if one["type"] == "order.submitted"])

    def fields_told(self, order: int) -> set[str]:
        [one] = self._told(order)
        return set(one["data"])

    def text_told(self, order: int) -> str:
        return str(self._told(order))

    async def story(self, sheet: OrderSheet) -> AsyncIterator[PartnerReport]:
        said: list[PartnerReport] = []
        carry_out = self.at.bench.writer.submit

        async def noting(command: Any) -> Any:
            if isinstance(command, RecordReport):
                said.append(command.report)
            return await carry_out(command)

        self.at.bench.writer.submit = noting  # type: ignore[method-assign]
        elm, path = await self.at.developer(is_test=True), f"/orders/{order_number(sheet.order)}"
        planting = {
            "report_no": "A",
            "trees": TREES,
            "planted_from_on": "2026-11-20",
            "planted_to_on": "2026-11-20",
        }
        report = {"plantings": [planting | {"photos": [{"sha256": PHOTO}]}]}
        for word, body in (("answer", {"answer": "accept"}), ("plantings", report | {"all_planted": True})):
            answer = await elm.post(f"{path}/{word}", body)
            assert answer.status_code == 200, answer.text
        for one in said:
            yield one

    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        if changes.get("nobody"):
            return self._settings(PartnerOffice())  # its database is away
        return self._settings(self.faulty, "another-ngo")  # whose order it is not

    def _settings(self, office: PartnerOffice, partner: str = SIMULATOR_PARTNER) -> list[PartnerSettings]:
        return rest_partners([RestPartner(partner, "", (KEY,), 1.0, {"is_live": True})], office)

    def _told(self, order: int) -> list[dict[str, Any]]:
        return [one for one in self.receiver.told() if one["data"]["order"] == order_number(order)]
