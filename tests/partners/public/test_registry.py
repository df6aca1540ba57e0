"""The public registry: what it tells of a life from promise to count, and what it never tells."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.core.numbers import order_number, tree_number
from partners.core import after_commands as ac
from partners.core import commands as c
from partners.core.records import commands as r
from partners.public.look import STYLE_PATH, text
from partners.public.shown import surveyor_shown
from tests.partners.bench import PROGRAMME
from tests.partners.edge import read_out
from tests.partners.public.town import BROWSER, FILES, planted_with, site_command, town
from tests.partners.test_after_checks import PARTNER, life


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def lite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/game.db"


async def test_a_life_is_told_from_promise_to_count(url: str) -> None:
    async with town(url, kept_s=0.0) as at:
        about = await life(at.bench)
        programme = await at.read(f"/v1/programmes/{PROGRAMME}")
        assert (programme["pledged"], programme["planted"], programme["written_down"]) == (5, 5, 1)
        assert (programme["accepted"], programme["reported"], programme["verified"]) == (6, 6, 6)
        assert {work["site"]["id"] for work in programme["sites"]} == {PROGRAMME}
        assert (sum(work["orders"] for work in programme["sites"]), programme["replanted"]) == (3, 0)
        assert [one["note"] for one in programme["write_downs"]] == ["One of three was dug up."]
        order = order_number(about["order"])
        batch = await at.read(f"/v1/registry/batches/{order}/1")
        assert (batch["accepted_in_order"], batch["reported"], batch["verified"]) == (3, 3, 3)
        assert [one["level"] for one in batch["reviewed_by"]] == [2]
        [count] = batch["counts"]
        assert (count["rate_bp"], count["trees_counted"], count["by"]) == (3333, 3, "independent")
        site = await at.read(f"/v1/registry/sites/{PROGRAMME}")
        assert {one["batch"] for one in site["batches"]} == {
            f"{order}/1",
            f"{order_number(about['other'])}/1",
        }
        assert site["geometry"]["type"] == "MultiPolygon"
        front = await at.read("/v1/registry")
        assert [one["planted"] for one in front["programmes"] if one["programme"] == PROGRAMME] == [5]
        page = (await at.get(f"/v1/registry/batches/{order}/1", **BROWSER)).text
        assert "Agreed in the order's line 订单行承诺3" in read_out(page)
        assert "33.3 %" in page
        assert set(await at.crawl("/v1/registry")) >= {f"/v1/registry/data/{name}" for name in FILES}


SECRETS = ("planter-wang", "zhou", "L-4711-SECRET", "Farmer Ma", "boss@elm.example", "Boss Bao", '"Lin"', "738",
           "operator:li", "operator:wang", "city-official", "a private remark", "partner:wang")  # fmt: skip


async def test_no_person_price_or_private_remark_is_anywhere(lite: str) -> None:
    async with town(lite) as at:
        about = await life(at.bench)
        contacts = (r.ContactWish("orders", "Boss Bao", "boss@elm.example"),)
        await at.bench.do(r.SetContacts(None, "operator:li", PARTNER, contacts))
        await at.bench.do(site_command("north"))
        for status in ("in_review", "approved"):
            await at.bench.do(r.MoveSite(None, "operator:li", "north", status, "a private remark"))
        order = await planted_with(at.bench)
        fire = ac.ReportDisturbance(
            None, "city-official", order, "", "fire", 40, "2026-11-24", False, "a private remark"
        )
        await at.bench.do(fire)
        trees = [
            f"/v1/trees/{tree_number(about['unit'])}",
            f"/v1/trees/{tree_number(about['unit'])}/certificate?format=json",
        ]
        seen = await at.crawl("/v1/registry", *trees)
        batch = f"/v1/registry/batches/{order_number(order)}/1"
        assert batch in seen and "fire" in seen[batch]
        assert len(seen) > 15
        for path, shown in seen.items():
            for secret in SECRETS:
                assert secret not in shown, (path, secret)


async def test_test_orders_and_drafts_are_nowhere(lite: str) -> None:
    async with town(lite, kept_s=0.0) as at:
        done = await at.bench.do(c.OrderTest(None, "operator:li", PARTNER, "saxaul", PROGRAMME, 7))
        number = order_number(int(done["order"]))
        seen = await at.crawl("/v1/registry")
        assert not [path for path, shown in seen.items() if number in shown]
        counted = await at.read(f"/v1/programmes/{PROGRAMME}")
        assert (counted["ordered"], counted["sites"]) == (0, [])
        assert (await at.get(f"/v1/registry/batches/{number}/1")).json()["code"] == "unknown_batch"
        await at.bench.do(site_command("hidden"))
        assert (await at.get("/v1/registry/sites/hidden")).json()["code"] == "unknown_site"
        assert "hidden" not in (await at.get("/v1/registry/data/sites.geojson")).text


async def test_a_site_is_shown_as_exactly_as_its_record_allows(lite: str) -> None:
    async with town(lite) as at:
        await at.bench.do(site_command("north"))
        for status in ("in_review", "approved"):
            await at.bench.do(r.MoveSite(None, "operator:li", "north", status))
        coarse = await at.read("/v1/registry/sites/north")
        assert coarse["precision_m"] == 1_000
        assert len(coarse["geometry"]["coordinates"][0][0]) == 5
        assert "within this square of 1,000 m" in (await at.get(coarse["map"])).text
        features = (await at.read("/v1/registry/data/sites.geojson"))["features"]
        [feature] = [one for one in features if one["id"] == "north"]
        assert feature["geometry"] == coarse["geometry"]
        assert [103.11, 38.61] not in coarse["geometry"]["coordinates"][0][0]
        await at.bench.do(site_command("north", shown_m=0))  # allowed now: at once, though the page was kept
        exact = await at.read("/v1/registry/sites/north")
        assert [103.11, 38.61] in exact["geometry"]["coordinates"][0][0]
        assert "outline" in (await at.get(exact["map"])).text
        await at.bench.do(site_command("north", name_en="Northern sand"))  # what is left out stays as it was
        assert (await at.read("/v1/registry/sites/north"))["precision_m"] == 0
        refused = await at.bench.writer.submit(site_command("north", shown_m=5))
        assert refused.error is not None and refused.error.fields["field"] == "shown_m"


async def test_a_kept_page_is_told_by_its_validator_and_dropped_by_what_changes(url: str) -> None:
    async with town(url) as at:
        order = await planted_with(at.bench)
        [(unit,)] = await at.bench.rows("SELECT min(id) FROM tree_units")
        paths = (f"/v1/trees/{tree_number(unit)}", f"/v1/registry/batches/{order_number(order)}/1")
        for path in paths:
            for headers in ({}, BROWSER):
                first = await at.get(path, **headers)
                assert first.headers["cache-status"] == "saxaul; fwd=miss"
                again = await at.get(path, **headers, **{"if-none-match": first.headers["etag"]})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["cache-status"] == "saxaul; hit"
                assert first.headers["cache-control"] == "public, max-age=10"
                assert "accept" in first.headers["vary"]
        held = {path: (await at.get(path)).headers["etag"] for path in paths}
        await at.bench.do(c.ReviewOrder(None, "operator:li", order, "verified"))
        for path in paths:
            fresh = await at.get(path, **{"if-none-match": held[path]})
            assert fresh.status_code == 200, path
            assert "verified" in fresh.text


async def test_pages_are_right_while_orders_are_written(lite: str) -> None:
    """Whoever has been answered sees what the answer says, however many ask for the page meanwhile."""
    async with town(lite, kept_s=60.0) as at:
        order = await planted_with(at.bench)
        path = f"/v1/registry/batches/{order_number(order)}/1"
        is_over = False

        async def readers() -> None:
            while not is_over:
                await at.get(path)
                await asyncio.sleep(0)  # a kept page is answered without waiting for anything

        reading = [asyncio.create_task(readers()) for _ in range(4)]
        try:
            for turn in range(20):
                command = c.HoldOrder if turn % 2 == 0 else None
                wish = (
                    c.HoldOrder(None, "operator:li", order, "dispute")
                    if command
                    else c.ResumeOrder(None, "operator:li", order)
                )
                await at.bench.do(wish)
                assert (await at.read(path))["on_hold"] is (turn % 2 == 0)
        finally:
            is_over = True
            await asyncio.gather(*reading)


async def test_what_is_not_there_is_said_so(lite: str) -> None:
    async with town(lite) as at:
        for path, code in {
            "/v1/registry/sites/nowhere": "unknown_site",
            "/v1/registry/sites/nowhere/map.svg": "unknown_site",
            "/v1/registry/sites/UPPER!": "invalid",
            "/v1/programmes/nowhere": "unknown_programme",
            "/v1/registry/batches/PO-000042-X/1": "bad_number",
            "/v1/registry/batches/PO-000042-Z/1": "unknown_batch",
            f"/v1/registry/batches/PO-000042-Z/{'x' * 300}": "invalid",
            "/v1/registry/data/users.csv": "not_found",
            "/v1/registry/data/..%2Fsaxaul.db": "not_found",
            "/v1/registry/find?number=42": "bad_number",
        }.items():
            found = await at.get(path)
            assert found.json()["code"] == code, path
            assert found.headers["cache-control"] == "no-store", path


async def test_a_number_in_hand_leads_to_its_tree(lite: str) -> None:
    async with town(lite) as at:
        for number in ("SX-000042-4", "sx 000042 4"):
            found = await at.http.get("/v1/registry/find", params={"number": number})
            assert (found.status_code, found.headers["location"]) == (303, "/v1/trees/SX-000042-4")


async def test_every_page_keeps_to_the_policy(lite: str) -> None:
    async with town(lite) as at:
        await life(at.bench)
        seen = await at.crawl("/v1/registry")
        for path in seen:
            page = await at.get(path, **BROWSER)
            if not page.headers["content-type"].startswith("text/html"):
                continue
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            for word in ("<script", "<style", " style=", " onclick", "javascript:", "http://"):
                assert word not in page.text, (path, word)
            assert '<html lang="en">' in page.text and '<span lang="zh">' in page.text
            assert page.text.count("<h1>") == 1
        style = await at.get(STYLE_PATH)
        assert style.headers["content-type"].startswith("text/css")
        assert (await at.get(STYLE_PATH, **{"if-none-match": style.headers["etag"]})).status_code == 304


async def test_a_report_number_may_be_any_text(lite: str) -> None:
    name = "=2/春 <b>&\"'#?%"
    async with town(lite) as at:
        await planted_with(at.bench, report_no=name)
        [shown] = (await at.read(f"/v1/programmes/{PROGRAMME}"))["batches"]
        batch = await at.read(shown["url"])
        assert batch["report_no"] == name
        page = await at.get(shown["url"], **BROWSER)
        assert "<b>" not in page.text and "&lt;b&gt;" in page.text


@pytest.mark.parametrize(
    ("surveyor", "shown"),
    [
        ("independent:institute/zhou", "independent:institute"),
        ("independent:zhou", "independent"),
        ("elm/wang", "elm"),
        ("Gansu institute", "Gansu institute"),
        ("operator:li", "operator"),
        ("", ""),
    ],
)
def test_who_counted_is_an_organisation(surveyor: str, shown: str) -> None:
    assert surveyor_shown(surveyor) == shown


def test_text_is_escaped_and_chinese_marked() -> None:
    assert text("<i> 树 & 林") == '&lt;i&gt; <span lang="zh">树</span> &amp; <span lang="zh">林</span>'
    assert text(1234567) == "1,234,567"
