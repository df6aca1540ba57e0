"""The local day of an instant is what the zone says, whatever is remembered of instants beside it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.errors import Rejected
from engine.core.units import local_day

ZONES = (
    "Asia/Shanghai", "UTC", "America/St_Johns", "Africa/Monrovia", "Pacific/Apia", "Asia/Kathmandu",
    "Europe/London", "Pacific/Chatham", "Asia/Pyongyang", "Antarctica/Troll",
)  # fmt: skip


def at(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1000


# St John's fell back at 00:01, so that Sunday lasted a minute and began anew; Liberia was 44:30 behind until 1972.
@given(instant=st.integers(at(1960, 1, 1, 0, 0), at(2060, 1, 1, 0, 0)), zone=st.sampled_from(ZONES))
@example(instant=at(2010, 11, 7, 2, 30, 30), zone="America/St_Johns")
@example(instant=at(2010, 11, 7, 2, 31, 30), zone="America/St_Johns")
@example(instant=at(1971, 6, 1, 0, 44, 29), zone="Africa/Monrovia")
@example(instant=at(1971, 6, 1, 0, 44, 31), zone="Africa/Monrovia")
@settings(max_examples=500, deadline=None)
def test_the_day_is_that_of_the_zone(instant: int, zone: str) -> None:
    expected = datetime.fromtimestamp(instant / 1000, ZoneInfo(zone)).date()
    assert local_day(instant, zone) == expected
    beside = instant // 60_000 * 60_000 + 59_999
    assert local_day(beside, zone) == datetime.fromtimestamp(beside / 1000, ZoneInfo(zone)).date()


def test_what_is_no_zone_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(Rejected, match="bad_zone"):
            local_day(at(2026, 1, 1, 0, 0), "Mars/Olympus")
