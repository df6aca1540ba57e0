"""Of acts that can be real only once, one counts: rows of a day or month against their activities."""

from collections import Counter
from typing import Any

import msgspec

from engine.check.findings import Findings, Progress
from engine.check.journal import BATCH_ROWS
from engine.check.scratch import Scratch
from engine.core.exclusion import Entry, conflict
from engine.store.database import Reader

ROWS = BATCH_ROWS // 8  # each holds several acts

_decode = msgspec.json.Decoder(list[Entry]).decode

_FACTS = "SELECT id, user_id, status, avoided_mg FROM activities WHERE id IN ?"


async def check_occasions(view: Reader, scratch: Scratch, findings: Findings, progress: Progress) -> None:
    """No two acts count that exclude each other, and none that is excluded has avoided emissions."""
    findings.laws += [
        "Of acts of one family that exclude each other one counts, and its avoided emissions are issued once.",
        "Every act that another may exclude stands once among those of its day, counting as its record says.",
    ]
    sql = (
        "SELECT user_id, period, acts FROM occasions WHERE (user_id, period) > (?, ?)"
        " ORDER BY user_id, period LIMIT ?"
    )
    after: tuple[Any, ...] = (-1, "")
    before: list[Entry] = []  # what counts in the row before, where it is the same user's
    seen: Counter[tuple[int, str]] = Counter()
    while rows := await view.fetch(sql, *after, ROWS):
        found = _read(rows, findings)
        ids = sorted({one.id for _, _, acts in found for one in acts})
        facts = {row[0]: row[1:] for row in await view.fetch(_FACTS, ids)} if ids else {}
        for user, period, acts in found:
            if user != after[0]:
                before = []
            before = _check_row(user, period, acts, before, facts, findings)
            for one in acts:
                seen[user, one.on[:7]] += one.id
            after = (user, period)
        after = tuple(rows[-1][:2])
        findings.counts["occasions"] += len(rows)
        progress("occasions", findings.counts["occasions"], 0)
        _compare(seen, scratch, findings, upto=after[0])
    _compare(seen, scratch, findings, upto=None)
    for user, month, count in scratch.rows("SELECT user, month, count FROM weighed ORDER BY user, month"):
        findings.tell("occasion_missing", f"user {user}, {month}", f"expected {count} acts in rows of days")


def _read(rows: list[tuple[Any, ...]], findings: Findings) -> list[tuple[int, str, list[Entry]]]:
    found = []
    for user, period, text in rows:
        try:
            found.append((user, period, _decode(text)))
        except msgspec.MsgspecError as problem:
            findings.tell("unreadable_row", f"occasions of user {user}, {period}", str(problem))
    return found


def _check_row(
    user: int,
    period: str,
    acts: list[Entry],
    before: list[Entry],
    facts: dict[int, tuple[Any, ...]],
    findings: Findings,
) -> list[Entry]:
    """One row; returns what counts in it."""
    counting = [one for one in acts if one.counts]
    for place, one in enumerate(counting):
        for other in (*before, *counting[:place]):
            if conflict(one, other):
                where = f"activities {other.id} and {one.id} of user {user}"
                findings.tell("twins_counted", where, f"expected one of the family {one.family} to count")
    for one in acts:
        where = f"activity {one.id}, {period}"
        owner, status, avoided_mg = facts.get(one.id, (None, "missing", 0))
        findings.expect("occasion_owner", where, "user, by its activity", owner, user)
        counts = status in ("accepted", "recorded")
        findings.expect(
            "occasion_counts", where, "counts, by the activity's status", counts, bool(one.counts)
        )
        if not one.counts and avoided_mg:
            findings.tell("excluded_counted", where, f"expected 0 mg of an excluded act, found {avoided_mg}")
    return counting


def _compare(seen: Counter[tuple[int, str]], scratch: Scratch, findings: Findings, upto: int | None) -> None:
    """The acts named in the rows of each month are those of the record; the user at hand may have more rows."""
    for user, month in [key for key in seen if upto is None or key[0] != upto]:
        ids = seen.pop((user, month))
        found = scratch.one("SELECT ids FROM weighed WHERE user = ? AND month = ?", user, month)
        where = f"user {user}, {month}"
        findings.expect("occasion_acts", where, "acts named (sum of ids)", found[0] if found else 0, ids)
        scratch.add("DELETE FROM weighed WHERE user = ? AND month = ?", [(user, month)])
