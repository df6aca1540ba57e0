"""The partners that the contract suite talks to: each with its adapter, its real other end, and faults on demand.

A party hides how its partner is reached, so that the suite says only what holds for every adapter.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx

from engine.clock import Clock
from engine.core.errors import Rejected
from engine.core.numbers import order_number
from engine.core.units import DAY_MS
from engine.domain import GAME
from engine.in_force import FixedRules
from engine.store.opening import open_database
from engine.writer import Writer
from partners.adapters.files.codes import is_check_code
from partners.adapters.files.config import FilesPartner, read_config
from partners.adapters.files.judging import IsCode, OrderFacts, judge_answers, judge_plantings
from partners.adapters.files.mailbox import DONE, SENT, Mailbox
from partners.adapters.files.names import Names, names_of
from partners.adapters.files.received import open_mail
from partners.adapters.files.sheets import planting_file
from partners.adapters.portal.adapter import PortalAdapter, PortalList
from partners.adapters.portal.config import PortalPartner
from partners.adapters.rest.config import SERVER_CHANGES, RestPartner
from partners.core.model import PartnerReport
from partners.domain import partners_domain
from partners.port import Adapter, OrderSheet
from partners.portal.desk import open_lists
from partners.portal.pages import text
from partners.portal_domain import PORTAL
from partners.registry import (
    SIMULATOR_PARTNER,
    PartnerSettings,
    Registry,
    build_registry,
    file_partners,
    portal_partners,
    rest_partners,
)
from partners.sheets.kinds import ORDER, PLANTING
from partners.sheets.reading import read_table, table_of
from partners.sheets.rows import typed_rows
from partners.signing import sign
from partners.webhooks.office import PartnerOffice
from tests.partners.bench import KEY, RULES, Audience, Ngo, free_port, simulated_ngo
from tests.partners.files.mailhost import Faults, MailHost, mail_host
from tests.partners.files.setting import partner_files
from tests.partners.files.staff import Staff, attached, filled, jpeg, text_of

NOW = 1_795_392_000_000
OTHER_KEY = "whsec_" + "b3RoZXIta2V5LW90aGVyLWtleS1vdGhlci1rZXkhIQ=="


class Party(ABC):
    """A partner and the adapter that reaches it. `outcomes`: what each kind of fault must come to."""

    outcomes: ClassVar[dict[str, str]]
    asked: str
    """The fields of an order at the partner's end."""

    echoes = True
    """Whether the partner's own answer names the order at once."""

    def __init__(self, registry: Registry, first_order: int) -> None:
        self.registry = registry
        self.adapter: Adapter = next(iter(registry.adapters.values()))
        self.orders = first_order

    def sheet(self, quantity: int = 10) -> OrderSheet:
        """An order that the partner has never had."""
        self.orders += 1
        return OrderSheet(
            order=self.orders,
            programme="saxaul-alxa",
            season="2027-spring",
            season_opens_at=NOW,
            season_closes_at=NOW + 60 * DAY_MS,
            answer_by_at=NOW + 14 * DAY_MS,
            below_minimum=False,
            species="saxaul",
            site="saxaul-alxa",
            quantity=quantity,
            unit_price_minor=738,
            currency="CNY",
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While the block runs, what the partner's end needs of the test's event loop is there."""
        try:
            yield
        finally:
            await self.registry.close()

    @abstractmethod
    def fault(self, kind: str) -> None:
        """Let the next request meet a fault: before, after (timeouts), error, hidden_error, garbage or slow."""

    @abstractmethod
    def received(self, order: int) -> int:
        """How often the partner has got the order."""

    @abstractmethod
    def fields_told(self, order: int) -> set[str]:
        """What an order consists of at the partner's end."""

    @abstractmethod
    def text_told(self, order: int) -> str:
        """All text that the partner has about the order."""

    @abstractmethod
    def story(self, sheet: OrderSheet) -> AsyncIterator[PartnerReport]:
        """The order from its arrival to its planting, as the adapter's side hears of it."""

    @abstractmethod
    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        """The same partner, reached wrongly: `nobody` (a dead address) or `key` (a key or password that is wrong)."""


def judged_alone(
    table: Any, facts: OrderFacts, photos: dict[str, str], names: Names, is_code: IsCode
) -> PartnerReport:
    """The one report that the rows of a table come to."""
    rows: Any = typed_rows(table)
    known = {facts.id: facts}
    if table.kind.id == "order":
        judged = judge_answers(rows, known, is_code, names, NOW)
    else:
        today = datetime.now(UTC).date()
        judged = judge_plantings(rows, known, is_code, names, photos, today, NOW, lambda order: False)
    assert judged.problems == table.problems == []
    [(report, _)] = judged.reports
    return report


class SimulatorParty(Party):
    """The simulated NGO over HTTP."""

    outcomes: ClassVar = {
        "before": "absent",
        "after": "done",
        "error": "unknown",
        "hidden_error": "refused",
        "garbage": "unknown",
    }
    asked = (
        "reference species site trees unit_price_minor currency season season_opens_at season_closes_at answer_by"
        " below_minimum"
    )

    def __init__(self, ngo: Ngo, changes: dict[str, Any]) -> None:
        self.ngo = ngo
        ngo.faults()
        super().__init__(build_registry([ngo.settings(**changes)]), 1000 * len(ngo.calls()) + 100)

    def fault(self, kind: str) -> None:
        wishes = {
            "before": {"timeout": "before"},
            "after": {"timeout": "after"},
            "error": {"errors": 1},
            "hidden_error": {"hidden_errors": 1},
            "garbage": {"wrong": "garbage"},
            "slow": {"slow_s": 0.2},
        }
        self.ngo.faults(**wishes[kind])

    def received(self, order: int) -> int:
        return len([one for one in self.ngo.orders() if one["reference"] == order_number(order)])

    def fields_told(self, order: int) -> set[str]:
        [one] = [one for one in self.ngo.orders() if one["reference"] == order_number(order)]
        return set(one["request"])

    def text_told(self, order: int) -> str:
        return str([one for one in self.ngo.orders() if one["reference"] == order_number(order)])

    async def story(self, sheet: OrderSheet) -> AsyncIterator[PartnerReport]:
        for _ in range(100):
            answer = await self.adapter.fetch_status(sheet.order)
            assert answer.report is not None
            yield answer.report
            if answer.report.state == "planted":
                return
            await asyncio.sleep(0.01)

    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        if changes.get("nobody"):
            return [replace(self.ngo.settings(), address=f"http://127.0.0.1:{free_port()}")]
        return [replace(self.ngo.settings(), keys=(OTHER_KEY,))]

    def read(self, order: int) -> Any:
        """How the partner itself shows an order."""
        path = f"/orders/{order_number(order)}"
        with httpx.Client(base_url=self.ngo.address, trust_env=False) as client:
            return client.get(path, headers=self._opened(path)).json()

    def _opened(self, path: str) -> dict[str, str]:
        return {"authorization": f"Bearer {KEY}"}


class ServerParty(SimulatorParty):
    """A partner with a server of our own protocol, which takes signed requests alone."""

    asked = f"{SimulatorParty.asked} kind"

    def __init__(self, ngo: Ngo) -> None:
        super().__init__(ngo, {})
        self.registry = build_registry(self._settings(ngo.address, KEY))
        self.adapter = next(iter(self.registry.adapters.values()))

    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        if changes.get("nobody"):
            return self._settings(f"http://127.0.0.1:{free_port()}", KEY)
        return self._settings(self.ngo.address, OTHER_KEY)

    def _settings(self, address: str, key: str) -> list[PartnerSettings]:
        told = RestPartner(SIMULATOR_PARTNER, address, (key,), 0.5, {"is_live": False, **SERVER_CHANGES})
        return rest_partners([told], PartnerOffice())

    def _opened(self, path: str) -> dict[str, str]:
        return sign(KEY, f"GET:{path}:1", time.time_ns() // 1_000_000, b"")


class FilesParty(Party):
    """An NGO's staff with a mailbox, over SMTP and IMAP."""

    # an SMTP error is a definite no, unlike an HTTP 500; what it refuses in the end it refuses for good
    outcomes: ClassVar = {
        "before": "absent",
        "after": "done",
        "error": "failed",
        "hidden_error": "refused",
        "garbage": "unknown",
    }
    echoes = False
    asked = (
        "order_no line_no site species species_local quantity season unit_price currency answer_by accepted reason"
        " check"
    )

    def __init__(self, host: MailHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        host.faults = Faults()
        self.path = partner_files(folder, host, timeout_s=2.0)
        self.config = read_config(self.path)
        self.partner: FilesPartner = next(iter(self.config.partners.values()))
        self.staff = Staff(host, "ngo")
        self.names = names_of(RULES)
        registry = build_registry(file_partners(self.config, lambda: self.names))
        super().__init__(registry, 1000 * len(host.transactions) + 100)

    def fault(self, kind: str) -> None:
        wishes = {
            "before": {"hang": "before"},
            "after": {"hang": "after"},
            "error": {"text": "451 4.3.0 try again later"},
            "hidden_error": {"text": "554 5.7.1 not wanted"},
            "garbage": {"text": "what?"},
            "slow": {"slow_s": 0.2},
        }
        self.host.faults = Faults(**wishes[kind])

    def received(self, order: int) -> int:
        return len(self._mails(order))

    def fields_told(self, order: int) -> set[str]:
        [mail] = self._mails(order)
        [content] = attached(mail).values()
        return set(read_table(filled(content, {"accepted": 1}), "zh").places)

    def text_told(self, order: int) -> str:
        return "\n".join(f"{mail['subject']}\n{text_of(mail)}" for mail in self._mails(order))

    async def story(self, sheet: OrderSheet) -> AsyncIterator[PartnerReport]:
        facts = OrderFacts(
            sheet.order, "submitted", "", sheet.species, sheet.site, 738, "CNY", 5, sheet.quantity, 0, 0
        )
        [asked] = self._mails(sheet.order)
        [(name, content)] = attached(asked).items()
        self.staff.answer(asked, {name: filled(content, {"accepted": sheet.quantity})})
        yield await self._heard(facts)
        facts = replace(facts, state="accepted", accepted=sheet.quantity)
        file = planting_file(self.partner, [facts], self.names)
        today = datetime.now(UTC).date()
        row = {
            "date_from": today,
            "date_to": today,
            "planted": sheet.quantity,
            "photos": "1.jpg",
            "all_planted": "是",
        }
        photos = {"1.jpg": jpeg(f"photo of {sheet.order}")}
        self.staff.answer(asked, {file.name: filled(file.content, row)}, photos)
        yield await self._heard(facts)

    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        other = self.folder / "other"
        other.mkdir(exist_ok=True)
        port = free_port() if changes.get("nobody") else self.host.smtp_port
        host = replace(self.host, smtp_port=port)
        config = read_config(partner_files(other, host, timeout_s=2.0))
        if changes.get("key"):
            (other / "password").write_text("wrong")
            config = read_config(other / "partners.toml")
        return file_partners(config, lambda: self.names)

    def _mails(self, order: int) -> list[Any]:
        return [mail for mail in self.staff.mails() if order_number(order) in str(mail["subject"])]

    async def _heard(self, facts: OrderFacts) -> PartnerReport:
        """What the newest mail in our mailbox says; it is put away, and so are copies of our own."""
        assert self.config.mail is not None
        mailbox = Mailbox(self.config.mail)
        reports: list[PartnerReport] = []
        for waiting in await mailbox.waiting():
            mail = open_mail(await mailbox.fetch(waiting) or b"")
            assert mail is not None
            await mailbox.put_away(waiting.uid, SENT if mail.automatic else DONE)
            tables = () if mail.automatic else mail.tables
            reports += [self._understood(read_table(one.content, "zh"), facts, mail.photos) for one in tables]
        [report] = reports
        return report

    def _understood(self, table: Any, facts: OrderFacts, photos: dict[str, str]) -> PartnerReport:
        return judged_alone(table, facts, photos, self.names, self._is_code)

    def _is_code(self, order: int, code: str) -> bool:
        return is_check_code([KEY], self.partner.id, order, code)


class PortalParty(Party):
    """An NGO's staff before the pages: their list is a table, laid down by a real writer on a real database."""

    outcomes: ClassVar = {
        "before": "absent",
        "after": "done",
        "error": "failed",
        "hidden_error": "refused",
        "garbage": "unknown",
    }
    echoes = False
    asked = (
        "order programme season season_opens_at season_closes_at answer_by_at below_minimum species site quantity"
        " unit_price_minor currency replaces kind agreement lines"
    )
    PARTNER = "alxa-green"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.next_fault = ""
        self.names = names_of(RULES)
        partners = {self.PARTNER: PortalPartner(id=self.PARTNER).model_copy(update={"keys": (KEY,)})}
        self.partners = partners
        self.lists = PortalList(frozenset(partners))
        [(count,)] = self._rows("SELECT count(*) FROM portal_orders")
        super().__init__(build_registry(portal_partners(partners, self.lists)), 1000 * count + 100)
        assert isinstance(self.adapter, PortalAdapter)
        self.adapter._timeout_s = 1.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        db = await open_database(f"sqlite:///{self.path}")
        domains = (GAME, partners_domain(self.registry.terms.values()), PORTAL)
        writer = Writer(db, domains, FixedRules(lambda: RULES), Audience(), Clock())
        writer.start()
        open_lists(self.lists, writer, db)
        own = self.lists._submit
        assert own is not None

        async def submit(command: Any) -> Mapping[str, Any]:
            return await self._met(command, own)

        assert self.lists._has is not None
        self.lists.open(submit, self.lists._has)
        try:
            yield
        finally:
            await self.registry.close()
            await writer.stop()
            await db.close()

    async def _met(
        self, command: Any, own: Callable[[Any], Awaitable[Mapping[str, Any]]]
    ) -> Mapping[str, Any]:
        """The command with the fault that is on: what a database or a full queue does to it."""
        fault, self.next_fault = self.next_fault, ""
        if fault == "before":
            await asyncio.sleep(60)
        if fault == "error":
            raise Rejected("overloaded")
        if fault == "hidden_error":
            raise Rejected("unknown_partner")
        if fault == "slow":
            await asyncio.sleep(0.25)
        reply = await own(command)
        if fault == "after":
            await asyncio.sleep(60)
        return {} if fault == "garbage" else reply

    def fault(self, kind: str) -> None:
        self.next_fault = kind

    def received(self, order: int) -> int:
        return len(self._rows("SELECT id FROM portal_orders WHERE id = ?", order))

    def fields_told(self, order: int) -> set[str]:
        [(sheet,)] = self._rows("SELECT sheet FROM portal_orders WHERE id = ?", order)
        return set(json.loads(sheet))

    def text_told(self, order: int) -> str:
        told = self._rows("SELECT kind, text, trees FROM portal_notices WHERE order_id = ?", order)
        return "\n".join(
            " · ".join((text("history.notice." + kind, one, trees=trees), said))
            for kind, said, trees in told
            for one in ("zh", "en")
        )

    async def story(self, sheet: OrderSheet) -> AsyncIterator[PartnerReport]:
        facts = OrderFacts(
            sheet.order, "submitted", "", sheet.species, sheet.site, 738, "CNY", 5, sheet.quantity, 0, 0
        )
        common: dict[str, Any] = {"order_no": order_number(sheet.order), "line_no": 1}
        yield self._understood(table_of(ORDER, "zh", [common | {"accepted": str(sheet.quantity)}]), facts, {})
        today = datetime.now(UTC).date().isoformat()
        row = {"report_no": "1", "date_from": today, "date_to": today, "planted": str(sheet.quantity)}
        row |= {"photos": "a.jpg", "all_planted": "yes"}
        facts = replace(facts, state="accepted", accepted=sheet.quantity)
        yield self._understood(table_of(PLANTING, "zh", [common | row]), facts, {"a.jpg": "0" * 64})

    def elsewhere(self, **changes: Any) -> list[PartnerSettings]:
        """A portal that is not open, or one in which the partner has no list (what a wrong key is elsewhere)."""
        if changes.get("nobody"):
            return portal_partners(self.partners, PortalList(frozenset(self.partners)))
        return portal_partners(self.partners, PortalList(frozenset()))

    def _rows(self, sql: str, *params: int) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as db:
            return db.execute(sql, params).fetchall()

    def _understood(self, table: Any, facts: OrderFacts, photos: dict[str, str]) -> PartnerReport:
        return judged_alone(table, facts, photos, self.names, lambda order, code: True)


@contextmanager
def simulator(folder: Path, *options: str) -> Iterator[Ngo]:
    """The simulated NGO's process."""
    with simulated_ngo(folder, *options) as ngo:
        yield ngo


@contextmanager
def post(folder: Path) -> Iterator[tuple[MailHost, Path]]:
    """A mail host and a folder for the operator's files."""
    with mail_host(folder / "host", "orders", "ngo") as host:
        yield host, folder
