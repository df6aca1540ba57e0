"""How the feeds of sources fare: freshness, gaps, rates, unlinked subjects, and what they brought. Only reads."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from engine.core.sources import SUBJECT_BITS, SourceDay, together
from engine.core.units import DAY_MS, rfc3339
from engine.store.database import Database, Reader

REGULAR_PCT = 70  # of the days since its first report: a feed that reports on fewer has no gaps, only pauses
GAPS_TOLD_MAX = 20
DAYS_MAX = 366
_decode = msgspec.json.Decoder().decode


@dataclass(slots=True)
class Feed:
    """A source as it fared in a window of days. Rates are over all reports that were counted in the window."""

    source: str
    name: str
    behaviours: list[str]
    days: int
    links: int = 0
    last_act_at: int | None = None
    last_act_on: str | None = None
    last_report_at: int | None = None
    counted: SourceDay = field(default_factory=lambda: SourceDay("", ""))
    reported_on: set[date] = field(default_factory=set)
    brought: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    pull: dict[str, Any] | None = None

    @property
    def reports(self) -> int:
        """All reports that were counted."""
        one = self.counted
        return one.accepted + one.duplicate + one.reversed + sum(one.rejected.values())


async def feeds(db: Database, now_ms: int, days: int, source: str | None = None) -> list[Feed]:
    """All sources, or one. In one snapshot; a look at many activities, not for every second."""
    since_ms = now_ms - min(days, DAYS_MAX) * DAY_MS
    async with db.snapshot() as view:
        rows = await view.fetch("SELECT id, name, behaviours FROM sources ORDER BY id")
        found = {
            row[0]: Feed(row[0], row[1], _decode(row[2]), days) for row in rows if source in (None, row[0])
        }
        for feed in found.values():
            await _read(view, feed, since_ms)
    return list(found.values())


async def _read(view: Reader, feed: Feed, since_ms: int) -> None:
    name = feed.source
    [(feed.links,)] = await view.fetch(
        "SELECT count(*) FROM links WHERE source = ? AND withdrawn_at IS NULL", name
    )
    [(at, on, accepted_at)] = await view.fetch(
        'SELECT max(at), max("on"), max(accepted_at) FROM activities WHERE source = ?', name
    )
    feed.last_act_at, feed.last_act_on, feed.last_report_at = at, on, accepted_at
    rows = await view.fetch(
        "SELECT behaviour, count(*), sum(energy_g), sum(avoided_mg) FROM activities "
        "WHERE source = ? AND accepted_at >= ? AND reversed_at IS NULL GROUP BY behaviour ORDER BY behaviour",
        name,
        since_ms,
    )
    feed.brought = {row[0]: (row[1], int(row[2]), int(row[3])) for row in rows}
    rows = await view.fetch(
        f"SELECT DISTINCT accepted_at / {DAY_MS} FROM activities WHERE source = ? AND accepted_at >= ?",
        name,
        since_ms,
    )
    feed.reported_on = {_day(int(row[0]) * DAY_MS) for row in rows}
    await _read_counts(view, feed, since_ms)


async def _read_counts(view: Reader, feed: Feed, since_ms: int) -> None:
    rows = await view.fetch(
        'SELECT source, "on", accepted, duplicate, reversed, rejected, unlinked, lagged, lag_ms, last_at '
        'FROM source_days WHERE source = ? AND "on" >= ? ORDER BY "on"',
        feed.source,
        _day(since_ms).isoformat(),
    )
    for row in rows:
        day = SourceDay(*row[:5], _decode(row[5]), *row[6:])
        feed.counted = together(feed.counted, day)
        feed.reported_on.add(date.fromisoformat(day.on))
        feed.last_report_at = max(feed.last_report_at or 0, day.last_at)
    rows = await view.fetch(
        "SELECT failures, problem, next_at, done_at, records FROM pulls WHERE source = ?", feed.source
    )
    for failures, problem, next_at, done_at, records in rows:
        feed.pull = {
            "failures": failures,
            "problem": problem or None,
            "next_at": rfc3339(next_at) if next_at else None,
            "last_page_at": rfc3339(done_at) if done_at else None,
            "records": records,
        }


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


# --- what follows from it ---------------------------------------------------------------------------


def gaps(reported_on: Iterable[date], today: date) -> list[tuple[date, date]]:
    """Runs of days (first and last) without a report in a feed that reports on most days; today may still bring one."""
    days = sorted(day for day in set(reported_on) if day <= today)
    if not days or len(days) * 100 < REGULAR_PCT * ((days[-1] - days[0]).days + 1):
        return []
    found = []
    for one, following in zip(days, [*days[1:], today], strict=True):
        if (following - one).days > 1:
            found.append((one + timedelta(days=1), following - timedelta(days=1)))
    return found


def subjects(sketch: str) -> int:
    """About how many different subjects a sketch has seen: bits that are still clear tell, by linear counting."""
    clear = SUBJECT_BITS - int(sketch, 16).bit_count()
    return round(-SUBJECT_BITS * math.log(max(clear, 1) / SUBJECT_BITS))


def document(found: Sequence[Feed], now_ms: int) -> list[dict[str, Any]]:
    """The feeds as JSON."""
    return [_one(feed, now_ms) for feed in found]


def _one(feed: Feed, now_ms: int) -> dict[str, Any]:
    counted = feed.counted
    silent = gaps(feed.reported_on, _day(now_ms))
    return {
        "source": feed.source,
        "name": feed.name,
        "behaviours": feed.behaviours,
        "days": feed.days,
        "links": feed.links,
        "last_act_at": rfc3339(feed.last_act_at) if feed.last_act_at else None,
        "last_act_on": feed.last_act_on,
        "last_report_at": rfc3339(feed.last_report_at) if feed.last_report_at else None,
        "silent_for_s": (now_ms - feed.last_report_at) // 1000 if feed.last_report_at else None,
        "mean_lag_s": counted.lag_ms // counted.lagged // 1000 if counted.lagged else None,
        "reporting_days": len(feed.reported_on),
        "gaps": [
            {"from_on": str(one), "last_on": str(last), "days": (last - one).days + 1}
            for one, last in silent[-GAPS_TOLD_MAX:]
        ],
        "reports": feed.reports,
        "accepted": counted.accepted,
        "duplicate": counted.duplicate,
        "reversed": counted.reversed,
        "rejected": sum(counted.rejected.values()),
        "duplicate_pct": _pct(counted.duplicate, feed.reports),
        "rejected_pct": _pct(sum(counted.rejected.values()), feed.reports),
        "rejected_by_code": dict(sorted(counted.rejected.items(), key=lambda one: -one[1])),
        "unlinked_subjects_about": subjects(counted.unlinked),
        "behaviour_totals": [
            {"behaviour": name, "activities": count, "energy_g": energy_g, "avoided_mg": avoided_mg}
            for name, (count, energy_g, avoided_mg) in feed.brought.items()
        ],
        "pull": feed.pull,
    }


def _pct(part: int, whole: int) -> str | None:
    """A share in per cent with one decimal, rounded half up; None of nothing."""
    if not whole:
        return None
    tenths = (part * 2000 + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10}"
