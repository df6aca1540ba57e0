"""The mailbox: whose mails are read, which are answered, and what becomes of forgeries, programs and bad days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.core.errors import Rejected
from engine.core.units import DAY_MS, HOUR_MS, local_day
from engine.writer import Outcome
from partners.adapters.files.codes import check_code, message_id
from partners.adapters.files.mailbox import AUTOMATIC, DONE, LETTERS, REFUSED, SENT
from partners.adapters.files.sheets import survival_file
from partners.checks import audit
from partners.core.commands import FollowUpOrder, ReviewOrder
from partners.intake import Came
from tests.partners.bench import KEY
from tests.partners.files.mailhost import DOMAIN, Faults, MailHost, mail_host
from tests.partners.files.office import Office, numbered, open_office, photo, planted
from tests.partners.files.setting import PARTNER, partner_files
from tests.partners.files.staff import Staff, attached, cells, filled, text_of
from tests.partners.parties import OTHER_KEY
from tests.partners.sheets.making import PLANTING_ROW, SURVIVAL, SURVIVAL_ROW, made, with_part
from tests.partners.watched import instant_on

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[MailHost]:
    with mail_host(tmp_path / "host", "orders", "ngo", "stranger") as running:
        yield running


@pytest_asyncio.fixture
async def office(host: MailHost, tmp_path: Path) -> AsyncIterator[Office]:
    path = partner_files(tmp_path, host, timeout_s=3.0)
    async with open_office(path, f"sqlite:///{tmp_path}/game.db", host) as opened:
        yield opened


@pytest.fixture
def ngo(host: MailHost) -> Staff:
    return Staff(host, "ngo")


def report_of(order: int, *rows: dict[str, object], **changes: object) -> bytes:
    """A planting report made from scratch, as one who knows number and code could."""
    base = PLANTING_ROW | {"order_no": numbered(order), "check": check_code(KEY, PARTNER, order)} | changes
    return made(rows=[base | row for row in rows])


async def test_strangers_and_forgers_get_no_answer_and_change_nothing(office: Office, ngo: Staff) -> None:
    order = await office.order()
    asked = await asyncio.to_thread(ngo.next_mail)
    [(name, content)] = attached(asked).items()
    sheet = {name: filled(content, {"accepted": 20})}
    Staff(office.host, "stranger").answer(asked, sheet)  # number, code and all
    ngo.answer(asked, sheet, From=f"li@{DOMAIN}")
    ngo.answer(asked, sheet, From=f"{ngo.address}, li@{DOMAIN}")
    await office.posted()
    assert (await office.facts(order)).state == "submitted"
    assert await office.counts("INBOX", REFUSED, SENT) == [0, 3, 1]
    assert Staff(office.host, "stranger").mails() == []
    assert len(ngo.mails()) == 1


async def test_a_partner_without_the_orders_code_is_told(office: Office, ngo: Staff) -> None:
    order = await office.order()
    reply = await office.answered(order, ngo)
    forged = report_of(order, {}, check="aaaaaaaaaaaaaaaaaaaa", planted=5)
    note = EmailMessage()
    note["From"], note["To"], note["Subject"], note["Message-ID"] = (
        ngo.address,
        str(reply["from"]),
        "表",
        "<2@x>",
    )
    note.add_attachment(forged, maintype="application", subtype="x", filename="r.xlsx")
    ngo.send(note)
    await office.posted()
    told = await asyncio.to_thread(ngo.next_mail)
    [marked] = attached(told).values()
    assert "校验码" in cells(marked)[0]["problems"]
    assert (await office.facts(order)).batches == {}


async def test_programs_are_never_answered(office: Office, ngo: Staff) -> None:
    order = await office.order()
    asked = await asyncio.to_thread(ngo.next_mail)
    [(name, content)] = attached(asked).items()
    sheet = {name: filled(content, {"accepted": 20})}
    for headers in ({"Auto_Submitted": "auto-replied"}, {"Precedence": "bulk"}, {"X_Autoreply": "yes"}):
        ngo.answer(asked, sheet, **headers)
    await office.posted()
    assert (await office.facts(order)).state == "submitted"
    assert await office.counts("INBOX", AUTOMATIC) == [0, 3]
    assert len(ngo.mails()) == 1


def bounce(host: MailHost, original: str, action: str) -> None:
    raw = (
        f"From: MAILER-DAEMON@{DOMAIN}\r\nTo: orders@{DOMAIN}\r\nSubject: undeliverable\r\nReturn-Path: <>\r\n"
        "Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
        "\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        f"Final-Recipient: rfc822; ngo@{DOMAIN}\r\nAction: {action}\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original}\r\n\r\n--b--\r\n"
    )
    host.deliver(f"orders@{DOMAIN}", raw.encode())


async def test_a_bounce_stops_the_order_unless_it_is_made_up(office: Office, ngo: Staff) -> None:
    order = await office.order()
    ours = message_id(KEY, PARTNER, "submit", order, 0, DOMAIN)
    assert str((await asyncio.to_thread(ngo.next_mail))["message-id"]) == ours
    bounce(office.host, ours.replace(f".{order}.", f".{order + 1}."), "failed")
    bounce(office.host, ours, "delayed")
    await office.posted()
    assert (await office.facts(order)).held == ""
    bounce(office.host, ours, "failed")
    await office.posted()
    assert (await office.facts(order)).held == "mail_bounced"
    assert await office.counts("INBOX", AUTOMATIC) == [0, 3]


async def test_where_a_trusted_server_is_named_mail_must_be_authentic(
    host: MailHost, tmp_path: Path, ngo: Staff
) -> None:
    path = partner_files(tmp_path, host, extra='trusted_server = "mx.mail.example"')
    async with open_office(path, f"sqlite:///{tmp_path}/game.db", host) as office:
        order = await office.order()
        asked = await asyncio.to_thread(ngo.next_mail)
        [(name, content)] = attached(asked).items()
        sheet = {name: filled(content, {"accepted": 20})}
        ngo.answer(asked, sheet, Authentication_Results="mx.evil.example; dmarc=pass")
        host.stamp = b"Authentication-Results: mx.mail.example; dmarc=fail header.from=mail.example\r\n"
        ngo.answer(asked, sheet, Authentication_Results="mx.mail.example; dmarc=pass")
        await office.posted()
        assert ((await office.facts(order)).state, await office.counts(REFUSED)) == ("submitted", [2])
        host.stamp = b"Authentication-Results: mx.mail.example; dmarc=pass header.from=mail.example\r\n"
        ngo.answer(asked, sheet)
        await office.posted()
        assert (await office.facts(order)).state == "accepted"


async def test_repeats_are_harmless_by_message_and_by_content(
    office: Office, ngo: Staff, host: MailHost
) -> None:
    order = await office.order()
    reply = await office.answered(order, ngo)
    [(name, content)] = attached(reply).items()
    report = {name: filled(content, planted(5))}
    ngo.answer(reply, report, photo("a"))
    await office.posted()
    once = await office.facts(order)
    assert "新报告" in text_of(await asyncio.to_thread(ngo.next_mail))
    done = (host.folder / "mail/orders/.Saxaul-Done").rglob("*")
    [raw] = [path.read_bytes() for path in done if path.is_file() and b"a.jpg" in path.read_bytes()]
    host.deliver(f"orders@{DOMAIN}", raw)  # the same mail again
    ngo.answer(reply, report, photo("a"))  # the same file in another mail
    await office.posted()
    replies = [text_of(mail) for mail in ngo.mails()[-2:]]
    assert all("没有变化" in text for text in replies)
    assert await office.facts(order) == once
    assert (once.state, once.reported) == ("in_planting", 5)


async def test_replies_are_limited_and_nothing_is_lost(host: MailHost, tmp_path: Path, ngo: Staff) -> None:
    path = partner_files(tmp_path, host, extra="replies_per_h = 2")
    async with open_office(path, f"sqlite:///{tmp_path}/game.db", host) as office:
        order = await office.order()
        asked = await asyncio.to_thread(ngo.next_mail)
        [(name, content)] = attached(asked).items()
        for accepted in (21, 22, 20):
            ngo.answer(asked, {name: filled(content, {"accepted": accepted})})
        await office.posted()
        assert (len(ngo.mails()), await office.counts("INBOX", DONE)) == (3, [1, 2])
        Staff(host, "stranger").answer(asked, {name: content})  # what waits holds up nobody behind it
        await office.posted()
        assert await office.counts("INBOX", REFUSED) == [1, 1]
        office.bench.clock.shift_ms += HOUR_MS
        await office.posted()
        assert (await office.facts(order)).state == "accepted"
        assert await office.counts("INBOX", DONE) == [0, 3]


async def test_a_reply_that_could_not_leave_is_made_again(office: Office, ngo: Staff, host: MailHost) -> None:
    order = await office.order()
    asked = await asyncio.to_thread(ngo.next_mail)
    [(name, content)] = attached(asked).items()
    ngo.answer(asked, {name: filled(content, {"accepted": 20})})
    host.faults = Faults(text="451 4.3.0 later")
    assert office.mail is not None
    await office.mail.run()
    assert ((await office.facts(order)).state, len(ngo.mails())) == ("accepted", 1)
    assert await office.counts("INBOX", DONE) == [1, 0]
    await office.posted()
    assert await office.counts("INBOX", DONE) == [0, 1]
    assert len(ngo.mails()) == 2


async def test_letters_wait_for_a_person_and_bad_files_are_answered(office: Office, ngo: Staff) -> None:
    await office.order()
    asked = await asyncio.to_thread(ngo.next_mail)
    ngo.answer(asked, {})
    await office.posted()
    assert (await office.counts("INBOX", LETTERS), len(ngo.mails())) == ([0, 1], 1)
    macros = with_part(made(), "xl/vbaProject.bin", b"x")
    ngo.answer(asked, {"a.xlsm": macros, "b.csv": b"", "c.xlsx": b"PK\x03\x04", "d.xls": b"hello"})
    await office.posted()
    told = text_of(await asyncio.to_thread(ngo.next_mail))
    assert "a.xlsm" in told
    assert "含有宏" in told
    assert "已损坏" in told


@pytest.mark.slow
async def test_a_mail_that_is_too_large_is_not_fetched_but_answered(
    host: MailHost, tmp_path: Path, ngo: Staff
) -> None:
    path = partner_files(tmp_path, host, timeout_s=60.0)  # the test's IMAP server takes long over such a mail
    async with open_office(path, f"sqlite:///{tmp_path}/game.db", host) as office:
        await office.order()
        asked = await asyncio.to_thread(ngo.next_mail)
        ngo.answer(asked, {"large.xlsx": b"\0" * (20 * 1024 * 1024)})
        await office.posted()
        assert "邮件过大" in text_of(await asyncio.to_thread(ngo.next_mail))


async def test_a_substituted_species_stops_the_order_for_a_person(office: Office, ngo: Staff) -> None:
    order = await office.order()
    reply = await office.answered(order, ngo)
    ngo.answer(reply, {"r.xlsx": report_of(order, {}, species="红柳", photos="a.jpg", planted=5)}, photo("a"))
    await office.posted()
    known = await office.facts(order)
    assert (known.held, known.batches) == ("answer_differs", {})
    assert "订单暂停" in text_of(await asyncio.to_thread(ngo.next_mail))


async def test_more_is_asked_for_and_comes(office: Office, ngo: Staff) -> None:
    order = await office.order()
    reply = await office.answered(order, ngo)
    [(name, content)] = attached(reply).items()
    ngo.answer(reply, {name: filled(content, planted(12, all_planted="是"))})
    await office.posted()
    told = await asyncio.to_thread(ngo.next_mail)
    assert "没有收到照片 a.jpg" in cells(next(iter(attached(told).values())))[0]["problems"]
    await office.bench.do(ReviewOrder(None, "operator:li", order, "needs_info", "请补一张照片"))
    await office.relayed()
    asked = await asyncio.to_thread(ngo.next_mail)
    assert "请补一张照片" in text_of(asked)
    ngo.answer(asked, {name: filled(content, planted(12))}, photo("late"))
    await office.posted()
    known = await office.facts(order)
    assert (known.state, known.batches["1"].evidence) == ("planted", 1)
    assert "已补登 1 张照片" in text_of(await asyncio.to_thread(ngo.next_mail))
    async with office.bench.db.snapshot() as view:
        assert [finding async for finding in audit(view)] == []


async def monitored(office: Office, ngo: Staff) -> int:
    """An order of twelve trees that is verified and whose counts are planned, seen from its first autumn."""
    order = await office.order()
    reply = await office.answered(order, ngo)
    [(name, content)] = attached(reply).items()
    ngo.answer(reply, {name: filled(content, planted(12, all_planted="是"))}, photo("a"))
    await office.posted()
    await office.bench.do(ReviewOrder(None, "operator:li", order, "verified"))
    await office.bench.do(FollowUpOrder(None, order))
    [(opens_on,)] = await office.bench.rows("SELECT min(opens_on) FROM audits")
    office.bench.clock.shift_ms += instant_on(opens_on) + DAY_MS - office.bench.clock.now_ms()
    return order


def counted(office: Office, alive: int, **changes: object) -> dict[str, object]:
    """A row of a survival report: a census on the day before the office's."""
    on = local_day(office.bench.clock.now_ms() - DAY_MS, "UTC")
    row = {"visit_date": on, "method": "全部清点", "planted_in_plot": 6, "alive": alive, "dead": 6 - alive}
    return row | {"plot_area_m2": 100, "surveyor": "李"} | changes


async def test_a_survival_report_becomes_the_count_of_its_batch(office: Office, ngo: Staff) -> None:
    order = await monitored(office, ngo)
    partner = office.config.partners[PARTNER]
    sheet = survival_file(partner, await office.facts(order))
    wrong = filled(sheet.content, counted(office, 5), counted(office, 7, dead=0))
    taken = await office.intake.take(Came(partner, sheet.name, wrong, "x"))
    codes = {(one.row, one.column, one.code) for one in taken.problems}
    assert codes == {(3, "", "count_incomplete"), (4, "alive", "more_than_planted")}
    assert (
        taken.returned is not None
        and await office.bench.rows("SELECT id FROM audits WHERE state = 'done'") == []
    )

    right = filled(sheet.content, counted(office, 5), counted(office, 6))
    taken = await office.intake.take(Came(partner, sheet.name, right, "y"))
    assert (taken.problems, taken.recorded_rows, [line.code for line in taken.lines]) == ([], 2, ["counted"])
    done = "SELECT n, alive, surveyor, is_conflicted, verdict, why FROM audits WHERE state = 'done'"
    [(n, alive, surveyor, is_conflicted, verdict, why)] = await office.bench.rows(done)
    assert (n, alive, surveyor, bool(is_conflicted)) == (12, 11, f"{PARTNER}/李", True)
    assert (verdict, why) == ("inconclusive", "conflict_of_interest")
    again = await office.intake.take(Came(partner, sheet.name, right, "z"))
    assert (again.problems, [line.code for line in again.lines]) == ([], ["counted_before"])
    assert len(await office.bench.rows(done)) == 1
    async with office.bench.db.snapshot() as view:
        assert [finding async for finding in audit(view)] == []


async def test_what_an_operator_hands_in_says_who_counted(office: Office, ngo: Staff) -> None:
    order = await monitored(office, ngo)
    partner = office.config.partners[PARTNER]
    sheet = survival_file(partner, await office.facts(order))
    rows = [counted(office, 6, surveyor="independent:institute/zhou") for _ in range(2)]
    taken = await office.intake.take(
        Came(partner, sheet.name, filled(sheet.content, *rows), "x", is_vouched=True)
    )
    assert taken.problems == []
    [row] = await office.bench.rows("SELECT surveyor, verdict, rate_bp FROM audits WHERE state = 'done'")
    assert row == ("independent:institute/zhou", "in_band", 10_000)


async def test_survival_rows_that_are_wrong_are_told_beside_them(office: Office, ngo: Staff) -> None:
    order = await monitored(office, ngo)
    partner = office.config.partners[PARTNER]
    sheet = survival_file(partner, await office.facts(order))
    mixed = filled(sheet.content, counted(office, 6), counted(office, 6, surveyor="王"))
    taken = await office.intake.take(Came(partner, sheet.name, mixed, "x"))
    assert {one.code for one in taken.problems} == {"count_differs", "count_incomplete"}
    few = filled(sheet.content, counted(office, 6))
    taken = await office.intake.take(Came(partner, sheet.name, few, "y"))
    assert [(one.column, one.code) for one in taken.problems] == [("planted_in_plot", "count_refused")]
    early = [counted(office, 6, visit_date=date(2020, 1, 1)) for _ in range(2)]
    taken = await office.intake.take(Came(partner, sheet.name, filled(sheet.content, *early), "z"))
    assert {(one.column, one.code) for one in taken.problems} == {("visit_date", "count_refused")}
    others = [
        {"batch_no": f"{numbered(order)}/9"},
        {"batch_no": f"{numbered(order)}/1"},
        {"batch_no": "SX-000042-4"},
    ]
    forged = made(SURVIVAL, rows=[SURVIVAL_ROW | one for one in others])
    taken = await office.intake.take(Came(partner, "s.xlsx", forged, "y"))
    assert [one.code for one in taken.problems] == ["unknown_batch", "wrong_check", "unknown_batch"]
    assert await office.bench.rows("SELECT id FROM audits WHERE state = 'done'") == []


async def test_an_unknown_send_is_found_in_our_own_mailbox(
    office: Office, ngo: Staff, host: MailHost
) -> None:
    host.faults = Faults(hang="after")
    order = await office.order()
    rows = await office.bench.rows("SELECT state FROM deliveries")
    assert rows == [("unknown",)]
    await office.posted()  # its copy is put away meanwhile, and the key is changed
    adapter: Any = office.bench.registry.adapters[PARTNER]
    adapter._partner = adapter._partner.model_copy(update={"keys": (OTHER_KEY, KEY)})
    office.bench.clock.shift_ms += HOUR_MS
    await office.relayed()
    assert await office.bench.rows("SELECT state, answer FROM deliveries") == [
        ("done", "its copy is in our mailbox")
    ]
    assert len(ngo.mails()) == 1
    assert (await office.facts(order)).held == ""


async def test_while_the_engine_is_busy_mail_waits(office: Office, ngo: Staff) -> None:
    order = await office.order()
    asked = await asyncio.to_thread(ngo.next_mail)
    await office.posted()  # our own copy is out of the way
    [(name, content)] = attached(asked).items()
    ngo.answer(asked, {name: filled(content, {"accepted": 20})})

    async def busy(commands: Sequence[object]) -> list[Outcome]:
        return [Outcome(None, Rejected("overloaded")) for _ in commands]

    assert office.mail is not None
    submit_all, office.intake._submit_all = office.intake._submit_all, busy
    for _ in range(5):
        await office.posted()
    assert await office.counts("INBOX", REFUSED) == [1, 0]
    assert len(ngo.mails()) == 1
    office.intake._submit_all = submit_all
    await office.posted()
    assert (await office.facts(order)).state == "accepted"


async def test_a_partner_who_works_with_csv_in_english(host: MailHost, tmp_path: Path, ngo: Staff) -> None:
    path = partner_files(tmp_path, host, form='"csv"', language='"en"')
    async with open_office(path, f"sqlite:///{tmp_path}/game.db", host) as office:
        order = await office.order()
        asked = await asyncio.to_thread(ngo.next_mail)
        assert "please plant 20 trees of saxaul" in text_of(asked)
        [(name, content)] = attached(asked, ".csv").items()
        text = content.decode("utf-8-sig")
        row = text.splitlines()[2]
        code = check_code(KEY, PARTNER, order)
        answered = text.replace(row, row.replace(f",,,{code}", f",21,few seedlings,{code}")).replace(",", ";")
        ngo.answer(asked, {name: answered.replace("7.38", "7,38").encode("cp1252")})
        await office.posted()
        told = await asyncio.to_thread(ngo.next_mail)
        [(name, marked)] = attached(told, ".csv").items()
        assert "21 accepted are more than the 20 ordered" in marked.decode("utf-8-sig")
        ngo.answer(told, {name: marked.replace(b";21;", b";12;")})
        await office.posted()
        known = await office.facts(order)
        assert (known.state, known.accepted, known.held) == ("accepted", 12, "")
        assert list(attached(await asyncio.to_thread(ngo.next_mail), ".csv")) == [
            f"{numbered(order)}-planting-report.csv"
        ]
