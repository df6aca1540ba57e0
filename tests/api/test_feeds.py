"""How feeds fare is counted where reports arrive: every answer once, nobody named, nothing slower for it."""

from __future__ import annotations

import random
import time
from datetime import date, timedelta

import pytest

from engine.core.commands import ReportActivity
from engine.core.errors import Rejected
from engine.counting import KEPT_MAX, ReportCounts
from engine.deciding import Outcome
from engine.feeds import gaps, subjects
from tests.api.conftest import Api, walk

TODAY = date(2026, 11, 25)


async def report(api: Api, **query: object) -> list[dict]:
    await api.parts.counts.flush(api.parts.writer.submit_all)
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await api.operator("GET", f"/v1/sources/report?{text}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_every_answer_is_counted_once(api: Api) -> None:
    await api.add_source()
    user = await api.open_account()
    await api.link(user, "sub-1")
    items = [walk("a"), walk("a"), walk("b", subject="p"), walk("c", subject="p"), walk("d", subject="q")]
    await api.report(*items, walk("e", steps=10**7), {"id": "f"}, "nonsense")
    await api.report({"id": "a"}, path="/v1/activities/reverse")
    [told] = await report(api)
    assert (told["accepted"], told["duplicate"], told["reversed"]) == (1, 1, 1)
    assert told["rejected_by_code"] == {"not_linked": 3, "bad_request": 2, "quantity_out_of_range": 1}
    assert told["reports"] == 9 and told["rejected_pct"] == "66.7" and told["duplicate_pct"] == "11.1"
    assert told["unlinked_subjects_about"] == 2 and told["links"] == 1
    assert told["behaviour_totals"] == [], "what was reversed brought nothing"
    assert told["last_report_at"] and told["silent_for_s"] >= 0 and told["reporting_days"] == 1
    again = await report(api, source="city", days=1)
    assert again[0]["reports"] == 9, "a flush without news adds nothing"


async def test_a_source_that_never_reported(lite: Api) -> None:
    await lite.add_source()
    [told] = await report(lite)
    assert told["last_report_at"] is None and told["reports"] == 0 and told["rejected_pct"] is None
    missing = await lite.operator("GET", "/v1/sources/report?source=nobody")
    assert missing.status_code == 404 and missing.json()["code"] == "unknown_source"
    for days in ("0", "9999", "x"):
        assert (await lite.operator("GET", f"/v1/sources/report?days={days}")).status_code == 422
    assert (await lite.server("GET", "/v1/sources/report")).status_code == 403


async def test_counts_wait_for_a_busy_engine() -> None:
    counts, written = ReportCounts(), []
    counts.note("city", None, Outcome(b'{"status":"accepted"}'), 0)

    async def busy(commands: list) -> list[Outcome]:
        return [Outcome(None, Rejected("overloaded"))]

    async def ready(commands: list) -> list[Outcome]:
        written.extend(commands[0].days)
        return [Outcome(b"{}")]

    await counts.flush(busy)
    counts.note("city", None, Outcome(b'{"status":"duplicate"}'), 0)
    await counts.flush(ready)
    await counts.flush(ready)
    [day] = written
    assert (day.accepted, day.duplicate) == (1, 1)


def test_what_is_ours_is_not_held_against_a_source() -> None:
    counts = ReportCounts()
    for code in ("overloaded", "unavailable", "internal", "unknown_source"):
        counts.note("city", None, Outcome(None, Rejected(code)), 0)
    assert counts.taken() == []


def test_counting_is_bounded_and_cheap() -> None:
    counts = ReportCounts()
    outcome = Outcome(b'{"id":"a","status":"accepted","energy_g":52,"avoided_mg":1,"ball":"7"}')
    begun = time.process_time()
    for number in range(KEPT_MAX + 500):
        counts.note(f"s{number}", None, outcome, 0)
    assert len(counts.taken()) == KEPT_MAX
    for _ in range(20_000):
        counts.note("city", None, outcome, 0)
    assert time.process_time() - begun < 5, "some microseconds a report"


def test_the_sketch_estimates_subjects_and_keeps_none() -> None:
    dice = random.Random(3)
    for wanted in (1, 10, 300, 3_000):
        counts = ReportCounts(b"pepper")
        for number in range(wanted):
            wish = ReportActivity("city", f"a{number}", f"{dice.random()}", "metro", 1, "ride", "")  # type: ignore[arg-type]
            for _ in range(2):
                counts.note("city", wish, Outcome(None, Rejected("not_linked")), 0)
        [day] = counts.taken()
        assert day.rejected == {"not_linked": 2 * wanted}
        assert subjects(day.unlinked) == pytest.approx(wanted, rel=0.12, abs=1)
        assert len(day.unlinked) <= 512


def days_back(*numbers: int) -> set[date]:
    return {TODAY - timedelta(days=number) for number in numbers}


def test_gaps_are_days_without_reports_in_a_regular_feed() -> None:
    assert gaps(set(), TODAY) == []
    assert gaps(days_back(*range(1, 20)), TODAY) == [], "today may still bring one"
    silent = gaps(days_back(*(set(range(1, 30)) - {5, 6, 12})), TODAY)
    assert silent == [
        (TODAY - timedelta(days=12), TODAY - timedelta(days=12)),
        (TODAY - timedelta(days=6), TODAY - timedelta(days=5)),
    ]
    assert gaps(days_back(*range(4, 30)), TODAY) == [(TODAY - timedelta(days=3), TODAY - timedelta(days=1))]
    assert gaps(days_back(*range(0, 60, 7)), TODAY) == [], "a weekly feed has pauses, not gaps"
