"""The portal without a script: plain requests against the real app, and everything that must not be possible."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from pathlib import Path

from partners.core.commands import CancelOrder
from partners.core.portal.commands import RemoveStaff
from partners.portal import logins, pages, throttle
from partners.sheets.reading import read_table
from tests.partners.evidence.scenes import photo
from tests.partners.files.staff import cells, filled
from tests.partners.portal.conftest import Office, open_office
from tests.partners.portal.yard import OTHER, PARTNER, PASSWORD, STAFF, Clerk

TODAY = datetime.now(UTC).date().isoformat()
JPEG = photo(7)


async def answer(clerk: Clerk, office: Office, **values: str) -> object:
    await clerk.get(f"/portal/orders/{office.number}/answer")
    return await clerk.send(f"/portal/orders/{office.number}/answer", **{"choice": "all", **values})


def planting(**values: str) -> dict[str, str]:
    return {
        "report_no": "1",
        "date_from": TODAY,
        "date_to": TODAY,
        "planted": "5",
        "datum": "wgs84",
        **values,
    }


async def reported(office: Office) -> list[tuple[str, int, str]]:
    rows = await office.bench.rows("SELECT report_no, reported, submitted_by FROM batches ORDER BY id")
    return [(number, trees, by) for number, trees, by in rows]


# --- a form has its effect once ---------------------------------------------------------------------


async def test_a_form_that_is_sent_twice_has_one_effect_and_one_answer(office: Office) -> None:
    clerk = await office.clerk()
    await answer(clerk, office)
    page = await clerk.get(f"/portal/orders/{office.number}/planting")
    path = f"/portal/orders/{office.number}/planting"
    first = await clerk.send(path, **planting())
    assert first.status_code == 200 and "已登记 1 份新报告" in first.text
    clerk.last = page
    again = await clerk.send(path, **planting())
    assert again.url == first.url and "已登记 1 份新报告" in again.text
    assert await reported(office) == [("1", 5, f"partner:{STAFF}")]
    clerk.last = page
    changed = await clerk.send(path, **planting(planted="6", notes="改过"))
    assert changed.status_code == 409 and "已经发送并登记过" in changed.text
    assert 'value="改过"' in changed.text, "nothing typed is lost"
    assert clerk.field("form") != clerk.field("form", page)
    assert len(await reported(office)) == 1


async def test_all_pages_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    async with open_office(postgres_url, tmp_path) as office:
        clerk = await office.clerk()
        assert office.number in (await clerk.get("/portal/orders")).text
        await answer(clerk, office, choice="part", accepted="8")
        path = f"/portal/orders/{office.number}"
        await clerk.get(f"{path}/planting")
        files = {"photos.new": ("a.jpg", JPEG, "image/jpeg")}
        done = await clerk.send(f"{path}/planting", files, **planting(planted="8", all_planted="yes"))
        assert "已全部种完（8 株）" in done.text and "缺什么" in done.text
        await clerk.get(f"{path}/mend")
        mended = await clerk.send(f"{path}/mend", {"photos.1": ("b.jpg", photo(8), "image/jpeg")})
        assert "已补登 1 张照片" in mended.text
        for page in ("/portal/money", "/portal/files", "/portal/orders?over", f"{path}/files/survival"):
            assert (await clerk.get(page)).status_code == 200, page
        assert await reported(office) == [("1", 8, f"partner:{STAFF}")]


async def test_the_same_report_from_two_tabs_is_one(office: Office) -> None:
    clerk = await office.clerk()
    await answer(clerk, office)
    path = f"/portal/orders/{office.number}/planting"
    tabs = [await clerk.get(path) for _ in range(2)]
    for tab in tabs:
        clerk.last = tab
        assert (await clerk.send(path, **planting())).status_code == 200
    assert len(await reported(office)) == 1
    clerk.last = tabs[1]
    other = await clerk.send(path, **planting(planted="7"))
    assert other.status_code == 409


async def test_what_is_wrong_comes_back_filled_in_with_a_link_to_each_field(office: Office) -> None:
    clerk = await office.clerk()
    refused = await answer(clerk, office, choice="part", accepted="many", reason='<b>"x"')
    assert refused.status_code == 422  # type: ignore[attr-defined]
    text = clerk.last.text  # type: ignore[union-attr]
    assert '<a href="#accepted">' in text and 'aria-invalid="true"' in text
    assert 'value="many"' in text and "&lt;b&gt;" in text and "<b>&#34;" not in text
    await answer(clerk, office, choice="part", accepted="8")
    path = f"/portal/orders/{office.number}/planting"
    await clerk.get(path)
    bad = planting(date_from="03/04/2026", lat="38.8", planted="９株", notes="=1+1")
    refused = await clerk.send(path, {"photos.new": ("a, b.jpg", JPEG, "image/jpeg")}, **bad)
    assert refused.status_code == 422
    assert {"date_from", "lon"} >= set(re.findall(r'<a href="#(\w+)">', refused.text)) - {"main"} != set()
    kept = clerk.field("photo.new")
    assert kept.endswith(":a b.jpg"), "the photo has come and stays"
    taken = await clerk.send(path, **planting(notes="=1+1", photo__new=html.unescape(kept)))
    assert taken.status_code == 200, taken.text
    assert await office.row("SELECT evidence FROM batches") == f'["{kept[:64]}"]'
    assert await office.row("SELECT count(*) FROM evidence_photos") == 1


async def test_declining_needs_a_word_at_most(office: Office) -> None:
    clerk = await office.clerk()
    done = await answer(clerk, office, choice="none", reason="没有苗木")
    assert "已登记为不接受" in done.text  # type: ignore[attr-defined]
    assert await office.row("SELECT reason FROM partner_orders WHERE id = ?", office.order) == "没有苗木"
    assert (await clerk.get(f"/portal/orders/{office.number}/answer")).url.path.endswith(office.number)


async def test_what_we_ask_to_cancel_is_seen_and_agreed_to(office: Office) -> None:
    clerk = await office.clerk()
    await answer(clerk, office, choice="part", accepted="8")
    path = f"/portal/orders/{office.number}"
    assert (await clerk.get(f"{path}/cancel")).url.path == path, "nobody has asked"
    await office.bench.do(CancelOrder(None, "ana", office.order, "the site is under water"))
    await office.relayed()
    told = await clerk.get(path)
    assert "the site is under water" in told.text and "同意取消" in told.text
    await clerk.get(f"{path}/cancel")
    done = await clerk.send(f"{path}/cancel", remark="好的")
    assert "您同意取消" in done.text and "已取消" in done.text
    assert await office.row("SELECT state FROM partner_orders WHERE id = ?", office.order) == "cancelled"


# --- who may ------------------------------------------------------------------------------------------


async def test_staff_of_one_partner_see_and_touch_nothing_of_another(office: Office) -> None:
    mine, theirs = await office.clerk(), await office.clerk(OTHER, "wang")
    await answer(mine, office)
    path = f"/portal/orders/{office.number}"
    await mine.get(f"{path}/planting")
    await mine.send(f"{path}/planting", {"photos.new": ("a.jpg", JPEG, "image/jpeg")}, **planting())
    sha256 = str(await office.row("SELECT sha256 FROM evidence_photos"))
    done = str(mine.last.url)  # type: ignore[union-attr]
    assert office.number not in (await theirs.get("/portal/orders")).text
    for there in (
        path,
        f"{path}/planting",
        f"{path}/mend",
        f"{path}/files/order",
        f"/portal/photos/{sha256}",
    ):
        assert (await theirs.get(there)).status_code == 404, there
    assert "已登记" not in (await theirs.get(f"/portal/files?{done.partition('?')[2]}")).text
    await theirs.get("/portal/files")
    sent = await theirs.send(f"{path}/planting", **planting(report_no="2"))
    assert sent.status_code == 404
    sheet = (await mine.get(f"{path}/files/planting")).content
    row = {"date_from": TODAY, "date_to": TODAY, "planted": 3}
    await theirs.get("/portal/files")
    refused = await theirs.send("/portal/files", {"sheet": ("x.xlsx", filled(sheet, row))})
    assert "没有登记" in refused.text
    assert len(await reported(office)) == 1


async def test_a_hash_that_was_heard_of_is_no_photo(office: Office) -> None:
    theirs, mine = await office.clerk(OTHER, "wang"), await office.clerk()
    await theirs.get("/portal/files")
    await theirs.send("/portal/files", {"photos.sheet": ("a.jpg", JPEG), "sheet": ("x.csv", b"a,b\n")})
    sha256 = str(await office.row("SELECT sha256 FROM evidence_photos"))
    await answer(mine, office)
    await mine.get(f"/portal/orders/{office.number}/planting")
    refused = await mine.send(
        f"/portal/orders/{office.number}/planting", **planting(photo__new=f"{sha256}:a.jpg")
    )
    assert refused.status_code == 422 and "重新选择" in refused.text
    assert await reported(office) == []


async def test_without_a_login_there_is_only_the_page_to_log_in(office: Office) -> None:
    stranger = office.stranger()
    for path in ("", "/orders", f"/orders/{office.number}", "/money", "/files", f"/photos/{'0' * 64}"):
        reply = await stranger.get(f"/portal{path}")
        assert reply.url.path == "/portal/login", path
    assert stranger.field("to") == "/portal/photos/" + "0" * 64
    for elsewhere in ("//evil.example", "https://evil.example", "/portal/../x", "/portal//evil.example"):
        assert logins.known_place(elsewhere) == "/portal/orders"


async def test_forms_of_others_are_not_taken(office: Office) -> None:
    clerk = await office.clerk()
    path = f"/portal/orders/{office.number}/answer"
    await clerk.get(path)
    form, token = clerk.field("form"), clerk.field("token")
    for headers, sent in (
        ({}, ""),
        ({}, "x.y"),
        ({}, token[:-2] + "AA"),
        ({"sec-fetch-site": "cross-site"}, token),
    ):
        data = {"form": form, "token": sent, "choice": "none", "reason": "typed"}
        reply = await clerk.http.post(path, data=data, headers=headers)
        assert (reply.status_code, 'value="typed"' in reply.text) == (403, True)
    assert await office.row("SELECT state FROM partner_orders WHERE id = ?", office.order) == "submitted"
    other = await office.clerk(PARTNER, "zhao")
    foreign = await other.http.post(path, data={"form": form, "token": token, "choice": "none"})
    assert foreign.status_code == 403, "a token belongs to one browser"


async def test_every_page_says_what_may_run_and_cookies_are_for_us_alone(office: Office) -> None:
    clerk = office.stranger()
    login = await clerk.get("/portal/login")
    policy = login.headers["content-security-policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/portal" in cookie
    assert login.headers["cache-control"] == "no-store" and login.headers["x-frame-options"] == "DENY"
    style = await clerk.get(f"/portal/static/{pages.asset('portal.css')[0]}/portal.css")
    assert "immutable" in style.headers["cache-control"]
    assert (await clerk.get("/portal/static/x/..%2Ftexts.yaml")).status_code == 404
    assert not re.search(r"style=|onclick|<script>|javascript:", login.text)


# --- logging in -----------------------------------------------------------------------------------------


async def test_a_link_works_once_and_in_its_time(office: Office) -> None:
    clerk = office.stranger()
    link = await office.invite(PARTNER, "li")
    assert "已设好" in (await clerk.set_password(link)).text
    assert (await clerk.get(link)).status_code == 404
    assert str(await office.row("SELECT password FROM portal_staff")).startswith("$argon2id$")
    late = await office.invite(PARTNER, "zhao", life_ms=-1)
    assert (await clerk.get(late)).status_code == 404
    first, second = [await office.invite(PARTNER, "sun") for _ in range(2)]
    assert [(await clerk.get(one)).status_code for one in (first, second)] == [404, 200]
    weak = await clerk.send(second, password="aaaaaaaaaaaa", again="aaaaaaaaaaaa")
    assert weak.status_code == 422 and "容易猜到" in weak.text
    unlike = await clerk.send(second, password=PASSWORD, again=PASSWORD + "!")
    assert "不一样" in unlike.text


async def test_a_new_password_or_a_removal_ends_every_session(office: Office) -> None:
    clerk = await office.clerk()
    stranger = office.stranger()
    await stranger.set_password(await office.invite(PARTNER, "li"), "another long secret")
    assert (await clerk.get("/portal/orders")).url.path == "/portal/login"
    assert "账号或密码不对" in (await clerk.log_in()).text
    assert (await clerk.log_in(password="another long secret")).url.path == "/portal/orders"
    await office.bench.do(RemoveStaff("ana", PARTNER, "li"))
    assert (await clerk.get("/portal/orders")).url.path == "/portal/login"
    assert "账号或密码不对" in (await clerk.log_in(password="another long secret")).text
    told = await office.bench.rows(
        "SELECT actor, entity, became FROM audit_events WHERE entity LIKE 'staff %'"
    )
    assert sorted(set(told)) == [
        ("ana", f"staff {STAFF}", "active"),
        ("ana", f"staff {STAFF}", "invited"),
        ("ana", f"staff {STAFF}", "removed"),
        (f"partner:{STAFF}", f"staff {STAFF}", "active"),
    ]


async def test_logging_out_ends_the_session_on_the_server(office: Office) -> None:
    clerk = await office.clerk()
    cookie = dict(clerk.http.cookies)
    await clerk.get("/portal/orders")
    assert (await clerk.send("/portal/logout")).url.path == "/portal/login"
    clerk.http.cookies.update(cookie)
    assert (await clerk.get("/portal/orders")).url.path == "/portal/login"
    assert await office.row("SELECT count(*) FROM portal_sessions") == 0


async def test_guessing_is_slowed_down_by_account_and_by_address(office: Office) -> None:
    await office.clerk()
    thief = office.stranger()
    for _ in range(throttle.FREE_TRIES):
        assert "账号或密码不对" in (await thief.log_in(password="guess guess guess")).text
    assert "试错次数过多" in (await thief.log_in()).text, "not even the right one now"
    assert "账号或密码不对" in (await thief.log_in(f"{PARTNER}/nobody")).text
    office.bench.clock.shift_ms += throttle.FIRST_WAIT_MS
    assert (await thief.log_in()).url.path == "/portal/orders"
    tries = throttle.Throttle()
    for number in range(throttle.ADDRESS_TRIES):
        tries.failed(f"a/{number}", "1.2.3.4", 0)
    assert tries.wait_ms("b/b", "1.2.3.4", 1) > 0 == tries.wait_ms("b/b", "1.2.3.5", 1)
    for number in range(3 * throttle.NAMES_MAX):
        tries.failed(f"a/{number}", str(number), 0)
    assert len(tries._tries) == throttle.NAMES_MAX


async def test_a_form_that_outlived_its_login_comes_back_filled_in(office: Office) -> None:
    clerk = await office.clerk()
    await answer(clerk, office)
    path = f"/portal/orders/{office.number}/planting"
    await clerk.get(path)
    office.bench.clock.shift_ms += 43_200_000
    files = {"photos.new": ("a.jpg", JPEG, "image/jpeg")}
    waits = await clerk.send(path, files, **planting(notes="第一批"))
    assert waits.status_code == 401 and "还在" in waits.text and await reported(office) == []
    fields = re.findall(r'name="(carry[^"]*)" value="([^"]*)"', waits.text)
    kept = {name: html.unescape(value) for name, value in fields}
    assert kept["carry.photo.new"].endswith(":a.jpg"), "the photo came with the session that has just ended"
    wrong = await clerk.send("/portal/login", staff=STAFF, password="wrong wrong wrong", **kept)
    assert wrong.status_code == 422 and "第一批" in wrong.text
    form = await clerk.send("/portal/login", staff=STAFF, password=PASSWORD, **kept)
    assert form.status_code == 200 and "填写的内容都在" in form.text
    assert clerk.field("notes") == "第一批" and clerk.field("planted") == "5"
    sent = planting(notes="第一批", photo__new=html.unescape(clerk.field("photo.new")))
    assert (await clerk.send(path, **sent)).status_code == 200
    assert [trees for _, trees, _ in await reported(office)] == [5]


# --- sheets -----------------------------------------------------------------------------------------------


async def test_sheets_go_out_and_come_back_with_what_is_wrong_in_them(office: Office) -> None:
    clerk = await office.clerk()
    sheet = (await clerk.get(f"/portal/orders/{office.number}/files/order")).content
    assert read_table(filled(sheet, {"accepted": 1}), "zh").rows[0].values["quantity"] == 20
    await clerk.get("/portal/files")
    done = await clerk.send("/portal/files", {"sheet": ("订单.xlsx", filled(sheet, {"accepted": 9}))})
    assert "已登记接受 9 株" in done.text
    report = (await clerk.get(f"/portal/orders/{office.number}/files/planting")).content
    good = {"date_from": TODAY, "date_to": TODAY, "planted": 4, "photos": "a.jpg"}
    rows = filled(report, good, {**good, "planted": "few"})
    page = await clerk.get("/portal/files")
    files = {"sheet": ("报告.xlsx", rows), "photos.sheet": ("a.jpg", JPEG, "image/jpeg")}
    told = await clerk.send("/portal/files", files)
    assert "有 1 行没有登记" in told.text
    form = re.search(r'href="(/portal/files/[0-9a-f]{32})"', told.text)
    assert form
    marked = cells((await clerk.get(form[1])).content)
    assert marked[0]["problems"] == "已登记" and marked[1]["red"] == ["planted"]
    clerk.last = page
    assert (await clerk.send("/portal/files", files)).url == told.url, "the same form has the same answer"
    assert await reported(office) == [("1", 4, f"partner:{STAFF}")]
    await clerk.get("/portal/files")
    hostile = await clerk.send("/portal/files", {"sheet": ("x.xlsx", b"PK\x03\x04" + b"0" * 100)})
    assert hostile.status_code == 200 and "没有登记" in hostile.text


# --- words ------------------------------------------------------------------------------------------------


def test_every_text_is_in_both_languages_with_the_same_fields() -> None:
    for key, said in pages.texts().items():
        assert set(said) == {"zh", "en"} and all(said.values()), key
        assert len({frozenset(re.findall(r"{(\w+)}", one)) for one in said.values()}) == 1, key
