"""A feed is taken in once, whatever the other side does: nothing lost, nothing minted twice, nothing hammered."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from engine.core.errors import Rejected
from engine.deciding import Outcome
from engine.pull import run
from engine.pull.fetch import BODY_BYTES_MAX, Fetcher
from engine.pull.run import BACKOFF_S_MAX, RECORDS_MAX
from tests.api.conftest import Api
from tests.pull.conftest import Pulling, Request, Upstream, feed, page, pulling_of, ride, send


async def test_pages_are_followed_and_the_cursor_is_kept(pulling: Pulling) -> None:
    pulling.upstream.pages({"": page(ride(1), ride(2), next="b"), "b": page(ride(3, km=3.2), next=None)})
    visit = await pulling.puller().visit()
    assert (visit.pages, visit.accepted, visit.problem) == (2, 3, "")
    kept = await pulling.puller().kept()
    assert (kept.cursor, kept.failures, kept.records) == ("b", 0, 3)
    pulling.upstream.pages({"b": page(ride(3, km=3.2), ride(4), next="c"), "c": page(next=None)})
    again = await pulling.puller().visit()
    assert (again.accepted, again.duplicate) == (1, 1)
    assert [one.cursor for one in pulling.upstream.requests] == ["", "b", "b", "c"]
    assert await pulling.activities() == ["r1", "r2", "r3", "r4"]


async def test_both_databases_keep_it(api: Api, upstream: Upstream) -> None:
    fetcher = Fetcher(allows_loopback=True)
    pulling = await pulling_of(api, upstream, fetcher)
    upstream.pages({"": page(ride(1), ride(2, subject="stranger"), next="b"), "b": page()})
    await pulling.puller().visit()
    await pulling.counts.flush(api.parts.writer.submit_all)
    await pulling.puller().visit()
    await pulling.counts.flush(api.parts.writer.submit_all)
    told = (await api.operator("GET", "/v1/sources/report?source=city")).json()[0]
    assert (told["accepted"], told["duplicate"], told["rejected_by_code"]) == (1, 0, {"not_linked": 1})
    assert told["unlinked_subjects_about"] == 1 and told["pull"]["records"] == 2
    assert told["behaviour_totals"][0]["energy_g"] == 52 and told["mean_lag_s"] > 0
    assert "stranger" not in json.dumps(told)
    await fetcher.close()


async def test_bad_records_are_refused_alone(pulling: Pulling) -> None:
    bad: list[Any] = [
        None, 7, "text", [], {}, ride(1, trip=None), ride(2, left_at="yesterday"), ride(3, km="far"), ride(4, km=True),
        ride(5, card={"id": {"a": 1}}), ride(6, kind="x" * 500), ride(7, trip="y" * 500), ride(8, km=10**400),
        ride(9, trip=True), ride(10, subject="\x00"),
    ]  # fmt: skip
    pulling.upstream.pages({"": page(*bad, ride(11), {**ride(12), "trip": 12}, next=None)})
    visit = await pulling.puller().visit()
    assert (visit.accepted, visit.rejected, visit.problem) == (2, len(bad), "")
    assert await pulling.activities() == ["12", "r11"]
    [day] = pulling.counts.taken()
    assert day.accepted == 2 and sum(day.rejected.values()) == len(bad)


async def test_a_crash_between_page_and_cursor_mints_nothing_twice(pulling: Pulling) -> None:
    pulling.upstream.pages({"": page(ride(1), ride(2), next="b"), "b": page(ride(3))})
    puller = pulling.puller()
    submit = puller._submit_all

    async def dying(commands: Any) -> list[Outcome]:
        if type(commands[0]).__name__ == "MovePull":
            raise ConnectionError("the power is cut")
        return await submit(commands)

    puller._submit_all = dying
    with pytest.raises(ConnectionError):
        await puller.visit()
    assert await pulling.activities() == ["r1", "r2"] and (await pulling.puller().kept()).cursor == ""
    visit = await pulling.puller().visit()
    assert (visit.accepted, visit.duplicate) == (1, 2)


async def test_a_busy_engine_leaves_the_cursor_where_it_is(pulling: Pulling) -> None:
    pulling.upstream.pages({"": page(ride(1), next="b"), "b": page()})
    puller = pulling.puller()
    submit = puller._submit_all

    async def busy(commands: Any) -> list[Outcome]:
        if type(commands[0]).__name__ == "ReportActivity":
            return [Outcome(None, Rejected("overloaded")) for _ in commands]
        return await submit(commands)

    puller._submit_all = busy
    visit = await puller.visit()
    assert "busy" in visit.problem and (await pulling.puller().kept()).cursor == ""
    assert (await pulling.puller().visit()).accepted == 1


async def test_two_pullers_never_both_move_the_cursor(pulling: Pulling) -> None:
    pulling.upstream.pages({"": page(ride(1), next="b"), "b": page(ride(2))})
    visits = await asyncio.gather(*(pulling.puller().visit() for _ in range(4)))
    assert sum(visit.accepted for visit in visits) == 2 and await pulling.activities() == ["r1", "r2"]
    assert any("another process" in visit.problem for visit in visits)
    assert (await pulling.puller().kept()).cursor == "b"


# --- a hostile upstream -----------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
LARGE = b"x" * 65_536
HOSTILE: dict[str, tuple[tuple[bytes, ...], str]] = {
    "says it is huge": ((OK + b"Content-Length: 99999999999\r\n\r\n{",), "too large"),
    "is huge and says nothing": ((OK + b"\r\n", *([LARGE] * (BODY_BYTES_MAX // len(LARGE) + 2))), "too large"),
    "is cut off": ((OK + b"Content-Length: 100\r\n\r\n{",), "no connection"),
    "hangs up": ((), "no connection"),
    "speaks no HTTP": ((b"220 ftp ready\r\n",), "no connection"),
    "is compressed": ((OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",), "compressed"),
    "redirects": ((b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",), "redirect"),
    "fails": ((b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",), "status 500"),
    "refuses us": ((b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",), "status 403"),
    "is no JSON": ((OK + b"Content-Length: 4\r\n\r\n<ht>",), "not JSON"),
    "is deep": ((OK + b"\r\n", b"[" * 200_000), "not JSON"),
    "is not UTF-8": ((OK + b'Content-Length: 4\r\n\r\n"\xff\xfe"',), "not JSON"),
    "is a number": ((OK + b"Content-Length: 1\r\n\r\n7",), "no list of records"),
    "has records of a wrong type": ((OK + b"\r\n", b'{"data":{"items":{"a":1}}}'), "no list of records"),
    "has a cursor of a wrong type": ((OK + b"\r\n", b'{"data":{"items":[],"next":{"a":1}}}'), "neither text"),
    "has a cursor without end": ((OK + b"\r\n", b'{"data":{"items":[],"next":"%s"}}' % LARGE), "too long"),
    "has a cursor with a line end": ((OK + b"\r\n", b'{"data":{"items":[],"next":"a\\r\\nb"}}'), "printable"),
    "has too many records": (
        (OK + b"\r\n", b'{"data":{"items":[%s]}}' % b",".join([b"1"] * (RECORDS_MAX + 1))),
        "more than",
    ),
    "has numbers without end": ((OK + b"\r\n", b'{"data":{"items":[],"next":1e999999999}}'), "neither text"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_upstream_costs_a_wait_and_nothing_else(pulling: Pulling, name: str) -> None:
    chunks, says = HOSTILE[name]
    pulling.upstream.raw(*chunks)
    visit = await pulling.puller().visit()
    assert says in visit.problem, visit.problem
    kept = await pulling.puller().kept()
    assert (kept.failures, kept.cursor) == (1, "") and kept.next_at > pulling.now_ms
    assert await pulling.activities() == []
    pulling.upstream.pages({"": page(ride(1))})
    assert await pulling.puller().run() == 0, "it waits"
    pulling.now_ms = kept.next_at
    assert await pulling.puller().run() == 1, "and goes on where it was"
    assert (await pulling.puller().kept()).failures == 0


@pytest.mark.parametrize("wait_s", [0.05, 30])
async def test_a_slow_upstream_is_cut_off(pulling: Pulling, wait_s: float) -> None:
    pulling.upstream.raw(OK, *([b"X-Slow: 1\r\n"] * 100), wait_s=wait_s)
    begun = time.monotonic()
    visit = await pulling.puller().visit()
    assert visit.problem == "too slow" and time.monotonic() - begun < 5


async def test_a_day_of_errors_is_few_requests_and_then_it_goes_on(pulling: Pulling) -> None:
    async def broken(request: Request, out: asyncio.StreamWriter) -> None:
        await send(out, b"", "503 Away")

    pulling.upstream.answer = broken
    begun, waits = pulling.now_ms, []
    while pulling.now_ms < begun + 86_400_000:
        await pulling.puller().run()
        kept = await pulling.puller().kept()
        waits.append((kept.next_at - pulling.now_ms) // 1000)
        pulling.now_ms = max(kept.next_at, pulling.now_ms + 60_000)
    assert waits[:6] == [120, 240, 480, 960, 1920, 3600] and max(waits) == BACKOFF_S_MAX
    assert len(pulling.upstream.requests) < 35
    pulling.upstream.pages({"": page(ride(1))})
    assert await pulling.puller().run() == 1


async def test_a_circle_of_cursors_ends(pulling: Pulling) -> None:
    pulling.upstream.pages(
        {"": page(ride(1), next="a"), "a": page(ride(2), next="b"), "b": page(ride(3), next="a")}
    )
    visit = await pulling.puller().visit()
    assert visit.problem == "a circle of cursors" and len(pulling.upstream.requests) == 3
    assert await pulling.activities() == ["r1", "r2", "r3"]


async def test_the_same_page_under_ever_new_cursors_ends(
    pulling: Pulling, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def same(request: Request, out: asyncio.StreamWriter) -> None:
        await send(out, json.dumps(page(ride(1), next="on")).encode())

    pulling.upstream.answer = same
    visit = await pulling.puller().visit()
    assert "same page again" in visit.problem and len(pulling.upstream.requests) == 2
    count = 0

    async def endless(request: Request, out: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await send(out, json.dumps(page(ride(1), next=f"c{count}")).encode())

    pulling.upstream.answer = endless
    monkeypatch.setattr(run, "PAGES_MAX", 4)
    visit = await pulling.puller(feed(pulling.upstream.url)).visit()
    assert visit.pages == 4 and await pulling.activities() == ["r1"]


async def test_the_secret_is_sent_and_never_kept(pulling: Pulling) -> None:
    pulling.upstream.pages({"": page(ride(1))})
    file = feed(pulling.upstream.url, secret="SAXAUL_PULL_CITY")
    missing = await pulling.puller(file).visit()
    assert (
        missing.problem == "SAXAUL_PULL_CITY is not set where the engine runs"
        and not pulling.upstream.requests
    )
    assert (await pulling.puller(file, SAXAUL_PULL_CITY="s3cret").visit()).accepted == 1
    assert pulling.upstream.requests[0].headers["authorization"] == "bearer s3cret"
    assert "s3cret" not in str(await pulling.puller().kept())
