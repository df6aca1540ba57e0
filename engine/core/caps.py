"""Which periods' caps an activity uses, and what each of them admits.

A period is a text: a day 2026-11-23, a month 2026-11, a year 2026, or a month of one account 2026-11/<digest>.
The day and month are always booked, so that a cap may begin within a month; the year and the account only where
they are capped, so that no row grows for a year without need. A cap of the year that begins within a year counts
the acts from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from engine.core.rules import Caps

MORE_PERIODS = "more_periods"  # in a trace: the periods that an act uses beside its day and month


def periods_of(on: date, account: str | None) -> tuple[str, ...]:
    """Every period whose caps an act of that day may use: its day, month, year, and account in the month."""
    day = on.isoformat()
    periods = day, day[:7], day[:4]
    return periods if account is None else (*periods, f"{day[:7]}/{account}")


def capped_periods(caps: Caps, on: date, account: str | None) -> tuple[str, ...]:
    """The periods that a new act books: its day and month, its year and account where they are capped."""
    day, month, year, *accounts = periods_of(on, account)
    has_year = caps.year_g is not None or caps.year_count is not None
    has_account = caps.month_count_per_account is not None
    return (day, month, *([year] if has_year else []), *(accounts if has_account else []))


def booked_periods(on: str, trace: Mapping[str, Any]) -> tuple[str, ...]:
    """The periods that an act has booked: its day and month, and those that its trace names beside."""
    return (on, on[:7], *trace.get("granted", {}).get(MORE_PERIODS, ()))


def limits_of(caps: Caps, period: str) -> tuple[str, int | None, int | None]:
    """A period's name, its most grams and its most acts."""
    if "/" in period:
        return "month_per_account", None, caps.month_count_per_account
    if len(period) == len("2026"):
        return "year", caps.year_g, caps.year_count
    if len(period) == len("2026-11"):
        return "month", caps.month_g, caps.month_count
    return "day", caps.day_g, caps.day_count
