"""Days of a journal: which are asked for, where in it they begin, and who plays by which rulebook when they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from engine.core.canary import EVERYBODY, is_chosen
from engine.store.database import Reader

EVER_MS = 2**62
DISORDER_MS = 3_600_000  # journal ids follow the clock, give or take processes that commit at once


@dataclass(frozen=True, slots=True)
class Between:
    """Days that are asked for, both included; None: from the very first, to the last."""

    first: date | None = None
    last: date | None = None


ALL_DAYS = Between()


async def id_before(view: Reader, at_ms: int) -> int:
    """An id of the journal before which nothing happened at or after the instant, close to the last such."""
    if not at_ms:
        return -1
    [(low, high)] = await view.fetch("SELECT min(id), max(id) + 1 FROM journal")
    while low < high:
        middle = (low + high) // 2
        [(found, at)] = await view.fetch(
            'SELECT id, "at" FROM journal WHERE id >= ? ORDER BY id LIMIT 1', middle
        )
        if at < at_ms - DISORDER_MS:
            low = found + 1
        else:
            high = middle
    return low - 1


async def playing_by(view: Reader, at: int) -> Callable[[int], str]:
    """The rulebook by which a user plays at the instant: who has reported nothing is in an arm too."""
    sql = (
        "SELECT hash, share, salt, coalesce(until_at, ?) FROM editions"
        " WHERE state = 'approved' AND from_at <= ? ORDER BY from_at, number"
    )
    rows = await view.fetch(sql, EVER_MS, at)
    for_all = [rules for rules, share, _, _ in rows if share == EVERYBODY]
    canaries = [row for row in rows if row[1] != EVERYBODY and at < row[3]]

    def rest(user: int) -> str:
        for rules, share, salt, _ in canaries[-1:]:
            if is_chosen(salt, share, user):
                return rules
        return for_all[-1] if for_all else "no activity"

    return rest
