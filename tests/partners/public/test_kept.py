"""Kept pages: made once, dropped when what they tell of changes, bounded, never older than is said."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from partners.public import kept as module
from partners.public.answers import HTML, answer, has_it
from partners.public.kept import Kept, Made, Page, etag_of


class Clock:
    now = 1000.0


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", lambda: made.now)
    return made


class Source:
    """Facts that change, and how often they were read."""

    def __init__(self, clock: Clock, *of: str) -> None:
        self.text, self.of, self.reads = "first", of, 0
        self.clock, self.gate = clock, asyncio.Event()
        self.gate.set()

    async def make(self) -> Made:
        self.reads += 1
        text = self.text
        await self.gate.wait()
        return text.encode(), self.of, self.clock.now


async def test_many_who_ask_at_once_read_once(clock: Clock) -> None:
    kept, source = Kept(), Source(clock)
    source.gate.clear()
    asking = [asyncio.create_task(kept.page("a", source.make)) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()  # who goes away takes it from nobody
    source.gate.set()
    pages = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(pages[0], asyncio.CancelledError)
    assert {page.body for page in pages[1:] if isinstance(page, Page)} == {b"first"}
    assert source.reads == 1


async def test_a_page_lives_for_its_time_and_states_its_age(clock: Clock) -> None:
    kept, source = Kept(kept_s=10), Source(clock)
    await kept.page("a", source.make)
    clock.now += 9.9
    found = kept.found("a")
    assert found is not None and found.age_s == pytest.approx(9.9)
    clock.now += 0.1
    assert kept.found("a") is None
    assert len(kept) == 0


async def test_what_changes_drops_the_pages_that_tell_of_it_and_no_others(clock: Clock) -> None:
    kept, one, other = Kept(), Source(clock, "order:17", "tree:4"), Source(clock, "order:18")
    await kept.page("one", one.make)
    await kept.page("other", other.make)
    rows = [
        ("partner_orders", SimpleNamespace(id=17)),
        ("deliveries", SimpleNamespace(id="submit:18", order_id=18)),
    ]
    kept.changed(rows)
    assert kept.found("one") is None
    assert kept.found("other") is not None
    assert "order:17" not in kept._keys and "tree:4" not in kept._keys


async def test_a_change_while_a_page_is_made_makes_it_anew(clock: Clock) -> None:
    kept, source = Kept(), Source(clock, "order:17")
    source.gate.clear()
    asking = asyncio.create_task(kept.page("a", source.make))
    while not source.reads:
        await asyncio.sleep(0)
    source.text = "second"
    kept.drop(["order:17"])
    source.gate.set()
    assert (await asking).body == b"second"
    assert source.reads == 2
    found = kept.found("a")
    assert found is not None and found.body == b"second"
    await asyncio.sleep(0)
    assert kept._dropped == {}


async def test_a_refusal_reaches_all_who_asked_and_is_not_kept(clock: Clock) -> None:
    async def refuse() -> Made:
        raise Rejected("unknown_tree")

    kept = Kept()
    found = await asyncio.gather(*(kept.page("a", refuse) for _ in range(3)), return_exceptions=True)
    assert [getattr(one, "code", None) for one in found] == ["unknown_tree"] * 3
    assert (await kept.page("a", Source(clock).make)).body == b"first"


async def test_too_many_pages_at_once_are_refused(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAKING_PAGES_MAX", 2)
    kept, source = Kept(), Source(clock)
    source.gate.clear()
    waiting = [asyncio.create_task(kept.page(name, source.make)) for name in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Rejected) as refused:
        await kept.page("c", source.make)
    assert refused.value.code == "overloaded"
    source.gate.set()
    await asyncio.gather(*waiting)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3_000), st.sets(st.integers(0, 4))), max_size=40))
def test_memory_is_bounded_whatever_is_asked(asked: list[tuple[int, int, set[int]]]) -> None:
    async def run() -> None:
        kept = Kept(bytes_max=8_000)
        for key, size, of in asked:

            async def make(size: int = size, of: set[int] = of) -> Made:
                return b"x" * size, [f"order:{one}" for one in of], 1000.0

            await kept.page(key, make)
            if size % 3 == 0:
                kept.drop([f"order:{size % 5}"])
            assert kept._bytes <= 8_000
        assert kept._bytes == sum(module._weight(page) for page in kept._pages.values())
        named = {name: {key for key, page in kept._pages.items() if name in page.of} for name in kept._keys}
        assert dict(kept._keys) == named

    asyncio.run(run())


@pytest.mark.parametrize(
    ("held", "is_held"),
    [
        (None, False),
        ("", False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", W/"abc" ,"y"', True),
        ("*", True),
        ('"abcd"', False),
    ],
)
def test_validators_are_compared_weakly(held: str | None, is_held: bool) -> None:
    assert has_it(held, '"abc"') is is_held
    assert has_it(held, 'W/"abc"') is is_held


def test_an_answer_says_for_how_long_and_a_304_has_no_body(clock: Clock) -> None:
    page = Page(b"<p>", etag_of(b"<p>"), clock.now - 4, frozenset())

    def asked(**headers: str) -> Request:
        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return Request({"type": "http", "headers": raw})

    full = answer(page, asked(), HTML, 10, is_hit=True)
    assert (full.status_code, full.headers["age"], full.headers["cache-control"]) == (
        200,
        "4",
        "public, max-age=10",
    )
    assert full.headers["cache-status"] == "saxaul; hit"
    assert "unsafe" not in full.headers["content-security-policy"]
    spared = answer(page, asked(if_none_match=page.etag), HTML, 10, is_hit=True)
    assert (spared.status_code, spared.body, spared.headers["etag"]) == (304, b"", page.etag)
    assert spared.headers["vary"] == "accept"
