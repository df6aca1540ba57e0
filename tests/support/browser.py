"""A real Chromium, driven by Playwright: phones, bad lines, axe-core. No browser is downloaded by Playwright.

Binary: SAXAUL_TEST_CHROMIUM, else PATH. `python -m tests.support.browser`, which `make test` runs before the tests
because it may take longer than one of them, installs Debian's package where there is none and root asks for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
INSTALL_WITHIN_S = 150
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 720},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
# bytes a second each way and milliseconds to and fro, as browsers describe such lines
SLOW_2G = {"latency": 2000, "downloadThroughput": 50_000 / 8, "uploadThroughput": 50_000 / 8}
SLOW_UPLOAD = {"latency": 50, "downloadThroughput": 1_000_000, "uploadThroughput": 150_000}
QUICK = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


class BrowserMissing(Exception):
    """There is no Chromium, and none can be installed; the text says why."""


def chromium() -> str:
    """The path of a Chromium. Raises BrowserMissing."""
    stated = os.environ.get("SAXAUL_TEST_CHROMIUM")
    found = stated or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not Path(found).exists():
        raise BrowserMissing(f"no Chromium: none of {', '.join(NAMES)} is on PATH")
    return found


def install() -> None:
    """Install Debian's. Raises BrowserMissing."""
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise BrowserMissing(
            "no Chromium on PATH, and only root may install Debian's (apt-get install chromium)"
        )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for words in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", "chromium"]):
            subprocess.run(
                [apt, "-y", *words], env=quiet, check=True, capture_output=True, timeout=INSTALL_WITHIN_S
            )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
        raise BrowserMissing(f"no Chromium on PATH, and apt-get could not install it: {problem}") from problem


@asynccontextmanager
async def open_browser() -> AsyncIterator[Phones]:
    """A Chromium without a window, ended with the block. Raises BrowserMissing."""
    path = chromium()
    async with async_playwright() as driver:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = await driver.chromium.launch(
            executable_path=path, args=options, env={**os.environ, "LANGUAGE": "zh_CN"}
        )
        try:
            yield Phones(browser)
        finally:
            await browser.close()


class Phones:
    """Phones of one browser: each has its own cookies, storage and line."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def phone(self, language: str = "zh-CN", **options: Any) -> Page:
        """A new phone's page."""
        context = await self.browser.new_context(**{**PHONE, "locale": language, **options})
        page = await context.new_page()
        page.set_default_timeout(15_000)
        return page


async def line(page: Page, conditions: dict[str, float], *, is_offline: bool = False) -> None:
    """Let the page's line be so from now on; what is under way is broken when it goes off."""
    session = await _session(page)
    await session.send("Network.emulateNetworkConditions", {"offline": is_offline, **conditions})


async def bytes_over(page: Page, address: str, *, is_fresh: bool = True) -> int:
    """How many bytes a page costs on the line, with all that it fetches; fresh: on a phone that has never seen it."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": is_fresh})
    total = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal total
        total += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", count)
    await page.goto(address, wait_until="load")
    await session.detach()
    return total


async def violations(page: Page) -> list[str]:
    """What axe-core finds against the page, each as its rule, what it says and where."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']]}" for one in found]


_SESSIONS: dict[int, Any] = {}


async def _session(page: Page) -> Any:
    """One session a page: conditions end with the session that set them."""
    context: BrowserContext = page.context
    if id(page) not in _SESSIONS:
        session = _SESSIONS[id(page)] = await context.new_cdp_session(page)
        await session.send("Network.enable")
        page.once("close", lambda closed: _SESSIONS.pop(id(closed), None))
    return _SESSIONS[id(page)]


def main() -> None:
    """Have a Chromium if one can be had, and say so if not: tests that need it are skipped then."""
    try:
        try:
            chromium()
        except BrowserMissing:
            sys.stdout.write("Installing Chromium for the tests of pages\n")
            sys.stdout.flush()
            install()
    except BrowserMissing as missing:
        sys.stdout.write(f"Tests in a browser will be skipped: {missing}\n")


if __name__ == "__main__":
    main()
