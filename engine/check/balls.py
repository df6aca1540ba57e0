"""Each ball and its activity: minted once, taken once by each, each gram somewhere, drawn as it had to be."""

from dataclasses import dataclass
from typing import Any

import msgspec

from engine import dice
from engine.check.findings import Findings, Progress
from engine.check.journal import BATCH_ROWS
from engine.check.scratch import Scratch
from engine.core.caps import MORE_PERIODS, booked_periods
from engine.core.energy import friends_share_g
from engine.core.state import Ball
from engine.core.units import local_day
from engine.store.database import Reader, quoted
from engine.store.mapping import GAME_TABLES

_BALLS = GAME_TABLES["balls"]

_ADD_USE = (
    "INSERT INTO uses VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
    " energy_g = energy_g + excluded.energy_g, count = count + 1, ids = ids + excluded.ids"
)
_ADD_WEIGHED = (
    "INSERT INTO weighed VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
    " count = count + 1, ids = ids + excluded.ids"
)
_ADD_AVOIDED = "INSERT INTO avoided VALUES (?, ?) ON CONFLICT DO UPDATE SET mg = mg + excluded.mg"


async def check_activities(view: Reader, scratch: Scratch, findings: Findings, progress: Progress) -> None:
    """Each activity id once, each with its ball; what it uses of caps and what it avoids is added up."""
    findings.laws += [
        "A source's activity id is known once; an activity that is worth grams has exactly one ball.",
        "Avoided emissions of an account are the sum over its activities.",
    ]
    sql = (
        'SELECT a.id, a.user_id, a.behaviour, a."on", a.status, a.energy_g, a.avoided_mg, b.id, a.family,'
        f" CASE WHEN a.trace LIKE '%{MORE_PERIODS}%' THEN a.trace END"
        " FROM activities a LEFT JOIN balls b ON b.id = a.id WHERE a.id > ? ORDER BY a.id LIMIT ?"
    )
    after = -1
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        uses: list[tuple[Any, ...]] = []
        avoided: list[tuple[int, int]] = []
        weighed: list[tuple[int, str, int]] = []
        for activity, user, behaviour, on, status, energy_g, avoided_mg, ball, family, trace in rows:
            avoided.append((user, avoided_mg))
            if family is not None and status != "reversed":
                weighed.append((user, on[:7], activity))
            if energy_g:
                periods = booked_periods(on, msgspec.json.decode(trace) if trace else {})
                uses += [(user, behaviour, period, energy_g, activity) for period in periods]
                if ball is None:
                    findings.tell(
                        "ball_missing",
                        f"activity {activity}",
                        f"worth {energy_g} g; expected a ball, found none",
                    )
            if status == "reversed" and (energy_g or avoided_mg):
                found = f"found {energy_g} g and {avoided_mg} mg"
                findings.tell("reversed_activity", f"activity {activity}", f"expected 0 g and 0 mg, {found}")
        scratch.add(_ADD_USE, uses)
        scratch.add(_ADD_AVOIDED, avoided)
        scratch.add(_ADD_WEIGHED, weighed)
        after = rows[-1][0]
        findings.counts["activities"] += len(rows)
        progress("activities", findings.counts["activities"], 0)
    await _find_doubles(view, findings)
    await _compare_avoided(view, scratch, findings)


async def _find_doubles(view: Reader, findings: Findings) -> None:
    sql = (
        "SELECT source, activity, count(*) FROM activities GROUP BY source, activity"
        " HAVING count(*) > 1 ORDER BY source, activity LIMIT 100"
    )
    for source, activity, times in await view.fetch(sql):
        place = f"activity {activity} of source {source}"
        findings.tell("activity_twice", place, f"expected once, found {times} times")


async def _compare_avoided(view: Reader, scratch: Scratch, findings: Findings) -> None:
    after = -1
    sql = "SELECT id, avoided_mg FROM users WHERE id > ? ORDER BY id LIMIT ?"
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        for user, avoided_mg in rows:
            found = scratch.one("SELECT mg FROM avoided WHERE user = ?", user)
            summed = found[0] if found else 0
            findings.expect("avoided_sum", f"user {user}", "avoided_mg, by activities", summed, avoided_mg)
        after = rows[-1][0]


async def check_balls(view: Reader, scratch: Scratch, findings: Findings, progress: Progress) -> None:
    """Each ball against its activity, its transfers and its takers."""
    findings.laws += [
        "A ball is minted once, for what its activity is worth.",
        "What takers hold is what the ball was full of less what remains, expired and was reversed.",
        "Nobody took from a ball twice, and every taker's key leads to the transfers.",
        "Friends' takes leave the owner's floor, and each is the share that the day's secret draws.",
    ]
    secrets = {
        day: bytes.fromhex(text) for day, text in await view.fetch('SELECT "on", secret FROM day_secrets')
    }
    columns = quoted(_BALLS.columns, "b.")
    sql = (
        f"SELECT {columns}, a.user_id, a.energy_g, a.status FROM balls b"
        " LEFT JOIN activities a ON a.id = b.id WHERE b.id > ? ORDER BY b.id LIMIT ?"
    )
    after = -1
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        moved = _Moved.between(scratch, rows[0][0], rows[-1][0])
        for values in rows:
            try:
                ball: Ball = _BALLS.row(values[:-3])
            except msgspec.MsgspecError as problem:
                findings.tell("unreadable_row", f"ball {values[0]}", str(problem))
                continue
            _check_activity(ball, values[-3:], findings)
            _check_ball(ball, moved, secrets, findings)
        after = rows[-1][0]
        findings.counts["balls"] += len(rows)
        progress("balls", findings.counts["balls"], 0)


def _check_activity(ball: Ball, activity: tuple[Any, ...], findings: Findings) -> None:
    place = f"ball {ball.id}"
    user, energy_g, status = activity
    if user is None:
        findings.tell("activity_missing", place, "expected an activity of the same id, found none")
        return
    findings.expect("ball_owner", place, "owner, by its activity", user, ball.owner)
    if status != "reversed":
        findings.expect("ball_worth", place, "full_g, by its activity", energy_g, ball.full_g)


@dataclass(slots=True)
class _Moved:
    """What the journal says of some balls: sums by ball, and takes (grams, times, key, at) by ball and user."""

    sums: dict[int, tuple[int, ...]]
    takes: dict[int, dict[int, tuple[int, int, str, int]]]

    @classmethod
    def between(cls, scratch: Scratch, first: int, last: int) -> "_Moved":
        """All balls from one id to another."""
        sums = (
            "SELECT id, mints, minted, revised, taken, expired, reversed FROM balls WHERE id BETWEEN ? AND ?"
        )
        takes = "SELECT ball, user, energy_g, times, key, at FROM takes WHERE ball BETWEEN ? AND ?"
        moved = cls({row[0]: row[1:] for row in scratch.rows(sums, first, last)}, {})
        for ball, user, *take in scratch.rows(takes, first, last):
            moved.takes.setdefault(ball, {})[user] = tuple(take)
        return moved


def _check_ball(ball: Ball, moved: _Moved, secrets: dict[str, bytes], findings: Findings) -> None:
    place = f"ball {ball.id}"
    mints, minted, revised, _, expired, reversed_ = moved.sums.get(ball.id, (0, 0, 0, 0, 0, 0))
    if mints > 1:
        findings.tell("minted_twice", place, f"expected one mint, found {mints}")
    findings.expect("ball_full", place, "full_g, by its mints and revisions", minted - revised, ball.full_g)
    held_g = sum(taker[1] for taker in ball.takers)
    left_g = ball.full_g - ball.remaining_g - expired - reversed_
    findings.expect(
        "takers_sum", place, "takers' sum, as full - remaining - expired - reversed", left_g, held_g
    )
    _check_takers(ball, moved.takes.get(ball.id, {}), secrets, findings)


def _check_takers(
    ball: Ball,
    takes: dict[int, tuple[int, int, str, int]],
    secrets: dict[str, bytes],
    findings: Findings,
) -> None:
    place = f"ball {ball.id}"
    seen: set[int] = set()
    left_g, before = ball.full_g, 0
    for user, energy_g, key in ball.takers:
        if user in seen:
            findings.tell("taker_twice", place, f"user {user}: expected once among the takers, found again")
        seen.add(user)
        known = takes.get(user)
        if known is None:
            findings.tell(
                "take_missing", place, f"user {user} holds {energy_g} g; expected a transfer, found none"
            )
        else:
            _check_take(ball, user, energy_g, key, known, findings)
            _check_draw(ball, user, energy_g, (left_g, before), known[3], secrets, findings)
        left_g -= energy_g
        before += user != ball.owner
    for user in takes.keys() - seen:
        findings.tell(
            "taker_missing", place, f"expected user {user} among the takers with {takes[user][0]} g"
        )
    friends_g = sum(energy_g for user, energy_g, _ in ball.takers if user != ball.owner)
    if friends_g > ball.full_g - ball.floor_g:
        most_g = ball.full_g - ball.floor_g
        findings.tell(
            "floor_broken", place, f"friends' takes: expected at most {most_g} g, found {friends_g} g"
        )
    findings.counts["takes"] += len(ball.takers)


def _check_take(
    ball: Ball, user: int, energy_g: int, key: str, known: tuple[int, int, str, int], findings: Findings
) -> None:
    place = f"ball {ball.id}, user {user}"
    moved_g, times, moved_key, _ = known
    findings.expect("take_grams", place, "grams taken, by transfers", moved_g, energy_g)
    findings.expect("taken_twice", place, "takes in the journal", 1, times)
    findings.expect("take_key", place, "key of the take, by the journal", moved_key, key)


def _check_draw(
    ball: Ball,
    user: int,
    energy_g: int,
    found: tuple[int, int],
    at: int,
    secrets: dict[str, bytes],
    findings: Findings,
) -> None:
    """A friend's share, drawn again; the owner takes all that is left. `found`: grams left, friends who came before."""
    left_g, before = found
    secret = secrets.get(local_day(at, "UTC").isoformat())
    if user == ball.owner:
        expected_g = left_g
    elif secret is None:
        findings.tell(
            "secret_missing", f"ball {ball.id}, user {user}", "expected the secret of the day of the take"
        )
        return
    else:
        share_g = friends_share_g(ball, dice.drawing(secret)(ball.id, user), before)
        expected_g = min(share_g, left_g - ball.floor_g)
    findings.expect("draw", f"ball {ball.id}, user {user}", "grams, as drawn", expected_g, energy_g)
