"""Instants, days and zones. An instant is an integer of milliseconds since the Unix epoch, UTC."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from engine.core.errors import Rejected

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
ID_MAX = 2**53 - 1  # ids stay exact in JavaScript numbers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
# Before, some zones (Liberia's was the last) were off by seconds too.
_WHOLE_MINUTES_FROM = (datetime(1973, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(minutes=1)


@lru_cache(maxsize=65_536)
def rfc3339(at: int) -> str:
    """The instant as text on the wire, `2026-11-23T07:00:00.000Z`."""
    minute, ms = divmod(at, MINUTE_MS)
    return f"{_minute(minute)}:{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=16_384)
def _minute(minute: int) -> str:
    """The whole minute as text: instants differ by milliseconds, but most of a day's text is the same."""
    return (_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")[:-6]


def instant(text: str) -> int:
    """The instant that an RFC 3339 text names; an offset or Z is required. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write 2026-11-23T07:00:00Z")
    return (moment - _EPOCH) // _MS


# Files that lie beside the zones: the host's own zone, or a count of seconds with leap seconds in it.
_NO_PLACE = frozenset({"localtime", "posixrules", "Factory"})


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises Rejected(bad_zone)."""
    if name in _NO_PLACE or name.startswith(("right/", "posix/")):
        raise Rejected("bad_zone", zone=name[:64])
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as problem:
        raise Rejected("bad_zone", zone=name[:64]) from problem


def local_day(at: int, zone: str) -> date:
    """The calendar day on which the instant falls in the zone."""
    minute = at // MINUTE_MS
    if minute < _WHOLE_MINUTES_FROM:
        return datetime.fromtimestamp(at / SECOND_MS, zone_of(zone)).date()
    return _day_of_minute(minute, zone)


@lru_cache(maxsize=65_536)
def _day_of_minute(minute: int, zone: str) -> date:
    """The day of a whole minute: instants differ by milliseconds, and midnights lie between minutes."""
    return datetime.fromtimestamp(minute * 60, zone_of(zone)).date()


@lru_cache(maxsize=16_384)
def local_instant(day: date, second_of_day: int, zone: str) -> int:
    """The instant of a wall-clock second on a local day; in a gap of summer time, the instant that the gap ends at."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone_of(zone))
    wall = midnight + timedelta(seconds=second_of_day)
    return (wall.astimezone(UTC) - _EPOCH) // _MS


def second_midnight_after(at: int, zone: str) -> int:
    """The second local midnight after the instant: from then on a change of zone counts."""
    return local_instant(local_day(at, zone) + timedelta(days=2), 0, zone)
