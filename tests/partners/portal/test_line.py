"""The portal on a bad line and without a script: what pages cost, and photos that are cut off."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, Request, expect

from tests.conftest import StartServer
from tests.partners.evidence.scenes import photo
from tests.partners.portal.yard import PASSWORD, STAFF, Clerk, Yard, closing_clerk, open_yard
from tests.support.browser import QUICK, SLOW_2G, SLOW_UPLOAD, Phones, bytes_over, line

PAGE_BYTES_MAX = 13_000
AGAIN_BYTES_MAX = 5_000
"""A page with its style sheet, script and icon, on a phone that has never seen it, and after that; what the how-to
promises."""

WITHIN_SLOW_2G_S = 15


async def accept(yard: Yard, clerk: Clerk) -> None:
    """Log in and accept the order."""
    await clerk.set_password(await yard.invite())
    await clerk.log_in()
    while (
        not (number := await yard.order()) or (await clerk.get(f"/portal/orders/{number}")).status_code != 200
    ):
        await asyncio.sleep(0.1)
    path = f"/portal/orders/{number}/answer"
    await clerk.get(path)
    assert (await clerk.send(path, choice="all")).status_code == 200


async def logged_in(page: Page, yard: Yard) -> None:
    await page.goto(f"{yard.server.url}/portal/login")
    await page.fill("#staff", STAFF)
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await expect(page.locator("a.order")).to_be_visible()


def large_photo(folder: Path) -> Path:
    """A photo of half a megabyte or so: noise does not compress."""
    dice = random.Random(5)
    noise = Image.frombytes("RGB", (760, 560), dice.randbytes(760 * 560 * 3))
    path = folder / "大照片.jpg"
    path.write_bytes(photo(noise, quality=95))
    assert path.stat().st_size > 300_000
    return path


@pytest.mark.slow
async def test_bad_lines_and_phones_without_a_script(
    start_server: StartServer, tmp_path: Path, phones: Phones
) -> None:
    yard = await open_yard(start_server, tmp_path)
    async with closing_clerk(yard.server.url) as clerk:
        await accept(yard, clerk)
    number = await yard.order()
    page, plain = await phones.phone(), await phones.phone(java_script_enabled=False)

    # what pages cost, and that the worst line shows one
    await logged_in(page, yard)
    for path in ("orders", f"orders/{number}", f"orders/{number}/planting"):
        cost = await bytes_over(page, f"{yard.server.url}/portal/{path}")
        again = await bytes_over(page, f"{yard.server.url}/portal/{path}", is_fresh=False)
        assert 1000 < again < AGAIN_BYTES_MAX < cost < PAGE_BYTES_MAX, (path, cost, again)
    await line(page, SLOW_2G)
    begun = time.monotonic()
    await page.goto(f"{yard.server.url}/portal/orders/{number}/planting")
    await expect(page.get_by_role("button", name="发送")).to_be_visible()
    assert time.monotonic() - begun < WITHIN_SLOW_2G_S

    # a photo that is cut off in the middle goes on where it was
    calls: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        if "/evidence/uploads" in request.url:
            calls.append((request.method, request.headers.get("upload-offset", "")))

    page.on("request", note)
    await line(page, SLOW_UPLOAD)
    async with page.expect_request(lambda request: request.headers.get("upload-offset", "0") != "0"):
        await page.set_input_files("input[type=file][id='photos.new']", large_photo(tmp_path))
    await line(page, SLOW_UPLOAD, is_offline=True)
    await expect(page.locator(".come")).to_contain_text("断线了")
    before = len(calls)
    await page.fill("#planted", "20")
    await page.get_by_role("button", name="发送").click()
    await expect(page.locator(".send button")).to_have_text("照片还没有传完")
    await line(page, QUICK)
    await expect(page.get_by_role("status")).to_contain_text(
        "已登记 1 份新报告"
    )  # sent by itself, once all had come
    assert ("HEAD", "") in calls[before:], "it asked what had come"
    offsets = [int(offset) for method, offset in calls[before:] if method == "PATCH"]
    assert offsets and min(offsets) > 0, "nothing was sent twice"
    assert [len(one["evidence"]) for one in (await yard.show(number))["batches"]] == [1]

    # the whole report without a script: the photo comes with the form
    await logged_in(plain, yard)
    await plain.goto(f"{yard.server.url}/portal/orders/{number}/planting")
    await expect(plain.get_by_text("照片随表单一起发送")).to_be_visible()
    await plain.fill("#planted", "1")
    (tmp_path / "b.jpg").write_bytes(photo(9))
    await plain.set_input_files("input[type=file][id='photos.new']", tmp_path / "b.jpg")
    await plain.check("#all_planted")
    await plain.get_by_role("button", name="发送").click()
    await expect(plain.get_by_role("status")).to_contain_text("已全部种完（21 株）")
    assert [len(one["evidence"]) for one in (await yard.show(number))["batches"]] == [1, 1]
