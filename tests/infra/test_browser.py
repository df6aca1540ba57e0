"""The browser of the tests is tested too: an axe that finds nothing would prove nothing."""

from __future__ import annotations

import pytest
from playwright.async_api import Error, expect

from tests.conftest import StartServer
from tests.support.browser import PHONE, QUICK, Phones, bytes_over, line, violations


async def test_phones_lines_and_axe(start_server: StartServer, phones: Phones) -> None:
    server = await start_server()
    page, other = await phones.phone(), await phones.phone("en-GB")
    size = await bytes_over(page, f"{server.url}/portal/login")
    assert size > 1000
    assert page.viewport_size == PHONE["viewport"]
    assert await violations(page) == []
    await page.evaluate("document.querySelector('label').remove()")
    assert "label" in [one.partition(":")[0] for one in await violations(page)]
    await other.goto(f"{server.url}/portal/login")
    await expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    assert await page.context.cookies() != await other.context.cookies()
    await line(page, QUICK, is_offline=True)
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        await page.goto(f"{server.url}/portal/login")
    await other.reload()  # the other phone's line is its own
    await line(page, QUICK)
    await page.goto(f"{server.url}/portal/login")
