"""The first proof: an NGO receives an order sheet, accepts part of it, reports planting with one wrong row, corrects
that row, and sees the order planted and reviewed, all by mail and spreadsheet.

Real `saxaul serve`, real SMTP and IMAP servers; the NGO is a script that reads mail, edits XLSX and sends mail.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.reading import reading
from engine.rulebook import load_rulebook
from partners.checks import audit
from partners.onboarding.simulated import onboard_simulator
from tests.conftest import StartServer
from tests.laws.rules import PROGRAMME, bent_rules
from tests.partners.bench import open_bench
from tests.partners.files.mailhost import mail_host
from tests.partners.files.setting import PARTNER, partner_files
from tests.partners.files.staff import Staff, attached, cells, filled, jpeg, text_of
from tests.support.server import Server

TREES = 20
ACCEPTED = 12


def rules_of_the_partner(folder: Path) -> Path:
    rules = bent_rules(folder, tree_g=50, order_min_trees=TREES)
    programme = rules / "programmes" / f"{PROGRAMME}.yaml"
    text = programme.read_text("utf-8")
    assert text.count("partner: simulator-ngo") == 1
    programme.write_text(text.replace("partner: simulator-ngo", f"partner: {PARTNER}"), "utf-8")
    return rules


async def order_of(server: Server, number: str) -> dict[str, Any]:
    return (await server.cli("orders", "show", number, "--json")).check().json


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_an_order_is_planted_and_reviewed_by_mail_and_spreadsheet(
    start_server: StartServer, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path}/game.db"
    rules = rules_of_the_partner(tmp_path)
    async with open_bench(database, has_records=False) as bench:
        trees = await bench.trees(TREES)
        await onboard_simulator(bench.db, bench.writer, load_rulebook(rules), PARTNER, is_hasty=False)
    with mail_host(tmp_path / "host", "orders", "ngo") as host:
        settings = {"partner_files": partner_files(tmp_path, host), "orders_s": 0.5}
        server = await start_server(database_url=database, game_rules=rules, **settings)
        ngo = Staff(host, "ngo")

        # the order sheet arrives, says what to do and by when, in the partner's language
        asked = await asyncio.to_thread(ngo.next_mail)
        number = re.search(r"PO-\d+-\w", str(asked["subject"]))[0]
        assert "请您种植 20 株梭梭" in text_of(asked)
        [(name, sheet)] = attached(asked).items()
        [row] = cells(sheet)
        assert (row["order_no"], row["quantity"], row["species"]) == (number, TREES, "Haloxylon ammodendron")
        assert (row["accepted"], row["unit_price"], row["currency"]) == (None, 7.38, "CNY")

        # it accepts part of it; the rest goes back to the pool
        ngo.answer(asked, {name: filled(sheet, {"accepted": ACCEPTED, "reason": "苗木不足"})})
        confirmed = await asyncio.to_thread(ngo.next_mail)
        assert "已登记接受 12 株" in text_of(confirmed)
        assert confirmed["in-reply-to"] and confirmed["auto-submitted"] == "auto-replied"
        order = await order_of(server, number)
        assert (order["state"], order["lines"][0]["accepted"]) == ("accepted", ACCEPTED)

        # it reports three plantings, of which the second has a date that could be two days
        [(name, report)] = attached(confirmed).items()
        today = datetime.now(UTC).date()
        before = today - timedelta(days=1)
        unclear = (date(2026, 3, 4)).strftime("%d/%m/%Y")
        rows = (
            {
                "date_from": before,
                "date_to": today,
                "planted": 5,
                "photos": "a.jpg",
                "lat": 38.8,
                "lon": 105.7,
            },
            {"date_from": unclear, "date_to": today, "planted": "３株", "photos": "b.jpg"},
            {"date_from": today, "date_to": today, "planted": 4, "photos": "c.jpg", "all_planted": "是"},
        )
        photos = {f"{one}.jpg": jpeg(f"{number} {one}") for one in "abc"}
        first = filled(report, *rows)
        ngo.answer(confirmed, {name: first}, photos)
        told = await asyncio.to_thread(ngo.next_mail)
        assert "有 1 处没有登记" in text_of(told) and "暂不登记" in text_of(told)
        [(name, marked)] = attached(told).items()
        by_row = {row["row"]: row for row in cells(marked)}
        assert by_row[3]["problems"] == by_row[5]["problems"] == "已登记"
        assert "2026-04-03" in by_row[4]["problems"] and "2026-03-04" in by_row[4]["problems"]
        assert by_row[4]["red"] == ["date_from"]
        order = await order_of(server, number)
        assert order["state"] == "in_planting"
        assert sorted((one["report_no"], one["reported"]) for one in order["batches"]) == [("1", 5), ("3", 4)]

        # it mends that cell in the file that came back
        ngo.answer(told, {name: filled(marked, {"date_from": "2026年3月4日"}, first=4)}, photos)
        done = await asyncio.to_thread(ngo.next_mail)
        assert "已全部种完（12 株）" in text_of(done) and not attached(done)
        order = await order_of(server, number)
        assert (order["state"], order["held"], order["lines"][0]["reported"]) == ("planted", "", ACCEPTED)
        assert {one["report_no"]: one["planted_from_on"] for one in order["batches"]}["2"] == "2026-03-04"
        assert [len(one["evidence"]) for one in order["batches"]] == [1, 1, 1]

        # the same file once more changes nothing
        ngo.answer(told, {name: first}, photos)
        again = await asyncio.to_thread(ngo.next_mail)
        assert "有 1 处没有登记" in text_of(again)  # its wrong cell is still wrong
        assert await order_of(server, number) == order

        # the operator reviews it, and the NGO sees that
        await_review = await server.cli("orders", "review", number, "--by", "li", "--json")
        assert await_review.check().json == {"state": "verified", "verified": ACCEPTED}
        verified = await asyncio.to_thread(ngo.next_mail)
        assert "复核通过" in str(verified["subject"]) and "确认 12 株" in text_of(verified)

        # the partners' books agree, and 8 trees wait for another place
        async with reading(database) as db, db.snapshot() as view:
            assert [finding async for finding in audit(view)] == []
        states = [(await server.call("GET", f"/v1/trees/{tree}")).json()["state"] for tree in trees]
        assert {state: states.count(state) for state in set(states)} == {"verified": ACCEPTED, "allocated": 8}
        assert len([one for one in ngo.mails() if "Lin" in text_of(one)]) == 0
